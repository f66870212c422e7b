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

# marshal writes what is shared, and what looks as if it could be, by reference. What is shared
# depends on which strings the interpreter has interned before, so on its whole past:
# - A string of one character is one object for all; whether it counts as interned is settled here.
_SETTLED = [sys.intern(chr(number)) for number in range(256)]


def bytecode(path: str, source: bytes) -> bytes:
    """The content of the `.pyc` file, the same in every process; empty if it cannot be compiled."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        held = [graph(code)]
        if is_ambiguous(*held[0][1:]):
            # - What the compiler interns is another object than it was where there is one already.
            #   Now that the first code holds all of it there is, in every process.
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
            held.append(graph(code))
    except _WRONG:
        return b""
    # - A string that nobody else holds is written as not shared: all are held while this is done.
    data = marshal.dumps(code)
    del held
    return b"".join((MAGIC_NUMBER, _HASH_BASED, _imp.source_hash(_KEY, source), data))


def graph(code: CodeType) -> tuple[list[str], list[str], list[str], list[frozenset[Any]]]:
    """The names, qualified names, texts and sets of a module's code and all that it defines."""
    names: list[str] = []
    qualified: list[str] = []
    texts: list[str] = []
    sets: list[frozenset[Any]] = []
    rest: list[Any] = [code]
    while rest:
        found = rest.pop()
        kind = type(found)
        if kind is str:
            texts.append(found)
        elif kind is _CODE:
            qualified.append(found.co_qualname)
            names += (found.co_name, found.co_filename)
            for some in (found.co_names, found.co_varnames, found.co_cellvars, found.co_freevars):
                names += some
            rest += found.co_consts
        elif kind is tuple:
            rest += found
        elif kind is frozenset:
            sets.append(found)
            rest += found
    return names, qualified, texts, sets


def is_ambiguous(qualified: list[str], texts: list[str], sets: list[frozenset[Any]]) -> bool:
    """Whether something is shared only as long as its strings were not interned before.

    A set of several functions is copied to hold interned strings; a class inside of something has
    its qualified name as a name, which is interned, and as a constant, which is not.
    """
    return len(set(sets)) < len(sets) or not set(texts).isdisjoint(
        name for name in qualified if not name.isidentifier()
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
