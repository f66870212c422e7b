"""What a release says of its image: which wheels are in it, and how it came to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.buildx import find_buildx, inspect
from support.index import Index, make_wheel, serve_index
from support.program import Ended, Machine, files_below, succeeded
from support.registry import Logins
from support.repositories import REMOTE, Work, make_repository
from support.services import LocalRegistry

from launch_action.core.attestation import PREDICATE_TYPE, SLSA, SPDX
from launch_action.core.image import Manifest
from launch_action.core.ports import Content, read_blob
from launch_action.core.reference import Repository, Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

pytest_plugins = ["support.program_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

JOB = "job-https___github.com_acme_mono-train.py"
LOGIN = ("bot", "index-pass-4711")
RELEASE = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REPOSITORY": "acme/mono",
    "GITHUB_REF": "refs/tags/v1.0",
    "GITHUB_WORKFLOW_REF": "acme/mono/.github/workflows/release.yml@refs/tags/v1.0",
    "GITHUB_RUN_ID": "7001",
    "GITHUB_RUN_ATTEMPT": "1",
}


@pytest.fixture
def index() -> Iterator[Index]:
    """An index behind a login, with two packages."""
    with serve_index() as found:
        found.login = LOGIN
        found.add(make_wheel("idna", "3.7"))
        found.add(make_wheel("Typing_Extensions", "4.1"))
        yield found


@pytest.fixture
def developer(tmp_path: Path, index: Index) -> Machine:
    return Machine(tmp_path / "developer", also={"UV_DEFAULT_INDEX": index.url_with(*LOGIN)})


@pytest.fixture
def project(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "checkout")
    wheel, data = make_wheel("shipped", "2.0")
    made.commit(
        {
            "train.py": "import idna, shipped\n",
            "requirements.txt": f"idna\ntyping-extensions\n./wheels/{wheel}\n",
            f"wheels/{wheel}": data,
        }
    )
    return made


def release_of(machine: Machine, **also: str) -> Machine:
    """The machine within a workflow run that a pushed tag has started."""
    return replace(machine, also={**machine.also, **RELEASE, **also})


def build(machine: Machine, work: Work, options: tuple[str, ...], *more: str) -> Ended:
    return succeeded(machine.run("build", "--json", *options, *more, cwd=work.path))


def version(content: Content, selector: str) -> JobVersion:
    return JobStore(content).load(selector)


def manifest_of(content: Content, found: JobVersion) -> Manifest:
    assert len(found.attestations) == 1
    manifest = content.get_manifest(found.attestations[0].digest)
    assert manifest is not None
    return manifest


def statements(content: Content, found: JobVersion) -> dict[str, dict[str, Any]]:
    """The predicates of a version by their type; each is about the version's image."""
    predicates = {}
    for layer in manifest_of(content, found).layers():
        statement = json.loads(read_blob(content, layer))
        digests = [one["digest"]["sha256"] for one in statement["subject"]]
        assert digests == [found.images[0].digest.hex]
        assert statement["predicateType"] == layer.annotations[PREDICATE_TYPE]
        predicates[statement["predicateType"]] = statement["predicate"]
    return predicates


