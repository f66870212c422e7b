"""Which Dockerfile is built: the rules, the plan they come to, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from unit.test_plan import CHECKOUT, PROJECT, SITUATION, made

from launch_action.core.build_options import BuildOptions
from launch_action.core.context import TreeFile
from launch_action.core.dataclass import replace
from launch_action.core.dockerfile_choice import (
    Dockerfile,
    DockerfileChoice,
    below_folder,
    choose_dockerfile,
)
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.dockerfile_read import ignore_file, read_dockerfile
from launch_action.core.errors import InputError
from launch_action.core.inputs import Inputs
from launch_action.core.plan import LaunchPlan, plan
from launch_action.core.plan_steps import describe

ENTRY = ("python", "jobs/a/train.py", "--epochs", "3")


def chosen(
    *paths: str, builder: str = "auto", dockerfile: str = "", entry: tuple[str, ...] = ENTRY
) -> DockerfileChoice | None:
    return choose_dockerfile(Inputs(builder=builder, dockerfile=dockerfile), set(paths), entry)


def test_a_named_dockerfile_is_built_whatever_lies_beside_the_script() -> None:
    found = chosen("jobs/a/Dockerfile.wandb", "docker/x", dockerfile="./docker/x")

    assert found == DockerfileChoice("docker/x", "asked for with --dockerfile")


def test_the_folder_of_a_dockerfile_beside_the_script_is_the_context() -> None:
    found = chosen("jobs/a/Dockerfile.wandb", "Dockerfile")

    assert found is not None
    assert (found.path, found.folder) == ("Dockerfile.wandb", "jobs/a")
    assert "jobs/a/Dockerfile.wandb" in found.reason


def test_a_module_has_no_folder_but_the_contexts_root() -> None:
    found = chosen("Dockerfile.wandb", "pkg/Dockerfile.wandb", entry=("python", "-m", "pkg.main"))

    assert found is not None
    assert (found.path, found.folder) == ("Dockerfile.wandb", "")


@pytest.mark.parametrize(
    ("paths", "path"),
    [(("Dockerfile.wandb", "Dockerfile"), "Dockerfile.wandb"), (("Dockerfile",), "Dockerfile"),
     (("x/Dockerfile",), "")],
)  # fmt: skip
def test_asked_for_buildkit_takes_the_roots_dockerfile_else_makes_one(
    paths: tuple[str, ...], path: str
) -> None:
    found = chosen(*paths, builder="buildkit")

    assert found is not None
    assert found.path == path


def test_a_dockerfile_at_the_root_alone_asks_for_nothing() -> None:
    assert chosen("Dockerfile") is None
    assert chosen("jobs/a/Dockerfile.wandb", builder="layers") is None


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", ".."])
def test_a_dockerfile_outside_its_context_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="outside the build context"):
        chosen("x", dockerfile=path)


def test_a_dockerfile_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no Dockerfile 'Dockerfil'") as told:
        chosen("Dockerfile", dockerfile="Dockerfil")

    assert "Dockerfile" in told.value.hint


def test_what_only_a_dockerfile_build_has_is_refused_without_one() -> None:
    for inputs in (Inputs(secret=("a=b",)), Inputs(builder="layers", cache_to=("gha",))):
        with pytest.raises(InputError, match="is for a Dockerfile") as told:
            choose_dockerfile(inputs, set(), ENTRY)
        assert "a=b" not in told.value.message


def test_the_layers_builder_and_a_dockerfile_contradict_each_other() -> None:
    with pytest.raises(InputError, match="builds no Dockerfile"):
        chosen("x", builder="layers", dockerfile="x")


@pytest.mark.parametrize(
    ("entry", "folder", "inside"),
    [
        (("python", "a/b/x.py", "a/b/x.yaml"), "a/b", ("python", "x.py", "a/b/x.yaml")),
        (("python", "./a/x.py"), "a", ("python", "x.py")),
        (("a/run.sh",), "a", ("run.sh",)),
        (("python", "x.py"), "", ("python", "x.py")),
    ],
)
def test_the_entry_point_is_relative_to_the_folder(
    entry: tuple[str, ...], folder: str, inside: tuple[str, ...]
) -> None:
    assert below_folder(entry, folder) == inside


# ---- reading it ----------------------------------------------------------------------------------


class Files:
    """A context of these contents; a link's is its target, marked by `->`."""

    def __init__(self, contents: dict[str, str]) -> None:
        self.contents_of = contents
        self.files = tuple(
            TreeFile(path, "symlink" if text.startswith("->") else "file", path, len(text))
            for path, text in sorted(contents.items())
        )

    def read(self, path: str) -> bytes | None:
        text = self.contents_of.get(path)
        return None if text is None else text.removeprefix("->").encode()

    def contents(self, files: Iterable[TreeFile]) -> Iterator[tuple[TreeFile, Iterator[bytes]]]:
        for file in files:
            yield file, iter([self.read(file.path) or b""])


