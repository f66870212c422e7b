"""action.yml as GitHub's runner runs it: a commit becomes a job in a registry, and is run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.action_scene import git
from support.github_runner import TOKEN, Runner, StepResult
from support.machines import ROOT
from support.services import LocalRegistry

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

PASSWORD = "registry-pass-4711"
SCRIPT = """\
import json, os, pathlib
import tomli
print("::error::said by the job")
print("::set-output name=job::forged")
parent = pathlib.Path("/proc", str(os.getppid()), "environ")
print("parent", parent.read_text() if parent.exists() else "")
out = pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"])
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.75}))
print("temporary", os.environ["TMPDIR"])
print("tomli", tomli.loads("a = 1"))
"""


@pytest.fixture
def runner(tmp_path: Path, tool_cache: Path) -> Runner:
    """A checkout on the default branch, and a machine that has what ours has."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "jobs").mkdir()
    (workspace / "jobs" / "train.py").write_text(SCRIPT)
    (workspace / "requirements.txt").write_text("tomli==2.2.1\n")
    git(workspace, "init", "--quiet", "--initial-branch=main")
    git(
        workspace,
        "remote",
        "add",
        "origin",
        f"https://x-access-token:{TOKEN}@github.com/acme/mono.git",
    )
    git(workspace, "add", ".")
    git(workspace, "commit", "--quiet", "--message=one")
    commit = git(workspace, "rev-parse", "HEAD")
    return Runner(
        root=tmp_path / "runner",
        action=ROOT,
        workspace=workspace,
        path=f"{tool_cache / 'bin'}:{os.environ['PATH']}",
        payload={"repository": {"default_branch": "main", "full_name": "acme/mono"}},
        github={"GITHUB_SHA": commit},
        also={
            "RUNNER_TOOL_CACHE": str(tool_cache),
            "LAUNCH_ACTION_CACHE": str(tool_cache / "cache"),
            "PIP_FIND_LINKS": "",
        },
    )


@pytest.fixture
def inputs(registry: LocalRegistry, repository: str, python_base: str) -> dict[str, str]:
    return {
        "entry-point": "python jobs/train.py",
        "image": f"{registry.address}/{repository}",
        "build-options": f"base-image={python_base}\npython=3.11\nresource=local-process",
        "registry-username": "bot",
        "registry-password": PASSWORD,
        "run": "true",
    }


def documents(registry: LocalRegistry) -> bytes:
    """Everything small that the registry stores: manifests, configs, job documents."""
    found = (path for path in registry.directory.rglob("data") if path.stat().st_size < 1_000_000)
    return b"".join(path.read_bytes() for path in found)


def succeeded(result: StepResult) -> StepResult:
    assert result.code == 0, result.raw
    return result


def test_build_options_take_what_is_no_input(runner: Runner, inputs: dict[str, str]) -> None:
    (runner.workspace / "jobs" / "train.py").write_text("changed")

    more = f"{inputs['build-options']}\nrequire-clean\nresolve-date=latest"
    result = runner.run({**inputs, "build-options": more})

    assert result.code == 3, result.raw
    assert "changed files: 'jobs/train.py'" in result.raw


