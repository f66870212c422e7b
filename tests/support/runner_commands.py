"""What a step prints and writes, read as GitHub's runner reads it: commands, masks, command files.

Source: actions/runner 2.336, ActionCommandManager.cs, ActionCommand.cs and FileCommandManager.cs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_COMMAND = re.compile(
    r"::(?P<name>[a-z-]+)(?: (?P<properties>[^:]*))?::(?P<data>.*)", re.IGNORECASE
)
_COMMANDS = frozenset({
    "debug", "notice", "warning", "error", "group", "endgroup", "add-mask", "add-matcher",
    "remove-matcher", "echo", "stop-commands", "set-env", "add-path", "set-output", "save-state",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """A workflow command found in the log."""

    name: str
    properties: Mapping[str, str]
    data: str


@dataclass(frozen=True, slots=True)
class Log:
    """What a step printed: as a person sees it (masked, without commands), and the commands."""

    text: str
    commands: tuple[Command, ...]

    def of(self, name: str) -> list[str]:
        return [command.data for command in self.commands if command.name == name]


def key_values(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of a command file. Raises ValueError where the runner would fail the step."""
    lines = iter(_lines(text))
    for line, _ in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            if not equals:
                raise ValueError(f"Invalid format {line!r}. Name must not be empty")
            yield line[:equals], line[equals + 1 :]
        elif heredoc >= 0:
            name, delimiter = line[:heredoc], line[heredoc + 2 :]
            if not (name and delimiter):
                raise ValueError(f"Invalid format {line!r}. Name and delimiter must not be empty")
            yield name, _heredoc(lines, delimiter)
        else:
            raise ValueError(f"Invalid format {line!r}")


def _heredoc(lines: Iterator[tuple[str, str]], delimiter: str) -> str:
    parts: list[str] = []
    for line, newline in lines:
        if line == delimiter:
            return "".join(parts).removesuffix("\n")
        if not newline:
            raise ValueError("Invalid value. EOF marker missing new line.")
        parts.append(line + newline)
    raise ValueError(f"Invalid value. Matching delimiter not found {delimiter!r}")


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Lines and their ends: on Linux a line ends at a line feed only."""
    while text:
        line, newline, text = text.partition("\n")
        yield line, newline


def read_log(printed: str) -> Log:
    """Act on the commands in an output, as ActionCommandManager does."""
    shown: list[str] = []
    found: list[Command] = []
    masks: list[str] = []
    stopped = ""
    for line in re.split(r"\r\n|\r|\n", printed):
        if stopped:
            if line.strip() == f"::{stopped}::":
                stopped = ""
            else:
                shown.append(_masked(line, masks))
            continue
        command = parse_command(line)
        if command is None:
            shown.append(_masked(line, masks))
            continue
        found.append(command)
        if command.name == "add-mask":
            masks += [part for part in (command.data, *command.data.splitlines()) if part]
        elif command.name == "stop-commands":
            stopped = command.data
        elif command.name not in ("debug", "endgroup"):
            shown.append(_masked(f"{command.name}: {command.data}", masks))
    return Log("\n".join(shown), tuple(found))


def parse_command(line: str) -> Command | None:
    """The command of a line, either `::name k=v::data` at its start or `##[name k=v]` in it."""
    match = _COMMAND.match(line.lstrip())
    if match and match["name"].lower() in _COMMANDS:
        given = (match["properties"] or "").split(",")
        pairs = (one.split("=", 1) for one in given if "=" in one)
        properties = {k.strip(): _unescaped(v, "%3A:", "%2C,") for k, v in pairs if v}
        return Command(match["name"].lower(), properties, _unescaped(match["data"]))
    old = re.search(r"##\[([a-z-]+)[^\]]*\](.*)", line, re.IGNORECASE)
    if old and old[1].lower() in _COMMANDS:
        return Command(old[1].lower(), {}, _unescaped(old[2]))
    return None


def _unescaped(text: str, *more: str) -> str:
    for pair in (*more, "%0D\r", "%0A\n", "%25%"):
        text = text.replace(pair[:3], pair[3:])
    return text


def _masked(line: str, masks: list[str]) -> str:
    for mask in masks:
        line = line.replace(mask, "***")
    return line
