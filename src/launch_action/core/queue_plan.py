"""What a W&B Launch queue is sent: the run spec, made of the inputs, and the id of its run.

Source of the spec: W&B SDK 0.31, `sdk/launch/utils.py` (`construct_launch_spec`) and
`_launch_add.py`; of what an agent does with it, `sdk/launch/_project_spec.py`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError
from launch_action.core.inputs import Inputs
from launch_action.core.run import check_run_id
from launch_action.core.spelling import nearest
from launch_action.core.template_variables import TemplateVariable

# Where W&B keeps every queue of an entity.
QUEUES_PROJECT = "model-registry"
RESOURCES = ("local-container", "local-process", "kubernetes", "sagemaker", "gcp-vertex")
PRIORITIES: Mapping[str, int] = {"critical": 0, "high": 1, "medium": 2, "low": 3}

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Enough that no two runs of a project meet; short enough for the names that agents make of it.
_RUN_ID_LENGTH = 12
# What another CI system calls the run of a workflow, which stays when it is run again.
_WORKFLOW_RUNS = (
    "GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILDKITE_BUILD_ID", "CIRCLE_WORKFLOW_ID", "BUILD_TAG",
)  # fmt: skip
# What a launch config may hold in `wandb launch`, and what a queue cannot be sent from here.
_REFUSED = {
    "job": "the job is the one that is launched here",
    "uri": "the job is the one that is launched here",
    "_wandb_api_key": "the agent has a key of its own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue as W&B tells of it.

    `resource` is empty where the queue has no configuration.
    """

    identifier: str
    name: str
    entity: str
    resource: str = ""
    prioritized: bool = False
    variables: tuple[TemplateVariable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAsked:
    """What is asked of a queue, as it was read of the inputs.

    `document` is the launch config as it was written, `run_config` with `--set` over it. `resource`
    is that of the inputs, else of the config. `priority` is None without one.
    """

    queue: str
    entity: str
    project: str
    document: Mapping[str, Any] = field(default_factory=dict)
    run_config: Mapping[str, Any] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    name: str = ""
    resource: str = ""
    resource_args: Mapping[str, Any] = field(default_factory=dict)
    set_var: tuple[str, ...] = ()
    priority: int | None = None

    @property
    def variables(self) -> Mapping[str, Any]:
        """The values of template variables that the launch config holds."""
        found = self.document.get("template_variables")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """What a queue is sent. `variables` are the values of its template variables.

    The spec's `run_id` is given last: see `run_ids`.
    """

    queue: Queue
    spec: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None

    @property
    def run_id(self) -> str:
        return str(self.spec["run_id"])


def check_pushed(inputs: Inputs) -> None:
    """Raise InputError where the image of what is launched stays on this machine."""
    if not (inputs.image or inputs.docker_image):
        raise InputError(
            f"the agents of queue {inputs.queue!r} pull the image, and this one stays in a "
            "directory of this machine",
            hint="name a repository to push to with --image, such as ghcr.io/acme/train",
        )
    if inputs.push is False and not inputs.docker_image:
        raise InputError(
            f"the agents of queue {inputs.queue!r} pull the image, and nothing is pushed",
            hint="leave --no-push away",
        )


def check_queued(inputs: Inputs) -> None:
    """Raise InputError for what a queue is not told."""
    if inputs.env:
        name = inputs.env[0].partition("=")[0]
        raise InputError(
            f"a queue's agents know no environment of ours: --env {name}",
            hint="put what is no secret in --resource-args, and a secret where the agents run",
        )


def check_without_queue(resource: str) -> None:
    """Raise InputError for a resource that only a queue's agents have."""
    if resource in RESOURCES[2:]:
        raise InputError(
            f"{resource} is reached through a W&B Launch queue, and none is named",
            hint="name one with --queue, or take --resource local-container or local-process",
        )


def check_document(document: Mapping[str, Any], where: str) -> None:
    """Raise InputError for what a launch config holds that a queue is not sent from here."""
    for name, why in _REFUSED.items():
        if document.get(name):
            raise InputError(f"{where} has {name!r}: {why}", hint=f"leave {name!r} out of it")
    docker = document.get("docker")
    if isinstance(docker, Mapping) and docker.get("docker_image"):
        raise InputError(
            f"{where} has an image besides the job: {docker['docker_image']!r}",
            hint="launch it with --docker-image, which makes a job of it",
        )
    if document.get("run_id"):
        check_run_id(str(document["run_id"]))
    variables = document.get("template_variables") or {}
    if not isinstance(variables, Mapping):
        raise InputError(
            f"template_variables of {where} is not an object: {variables!r}",
            hint='such as {"template_variables": {"gpus": 2}}',
        )
    args = (document.get("overrides") or {}).get("args", [])
    if not isinstance(args, list):
        raise InputError(
            f"overrides.args of {where} is not a list: {args!r}", hint='such as ["--epochs", "3"]'
        )


def check_queue(asked: QueueAsked, queue: Queue) -> tuple[str, ...]:
    """What to warn of. Raises InputError where the queue cannot run what is asked for."""
    if asked.resource and queue.resource and asked.resource != queue.resource:
        raise InputError(
            f"queue {queue.name!r} runs jobs on {queue.resource}, not on {asked.resource}",
            hint=f"leave --resource away, or name a queue of {asked.resource}",
        )
    if not asked.resource and not queue.resource:
        raise InputError(
            f"queue {queue.name!r} has no configuration that says where its jobs run",
            hint="say it with --resource, such as kubernetes",
        )
    _check_resource_args(asked, queue)
    if asked.resource_args and (asked.set_var or asked.variables):
        raise InputError(
            "a queue takes resource args or values of its template variables, not both",
            hint="leave --resource-args or --set-var away",
        )
    if asked.priority is not None and not queue.prioritized:
        raise InputError(
            f"queue {queue.name!r} has no priorities",
            hint="leave --priority away, or name a queue that was made with them",
        )
    return tuple(_warnings(asked, queue))


def _warnings(asked: QueueAsked, queue: Queue) -> Iterator[str]:
    if asked.entrypoint and (asked.resource or queue.resource) == "local-container":
        # W&B SDK 0.31, `runner/local_container.py`: it reads the job's entry point alone.
        yield (
            f"agents of queue {queue.name!r} start the job's own entry point: the one that is "
            "given changes nothing"
        )


def _check_resource_args(asked: QueueAsked, queue: Queue) -> None:
    resource = asked.resource or queue.resource
    unknown = [name for name in asked.resource_args if name not in RESOURCES]
    if unknown:
        raise InputError(
            f"resource args are by resource, and {unknown[0]!r} is none",
            hint=f'such as {{"{resource}": {{...}}}}',
        )
    if asked.resource_args and resource not in asked.resource_args:
        raise InputError(
            f"queue {queue.name!r} runs jobs on {resource}, and the resource args are for "
            f"{', '.join(sorted(asked.resource_args))}",
            hint=f'write them as {{"{resource}": {{...}}}}',
        )
    for name, options in asked.resource_args.items():
        if not isinstance(options, Mapping):
            raise InputError(
                f"resource args of {name} are not an object but {type(options).__name__}",
                hint=f'such as {{"{resource}": {{...}}}}',
            )


def unknown_queue(name: str, entity: str, known: tuple[str, ...]) -> InputError:
    """The error for a queue that an entity does not have."""
    near = nearest(name, known, count=5, likeness=0.5)
    listed = f"did you mean {', '.join(near)}?" if near else f"it has: {', '.join(known[:20])}"
    return InputError(
        f"{entity!r} has no queue {name!r}",
        hint=listed if known else "name its --entity, or make one in W&B's app, under Launch",
    )


def run_spec(asked: QueueAsked, job: str) -> dict[str, Any]:
    """The run spec as `wandb launch --queue` makes it; `job` is `entity/project/name:version`.

    Unlike there, options win over the launch config in every key.
    """
    spec = copy.deepcopy(dict(asked.document))
    spec.pop("template_variables", None)
    overrides = dict(spec.get("overrides") or {})
    if asked.run_config:
        overrides["run_config"] = dict(asked.run_config)
    if asked.args:
        overrides["args"] = list(asked.args)
    if asked.entrypoint:
        overrides["entry_point"] = list(asked.entrypoint)
    spec |= {"job": job, "entity": asked.entity, "project": asked.project, "overrides": overrides}
    if asked.name:
        spec["name"] = asked.name
    if asked.resource_args:
        spec["resource_args"] = dict(asked.resource_args)
    return {"docker": {}, "git": {}, **spec, "resource": asked.resource or None}


def workflow_run(environment: Mapping[str, str]) -> str:
    """What CI calls this run of the workflow, the same when it is run again; empty outside."""
    named = ((name, environment.get(name, "")) for name in _WORKFLOW_RUNS)
    return next((f"{name}={value}" for name, value in named if value), "")


def run_ids(item: QueueItem, *, commit: str, workflow: str) -> Iterator[str]:
    """The ids that runs of this very request have, one after the other, without end.

    `item` has none yet. The same request of the same run of a workflow has the same ids wherever
    it is made: so it is found again at W&B. The next one is for a request whose run has failed.
    """
    queue, spec = item.queue, item.spec
    if commit and workflow:
        # Built again it may be another version (`--resolve-date latest`), of the same commit.
        spec = {**spec, "job": str(spec["job"]).rpartition(":")[0]}
    request = [queue.entity, queue.name, spec, item.variables, commit, workflow]
    text = json.dumps(request, sort_keys=True, ensure_ascii=False)
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{text}\n{attempt}".encode("utf-8", "surrogateescape")).digest()
        yield _letters(int.from_bytes(digest[:16], "big"))
        attempt += 1


def _letters(number: int) -> str:
    found = ""
    for _ in range(_RUN_ID_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        found += _DIGITS[digit]
    return found
