"""The arguments of docker buildx and the query of the engine: pure functions of the plan."""

from __future__ import annotations

import json

import pytest
from unit.test_plan import PROJECT, made

from launch_action.builders.buildkit.arguments import (
    Output,
    Places,
    build_arguments,
    cache_argument,
    check_arguments,
)
from launch_action.builders.buildkit.engine import engine_query
from launch_action.builders.buildkit.rungs import (
    Buildx,
    EngineBuild,
    Rung,
    check_age,
    check_engine_build,
    needs_more,
)
from launch_action.core.build_options import BuildOptions, Secret
from launch_action.core.dataclass import replace
from launch_action.core.dockerfile_choice import Dockerfile
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.errors import InputError
from launch_action.core.image import Platform

RUNG = Buildx("0.29.1", "docker-container", "v0.20.0")
PLACES = Places("/c", "/d/Dockerfile", "/m.json", Output("layout", "/out"))
LAYOUT = "type=oci,dest=/out,tar=false,oci-mediatypes=true,rewrite-timestamp=true"


NO_OPTIONS = BuildOptions()


def planned(options: BuildOptions = NO_OPTIONS, *platforms: str) -> DockerfilePlan:
    project = replace(PROJECT, dockerfile=Dockerfile("Dockerfile", b"FROM a", "why"))
    found = made(project=replace(project, options=options)).build
    assert isinstance(found, DockerfilePlan)
    several = tuple(map(Platform.parse, platforms)) or found.platforms
    return replace(found, platforms=several)


def test_the_least_that_is_said() -> None:
    assert build_arguments(planned(), RUNG, PLACES) == (
        "buildx", "build", "--progress=plain", "--file=/d/Dockerfile", "--metadata-file=/m.json",
        "--provenance=false", "--platform=linux/amd64", f"--output={LAYOUT}", "/c",
    )  # fmt: skip


TABLE: list[tuple[dict[str, object], list[str]]] = [
    ({"build_args": (("A", "1 2"), ("B", ""))}, ["--build-arg=A=1 2", "--build-arg=B="]),
    ({"target": "-x"}, ["--target=-x"]),
    ({"ssh": ("default", "k=/p")}, ["--ssh=default", "--ssh=k=/p"]),
    ({"labels": (("a", "b=c"),)}, ["--label=a=b=c"]),
    ({"annotations": (("a", "b"),)}, ["--annotation=a=b"]),
    ({"add_hosts": ("h:192.0.2.1",)}, ["--add-host=h:192.0.2.1"]),
    ({"network": "none"}, ["--network=none"]),
    ({"network": "host"}, ["--network=host", "--allow=network.host"]),
    ({"shm_size": "2g"}, ["--shm-size=2g"]),
    ({"ulimits": ("nofile=1:2",)}, ["--ulimit=nofile=1:2"]),
    ({"no_cache": True, "pull": True}, ["--no-cache", "--pull"]),
    ({"cache_from": ("ghcr.io/a/b:c",)}, ["--cache-from=type=registry,ref=ghcr.io/a/b:c"]),
    ({"check": True}, []),
]


@pytest.mark.parametrize(("options", "words"), TABLE)
def test_each_option_becomes_its_words(options: dict[str, object], words: list[str]) -> None:
    least = build_arguments(planned(), RUNG, PLACES)
    found = build_arguments(planned(BuildOptions(**options)), RUNG, PLACES)  # type: ignore[arg-type]

    assert [word for word in found if word not in least] == words
    assert found[-1] == "/c"


def test_several_platforms_are_one_option() -> None:
    found = build_arguments(planned(BuildOptions(), "linux/amd64", "linux/arm64"), RUNG, PLACES)

    assert "--platform=linux/amd64,linux/arm64" in found


def test_a_secrets_value_is_in_no_argument() -> None:
    plan = planned(BuildOptions(secrets=(Secret("npm", "value", "hunter2"),)))
    found = build_arguments(plan, RUNG, replace(PLACES, secrets=(("npm", "/proc/1/fd/3"),)))

    assert "--secret=id=npm,src=/proc/1/fd/3" in found
    assert "hunter2" not in repr(found)


