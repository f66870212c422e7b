"""The options of a job in launch.yaml, read as the texts that inputs are given as."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from functools import partial

from launch_action.core.errors import InputError
from launch_action.core.input_table import BY_NAME, IN_LAUNCH_FILE, Input
from launch_action.core.input_values import read_inputs
from launch_action.core.launch_document import Entry, Items, Node, Scalar, Table, fault, plain
from launch_action.core.resources import container_options
from launch_action.core.services import parse_services

PATHS = "paths"
OPTIONS = IN_LAUNCH_FILE | {PATHS}
# `NAME=VALUE` each: here a mapping, and given from two places they are merged by name.
PAIRS = frozenset({"set", "env", "build-arg", "label", "annotation", "set-var", "service"})
# A command, which may be written as the list of its words.
COMMANDS = frozenset({"entry-point", "args"})
NESTED = r"[^=\s.]+(?:\.[^=\s.]+)*"
NAME = r"[^=\s]+"

Value = str | tuple[str, ...]


def merged(below: Sequence[str], above: Sequence[str]) -> tuple[str, ...]:
    """`NAME=VALUE` lines below others, which win by name.

    >>> merged(["a=1", "b=1"], ["b=2"])
    ('a=1', 'b=2')
    """
    names = {line.partition("=")[0] for line in above}
    return (*(line for line in below if line.partition("=")[0] not in names), *above)


class OptionReader:
    """Reads the options of one file. Raises InputError with the option's line."""

    def __init__(self, file: str) -> None:
        self._file = file

    def value(self, entry: Entry, whose: str) -> Value:
        """The value of an option, as its input takes it."""
        if entry.name == PATHS:
            return self._texts(entry, whose)
        if entry.name in PAIRS:
            return self._pairs(entry, whose)
        if entry.name in COMMANDS and isinstance(entry.node, Items):
            return shlex.join(self._texts(entry, whose))
        if entry.name == "resource-args":
            return self._resources(entry)
        known = BY_NAME[entry.name]
        many = known.kind in ("list", "lines")
        value = self._texts(entry, whose) if many else self._one(known, entry, whose)
        self._check(entry, lambda: read_inputs({entry.name: value}, {}))
        for text in (value,) if isinstance(value, str) else value:
            self._check(entry, partial(_reader(entry.name), text))
        return value

    def _one(self, known: Input, entry: Entry, whose: str) -> str:
        node = entry.node
        if known.kind in ("boolean", "tristate"):
            if isinstance(node, Scalar) and node.kind == "boolean":
                return str(node.value).lower()
            if known.kind == "tristate" and isinstance(node, Scalar) and node.text == "auto":
                return "auto"
            more = ", or auto" if known.kind == "tristate" else ""
            raise self._fault(
                entry.line, f"{entry.name!r} {whose} is true or false", f"write true or false{more}"
            )
        if known.kind == "duration" and isinstance(node, Scalar) and node.kind == "number":
            return f"{float(node.value):f}"
        text = self.text(entry, whose)
        self._check_place(entry, text)
        return text

    def _check_place(self, entry: Entry, text: str) -> None:
        """Raise InputError for a path that is not one of the repository."""
        if entry.name == "base-image" and text.startswith("oci:"):
            raise self._fault(
                entry.line,
                f"a base on this machine is not taken from here: {text!r}",
                "name an image of a registry; --base-image takes a directory",
            )
        of_path = entry.name in ("build-context", "schema")
        if of_path and (text.startswith("/") or ".." in text.split("/")):
            raise self._fault(
                entry.line,
                f"{entry.name!r} leaves the repository: {text!r}",
                "name a path below the repository's root",
            )

    def _pairs(self, entry: Entry, whose: str) -> tuple[str, ...]:
        table = self._table(entry.node, f"{entry.name!r} {whose}", "write `NAME: value` below it")
        return tuple(self._pair(entry.name, one) for one in table.entries)

    def _pair(self, option: str, entry: Entry) -> str:
        if not re.fullmatch(NESTED if option == "set" else NAME, entry.name):
            raise self._fault(
                entry.line,
                f"not a name in {option!r}: {entry.name[:80]!r}",
                "leave '=' and spaces out",
            )
        if option == "set":
            return f"{entry.name}={json.dumps(plain(entry.node))}"
        node = entry.node
        if not isinstance(node, Scalar) or node.kind == "null":
            raise self._fault(
                entry.line,
                f"{entry.name!r} in {option!r} has no value",
                f"a value of the environment is given with --{option} {entry.name}",
            )
        text = node.text or str(node.value)
        if re.search(r"[\r\n]", text):
            raise self._fault(
                entry.line, f"{entry.name!r} in {option!r} has several lines", "write one line"
            )
        line = f"{entry.name}={text}"
        if option == "service":
            self._check(entry, lambda: parse_services((line,)))
        return line

    def _resources(self, entry: Entry) -> str:
        found = plain(entry.node)
        self._check(entry, lambda: container_options(found, "resource-args"))
        return json.dumps(found)

    def _texts(self, entry: Entry, whose: str) -> tuple[str, ...]:
        node = entry.node
        if not isinstance(node, Items):
            return (self.text(entry, whose),)
        if not node.items:
            raise self._fault(entry.line, f"{entry.name!r} {whose} is empty", "leave it out")
        return tuple(self.text(Entry(entry.name, one.line, one), whose) for one in node.items)

    def text(self, entry: Entry, whose: str) -> str:
        """One text that is not empty, numbers as they are written."""
        node = entry.node
        if not isinstance(node, Scalar) or node.kind not in ("text", "number"):
            what = (
                node.kind
                if isinstance(node, Scalar)
                else "a list"
                if isinstance(node, Items)
                else "a mapping"
            )
            raise self._fault(
                entry.line,
                f"{entry.name!r} {whose} is a text, not {what}",
                "quote it, or leave it out",
            )
        if node.kind == "number" and not node.text:
            raise self._fault(
                entry.line,
                f"{entry.name!r} {whose} is a text, not the number {node.value}",
                "write it in quotation marks",
            )
        if not node.text.strip():
            raise self._fault(entry.line, f"{entry.name!r} {whose} is empty", "leave it out")
        return node.text

    def _check(self, entry: Entry, read: Callable[[], object]) -> None:
        """What reads an input says what is wrong with it; the line is ours."""
        try:
            read()
        except InputError as error:
            raise self._fault(entry.line, error.message, error.hint) from None

    def _table(self, found: Node, what: str, hint: str) -> Table:
        if isinstance(found, Table):
            return found
        raise self._fault(found.line, f"{what} is not a mapping", hint)

    def _fault(self, line: int, what: str, hint: str) -> InputError:
        return fault(self._file, line, what, hint)


def _reader(option: str) -> Callable[[str], object]:
    """What reads a text of this option later; here, so that a fault is told at its line.

    Each is imported for a file that has the option: a run without one pays for none.
    """
    match option:
        case "alias":
            from launch_action.core.aliases import asked_alias

            return asked_alias
        case "compression":
            from launch_action.core.compression import Compression

            return Compression.parse
        case "entry-point":
            from launch_action.core.entrypoint import parse_entrypoint

            return parse_entrypoint
        case "fail-if":
            from launch_action.core.gate import read_conditions

            return lambda text: read_conditions([text])
        case "platform":
            from launch_action.core.image import Platform

            return Platform.parse
        case "python":
            from launch_action.core.python_version import choose_python

            return choose_python
        case _:
            return str
