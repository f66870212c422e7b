"""Whether W&B lets a job be registered: asked while it is built, told before anything is pushed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from launch_action.core.errors import RefusedError
from launch_action.core.reference import Tag
from launch_action.planning.workplace import Workplace

# Every run passes here, and most register nothing: the rest is imported where it is used.
if TYPE_CHECKING:
    from launch_action.core.concurrency import BackgroundCall
    from launch_action.core.registration import Register
    from launch_action.wandb.account import Account
    from launch_action.wandb.recorded import FirstAnswer

# Seconds that nothing is pushed for the sake of an answer that does not come.
_PATIENCE = 5.0


class Admission:
    """What W&B is to get of a job, and its answer to the first question about it."""

    def __init__(self, what: Register, place: Workplace) -> None:
        self.what = what
        self._place = place
        self._asking: BackgroundCall[FirstAnswer | None] | None = None

    def begin(self, job_name: str, aliases: Sequence[Tag], *, is_image: bool = False) -> None:
        """Ask W&B for the job, beside what is done; `is_image` of one that is an image."""
        if self.what == "off" or not aliases or self._asking:
            return
        from launch_action.core.aliases import wandb_aliases
        from launch_action.core.concurrency import BackgroundCall
        from launch_action.core.registration import asked_name

        name = asked_name(job_name, self.what, is_image=is_image)
        ask = partial(_ask, self._place.wandb, name, wandb_aliases(aliases)[0])
        self._asking = BackgroundCall(ask, abandoned=True)

    def check(self) -> None:
        """Raise ServiceError where W&B takes no job of this key, or not for this entity.

        A server that does not answer is no reason: the job is stored, and W&B asked again then.
        """
        try:
            if self._asking:
                self._asking.ended(_PATIENCE)
        except RefusedError as error:
            raise RefusedError(
                f"{error.message}; the job was to be registered there, and nothing is pushed",
                hint=f"{error.hint}; or say --wandb-register off",
            ) from error

    def answer(self) -> FirstAnswer | None:
        """What W&B has answered by now; None where it was not asked, or has not."""
        try:
            asking = self._asking
            return asking.result() if asking and asking.ended(0) else None
        except RefusedError:  # after its time: who records the job meets it again
            return None


def _ask(account: Account, name: str, alias: str) -> FirstAnswer | None:
    # Imported in the thread that asks: the program goes on meanwhile.
    from launch_action.wandb.recorded import first_answer

    return first_answer(account, name, alias)
