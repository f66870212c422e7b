"""A runner for tests: reads action.yml and runs its steps as GitHub's runner runs a composite's.

What it knows of the runner comes from actions/runner 2.336: defaults and expressions of action.yml,
no INPUT_* for a composite's `run` steps, command files that exist beforehand, standard output and
standard error scanned for commands alike, outputs read as EnvFileKeyValuePairs reads them.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from support.engine import engine_settings
from support.runner_commands import Log, key_values, read_log

TOKEN = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
RUNTIME_TOKEN = "eyJ-the-runner-s-own-token"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step left behind. `raw` is everything it printed, before masking."""

    code: int
    raw: str
    log: Log
    outputs: Mapping[str, str]
    summary: str
    artifacts: tuple[str, ...]
    environment: Mapping[str, str]
    path: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class RunningStep:
    """A step while it runs. `printed` is what was read of its output so far."""

    process: subprocess.Popen[bytes]
    files: Mapping[str, Path]
    definition: Mapping[str, Any]
    name: str
    warnings: tuple[str, ...]
    printed: bytes = b""

    def wait_for(self, text: str) -> None:
        """Read its output until a line holds this text. Raises AssertionError at its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            if text.encode() in line:
                return
        raise AssertionError(self.printed.decode("utf-8", "replace"))

    def cancel(self, *, between: float = 7.5, last: float = 2.5) -> None:
        """As the runner cancels: SIGINT, after 7.5 s SIGTERM, after 2.5 s SIGKILL."""
        for number, seconds in ((signal.SIGINT, between), (signal.SIGTERM, last)):
            self.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return
        self.process.kill()

    def result(self, timeout: float = 300) -> StepResult:
        """What it left, when it has ended, with the outputs that a workflow sees."""
        rest, _ = self.process.communicate(timeout=timeout)
        printed = (self.printed + rest).decode("utf-8", "replace")
        left = _left_behind(self.process.returncode, printed, self.files)
        steps = {self.name: {"outputs": left.outputs}}
        outputs = {
            name: evaluate(about["value"], {"steps": steps})
            for name, about in self.definition["outputs"].items()
        }
        return replace(left, outputs=outputs, warnings=self.warnings)


@dataclass(frozen=True, slots=True)
class Runner:
    """A machine below `root`, with the action at `action` and a checkout at `workspace`."""

    root: Path
    action: Path
    workspace: Path
    path: str
    event: str = "push"
    payload: Mapping[str, Any] = field(default_factory=dict)
    github: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)

    def run(self, inputs: Mapping[str, str], *, timeout: float = 300) -> StepResult:
        """Run the composite action with the given `with:` values to its end."""
        with self.started(inputs) as step:
            return step.result(timeout)

    @contextmanager
    def started(self, inputs: Mapping[str, str]) -> Iterator[RunningStep]:
        """The running step of the composite action, in a process group that ends with the block."""
        definition = _parsed((self.action / "action.yml").read_text("utf-8"))
        known, warnings = resolve_inputs(definition, inputs, self._context())
        (step,) = definition["runs"]["steps"]
        if step.get("shell") != "bash" or "uses" in step or "if" in step:
            raise NotImplementedError(f"this runner does not know such a step: {step}")
        context = self._context() | {"inputs": known}
        own = {name: evaluate(text, context) for name, text in step.get("env", {}).items()}
        script = self._folder("work/_temp") / "step.sh"
        script.write_text(evaluate(step["run"], context), "utf-8")
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        with self._process(shell, own) as (child, files):
            yield RunningStep(child, files, definition, step["id"], warnings)

    def run_container(
        self, command: Sequence[str], inputs: Mapping[str, str], *, timeout: float = 300
    ) -> StepResult:
        """Run a command as the entry point of a container action, on this machine.

        What differs from a composite action: INPUT_* is set, with every hyphen; the directory of
        the action is not there; the runner's own tokens are.
        """
        definition = _parsed((self.action / "action.yml").read_text("utf-8"))
        known, warnings = resolve_inputs(definition, inputs, self._context())
        own = {
            **container_inputs(known),
            "ACTIONS_RUNTIME_URL": "http://127.0.0.1:9/",
            "ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN,
            "ACTIONS_RESULTS_URL": "http://127.0.0.1:9/",
            "GITHUB_ACTION_PATH": "",
        }
        with self._process(command, own) as (child, files):
            step = next(iter(definition["runs"]["steps"]))["id"]
            return RunningStep(child, files, definition, step, warnings).result(timeout)

    @contextmanager
    def _process(
        self, command: Sequence[str], own: Mapping[str, str]
    ) -> Iterator[tuple[subprocess.Popen[bytes], Mapping[str, Path]]]:
        files = self._command_files()
        named = {f"GITHUB_{name}": str(path) for name, path in files.items()}
        with subprocess.Popen(
            command,
            cwd=self.workspace,
            env={**named, **self.environment(), **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as child:
            try:
                yield child, files
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)

    def environment(self) -> dict[str, str]:
        """The variables of every step, without those of its own `env:`."""
        temp = self._folder("work/_temp")
        event = temp / "_github_workflow" / "event.json"
        event.parent.mkdir(exist_ok=True)
        event.write_text(json.dumps(self.payload), "utf-8")
        return {
            "PATH": self.path,
            "HOME": str(self._folder("home")),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION": "__self",
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_EVENT_NAME": self.event,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_WORKFLOW": "ci",
            "GITHUB_JOB": "build",
            "GITHUB_RUN_ID": "7001",
            "GITHUB_RUN_NUMBER": "12",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_REPOSITORY": "acme/mono-jobs",
            "GITHUB_REPOSITORY_OWNER": "acme",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": "https://api.github.com",
            "GITHUB_GRAPHQL_URL": "https://api.github.com/graphql",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_NAME": "fake",
            "RUNNER_ENVIRONMENT": "self-hosted",
            "RUNNER_TEMP": str(temp),
            "RUNNER_TOOL_CACHE": str(self._folder("tools")),
            "RUNNER_WORKSPACE": str(self._folder("work/repository")),
            **network_settings(),
            **engine_settings(),
            **self.github,
            **self.also,
        }

    def _context(self) -> dict[str, Any]:
        return {"github": {"token": TOKEN, "action_ref": "v1", "actor": "octocat"}}

    def _command_files(self) -> dict[str, Path]:
        folder = self._folder("work/_temp/_runner_file_commands")
        names = {
            "OUTPUT": "output",
            "ENV": "env",
            "PATH": "path",
            "STATE": "state",
            "STEP_SUMMARY": "summary",
            "ARTIFACTS": "artifacts",
        }
        for name in names.values():
            (folder / name).write_bytes(b"")
        return {variable: folder / name for variable, name in names.items()}

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@functools.cache
def _parsed(text: str) -> Any:
    """An action.yml, which nobody changes; the steps of most tests have the same one."""
    return yaml.safe_load(text)


def network_settings() -> dict[str, str]:
    """How this machine reaches an index, which the administrator of a runner sets too."""
    named = re.compile(
        r"(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|UV_(DEFAULT_INDEX"
        r"|INDEX_URL|NATIVE_TLS|CACHE_DIR)|PIP_(INDEX_URL|CERT|CACHE_DIR)",
        re.IGNORECASE,
    )
    return {name: value for name, value in os.environ.items() if named.fullmatch(name)}


def resolve_inputs(
    definition: Mapping[str, Any], given: Mapping[str, str], context: Mapping[str, Any]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Every input with its value; unknown ones are a warning and are kept out, as the runner does.

    `required: true` is not enforced.
    """
    declared = definition["inputs"]
    unknown = [name for name in given if name.lower() not in declared]
    valid = ", ".join(f"'{name}'" for name in declared)
    warnings = [f"Unexpected input(s) '{name}', valid inputs are [{valid}]" for name in unknown]
    known = {
        name: evaluate(about.get("default") or "", context) for name, about in declared.items()
    }
    known |= {name.lower(): value for name, value in given.items() if name not in unknown}
    return known, tuple(warnings)


