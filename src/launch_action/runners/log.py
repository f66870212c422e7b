"""The job's log: whole lines to whoever listens, every byte to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from launch_action.core.ports import Reporter

# A line longer than this is passed on in pieces: what is held back is bounded.
LINE_LIMIT = 64 * 1024


class Lines:
    """Cuts a stream of bytes into lines and passes each on, with its end, as soon as it is whole.

    A carriage return ends a line too: that is how progress bars are seen while they move.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """More of the stream."""
        data = self._rest + data
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        self._rest = data[end:]
        for line in data[:end].splitlines(keepends=True):
            self._take(line)
        if len(self._rest) > LINE_LIMIT:
            self.close()

    def close(self) -> None:
        """Pass on what has no end yet."""
        rest, self._rest = self._rest, b""
        if rest:
            self._take(rest)


class LogFile:
    """A file that gets every byte; when it cannot be written, the run goes on without it."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path = path
        self._reporter = reporter
        self._file: BinaryIO | None = path.open("xb", buffering=0)

    def write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._reporter.warning(f"{self._path} ends here: {error.strerror}")
            self.close()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def follow(chunks: Iterable[bytes], log: Callable[[bytes], None], file: LogFile) -> None:
    """Pass a job's output on until it ends: each chunk to the file, then its lines to `log`."""
    lines = Lines(log)
    with closing(file):
        for chunk in chunks:
            file.write(chunk)
            lines.feed(chunk)
        lines.close()
