"""Compiles modules to bytecode, as a program of its own: for the target's Python, 3.11 or later.

Imported by nobody. It reads requests from standard input until its end and answers each on standard
output. A request is two lengths (4 bytes each, little-endian), the module's path in the image and
its source; an answer is a length and the `.pyc` file, or 0 where the source does not compile.
Source of the format: PEP 552 (unchecked hash-based pycs). Only built-in modules are imported.
"""

from __future__ import annotations

import _imp
import gc
import marshal
import sys
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:  # the modules `types` and `typing` are not built in
    from types import CodeType
    from typing import Any

_HASH_BASED = (1).to_bytes(4, "little")
_KEY = int.from_bytes(MAGIC_NUMBER, "little")
_CODE = type((lambda: 0).__code__)
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
        if is_ambiguous(code):
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


def main() -> None:
    """Answer requests until there are no more."""
    gc.disable()  # code refers to nothing that refers to it
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while lengths := requests.read(8):
        path = requests.read(int.from_bytes(lengths[:4], "little"))
        source = requests.read(int.from_bytes(lengths[4:], "little"))
        found = bytecode(path.decode("utf-8"), source)
        answers.write(len(found).to_bytes(4, "little"))
        answers.write(found)
        answers.flush()


if __name__ == "__main__":
    main()
