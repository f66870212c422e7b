"""Docker's ignore rules: which files of a build context stay out of the image.

The rules: Docker's documentation, "Build context", section ".dockerignore files"; the syntax of
a pattern is that of Go's `path/filepath.Match` with `**` added. Where the classic builder and
BuildKit differ, the documented rule holds: the last line that matches a file, or a directory
above it, decides.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator

from launch_action.core.context import TreeFile, sort_key
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

# Go's unicode.IsSpace; Python's str.strip would also take U+001C to U+001F.
_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_GIT = re.compile(r"(?:\A|/)\.git(?:/|\Z)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: an expression for the paths it names, and whether it takes them back in (`!`)."""

    expression: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of one ignore file, ready to be asked.

    `_steps` are the rules from the last to the first, neighbours of the same sign in one
    expression; the first step that matches decides.
    """

    rules: tuple[Rule, ...]
    _steps: tuple[tuple[re.Pattern[str], bool], ...]

    @classmethod
    def parse(cls, text: str) -> Ignore:
        """Read an ignore file. Raises InputError for a malformed pattern, as Docker does."""
        rules = tuple(_rules(text))
        groups: list[tuple[list[str], bool]] = []
        for rule in reversed(rules):
            if not groups or groups[-1][1] != rule.negated:
                groups.append(([], rule.negated))
            groups[-1][0].append(rule.expression)
        # `$` would also match before a final newline, which a path may end with.
        steps = ((re.compile(f"(?:{'|'.join(g)})(?:/|\\Z)", re.DOTALL), n) for g, n in groups)
        return cls(rules, tuple(steps))

    def matches(self, path: str) -> bool:
        """Whether the file at `path` (relative to the context) is ignored."""
        for expression, negated in self._steps:
            if expression.match(path):
                return not negated
        return False

    def prunes(self, directory: str) -> bool:
        """Whether everything below a directory is ignored for certain, so it need not be read."""
        return self.matches(directory) and not any(rule.negated for rule in self.rules)


def select(files: tuple[TreeFile, ...], ignore_text: str | None) -> tuple[TreeFile, ...]:
    """The files that go into the image: without anything called `.git`, without what is ignored."""
    kept = tuple(f for f in files if ".git" not in f.path or not _GIT.search(f.path))
    if not ignore_text:
        return kept
    matches = Ignore.parse(ignore_text).matches
    return tuple(f for f in kept if not matches(f.path))


def context_digest(files: Iterable[TreeFile]) -> str:
    """64 hexadecimal digits that depend on every file's path, kind and content, and on no order."""
    ordered = sorted(files, key=lambda f: sort_key(f.path))
    # A path cannot hold a NUL, so the fields cannot run into one another.
    text = "".join(f"{f.kind}\0{f.content}\0{f.path}\0" for f in ordered)
    return hashlib.sha256(sort_key(text)).hexdigest()


def _rules(text: str) -> Iterator[Rule]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        # Docker looks for `#` before it trims: an indented one is no comment.
        if line.startswith("#") or not (pattern := _clean(line)):
            continue
        negated = pattern.startswith("!")
        expression = _expression(pattern[negated:])
        if not expression:
            raise InputError(
                f"malformed pattern {line.strip(_SPACES)!r} in line {number} of the ignore file",
                hint="see https://docs.docker.com/build/concepts/context/#syntax",
            )
        yield Rule(expression, negated)


def _clean(line: str) -> str:
    """A line's pattern in its shortest spelling, relative to the context; `!` stays in front.

    Docker trims and cleans twice, when it reads the file and when it makes the matcher.
    """
    pattern = line.strip(_SPACES)
    negated = pattern.startswith("!")
    pattern = _shortest(pattern[negated:].strip(_SPACES))
    if len(pattern) > 1 and pattern.startswith("/"):
        pattern = pattern[1:]
    return _shortest(("!" * negated + pattern).strip(_SPACES))


def _shortest(pattern: str) -> str:
    """Go's filepath.Clean; posixpath keeps two leading slashes apart from one."""
    return re.sub(r"\A//+", "/", posixpath.normpath(pattern)) if pattern else ""


# filepath.Match: '[' [ '^' ] { character-range } ']', at least one range; `-` and `]` are escaped.
_CHARACTER = r"(?:\\.|[^\\\]\-])"
_SET = rf"\[\^?(?:{_CHARACTER}(?:-{_CHARACTER})?)+\]"
_RANGE = re.compile(rf"({_CHARACTER})(?:-({_CHARACTER}))?", re.DOTALL)
_TOKEN = re.compile(
    rf"(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)|(?P<set>{_SET})|\\(?P<escaped>.)|(?P<plain>[^\\\[])",
    re.DOTALL,
)
_DEEP, _STAR, _ONE = "(?:.*/)?", "[^/]*", "[^/]"
_SUFFIX = re.compile(r"\*\*([^/*?\[\]\\][^*?\[\]\\]*)")


def _expression(pattern: str) -> str | None:
    """A regular expression for whole paths, None when the pattern is malformed."""
    if plain_suffix := _SUFFIX.fullmatch(pattern):
        # `**.pyc`: undocumented, but it is what Docker does and what people write.
        return ".*" + re.escape(plain_suffix[1])
    pieces: list[str] = []
    end = 0
    while end < len(pattern):
        token = _TOKEN.match(pattern, end)
        if token is None or (piece := _piece(token)) is None:
            return None
        end = token.end()
        _append(pieces, piece)
    return "".join(pieces)


def _append(pieces: list[str], piece: str) -> None:
    """Add a piece, and take back what could only multiply the ways to fail.

    `**/**/` says no more than `**/`. In `*a*` the first `a` that is found is as good as any later
    one, as long as no `/` lies between: trying the others would make `*a*a*a*a*b` explode.
    """
    if piece == _DEEP and pieces and pieces[-1] == _DEEP:
        return
    if piece == _STAR:
        for start in range(len(pieces) - 1, -1, -1):
            if pieces[start] == _STAR:
                run = "".join(pieces[start + 1 :])
                pieces[start:] = [f"(?>[^/]*?{run})"]
                break
            if pieces[start] != _ONE and ("/" in pieces[start] or pieces[start].startswith("[")):
                break
    pieces.append(piece)


def _piece(token: re.Match[str]) -> str | None:
    match token.lastgroup:
        case "deep":
            return ".*" if token.end() == len(token.string) else _DEEP
        case "star":
            return _STAR
        case "one":
            return _ONE
        case "set":
            return _character_set(token[0])
        case _:
            return re.escape(token["escaped"] or token["plain"])


def _character_set(text: str) -> str | None:
    """A class of filepath.Match. Like there, it matches `/` too when it says so or is negated."""
    negated = text.startswith("[^")
    ranges = []
    for first, last in _RANGE.findall(text[2 if negated else 1 : -1]):
        low, high = first[-1], (last or first)[-1]
        if low > high:
            return None
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"[{'^' if negated else ''}{''.join(ranges)}]"
