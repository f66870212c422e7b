"""Reads of a Dockerfile what must be known before BuildKit reads it: the images it stands on.

Source: the Dockerfile reference (docs.docker.com/reference/dockerfile), sections "Format",
"Parser directives", "Environment replacement", "Here-documents", "FROM". BuildKit has the last
word: what is not understood here is left to it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from launch_action.core.dataclass import dataclass, field

_DIRECTIVE = re.compile(r"#\s*([A-Za-z]+)\s*=\s*(.*?)\s*")
_WORD = re.compile(r"\s*([A-Za-z]+)(?:\s+|\Z)(.*)", re.DOTALL)
_HEREDOC = re.compile(r"<<(-?)\s*(?:\"([^\"<]+)\"|'([^'<]+)'|([A-Za-z_][\w.-]*))")
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s*")
_VARIABLE = re.compile(
    r"\\(?P<escaped>.)|\$(?:(?P<bare>\w+)|\{(?P<name>\w+)(?:(?P<how>:?[-+])(?P<word>[^}]*))?\})"
)
SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name in capitals, the rest in one piece."""

    name: str
    rest: str


@dataclass(slots=True)
class _Stage:
    """A build stage: what `FROM` names, and every other stage or image that it takes files from."""

    image: str
    alias: str = ""
    sources: list[str] = field(default_factory=list)


def base_images(text: str, build_args: Mapping[str, str], target: str = "") -> tuple[str, ...]:
    """The images that building the target (empty: the last stage) reads, as they are written.

    In order of appearance, each once; variables are replaced by the defaults of `ARG` before the
    first `FROM` and by `build_args`. A target that is not there gives the images of all stages.

    >>> base_images("ARG V=3.12\\nFROM python:$V AS a\\nFROM scratch\\nCOPY --from=a / /", {})
    ('python:3.12',)
    """
    stages = _stages(text, build_args)
    names = {stage.alias.lower(): at for at, stage in enumerate(stages) if stage.alias}
    needed = _needed(stages, names, target)
    found: dict[str, None] = {}
    for at in sorted(needed):
        for source in (stages[at].image, *stages[at].sources):
            inside = _stage_index(source, names, at, len(stages)) is not None
            if source and not inside and source.lower() != SCRATCH:
                found[source] = None
    return tuple(found)


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions in order: lines joined, comments and the bodies of here-documents left out.

    A comment between joined lines is dropped, as in Docker.
    """
    return (one for _, one in numbered_instructions(text))


def numbered_instructions(text: str) -> Iterator[tuple[int, Instruction]]:
    """Each instruction with the line that it begins at, from 1."""
    # Only these end a line there: a form feed in a comment begins no instruction.
    lines = re.split(r"\r?\n", text.removeprefix("\ufeff"))
    joint = re.compile(rf"{re.escape(_escape(lines))}[ \t]*\Z")
    at = 0
    while at < len(lines):
        logical, first = "", 0
        while at < len(lines):
            line, at = lines[at], at + 1
            if line.lstrip().startswith("#") or (logical and not line.strip()):
                continue
            first = first or at
            logical += joint.sub("", line)
            if not joint.search(line):
                break
        found = _WORD.fullmatch(logical)
        if found:
            name = found[1].upper()
            yield first, Instruction(name, found[2].strip())
            at = _after_heredocs(lines, at, found[2]) if name in _WITH_HEREDOCS else at


def _escape(lines: list[str]) -> str:
    """The character that joins lines: a backslash, or what the directive at the top says."""
    for line in lines:
        found = _DIRECTIVE.fullmatch(line.strip())
        if not found:
            break
        if found[1].lower() == "escape" and found[2] in ("\\", "`"):
            return found[2]
    return "\\"


def _after_heredocs(lines: list[str], at: int, rest: str) -> int:
    """The line after the here-documents that an instruction opens; `at` where one never ends."""
    place = at
    for found in _HEREDOC.finditer(rest):
        end = found[2] or found[3] or found[4]
        strip = "\t" if found[1] else ""
        closing = (n for n in range(place, len(lines)) if lines[n].lstrip(strip) == end)
        number = next(closing, None)
        if number is None:
            return at
        place = number + 1
    return place


def _stages(text: str, build_args: Mapping[str, str]) -> list[_Stage]:
    stages: list[_Stage] = []
    values: dict[str, str] = {}
    for one in instructions(text):
        if one.name == "FROM":
            stages.append(_stage(one.rest, values))
        elif one.name == "ARG" and not stages:
            values |= _arguments(one.rest, values, build_args)
        elif stages:
            stages[-1].sources += _sources(one)
    return stages


def _stage(rest: str, values: Mapping[str, str]) -> _Stage:
    flags, rest = _flags(rest)
    del flags  # the platform changes nothing about what is named
    words = rest.split()
    image = expand(words[0], values) if words else ""
    named = len(words) >= 3 and words[1].lower() == "as"
    return _Stage(image, words[2] if named else "")


def _sources(one: Instruction) -> Iterator[str]:
    """What an instruction of a stage takes files from: `COPY --from`, `RUN --mount=...,from=`."""
    flags, _ = _flags(one.rest)
    for name, value in flags:
        if name == "from" and one.name in ("COPY", "ADD"):
            yield value
        elif name == "mount" and one.name == "RUN":
            options = (option.partition("=") for option in value.split(","))
            yield from (what for key, _, what in options if key.lower() == "from")


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    """The `--name=value` words that an instruction begins with, and what follows them."""
    flags = []
    while found := _FLAG.match(rest):
        flags.append((found[1], found[2] or ""))
        rest = rest[found.end() :]
    return flags, rest


def _arguments(
    rest: str, values: Mapping[str, str], build_args: Mapping[str, str]
) -> dict[str, str]:
    found = {}
    for word in _words(rest):
        name, equals, default = word.partition("=")
        if name in build_args:
            found[name] = build_args[name]
        elif equals:
            found[name] = expand(default, {**values, **found})
    return found


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$name`, `${name}`, `${name:-word}` and `${name:+word}`; unknown names are empty.

    >>> expand("python:${V:-3.12}-$KIND", {"KIND": "slim"})
    'python:3.12-slim'
    """

    def value(found: re.Match[str]) -> str:
        if found["escaped"]:
            return found["escaped"]
        name = found["bare"] or found["name"]
        known = values.get(name)
        how, word = found["how"] or "", found["word"] or ""
        there = bool(known) if how.startswith(":") else known is not None
        if how.endswith("-") and not there:
            return expand(word, values)
        if how.endswith("+"):
            return expand(word, values) if there else ""
        return known or ""

    return _VARIABLE.sub(value, text.strip("\"'"))


def _needed(stages: list[_Stage], names: Mapping[str, int], target: str) -> set[int]:
    """The stages that the target is made of; all of them where there is no such target."""
    first = len(stages) - 1
    if target:
        found = _stage_index(target, names, len(stages), len(stages))
        if found is None:
            return set(range(len(stages)))
        first = found
    needed: set[int] = set()
    waiting = [first] if stages else []
    while waiting:
        at = waiting.pop()
        if at in needed:
            continue
        needed.add(at)
        for source in (stages[at].image, *stages[at].sources):
            index = _stage_index(source, names, at, len(stages))
            waiting += [] if index is None else [index]
    return needed


def _stage_index(name: str, names: Mapping[str, int], before: int, count: int) -> int | None:
    """The stage that a name or number means to a stage; only earlier ones can be named."""
    index = names.get(name.lower())
    if index is None and name.isdecimal() and int(name) < count:
        index = int(name)
    return index if index is not None and index < before else None