def test_bases_are_pinned_by_named_contexts() -> None:
    found = build_arguments(
        planned(), RUNG, replace(PLACES, pins=(("python:3", "docker.io/library/python@sha256:1"),))
    )

    pinned = "--build-context=python:3=docker-image://docker.io/library/python@sha256:1"
    assert pinned in found


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            Output("push", "ghcr.io/a/b"),
            ["--output=type=image,name=ghcr.io/a/b,push=true,push-by-digest=true,"
             "name-canonical=true,oci-mediatypes=true,rewrite-timestamp=true"],
        ),
        (Output("engine", "/id"), ["--load", "--iidfile=/id"]),
    ],
)  # fmt: skip
def test_where_the_image_goes(output: Output, words: list[str]) -> None:
    found = build_arguments(planned(), RUNG, replace(PLACES, output=output))

    assert list(found[-1 - len(words) : -1]) == words


def test_a_builder_of_our_own_is_named() -> None:
    named = replace(RUNG, name="launch-action-1")

    assert "--builder=launch-action-1" in build_arguments(planned(), named, PLACES)
    assert "--builder=launch-action-1" in check_arguments(planned(), named, PLACES)


REGISTRY = "image-manifest=true,oci-mediatypes=true,ignore-error=true"


@pytest.mark.parametrize(
    ("cache", "actions", "write", "argument"),
    [
        ("registry", False, False, "type=registry,ref=r:buildcache"),
        ("registry", False, True, f"type=registry,ref=r:buildcache,mode=max,{REGISTRY}"),
        ("ghcr.io/a:b", False, False, "type=registry,ref=ghcr.io/a:b"),
        ("type=registry,ref=x,mode=min", False, True, f"type=registry,ref=x,mode=min,{REGISTRY}"),
        ("gha", True, False, "type=gha,version=2"),
        ("gha", True, True, "type=gha,version=2,mode=max,ignore-error=true"),
        ("type=gha,scope=a", True, True, "type=gha,scope=a,version=2,mode=max,ignore-error=true"),
        ("gha", False, True, ""),
        ("auto", True, False, "type=gha,version=2"),
        ("auto", False, False, "type=registry,ref=r:buildcache"),
        ("inline", False, True, "type=inline"),
        ("type=local,dest=/x,ignore-error=false", False, True,
         "type=local,dest=/x,ignore-error=false,mode=max"),
    ],
)  # fmt: skip
def test_a_cache_is_filled_in(cache: str, actions: bool, write: bool, argument: str) -> None:
    assert cache_argument(cache, repository="r", actions=actions, write=write) == argument


def test_a_registry_cache_needs_a_repository() -> None:
    assert cache_argument("registry", repository="", actions=False, write=True) == ""


# ---- the engine without buildx -------------------------------------------------------------------


def test_the_engine_is_asked_with_every_option_that_it_knows() -> None:
    options = BuildOptions(
        build_args=(("A", "1"),), target="t", labels=(("l", "v"),), add_hosts=("h=192.0.2.1",),
        network="host", shm_size="2g", ulimits=("nofile=1:2", "core=0"), no_cache=True,
        cache_from=("r:c",),
    )  # fmt: skip

    assert engine_query(planned(options), "sub/Dockerfile", "") == {
        "version": "2",
        "dockerfile": "sub/Dockerfile",
        "platform": "linux/amd64",
        "buildargs": json.dumps({"A": "1"}),
        "labels": json.dumps({"l": "v"}),
        "target": "t",
        "extrahosts": ["h:192.0.2.1"],
        "networkmode": "host",
        "shmsize": str(2 << 30),
        "ulimits": json.dumps(
            [{"Name": "nofile", "Soft": 1, "Hard": 2}, {"Name": "core", "Soft": 0, "Hard": 0}]
        ),
        "cachefrom": json.dumps(["r:c"]),
        "nocache": "1",
    }
    assert set(engine_query(planned(), "Dockerfile", "")) == {"version", "dockerfile", "platform"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (BuildOptions(secrets=(Secret("a", "value", "b"),)), "secret"),
        (BuildOptions(ssh=("default",)), "ssh"),
        (BuildOptions(cache_to=("registry",)), "cache-to"),
        (BuildOptions(cache_from=("gha",)), "cache-from"),
        (BuildOptions(annotations=(("a", "b"),)), "annotation"),
        (BuildOptions(check=True), "check"),
    ],
)
def test_what_the_engine_alone_cannot_is_named_with_the_fix(
    options: BuildOptions, name: str
) -> None:
    with pytest.raises(InputError, match=f"input '{name}' needs docker buildx") as told:
        check_engine_build(planned(options))

    assert "buildx" in told.value.hint


