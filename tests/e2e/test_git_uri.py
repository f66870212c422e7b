"""A job from the address of a git repository; and what is recorded is what others can get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from support.git_remotes import ACCOUNT, PASSWORD, USERNAME, GitServer, http_server, ssh_server
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work, git, make_repository

pytest_plugins = ["support.program_fixtures"]

NAME = "acme/mono.git"
SCRIPT = """\
import json, os, pathlib
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"ok": 1}))
"""


@pytest.fixture
def mono(tmp_path: Path) -> Work:
    """A repository with a job in a directory, at two commits; a bare copy lies in `bare`."""
    work = make_repository(tmp_path / "mono", remote=None)
    work.commit({"jobs/hello/job.py": SCRIPT, "README": "no job"})
    work.git("tag", "v1")
    work.commit({"jobs/hello/job.py": SCRIPT + "print('second')\n"})
    bare = tmp_path / "bare" / NAME
    git(tmp_path, "clone", "--quiet", "--mirror", str(work.path), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    return work


@pytest.fixture
def server(mono: Work, tmp_path: Path) -> Iterator[GitServer]:
    with http_server(tmp_path / "bare", login=ACCOUNT) as running:
        yield running


@pytest.fixture
def job(options: tuple[str, ...]) -> tuple[str, ...]:
    return (
        "--build-context",
        "jobs/hello",
        *options[2:],
        "--entry-point",
        "python job.py",
        "--json",
    )


def recorded(machine: Machine, document: dict[str, object]) -> dict[str, object]:
    """The job document, from the local store."""
    found: dict[str, object] = succeeded(
        machine.run("job", "describe", f"{document['job_name']}:latest", "--json", cwd=machine.root)
    ).document["wandb_job"]
    return found


def test_a_commit_of_a_remote_with_a_password_is_built_and_run(
    machine: Machine, mono: Work, server: GitServer, job: tuple[str, ...], tmp_path: Path
) -> None:
    address = server.url(NAME, f"{USERNAME}:{quote(PASSWORD, safe='')}@")
    machine.root.mkdir()

    ran = succeeded(
        machine.run("launch", "-u", address, "-r", "local-process", *job, cwd=machine.root)
    )
    again = succeeded(
        replace(machine, also={"GIT_TOKEN": PASSWORD, "GIT_USERNAME": USERNAME}).run(
            "build", "--uri", server.url(NAME), "--git-hash", "v1", *job, cwd=machine.root
        )
    )

    assert ran.document["metrics"] == {"ok": 1}
    assert ran.document["metadata"]["commit"] == mono.git("rev-parse", "HEAD")
    assert {"main", "latest"} <= set(ran.document["tags"])
    assert again.document["metadata"]["commit"] == mono.git("rev-parse", "v1")
    source = recorded(machine, again.document)["source"]
    assert source["git"] == {"remote": server.url(NAME), "commit": mono.git("rev-parse", "v1")}  # type: ignore[index]
    assert source["build_context"] == "jobs/hello"  # type: ignore[index]
    for ended in (ran, again):
        assert PASSWORD not in ended.out + ended.err
    for path in tmp_path.joinpath("machine").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
    assert machine.leftovers() == []


FILE = """\
jobs:
  hello: {build-context: jobs/hello, entry-point: python job.py}
  other: {build-context: jobs/other, entry-point: python job.py}
"""


@pytest.fixture
def listed(mono: Work, tmp_path: Path) -> Work:
    """The same with a launch file at `v2`, which the commit after it has no more."""
    mono.commit({"launch.yaml": FILE, "jobs/other/job.py": SCRIPT + "print('other')\n"})
    mono.git("tag", "v2")
    mono.git("rm", "--quiet", "launch.yaml")
    mono.git("commit", "--quiet", "--message=no file")
    mono.git("push", "--quiet", "--mirror", str(tmp_path / "bare" / NAME))
    return mono


def test_the_launch_file_of_a_remote_s_commit_lists_its_jobs(
    machine: Machine, listed: Work, server: GitServer, options: tuple[str, ...]
) -> None:
    machine.root.mkdir()
    logged_in = replace(machine, also={"GIT_TOKEN": PASSWORD, "GIT_USERNAME": USERNAME})
    at = ("--uri", server.url(NAME), "--git-hash", "v2", *options[2:], "--json")

    def run(*arguments: str) -> Ended:
        return logged_in.run(*arguments, cwd=machine.root)

    ran = succeeded(run("launch", *at, "-r", "local-process", "--job", "other")).document
    assert ran["metrics"] == {"ok": 1}
    assert ran["metadata"]["commit"] == listed.git("rev-parse", "v2")
    assert ran["metadata"]["build_context"] == "jobs/other"
    built = succeeded(run("build", *at)).document
    assert [one["key"] for one in built["metadata"]["jobs"]] == ["hello", "other"]
    assert built["metadata"]["jobs"][1]["cache_hit"] is True
    again = succeeded(run("build", *at, "--only", "hello")).document
    assert again["job"] == built["job"][0]

    # Of that commit: another one has no such file, and no such job.
    last = run("launch", "--uri", server.url(NAME), *options[2:], "--job", "other")
    assert "job 'other' is of no file" in failed(last, 2).error
    wrong = failed(run("launch", *at, "--job", "othr"), 2)
    assert "did you mean 'other'?" in wrong.hint
    # A reference is no key.
    assert "--job names a version" in failed(run("launch", *at, "--job", "a:b"), 2).error
    assert machine.leftovers() == []


def test_the_launch_file_of_a_remote_does_not_say_where_things_go(
    machine: Machine, mono: Work, server: GitServer, options: tuple[str, ...], tmp_path: Path
) -> None:
    """It may be other people's, who would have our login push, and our queue run what they like."""
    machine.root.mkdir()
    there = "image: localhost:1/ours/train\n" + FILE.replace(
        ", ent", ", queue: gpu, project: p, ent"
    )
    mono.commit({"launch.yaml": there, "jobs/other/job.py": SCRIPT})
    mono.git("push", "--quiet", "--mirror", str(tmp_path / "bare" / NAME))
    logged_in = replace(machine, also={"GIT_TOKEN": PASSWORD, "GIT_USERNAME": USERNAME})
    at = ("--uri", server.url(NAME), *options[2:], "--json", "-r", "local-process")

    ran = succeeded(logged_in.run("launch", *at, "--job", "hello", cwd=machine.root))

    assert ran.document["run_status"] == "succeeded"
    assert ran.document["pushed"] is False
    assert "queue 'gpu' of another repository is not taken; say --queue" in ran.err
    named = logged_in.run("build", *at[:-2], "--image", "localhost:1/mine", cwd=machine.root)
    assert "cannot reach localhost:1" in failed(named, 5).error


