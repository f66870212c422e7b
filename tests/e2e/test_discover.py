"""Which jobs changed, between commits of real repositories, as workflows ask for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.git_remotes import ACCOUNT, PASSWORD, USERNAME, http_server
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work, git, make_repository

pytest_plugins = ["support.program_fixtures"]

FILE = """\
defaults:
  entry-point: python main.py
  base-image: deb:bookworm
jobs:
  a: {build-context: jobs/a}
  b: {build-context: jobs/b, paths: [libs/, '!*.md']}
  Docker: {build-context: jobs/c, dockerfile: Dockerfile}
"""
DOCKERFILE = "FROM scratch\nCOPY . /app\n"


@pytest.fixture
def repository(tmp_path: Path) -> Work:
    """Three jobs, committed on the default branch, which is pushed."""
    made = make_repository(tmp_path / "checkout")
    made.commit({
        "launch.yaml": FILE,
        **{f"jobs/{name}/main.py": "print(1)\n" for name in ("a", "b", "c")},
        "jobs/c/Dockerfile": DOCKERFILE,
        "README.md": "# mono\n",
    })  # fmt: skip
    made.git("update-ref", "refs/remotes/origin/main", "HEAD")
    made.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    made.git("checkout", "--quiet", "-b", "topic")
    return made


def discover(machine: Machine, work: Work, *arguments: str) -> dict[str, list[str]]:
    """The reasons of every job by its key."""
    ended = succeeded(machine.run("discover", *arguments, "--json", cwd=work.path))
    return {one["key"]: one["reasons"] for one in ended.document["jobs"]}


def changed(found: Mapping[str, list[str]]) -> list[str]:
    return [key for key, reasons in found.items() if reasons]


def keys(ended: Ended) -> list[str]:
    return [one["job"] for one in json.loads(ended.out)["include"]]


def test_the_matrix_is_all_that_is_printed_and_the_reasons_are_told(
    machine: Machine, repository: Work
) -> None:
    repository.commit({"jobs/a/main.py": "print(2)\n", "README.md": "# changed\n"})

    ended = succeeded(machine.run("discover", cwd=repository.path))

    assert ended.out == '{"include":[{"job":"a"}]}\n'
    assert "a: files of its build context: main.py" in ended.err
    assert "b: not changed" in ended.err


def test_nothing_changed_is_a_matrix_too(machine: Machine, repository: Work) -> None:
    repository.commit({"README.md": "# changed\n"})

    ended = succeeded(machine.run("discover", "--output", "matrix", cwd=repository.path))

    assert ended.out == 'matrix={"include":[]}\nmatrix-any=false\n'


@pytest.mark.parametrize(
    ("files", "wanted", "reason"),
    [
        ({"jobs/a/requirements.txt": "tomli==2.2.1\n"}, "a", "files of its build context"),
        ({"jobs/a/.dockerignore": "*.py\n"}, "a", "files of its build context"),
        ({".python-version": "3.12\n"}, "a", "Python 3.11 to 3.12"),
        ({"jobs/a/.python-version": "3.12\n"}, "a", "Python 3.11 to 3.12"),
        ({"jobs/c/Dockerfile": f"{DOCKERFILE}ENV A=1\n"}, "Docker", "files of its build context"),
        ({"launch.yaml": FILE.replace("jobs/a}", "jobs/a, python: '3.12'}")}, "a",
         "its options: python"),
        ({"launch.yaml": FILE.replace("jobs/a}", "jobs/a, env: {A: 1}}")}, "a",
         "its options: env"),
        ({"launch.yaml": FILE.replace("  a: {", "  new: {build-context: jobs/a, job-name: n}\n"
                                      "  a: {")}, "new", "it is not in launch.yaml of the base"),
        ({"launch.yaml": f"image: ghcr.io/acme/x\n{FILE}"}, "b", "its repository"),
        ({"libs/common.py": "x = 1\n"}, "b", "files of its `paths`: libs/common.py"),
    ],
)  # fmt: skip
def test_what_decides_a_job_changes_it(
    files: Mapping[str, str], wanted: str, reason: str, machine: Machine, repository: Work
) -> None:
    repository.commit(files)

    found = discover(machine, repository)

    assert any(one.startswith(reason) for one in found[wanted]), found
    if ".python-version" not in files and "image:" not in str(files):
        assert changed(found) == [wanted]


@pytest.mark.parametrize(
    "files",
    [
        {"launch.yaml": f"# a comment\n{FILE}"},
        {"launch.yaml": FILE.replace("jobs/b, ", "jobs/b,    ")},
        {"libs/README.md": "text\n"},
        {"jobs/d/main.py": "print(1)\n"},
        {},
    ],
)
def test_what_decides_no_job_changes_none(
    files: Mapping[str, str], machine: Machine, repository: Work
) -> None:
    repository.commit(files)

    assert changed(discover(machine, repository)) == []


def test_a_file_that_is_ignored_changes_nothing(machine: Machine, repository: Work) -> None:
    repository.commit({"jobs/a/.dockerignore": "notes/\n"})
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"jobs/a/notes/x.md": "text\n"})

    assert changed(discover(machine, repository, "--base", base)) == []


def test_a_later_day_alone_changes_nothing(machine: Machine, repository: Work) -> None:
    repository.commit({"jobs/a/requirements.txt": "tomli\n"})
    base = repository.git("rev-parse", "HEAD")
    repository.git("-c", "user.name=x", "commit", "--quiet", "--allow-empty", "--message", "later")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    text = (
        f"tree {tree}\nparent {base}\nauthor A <a@b> 1800000000 +0000\n"
        "committer A <a@b> 1800000000 +0000\n\nlater\n"
    )
    later = repository.git("hash-object", "-w", "-t", "commit", "--stdin", stdin=text.encode())
    repository.git("reset", "--quiet", "--hard", later)

    assert changed(discover(machine, repository, "--base", base)) == []


def test_commits_of_the_base_branch_since_then_are_no_change(
    machine: Machine, repository: Work
) -> None:
    repository.commit({"jobs/a/main.py": "print(2)\n"})
    repository.git("checkout", "--quiet", "main")
    tip = repository.commit({"jobs/b/main.py": "print(3)\n"})
    repository.git("update-ref", "refs/remotes/origin/main", tip)
    repository.git("checkout", "--quiet", "topic")

    assert changed(discover(machine, repository)) == ["a"]
    assert changed(discover(machine, repository, "--base", "main")) == ["a"]


def test_on_the_default_branch_it_is_the_last_commit(machine: Machine, repository: Work) -> None:
    repository.git("checkout", "--quiet", "main")
    tip = repository.commit({"jobs/b/main.py": "print(3)\n"})
    repository.git("update-ref", "refs/remotes/origin/main", tip)

    assert changed(discover(machine, repository)) == ["b"]


def test_all_jobs_and_jobs_of_keys_are_taken(machine: Machine, repository: Work) -> None:
    assert changed(discover(machine, repository, "--all")) == ["a", "b", "Docker"]
    assert list(discover(machine, repository, "--only", "docker,a")) == ["a", "Docker"]


def test_a_job_that_cannot_be_built_counts_as_changed(machine: Machine, repository: Work) -> None:
    repository.commit({"launch.yaml": f"{FILE}  gone: {{build-context: nowhere}}\n"})
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"jobs/a/main.py": "print(2)\n"})

    found = discover(machine, repository, "--base", base)

    assert changed(found) == ["a", "gone"]
    assert "cannot be built: the commit" in found["gone"][0]


@pytest.mark.parametrize("text", [None, "jobs: [broken"])
def test_where_the_base_lists_no_jobs_all_are_new(
    text: str | None, machine: Machine, repository: Work
) -> None:
    (repository.path / "launch.yaml").unlink()
    base = repository.commit({"launch.yaml": text} if text else {})
    repository.commit({"launch.yaml": FILE})

    found = discover(machine, repository, "--base", base)

    assert changed(found) == ["a", "b", "Docker"]
    assert found["a"][0].startswith("the base")


def test_without_a_file_or_a_base_it_says_what_to_do(machine: Machine, tmp_path: Path) -> None:
    bare = make_repository(tmp_path / "bare")
    bare.commit({"x": ""})
    no_file = failed(machine.run("discover", cwd=bare.path), 2)
    bare.commit({"launch.yaml": "jobs: {a: {entry-point: python x}}"})
    no_base = failed(machine.run("discover", cwd=bare.path), 2)
    unknown = failed(machine.run("discover", "--base", "v9", cwd=bare.path), 3)

    assert no_file.error.startswith("no file at the commit lists jobs")
    assert "--base" in no_base.hint
    assert "fetch-depth: 0" in unknown.hint


def of_event(machine: Machine, payload: Mapping[str, Any], **variables: str) -> Machine:
    """The machine as a runner at an event."""
    content = json.dumps(payload)
    event = machine.root / f"event-{hashlib.sha256(content.encode()).hexdigest()[:8]}.json"
    event.parent.mkdir(parents=True, exist_ok=True)
    event.write_text(content)
    named = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(event), "CI": "true"}
    return replace(machine, also={**named, **variables})


def test_in_a_workflow_the_event_says_what_it_is_a_change_of(
    machine: Machine, repository: Work
) -> None:
    first = repository.commit({"jobs/a/main.py": "print(2)\n"})
    head = repository.commit({"jobs/b/main.py": "print(2)\n"})
    pushed = of_event(machine, {"before": first}, GITHUB_EVENT_NAME="push", GITHUB_SHA=head)
    new = of_event(machine, {"before": "0" * 40}, GITHUB_EVENT_NAME="push", GITHUB_SHA=head)
    main = repository.git("rev-parse", "main")
    pull = {
        "number": 7, "head": {"sha": head, "ref": "topic", "repo": {"full_name": "acme/mono"}},
        "base": {"sha": main, "ref": "main"},
    }  # fmt: skip
    pulled = of_event(
        machine, {"pull_request": pull}, GITHUB_EVENT_NAME="pull_request", GITHUB_SHA=head
    )

    scheduled = of_event(machine, {}, GITHUB_EVENT_NAME="schedule")

    assert changed(discover(pushed, repository)) == ["b"]
    assert changed(discover(pulled, repository)) == ["a", "b"]
    assert changed(discover(new, repository)) == ["a", "b", "Docker"]
    assert changed(discover(scheduled, repository)) == ["a", "b", "Docker"]


def test_a_shallow_checkout_whose_remote_is_not_reached_takes_all(
    machine: Machine, repository: Work, tmp_path: Path
) -> None:
    first = repository.git("rev-parse", "HEAD")
    head = repository.commit({"jobs/b/main.py": "print(2)\n"})
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository.path}", str(shallow))
    git(shallow, "remote", "set-url", "origin", "http://127.0.0.1:9/acme/mono.git")
    event = of_event(machine, {"before": first}, GITHUB_EVENT_NAME="push", GITHUB_SHA=head)

    ended = succeeded(event.run("discover", cwd=shallow))

    assert keys(ended) == ["a", "b", "Docker"]
    assert "fetch-depth: 0" in ended.err
    assert not event.leftovers()


def test_the_base_of_a_shallow_checkout_is_brought_from_the_remote(
    machine: Machine, tmp_path: Path
) -> None:
    with http_server(tmp_path / "served", login=ACCOUNT) as server:
        files = {"launch.yaml": FILE, "jobs/c/Dockerfile": DOCKERFILE}
        scripts = {f"jobs/{name}/main.py": "print(1)\n" for name in ("a", "b", "c")}
        first = server.commit("acme/mono.git", {**files, **scripts})
        server.commit("acme/mono.git", {"jobs/b/main.py": "print(2)\n"})
        head = server.commit("acme/mono.git", {"libs/x.py": "x = 1\n"})
        shallow = tmp_path / "shallow"
        address = server.url("acme/mono.git", f"{USERNAME}:{quote(PASSWORD, safe='')}@")
        git(tmp_path, "clone", "--quiet", "--depth=1", address, str(shallow))
        git(shallow, "remote", "set-url", "origin", server.url("acme/mono.git"))
        event = of_event(
            machine, {"before": first}, GITHUB_EVENT_NAME="push", GITHUB_SHA=head,
            GIT_USERNAME=USERNAME, GIT_TOKEN=PASSWORD,
        )  # fmt: skip

        found = discover(event, Work(shallow))

    assert changed(found) == ["b"]
    assert len(found["b"]) == 2
    assert not event.leftovers()
