"""Reads one requirement: by name, by URL, of a git repository, or a path of the build context.

Format: PEP 508, and pip's forms that are more than that (`-e`, a URL or a path alone).
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from launch_action.core.credentials import without_credentials
from launch_action.core.python_name import normal
from launch_action.core.requirement import (
    Entry,
    LocalRequirement,
    Origin,
    Requirement,
    fault,
)
from launch_action.core.vcs import is_vcs, read_git_url

ARCHIVES = (".whl", ".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
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


def read_requirement(
    text: str, hashes: tuple[str, ...], origin: Origin, *, editable: bool = False
) -> Entry:
    """A requirement of any form. Raises BuildError with `file:line` and the text."""
    name, at, url = text.partition("@")
    if is_vcs(text):
        return _repository("", text, hashes, origin, editable=editable)
    if at and is_vcs(url.strip()):
        return _repository(name.strip(), url.strip(), hashes, origin, editable=editable)
    if not editable and re.match(r"https?://", text):
        return _bare_url(text, hashes, origin)
    if editable or _is_path(text):
        return _local(text, hashes, origin, editable=editable)
    return _named(text, hashes, origin)


def _repository(
    name: str, text: str, hashes: tuple[str, ...], origin: Origin, *, editable: bool
) -> Requirement:
    url, marker = _split_marker(text)
    source = read_git_url(url)
    if source is None:
        raise fault(
            origin,
            f"not a git repository that can be fetched: {without_credentials(url)!r}",
            "write git+https://HOST/PATH@REVISION or git+ssh://git@HOST/PATH@REVISION",
        )
    wanted = name or f"{source.name}{source.extras}"
    direct = f"{wanted} @ {source.requirement()}" if wanted else source.requirement()
    return Requirement(
        origin,
        direct + marker,
        normal(wanted.partition("[")[0].strip()),
        source.requirement(),
        hashes,
        exact=source.fixed,
        git=source,
        editable=editable,
    )


def _split_marker(text: str) -> tuple[str, str]:
    """A URL, and the marker behind it with its semicolon; in a URL a semicolon has no space."""
    url, *rest = re.split(r"\s+;\s*", text, maxsplit=1)
    return url.strip(), f" ; {rest[0]}" if rest else ""


def _is_path(text: str) -> bool:
    first = re.split(r"\s*;|\s+@", text, maxsplit=1)[0].strip()
    bare = first.split("[")[0]
    return (
        first.startswith((".", "/", "~", "file:"))
        or ("/" in bare and "@" not in text)
        or bare.endswith(ARCHIVES)
    )


def _named(text: str, hashes: tuple[str, ...], origin: Origin) -> Entry:
    plain = _PLAIN.fullmatch(text)
    if plain:
        name = normal(plain["name"])
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
    except (InvalidRequirement, RecursionError) as error:
        detail = str(error).splitlines()[0]
        shown = f"{without_credentials(text)[:500]!r} ({detail[:1].lower()}{detail[1:]})"
        raise fault(origin, f"not a requirement: {shown}") from None
    url = parsed.url or ""
    if url and not url.startswith(("http://", "https://")):
        suffix = (f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else "") + (
            f" ; {parsed.marker}" if parsed.marker else ""
        )
        return _local(url + suffix, hashes, origin)
    exact = bool(url) or any(
        one.operator in ("==", "===") and not one.version.endswith(".*") for one in parsed.specifier
    )
    return Requirement(origin, text, canonicalize_name(parsed.name), url, hashes, exact)


def _bare_url(text: str, hashes: tuple[str, ...], origin: Origin) -> Entry:
    """A URL alone, as `name @ url` where the file's name tells the package's."""
    url, marker = _split_marker(text)
    name = _name_of_file(url, origin)
    if name:
        return _named(f"{name} @ {url}{marker}", hashes, origin)
    return Requirement(origin, f"{url}{marker}", "", url, hashes, exact=True)


def _name_of_file(url: str, origin: Origin) -> str:
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        parts = urlsplit(url)
    except ValueError:
        raise fault(origin, f"not a URL: {without_credentials(url)!r}") from None
    egg = re.search(r"(?:^|&)egg=([A-Za-z0-9][A-Za-z0-9._-]*)", parts.fragment)
    if egg:
        return egg[1]
    file = unquote(parts.path.rpartition("/")[2])
    try:
        is_wheel = file.endswith(".whl")
        return str(parse_wheel_filename(file)[0] if is_wheel else parse_sdist_filename(file)[0])
    except (InvalidSdistFilename, InvalidWheelFilename):
        return ""


def _local(
    text: str, hashes: tuple[str, ...], origin: Origin, *, editable: bool = False
) -> LocalRequirement:
    if "://" in text.removeprefix("file://"):
        raise fault(
            origin,
            f"not a path of the build context: {without_credentials(text)!r}",
            "write a path, or git+https://HOST/PATH@REVISION",
        )
    found = _LOCAL.fullmatch(text.removeprefix("file://").removeprefix("file:"))
    if not found:
        raise fault(origin, f"not a path: {text!r}")
    suffix = (found["extras"] or "") + (f" {found['marker']}" if found["marker"] else "")
    return LocalRequirement(origin, found["path"].strip(), suffix, editable, hashes)