def test_a_commit_becomes_a_job_in_the_registry_and_is_run(
    runner: Runner, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    result = succeeded(runner.run(inputs))

    outputs = result.outputs
    commit = runner.github["GITHUB_SHA"]
    assert outputs["job-name"] == "job-https___github.com_acme_mono-jobs_train.py"
    assert outputs["job"] == f"{inputs['image']}@{outputs['job-digest']}"
    assert outputs["image"] == f"{inputs['image']}@{outputs['digest']}"
    assert (outputs["pushed"], outputs["cache-hit"]) == ("true", "false")
    assert (outputs["run-status"], outputs["run-exit-code"]) == ("succeeded", "0")
    assert json.loads(outputs["metrics"]) == {"accuracy": 0.75}
    assert json.loads(outputs["metadata"])["commit"] == commit
    aliases = {f"sha-{commit}", "main", "latest"}
    assert aliases <= set(registry.tags(repository))
    assert aliases <= set(outputs["tags"].split())
    index = registry.manifest(repository, outputs["job-digest"])
    assert outputs["digest"] in [one["digest"] for one in index["manifests"]]
    assert result.artifacts == (outputs["image"],)


def test_what_a_killed_step_leaves_is_where_the_runner_removes_it(
    runner: Runner, inputs: dict[str, str]
) -> None:
    result = succeeded(runner.run(inputs))

    assert f"temporary {runner.environment()['RUNNER_TEMP']}/" in result.raw


def test_the_summary_shows_the_job_and_its_metrics(runner: Runner, inputs: dict[str, str]) -> None:
    result = succeeded(runner.run(inputs))

    assert result.summary.startswith("### ✅ Update of <code>main</code>: jobs/train.py")
    for text in (result.outputs["job-digest"], "0.75", runner.github["GITHUB_SHA"]):
        assert text in result.summary.replace("&#58;", ":")


def test_no_credential_is_anywhere(
    runner: Runner, inputs: dict[str, str], registry: LocalRegistry
) -> None:
    result = succeeded(runner.run(inputs))

    assert "LAUNCH_ACTION_REF=" in result.raw, "the job did not see the program's variables"
    seen = [line for line in result.raw.splitlines() if not line.startswith("::add-mask::")]
    stored = documents(registry).decode("utf-8", "replace")
    told = json.dumps([dict(result.outputs), result.summary, result.artifacts, seen, stored])
    for secret in (PASSWORD, TOKEN):
        assert secret not in told
    assert {PASSWORD, TOKEN} <= set(result.log.of("add-mask"))


def test_what_the_job_prints_is_no_command(runner: Runner, inputs: dict[str, str]) -> None:
    result = succeeded(runner.run(inputs))

    assert "::error::said by the job" in result.log.text
    assert result.log.of("error") == []
    assert result.log.of("set-output") == []


def test_the_same_commit_again_is_a_cache_hit_with_the_same_digest(
    runner: Runner, inputs: dict[str, str]
) -> None:
    first = succeeded(runner.run(inputs | {"run": "false"}))
    second = succeeded(runner.run(inputs | {"run": "false"}))

    assert second.outputs["cache-hit"] == "true"
    assert second.outputs["job-digest"] == first.outputs["job-digest"]
    assert second.outputs["run-status"] == "skipped"
    assert "environment made" not in second.raw
    assert "\nbuilt    no: the build key was known\n" in second.raw


def test_a_job_that_fails_fails_the_step_and_leaves_the_outputs(
    runner: Runner, inputs: dict[str, str]
) -> None:
    (runner.workspace / "jobs" / "train.py").write_text("raise SystemExit(3)\n")
    git(runner.workspace, "commit", "--quiet", "--all", "--message=two")

    result = runner.run(inputs)

    assert result.code == 1, result.raw
    assert (result.outputs["run-status"], result.outputs["run-exit-code"]) == ("failed", "3")
    assert result.outputs["job-digest"].startswith("sha256:")
    assert result.summary.startswith("### ❌")


def test_a_mistake_is_one_annotation_with_a_hint(runner: Runner, inputs: dict[str, str]) -> None:
    result = runner.run(inputs | {"push": "perhaps"})

    assert result.code == 2, result.raw
    (error,) = result.log.of("error")
    assert "'perhaps'" in error
    assert "\nhint: " in error


def test_an_input_that_does_not_exist_is_the_runner_s_warning(
    runner: Runner, inputs: dict[str, str]
) -> None:
    result = runner.run(inputs | {"imgae": "x", "push": "perhaps"})

    assert "Unexpected input(s) 'imgae'" in result.warnings[0]
