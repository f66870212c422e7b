"""Several jobs of one repository: what launch.yaml lists is built at once, and told of together."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.jobs import eventually, gone
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work, make_repository
from support.services import LocalRegistry
from support.versions import check_complete
from support.wandb_api.server import serve
from support.wandb_queue import Hand, make_queue, queued

from launch_action.core.outputs import OUTPUTS
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]

SCRIPT = """\
import json, os, pathlib
print("hello from", os.environ.get("WHO"))
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"ok": 1}))
"""
KEYS = {output.name for output in OUTPUTS}


@pytest.fixture
def repository(tmp_path: Path) -> Work:
    """A checkout with three directories of jobs and no launch file yet."""
    made = make_repository(tmp_path / "checkout")
    made.write({f"jobs/{name}/main.py": SCRIPT for name in ("a", "b", "c")})
    return made


@pytest.fixture
def base(python_base_layout: Path) -> tuple[str, ...]:
    """A base that is on this machine, which only the command line may name."""
    return ("--base-image", f"oci:{python_base_layout}", "--python", "3.11")


def listing(*keys: str, more: str = "", **jobs: str) -> dict[str, str]:
    """A launch file with a job per key in the directory of its lower-case name."""
    lines = [more.rstrip()] if more else []
    lines.append("jobs:")
    for key in keys:
        lines += [
            f"  {key}:",
            f"    build-context: jobs/{key.lower()}",
            "    entry-point: python main.py",
        ]
        lines += [f"    {line}" for line in jobs.get(key, "").splitlines()]
    return {"launch.yaml": "\n".join(lines) + "\n"}


def jobs_of(ended: Ended) -> dict[str, dict[str, Any]]:
    """The document of each job by its key."""
    found: Mapping[str, Any] = ended.document["metadata"]
    assert found["file"] == "launch.yaml"
    return {one["key"]: one for one in found["jobs"]}


def test_all_jobs_of_the_file_are_built_and_each_has_its_document(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    commit = repository.commit(listing("a", "B", "c"))

    ended = succeeded(machine.run("build", *base, "--json", cwd=repository.path))

    found = jobs_of(ended)
    assert list(found) == ["a", "B", "c"]
    document = ended.document
    assert set(document) == KEYS
    assert document["job"] == [one["job"] for one in found.values()]
    assert document["tags"] == [f"sha-{commit}", "main", "latest"]
    assert document["run_status"] == "skipped"
    for key, one in found.items():
        name = f"job-https___github.com_acme_mono-jobs_{key.lower()}_main.py"
        assert set(one) == KEYS | {"key"}
        assert one["job_name"] == name
        assert one["metadata"]["timings"]
        check_complete(LayoutContent(machine.layout(name), name))
    assert "a | build begins" in ended.err


NOTHING = "no requirements.txt, pylock.toml or pyproject.toml in the build context"


def test_what_several_jobs_warn_of_is_told_once_with_their_keys(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.write({"jobs/c/requirements.txt": "", "jobs/c/Pipfile": ""})
    unread = {"jobs/b/Pipfile": ""}
    repository.commit({**listing("a", "b", "c"), **unread})

    for options in (["--dry-run"], ["--parallel", "1"]):
        ended = succeeded(machine.run("build", *base, *options, cwd=repository.path))
        told = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
        about = [line for line in told if NOTHING in line]
        assert about == [f"warning: [a, b] {NOTHING}: the image holds the code alone"]
        assert [line.split()[1] for line in told if "Pipfile" in line] == ["[b]"]


def test_the_jobs_of_keys_alone_are_built_and_one_alone_is_told_as_ever(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "b", "c"))

    ended = succeeded(machine.run("build", *base, "--only", "B", "--json", cwd=repository.path))

    document = ended.document
    assert list(jobs_of(ended)) == ["b"]
    assert document["job"] == jobs_of(ended)["b"]["job"]
    assert document["cache_hit"] is False
    assert document["metadata"]["build_context"] == "jobs/b"
    assert len(list(machine.store.iterdir())) == 1


def test_a_failing_job_stops_no_other_and_its_code_is_the_first_in_the_order(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "gone", "b", "worse", worse="requirements: none.txt"))

    ended = failed(machine.run("build", *base, "--json", cwd=repository.path), 3)

    found = jobs_of(ended)
    assert ended.error.startswith("job 'gone': the commit ")
    assert ended.error.endswith("; failed as well: worse")
    assert ended.document["error"]["message"] == ended.error
    assert found["gone"]["error"]["code"] == "source"
    assert [key for key, one in found.items() if one["job"]] == ["a", "b"]
    assert not machine.leftovers()


def test_a_person_sees_the_lines_of_each_job_and_all_results(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "gone"))

    ended = failed(machine.run("build", *base, cwd=repository.path), 3)

    assert ended.out.splitlines()[0] == "[a]"
    assert ended.out.splitlines()[1].startswith("job      job-https")
    assert "[gone]\nerror    the commit " in ended.out
    assert "gone | error: the commit " in ended.err
    assert "a    | recorded" in ended.err


def test_the_jobs_run_one_after_another_with_their_own_options(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "b", a="env: {WHO: the first}", b="env: {WHO: the second}"))

    arguments = ("launch", *base, "--resource", "local-process", "--env", "WHO=everybody")
    ended = succeeded(machine.run(*arguments[:-2], cwd=repository.path))
    all_alike = succeeded(machine.run(*arguments, "--json", cwd=repository.path))

    lines = [line for line in ended.out.splitlines() if line.startswith("hello")]
    assert lines == ["hello from the first", "hello from the second"]
    assert ended.out.count("metric   ok = 1") == 2
    assert all_alike.err.count("hello from everybody") == 2
    assert all_alike.document["metrics"] == {"a": {"ok": 1}, "b": {"ok": 1}}
    assert all_alike.document["run_status"] == "succeeded"
    assert all_alike.document["run_exit_code"] == 0


def test_a_run_that_fails_stops_no_other_run(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.write({"jobs/a/main.py": "raise SystemExit(7)\n"})
    repository.commit(listing("a", "b", b="fail-if: ok > 0"))

    arguments = ("launch", *base, "--resource", "local-process", "--json")
    ended = machine.run(*arguments, cwd=repository.path)

    assert ended.code == 1, ended.err
    found = jobs_of(ended)
    assert found["a"]["run_exit_code"] == 7
    assert found["b"]["metrics"] == {"ok": 1}
    assert found["b"]["error"]["code"] == "gate"
    assert ended.document["run_status"] == "failed"
    assert ended.document["run_exit_code"] == 7


def test_each_job_has_its_repository_below_the_image(
    machine: Machine, repository: Work, base: tuple[str, ...], registry: LocalRegistry
) -> None:
    image = f"{registry.address}/many/of-file"
    commit = repository.commit(listing("A", "b", more=f"image: {image}"))

    ended = succeeded(machine.run("build", *base, "--json", cwd=repository.path))
    elsewhere = f"{registry.address}/many/given"
    other = succeeded(
        machine.run("build", *base, "--image", elsewhere, "--json", cwd=repository.path)
    )

    assert [one.partition("@")[0] for one in ended.document["job"]] == [f"{image}/a", f"{image}/b"]
    assert ended.document["pushed"] is True
    assert f"sha-{commit}" in registry.tags("many/of-file/a")
    assert other.document["job"][1].startswith(f"{elsewhere}/b@sha256:")
    assert (
        other.document["image"][0].partition("@")[2] == ended.document["image"][0].partition("@")[2]
    )


def test_twenty_jobs_are_built_a_few_at_a_time(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    keys = [f"job-{number}" for number in range(20)]
    repository.write({f"jobs/{key}/main.py": f"print({key!r})\n" for key in keys})
    repository.commit(listing(*keys))

    ended = succeeded(machine.run("build", *base, "--parallel", "3", "--json", cwd=repository.path))

    at_once = most = 0
    for line in ended.err.splitlines():
        at_once += line.endswith("| build begins")
        most = max(most, at_once)
        at_once -= line.endswith("| recorded")
    assert most == 3
    assert len(set(ended.document["image"])) == 20


def test_the_plan_of_all_jobs_is_one_document(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "b"))

    ended = succeeded(machine.run("build", *base, "--dry-run", "--json", cwd=repository.path))

    assert {step["job"] for step in ended.document["plan"]} == {"a", "b"}
    assert len(ended.document["job_name"]) == 2
    assert not machine.store.exists()


def test_the_file_is_read_of_the_commit(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "b"))
    repository.write(listing("a"))

    ended = succeeded(machine.run("build", *base, "--json", cwd=repository.path))

    assert list(jobs_of(ended)) == ["a", "b"]
    assert "changed files" in ended.err


def test_the_table_of_the_project_file_lists_jobs_too(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    text = '[tool.launch-action.jobs.a]\nbuild-context = "jobs/a"\nentry-point = "python main.py"\n'
    repository.commit({"pyproject.toml": text})

    ended = succeeded(machine.run("build", *base, "--json", cwd=repository.path))

    assert ended.document["metadata"]["file"] == "pyproject.toml"
    assert ended.document["job_name"].endswith("-jobs_a_main.py")


def test_an_entry_point_means_one_job_as_ever(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    repository.commit({"launch.yaml": "nonsense", "one.py": "print(1)"})

    ended = succeeded(
        machine.run("build", *base, "-E", "python one.py", "--json", cwd=repository.path)
    )

    assert "jobs" not in ended.document["metadata"]


Wrong = tuple[dict[str, str], tuple[str, ...], str, str]
WRONG: dict[str, Wrong] = {
    "no file": ({}, ("--only", "a"), "job 'a' is of no file", "docs/many-jobs.md"),
    "no file and no entry point": ({}, (), "input 'entry-point' is required", "launch.yaml"),
    "no such key": (listing("train"), ("--only", "trian"), "no job 'trian' in launch.yaml",
                    "did you mean 'train'?"),
    "another source": (listing("a"), ("--only", "a", "--uri", "."),
                       "job 'a' is of a commit's launch.yaml", "leave one of the two out"),
    "two of one name": (listing("a", "b", a="job-name: x", b="job-name: x"), (),
                        "launch.yaml:6: jobs 'a' and 'b' have one name: 'x'", "job-name"),
    "one name for two": (listing("a", "b"), ("--job-name", "x"),
                         "launch.yaml:5: jobs 'a' and 'b' have one name: 'x'", "job-name"),
    "no entry point": (listing("a", a="args: x"), ("--only", "a", "-E", "'"),
                       "launch.yaml:2: job 'a': entry point cannot be split", "quotation"),
    "an unknown option": (listing("a", a="entry_point: x"), (),
                          "launch.yaml:5: unknown option 'entry_point' of job 'a'",
                          "did you mean 'entry-point'?"),
    "not YAML": ({"launch.yaml": "jobs:\n\ta: {}\n"}, (), "launch.yaml:2: not YAML", "spaces"),
    "a large file": ({"launch.yaml": "#" * 300_000}, (), "launch.yaml: 300000 bytes", "262144"),
    "two files": ({**listing("a"), "launch.yml": "jobs: {}"}, (),
                  "the jobs are listed twice: in launch.yaml and in launch.yml", "one of the two"),
    "a wrong gate": (listing("a", "b", b="fail-if: accuracy =< 0.9"), (),
                     "launch.yaml:8: input 'fail-if' is no condition",
                     "did you mean '<='?"),
    "not a number": (listing("a"), ("--parallel", "0"), "input 'parallel' cannot be '0'", "99"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_the_file_is_told_before_anything_is_built(
    case: str, machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    files, arguments, message, hint = WRONG[case]
    repository.commit(files)

    ended = failed(machine.run("build", *base, *arguments, cwd=repository.path), 2)

    assert ended.error.startswith(message)
    assert hint in ended.hint
    assert not machine.store.exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_wrong_gate_of_all_jobs_is_told_once_before_anything_begins(
    machine: Machine, repository: Work, base: tuple[str, ...], more: tuple[str, ...]
) -> None:
    repository.commit(listing("a", "b", "c"))

    asked = ("launch", *base, *more, "--fail-if", "accuracy is bad", "--json")
    ended = failed(machine.run(*asked, cwd=repository.path), 2)

    assert ended.err.count("is no condition") == 1
    assert ended.error.startswith("input 'fail-if' is no condition: 'accuracy is bad'")
    assert "build begins" not in ended.err
    assert not machine.store.exists()


SLOW = 'requires = ["setuptools"]\nbuild-backend = "slow"\nbackend-path = ["."]\n'


def test_queued_runs_are_followed_beside_one_another(
    machine: Machine, repository: Work, python_base: str, registry: LocalRegistry, tmp_path: Path
) -> None:
    repository.commit(listing("a", "b", b="fail-if: loss > 1"))
    image = f"{registry.address}/many/queued"
    with serve(tmp_path / "wandb") as wandb:
        make_queue(wandb, "gpu")
        login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key, "WANDB_ENTITY": "acme"}
        user = replace(machine, also=login)
        arguments = (
            "launch", "--base-image", python_base, "--python", "3.11", "--image", image, "--json",
            "--queue", "gpu", "--project", "demo", "--parallel", "1",
        )  # fmt: skip
        with user.started(*arguments, cwd=repository.path) as child:
            # One build at a time: the second begins while the first one's run is waited for.
            wait_for(lambda: len(queued(wandb, "gpu")) == 2 or child.poll() is not None)
            hand = Hand(wandb, "gpu")
            for item in filter(None, (hand.pop(), hand.pop())):
                hand.claim(item)
                hand.run(item, "finished", summary={"loss": 2})
            out, err = child.communicate(timeout=60)

    assert child.returncode == 1, err.decode()
    a, b = json.loads(out)["metadata"]["jobs"]
    assert (a["run_status"], b["run_status"]) == ("succeeded", "succeeded")
    assert a["metrics"] == {"loss": 2}
    assert a["run_url"] != b["run_url"]
    assert "error" not in a
    assert b["error"]["code"] == "gate"


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(one) for one in found.split()]


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_builds_and_the_same_command_completes_it(
    number: signal.Signals, machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    # A package that is built for ever: its back end sleeps until a file says that it need not.
    gate = machine.root / "open"
    backend = (
        "import pathlib, time\n"
        f"while not pathlib.Path({str(gate)!r}).exists():\n"
        f"    pathlib.Path({str(machine.root)!r}, 'waiting').touch()\n"
        "    time.sleep(0.05)\n"
        "from setuptools.build_meta import *\n"
    )
    project = '[project]\nname = "slow"\nversion = "1"\n[tool.setuptools]\npy-modules = []\n'
    for name in ("a", "b"):
        repository.write({
            f"jobs/{name}/pyproject.toml": f"{project}[build-system]\n{SLOW}",
            f"jobs/{name}/slow.py": backend,
        })  # fmt: skip
    repository.commit(listing("a", "b", more="defaults: {install-project: true}"))
    machine.root.mkdir(exist_ok=True)

    with machine.started("build", *base, "--parallel", "2", cwd=repository.path) as child:
        wait_for((machine.root / "waiting").exists)
        (foreman,) = children(child.pid)
        wait_for(lambda: len(children(foreman)) == 2)
        workers = [foreman, *children(foreman)]
        os.kill(child.pid, number)
        _out, err = child.communicate(timeout=60)

    assert child.returncode == 128 + number, err.decode()
    assert b"Traceback" not in err
    assert eventually(lambda: all(map(gone, workers)))
    assert not machine.leftovers()
    gate.touch()
    succeeded(machine.run("build", *base, cwd=repository.path))


def test_a_build_that_is_killed_fails_alone(
    machine: Machine, repository: Work, base: tuple[str, ...]
) -> None:
    gate = machine.root / "open"
    waiting = machine.root / "waiting"
    machine.root.mkdir(exist_ok=True)
    backend = (
        "import pathlib, time\n"
        f"pathlib.Path({str(waiting)!r}).touch()\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.05)\n"
        "from setuptools.build_meta import *\n"
    )
    project = '[project]\nname = "slow"\nversion = "1"\n[tool.setuptools]\npy-modules = []\n'
    repository.write({
        "jobs/a/pyproject.toml": f"{project}[build-system]\n{SLOW}", "jobs/a/slow.py": backend,
    })  # fmt: skip
    repository.commit(listing("a", "b", a="install-project: true"))

    arguments = ("build", *base, "--parallel", "1", "--json")
    with machine.started(*arguments, cwd=repository.path) as child:
        wait_for(waiting.exists)
        (foreman,) = children(child.pid)
        (worker,) = children(foreman)
        os.kill(worker, signal.SIGKILL)
        gate.touch()
        out, err = child.communicate(timeout=60)

    document = json.loads(out)
    assert child.returncode == 4, err.decode()
    a, b = document["metadata"]["jobs"]
    assert a["error"]["message"] == "the process of the build was ended by signal 9"
    assert "--parallel 1" in a["error"]["hint"]
    assert b["job"]
