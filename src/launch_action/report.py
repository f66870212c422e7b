"""Progress for people, on standard error: live bars on a terminal, plain lines anywhere else.

Text from outside is escaped here: control characters never reach a terminal or a log.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from launch_action.core.dataclass import dataclass, field

if TYPE_CHECKING:
    from rich.progress import Progress

    from launch_action.core.ports import Reporter

# A transfer that is smaller is not worth a line of its own.
_WORTH_A_LINE = 1024 * 1024
# Seconds until it is said what is waited for, and at most until it is said again.
_SILENCE, _SELDOM = 10.0, 60.0
# Longer words of a job are in its outputs.
_LONGEST = 300
# Line ends of other systems and marks that turn the reading direction are among them.
_CONTROL = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """The text without control characters and undecodable bytes, for a terminal or a log."""
    visible = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return visible.encode("utf-8", "replace").decode("utf-8")


def readable_size(size: float) -> str:
    """Bytes as people read them, in powers of 1000.

    >>> readable_size(17_300_000)
    '17.3 MB'
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def result_lines(values: Mapping[str, Any], *, timings: bool = True) -> Iterator[str]:
    """The result for a person: what was made, where it is, how long each phase took."""
    rows = {
        "job": values["job_name"],
        "version": values["job"],
        "image": values["image"],
        "aliases": ", ".join(values["tags"] or ()),
        "W&B": _wandb_line((values["metadata"] or {}).get("wandb") or {}),
        "built": {True: "no: the build key was known", False: "yes"}.get(values["cache_hit"]),
        "run": _run_line(values),
        "page": values["run_url"],
    }
    if timings:
        took = (values["metadata"] or {}).get("timings") or {}
        rows["seconds"] = ", ".join(f"{name} {seconds:.2f}" for name, seconds in took.items())
    for name, text in rows.items():
        if text:
            yield f"{name:<9}{text}"
    yield from _metric_lines(values["metrics"] or {})


def _metric_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """A line a metric, named as `--fail-if` names it, spelt as the job's document spells it."""
    if not metrics:
        return
    from launch_action.core.preview_row import flat  # a build has none

    for name, value in flat(metrics).items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield _one_line(f"metric   {name} = {text}")


def _one_line(text: str) -> str:
    """A job's words on a line of ours: they begin no line, which CI systems take for commands."""
    line = " ".join(text[: 2 * _LONGEST].splitlines())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _run_line(values: Mapping[str, Any]) -> str:
    if not values["run_id"]:
        return ""
    # Of a queued run W&B tells no exit code, and one that goes on has none.
    code = values["run_exit_code"]
    told = f"{values['run_id']} {values['run_status']}"
    return told if code is None else f"{told}, exit code {code}"


def _wandb_line(found: Mapping[str, str | None]) -> str:
    """The job's names at W&B, and the page of the first."""
    names = [name for name in (found.get("job"), found.get("image_job")) if name]
    page = found.get("url") or found.get("image_url")
    return f"{', '.join(names)} {page or ''}".rstrip()


@contextmanager
def waiting(reporter: Reporter, what: str, silence: float = _SILENCE) -> Iterator[None]:
    """Say that the block waits for `what` after seconds of silence, and then ever more seldom.

    From a thread of its own, which nothing waits for.
    """
    from launch_action.core.concurrency import BackgroundCall

    over, started = threading.Event(), time.monotonic()

    def tell() -> None:
        pause = silence
        while not over.wait(pause):
            reporter.info(f"waiting for {what}: {time.monotonic() - started:.0f} s so far")
            pause = min(2 * pause, _SELDOM)

    try:
        BackgroundCall(tell, abandoned=True, name="waiting")
        yield
    finally:
        over.set()


class Sink(Protocol):
    """Where the lines of a report go: a terminal, a plain log, GitHub's log with its groups."""

    def line(self, text: str) -> None: ...

    def warning(self, text: str, file: str, line: int) -> None: ...

    def group(self, name: str) -> AbstractContextManager[None]: ...

    def bar(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]] | None:
        """A live progress bar, or None where nothing can be redrawn."""
        ...


@dataclass(slots=True)
class Report:
    """A Reporter (core.ports) over a sink."""

    sink: Sink
    timings: dict[str, float] = field(default_factory=dict)

    def info(self, text: str) -> None:
        self.sink.line(printable(text))

    def warning(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.sink.warning(printable(text), printable(file), line)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A named part of the work; its seconds are added to `timings` however it ends."""
        started = time.monotonic()
        try:
            # What is done at once, for several platforms, has no groups: they would interleave.
            alone = threading.current_thread() is threading.main_thread()
            with self.sink.group(name) if alone else nullcontext():
                yield
        finally:
            took = time.monotonic() - started
            self.timings[name] = round(self.timings.get(name, 0.0) + took, 3)
            self.sink.line(f"{name}: {took:.2f} s")

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A transfer; where there is no bar, a line with size and rate tells of a large one."""
        title = printable(title)
        bar = self.sink.bar(title, total)
        if bar is not None:
            with bar as advance:
                yield advance
            return
        started, counter = time.monotonic(), _Counter()
        yield counter.add
        if counter.total >= _WORTH_A_LINE:
            rate = counter.total / max(time.monotonic() - started, 1e-6)
            size = readable_size(counter.total)
            self.sink.line(f"  {title}: {size} at {readable_size(rate)}/s")


@dataclass(slots=True)
class _Counter:
    total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        with self._lock:
            self.total += count


@dataclass(frozen=True, slots=True)
class PlainSink:
    """Lines on a stream that is not a terminal."""

    stream: TextIO

    def line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def warning(self, text: str, file: str, line: int) -> None:
        place = f"{file}:{line}: " if line else f"{file}: " if file else ""
        self.line(f"warning: {place}{text}")

    @contextmanager
    def group(self, name: str) -> Iterator[None]:  # noqa: ARG002  # plain lines have no groups
        yield

    def bar(self, title: str, total: int) -> None:  # noqa: ARG002  # nothing can be redrawn
        return None


class TerminalSink:
    """A terminal: rich draws transfers as live bars below the lines."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._users = 0
        self._progress = self._new_progress()

    def line(self, text: str) -> None:
        self._console.print(text, markup=False)

    def warning(self, text: str, file: str, line: int) -> None:
        place = f"{file}:{line}: " if line else f"{file}: " if file else ""
        self._console.print(f"warning: {place}{text}", style="yellow", markup=False)

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        with self._console.status(name):
            yield

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """One bar of the shared display, which lives while any transfer does."""
        with self._lock:
            if self._users == 0:
                self._progress = self._new_progress()
                self._progress.start()
            self._users += 1
        task = self._progress.add_task(title, total=total or None)
        try:
            yield lambda count: self._progress.advance(task, count)
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._progress.stop()

    def show_cursor(self) -> None:
        self._console.show_cursor(True)

    def _new_progress(self) -> Progress:
        from rich import progress

        return progress.Progress(
            progress.TextColumn("  {task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            console=self._console,
            transient=True,
        )


_terminals: list[TerminalSink] = []


def open_sink(stream: TextIO) -> Sink:
    """The sink for a stream: live where it is a terminal that can be redrawn."""
    if not stream.isatty():
        return PlainSink(stream)
    _terminals.append(TerminalSink(stream))
    return _terminals[-1]


def leave_terminals() -> None:
    """See that every terminal has its cursor, which a live display hides.

    An interruption may come when it is hidden and nobody is there yet to show it again.
    """
    for sink in _terminals:
        sink.show_cursor()
