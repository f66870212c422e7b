"""The standard streams: there, able to take any text, and their failures told as errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO

from launch_action.core.errors import InputError


def prepare_streams() -> None:
    """See that the three standard streams are there, and that any text can be printed.

    A file of ours that got the number of a closed one would get what the programs that we start
    print.
    """
    handle = os.open(os.devnull, os.O_RDWR)
    while handle <= 2:
        os.set_inheritable(handle, True)
        handle = os.open(os.devnull, os.O_RDWR)
    os.close(handle)
    sys.stdout = sys.stdout or _stream(1)
    sys.stderr = sys.stderr or _stream(2)
    # Where the locale's encoding lacks a character: `\xe4` is better than an end in the middle.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def writer(stream: TextIO) -> Callable[[bytes], None]:
    """What writes a job's output, byte for byte. It raises BrokenPipeError and InputError."""

    def write(line: bytes) -> None:
        try:
            stream.buffer.write(line)
            stream.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(error) from error

    return write


def flush() -> OSError | None:
    """Write what is buffered of the standard output; the failure, after which nothing is left."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def unwritable(error: OSError) -> InputError:
    """The error of a standard output that takes nothing, such as a file on a full disk."""
    return InputError(
        f"standard output cannot be written: {error.strerror}",
        hint="what was built is recorded; run the same command again with another output",
    )


def _stream(handle: int) -> TextIO:
    return open(handle, "w", encoding="utf-8", closefd=False)
