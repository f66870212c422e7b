"""Entry points: split as a shell splits words, and the script in them that names the job."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from launch_action.core.decoding import is_unicode
from launch_action.core.errors import InputError

_SCRIPT = re.compile(r".+\.(?:py|pyw|pyz|sh|bash|ipynb|R|jl|rb|pl|js|ts|lua)", re.DOTALL)
# Programs whose `-m NAME` runs a Python module.
_MODULE_RUNNERS = re.compile(
    r"(?:python[0-9.]*|torchrun|accelerate|deepspeed|coverage|debugpy|pdb|horovodrun)"
)
# `-m`, also behind other letters (`-um`) and with the name behind it (`-mpkg`).
_MODULE_OPTION = re.compile(r"-[bBdEiIOPqRsSuvx]*m(.*)", re.DOTALL)
# Linux gives a program no longer argument; and to split takes time by the square of a word.
_LIMIT = 128 * 1024
_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh"))
_COMMAND_OPTION = re.compile(r"-[a-z]*c")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
# Modules that run the script or module that their arguments name.
_LAUNCHERS = frozenset(
    ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch", "pdb",
     "cProfile", "profile", "trace", "coverage", "debugpy", "kernprof", "scalene", "memray",
     "deepspeed.launcher.runner", "uv")
)  # fmt: skip


def parse_entrypoint(text: str) -> tuple[str, ...]:
    """Split a command as a POSIX shell splits words, quoting kept. Raises InputError.

    >>> parse_entrypoint("python train.py --name 'a b'")
    ('python', 'train.py', '--name', 'a b')
    """
    if len(text) > _LIMIT:
        raise InputError(
            f"entry point has {len(text)} characters, over the limit of {_LIMIT}",
            hint="put the command into a script",
        )
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(
            f"entry point cannot be split into words: {text!r} ({error})",
            hint="close every quotation mark",
        ) from error
    if not words or not words[0]:
        raise InputError(
            "input 'entry-point' is required",
            hint="the command that starts the job, such as --entry-point 'python train.py'; "
            "or list jobs in launch.yaml",
        )
    for word in words:
        _check_inside(word)
        _check_text(word)
    return words


def script_of(entrypoint: tuple[str, ...], build_context: str) -> str:
    """The path, from the repository root, or module that names the job.

    >>> script_of(("torchrun", "--nproc", "2", "train.py"), "jobs/a")
    'jobs/a/train.py'
    >>> script_of(("python", "-m", "pkg.mod"), "jobs/a")
    'pkg.mod'
    """
    found = _named(entrypoint)
    if found.module:
        return found.module
    if found.script:
        return _from_root(found.script, build_context)
    first = entrypoint[0]
    return _from_root(first, build_context) if "/" in first else first


class _Named(NamedTuple):
    """What a command starts: a module, or a script; both empty when neither is seen."""

    module: str = ""
    script: str = ""


def _named(words: Sequence[str]) -> _Named:
    """The first script or module that the words name, past what only launches it."""
    runner = shell = False
    for at, word in enumerate(words):
        name = posixpath.basename(word)
        module = _MODULE_OPTION.fullmatch(word) if runner else None
        if module and (module[1] or words[at + 1 : at + 2]):
            return _of_module(module[1] or words[at + 1], words[at + (1 if module[1] else 2) :])
        if word.startswith("-"):
            if shell and _COMMAND_OPTION.fullmatch(word):
                return _of_text(words[at + 1 : at + 2])
            if runner and word == "-c":
                return _Named()
        elif _SCRIPT.fullmatch(word) and not _ASSIGNMENT.match(word):
            return _Named(script=word)
        else:
            runner = runner or _MODULE_RUNNERS.fullmatch(name) is not None
            shell = shell or name in _SHELLS
    return _Named()


def _of_module(module: str, rest: Sequence[str]) -> _Named:
    """A module that launches what its own arguments name is not the job."""
    if module not in _LAUNCHERS:
        return _Named(module=module)
    inner = _named(("python", *rest))
    return inner if inner.module or inner.script else _Named(module=module)


def _of_text(text: Sequence[str]) -> _Named:
    """Of a shell's `-c TEXT`."""
    try:
        return _named(shlex.split(text[0])) if text else _Named()
    except ValueError:
        return _Named()


def _from_root(word: str, build_context: str) -> str:
    if word.startswith("/"):
        return posixpath.normpath(word)
    return posixpath.normpath(posixpath.join(build_context or ".", word))


def _check_text(word: str) -> None:
    """Refuse what no image config can hold: JSON is Unicode, exec takes no NUL."""
    if "\0" in word or not is_unicode(word):
        raise InputError(
            f"entry point is not UTF-8 text: {word!r}", hint="give files it names another name"
        )


def _check_inside(word: str) -> None:
    """Refuse a path that leaves the build context; `..` inside a word is just a word."""
    path = not word.startswith(("-", "/")) and "://" not in word
    if path and posixpath.normpath(word).split("/")[0] == "..":
        raise InputError(
            f"entry point leaves the build context: {word!r}",
            hint="name files below the build context, or choose another --build-context",
        )
