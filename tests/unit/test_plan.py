"""The plan: a pure function from what was read to everything that will be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from launch_action.core.checkout import Checkout, Repository
from launch_action.core.context import TreeFile
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import InputError, SourceError
from launch_action.core.image import Platform
from launch_action.core.inputs import Inputs
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.plan import LaunchPlan, plan
from launch_action.core.plan_steps import describe
from launch_action.core.python_version import PythonChoice
from launch_action.core.situation import Project, Situation

COMMIT = "4532ec17" + "0" * 32
CHECKOUT = Checkout(
    repository=Repository("/checkout", "/checkout/.git", "/checkout/.git"),
    subdirectory="",
    commit=COMMIT,
    commit_time=1_700_000_000,
    remote="https://token@github.com/acme/mono.git",
    remote_name="origin",
    branch="feature/x",
    default_branch="main",
    tags=(),
    dirty=(),
    untracked=0,
    shallow=False,
)
FILES = (TreeFile("train.py", "file", "git:1", 10),)
PROJECT = Project(
    build_context="",
    files=FILES,
    digest="d1",
    python=PythonChoice("3.12", "the default"),
    dependencies=DependencyInputs(
        "requirements", "requirements.txt", (("requirements.txt", b"six"),)
    ),
)
SITUATION = Situation(
    platform=Platform("linux", "amd64"),
    now=1_800_000_000,
    store_directory="/store",
    builder_format="f1",
)
INPUTS = Inputs(entry_point="python train.py")


def made(
    inputs: Inputs = INPUTS,
    checkout: Checkout = CHECKOUT,
    project: Project = PROJECT,
    situation: Situation = SITUATION,
) -> LaunchPlan:
    return plan(inputs, checkout, project, situation, run=False)


def layers(found: LaunchPlan) -> LayersPlan:
    assert found.build.builder == "layers"
    return found.build


def test_a_job_is_named_and_recorded_without_the_credential_of_its_remote() -> None:
    found = made()

    assert found.job_name == "job-https___github.com_acme_mono-train.py"
    assert found.remote == "https://github.com/acme/mono.git"
    assert "token" not in repr(describe(found))


def test_the_default_base_is_the_slim_image_of_the_wanted_python() -> None:
    assert str(layers(made()).base) == "docker.io/library/python:3.12-slim"


def test_unpinned_requirements_are_resolved_as_of_the_commits_day() -> None:
    assert made().build.cutoff == "2023-11-14T00:00:00Z"


def test_a_commit_of_the_future_is_resolved_as_of_today() -> None:
    late = replace(CHECKOUT, commit_time=SITUATION.now + 10**6)

    assert made(checkout=late).build.cutoff == "2027-01-15T00:00:00Z"


def test_pinned_requirements_have_no_cutoff_and_latest_is_never_a_known_key() -> None:
    pinned = replace(PROJECT, dependencies=replace(PROJECT.dependencies, pinned=True))
    latest = replace(INPUTS, resolve_date="latest")
    later = replace(SITUATION, now=SITUATION.now + 1)

    assert made(project=pinned).build.cutoff is None
    assert made(latest).build.cutoff is None
    assert made(latest).build.recipe != made(latest, situation=later).build.recipe
    assert (
        made(latest, project=pinned).build.recipe
        == made(latest, project=pinned, situation=later).build.recipe
    )


def test_what_an_untrusted_event_resolves_is_not_taken_for_what_a_trusted_one_does() -> None:
    outsider = replace(SITUATION, trusted=False)
    pinned = replace(PROJECT, dependencies=replace(PROJECT.dependencies, pinned=True))

    assert made(situation=outsider).build.recipe != made().build.recipe
    assert layers(made(situation=outsider)).dependency_key != layers(made()).dependency_key
    assert (
        made(project=pinned, situation=outsider).build.recipe == made(project=pinned).build.recipe
    )


def test_the_order_of_platforms_changes_nothing() -> None:
    one = made(
        replace(INPUTS, platform=("linux/arm64/v8", "linux/arm64", "linux/amd64", "linux/x86_64"))
    )
    other = made(replace(INPUTS, platform=("linux/amd64", "linux/arm64")))

    assert one.build.recipe == other.build.recipe
    assert [str(p) for p in one.build.platforms] == ["linux/amd64", "linux/arm64"]


@pytest.mark.parametrize("alias", ["key-x", f"sha256-{'a' * 64}", "-x", "a/b"])
def test_an_alias_that_cannot_be_is_refused_before_anything_is_built(alias: str) -> None:
    with pytest.raises(InputError, match=r"alias|tag"):
        made(replace(INPUTS, alias=(alias,)))


@pytest.mark.parametrize("date", ["tomorrow", "2999-01-01", "2024-13-01"])
def test_a_resolve_date_is_a_day_that_has_begun(date: str) -> None:
    with pytest.raises(InputError):
        made(replace(INPUTS, resolve_date=date))


def test_the_recipe_depends_on_content_and_not_on_commit_name_or_place() -> None:
    same = made().build.recipe
    elsewhere = replace(
        CHECKOUT,
        repository=Repository("/other", "/other/.git", "/other/.git"),
        commit="f" * 40,
        commit_time=CHECKOUT.commit_time + 3600,
        remote="git@host:x.git",
        branch=None,
    )

    assert made(replace(INPUTS, job_name="other"), checkout=elsewhere).build.recipe == same


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": replace(INPUTS, entry_point="python -u train.py")},
        {"inputs": replace(INPUTS, base_image="deb:bookworm")},
        {"inputs": replace(INPUTS, platform=("linux/arm64",))},
        {"inputs": replace(INPUTS, resolve_date="2024-01-01")},
        {"project": replace(PROJECT, digest="d2")},
        {"project": replace(PROJECT, python=PythonChoice("3.11", "--python"))},
        {
            "project": replace(
                PROJECT,
                dependencies=replace(PROJECT.dependencies, files=(("requirements.txt", b"idna"),)),
            )
        },
        {"checkout": replace(CHECKOUT, commit_time=CHECKOUT.commit_time + 86400)},
        {"situation": replace(SITUATION, builder_format="f2")},
    ],
)
def test_everything_that_decides_the_image_is_in_the_recipe(changed: dict[str, object]) -> None:
    assert made(**changed).build.recipe != made().build.recipe  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", [True, False])
def test_what_compiles_is_chosen_later_and_in_the_build_key(wanted: bool) -> None:
    build = made().build

    assert made(replace(INPUTS, compile=wanted)).build.recipe == build.recipe
    assert build.build_key(("base", "python")) != build.build_key(("base",))


def test_the_base_is_in_the_build_key() -> None:
    build = made().build

    assert build.build_key(("sha256:a",)) != build.build_key(("sha256:b",))


@pytest.mark.parametrize(
    ("situation", "aliases"),
    [
        ({}, ["feature-x", "latest"]),
        ({"ci": True, "default_branch": "main", "event_branch": "main"}, ["main", "latest"]),
        ({"ci": True, "default_branch": "main", "event_branch": "dev"}, ["dev"]),
        ({"ci": True, "event_branch": "latest"}, ["branch-latest"]),
        ({"ci": True, "event_branch": "pr-3"}, ["branch-pr-3"]),
        ({"ci": True, "event_tag": "v1.2.3"}, ["v1.2.3"]),
        ({"ci": True, "pull_request": 12, "base_branch": "main"}, ["pr-12"]),
    ],
)
def test_default_aliases_follow_the_event(situation: dict[str, object], aliases: list[str]) -> None:
    found = made(situation=replace(SITUATION, **situation))  # type: ignore[arg-type]

    assert list(found.aliases) == [f"sha-{COMMIT}", *aliases]


def test_a_preview_reuses_the_layers_of_its_base_branch() -> None:
    preview = replace(SITUATION, ci=True, pull_request=12, base_branch="main")

    assert {"pr-12", "main", "latest"} <= set(made(situation=preview).previous)


@pytest.mark.parametrize("alias", ["key-" + "0" * 32, "a/b", "-x"])
def test_an_alias_that_cannot_be_one_is_refused(alias: str) -> None:
    with pytest.raises(InputError):
        made(replace(INPUTS, alias=(alias,)))


def test_the_store_is_the_image_repository_or_a_directory_of_the_jobs_name() -> None:
    image = replace(INPUTS, image="GHCR.io/Acme/Train")

    assert made(image).store.name == "ghcr.io/acme/train"
    assert made(image).store.kind == "registry"
    assert made(replace(image, push=False)).store.directory == "/store/ghcr.io+acme+train"
    assert made().store.directory == "/store/job-https___github.com_acme_mono-train.py"


def test_push_needs_a_repository() -> None:
    with pytest.raises(InputError, match="push"):
        made(replace(INPUTS, push=True))


def test_changed_files_are_a_warning_or_an_error() -> None:
    dirty = replace(CHECKOUT, dirty=("a.py", "b.py"))

    assert any("'a.py'" in text for text in made(checkout=dirty).warnings)
    with pytest.raises(SourceError, match=r"a\.py"):
        made(replace(INPUTS, require_clean=True), checkout=dirty)


def test_a_name_that_is_not_safe_is_made_safe_and_said() -> None:
    found = made(replace(INPUTS, job_name="my job"))

    assert found.job_name == "my_job"
    assert any("my_job" in text for text in found.warnings)


def test_an_unused_dockerfile_is_one_warning() -> None:
    files = (*FILES, TreeFile("Dockerfile", "file", "git:2", 1))

    assert (
        len([t for t in made(project=replace(PROJECT, files=files)).warnings if "Dockerfile" in t])
        == 1
    )


def test_the_plan_reads_as_steps() -> None:
    assert [step["step"] for step in describe(made())] == [
        "source", "job", "base", "python", "dependencies", "build", "store", "alias",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "event_tag", "wanted"),
    [
        ({}, "", ()),
        ({}, "v1.2.3", ("sbom", "provenance")),
        ({"sbom": False}, "v1.2.3", ("provenance",)),
        ({"provenance": True}, "", ("provenance",)),
        ({"sbom": False, "provenance": False}, "v1.2.3", ()),
    ],
)
def test_a_release_is_attested_unless_told_otherwise(
    inputs: dict[str, Any], event_tag: str, wanted: tuple[str, ...]
) -> None:
    found = made(replace(INPUTS, **inputs), situation=replace(SITUATION, event_tag=event_tag))

    assert found.attest.wanted == wanted
    assert found.attest.open is (inputs == {} and not event_tag)
    assert found.build == made().build, "the image is not changed by it"
