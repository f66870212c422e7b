"""When, and with what right, the aliases of a version are moved: at once, or after its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.inputs import Inputs
from launch_action.core.reference import Tag


@dataclass(frozen=True, slots=True)
class Turn:
    """A workflow run among those of its repository.

    `origin` is the repository's address, `run` GITHUB_RUN_ID, `attempt` counts from 1; `at` is now,
    in seconds since 1970. `number` is GITHUB_RUN_NUMBER, which a workflow counts without gaps.
    """

    origin: str
    run: int
    attempt: int = 1
    at: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Claims:
    """With what right a launch moves its aliases.

    Without a `turn`, outside workflows, all of them move. `asked` are those that somebody has
    named, which move as well; `branch` is the branch that one of them is of, empty for none.
    """

    turn: Turn | None = None
    asked: frozenset[Tag] = frozenset()
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What a version gets when its run has gone well, and no sooner.

    `aliases` are plain ones. `tag` is the git tag that is released, whose aliases follow from what
    was released before; `names` are what its prefix may call the job. `likely` are all aliases, as
    it looked before the run.
    """

    aliases: tuple[Tag, ...]
    claims: Claims = Claims()
    tag: str = ""
    names: tuple[str, ...] = ()
    likely: tuple[Tag, ...] = ()

    @property
    def shown(self) -> tuple[Tag, ...]:
        """What a person is told that it would get."""
        return self.likely or self.aliases

    def document(self) -> dict[str, Any]:
        """As JSON, from which `read_held` makes it again."""
        turn = self.claims.turn
        return {
            "aliases": list(self.aliases),
            "turn": turn and [turn.origin, turn.run, turn.attempt, turn.at, turn.number],
            "asked": sorted(self.claims.asked),
            "branch": self.claims.branch,
            "tag": self.tag,
            "names": list(self.names),
            "likely": list(self.likely),
        }


def read_held(found: Mapping[str, Any]) -> Held:
    """What `Held.document` wrote."""
    return Held(
        tuple(map(Tag, found["aliases"])),
        Claims(
            Turn(*found["turn"]) if found["turn"] else None,
            frozenset(map(Tag, found["asked"])),
            found["branch"],
        ),
        found["tag"],
        tuple(found["names"]),
        tuple(map(Tag, found["likely"])),
    )


def waits(inputs: Inputs, *, pull_request: bool, tag: str, run: bool) -> bool:
    """Whether aliases wait for the run: a release's always, others' where `fail-if` judges it.

    A preview is looked at however its run ends, and for a detached run nobody waits.
    """
    if not run or inputs.detach or pull_request:
        return False
    return bool(inputs.fail_if or tag)


def parted(
    aliases: Sequence[Tag], claims: Claims, *, wait: bool
) -> tuple[tuple[Tag, ...], Held | None]:
    """The aliases that are moved at once, and those that wait; None for none."""
    now = tuple(tag for tag in aliases if not wait or tag.startswith("sha-"))
    later = tuple(tag for tag in aliases if tag not in now)
    return now, Held(later, claims) if later else None


def for_release(
    held: Held, tag: str, names: Sequence[str], own: Sequence[Tag], likely: Sequence[Tag]
) -> Held:
    """What waits where a git tag is released: its `own` aliases are given by their release."""
    plain = tuple(alias for alias in held.aliases if alias not in own)
    return replace(
        held,
        aliases=plain,
        tag=tag,
        names=tuple(names),
        likely=tuple(dict.fromkeys((*plain, *likely))),
    )
