"""Bytecode in dependency layers: the modules of wheels, compiled by the target's own Python.

What is written is the same on every machine and never compared with its source by the job's Python:
hash-based and unchecked (PEP 552), for the times of files in a layer say nothing.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launch_action.builders.layers.archive import Chunks, Entry
from launch_action.builders.layers.bytecode_workers import MAX_SOURCE, Workers
from launch_action.builders.layers.record import Row, read_record, write_record
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import sorted_entries
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError

# Part of the key of layers with bytecode: which modules are compiled, and how.
FORMAT = 1
_TESTS = frozenset(("test", "tests"))


class Compiler:
    """Compiles for the layers of an image, with as many processes as there are processors.

    `python` finds the interpreter of `version` (X.Y.Z); it is asked once, when one is needed. What
    was compiled waits for its layer in files of the directory `spool` that have no name.
    """

    def __init__(self, version: str, python: Callable[[], Path], spool: Path) -> None:
        self.version = version
        self._find = python
        self._python: Path | BuildError | None = None
        self._spool = spool
        self._lock = threading.Lock()
        self._users = 0
        self._workers: Workers | None = None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """For one layer: what it adds can be read until the block ends. Raises BuildError."""
        with tempfile.TemporaryFile(dir=self._spool) as spool, self._borrowed() as workers:
            yield Session(workers, spool.fileno())

    @contextmanager
    def _borrowed(self) -> Iterator[Workers]:
        """The processes, which all layers in the making share; the last one ends them."""
        with self._lock:
            workers = self._workers = self._workers or Workers(self._interpreter(), self.version)
            self._users += 1
        try:
            yield workers
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._workers = None
                    workers.close()

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


class Session:
    """The bytecode of one layer; it is kept in the file `spool` (a descriptor)."""

    def __init__(self, workers: Workers, spool: int) -> None:
        self._workers = workers
        self._spool = spool
        self._size = 0

    def add(self, parts: Sequence[list[Entry]], scheme: Scheme) -> list[list[Entry]]:
        """The parts of a layer, one a distribution, with bytecode that their RECORDs list.

        Where two parts have one module, only the later one's is compiled: it is the one that is
        seen. Raises BuildError for a source that is not what its wheel says.
        """
        seen = {entry.path: place for place, part in enumerate(parts) for entry in part}
        jobs = deque(
            (place, entry.path, self._workers.submit(entry))
            for place, part in enumerate(parts)
            for entry in part
            if seen[entry.path] == place and is_compiled(entry, scheme)
        )
        made: list[dict[str, _Made]] = [{} for _ in parts]
        try:
            while jobs:
                place, source, future = jobs.popleft()  # what is kept leaves the memory
                if data := future.result():
                    made[place][source] = self._keep(bytecode_path(source, scheme), data)
        finally:
            for _, _, future in jobs:
                future.cancel()
        return [_with(found, part, scheme) for part, found in zip(parts, made, strict=True)]

    def _keep(self, path: str, data: bytes) -> _Made:
        start, size = self._size, len(data)
        row = Row.of(data)
        while data:
            written = os.pwrite(self._spool, data, self._size)
            self._size += written
            data = data[written:]
        content = Chunks(size, lambda: _read(self._spool, start, size))
        return _Made(Entry(path, "file", 0o644, content), row)


@dataclass(frozen=True, slots=True)
class _Made:
    """A file of bytecode, with its line of RECORD."""

    entry: Entry
    row: Row


def is_compiled(entry: Entry, scheme: Scheme) -> bool:
    """Whether an entry is a module that can be imported, and is no test's."""
    root = scheme.site_packages + "/"
    if entry.kind != "file" or not entry.path.endswith(".py") or not entry.path.startswith(root):
        return False
    names = entry.path[len(root) : -len(".py")].split("/")
    size = len(entry.content) if isinstance(entry.content, bytes) else entry.content.size
    return (
        size <= MAX_SOURCE
        and all(name.isidentifier() for name in names)
        and _TESTS.isdisjoint(names[:-1])
    )


def bytecode_path(source: str, scheme: Scheme) -> str:
    """Where Python looks for the bytecode of a module (PEP 3147)."""
    folder, _, name = source.removesuffix(".py").rpartition("/")
    return f"{folder}/__pycache__/{name}.cpython-{scheme.python.replace('.', '')}.pyc"


def _with(made: dict[str, _Made], part: Sequence[Entry], scheme: Scheme) -> list[Entry]:
    """A distribution's entries with its bytecode, which its RECORD lists."""
    listed = {scheme.recorded(source): one for source, one in made.items()}
    entries = [one.entry for one in made.values()]
    for entry in part:
        top, _, rest = scheme.recorded(entry.path).partition("/")
        is_record = top.endswith(".dist-info") and rest == "RECORD"
        entries.append(_extended(entry, top, listed, scheme) if is_record else entry)
    return sorted_entries(entries)


def _extended(record: Entry, dist_info: str, listed: dict[str, _Made], scheme: Scheme) -> Entry:
    """RECORD with a line for the bytecode of every module it lists."""
    if not isinstance(record.content, bytes):
        raise TypeError(record.path)
    own = f"{dist_info}/RECORD"
    rows = read_record(record.content.decode("utf-8", "surrogateescape"))
    found = [(path, row) for path, row in rows.items() if path != own]
    found += [
        (scheme.recorded(listed[path].entry.path), listed[path].row)
        for path in rows
        if path in listed
    ]
    return Entry(record.path, "file", record.mode, write_record(found, own))


def _read(spool: int, start: int, size: int) -> Iterator[bytes]:
    while size > 0:
        data = os.pread(spool, size, start)
        if not data:
            return  # the writer of the layer tells that something is missing
        yield data
        start, size = start + len(data), size - len(data)
