"""Scripts of a distribution: made from entry points, or of its own with a new first line.

Source of the formats: PyPA specifications, "Entry points specification" and "Binary distribution
format", section "Recommended installer features".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from configparser import ConfigParser
from configparser import Error as ConfigError

from launch_action.core.dataclass import dataclass, replace

_SECTIONS = ("console_scripts", "gui_scripts")
_NAME = re.compile(r"[^\s/\\\0](?:[^/\\\0\r\n]*[^\s/\\\0])?")
_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_REFERENCE = re.compile(rf"(?P<module>{_DOTTED})\s*:\s*(?P<attribute>{_DOTTED})\s*(?:\[.*\])?")
_VERSIONED = re.compile(r"pip\d+\.\d+")
_PLACEHOLDER = b"#!python"


@dataclass(frozen=True, slots=True)
class Script:
    """A command that calls `attribute` (`main`, `Cli.run`) of a module."""

    name: str
    module: str
    attribute: str

    def content(self, interpreter: str) -> bytes:
        """The file in `bin`; the module is imported before anything of the name is looked up."""
        first = self.attribute.partition(".")[0]
        return (
            f"#!{interpreter}\n"
            "import sys\n"
            "\n"
            f"from {self.module} import {first}\n"
            "\n"
            'if __name__ == "__main__":\n'
            f"    sys.exit({self.attribute}())\n"
        ).encode()


def read_scripts(text: str) -> tuple[Script, ...]:
    """The console and GUI scripts of an entry_points.txt, sorted by name.

    On Linux both kinds are the same. Raises ValueError for a file that cannot be read, a name that
    is not a file's, or a reference that is not `module:attribute`.
    """
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except ConfigError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    found = {
        name: _script(name, value)
        for section in _SECTIONS
        if parser.has_section(section)
        for name, value in parser.items(section)
    }
    return tuple(found[name] for name in sorted(found))


def commands(scripts: Iterable[Script], *, distribution: str, python: str) -> tuple[Script, ...]:
    """The commands that a distribution's scripts come to under Python X.Y.

    That is the scripts, except for `pip` itself, whose installers give it a `pipX.Y` for the
    Python it is installed in, and none for the others that its wheel may name.
    """
    found = {script.name: script for script in scripts}
    if distribution == "pip" and "pip" in found:
        found = {name: one for name, one in found.items() if not _VERSIONED.fullmatch(name)}
        found[f"pip{python}"] = replace(found["pip"], name=f"pip{python}")
    return tuple(found[name] for name in sorted(found))


def is_placeholder(beginning: bytes) -> bool:
    """Whether a script of a wheel begins with the line that stands for the interpreter's."""
    return beginning.startswith(_PLACEHOLDER)


def rewrite(script: bytes, interpreter: str) -> bytes:
    """A script of a wheel with the interpreter in its first line, where that is `#!python`."""
    if not is_placeholder(script):
        return script
    _, _, rest = script.partition(b"\n")
    return b"#!" + interpreter.encode("utf-8", "surrogateescape") + b"\n" + rest


def rewrite_installed(script: bytes, wrote: str, interpreter: str) -> bytes:
    """A script that was installed with interpreter `wrote`, with `interpreter` instead.

    A path that is too long for a first line, or has a space in it, is written as a line for `sh`
    and one for Python around it; both spellings become one plain line.
    """
    path = re.escape(wrote.encode("utf-8", "surrogateescape"))
    plain = rb"#! *" + path + rb"(?:[ \t\r][^\n]*)?\n"
    shell = rb"#!/bin/sh\n'''exec' ['\"]?" + path + rb"['\"]? \"\$0\" \"\$@\"\n' '''\n"
    found = re.match(plain + rb"|" + shell, script)
    if not found:
        return script
    return b"#!" + interpreter.encode("utf-8", "surrogateescape") + b"\n" + script[found.end() :]


def _script(name: str, value: str) -> Script:
    reference = _REFERENCE.fullmatch(value.strip())
    if not reference or not _NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"not a script: {name!r} = {value!r}")
    return Script(name, reference["module"], reference["attribute"])
