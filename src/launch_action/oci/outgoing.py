"""A blob's content on its way out: counted, given from any place on, in pieces where it must be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from launch_action.core.errors import RegistryError
from launch_action.core.image import Descriptor
from launch_action.oci.faults import Corrupt
from launch_action.oci.retry import Transient
from launch_action.oci.transport import Meter

Source = Callable[[], AbstractContextManager[Iterator[bytes]]]
Progress = Callable[[int], None]


class Outgoing:
    """A blob's content on its way out: counted, and refused when it is not of the size it says.

    `moved` is when the last of it left (`time.monotonic`), `kept` the bytes that the registry said
    it has.
    """

    def __init__(
        self, descriptor: Descriptor, source: Source, meter: Meter, progress: Progress
    ) -> None:
        self.size = descriptor.size
        self.moved = 0.0
        self.kept = 0
        self._what = f"blob {descriptor.digest}"
        self._source = source
        self._meter = meter
        self._progress = progress
        self._sent = 0

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """The content from byte `start` on; progress beyond that of an earlier sending is taken
        back."""
        self._progress(start - self._sent)
        self._sent = start
        try:
            with self._source() as chunks:
                for chunk in _from(start, chunks):
                    self._count(chunk)
                    yield chunk
                    self.moved = time.monotonic()
        except Corrupt as error:
            raise Transient(error) from error
        except OSError as error:
            # urllib3 would take an OSError of the disk for one of the network.
            raise RegistryError(
                f"cannot read {self._what} to send it: {error.strerror or error}",
                hint="check the disk, and that nothing removes files while this runs",
            ) from error
        if self._sent != self.size:
            raise self._changed()

    def _count(self, chunk: bytes) -> None:
        if self._sent + len(chunk) > self.size:
            raise self._changed()
        self._sent += len(chunk)
        self._meter.count(sent=len(chunk))
        self._progress(len(chunk))

    def _changed(self) -> RegistryError:
        return RegistryError(
            f"{self._what} does not have the {self.size} bytes it should have",
            hint="its file was changed while it was sent; run the command again",
        )


class Pieces:
    """A stream that is given out in pieces of wanted lengths, none of them held as a whole."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def opener(self, length: int) -> Callable[[], Iterator[bytes]]:
        """What opens the next piece; it can be opened once."""
        opened = False

        def open_piece() -> Iterator[bytes]:
            nonlocal opened
            if opened:  # a login that ran out between pieces: what was taken is asked for
                raise Transient(_INTERRUPTED)
            opened = True
            return self._take(length)

        return open_piece

    def finish(self) -> None:
        """Read the end, so that a source of the wrong size is noticed."""
        next(self._chunks, None)

    def _take(self, length: int) -> Iterator[bytes]:
        while length > 0:
            chunk = self._rest or next(self._chunks, b"")
            if not chunk:
                return
            self._rest = chunk[length:]
            yield chunk[:length]
            length -= len(chunk[:length])


def _from(start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks without their first `start` bytes, which are there already."""
    for chunk in chunks:
        if start < len(chunk):
            yield chunk[start:]
        start = max(0, start - len(chunk))


_INTERRUPTED = RegistryError(
    "the login ran out while a blob was sent in pieces",
    hint="ask for tokens that live longer, or raise the proxy's limit for the size of a request",
)
