"""Reads requirements files: what pip's requirements file format means, line by line.

Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/. Requirements are PEP 508.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterator

from launch_action.core.errors import BuildError
from launch_action.core.requirement import Entry, Include, Option, OptionName, Origin, fault
from launch_action.core.requirement_line import read_requirement

_VALUED: dict[str, OptionName] = {
    "-i": "index-url",
    "--index-url": "index-url",
    "--pypi-url": "index-url",
    "--extra-index-url": "extra-index-url",
    "-f": "find-links",
    "--find-links": "find-links",
    "--no-binary": "no-binary",
    "--only-binary": "only-binary",
    "--trusted-host": "trusted-host",
}
_FLAGS: dict[str, OptionName] = {
    "--no-index": "no-index",
    "--pre": "pre",
    "--prefer-binary": "prefer-binary",
    "--require-hashes": "require-hashes",
}
_INCLUDES = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}
_EDITABLE = ("-e", "--editable")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_HASH = re.compile(r"(sha256|sha384|sha512):([0-9a-fA-F]+)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_requirements(content: bytes, file: str) -> tuple[Entry, ...]:
    """The entries of one file, in order. Raises BuildError with `file:line` and the text."""
    found: list[Entry] = []
    for number, line in _logical_lines(decode(content, file)):
        found += _read_line(line, Origin(file, number))
    return tuple(found)


def variables(content: bytes, file: str) -> tuple[str, ...]:
    """The names of the environment variables that a file refers to as `${NAME}`, sorted."""
    lines = _logical_lines(decode(content, file))
    return tuple(sorted({name for _, line in lines for name in _VARIABLE.findall(line)}))


def decode(content: bytes, file: str) -> str:
    """The text of a requirements file: by byte order mark, by PEP 263 comment, else UTF-8.

    Raises BuildError for what is no text in that encoding, or in one that Python does not know.
    """
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "")
    if not encoding:
        coding = (_CODING.match(line) for line in content.splitlines()[:2])
        encoding = next((found[1].decode() for found in coding if found), "utf-8")
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except (UnicodeError, LookupError) as error:
        raise BuildError(f"{file}: not text: {error}", hint="save the file as UTF-8") from None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined and comments gone, each with the number it begins at."""
    joined = ""
    begin = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        begin = begin or number
        # A comment ends a continuation, as in pip: its own backslash continues nothing.
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line[:-1]
            continue
        whole = _COMMENT.sub("", f"{joined}{line}").strip()
        if whole:
            yield begin, whole
        joined, begin = "", 0


def _read_line(line: str, origin: Origin) -> list[Entry]:
    if line.startswith("-"):
        return _read_options(line, origin)
    body, options = _split_options(line)
    return [read_requirement(body, _hashes(options, origin), origin)]


def _split_options(line: str) -> tuple[str, str]:
    """A requirement and the options behind it; a `-` inside a marker or URL is no option."""
    found = re.search(r"\s(?=-{1,2}[a-zA-Z])", line)
    return (line[: found.start()].rstrip(), line[found.end() :]) if found else (line, "")


def _words(text: str, origin: Origin) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise fault(origin, f"{error}: {text!r}") from None


def _read_options(line: str, origin: Origin) -> list[Entry]:
    words = _words(line, origin)
    found: list[Entry] = []
    while words:
        name, value = _option_name(words.pop(0))
        if name in _FLAGS and value is None:
            found.append(Option(origin, _FLAGS[name]))
            continue
        if name not in _VALUED and name not in _INCLUDES and name not in _EDITABLE:
            raise fault(origin, f"unknown option {name!r} in {line!r}")
        if value is None:
            if not words:
                raise fault(origin, f"no value for {name!r}")
            value = words.pop(0)
        found.append(_valued(name, value, origin))
    return found


def _option_name(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:].removeprefix("=") or None


def _valued(name: str, value: str, origin: Origin) -> Entry:
    if name in _INCLUDES:
        return Include(origin, value, _INCLUDES[name])
    if name in _EDITABLE:
        return read_requirement(value, (), origin, editable=True)
    return Option(origin, _VALUED[name], value)


def _hashes(options: str, origin: Origin) -> tuple[str, ...]:
    words = _words(options, origin)
    found = []
    while words:
        name, value = _option_name(words.pop(0))
        if name in ("--config-settings", "--config-setting", "-C", "--global-option"):
            raise fault(origin, f"{name} is not followed: a build has no options here")
        if name != "--hash":
            raise fault(origin, f"unknown option {name!r}")
        value = value if value is not None else (words.pop(0) if words else "")
        if not _HASH.fullmatch(value):
            raise fault(origin, f"not a hash: {value!r}", "write --hash=sha256:<64 hex digits>")
        found.append(value.lower())
    return tuple(found)