def test_without_a_login_it_is_told_at_once(
    machine: Machine, server: GitServer, job: tuple[str, ...], tmp_path: Path
) -> None:
    ended = machine.run("build", "-u", server.url(NAME), *job, cwd=tmp_path)

    assert "asks for a login" in failed(ended, 3).error
    assert ended.seconds < 30
    assert machine.leftovers() == []


def test_a_commit_of_a_remote_by_ssh_is_built(
    machine: Machine, mono: Work, job: tuple[str, ...], tmp_path: Path
) -> None:
    with ssh_server(tmp_path / "sshd") as server:
        address = server.url(tmp_path / "bare" / NAME)
        keyed = replace(machine, also={"LAUNCH_ACTION_SSH_KEY": server.key.read_text()})
        ended = keyed.run(
            "build", "-u", address, "--ssh-known-hosts", str(server.known_hosts), *job, cwd=tmp_path
        )
        document = succeeded(ended).document
        assert recorded(machine, document)["source"]["git"]["remote"] == address  # type: ignore[index]
        assert document["metadata"]["commit"] == mono.git("rev-parse", "HEAD")


@pytest.mark.parametrize("uri", ["ext::sh -c true", "file:///etc", "-x", "git://host/a", "nowhere"])
def test_what_is_no_address_is_refused(
    machine: Machine, job: tuple[str, ...], tmp_path: Path, uri: str
) -> None:
    failed(machine.run("build", f"--uri={uri}", *job, cwd=tmp_path), 2)


def test_a_commit_that_was_never_pushed_is_refused(
    machine: Machine, mono: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    build = ("build", "--json", "-b", "jobs/hello", *options[2:], "-E", "python job.py")
    with http_server(tmp_path / "bare") as server:
        mono.git("remote", "add", "origin", server.url(NAME))
        pushed = machine.run(*build, cwd=mono.path)
        mono.commit({"jobs/hello/new.py": ""})
        unpushed = machine.run(*build, cwd=mono.path)
        said = machine.run(*build, "--no-check-remote", cwd=mono.path)
    away = machine.run(*build, "--check-remote", "-a", "x", cwd=mono.path)
    mono.commit({"jobs/hello/newer.py": ""})
    strict = machine.run(*build, "--check-remote", cwd=mono.path)
    warned = machine.run(*build, cwd=mono.path)

    succeeded(pushed)
    assert "is not at its remote" in failed(unpushed, 3).error
    assert unpushed.document["job"] is None
    succeeded(said)
    succeeded(away)  # this version was recorded before
    assert "cannot be reached" in failed(strict, 3).error
    assert "was not found out" in succeeded(warned).err


def test_a_pull_requests_job_is_of_the_commit_that_was_pushed(
    machine: Machine, mono: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    main, head = mono.git("rev-parse", "v1"), mono.git("rev-parse", "HEAD")
    merge = mono.commit({"merge": "made by the server"})
    event = tmp_path / "event.json"
    repository = {"full_name": "acme/mono"}
    event.write_text(json.dumps({
        "pull_request": {"number": 7, "head": {"sha": head, "ref": "topic", "repo": repository},
                         "base": {"ref": "main", "sha": main}},
        "repository": repository,
    }))  # fmt: skip
    in_actions = replace(machine, also={
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_SHA": merge,
        "GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "acme/mono",
    })  # fmt: skip
    build = ("build", "--json", "-b", "jobs/hello", *options[2:], "-E", "python job.py")
    with http_server(tmp_path / "bare") as server:
        mono.git("remote", "add", "origin", server.url(NAME))
        here = in_actions.run(*build, cwd=mono.path)
        shallow = Work(tmp_path / "shallow")
        git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{mono.path}", str(shallow.path))
        shallow.git("remote", "set-url", "origin", server.url(NAME))
        fetched = in_actions.run(*build, cwd=shallow.path)

    for ended in (here, fetched):
        document = succeeded(ended).document
        assert document["metadata"]["commit"] == head
        assert {f"sha-{head}", "pr-7"} <= set(document["tags"])
