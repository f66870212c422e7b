"""Which files of a tree have `filter=lfs`, from the tree's own .gitattributes.

Source: gitattributes(5), gitignore(5) for the patterns. Only what is committed counts: the
configuration and `.git/info/attributes` of one machine must not change what a commit builds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from launch_action.core.dataclass import dataclass, field
from launch_action.git.command import text

NAME = ".gitattributes"
_TOKEN = re.compile(
    r"(?P<deep_first>\A\*\*/)|(?P<deep>/\*\*/)|(?P<deep_last>/\*\*\Z)|(?P<star>\*+)|(?P<one>\?)"
    r"|(?P<set>\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\])|\\(?P<escaped>.)|(?P<plain>.)",
    re.DOTALL,
)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"(.*)', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class LfsFiles:
    """Says of a path, from the root of its repository, whether LFS keeps its content."""

    _rules: tuple[tuple[re.Pattern[str], bool], ...] = field(default=())

    @classmethod
    def parse(cls, attributes: Mapping[str, bytes]) -> LfsFiles:
        """Read .gitattributes files by their directory (`""`: the root), nearer ones winning."""
        rules: list[tuple[re.Pattern[str], bool]] = []
        macros: dict[str, bool] = {}
        for directory in sorted(attributes, key=lambda name: (name != "", name.count("/"), name)):
            for line in text(attributes[directory]).removeprefix("\ufeff").split("\n"):
                rules += _rule(directory, line.strip(), macros)
        return cls(tuple(reversed(rules)) if any(kept for _, kept in rules) else ())

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __contains__(self, path: str) -> bool:
        return next((kept for pattern, kept in self._rules if pattern.fullmatch(path)), False)


def _rule(
    directory: str, line: str, macros: dict[str, bool]
) -> Iterable[tuple[re.Pattern[str], bool]]:
    if not line or line.startswith("#"):
        return ()
    pattern, words = _split(line)
    setting = _filter(words, macros)
    if pattern.startswith("[attr]"):
        if setting is not None and not directory:
            macros[pattern.removeprefix("[attr]")] = setting
        return ()
    # Git forbids negated patterns, and a pattern for directories matches no file.
    if setting is None or pattern.startswith("!") or pattern.endswith("/"):
        return ()
    try:
        return ((_expression(directory, pattern), setting),)
    except re.error:  # an inverted range such as `[z-a]`
        return ()


def _split(line: str) -> tuple[str, list[str]]:
    """The pattern, unquoted, and the attributes."""
    if quoted := _QUOTED.fullmatch(line):
        return _unquoted(quoted[1]), quoted[2].split()
    words = line.split()
    return words[0], words[1:]


def _unquoted(inner: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if len(found[1]) == 3:
            return text(bytes([int(found[1], 8) & 0xFF]))
        return _ESCAPES.get(found[1], found[1])

    decoded = re.sub(r"\\([0-7]{3}|.)", plain, inner, flags=re.DOTALL)
    return text(decoded.encode("utf-8", "surrogateescape"))


def _filter(words: list[str], macros: Mapping[str, bool]) -> bool | None:
    """What the attributes say of LFS: yes, no, or nothing."""
    said: bool | None = None
    for word in words:
        if word.startswith("filter="):
            said = word == "filter=lfs"
        elif word.lstrip("-!") == "filter":
            said = False
        elif word in macros:
            said = macros[word]
    return said


def _expression(directory: str, pattern: str) -> re.Pattern[str]:
    """A pattern with a slash counts from its file's directory, one without at any depth."""
    anchored = "/" in pattern
    inner = "".join(_piece(token) for token in _TOKEN.finditer(pattern.removeprefix("/")))
    below = re.escape(f"{directory}/") if directory else ""
    return re.compile(below + ("" if anchored else "(?:.*/)?") + inner, re.DOTALL)


def _piece(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "deep_first":
            return "(?:.*/)?"
        case "deep":
            return "/(?:.*/)?"
        case "deep_last":
            return "/.*"
        case "star":
            return "[^/]*"
        case "one":
            return "[^/]"
        case "set":
            inner = token[0][1:-1]
            negated = inner[:1] in ("!", "^")
            return f"(?!/)[{'^' * negated}{_set(inner[negated:])}]"
        case _:
            return re.escape(token["escaped"] or token["plain"])


# `git lfs track` writes a space as [[:space:]].
_CLASSES = {
    "space": r"\s", "digit": "0-9", "alpha": "A-Za-z", "alnum": "0-9A-Za-z", "lower": "a-z",
    "upper": "A-Z", "xdigit": "0-9A-Fa-f", "blank": r"\ \t", "word": r"\w",
    "punct": r"!-/:-@\[-`{-~", "cntrl": r"\x00-\x1f\x7f", "graph": "!-~", "print": r"\ -~",
}  # fmt: skip


def _set(inner: str) -> str:
    def piece(found: re.Match[str]) -> str:
        return _CLASSES.get(found[1], "") if found[1] else re.escape(found[2] or found[3])

    return re.sub(r"\[:([a-z]+):\]|\\(.)|([\[\]&~|^])", piece, inner, flags=re.DOTALL)
