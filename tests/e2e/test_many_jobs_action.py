"""The action with a launch file: one step for all jobs of the repository, and one report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support import github_events as events
from support.action_scene import Scene, git
from support.github_api import GitHubServer
from support.github_payloads import NUMBER, REPOSITORY
from support.github_runner import StepResult
from support.services import LocalRegistry
from support.workflow import Workflow, good, workflow

from launch_action.core.preview_comment import read_report

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]

SCRIPT = """\
import json, os, pathlib
print("::error::hello from", os.environ["WHO"])
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"ok": 1}))
"""
FILE = """\
defaults:
  entry-point: python main.py
jobs:
  train:
    build-context: jobs/train
    env: {WHO: train}
  Evaluate:
    build-context: jobs/evaluate
    env: {WHO: evaluate}
"""


@pytest.fixture
def flow(
    tmp_path: Path, registry: LocalRegistry, repository: str, python_base: str, tool_cache: Path
) -> Iterator[Workflow]:
    image = f"{registry.address}/{repository}"
    with workflow(tmp_path, image, python_base, tool_cache) as made:
        del made.inputs["entry-point"]
        made.work.write({f"jobs/{name}/main.py": SCRIPT for name in ("train", "evaluate")})
        made.work.commit({"launch.yaml": FILE})
        yield made


def test_all_jobs_are_built_into_repositories_of_their_own(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    result = good(flow.push())

    outputs = result.outputs
    wanted = [f"{flow.image}/train", f"{flow.image}/evaluate"]
    assert [line.partition("@")[0] for line in outputs["job"].splitlines()] == wanted
    assert outputs["tags"].splitlines() == [f"sha-{flow.commit}", "main", "latest"]
    assert outputs["pushed"] == "true"
    assert outputs["run-status"] == "skipped"
    metadata = json.loads(outputs["metadata"])
    assert metadata["file"] == "launch.yaml"
    assert [one["key"] for one in metadata["jobs"]] == ["train", "Evaluate"]
    assert metadata["jobs"][1]["image"] == outputs["image"].splitlines()[1]
    assert "latest" in registry.tags(f"{repository}/evaluate")
    assert set(result.artifacts) == set(outputs["image"].splitlines())
    assert {"[train] build", "[Evaluate] build"} <= set(result.log.of("group"))
    (warning,) = result.log.of("warning")
    assert warning.startswith("[train, Evaluate] no requirements.txt")
    assert result.summary.startswith("### ✅ Update of <code>main</code>: 2 jobs")
    for key in ("train", "Evaluate"):
        assert f"<b>{key}</b>" in result.summary


def test_the_jobs_of_the_input_alone_are_built(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    result = good(flow.push(job="evaluate", job_name="eval"))

    assert result.outputs["job"].startswith(f"{flow.image}/evaluate@")
    assert result.outputs["job-name"] == "eval"
    assert registry.tags(f"{repository}/train") == []


def test_the_runs_follow_one_another_and_no_line_of_theirs_is_a_command(flow: Workflow) -> None:
    result = good(flow.push(run="true"))

    said = [line for line in result.log.text.splitlines() if "hello from" in line]
    assert said == ["::error::hello from train", "::error::hello from evaluate"]
    assert result.log.of("error") == []
    assert result.outputs["run-status"] == "succeeded"
    assert json.loads(result.outputs["metrics"]) == {"train": {"ok": 1}, "Evaluate": {"ok": 1}}
    assert len(set(result.outputs["run-id"].splitlines())) == 2
    for job in json.loads(result.outputs["metadata"])["jobs"]:
        # Of the build, in a process of its own, and of the run together.
        assert {"build", "run"} <= set(job["metadata"]["timings"])
        assert job["metadata"]["bytes_sent"] > 0


def test_a_failing_job_stops_no_other_and_is_annotated(flow: Workflow) -> None:
    text = FILE.replace("train:\n    build-context: jobs/train", "train:\n    build-context: gone")
    flow.work.commit({"launch.yaml": text})

    result = flow.push(run="true")

    assert result.code == 3, result.raw
    assert result.outputs["job"].splitlines()[0] == ""
    assert result.outputs["job"].splitlines()[1].startswith(f"{flow.image}/evaluate@")
    assert result.outputs["run-status"] == "succeeded"
    first, second = json.loads(result.outputs["metadata"])["jobs"]
    assert first["error"]["code"] == "source"
    assert second["run_exit_code"] == 0
    (error,) = [one for one in result.log.commands if one.name == "error"]
    assert error.properties["title"] == "launch-action: source (train)"
    assert result.summary.startswith("### ❌ Update of <code>main</code>: 1 of 2 jobs failed")
    assert "gone" in result.summary


def test_a_wrong_file_is_annotated_at_its_line(flow: Workflow) -> None:
    flow.work.commit({"launch.yaml": FILE.replace("env: {WHO: train}", "envs: {WHO: train}")})

    result = flow.push()

    assert result.code == 2, result.raw
    (error,) = [one for one in result.log.commands if one.name == "error"]
    assert (error.properties["file"], error.properties["line"]) == ("launch.yaml", "6")
    assert "did you mean 'env'?" in error.data
    assert "unknown option" in result.summary


def test_a_preview_has_the_aliases_of_its_pull_request(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    good(flow.pull(7))

    for key in ("train", "evaluate"):
        assert "pr-7" in registry.tags(f"{repository}/{key}")
        assert "latest" not in registry.tags(f"{repository}/{key}")


def test_a_release_promotes_each_job(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    before = good(flow.push())

    result = good(flow.tag("v1.2.3"))

    assert result.outputs["job"] == before.outputs["job"]
    for key in ("train", "evaluate"):
        assert {"v1.2.3", "v1"} <= set(registry.tags(f"{repository}/{key}"))


def test_without_trust_the_file_says_nothing_of_where_anything_goes(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    elsewhere = f"acme/{hashlib.sha256(repository.encode()).hexdigest()[:12]}"
    flow.work.commit({"launch.yaml": f"image: {registry.address}/{elsewhere}\n{FILE}"})
    del flow.inputs["image"]
    head = {"sha": flow.commit, "ref": "x", "repo": {"full_name": "mallory/mono-jobs"}}
    pull = {"number": 9, "head": head, "base": {"ref": "main", "sha": "b" * 40}, "state": "open"}
    ref = {"GITHUB_REF": "refs/pull/9/merge", "GITHUB_SHA": "f" * 40}
    payload = {"action": "opened", "number": 9, "pull_request": pull}

    result = good(flow.step("pull_request", ref, {"run": "true"}, payload))
    own = good(flow.push())

    assert result.outputs["pushed"] == "false"
    assert registry.address not in result.outputs["job"]
    assert result.outputs["run-status"] == "skipped"
    assert own.outputs["job"].startswith(f"{registry.address}/{elsewhere}/train@")


def test_a_step_says_which_jobs_changed_for_a_matrix(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    before = flow.commit
    flow.work.commit({"jobs/evaluate/main.py": f"{SCRIPT}# changed\n"})
    ref = {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}

    result = good(flow.step("push", ref, {"mode": "discover"}, {"before": before}))
    nothing = good(flow.step("push", ref, {"mode": "discover"}, {"before": flow.commit}))
    one = good(flow.push(job=result.outputs["job"]))

    assert json.loads(result.outputs["metadata"]) == {"include": [{"job": "Evaluate"}]}
    assert result.outputs["job"] == "Evaluate"
    assert "1 of 2 jobs changed" in result.summary
    assert json.loads(nothing.outputs["metadata"]) == {"include": []}
    assert nothing.outputs["job"] == ""
    assert one.outputs["job"].startswith(f"{flow.image}/evaluate@")
    assert registry.tags(f"{repository}/train") == []


def test_a_closed_pull_request_takes_its_alias_from_every_job(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    good(flow.pull(7))
    before = {key: registry.tags(f"{repository}/{key}") for key in ("train", "evaluate")}

    good(flow.pull(7, "closed"))

    for key, tags in before.items():
        assert "pr-7" in tags
        # Where a registry cannot delete a tag, a tombstone stays, which no command sees.
        listed = flow.program("job", "list", f"{flow.image}/{key}", "--json")
        assert "pr-7" not in listed.out


def test_the_aliases_of_the_file_go_with_latest_alone(
    flow: Workflow, registry: LocalRegistry, repository: str
) -> None:
    flow.work.commit({"launch.yaml": FILE.replace("defaults:", "defaults:\n  alias: stable")})

    preview = good(flow.pull(7))
    after_preview = registry.tags(f"{repository}/train")
    update = good(flow.push())

    assert "stable" not in preview.outputs["tags"].split()
    assert "stable" not in after_preview
    assert "stable" in update.outputs["tags"].split()


@dataclass(slots=True)
class PullRequest:
    """A pull request whose commits list jobs, and the GitHub that its comment is on."""

    scene: Scene
    server: GitHubServer
    image: str
    base: str
    run: int = 7000
    attempt: int = 1

    @property
    def folder(self) -> Path:
        return self.scene.workspace

    def commit(self, file: str) -> str:
        """Commit this launch file; the commit."""
        (self.folder / "launch.yaml").write_text(file)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message=jobs")
        return git(self.folder, "rev-parse", "HEAD")

    def push(self, file: str, **inputs: str) -> StepResult:
        """The step of a pushed commit with this launch file, in a workflow run of its own."""
        commit = self.commit(file)
        self.server.state.pull(self.server.repository(REPOSITORY), NUMBER, commit)
        self.scene = Scene(
            self.scene.runner, replace(self.scene.commits, head=commit, merge=commit)
        )
        self.run, self.attempt = self.run + 1, 0
        return self.step(inputs)

    def step(self, inputs: Mapping[str, str]) -> StepResult:
        """The next attempt of the last commit's step."""
        self.attempt += 1
        runner = self.scene.at(events.synchronize)
        numbers = {"GITHUB_RUN_ID": str(self.run), "GITHUB_RUN_ATTEMPT": str(self.attempt)}
        also = {**runner.also, "GITHUB_API_URL": self.server.url, **numbers}
        options = f"base-image={self.base}\npython=3.11\nresource=local-process"
        return replace(runner, also=also).run({"build-options": options, **inputs})

    def comment(self) -> str:
        """What the one comment says."""
        (body,) = self.server.repository(REPOSITORY).bodies(NUMBER)
        return body


