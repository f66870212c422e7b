"""What fails as annotations: at the file and line at fault, where an error begins with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import Interrupted, LaunchError
from launch_action.core.legs import Leg, Values
from launch_action.github.commands import TITLE, WorkflowCommands
from launch_action.report import printable

# `requirements.txt:3: ...`, `launch.yaml: ...`: how an error about a file of the source begins.
_PLACE = re.compile(r"(?P<file>[^\s:][^:\n]{0,300}):(?:(?P<line>[0-9]{1,7}):)? ")


@dataclass(frozen=True, slots=True)
class Annotations:
    """A Listener (core.legs) that annotates every leg that did not go well.

    `directory` is where the checkout is looked for.
    """

    commands: WorkflowCommands
    directory: Path

    def begin(self, legs: Sequence[Leg]) -> None:
        """Nothing has failed yet."""

    def start(self, leg: Leg) -> None:
        """Nothing has failed yet."""

    def known(self, leg: Leg, values: Values) -> None:
        """What is known is in the outputs."""

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        if error:
            annotate(self.commands, error, self.directory, leg)
        elif values["run_status"] in ("failed", "timeout"):
            ended = f", exit code {values['run_exit_code']}" if values["run_exit_code"] else ""
            name = values["job_name"] or leg.key
            self.commands.error(
                f"the run of {name} ended: {values['run_status']}{ended}\n"
                "hint: the job's own output is in the log of this step",
                title=_title("run", leg),
            )

    def close(self) -> None:
        """Every leg has been annotated."""


@contextmanager
def annotated(commands: WorkflowCommands, directory: Path) -> Iterator[None]:
    """Annotate an expected failure of what is done without any leg at the file that is at fault.

    The checkout is looked for in the `directory`.
    """
    try:
        yield
    except LaunchError as error:
        annotate(commands, error, directory)
        raise


def annotate(
    commands: WorkflowCommands,
    error: LaunchError,
    directory: Path | None = None,
    leg: Leg | None = None,
) -> None:
    """Annotate one failure, its evidence before it, unless that was done.

    An interruption is none: GitHub tells of it itself.
    """
    if error.annotated or isinstance(error, Interrupted):
        return
    error.annotated = True
    for text in error.context.splitlines():
        commands.line(printable(f"  {text}"))
    context = leg.inputs.build_context if leg else ""
    file, line = _place(error.message, directory, context) if directory else ("", 0)
    text = f"{error.message}\nhint: {error.hint}"
    commands.error(text, title=_title(error.code, leg), file=file, line=line)


def _title(code: str, leg: Leg | None) -> str:
    return f"{TITLE}: {code}" + (f" ({leg.key})" if leg and leg.key else "")


def _place(message: str, directory: Path, build_context: str) -> tuple[str, int]:
    """File, from the repository's root, and line (0: none) that an error begins with.

    Only a file that is in the checkout counts: an address with a port looks the same.
    """
    match = _PLACE.match(message)
    top = _top(directory) if match else None
    if match is None or top is None:
        return "", 0
    for parent in dict.fromkeys((build_context, "")):
        path = PurePosixPath(parent, match["file"])
        if not path.is_absolute() and ".." not in path.parts and (top / path).is_file():
            return str(path), int(match["line"] or 0)
    return "", 0


def _top(directory: Path) -> Path | None:
    """The root of the checkout that the directory is in."""
    start = directory.resolve()
    return next((one for one in (start, *start.parents) if (one / ".git").exists()), None)