def test_what_the_engine_alone_can_is_let_through() -> None:
    check_engine_build(planned(BuildOptions(build_args=(("a", "b"),), cache_from=("r:c",))))
    with pytest.raises(InputError, match="'platform'"):
        check_engine_build(planned(BuildOptions(), "linux/amd64", "linux/arm64"))


@pytest.mark.parametrize(
    "rung", [EngineBuild("20.10.24+dfsg1"), Buildx("0.29.1", "docker", "v0.8+unknown")]
)
def test_what_an_old_builder_would_pass_over_is_refused(rung: Rung) -> None:
    for options in (BuildOptions(ulimits=("nofile=1",)), BuildOptions(shm_size="1g")):
        with pytest.raises(InputError, match="is not known to"):
            check_age(planned(options), rung)
    check_age(planned(BuildOptions(network="none", add_hosts=("a:1",))), rung)


@pytest.mark.parametrize("rung", [EngineBuild("28.5.2"), Buildx("0.29.1", "docker", "v0.25.1")])
def test_a_newer_builder_knows_limits(rung: Rung) -> None:
    check_age(planned(BuildOptions(ulimits=("nofile=1",), shm_size="1g")), rung)


# ---- the rungs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "platforms", "name"),
    [
        (BuildOptions(), ("linux/amd64",), ""),
        (BuildOptions(cache_to=("inline",)), ("linux/amd64",), ""),
        (BuildOptions(cache_to=("type=gha",)), ("linux/amd64",), "cache-to"),
        (BuildOptions(annotations=(("a", "b"),)), ("linux/amd64",), "annotation"),
        (BuildOptions(), ("linux/amd64", "linux/arm64"), "platform"),
    ],
)
def test_what_an_engines_own_store_is_not_enough_for(
    options: BuildOptions, platforms: tuple[str, ...], name: str
) -> None:
    assert needs_more(planned(options, *platforms)) == name


@pytest.mark.parametrize(
    ("version", "pins"),
    [("v0.8+unknown", False), ("v0.9.3", False), ("v0.10.0", True), ("v0.25.1", True),
     ("v0.0.0+unknown", True), ("", True)],
)  # fmt: skip
def test_old_builders_pin_nothing_by_named_contexts(version: str, pins: bool) -> None:
    assert Buildx("0.29.1", "docker", version).named_contexts is pins


def test_an_engine_with_images_in_containerd_is_not_limited() -> None:
    assert Buildx("0.29.1", "docker").limited
    assert not Buildx("0.29.1", "docker", containerd=True).limited
    assert not Buildx("0.29.1", "docker-container").limited


def test_a_builder_elsewhere_pushes_by_itself_where_it_reaches_the_registry() -> None:
    assert not Buildx("0.29.1", "docker-container").pushes(loopback=False)
    assert Buildx("0.29.1", "remote", endpoint="tcp://b:1").pushes(loopback=False)
    assert not Buildx("0.29.1", "remote", endpoint="tcp://b:1").pushes(loopback=True)
    assert Buildx("0.29.1", "remote", endpoint="unix:///b").pushes(loopback=True)
