"""Make an unpacked virtual environment work where it lies, with an interpreter of this machine.

Source: PEP 405 (pyvenv.cfg). RECORD files are not rewritten: nothing is uninstalled in a run.
"""

from __future__ import annotations

import re
from pathlib import Path

from launch_action.runners.interpreter import Interpreter

# Linux reads 127 bytes of a first line, older kernels silently cut it there.
_SHEBANG_LIMIT = 127


def relocate(venv: Path, origin: str, interpreter: Interpreter) -> None:
    """Point the environment that was made for `origin` at `interpreter`; made when it is missing.

    Files are replaced, never written into: they may be shared with the cache.
    """
    programs = venv / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    _replace(venv / "pyvenv.cfg", _configuration(interpreter))
    _link(programs / f"python{interpreter.minor}", str(interpreter.executable))
    for name in ("python3", "python"):
        _link(programs / name, f"python{interpreter.minor}")
    for program in sorted(programs.iterdir()):
        if not program.is_symlink() and program.is_file():
            _relocate_script(program, origin, venv)


def relocated(script: bytes, origin: str, venv: str) -> bytes:
    """A script whose first line names a Python of `origin`, made to name that of `venv`.

    A path that a first line cannot hold is reached through `sh`; to Python that line is a string.
    """
    pattern = rb"#![ \t]*" + re.escape(origin.encode()) + rb"/bin/(python[0-9.]*)[ \t]*([^\r\n]*)"
    found = re.match(pattern, script)
    if not found:
        return script
    name, options, rest = found[1], found[2].strip(), script[found.end() :]
    program = venv.encode("utf-8", "surrogateescape") + b"/bin/" + name
    line = b"#!" + program + (b" " + options if options else b"")
    if len(line) <= _SHEBANG_LIMIT and not re.search(rb"\s", program):
        return line + rest
    quoted = b'"' + re.sub(rb'(["\\$`])', rb"\\\1", program) + b'"'
    start = b"'''exec' " + quoted + (b" " + options if options else b"") + b' "$0" "$@"\n'
    return b"#!/bin/sh\n" + start + b"' '''" + rest


def _relocate_script(program: Path, origin: str, venv: Path) -> None:
    with program.open("rb") as file:
        script = file.read(2)
        if script == b"#!":
            script += file.read()
    moved = relocated(script, origin, str(venv))
    if moved != script:
        _replace(program, moved, mode=program.stat().st_mode & 0o777)


def _configuration(interpreter: Interpreter) -> bytes:
    home = str(interpreter.executable.parent)
    text = f"home = {home}\ninclude-system-site-packages = false\nversion = {interpreter.version}\n"
    return text.encode("utf-8", "surrogateescape")


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