def container_inputs(inputs: Mapping[str, str]) -> dict[str, str]:
    """The INPUT_* that a container action gets: only blanks are replaced, hyphens stay."""
    return {f"INPUT_{name.replace(' ', '_').upper()}": value for name, value in inputs.items()}


def evaluate(text: str, context: Mapping[str, Any]) -> str:
    """A text with its `${{ }}` expressions; only lookups and toJSON are known."""

    def value(match: re.Match[str]) -> str:
        whole = re.fullmatch(r"toJSON\((.+)\)", match[1])
        if whole:
            return json.dumps(_look_up(whole[1], context), indent=2, ensure_ascii=False)
        found = _look_up(match[1], context)
        return "" if found is None else str(found)

    return _EXPRESSION.sub(value, str(text))


def _look_up(path: str, context: Mapping[str, Any]) -> Any:
    found: Any = context
    for name in path.split("."):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise NotImplementedError(f"this runner does not know such an expression: {path}")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _left_behind(code: int, printed: str, files: Mapping[str, Path]) -> StepResult:
    return StepResult(
        code=code,
        raw=printed,
        log=read_log(printed),
        outputs=dict(key_values(files["OUTPUT"].read_bytes().decode("utf-8"))),
        summary=files["STEP_SUMMARY"].read_text("utf-8"),
        artifacts=tuple(files["ARTIFACTS"].read_text("utf-8").splitlines()),
        environment=dict(key_values(files["ENV"].read_bytes().decode("utf-8"))),
        path=tuple(files["PATH"].read_text("utf-8").splitlines()),
        warnings=(),
    )