@pytest.fixture
def pull_request(
    scene: Scene,
    github_api: GitHubServer,
    registry: LocalRegistry,
    repository: str,
    python_base: str,
) -> PullRequest:
    folder = scene.workspace
    git(folder, "checkout", "--quiet", "--force", "main")
    for name in ("train", "evaluate"):
        (folder / "jobs" / name).mkdir()
        (folder / "jobs" / name / "main.py").write_text(SCRIPT)
    image = f"{registry.address}/{repository}"
    return PullRequest(scene, github_api, image, python_base)


def test_one_comment_has_a_row_for_every_job(
    pull_request: PullRequest, registry: LocalRegistry, repository: str
) -> None:
    image = pull_request.image
    gone = "  gone: {build-context: jobs/gone}\n"

    result = pull_request.push(f"image: {image}\n{FILE}{gone}", run="true")

    assert result.code == 3, result.raw
    rows = {row.title: row for row in read_report(pull_request.comment()).rows}
    assert {key: row.state for key, row in rows.items()} == {
        "train": "done", "Evaluate": "done", "gone": "failed",
    }  # fmt: skip
    assert rows["train"].store == f"{image}/train"
    assert [(one.name, one.value) for one in rows["Evaluate"].metrics] == [("ok", 1)]
    assert f"pr-{NUMBER}" in registry.tags(f"{repository}/evaluate")


