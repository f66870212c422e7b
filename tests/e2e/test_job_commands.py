"""`launch-action job`: versions are listed, shown, promoted and deleted, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.program import Ended, Machine, failed, succeeded
from support.registry import PASSWORD, USERNAME, running
from support.repositories import Work

pytest_plugins = ["support.program_fixtures"]

LOGIN = {
    "LAUNCH_ACTION_REGISTRY_USERNAME": USERNAME,
    "LAUNCH_ACTION_REGISTRY_PASSWORD": PASSWORD,
}


@dataclass(frozen=True)
class Place:
    """Where two versions of a job are: `job` is its reference without an alias."""

    machine: Machine
    work: Work
    job: str
    older: str
    newer: str
    deletes: bool

    def run(self, *arguments: str) -> Ended:
        return self.machine.run("job", *arguments, cwd=self.work.path)

    def aliases(self) -> list[list[str]]:
        """The aliases of every version, those of commits cut; sorted."""
        found = succeeded(self.run("list", self.job, "--json")).document["versions"]
        return sorted([alias[:8] for alias in one["aliases"]] for one in found)


@pytest.fixture(
    params=[
        pytest.param("registry", marks=pytest.mark.registry),
        pytest.param("keeping registry", marks=pytest.mark.registry),
        "layout",
    ]
)
def place(
    request: pytest.FixtureRequest,
    machine: Machine,
    work: Work,
    options: tuple[str, ...],
    tmp_path: Path,
) -> Iterator[Place]:
    """A registry that deletes, one that does not, both with a password; or the local store."""
    if request.param == "layout":
        yield _built(machine, work, options, "train", (), deletes=True)
        return
    deletes = request.param == "registry"
    with running(tmp_path / "registry", password=True, delete=deletes) as registry:
        name = f"{registry.address}/acme/train"
        user = replace(machine, also=LOGIN)
        yield _built(user, work, options, name, ("--image", name), deletes=deletes)


def _built(
    machine: Machine,
    work: Work,
    options: tuple[str, ...],
    job: str,
    image: tuple[str, ...],
    *,
    deletes: bool,
) -> Place:
    """The work built at two commits, of which the second has another requirement."""
    older = work.git("rev-parse", "HEAD")
    build = ("build", "-J", "train", *image, *options)
    succeeded(machine.run(*build, cwd=work.path))
    work.commit({"requirements.txt": "tomli==2.0.1\n"})
    newer = work.git("rev-parse", "HEAD")
    succeeded(machine.run(*build, "-a", "pr-3", cwd=work.path))
    return Place(machine, work, job, older, newer, deletes)


@pytest.mark.network
def test_versions_are_listed_shown_promoted_and_deleted(place: Place) -> None:
    assert place.aliases() == [["latest", "main", "pr-3", f"sha-{place.newer[:4]}"],
                               [f"sha-{place.older[:4]}"]]  # fmt: skip

    shown = succeeded(
        place.run("describe", f"{place.job}:pr-3", "--against", f"sha-{place.older}", "--json")
    ).document
    assert shown["commit"] == place.newer
    assert shown["packages"] == {"tomli": "2.0.1"}
    assert shown["against"]["commits"] == f"{place.older}..{place.newer}"
    assert shown["against"]["packages"] == [
        {"name": "tomli", "change": "added", "before": None, "after": "2.0.1"}
    ]

    # A release of the older version, by its digest; then the preview goes.
    succeeded(place.run("promote", f"{place.job}:sha-{place.older}", "latest", "v1"))
    lie = failed(place.run("promote", f"{place.job}:v1", "v2", f"sha-{place.newer}"), 2)
    assert place.older in lie.error
    succeeded(place.run("promote", f"{place.job}:v1", f"sha-{place.older}"))
    succeeded(place.run("delete", place.job, "--alias", "pr-3"))
    assert place.aliases() == [["latest", f"sha-{place.older[:4]}", "v1"],
                               ["main", f"sha-{place.newer[:4]}"]]  # fmt: skip
    gone = failed(place.run("describe", f"{place.job}:pr-3"), 6)
    assert "pr-3" in gone.error
    assert "pr-3" not in gone.hint

    # The newer version is still reached by a branch, so it stays.
    reached = failed(place.run("delete", f"{place.job}:sha-{place.newer}"), 6)
    assert "main" in reached.error
    succeeded(place.run("delete", place.job, "--alias", "main"))
    succeeded(place.run("delete", f"{place.job}:sha-{place.newer}"))
    assert place.aliases() == [["latest", f"sha-{place.older[:4]}", "v1"]]
    ran = place.machine.run(
        "run", f"{place.job}:v1", "-r", "local-process", "--json", cwd=place.work.path
    )
    assert succeeded(ran).document["metrics"] == {"ok": 1}


@pytest.mark.network
@pytest.mark.registry
def test_a_version_is_promoted_into_another_repository_with_its_digest(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    with running(tmp_path / "registry") as registry:
        preview, release = f"{registry.address}/acme/preview", f"{registry.address}/acme/release"
        built = succeeded(
            machine.run("build", "--json", "--image", preview, *options, cwd=work.path)
        ).document

        moved = machine.run("job", "promote", f"{preview}:latest", f"{release}:v1", cwd=work.path)

        assert succeeded(moved).out.split() == ["v1", f"{release}@{built['job_digest']}"]
        ran = machine.run("run", f"{release}:v1", "-r", "local-process", "--json", cwd=work.path)
        assert succeeded(ran).document["job_digest"] == built["job_digest"]
        # Another job's repository is not taken over.
        succeeded(
            machine.run("build", "-J", "other", "--image", preview + "2", *options, cwd=work.path)
        )
        refused = machine.run(
            "job", "promote", f"{preview}2:latest", f"{release}:v2", cwd=work.path
        )
        assert "'other'" in failed(refused, 6).error


def test_what_is_not_there_is_told_with_what_is(machine: Machine, work: Work) -> None:
    assert succeeded(machine.run("job", "list", "--json", cwd=work.path)).document == {
        "versions": []
    }
    assert "build one" in failed(machine.run("job", "describe", "train", cwd=work.path), 6).hint
    machine.store.mkdir()
    (machine.store / ".DS_Store").write_text("left by a file manager")
    assert len(succeeded(machine.run("job", "list", cwd=work.path)).out.splitlines()) == 1
    assert "build one" in failed(machine.run("job", "describe", "train", cwd=work.path), 6).hint
    failed(machine.run("job", "describe", "../train", cwd=work.path), 2)
    failed(machine.run("job", "promote", "train", "not a tag", cwd=work.path), 2)
    failed(machine.run("job", "promote", "train", "key-" + "0" * 32, cwd=work.path), 2)
    failed(machine.run("job", "promote", "train", "ghcr.io/acme/train", cwd=work.path), 2)
