"""A run of a job: what is asked for, what came of it, and the environment the job sees.

Source of the variables: W&B SDK 0.31, `sdk/launch/_project_spec.py` (`get_env_vars_dict`), as far
as they apply without a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError, RunError
from launch_action.core.image import Descriptor, Platform
from launch_action.core.ports import Reporter
from launch_action.core.reference import Digest
from launch_action.core.resources import ContainerResources

Resource = Literal["local-process", "local-container"]
RunStatus = Literal["succeeded", "failed", "timeout", "cancelled"]
LayerRole = Literal["base", "dependency", "code"]

# The longest value of one variable, in characters (W&B's MAX_ENV_LENGTHS).
CONFIG_CHUNK = 32670
# What Linux gives a process at its start: each text, and all of them (a quarter of the usual stack,
# with room for what else there is), in bytes.
_LONGEST_TEXT = 131_071
_MOST_TEXT = 2_000_000
# Beside `wandb`, in the output directory: what an offline run logged as artifacts.
WANDB_DATA = "wandb-data"
_RUN_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
# A run id becomes a directory and a container's name.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What is to be run, decided; raises InputError when a field cannot be.

    `entrypoint` empty means the image's own. `environment` are `--env NAME=VALUE`, `env_names`
    the `--env NAME` whose values are the caller's. `timeout` is in seconds. `config` is W&B's
    run_config (nested JSON values). `wandb_job` is the job's name at W&B
    (`entity/project/name:alias`), empty for a job W&B does not know. `output_directory` is a path
    of this machine. `untrusted` marks a run for an event that an outsider can cause. `files` and
    `artifacts` are W&B's overrides of these names (JSON values). `resources` are a container's.
    """

    run_id: str
    resource: Resource
    output_directory: str
    entrypoint: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    name: str = ""
    project: str = ""
    entity: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    env_names: tuple[str, ...] = ()
    timeout: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    wandb_job: str = ""
    job_name: str = ""
    files: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    resources: ContainerResources = field(default_factory=ContainerResources)
    untrusted: bool = False

    def __post_init__(self) -> None:
        check_run_id(self.run_id)
        if self.timeout is not None and not self.timeout > 0:
            raise InputError(
                f"not a timeout: {self.timeout!r}", hint="give a number of seconds above 0"
            )
        for name in (*self.env_names, *(name for name, _ in self.environment)):
            _check_variable(name)
        _check_size(self)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run that was started.

    `exit_code` is the job's own; 128 + n when signal n ended it. `seconds` is wall time from the
    job's start to its end. `metrics` are what the job left (see `metrics.read_metrics`).
    `cancelled_by` is the signal that this program was sent, 0 when the status is another. `error`
    is what went wrong after the job's end: its output could not be brought here.
    """

    run_id: str
    status: RunStatus
    exit_code: int
    seconds: float
    metrics: Mapping[str, Any]
    output_directory: str
    cancelled_by: int = 0
    error: RunError | None = None


@dataclass(frozen=True, slots=True)
class LayerRef:
    """A layer of a job's image, and what it is for."""

    role: LayerRole
    descriptor: Descriptor
    diff_id: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class JobImage:
    """What a runner must know of a job's image.

    `python` is `X.Y`; `venv` and `workdir` are absolute paths in the image. `layers` are lowest
    first. `libc` is empty when unknown. `reference` is `repository@digest` where a registry has
    the image, `image_id` the digest of its config; an engine needs one of them. `manifest` is the
    digest of its manifest.
    """

    platform: Platform
    python: str = ""
    entrypoint: tuple[str, ...] = ()
    workdir: str = "/app"
    venv: str = "/opt/venv"
    environment: tuple[tuple[str, str], ...] = ()
    layers: tuple[LayerRef, ...] = ()
    libc: Literal["glibc", "musl", ""] = ""
    reference: str = ""
    image_id: str = ""
    manifest: str = ""

    def of_role(self, role: LayerRole) -> tuple[LayerRef, ...]:
        """The layers of one role, lowest first."""
        return tuple(layer for layer in self.layers if layer.role == role)


class Runner(Protocol):
    """Runs one job to its end."""

    def run(self, plan: RunPlan, image: JobImage, reporter: Reporter) -> RunResult:
        """Start the job, wait for it, and say what came of it.

        Raises RunError when the job cannot be started; a job that fails, times out or is
        cancelled is a result. Nothing of the job is running when this returns or raises.
        """
        ...


def check_run_id(run_id: str) -> None:
    """Raise InputError for what is no id of a run."""
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(
            f"not a run id: {run_id!r}",
            hint="use letters, digits, '_', '-' and '.', 128 at most",
        )


def new_run_id(choose: Callable[[str], str]) -> str:
    """A run id like W&B's: 8 of `a-z0-9`, each taken by `choose` (such as `secrets.choice`)."""
    return "".join(choose(_RUN_ID_ALPHABET) for _ in range(8))


def exit_code(returned: int) -> int:
    """A shell's exit code of what `wait` returned: signal n is 128 + n.

    >>> exit_code(-15)
    143
    """
    return 128 - returned if returned < 0 else returned