def shown(markdown: str) -> tuple[str, str]:
    """The headline, and what is read without a click."""
    head, _, rest = markdown[markdown.index("### ") :].partition("\n")
    return head, rest.partition("<details>")[0]


@pytest.mark.parametrize("mode", ["auto", "discover"])
def test_a_file_that_cannot_be_read_leaves_no_earlier_row_looking_current(
    pull_request: PullRequest, mode: str
) -> None:
    image = pull_request.image
    good(pull_request.push(FILE, image=image))
    broken = FILE.replace("env: {WHO: train}", "envs: {WHO: train}")

    results = [
        (pull_request.push(broken, image=image, mode=mode), "unknown option"),
        (pull_request.push("jobs: {}\n", image=image, mode=mode), "0 jobs"),
    ]

    for result, error in results:
        assert result.code == 2, result.raw
        assert "no job of this commit was begun" in shown(result.summary)[0]
        assert error in result.summary
        assert result.log.of("warning") == []
    head, seen = shown(pull_request.comment())
    assert head == "### ❌ Preview: no job of this commit was begun"
    assert "0 jobs" in seen
    assert pull_request.scene.commits.head[:7] in seen
    assert "✅" not in seen
    assert "2 from earlier runs" in pull_request.comment()

    # Started again it fails again, and only the last time is told of.
    pull_request.step({"image": image, "mode": mode})
    rows = read_report(pull_request.comment()).rows
    assert [row.attempt for row in rows if row.state == "failed"] == [2]
    good(pull_request.push(FILE, image=image))
    head, seen = shown(pull_request.comment())
    assert head == "### ✅ Preview: 2 jobs"
    assert "0 jobs" not in pull_request.comment()


def test_a_commit_that_takes_the_change_back_leaves_no_earlier_row_looking_current(
    pull_request: PullRequest,
) -> None:
    commits = replace(pull_request.scene.commits, base=pull_request.commit(FILE))
    pull_request.scene = Scene(pull_request.scene.runner, commits)
    base = {"image": pull_request.image, "mode": "discover"}
    # Nothing is said of a pull request that never changed a job.
    assert good(pull_request.push(FILE, **base)).outputs["job"] == ""
    assert pull_request.server.repository(REPOSITORY).bodies(NUMBER) == []

    assert pull_request.push(FILE.replace("env", "envs"), **base).code == 2
    assert "no job of this commit was begun" in pull_request.comment()
    assert good(pull_request.push(FILE, **base)).outputs["job"] == ""
    head, seen = shown(pull_request.comment())
    assert head == "### ✅ Preview: no job of this commit changed"
    assert "was begun" not in pull_request.comment()
    assert pull_request.scene.commits.head[:7] in seen
