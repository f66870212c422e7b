"""Bytecode of wheels: their modules, compiled by a Python of the target's minor version.

What is written is the same on every machine and never compared with its source by the job's Python:
hash-based and unchecked (PEP 552), for the times of files in a layer say nothing.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.bytecode_workers import MAX_SOURCE, Workers
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import sorted_entries
from launch_action.core.errors import BuildError

_TESTS = frozenset(("test", "tests"))
# A file that is no bytecode: Python reads the source instead.
_NONE = b""


class Compiler:
    """Compiles for the layers of a build, with as many processes as there are processors.

    `python` finds the interpreter of `version` (X.Y.Z); it is asked once, when one is needed. What
    was compiled stays in a file of the directory `spool` that has no name, until the block ends
    that this is the context of: wheels of several platforms have most modules in common.
    """

    def __init__(self, version: str, python: Callable[[], Path], spool: Path) -> None:
        self.version = version
        self._find = python
        self._python: Path | BuildError | None = None
        self._directory = spool
        self._spool: _Spool | None = None
        self._open = ExitStack()
        self._lock = threading.Lock()
        self._users = 0
        self._workers: Workers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def entries(self, parts: Sequence[Sequence[Entry]], scheme: Scheme) -> list[Entry]:
        """The bytecode of parts of an image, one a distribution, by path; without directories.

        Where two parts have one module, only the later one's is compiled: it is the one that is
        seen. A module that cannot be compiled has an empty file, so that what another distribution
        has for its place below is not taken. Raises BuildError for a source that is not what its
        wheel says, and where there is no interpreter.
        """
        modules = {
            entry.path: entry for part in parts for entry in part if is_module(entry, scheme)
        }
        with self._borrowed() as (workers, spool):
            jobs = deque(
                (bytecode_path(path, scheme), entry, self._job(workers, spool, entry))
                for path, entry in modules.items()
            )
            try:
                found = []
                while jobs:
                    place, source, job = jobs.popleft()  # what is kept leaves the memory
                    kept = spool.keep(source, job.result()) if isinstance(job, Future) else job
                    found.append(Entry(place, "file", 0o644, kept))
            finally:
                spool.give_up(job for _, _, job in jobs if isinstance(job, Future))
        return sorted_entries(found)

    def _job(
        self, workers: Workers, spool: _Spool, module: Entry
    ) -> Future[bytes] | Chunks | bytes:
        """Its bytecode to be, or what is known of it."""
        if _size(module) > MAX_SOURCE:
            return _NONE
        return spool.job(module, workers.submit)

    @contextmanager
    def _borrowed(self) -> Iterator[tuple[Workers, _Spool]]:
        """The processes, which all layers in the making share; the last one ends them."""
        with self._lock:
            workers = self._workers = self._workers or Workers(self._interpreter(), self.version)
            self._users += 1
            spool = self._spool = self._spool or self._spooled()
        try:
            yield workers, spool
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._workers = None
                    workers.close()

    def _spooled(self) -> _Spool:
        return _Spool(self._open.enter_context(tempfile.TemporaryFile(dir=self._directory)))

    def _interpreter(self) -> Path:
        """Looked for once: to find that there is none may take as long as a download."""
        if self._python is None:
            try:
                self._python = self._find()
            except BuildError as error:
                self._python = error
        if isinstance(self._python, BuildError):
            raise self._python
        return self._python


class _Spool:
    """The bytecode of a build in a file. A module with a digest is compiled once, whoever asks."""

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = file.fileno()
        self._size = 0
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Chunks] = {}
        self._going_on: dict[tuple[str, str], Future[bytes]] = {}
        self._shared: set[tuple[str, str]] = set()

    def job(
        self, module: Entry, submit: Callable[[Entry], Future[bytes]]
    ) -> Future[bytes] | Chunks:
        """The bytecode of a module that was compiled before, or is to be."""
        key = _key(module)
        if key is None:
            return submit(module)
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            if key in self._going_on:
                self._shared.add(key)
            else:
                self._going_on[key] = submit(module)
            return self._going_on[key]

    def give_up(self, jobs: Iterable[Future[bytes]]) -> None:
        """Do not compile what nobody else waits for."""
        with self._lock:
            shared = {self._going_on[key] for key in self._shared if key in self._going_on}
            given_up = {job for job in jobs if job not in shared and job.cancel()}
            for key in [key for key, job in self._going_on.items() if job in given_up]:
                del self._going_on[key]

    def keep(self, module: Entry, data: bytes) -> Chunks:
        """Write a module's bytecode down, unless it is."""
        key = _key(module)
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            start, self._size = self._size, self._size + len(data)
        done, size = 0, len(data)
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done:], start + done)
        found = Chunks(size, lambda: self._read(start, size))
        if key:
            with self._lock:
                self._kept[key] = found
                self._going_on.pop(key, None)
        return found

    def _read(self, start: int, size: int) -> Iterator[bytes]:
        while size > 0:
            data = os.pread(self._descriptor, size, start)
            if not data:
                return  # the writer of the layer tells that something is missing
            yield data
            start, size = start + len(data), size - len(data)


def is_module(entry: Entry, scheme: Scheme) -> bool:
    """Whether an entry is a module that can be imported, and is no test's."""
    root = scheme.site_packages + "/"
    if entry.kind != "file" or not entry.path.endswith(".py") or not entry.path.startswith(root):
        return False
    names = entry.path[len(root) : -len(".py")].split("/")
    return all(name.isidentifier() for name in names) and _TESTS.isdisjoint(names[:-1])


def bytecode_path(source: str, scheme: Scheme) -> str:
    """Where Python looks for the bytecode of a module (PEP 3147)."""
    folder, _, name = source.removesuffix(".py").rpartition("/")
    return f"{folder}/__pycache__/{name}.cpython-{scheme.python.replace('.', '')}.pyc"


def _size(entry: Entry) -> int:
    return len(entry.content) if isinstance(entry.content, bytes) else entry.content.size


def _key(entry: Entry) -> tuple[str, str] | None:
    """What decides a module's bytecode: its place and its content, where that has a digest."""
    digest = entry.content.sha256 if isinstance(entry.content, Spliced) else ""
    return (entry.path, digest) if digest else None
