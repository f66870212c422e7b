"""Whether a job is registered in W&B: whether it is asked for, and whether W&B lets it be.

The latter is asked while the job is built, and told before anything is pushed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from launch_action.core.errors import InputError, RefusedError
from launch_action.core.reference import Tag
from launch_action.planning.workplace import Workplace

# Every run passes here, and most register nothing: the rest is imported where it is used.
if TYPE_CHECKING:
    from launch_action.core.concurrency import BackgroundCall
    from launch_action.core.registration import Register
    from launch_action.wandb.account import Account
    from launch_action.wandb.artifact_lookup import FirstAnswer

OFFLINE = ("offline", "disabled", "dryrun")
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
        """Raise RefusedError where W&B takes no job of this key, or not for this entity.

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
        except RefusedError:  # after its time: who registers the job meets it again
            return None


def _ask(account: Account, name: str, alias: str) -> FirstAnswer | None:
    # Imported in the thread that asks: the program goes on meanwhile.
    from launch_action.wandb.artifact_lookup import first_answer

    return first_answer(account, name, alias)


def to_register(place: Workplace, *, pushed: bool | None = None) -> Register:
    """What W&B gets of the jobs of this run. Raises InputError for what cannot be.

    There is something only with a key and a project, and never for an event that outsiders can
    cause. To be asked before anything is built; `pushed` says of a job that is there already
    whether it is in a registry.
    """
    inputs = place.inputs
    if place.untrusted or inputs.wandb_register == "off":
        return "off"
    account = place.wandb
    if not account.key or not account.project:
        if _is_asked(place):
            raise _incomplete(place, "key" if not account.key else "project")
        return "off"
    if _is_offline(place):
        return "off"
    check_account(account)
    what = _what(place)
    if what in ("image", "both") and not inputs.docker_image:
        _check_pushed(place, what, pushed)
    return what if _has_sdk(place) else "off"


def check_account(account: Account) -> None:
    """Raise InputError for an address, a project or an entity that cannot be one."""
    from launch_action.core.wandb_reference import check_owner

    account.server().close()
    check_owner("project", account.project)
    if account.entity:
        check_owner("entity", account.entity)


def _is_asked(place: Workplace) -> bool:
    """Whether somebody has asked for it, so that it is an error where it cannot be."""
    return bool(place.inputs.wandb_register or place.inputs.queue)


def _what(place: Workplace) -> Register:
    match place.inputs.wandb_register:
        case "blueprint" | "image" | "both" | "off" as asked:
            return asked
        case _:
            return "both" if place.inputs.queue else "blueprint"


def _because(place: Workplace, what: str = "") -> str:
    said = f" is {what!r}" if what else " is given"
    return f"wandb-register{said}" if place.inputs.wandb_register else "a queue is named"


def _incomplete(place: Workplace, lacking: str) -> InputError:
    hint = {
        "key": "set WANDB_API_KEY, or `wandb login`",
        "project": "give --project, or set WANDB_PROJECT",
    }
    return InputError(f"{_because(place)}, and no W&B {lacking} is known", hint=hint[lacking])


def _is_offline(place: Workplace) -> bool:
    mode = place.environment.get("WANDB_MODE", "").lower()
    if mode not in OFFLINE:
        return False
    if _is_asked(place):
        raise InputError(
            f"{_because(place)}, and WANDB_MODE is {mode!r}",
            hint="unset WANDB_MODE, or say --wandb-register off",
        )
    place.reporter.info(f"the job is not registered in W&B: WANDB_MODE is {mode}")
    return True


def _has_sdk(place: Workplace) -> bool:
    """Whether the SDK can be used. Raises InputError where not and somebody counts on it.

    Nobody does where the machine is logged in or a settings file has a project, and no more.
    """
    from launch_action.wandb.artifact_upload import EXTRA, sdk_fault

    fault = sdk_fault()
    if not fault:
        return True
    inputs, variables = place.inputs, place.environment
    key = inputs.wandb_api_key or variables.get("WANDB_API_KEY")
    project = inputs.project or variables.get("WANDB_PROJECT")
    if _is_asked(place) or (key and project):
        raise InputError(
            f"the job is to be registered in W&B, and its SDK {fault}",
            hint=f"pip install {EXTRA}, or say --wandb-register off",
        )
    place.reporter.warning(
        f"the job is not registered in W&B, where this machine is logged in: the SDK of {EXTRA} "
        f"{fault} (--wandb-register off says that it shall not be)"
    )
    return False


def _check_pushed(place: Workplace, what: Register, pushed: bool | None) -> None:
    inputs = place.inputs
    if pushed if pushed is not None else inputs.image and inputs.push is not False:
        return
    raise InputError(
        f"{_because(place, what)}, and the image is not pushed anywhere that an agent could pull "
        "it from",
        hint="name its repository with --image, or say --wandb-register blueprint",
    )
