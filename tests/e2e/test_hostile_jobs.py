"""Job versions that somebody else wrote into a store: nothing of this machine is read for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.git_remotes import PASSWORD, USERNAME, http_server
from support.program import Machine, failed, succeeded

from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobFiles, VersionSpec
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]

COMMIT = "a" * 40
NAME = "foreign"


def put(machine: Machine, document: Any, *, name: str = NAME, schema: bytes | None = None) -> None:
    """A version with this job document in the local store, as `foreign:latest`."""
    store = JobStore(LayoutContent(machine.store / NAME, NAME))
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    spec = VersionSpec(
        job_name=name,
        remote="",
        commit="",
        created="2024-05-01T12:00:00Z",
        build_key="",
        images=(),
        files=JobFiles(data, b"", schema),
    )
    store.point(store.record(spec, allow_rename=True).version, [Tag("latest")])


def of_git(remote: str, commit: str = COMMIT, own: Any = None, **source: Any) -> dict[str, Any]:
    git = {"remote": remote, "commit": commit}
    return {
        "source_type": "repo",
        "source": {"git": git, "entrypoint": ["python", "job.py"], **source},
        "runtime": "3.11",
        "_launch_action": own or {},
    }


@pytest.mark.parametrize("remote", ["{here}/private", "private", ".", "-x", "", "file://{here}"])
@pytest.mark.parametrize("commit", [COMMIT, ""])
def test_a_directory_of_this_machine_is_no_remote(
    machine: Machine, tmp_path: Path, remote: str, commit: str
) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/job.py").write_text("a secret")
    put(machine, of_git(remote.format(here=tmp_path), commit))

    ended = failed(machine.run("build", NAME, "--dry-run", "--json", cwd=tmp_path), 2)

    assert "not an address" in ended.error
    assert machine.leftovers() == []


@pytest.mark.parametrize("commit", ["main", "", "--upload-pack=touch x", "HEAD", COMMIT[:12]])
def test_what_moves_is_no_commit(machine: Machine, tmp_path: Path, commit: str) -> None:
    put(machine, of_git("http://127.0.0.1:9/a.git", commit))

    assert "names no commit" in failed(machine.run("build", NAME, cwd=tmp_path), 6).error


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"build_context": "/etc"}, 2),
        ({"build_context": "a/../../.."}, 2),
        ({"build_context": "a\0b"}, 2),
        ({"entrypoint": ["python", "a\0b.py"]}, 2),
        ({"entrypoint": ["python", "x" * 1_000_000]}, 2),
        ({"entrypoint": 5}, 6),
    ],
)
def test_what_leaves_the_source_or_cannot_be_is_refused(
    machine: Machine, git_url: str, tmp_path: Path, source: dict[str, Any], code: int
) -> None:
    url, commit = git_url.rsplit(" ", 1)
    put(machine, of_git(url, commit, **source))

    failed(machine.run("build", NAME, "--dry-run", cwd=tmp_path), code)
    assert machine.leftovers() == []


@pytest.fixture(scope="module")
def git_url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from support.git_remotes import http_server

    with http_server(tmp_path_factory.mktemp("served")) as server:
        commit = server.commit("mono", {"job.py": "print(1)\n"})
        yield f"{server.url('mono')} {commit}"


@pytest.mark.parametrize(
    "own", [{"base": 5}, {"base": ["x"]}, {"base": [{}]}, {"builder": {"a": 1}, "cutoff": [1]}]
)
def test_a_document_of_another_shape_is_shown(
    machine: Machine, tmp_path: Path, own: dict[str, Any]
) -> None:
    document = of_git("https://host/a", own=own)
    document["input_types"] = {"params": {"type_map": {"a": 5}}}
    put(machine, document, name="one\nversion  forged\x1b[2J")

    shown = succeeded(machine.run("job", "describe", NAME, cwd=tmp_path)).out
    listed = succeeded(machine.run("job", "list", cwd=tmp_path)).out

    assert sum(line.startswith("version") for line in shown.splitlines()) == 1
    assert len(listed.splitlines()) == 2
    assert "\x1b" not in shown + listed


@pytest.mark.parametrize("schema", [b"{not json", b"[" * 100_000, b"5"])
def test_a_schema_that_is_none_is_told(machine: Machine, tmp_path: Path, schema: bytes) -> None:
    put(machine, of_git("https://host/a"), schema=schema)

    failed(machine.run("job", "describe", NAME, cwd=tmp_path), 6)


@pytest.mark.parametrize("document", [b"5", b"{", b'{"a":' * 50_000, {"source": "x"}])
def test_a_document_that_is_none_is_told(machine: Machine, tmp_path: Path, document: Any) -> None:
    put(machine, document)

    for command in (("build", NAME), ("job", "describe", NAME), ("run", NAME)):
        failed(machine.run(*command, cwd=tmp_path), 6)


def test_the_environment_s_token_goes_to_no_host_that_a_document_names(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    tokened = replace(machine, also={"GIT_TOKEN": PASSWORD, "GIT_USERNAME": USERNAME})
    with http_server(tmp_path / "bare", login=(USERNAME, PASSWORD)) as server:
        put(machine, of_git(server.url("acme/mono.git")))
        ended = tokened.run("build", NAME, "--dry-run", cwd=tmp_path)

    assert "the login" in failed(ended, 3).error
    assert "$GIT_TOKEN is not sent" in ended.err
