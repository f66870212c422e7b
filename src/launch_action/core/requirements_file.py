"""Reads requirements files: what pip's requirements file format means, line by line.

Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/. Requirements are PEP 508.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterator
from typing import Literal
from urllib.parse import unquote, urlsplit

from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError

OptionName = Literal[
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "pre",
    "no-binary",
    "only-binary",
    "prefer-binary",
    "require-hashes",
    "trusted-host",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something is written: a file, relative to the build context, and a line from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a package by name.

    `text` is PEP 508 with `${VARIABLES}` as written. `url` is set for a direct URL. `hashes` are
    `algorithm:hex`; `exact` says that a hash could hold: one version, or one URL.
    """

    origin: Origin
    text: str
    name: str
    url: str = ""
    hashes: tuple[str, ...] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class LocalRequirement:
    """A wheel or directory of the context, required as a package; `suffix`: extras and marker."""

    origin: Origin
    path: str
    suffix: str = ""
    editable: bool = False
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """`-r FILE` or `-c FILE`, as written."""

    origin: Origin
    path: str
    constraint: bool


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the whole file; `value` is empty for flags."""

    origin: Origin
    name: OptionName
    value: str = ""


Entry = Requirement | LocalRequirement | Include | Option

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
_VCS = re.compile(r"(git|hg|svn|bzr)\+|git@|git://")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
_LOCAL = re.compile(r"(?P<path>[^;\[]+?)\s*(?P<extras>\[[^\]]*\])?\s*(?P<marker>;.*)?", re.DOTALL)
# The plain form of PEP 508, `name[extras] <specifiers>`, which most lines have. What matches is
# valid; what does not may be valid as well: the `packaging` library tells, slow to import.
_RELEASE = r"[0-9]+(?:\.[0-9]+)*"
_SUFFIX = r"(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"
_LOCAL_VERSION = r"(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*)?"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_SPECIFIER = (
    rf"(?:(?:==|!=)[ \t]*{_RELEASE}(?:\.\*|{_SUFFIX}{_LOCAL_VERSION})"
    rf"|(?:<=|>=|<|>)[ \t]*{_RELEASE}{_SUFFIX}"
    rf"|~=[ \t]*[0-9]+(?:\.[0-9]+)+{_SUFFIX})"
)
_PLAIN = re.compile(
    rf"(?P<name>{_NAME})[ \t]*(?:\[[ \t]*{_NAME}(?:[ \t]*,[ \t]*{_NAME})*[ \t]*\][ \t]*)?"
    rf"(?P<specifiers>{_SPECIFIER}(?:[ \t]*,[ \t]*{_SPECIFIER})*)?"
)
_EXACT = re.compile(r"==[^,*]*(?:,|$)")
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
    """The text of a requirements file: by byte order mark, by PEP 263 comment, else UTF-8."""
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "")
    if not encoding:
        coding = (_CODING.match(line) for line in content.splitlines()[:2])
        encoding = next((found[1].decode() for found in coding if found), "utf-8")
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError) as error:
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
    return [_read_requirement(body, _hashes(options, origin), origin)]


def _split_options(line: str) -> tuple[str, str]:
    """A requirement and the options behind it; a `-` inside a marker or URL is no option."""
    found = re.search(r"\s(?=-{1,2}[a-zA-Z])", line)
    return (line[: found.start()].rstrip(), line[found.end() :]) if found else (line, "")


def _words(text: str, origin: Origin) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _fault(origin, f"{error}: {text!r}") from None


def _read_options(line: str, origin: Origin) -> list[Entry]:
    words = _words(line, origin)
    found: list[Entry] = []
    while words:
        name, value = _option_name(words.pop(0))
        if name in _FLAGS and value is None:
            found.append(Option(origin, _FLAGS[name]))
            continue
        if name not in _VALUED and name not in _INCLUDES and name not in _EDITABLE:
            raise _fault(origin, f"unknown option {name!r} in {line!r}")
        if value is None:
            if not words:
                raise _fault(origin, f"no value for {name!r}")
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
        return _local(value, (), origin, editable=True)
    return Option(origin, _VALUED[name], value)


def _hashes(options: str, origin: Origin) -> tuple[str, ...]:
    words = _words(options, origin)
    found = []
    while words:
        name, value = _option_name(words.pop(0))
        if name in ("--config-settings", "--config-setting", "-C", "--global-option"):
            raise _fault(origin, f"{name} is for building from source, which is not done here")
        if name != "--hash":
            raise _fault(origin, f"unknown option {name!r}")
        value = value if value is not None else (words.pop(0) if words else "")
        if not _HASH.fullmatch(value):
            raise _fault(origin, f"not a hash: {value!r}", "write --hash=sha256:<64 hex digits>")
        found.append(value.lower())
    return tuple(found)


def _read_requirement(text: str, hashes: tuple[str, ...], origin: Origin) -> Entry:
    if _VCS.match(text) or re.search(r"@\s*(git|hg|svn|bzr)\+", text):
        raise _fault(
            origin,
            f"a version control requirement has no wheel: {without_credentials(text)!r}",
            "require a released version, or build with --builder buildkit and a Dockerfile",
        )
    if re.match(r"https?://", text):
        text = _named_url(text, origin)
    elif _is_path(text):
        return _local(text, hashes, origin)
    return _named(text, hashes, origin)


def _is_path(text: str) -> bool:
    first = re.split(r"\s*;|\s+@", text, maxsplit=1)[0].strip()
    bare = first.split("[")[0]
    return (
        first.startswith((".", "/", "~", "file:"))
        or ("/" in bare and "@" not in text)
        or bare.endswith(_ARCHIVES)
    )


def _named(text: str, hashes: tuple[str, ...], origin: Origin) -> Entry:
    plain = _PLAIN.fullmatch(text)
    if plain:
        name = re.sub(r"[-_.]+", "-", plain["name"]).lower()
        exact = bool(_EXACT.search(plain["specifiers"] or ""))
        return Requirement(origin, text, name, "", hashes, exact)
    return _parsed(text, hashes, origin)


def _parsed(text: str, hashes: tuple[str, ...], origin: Origin) -> Entry:
    """A requirement of any form, as the `packaging` library reads it."""
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Parsed
    from packaging.utils import canonicalize_name

    try:
        parsed = Parsed(text)
    except InvalidRequirement as error:
        detail = str(error).splitlines()[0]
        raise _fault(
            origin,
            f"not a requirement: {without_credentials(text)!r} ({detail[:1].lower()}{detail[1:]})",
        ) from None
    url = parsed.url or ""
    if url and not url.startswith(("http://", "https://")):
        suffix = (f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else "") + (
            f" ; {parsed.marker}" if parsed.marker else ""
        )
        return _local(url + suffix, hashes, origin)
    if url and not urlsplit(url).path.endswith(".whl"):
        raise _fault(
            origin,
            f"not the URL of a wheel: {without_credentials(url)!r}",
            "point at a .whl file, or build with --builder buildkit and a Dockerfile",
        )
    exact = bool(url) or any(
        one.operator in ("==", "===") and not one.version.endswith(".*") for one in parsed.specifier
    )
    return Requirement(origin, text, canonicalize_name(parsed.name), url, hashes, exact)


def _named_url(text: str, origin: Origin) -> str:
    """A URL alone as `name @ url`; only a wheel's file name tells the package's name."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    url, _, marker = text.partition(" ;")
    file = unquote(urlsplit(url.strip()).path.rpartition("/")[2])
    try:
        name = parse_wheel_filename(file)[0]
    except InvalidWheelFilename:
        raise _fault(
            origin,
            f"not the URL of a wheel: {without_credentials(url)!r}",
            "point at a .whl file, or build with --builder buildkit and a Dockerfile",
        ) from None
    return f"{name} @ {url.strip()}" + (f" ; {marker.strip()}" if marker else "")


def _local(
    text: str, hashes: tuple[str, ...], origin: Origin, *, editable: bool = False
) -> LocalRequirement:
    if _VCS.match(text) or "://" in text.removeprefix("file://"):
        raise _fault(
            origin,
            f"not a path of the build context: {without_credentials(text)!r}",
            "require a released version, or build with --builder buildkit and a Dockerfile",
        )
    found = _LOCAL.fullmatch(text.removeprefix("file://").removeprefix("file:"))
    if not found:
        raise _fault(origin, f"not a path: {text!r}")
    suffix = (found["extras"] or "") + (f" {found['marker']}" if found["marker"] else "")
    return LocalRequirement(origin, found["path"].strip(), suffix, editable, hashes)


def _fault(origin: Origin, what: str, hint: str = "correct that line") -> BuildError:
    return BuildError(f"{origin}: {what}", hint=hint)
