"""Entry points: split as a shell splits words, and the script in them that names the job."""

from __future__ import annotations

import posixpath
import re
import shlex

from launch_action.core.errors import InputError

_SCRIPT = re.compile(r".+\.(?:py|pyw|pyz|sh|bash|ipynb|R|jl|rb|pl|js|ts|lua)", re.DOTALL)
# Programs whose `-m NAME` runs a Python module.
_MODULE_RUNNERS = re.compile(
    r"(?:python[0-9.]*|torchrun|accelerate|deepspeed|coverage|debugpy|pdb|horovodrun)"
)


def parse_entrypoint(text: str) -> tuple[str, ...]:
    """Split a command as a POSIX shell splits words, quoting kept. Raises InputError.

    >>> parse_entrypoint("python train.py --name 'a b'")
    ('python', 'train.py', '--name', 'a b')
    """
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
            hint="the command that starts the job, such as --entry-point 'python train.py'",
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
    module = _module(entrypoint)
    if module:
        return module
    for word in entrypoint:
        if _SCRIPT.fullmatch(word) and not word.startswith("-"):
            return _from_root(word, build_context)
    first = entrypoint[0]
    return _from_root(first, build_context) if "/" in first else first


def _module(entrypoint: tuple[str, ...]) -> str:
    """The module of the first `-m`, when only options stand between it and a module runner."""
    for at, word in enumerate(entrypoint[:-1]):
        runners = [w for w in entrypoint[:at] if _MODULE_RUNNERS.fullmatch(posixpath.basename(w))]
        scripts = [w for w in entrypoint[:at] if _SCRIPT.fullmatch(w)]
        if word == "-m" and runners and not scripts:
            return entrypoint[at + 1]
    return ""


def _from_root(word: str, build_context: str) -> str:
    if word.startswith("/"):
        return posixpath.normpath(word)
    return posixpath.normpath(posixpath.join(build_context or ".", word))


def _check_text(word: str) -> None:
    """Refuse what no image config can hold: JSON is Unicode, exec takes no NUL."""
    if "\0" in word or any("\ud800" <= character <= "\udfff" for character in word):
        raise InputError(
            f"entry point is not UTF-8 text: {word!r}", hint="give files it names another name"
        )


def _check_inside(word: str) -> None:
    """Refuse a path that leaves the build context; `..` inside a word is just a word."""
    if not word.startswith(("-", "/")) and posixpath.normpath(word).split("/")[0] == "..":
        raise InputError(
            f"entry point leaves the build context: {word!r}",
            hint="name files below the build context, or choose another --build-context",
        )
