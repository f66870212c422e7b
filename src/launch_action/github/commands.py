"""What a step says to the runner: outputs, masks, annotations, groups, the summary, artifacts.

The one door to actions-toolkit, of which the two light modules that write commands are used: its
`core` costs 0.1 s of imports, prints unescaped lines and ends the process on a failure. Formats:
actions/runner, ActionCommandManager.cs and FileCommandManager.cs.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO

from actions_toolkit.command import issue_command
from actions_toolkit.file_command import issue_file_command, prepare_key_value_message

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError

Level = Literal["notice", "warning", "error"]

# An annotation that has none is shown under the name of the workflow's file.
TITLE = "launch-action"
# Bytes of a step's summary; one byte more and the runner drops all of it.
SUMMARY_LIMIT = 1024 * 1024
_CUT = "\n\n*The rest was left out: a step's summary has at most 1 MiB.*\n"
# A shorter secret would blank half the log.
_SHORTEST_SECRET = 3
_SUBJECT = re.compile(r"[^\s=@]+@sha256:[0-9a-f]{64}")
# .NET, which reads the log, ends a line at a carriage return too.
_COMMAND_START = re.compile(r"(?:\A|(?<=[\r\n]))([^\S\r\n]*)::|##\[")


def prepare_output(stream: TextIO | None = None) -> None:
    """Make the standard output UTF-8 whatever the locale, and flushed at every line.

    Otherwise a check mark ends the program on some runners, and our lines come after a child's.
    """
    chosen = stream or sys.stdout
    reconfigure = getattr(chosen, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="replace", line_buffering=True)


@dataclass(slots=True)
class WorkflowCommands:
    """The commands of the running step. Only for use inside GitHub Actions.

    As `line`, `warning`, `group` and `bar` it is also what a report is written to. `held` are the
    commands that wait while the runner takes none (`stop_commands`); outputs, summary and artifacts
    go to files, and are written at once.
    """

    stopped: bool = False
    grouped: bool = False
    held: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)

    def set_output(self, name: str, value: str) -> None:
        """Set an output now, so that it is there even when the step fails later."""
        _append("OUTPUT", prepare_key_value_message(name, value))

    def mask(self, secret: str) -> None:
        """Have every line of a secret blanked in all later output."""
        for part in dict.fromkeys(line.strip() for line in (secret, *secret.splitlines())):
            if len(part) >= _SHORTEST_SECRET:
                self._command("add-mask", {}, part)

    def line(self, text: str) -> None:
        """Print a text, which is not taken for a command whatever is in it."""
        _print(inert(text))

    def notice(self, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        self._annotate("notice", text, title, file, line)

    def warning(self, text: str, file: str = "", line: int = 0, *, title: str = "") -> None:
        self._annotate("warning", text, title, file, line)

    def error(self, text: str, *, title: str = "", file: str = "", line: int = 0) -> None:
        """Annotate an error; the step fails by its exit code, not by this."""
        self._annotate("error", text, title, file, line)

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        """Fold what is printed inside. Groups do not nest in the log: an inner one is a line."""
        if self.grouped:
            self.line(name)
            yield
            return
        self.grouped = True
        self._command("group", {}, name)
        try:
            yield
        finally:
            self.grouped = False
            self._command("endgroup", {}, "")

    @contextmanager
    def stop_commands(self, token: str = "") -> Iterator[None]:
        """Let another program print inside: no line of it is taken for a command.

        Our own commands wait until the end.
        """
        token = token or uuid.uuid4().hex
        self._command("stop-commands", {}, token)
        self.stopped = True
        try:
            yield
        finally:
            # On a line of its own, even when the program did not end its last line.
            _print(f"\n::{token}::")
            self.stopped = False
            waiting, self.held = self.held, []
            for command in waiting:
                self._command(*command)

    def bar(self, title: str, total: int) -> None:  # noqa: ARG002  # a log cannot be redrawn
        """No live progress bar."""
        return None  # noqa: RET501  # the protocol's answer for "none", not the lack of one

    def summary_size(self) -> int:
        """Bytes of the step's summary as it is now."""
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        return Path(path).stat().st_size if path and Path(path).is_file() else 0

    def add_summary(self, markdown: str, after: int | None = None) -> bool:
        """Append to the step's summary, cut at the runner's limit; False where there is none.

        `after` keeps that many bytes of it, in the place of all.
        """
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if not path or not Path(path).is_file():
            return False
        try:
            with Path(path).open("r+b") as summary:
                start = summary.seek(0, os.SEEK_END) if after is None else summary.seek(after)
                added = _fitted(markdown.encode("utf-8", "replace") + b"\n", SUMMARY_LIMIT - start)
                summary.write(added)
                summary.truncate()
        except OSError:
            return False
        return True

    def add_artifact(self, subject: str) -> bool:
        """Tell of an image `repository@sha256:...` that was made; False where nobody asks.

        Source: actions/runner 2.336, the GITHUB_ARTIFACTS file. Raises InputError for other text.
        """
        if not _SUBJECT.fullmatch(subject):
            raise InputError(f"not an image by digest: {subject!r}", hint="write name@sha256:...")
        path = os.environ.get("GITHUB_ARTIFACTS")
        if not path or not Path(path).is_file():
            return False
        try:
            issue_file_command("ARTIFACTS", subject)
        except OSError:
            return False
        return True

    def _annotate(self, level: Level, text: str, title: str, file: str, line: int) -> None:
        properties = {"title": title or TITLE, "file": file, "line": str(line) if line > 0 else ""}
        self._command(level, {name: value for name, value in properties.items() if value}, text)

    def _command(self, name: str, properties: Mapping[str, str], text: str) -> None:
        if self.stopped:
            self.held.append((name, properties, text))
            return
        issue_command(name, dict(properties), text)
        sys.stdout.flush()


def inert(text: str) -> str:
    """The text with a mark where the runner would see a command.

    >>> inert("::add-mask::e")
    '| ::add-mask::e'
    """
    return _COMMAND_START.sub(_marked, text)


def _marked(match: re.Match[str]) -> str:
    return "# #[" if match[0].startswith("##[") else f"{match[1]}| ::"


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _append(name: str, message: str) -> None:
    path = os.environ.get(f"GITHUB_{name}", "")
    if path and Path(path).is_file():
        with suppress(OSError):
            issue_file_command(name, message)
            return
    raise InputError(
        f"GITHUB_{name} names no file that can be written: {path!r}",
        hint="the runner makes this file; run `launch-action launch` outside GitHub Actions",
    )


def _fitted(content: bytes, room: int) -> bytes:
    """The content, or as many whole lines of it as there is room for, and a note."""
    if len(content) <= room:
        return content
    note = _CUT.encode()
    kept = content[: max(room - len(note), 0)]
    kept = kept[: kept.rfind(b"\n") + 1]
    return (kept + note)[: max(room, 0)]
