"""Several jobs built at once, each in a process of its own, and told of as each goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, assert_never

from launch_action.core.claims import read_held
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import (
    BuildError,
    InputError,
    LaunchError,
    RegistryError,
    RunError,
    ServiceError,
    SourceError,
    StoreError,
)
from launch_action.core.gate import GateError
from launch_action.core.launch import Announce
from launch_action.core.outputs import described
from launch_action.core.reference import Repository, Tag
from launch_action.core.store import JobStore
from launch_action.core.unexpected import unexpected
from launch_action.oci.layout import LayoutContent
from launch_action.planning.workplace import Running, StoredJob, Workplace
from launch_action.report import Report
from launch_action.workers import WAITS, Begun, Ended, Event, Heard, Message, Tell, workers

_MOST = 4
# Jobs that a warning names; of more it has the number.
_NAMED = 5
_KINDS = {
    kind.code: kind
    for kind in (InputError, SourceError, BuildError, RegistryError, StoreError, RunError,
                 ServiceError, GateError)
}  # fmt: skip

# Builds and records the job of a place, which has this number.
Record = Callable[[int, Workplace, Announce], StoredJob]


@dataclass(frozen=True, slots=True)
class BuiltJob:
    """A version that a build left: in the repository `name`, or in the layout at `directory`.

    `code` is the exit code of its run where it was sent to a queue; None: it is run from here.
    `aliases` are those that it has, `held` is what waits for its run (core.claims), and `wandb` its
    names at W&B.
    """

    name: str
    directory: str
    version: str
    code: int | None = None
    aliases: Sequence[str] = ()
    held: Mapping[str, Any] | None = None
    wandb: Sequence[str] = ("", "")

    def open(self, place: Workplace) -> StoredJob:
        """The version in its store. Raises StoreError and RegistryError."""
        if self.directory:
            content: Any = LayoutContent(Path(self.directory), self.name)
        else:
            content = place.registries.open(Repository.parse(self.name), writable=True)
        version = JobStore(content).load(self.version)
        aliases = tuple(map(Tag, self.aliases))
        held = read_held(self.held) if self.held else None
        job, image = self.wandb
        return StoredJob(content, version, not self.directory, job, image, aliases, held)


class Audience(Protocol):
    """Who is told of the builds, each by its number; one call comes after another."""

    def begun(self, number: int) -> None: ...

    def line(self, number: int, text: str) -> None: ...

    def warning(self, numbers: Sequence[int], text: str, file: str, line: int) -> None:
        """What these jobs warn of: once, when the builds have ended or wait for a queue."""
        ...

    def known(self, number: int, found: Mapping[str, Any]) -> None:
        """Some outputs are known now."""
        ...

    def built(self, number: int, result: BuiltJob | LaunchError) -> None:
        """The build has ended."""
        ...


@contextmanager
def builds(
    places: Sequence[Workplace], record: Record, most: int, *, run: bool
) -> Iterator[Callable[[Audience], None]]:
    """What records the job of every place, at most so many at a time, when it is called.

    `run`: what has a queue is sent there at once, and followed beside the others' builds; who waits
    for a queue takes no room. One that fails stops none of the others. When
    the block is left early, all are ended, and have cleaned up. No thread may be running when it is
    entered.
    """
    tasks = [
        partial(_build, number, place, record, queued=run and bool(place.inputs.queue))
        for number, place in enumerate(places)
    ]
    with workers(tasks, most) as events:
        yield lambda audience: _listen(events, audience, len(tasks))


@dataclass(frozen=True, slots=True)
class _Warnings:
    """What builds warn of, each kept with all jobs that say it while others may say it too."""

    audience: Audience
    building: set[int]
    kept: dict[tuple[str, str, int], list[int]] = field(default_factory=dict)

    def take(self, number: int, text: str, file: str, line: int) -> None:
        self.kept.setdefault((text, file, line), []).append(number)
        if not self.building - {number}:  # nobody else who would
            self.tell()

    def built(self, number: int) -> None:
        """This job warns of nothing any more that others may warn of."""
        self.building.discard(number)
        if not self.building:
            self.tell()

    def tell(self) -> None:
        for (text, file, line), numbers in self.kept.items():
            self.audience.warning(sorted(set(numbers)), text, file, line)
        self.kept.clear()


@contextmanager
def reporters(audience: Audience, count: int) -> Iterator[list[Report]]:
    """A reporter for each of several jobs that are looked at here, one after another."""
    warnings = _Warnings(audience, set(range(count)))

    def report(number: int) -> Report:
        return Report(_Telling(lambda message: _hear(audience, warnings, number, message)))

    try:
        yield [report(number) for number in range(count)]
    finally:
        warnings.tell()


def named(keys: Sequence[str]) -> str:
    """The keys of some jobs, as few as are read.

    >>> named(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _listen(events: Iterator[Event], audience: Audience, count: int) -> None:
    ended: dict[int, BuiltJob | LaunchError] = {}
    warnings = _Warnings(audience, set(range(count)))
    try:
        for event in events:
            match event:
                case Begun():
                    audience.begun(event.task)
                case Heard():
                    if result := _hear(audience, warnings, event.task, event.message):
                        ended[event.task] = result
                case Ended():
                    audience.built(event.task, ended.get(event.task) or _lost(event.code))
                    warnings.built(event.task)
                case _:
                    assert_never(event)
    finally:
        warnings.tell()


def _hear(
    audience: Audience, warnings: _Warnings, number: int, message: Message
) -> BuiltJob | LaunchError | None:
    """Pass a message on; the result, where it is one."""
    match message:
        case {"line": text}:
            audience.line(number, text)
        case {"warning": [text, file, line]}:
            warnings.take(number, text, file, line)
        case {"recorded": _}:
            warnings.built(number)
        case {"known": found}:
            audience.known(number, found)
        case {"built": found}:
            return BuiltJob(**found)
        case {"error": found, "context": context}:
            return _error(found, context)
    return None


def how_many(asked: str) -> int:
    """How many are built at once. Raises InputError."""
    if not asked:
        return min(_MOST, len(os.sched_getaffinity(0)))
    if not (asked.isascii() and asked.isdigit() and 0 < int(asked) <= 99):
        raise InputError(f"input 'parallel' cannot be {asked!r}", hint="a number from 1 to 99")
    return int(asked)


def _build(number: int, place: Workplace, record: Record, tell: Tell, *, queued: bool) -> None:
    """What a worker does: all that it has to say goes through `tell`."""
    place = replace(place, reporter=Report(_Telling(tell)))

    def announce(found: Mapping[str, Any]) -> None:
        tell({"known": dict(found)})

    try:
        job = record(number, place, announce)
        tell({"recorded": number})
        code = _queue(job, place, announce, tell) if queued else None
    except Exception as error:
        found = error if isinstance(error, LaunchError) else unexpected(error)
        tell({"error": described(found), "context": found.context})
        return
    content = job.content
    directory = str(content.directory) if isinstance(content, LayoutContent) else ""
    built = {
        "name": content.name,
        "directory": directory,
        "version": str(job.version.digest),
        "code": code,
        "aliases": list(job.aliases),
        "held": job.held.document() if job.held else None,
        "wandb": [job.wandb_job, job.wandb_image],
    }
    tell({"built": built})


def _queue(job: StoredJob, place: Workplace, announce: Announce, tell: Tell) -> int:
    """Send a job to its queue and wait for its end, if it is waited for; the exit code."""
    from launch_action.launches.stored_runs import run_stored

    def log(output: bytes) -> None:
        for line in output.decode("utf-8", "replace").splitlines():
            place.reporter.info(line)

    tell(WAITS)
    return run_stored(job, place, Running(announce, log))


@dataclass(frozen=True, slots=True)
class _Telling:
    """A report's sink that tells its lines."""

    tell: Callable[[Message], object]

    def line(self, text: str) -> None:
        self.tell({"line": text})

    def warning(self, text: str, file: str, line: int) -> None:
        self.tell({"warning": [text, file, line]})

    @contextmanager
    def group(self, name: str) -> Iterator[None]:  # noqa: ARG002  # its line at the end says it
        yield

    def bar(self, title: str, total: int) -> None:  # noqa: ARG002  # several at once: no bars
        return None


def _error(found: Mapping[str, Any], context: str) -> LaunchError:
    kind = _KINDS.get(found["code"], LaunchError)
    return kind(found["message"], hint=found["hint"], context=context)


def _lost(code: int) -> LaunchError:
    how = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return BuildError(
        f"the process of the build was {how}",
        hint="where memory is short, build fewer at once: --parallel 1",
    )