def job_environment(
    plan: RunPlan,
    *,
    caller: Mapping[str, str],
    image: Mapping[str, str],
    outputs: str,
    kept: str = "",
    docker: str = "",
) -> dict[str, str]:
    """Everything the job sees, apart from what its runner adds (PATH, HOME).

    Nothing of `caller`, the environment this program was started with, is in it but the names of
    `plan.env_names` and W&B's key with the address of the server it is for, as in W&B Launch; an
    untrusted event gets no key, and `--env WANDB_API_KEY=` keeps it back. `image` is the image's
    own environment; `outputs` is the output directory as the job sees it, `kept` a path that it has
    for the job as well as afterwards; `docker` is the reference of the image that it runs in. What
    the user gives wins over what we set, but for LAUNCH_OUTPUT_DIR.
    """
    named = {name: caller[name] for name in plan.env_names if name in caller}
    given = _without_empty(dict(plan.resources.environment) | named | dict(plan.environment))
    found = {
        **_without_empty(image),
        "PYTHONUNBUFFERED": "1",
        **_wandb_variables(plan, outputs, docker),
        **_wandb_key(plan, caller),
        **given,
        "LAUNCH_OUTPUT_DIR": outputs,
    }
    if not found.get("WANDB_API_KEY"):
        found.setdefault("WANDB_MODE", "offline")
    if found.get("WANDB_MODE") == "offline":
        # Else `wandb sync` would not find what was logged as an artifact, and saved files would be
        # links to where the job was. By the path that it has when the job has ended.
        found.setdefault("WANDB_DATA_DIR", f"{kept or outputs}/{WANDB_DATA}")
        found.setdefault("WANDB_SYMLINK", "false")
    if not found.get("WANDB_API_KEY"):
        return found
    if caller.get("WANDB_BASE_URL"):
        # Without it the key of a team's own server would be sent to W&B's.
        found.setdefault("WANDB_BASE_URL", without_credentials(caller["WANDB_BASE_URL"]))
    artifacts = ({"_wandb_job": plan.wandb_job} if plan.wandb_job else {}) | dict(plan.artifacts)
    if artifacts and found.get("WANDB_MODE", "online") in ("online", "shared"):
        # An offline `wandb.init` ends with an error when it is told of an artifact to use.
        found.setdefault("WANDB_ARTIFACTS", json.dumps(artifacts))
    return found


def speaks_to_this_machine(environment: Mapping[str, str]) -> bool:
    """Whether a job is online at a W&B server that only this machine reaches, as `localhost` is."""
    if not environment.get("WANDB_API_KEY"):
        return False
    try:
        host = urlsplit(environment.get("WANDB_BASE_URL", "")).hostname or ""
    except ValueError:  # no address at all, as the job will find
        return False
    return host in ("localhost", "::1") or host.startswith("127.")


def _wandb_key(plan: RunPlan, caller: Mapping[str, str]) -> dict[str, str]:
    key = caller.get("WANDB_API_KEY", "")
    asked = any(name == "WANDB_API_KEY" for name, _ in plan.environment)
    return {"WANDB_API_KEY": key} if key and not asked and not plan.untrusted else {}


def missing_names(plan: RunPlan, caller: Mapping[str, str]) -> tuple[str, ...]:
    """The `--env NAME`s that the caller's environment does not have."""
    return tuple(name for name in plan.env_names if name not in caller)


def _wandb_variables(plan: RunPlan, outputs: str, docker: str) -> dict[str, str]:
    optional = {
        "WANDB_JOB_NAME": plan.job_name,
        "WANDB_DOCKER": docker,
        "WANDB_PROJECT": plan.project.lower(),
        "WANDB_ENTITY": plan.entity,
        "WANDB_NAME": plan.name,
    }
    return {
        "WANDB_LAUNCH": "True",
        "WANDB_RUN_ID": plan.run_id,
        "WANDB_DIR": outputs,
        **{name: value for name, value in optional.items() if value},
        **_json_variables("WANDB_CONFIG", plan.config),
        **(_json_variables("WANDB_LAUNCH_FILE_OVERRIDES", plan.files) if plan.files else {}),
    }


def _json_variables(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    """The variable, or NAME_0 and so on when the text is too long for one."""
    text = json.dumps(values)
    if len(text) <= CONFIG_CHUNK:
        return {name: text}
    starts = range(0, len(text), CONFIG_CHUNK)
    return {f"{name}_{i}": text[at : at + CONFIG_CHUNK] for i, at in enumerate(starts)}


def _without_empty(found: Mapping[str, str]) -> dict[str, str]:
    """Without the W&B variables that are empty: the SDK ends on an empty switch (WANDB_SILENT)."""
    return {name: value for name, value in found.items() if value or not name.startswith("WANDB_")}


def _check_size(plan: RunPlan) -> None:
    """Raise InputError for what no process can be given: else it ends after everything is built."""
    words = [(f"argument {word[:20]!r}", word) for word in (*plan.entrypoint, *plan.args)]
    given = [(f"--env {name}", f"{name}={value}") for name, value in plan.environment]
    known = [*words, *given, ("overrides.artifacts", json.dumps(dict(plan.artifacts)))]
    sizes = {what: len(text.encode("utf-8", "surrogatepass")) for what, text in known}
    longest = max(sizes, key=lambda what: sizes[what])
    if sizes[longest] > _LONGEST_TEXT:
        raise InputError(
            f"{longest} has {sizes[longest]} bytes, and a process takes {_LONGEST_TEXT} at most",
            hint="give it in a file",
        )
    config = len(json.dumps(plan.config)) + len(json.dumps(dict(plan.files)))
    total = config + sum(sizes.values())
    if total > _MOST_TEXT:
        raise InputError(
            f"configuration, environment and arguments of the run have {total} bytes, and a "
            f"process takes {_MOST_TEXT} at most",
            hint="give what is large in a file, and its name in the configuration",
        )


def _check_variable(name: str) -> None:
    if not name or "=" in name or "\0" in name:
        raise InputError(
            f"not the name of a variable: {name!r}", hint="write --env NAME or --env NAME=VALUE"
        )
