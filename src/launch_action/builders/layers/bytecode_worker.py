"""Compiles modules to bytecode, as a program of its own: by any CPython from 3.8 on.

Imported by nobody. Its argument is the version that it must be run by. It reads requests from
standard input until its end and answers each on standard output. A request is two lengths (4 bytes
each, little-endian), the module's path in the image and its source; an answer is a length and the
`.pyc` file, or 0 where the source does not compile. Source of the format: PEP 552 (unchecked
hash-based pycs). Only built-in modules are imported.
"""

from __future__ import annotations

import _imp
import gc
import marshal
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:  # the modules `types` and `typing` are not built in
    from types import CodeType
    from typing import Any

_HASH_BASED = (1).to_bytes(4, "little")
_KEY = int.from_bytes(MAGIC_NUMBER, "little")
_CODE = type((lambda: 0).__code__)
# Before, nothing of the code tells what is shared by accident, and a set is in the order of hashes,
# for which PYTHONHASHSEED must be given.
_TELLING = sys.version_info >= (3, 11)
_LEVELS = {"alpha": "a", "beta": "b", "candidate": "rc"}
# What does not compile here does not at the import either, which is when its user is told.
_WRONG = (SyntaxError, ValueError, OverflowError, RecursionError)

# marshal writes what is shared once, and what is shared depends on which strings the interpreter
# has interned before, so on its whole past.
# A string of one character is one object for all; whether it counts as interned is settled here.
_SETTLED = [sys.intern(chr(number)) for number in range(256)]


def bytecode(path: str, source: bytes) -> bytes:
    """The content of the `.pyc` file, the same in every process; empty if it cannot be compiled."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        if _TELLING and is_ambiguous(code):
            # Until it is replaced, the first code holds every string that the second interns.
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except _WRONG:
        return b""
    hashed = _imp.source_hash(_KEY, source)
    return b"".join((MAGIC_NUMBER, _HASH_BASED, hashed, marshal.dumps(code)))


def is_ambiguous(code: CodeType) -> bool:
    """Whether something is shared only as long as its strings were not interned before.

    A set in several functions is copied to hold strings that were interned. A class inside of
    something has its qualified name as a name, which is interned, and as a constant, which is not.
    """
    qualified: list[str] = []
    texts: set[str] = set()
    sets: list[frozenset[Any]] = []
    rest: list[Any] = [code]
    while rest:
        found = rest.pop()
        kind = type(found)
        if kind is str:
            texts.add(found)
        elif kind is _CODE:
            qualified.append(found.co_qualname)
            rest += found.co_consts
        elif kind is tuple:
            rest += found
        elif kind is frozenset:
            sets.append(found)
    return len(set(sets)) < len(sets) or any(
        name in texts and not name.isidentifier() for name in qualified
    )


def version() -> str:
    """The running Python, `X.Y.Z` or `X.Y.ZrcN`; empty for another than CPython with its lock."""
    if sys.implementation.name != "cpython" or sys.abiflags:
        return ""
    major, minor, micro, level, serial = sys.version_info
    suffix = f"{_LEVELS[level]}{serial}" if level in _LEVELS else ""
    return f"{major}.{minor}.{micro}{suffix}"


def answer(path: bytes, source: bytes) -> None:
    """Write the length and the content of a module's bytecode to standard output."""
    found = bytecode(path.decode("utf-8"), source)
    data = len(found).to_bytes(4, "little") + found
    while data:
        data = data[posix.write(1, data) :]


def answer_apart(path: bytes, source: bytes) -> bool:
    """Answer from a process that has compiled nothing before; whether it did."""
    child = posix.fork()
    if not child:
        answer(path, source)
        posix._exit(0)  # noqa: SLF001 - as os._exit, without the module os
    return posix.waitpid(child, 0)[1] == 0


def main() -> None:
    """Answer requests until there are no more."""
    if version() != sys.argv[1]:
        sys.exit(f"this is Python {version()}, not {sys.argv[1]}")
    if not sys.flags.isolated:
        del sys.path[0]  # where this program is: nothing there is a module of a codec
    gc.disable()  # code refers to nothing that refers to it
    requests = sys.stdin.buffer
    while True:
        lengths = requests.read(8)
        if not lengths:
            return
        path = requests.read(int.from_bytes(lengths[:4], "little"))
        source = requests.read(int.from_bytes(lengths[4:], "little"))
        if _TELLING:
            answer(path, source)
        elif not answer_apart(path, source):
            sys.exit("a module was too much")


if __name__ == "__main__":
    main()
