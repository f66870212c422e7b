"""What a container may use: W&B's resource args by an allow-list, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import InputError
from launch_action.core.resources import (
    ContainerResources,
    Gpus,
    Ulimit,
    Volume,
    container_options,
    read_resources,
)

# W&B SDK 0.31, _DOCKER_ALLOWED_RESOURCE_ARGS, but for `command`, which docker run does not have.
WANDB_ALLOWS = {
    "cpu": 1, "cpu-period": 100000, "cpu-quota": 50000, "cpu-shares": 512, "cpus": "1.5",
    "cpuset-cpus": "0-1,3", "cpuset-mems": 0, "e": ["A=1", "B=x=y"], "env": "C=", "gpus": "all",
    "m": "1g", "memory": "512m", "memory-reservation": "100k", "memory-swap": -1, "name": "my-run",
    "pids-limit": 100, "platform": "linux/amd64", "shm-size": "2g", "ulimit": ["nofile=10:20"],
    "w": "/src", "workdir": "/src",
}  # fmt: skip
REFUSED = (
    "command", "privileged", "net", "network", "device", "cap-add", "security-opt", "pid", "ipc",
    "env-file", "user", "mount", "volumes-from", "add-host", "restart", "rm", "",
)  # fmt: skip


def read(options: Any, **given: Any) -> ContainerResources:
    return read_resources(container_options({"local-container": options}, "-R", **given), "-R")


@pytest.mark.parametrize("name", WANDB_ALLOWS)
def test_what_w_and_b_allows_is_read(name: str) -> None:
    assert read({name: WANDB_ALLOWS[name]}) != ContainerResources()


def test_values_are_docker_s() -> None:
    found = read(
        {
            "cpus": 1.5,
            "memory": "1.5g",
            "memory-swap": "-1",
            "shm_size": 1024,
            "--pids-limit": 7,
            "ulimit": "nofile=1024:2048",
            "env": ["A=1", "B=x=y"],
        }
    )
    assert found == ContainerResources(
        nano_cpus=1_500_000_000,
        memory=3 << 29,
        memory_swap=-1,
        shm_size=1024,
        pids_limit=7,
        ulimits=(Ulimit("nofile", 1024, 2048),),
        environment=(("A", "1"), ("B", "x=y")),
    )


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_by_name_before_it_runs(name: str) -> None:
    with pytest.raises(InputError, match="no option") as caught:
        read({name: True}, volumes=True)
    assert "cpus" in caught.value.hint


@pytest.mark.parametrize("name", ["v", "volume", "--volume", "Volumes"])
def test_a_volume_is_taken_from_the_command_line_alone(name: str) -> None:
    with pytest.raises(InputError, match="command line alone"):
        read({name: "/data:/data"})
    assert read({name: "/data:/data"}, volumes=True).volumes == (Volume("/data", "/data", False),)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("./data:/in:ro", Volume("./data", "/in", True)),
        ("cache:/cache:rw", Volume("cache", "/cache", False)),
    ],
)
def test_a_volume_is_source_target_and_mode(text: str, volume: Volume) -> None:
    assert read({"v": [text]}, volumes=True).volumes == (volume,)


@pytest.mark.parametrize("text", ["/data", "/data:data", ":/x", "a b:/x", "/a:/b:z", "/a:/b:ro:x"])
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="volume cannot be"):
        read({"volume": text}, volumes=True)


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("all", Gpus(-1)),
        (2, Gpus(2)),
        ("count=2,driver=nvidia", Gpus(2, driver="nvidia")),
        ('"device=0,GPU-3a"', Gpus(0, ("0", "GPU-3a"))),
        ('device=1,"capabilities=compute,utility"',
         Gpus(0, ("1",), capabilities=("compute", "utility"))),
    ],
)  # fmt: skip
def test_gpus_are_spelled_as_for_docker(text: str | int, gpus: Gpus) -> None:
    assert read({"gpus": text}).gpus == gpus


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpus", "many"), ("cpus", 0), ("cpus", "nan"), ("cpus", "-1"), ("cpus", [1, 2]),
        ("cpus", True), ("cpus", None), ("cpus", {"a": 1}), ("memory", "1x"), ("memory", "-1"),
        ("memory", ""), ("gpus", "some"), ("gpus", ""), ("gpus", "device=0,count=1"),
        ("ulimit", "nofile"), ("ulimit", ["a=1", ["b=2"]]), ("pids-limit", "1.5"), ("name", "-x"),
        ("platform", "linux"), ("workdir", "src"), ("cpuset-cpus", "1;2"), ("env", "TOKEN"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_with_its_option(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name) as caught:
        read({name: value})
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_options_of_other_places_are_passed_over() -> None:
    found = {"kubernetes": {"kind": "Job"}, "local-container": {"cpus": 2}, "local-process": {}}
    assert container_options(found, "-R") == {"cpus": 2}
    assert container_options({}, "-R") == {}


@pytest.mark.parametrize(
    "found", [{"cpus": 2}, {"env": {"TOKEN": "s3cret"}}, [{"cpus": 2}], "cpus", {3: 4}]
)
def test_options_that_stand_under_no_place_are_refused_without_their_values(found: Any) -> None:
    with pytest.raises(InputError, match="not options by resource") as caught:
        container_options(found, "-R")
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("options", [[], "", 0, False])
def test_options_that_are_no_object_are_refused_also_where_they_are_empty(options: Any) -> None:
    with pytest.raises(InputError, match="local-container is not an object"):
        container_options({"local-container": options}, "-R")
    assert container_options({"local-container": None}, "-R") == {}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.dictionaries(st.sampled_from([*WANDB_ALLOWS, *REFUSED, "v"]) | st.text(),
                       SCALARS | st.lists(SCALARS, max_size=3), max_size=4))  # fmt: skip
def test_anything_is_resources_or_an_input_error(options: dict[str, Any]) -> None:
    try:
        found: object = read(options, volumes=True)
    except InputError as error:
        found = error.message
    assert isinstance(found, ContainerResources) or "\n" not in str(found)
