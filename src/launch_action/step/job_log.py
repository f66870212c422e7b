"""A job's output in the log of a step, in which no line of it is taken for a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from launch_action.core.dataclass import dataclass, replace
from launch_action.github.commands import WorkflowCommands
from launch_action.planning.workplace import Workplace
from launch_action.report import Report


@contextmanager
def job_log(commands: WorkflowCommands, place: Workplace) -> Iterator[Workplace]:
    """While the block runs, the runner takes no line for a command; the place to work with in it.

    Our own warnings wait until its end. Outputs go to a file, not to the log: they can be set.
    """
    sink = _JobSink(commands)
    reporter = Report(sink, timings=place.reporter.timings)
    with commands.stop_commands():
        yield replace(place, reporter=reporter)


def write(line: bytes) -> None:
    """Print a job's output as it is."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


@dataclass(frozen=True, slots=True)
class _JobSink:
    """A report's sink between the lines of a job: warnings wait with the other commands."""

    commands: WorkflowCommands

    def line(self, text: str) -> None:
        write(f"{text}\n".encode("utf-8", "replace"))

    def warning(self, text: str, file: str, line: int) -> None:
        self.commands.warning(text, file, line)

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        self.line(name)
        yield

    def bar(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]] | None:  # noqa: ARG002  # a log cannot be redrawn
        return None