def wheels(sbom: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Version and download location of every wheel by its name."""
    return {
        one["name"]: (one["versionInfo"], one["downloadLocation"])
        for one in sbom["packages"]
        if one["SPDXID"].startswith("SPDXRef-Wheel-")
    }


def test_an_image_built_before_is_attested_when_it_is_released(
    developer: Machine, project: Work, options: tuple[str, ...], index: Index, tmp_path: Path
) -> None:
    """On another machine, with an empty cache, and an index that is gone."""
    built = build(developer, project, options).document
    content = LayoutContent(developer.layout(JOB), JOB)
    assert version(content, "main").attestations == ()
    runner = release_of(replace(developer, root=tmp_path / "runner"))
    index.files.clear()

    released = build(runner, project, options, "--store", str(developer.store))

    assert released.document["digest"] == built["digest"]
    assert released.document["cache_hit"] is True
    found = version(content, "v1.0")
    assert found.images == version(content, "main").images
    said = statements(content, found)
    assert set(said) == {SPDX, SLSA}
    commit = project.git("rev-parse", "HEAD")
    local = f"git+{REMOTE}@{commit}#wheels/shipped-2.0-py3-none-any.whl"
    assert wheels(said[SPDX]) == {
        "idna": ("3.7", f"{index.root}/files/idna/idna-3.7-py3-none-any.whl"),
        "typing-extensions": (
            "4.1",
            f"{index.root}/files/typing-extensions/Typing_Extensions-4.1-py3-none-any.whl",
        ),
        "shipped": ("2.0", local),
    }
    run = said[SLSA]["runDetails"]
    assert run["builder"]["id"] == f"https://github.com/{RELEASE['GITHUB_WORKFLOW_REF']}"
    assert run["metadata"]["invocationId"].endswith("/acme/mono/actions/runs/7001/attempts/1")


def test_the_list_of_wheels_goes_on_with_every_version_that_has_them(
    developer: Machine, project: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    """A source change on a fresh machine resolves nothing, and its release knows the wheels."""
    build(developer, project, options)
    project.commit({"train.py": "print('changed')\n"})
    other = replace(developer, root=tmp_path / "other")
    shared = ("--store", str(developer.store))

    changed = build(other, project, options, *shared)

    assert "resolve" not in changed.document["metadata"]["timings"]
    build(release_of(other), project, options, *shared)
    content = LayoutContent(developer.layout(JOB), JOB)
    found = wheels(statements(content, version(content, "v1.0"))[SPDX])
    assert set(found) == {"idna", "typing-extensions", "shipped"}
    assert all(location.startswith(("http://", "git+")) for _, location in found.values())


def test_wheels_of_layers_from_the_cache_are_known(
    developer: Machine, project: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    build(developer, project, options)
    elsewhere = ("--store", str(tmp_path / "elsewhere"))

    again = build(release_of(developer), project, options, *elsewhere)

    assert "resolve" not in again.document["metadata"]["timings"]
    content = LayoutContent(tmp_path / "elsewhere" / JOB, JOB)
    found = wheels(statements(content, version(content, "v1.0"))[SPDX])
    assert found["idna"][1].endswith("/idna-3.7-py3-none-any.whl")


def test_a_release_recorded_twice_is_one_version(
    developer: Machine, project: Work, options: tuple[str, ...]
) -> None:
    """Another attempt of the run, and later a push of the branch; other commits in between."""
    first = build(release_of(developer), project, options).document
    commit = project.git("rev-parse", "HEAD")
    project.commit()
    build(developer, project, options)  # another commit with the same image
    project.git("checkout", "--quiet", commit)

    second = build(release_of(developer, GITHUB_RUN_ATTEMPT="2"), project, options).document
    pushed = build(developer, project, options).document

    assert second["job_digest"] == first["job_digest"]
    assert pushed["job_digest"] == first["job_digest"]


def test_each_can_be_asked_for_and_left_out(
    developer: Machine, project: Work, options: tuple[str, ...]
) -> None:
    content = LayoutContent(developer.layout(JOB), JOB)

    build(developer, project, options, "--sbom")
    assert set(statements(content, version(content, "main"))) == {SPDX}
    build(release_of(developer), project, options, "--no-sbom")
    assert set(statements(content, version(content, "v1.0"))) == {SLSA}
    build(release_of(developer), project, options, "--no-sbom", "--no-provenance")
    assert version(content, "v1.0").attestations == ()


def test_the_plan_says_what_will_be_attested(
    developer: Machine, project: Work, options: tuple[str, ...]
) -> None:
    plan = build(release_of(developer), project, options, "--dry-run").document["plan"]

    assert {"step": "attest", "detail": "sbom, provenance"} in plan


def test_no_login_is_in_what_is_attested(
    developer: Machine, project: Work, options: tuple[str, ...]
) -> None:
    project.git("remote", "set-url", "origin", "https://me:ghp_4711@github.com/acme/mono.git")
    build(release_of(developer), project, options)

    secrets = (LOGIN[1].encode(), b"ghp_4711")
    assert not [
        path for path in files_below(developer.store) for s in secrets if s in path.read_bytes()
    ]


def test_a_current_buildx_shows_both(
    developer: Machine, project: Work, options: tuple[str, ...], registry: LocalRegistry
) -> None:
    name = f"{registry.address}/attested/train"
    build(release_of(developer), project, options, "--image", name)
    buildx = find_buildx()

    sbom = json.loads(inspect(buildx, f"{name}:v1.0", "{{json .SBOM}}"))
    provenance = json.loads(inspect(buildx, f"{name}:v1.0", "{{json .Provenance}}"))

    with Registries(Logins()) as registries:
        content = registries.open(Repository.parse(name))
        said = statements(content, version(content, Tag("v1.0")))
    (platform,) = sbom
    assert sbom[platform]["SPDX"] == said[SPDX]
    assert provenance[platform]["SLSA"] == said[SLSA]
