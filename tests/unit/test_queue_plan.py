"""What a queue is sent: the checks before it, the run spec, and the id of the run."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from launch_action.core.errors import InputError
from launch_action.core.inputs import Inputs
from launch_action.core.queue_plan import (
    Queue,
    QueueAsked,
    QueueItem,
    check_document,
    check_pushed,
    check_queue,
    check_queued,
    check_without_queue,
    run_ids,
    run_spec,
    unknown_queue,
    workflow_run,
)

ASKED = QueueAsked(queue="gpu", entity="acme", project="demo")
QUEUE = Queue(identifier="Q1", name="gpu", entity="acme", resource="kubernetes", prioritized=True)
JOB = "acme/demo/train:v3"


def ids(spec: dict[str, Any], count: int = 3, **changes: Any) -> list[str]:
    given: dict[str, Any] = {"commit": "c" * 40, "workflow": "GITHUB_RUN_ID=7", "variables": {}}
    given |= changes
    queue, variables = given.pop("queue", QUEUE), given.pop("variables")
    item = QueueItem(queue=queue, spec=spec, variables=variables)
    return list(islice(run_ids(item, **given), count))


def test_the_spec_of_a_bare_request_has_the_keys_that_wandb_sends() -> None:
    assert run_spec(ASKED, JOB) == {
        "job": JOB,
        "entity": "acme",
        "project": "demo",
        "docker": {},
        "resource": None,
        "git": {},
        "overrides": {},
    }


def test_options_win_over_the_launch_config_and_its_other_keys_stay() -> None:
    document = {
        "overrides": {"run_config": {"lr": 1}, "args": ["--old"], "files": {"a.yaml": {"x": 1}}},
        "resource": "sagemaker",
        "resource_args": {"sagemaker": {}},
        "template_variables": {"gpus": 1},
        "entity": "other",
        "project": "other",
        "name": "old",
        "author": "me",
        "builder": {"type": "noop"},
    }
    asked = replace(
        ASKED,
        document=document,
        run_config={"lr": 2},
        args=("--new",),
        entrypoint=("python", "other.py"),
        name="new",
        resource="kubernetes",
        resource_args={"kubernetes": {"kind": "Job"}},
    )

    assert run_spec(asked, JOB) == {
        "job": JOB,
        "entity": "acme",
        "project": "demo",
        "docker": {},
        "git": {},
        "name": "new",
        "author": "me",
        "builder": {"type": "noop"},
        "resource": "kubernetes",
        "resource_args": {"kubernetes": {"kind": "Job"}},
        "overrides": {
            "run_config": {"lr": 2},
            "args": ["--new"],
            "entry_point": ["python", "other.py"],
            "files": {"a.yaml": {"x": 1}},
        },
    }
    assert document["overrides"]["args"] == ["--old"]  # type: ignore[index]


def test_the_same_request_has_the_same_ids_and_any_other_has_others() -> None:
    spec = run_spec(ASKED, JOB)
    first = ids(spec)

    assert first == ids(dict(reversed(spec.items())))
    assert len(set(first)) == 3
    for found in first:
        assert len(found) == 12
        assert found.isalnum()
        assert found == found.lower()
    others = [
        ids({**spec, "overrides": {"run_config": {"lr": 1}}}),
        ids(spec, commit="d" * 40),
        ids(spec, workflow="GITHUB_RUN_ID=8"),
        ids(spec, variables={"gpus": 1}),
        ids(spec, queue=replace(QUEUE, name="cpu")),
        ids(spec, queue=replace(QUEUE, entity="other")),
    ]
    assert not {one for other in others for one in other} & set(first)


def test_of_a_workflow_the_commit_counts_and_else_the_version() -> None:
    first, second = run_spec(ASKED, "acme/demo/train:v3"), run_spec(ASKED, "acme/demo/train:v4")

    assert ids(first) == ids(second)
    assert ids(first, workflow="") != ids(second, workflow="")
    assert ids(first, commit="") != ids(second, commit="")


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "2"}, "GITHUB_RUN_ID=7"),
        ({"CI_PIPELINE_ID": "3"}, "CI_PIPELINE_ID=3"),
        ({"GITHUB_RUN_ID": "", "BUILD_TAG": "jenkins-train-4"}, "BUILD_TAG=jenkins-train-4"),
        ({"HOME": "/root"}, ""),
    ],
)
def test_the_run_of_a_workflow_is_the_same_in_every_attempt(
    environment: dict[str, str], found: str
) -> None:
    assert workflow_run(environment) == found


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (Inputs(queue="gpu"), "stays in a directory of this machine"),
        (Inputs(queue="gpu", image="ghcr.io/a/b", push=False), "nothing is pushed"),
    ],
)
def test_an_image_that_stays_here_cannot_be_queued(inputs: Inputs, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_pushed(inputs)

    assert said in caught.value.message


def test_an_image_of_a_registry_can_be_queued() -> None:
    check_pushed(Inputs(queue="gpu", docker_image="ghcr.io/a/b"))
    check_pushed(Inputs(queue="gpu", image="ghcr.io/a/b"))


def test_a_queue_gets_no_environment_of_ours() -> None:
    with pytest.raises(InputError) as caught:
        check_queued(Inputs(queue="gpu", env=("TOKEN=s3cr3t",)))

    assert "--env TOKEN" in caught.value.message
    assert "s3cr3t" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("resource", ["kubernetes", "sagemaker", "gcp-vertex"])
def test_a_cluster_is_reached_through_a_queue_alone(resource: str) -> None:
    with pytest.raises(InputError) as caught:
        check_without_queue(resource)

    assert f"{resource} is reached through a W&B Launch queue" in caught.value.message
    assert "--queue" in caught.value.hint


@pytest.mark.parametrize("resource", ["", "local-container", "local-process"])
def test_a_resource_of_this_machine_needs_no_queue(resource: str) -> None:
    check_without_queue(resource)


@pytest.mark.parametrize(
    ("asked", "queue", "said"),
    [
        ({"resource": "sagemaker"}, {}, "'gpu' runs jobs on kubernetes, not on sagemaker"),
        ({}, {"resource": ""}, "no configuration that says where"),
        ({"priority": 0}, {"prioritized": False}, "'gpu' has no priorities"),
        ({"resource_args": {"sagemaker": {}}}, {}, "the resource args are for sagemaker"),
        ({"resource_args": {"kind": "Job"}}, {}, "resource args are by resource, and 'kind'"),
        ({"resource_args": {"kubernetes": []}}, {}, "not an object but list"),
        ({"resource_args": {"kubernetes": {}}, "set_var": ("a=1",)}, {}, "not both"),
        (
            {"resource_args": {"kubernetes": {}}, "document": {"template_variables": {"a": 1}}},
            {},
            "not both",
        ),
    ],
)
def test_what_the_queue_cannot_run_is_refused(
    asked: dict[str, Any], queue: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_queue(replace(ASKED, **asked), replace(QUEUE, **queue))

    assert said in caught.value.message


def test_a_queue_without_a_configuration_takes_the_resource_that_is_given() -> None:
    assert check_queue(replace(ASKED, resource="kubernetes"), replace(QUEUE, resource="")) == ()


def test_what_a_queue_passes_over_is_a_warning() -> None:
    plain = replace(QUEUE, prioritized=False, resource="local-container")

    assert check_queue(replace(ASKED, priority=0), QUEUE) == ()
    assert "start the job's own" in check_queue(replace(ASKED, entrypoint=("a",)), plain)[0]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"job": "a/b/c:v1"}, "has 'job'"),
        ({"uri": "https://github.com/a/b"}, "has 'uri'"),
        ({"_wandb_api_key": "k" * 40}, "has '_wandb_api_key'"),
        ({"docker": {"docker_image": "a:b"}}, "an image besides the job: 'a:b'"),
        ({"overrides": {"args": "--fast"}}, "overrides.args of --config is not a list"),
        ({"overrides": {"args": {"a": 1}}}, "overrides.args of --config is not a list"),
        ({"run_id": "a/b c"}, "not a run id: 'a/b c'"),
        ({"template_variables": "gpus=2"}, "template_variables of --config is not an object"),
    ],
)
def test_a_launch_config_that_contradicts_the_launch_is_refused(
    document: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_document(document, "--config")

    assert said in caught.value.message
    assert "kkkk" not in caught.value.message


def test_an_unknown_queue_has_the_nearest_names() -> None:
    assert "did you mean gpu-a100" in unknown_queue("gpu-a10", "acme", ("cpu", "gpu-a100")).hint
    assert unknown_queue("x", "acme", ("cpu", "gpu")).hint == "it has: cpu, gpu"
    assert "--entity, or make one" in unknown_queue("x", "acme", ()).hint
