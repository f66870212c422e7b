"""What a step does, decided from the event: a pure table of events, and how far each is trusted."""

from __future__ import annotations

from typing import Literal, cast

from launch_action.core.aliases import MERGE_QUEUE
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.input_table import BY_NAME
from launch_action.core.inputs import Inputs

Mode = Literal["preview", "release", "update", "launch", "build", "cleanup", "discover"]
# Which have no job to run.
_WITHOUT_RUN = ("cleanup", "discover")

_BY_REF = frozenset({"push", "release", "repository_dispatch", "workflow_call"})
_PULL_REQUEST = frozenset({"pull_request", "pull_request_target"})
# Of a release that is not there any more, or not seen yet.
_NOT_RELEASED = frozenset({"deleted", "unpublished"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """What of an event the mode goes by. Texts are empty where the event does not say.

    `name` and `action` are GitHub's words. `branch` and `tag` are what it is about, `deleted` that
    it is about their end, `pull_request` the number of the pull request, `closed` that it is.
    `fork` tells that the code may be another repository's, `dependabot` whose doing it is. An event
    with `rights` has this repository's token and secrets although outsiders cause it; it is
    `foreign` where the checkout is not known to be this repository's own code.
    """

    name: str
    action: str = ""
    branch: str = ""
    tag: str = ""
    deleted: bool = False
    pull_request: int | None = None
    closed: bool = False
    fork: bool = False
    dependabot: bool = False
    rights: bool = False
    foreign: bool = False

    @property
    def outside(self) -> bool:
        """Whether an outsider's code may be in it."""
        return self.fork or self.dependabot


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The mode and why, and what it may do.

    `push` is what the input `push` comes to: False forbids it, None leaves it to whether there is
    an image repository. Where the event is not `trusted`, nothing is pushed, run, removed or told
    to anybody, and no secret is used.
    """

    mode: Mode
    reason: str
    trusted: bool
    push: bool | None
    run: bool

    def __str__(self) -> str:
        return f"mode {self.mode}: {self.reason}"


def decide(event: EventFacts, inputs: Inputs) -> Decision:
    """The mode of the event or of the input, and its rights.

    Raises InputError for an event that no mode is of, for a mode that is not of the event, and for
    a fork's code in an event that has this repository's rights.
    """
    mode, reason = _asked(event, inputs)
    trusted = not event.outside or (event.rights and inputs.allow_untrusted)
    if trusted:
        run = _runs(mode, inputs)
        return Decision(mode=mode, reason=reason, trusted=True, push=inputs.push, run=run)
    whose = "a fork" if event.fork else "Dependabot"
    ours = "this repository's own code is built, " if event.rights else ""
    if mode == "cleanup":
        reason = f"{reason}, of {whose}: nothing was pushed, and nothing is removed"
    else:
        _refuse_foreign(event)
        mode = "discover" if mode == "discover" else "build"
        reason = f"{reason}, of {whose}: {ours}nothing is pushed or run, and no secret is used"
    push = False if inputs.image else None
    return Decision(mode=mode, reason=reason, trusted=False, push=push, run=False)


def _runs(mode: Mode, inputs: Inputs) -> bool:
    """Whether the job is run: as asked; else in launch mode, and where a queue is named for it."""
    if inputs.run is not None:
        return inputs.run and mode not in _WITHOUT_RUN
    return mode == "launch" or (bool(inputs.queue) and mode in ("preview", "update"))


def _asked(event: EventFacts, inputs: Inputs) -> tuple[Mode, str]:
    if inputs.mode == "auto":
        return _of_event(event)
    mode = cast("Mode", inputs.mode)  # its row of the table holds these choices
    _check(mode, event)
    return mode, f"the input says so ({_subject(event)})"


def _of_event(event: EventFacts) -> tuple[Mode, str]:
    subject = _subject(event)
    if event.name in _PULL_REQUEST:
        # A label on a closed pull request must not bring its preview back.
        return ("cleanup" if event.closed else "preview"), subject
    if event.deleted and (event.branch or event.tag):
        return "cleanup", subject
    if event.name == "merge_group" or event.branch.startswith(MERGE_QUEUE):
        return "build", subject
    if event.name in ("workflow_dispatch", "schedule"):
        return "launch", subject
    if event.name in _BY_REF and event.action not in _NOT_RELEASED:
        if event.tag:
            return "release", subject
        if event.branch:
            return "update", subject
    raise InputError(
        f"no mode belongs to this event: {subject}",
        hint=f"name it with `mode:`, one of {_modes()}; see docs/action.md for the events",
    )


def _check(mode: Mode, event: EventFacts) -> None:
    """Raise InputError for a mode whose subject the event does not have."""
    lacks = {
        "preview": ("a pull request", event.pull_request is not None),
        "release": ("a tag", bool(event.tag) and not event.deleted),
        "update": ("a branch", bool(event.branch) and event.pull_request is None),
    }
    wanted, there = lacks.get(mode, ("", True))
    if not there:
        raise InputError(
            f"mode {mode!r} needs {wanted}, and this is: {_subject(event)}",
            hint=f"choose another of {_modes()}, or the event that is meant",
        )


def _refuse_foreign(event: EventFacts) -> None:
    if event.rights and event.foreign and event.fork:
        raise InputError(
            f"the code of a fork is checked out in {event.name!r}, which has this repository's "
            f"token and secrets ({_subject(event)})",
            hint="build it in `pull_request`, which has neither; or, where a person has looked at "
            "this very commit, `allow-untrusted: true`",
        )


def _subject(event: EventFacts) -> str:
    """The event in a person's words."""
    name = f"{event.name or 'no event'} {event.action}".rstrip()
    if event.pull_request is not None:
        return f"pull request #{event.pull_request}, {name}"
    place = (
        f"tag {event.tag!r}" if event.tag else f"branch {event.branch!r}" if event.branch else ""
    )
    if not place:
        return name
    return f"{name}, {place} deleted" if event.deleted else f"{name}, {place}"


def _modes() -> str:
    return ", ".join(choice for choice in BY_NAME["mode"].choices if choice != "auto")
