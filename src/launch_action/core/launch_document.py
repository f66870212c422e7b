"""The text of launch.yaml, or of `[tool.launch-action]`, as a tree whose parts know their lines.

It is of a commit, so of anybody: it is data, bounded in size, depth and parts, and what an alias of
YAML names counts wherever it is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any, Literal

import yaml

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.plain_yaml import YamlError, compose_yaml

# Bytes, depth, and parts of a document.
SIZE_LIMIT = 256 * 1024
_DEPTH_LIMIT = 24
_PARTS_LIMIT = 20_000

Kind = Literal["text", "number", "boolean", "null"]
_KINDS: Mapping[str, Kind] = {
    "str": "text", "int": "number", "float": "number", "bool": "boolean", "null": "null",
}  # fmt: skip
_TAG = "tag:yaml.org,2002:"
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_.\s-]|"[^"]*"|'[^']*')+?)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `text` is as it is written, empty where that is not known (a float of TOML)."""

    text: str
    kind: Kind
    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A name with its value; `line` is the name's."""

    name: str
    line: int
    node: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in which every name is there once."""

    entries: tuple[Entry, ...]
    line: int

    def get(self, name: str) -> Entry | None:
        """The entry of this name."""
        return next((one for one in self.entries if one.name == name), None)


Node = Scalar | Items | Table


def plain(node: Node) -> Any:
    """The value as JSON has it."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(one) for one in node.items]
        case Table():
            return {one.name: plain(one.node) for one in node.entries}


def fault(file: str, line: int, what: str, hint: str) -> InputError:
    """The error at a line of the file; 0 where that is not known."""
    return InputError(f"{file}:{line}: {what}" if line else f"{file}: {what}", hint=hint)


def decoded(content: bytes, file: str) -> str:
    """The text of a file. Raises InputError for a large one, and for what is not UTF-8."""
    if len(content) > SIZE_LIMIT:
        raise fault(
            file, 0, f"{len(content)} bytes", f"it may have {SIZE_LIMIT} bytes; list fewer jobs"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise fault(
            file, line, f"not UTF-8 text: byte 0x{byte:02x}", "save the file as UTF-8"
        ) from None


def read_yaml_tree(text: str, file: str) -> Node | None:
    """The document of a YAML text; None for an empty one. Raises InputError, with the line."""
    try:
        root, loader = compose_yaml(text)
    except YamlError as error:
        raise _not_yaml(error, file) from None
    return _Tree(file, loader).node(root, 0) if root else None


def _not_yaml(error: YamlError, file: str) -> InputError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or " ".join(str(error).split())[:200]
    hint = "indent with spaces, not with tabs" if "\\t" in what else "correct the line"
    if "recursion" in what:
        what, hint = "it is nested too deeply", "write it flatter"
    return fault(file, mark.line + 1 if mark else 0, f"not YAML: {what}", hint)


class _Tree:
    """Makes our nodes of YAML's, and counts them."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._parts = 0

    def node(self, found: yaml.Node, depth: int) -> Node:
        line = found.start_mark.line + 1
        self._parts += 1
        if depth > _DEPTH_LIMIT or self._parts > _PARTS_LIMIT:
            what = "it is nested too deeply" if depth > _DEPTH_LIMIT else "it has too many parts"
            raise fault(
                self._file, line, what, f"at most {_DEPTH_LIMIT} levels and {_PARTS_LIMIT} values"
            )
        if isinstance(found, yaml.MappingNode) and found.tag == f"{_TAG}map":
            return Table(self._entries(found, depth), line)
        if isinstance(found, yaml.SequenceNode) and found.tag == f"{_TAG}seq":
            return Items(tuple(self.node(one, depth + 1) for one in found.value), line)
        return self._scalar(found, line)

    def _entries(self, found: yaml.MappingNode, depth: int) -> tuple[Entry, ...]:
        entries: dict[str, Entry] = {}
        for key, value in found.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise fault(self._file, line, "a name is a text", "write `name: value`")
            name = key.value
            if name in entries:
                first = entries[name].line
                raise fault(
                    self._file, line, f"{name!r} is there twice", f"the first is in line {first}"
                )
            entries[name] = Entry(name, line, self.node(value, depth + 1))
        return tuple(entries.values())

    def _scalar(self, found: yaml.Node, line: int) -> Scalar:
        kind = _KINDS.get(found.tag.removeprefix(_TAG))
        if kind is None or not isinstance(found, yaml.ScalarNode):
            raise fault(
                self._file, line, f"YAML's tag {found.tag!r} is not read here", "leave the tag out"
            )
        try:
            value = self._loader.construct_object(found)
        except ValueError:  # a tag that the text does not fit, or a number without end
            raise fault(self._file, line, f"no {kind}: {found.value[:80]!r}", "quote it") from None
        return _checked(Scalar(found.value, kind, value, line), self._file)


def _checked(found: Scalar, file: str) -> Scalar:
    if isinstance(found.value, float) and not math.isfinite(found.value):
        raise fault(file, found.line, f"not a value that JSON has: {found.text}", "quote it")
    if "\0" in found.text:
        raise fault(file, found.line, "a text holds a NUL character", "leave it out")
    return found


def toml_tree(document: Any, text: str, file: str, above: tuple[str, ...]) -> Node:
    """The tree of a TOML value below the tables `above`; lines are found by their look."""
    return _of_toml(document, above, _toml_lines(text), file)


def _of_toml(
    found: Any, path: tuple[str, ...], lines: Mapping[tuple[str, ...], int], file: str
) -> Node:
    line = lines.get(path) or lines.get(path[:-1], 0)
    if isinstance(found, dict):
        entries = ((name, (*path, name), value) for name, value in found.items())
        return Table(
            tuple(
                Entry(name, lines.get(at) or line, _of_toml(value, at, lines, file))
                for name, at, value in entries
            ),
            line,
        )
    if isinstance(found, list):
        return Items(tuple(_of_toml(one, path, lines, file) for one in found), line)
    return _checked(_toml_scalar(found, line), file)


def _toml_scalar(found: Any, line: int) -> Scalar:
    match found:
        case bool():
            return Scalar(str(found).lower(), "boolean", found, line)
        case float():
            # 3.10 has become 3.1: what was written is not known any more.
            return Scalar("", "number", found, line)
        case int():
            return Scalar(str(found), "number", found, line)
        case date() | time():
            return Scalar(found.isoformat(), "text", found.isoformat(), line)
        case _:
            return Scalar(str(found), "text", str(found), line)


def _toml_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each table and key, by its path; what is not written plainly is not there."""
    found: dict[tuple[str, ...], int] = {}
    above: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            above = _path(header[1])
            found.setdefault(above, number)
        elif key := _KEY.match(line):
            found.setdefault((*above, *_path(key[1])), number)
    return found


def _path(written: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in _PART.findall(written))
