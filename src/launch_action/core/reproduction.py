"""The command that does on another machine what a leg did."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from launch_action.core.credentials import without_credentials
from launch_action.core.input_table import INPUTS, Command, Input, Value
from launch_action.core.inputs import Inputs, duration_text

# What is of the place where the leg ran, and not of the job.
_OF_THE_PLACE = frozenset({
    "job", "only", "uri", "git-hash", "alias", "image", "store", "push", "check-remote",
    "git-username", "ssh-known-hosts", "registry-username", "registry-ca", "registry-mirror",
    "cache-from", "cache-to", "require-clean", "allow-rename", "working-directory", "verbose",
    "queue", "priority", "on-cancel", "force", "wandb-register", "detach", "sbom", "provenance",
    "set-var", "service",
})  # fmt: skip
# As a version's document has them already.
_RECORDED = frozenset({"entry-point", "job-name"})


def reproduction(values: Mapping[str, Any], inputs: Inputs) -> str:
    """The command; empty where nothing is known that could be repeated.

    A version in a registry is run as it is; else its commit is built again. Values of `env` are
    left out, as they may be secrets: their names stay, for the values of the other machine.
    """
    if values["job"] and values["pushed"]:
        options = _options(inputs, "run", _RECORDED)
        return _wrapped(("launch-action", "run"), [(values["job"],), *options])
    metadata = values["metadata"] or {}
    if not (metadata.get("remote") and metadata.get("commit")):
        return ""
    source = ("--uri", metadata["remote"], "--git-hash", metadata["commit"])
    command: Command = "launch" if values["run_id"] else "build"
    return _wrapped(("launch-action", command), [source, *_options(inputs, command, frozenset())])


def _options(inputs: Inputs, command: Command, without: frozenset[str]) -> list[tuple[str, ...]]:
    default = Inputs()
    found: list[tuple[str, ...]] = []
    for known in INPUTS:
        value: Value = getattr(inputs, known.field)
        left_out = known.secret or known.name in _OF_THE_PLACE or known.name in without
        if command in known.commands and not left_out and value != getattr(default, known.field):
            found += _spelled(known, value)
    return found


def _spelled(known: Input, value: Value) -> Iterator[tuple[str, ...]]:
    option = f"--{known.name}"
    if isinstance(value, bool):
        yield (option if value else f"--no-{known.name}",)
        return
    if known.kind == "words" and isinstance(value, tuple):
        texts = [shlex.join(value)]
    elif isinstance(value, float):  # a duration
        texts = [duration_text(value)]
    else:
        texts = list(map(str, value)) if isinstance(value, tuple) else [str(value)]
    for text in texts:
        shown = text.partition("=")[0] if known.name == "env" else without_credentials(text)
        # What begins with a hyphen would be taken for the next option.
        yield (f"{option}={shown}",) if shown.startswith("-") else (option, shown)


def _wrapped(command: tuple[str, ...], options: list[tuple[str, ...]]) -> str:
    """A command of several lines, an option each, as a shell reads it."""
    return " \\\n  ".join((shlex.join(command), *(shlex.join(one) for one in options)))