def test_links_to_a_dockerfile_are_followed_inside_the_context() -> None:
    context = Files({"Dockerfile": "->docker/main", "docker": "->real", "real/main": "FROM a"})

    found = read_dockerfile(context, DockerfileChoice("Dockerfile", "why"))

    assert (found.path, found.text) == ("Dockerfile", "FROM a")
    assert read_dockerfile(context, DockerfileChoice("docker/main", "")).text == "FROM a"


@pytest.mark.parametrize("target", ["../Dockerfile", "/etc/passwd"])
def test_a_link_out_of_the_context_is_refused(target: str) -> None:
    with pytest.raises(InputError, match="leaves the build context"):
        read_dockerfile(Files({"Dockerfile": f"->{target}"}), DockerfileChoice("Dockerfile", ""))


def test_a_link_to_nothing_is_told() -> None:
    with pytest.raises(InputError, match="no file of the commit"):
        read_dockerfile(Files({"Dockerfile": "->gone"}), DockerfileChoice("Dockerfile", ""))


def test_a_dockerfiles_own_ignore_file_takes_the_place_of_the_contexts() -> None:
    context = Files({".dockerignore": "a", "docker/x.dockerignore": "b"})

    assert ignore_file(context, "docker/x") == "docker/x.dockerignore"
    assert ignore_file(context, "docker/y") == ".dockerignore"


# ---- the plan ------------------------------------------------------------------------------------

DOCKERFILE = Dockerfile("Dockerfile.wandb", b"ARG V=1\nFROM a:$V", "why", "jobs/a")
OPTIONS = BuildOptions(build_args=(("V", "2"),))
WITH_DOCKERFILE = replace(
    PROJECT, build_context="mono/jobs/a", dockerfile=DOCKERFILE, options=OPTIONS
)
INPUTS = Inputs(entry_point="python jobs/a/train.py")


def planned(**changes: object) -> LaunchPlan:
    project = replace(WITH_DOCKERFILE, **changes)  # type: ignore[arg-type]
    return plan(INPUTS, CHECKOUT, project, SITUATION, run=False)


def recipe(**changes: object) -> str:
    return planned(**changes).build.recipe


def test_the_job_is_named_and_recorded_as_with_wandb() -> None:
    found = planned()

    assert found.job_name == "job-https___github.com_acme_mono-mono_jobs_a_train.py"
    assert (found.source.build_context, found.source.dockerfile) == (
        "mono/jobs/a",
        "Dockerfile.wandb",
    )
    assert found.build.entrypoint == ("python", "train.py")
    assert isinstance(found.build, DockerfilePlan)
    assert found.build.bases == ("a:2",)
    assert {"step": "build", "detail": "buildkit: why"} in describe(found)


@pytest.mark.parametrize(
    "changed",
    [
        {"digest": "other"},
        {"dockerfile": replace(DOCKERFILE, content=b"FROM b")},
        {"options": replace(OPTIONS, build_args=())},
        {"options": replace(OPTIONS, target="x")},
        {"options": replace(OPTIONS, labels=(("a", "b"),))},
        {"options": replace(OPTIONS, add_hosts=("a:1",))},
        {"options": replace(OPTIONS, network="host")},
    ],
)
def test_what_decides_the_image_is_in_its_recipe(changed: dict[str, object]) -> None:
    assert recipe(**changed) != recipe()


@pytest.mark.parametrize(
    "changed",
    [
        {"dockerfile": replace(DOCKERFILE, reason="another")},
        {"options": replace(OPTIONS, no_cache=True, pull=True, check=True)},
        {"options": replace(OPTIONS, cache_from=("gha",), cache_to=("gha",))},
    ],
)
def test_what_does_not_decide_it_is_not(changed: dict[str, object]) -> None:
    assert recipe(**changed) == recipe()


def test_a_generated_dockerfile_stands_on_the_plan_without_one() -> None:
    project = replace(PROJECT, dockerfile=Dockerfile("", b"", "why"))
    found = made(project=project).build

    assert isinstance(found, DockerfilePlan)
    assert found.generated is not None
    assert found.bases == ("docker.io/library/python:3.12-slim",)
    assert made(project=replace(project, digest="x")).build.recipe != found.recipe


def test_a_generated_dockerfile_needs_a_base_of_a_registry() -> None:
    project = replace(PROJECT, dockerfile=Dockerfile("", b"", "why"))

    with pytest.raises(InputError, match="deb:bookworm"):
        made(replace(INPUTS, base_image="deb:bookworm"), project=project)
