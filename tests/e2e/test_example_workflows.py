"""The workflows of examples/ as somebody copies them: their own steps, for the events they name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import github_events as events
from support.action_scene import Scene, git
from support.github_api import GitHubServer
from support.github_events import Event
from support.github_payloads import NUMBER, REPOSITORY, Commits
from support.github_runner import StepResult, evaluate
from support.machines import ROOT
from support.services import LocalRegistry

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]

EXAMPLES = ROOT / "examples"
TRAIN = """\
import json, os, pathlib
config = json.loads(os.environ["WANDB_CONFIG"])
metrics = {"accuracy": 0.95, "epochs": config.get("epochs")}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """A pull request against a repository that has what the examples speak of."""
    folder = scene.workspace
    git(folder, "checkout", "--quiet", "--force", "main")
    shutil.copytree(EXAMPLES / "monorepo", folder, dirs_exist_ok=True)
    (folder / "train.py").write_text(TRAIN)
    (folder / "requirements.txt").write_text("")
    base = _commit(folder)
    git(folder, "checkout", "--quiet", "-b", "topic")
    (folder / "train.py").write_text(f"{TRAIN}print('more')\n")
    (folder / "jobs" / "train" / "train.py").open("a").write("print('more')\n")
    head = _commit(folder)
    git(folder, "update-ref", "refs/remotes/origin/main", base)
    return Scene(scene.runner, Commits(head, head, base))


def _commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=one")
    return git(folder, "rev-parse", "HEAD")


class Copy:
    """The examples in that repository, pushing to a registry that can be reached."""

    def __init__(
        self, scene: Scene, github: GitHubServer, registry: LocalRegistry, image: str, base: str
    ) -> None:
        self.scene = scene
        self.github = github
        self.registry = registry
        self.image = image
        # What a hosted runner reaches, and a container, are not there.
        self.options = f"base-image={base}\npython=3.11\nresource=local-process"

    def run(
        self,
        name: str,
        event: Callable[[Commits], Event],
        job: str = "",
        matrix: Mapping[str, str] | None = None,
    ) -> StepResult:
        """The action's step of a workflow's job; of the first without a name."""
        flow = yaml.safe_load((EXAMPLES / "workflows" / f"{name}.yml").read_text("utf-8"))
        jobs = flow["jobs"]
        steps = jobs[job or next(iter(jobs))]["steps"]
        (step,) = [one for one in steps if one.get("uses", "").startswith("org/launch-action@")]
        runner = self.scene.at(event)
        also = {"GITHUB_API_URL": self.github.url, "GITHUB_WORKFLOW": flow["name"]}
        return replace(runner, also={**runner.also, **also}).run(
            self._given(step["with"], matrix or {})
        )

    def _given(self, given: Mapping[str, Any], matrix: Mapping[str, str]) -> dict[str, str]:
        # As a GitHub expression has them: booleans in lower case.
        inputs = {"learning-rate": "0.1", "epochs": "10"}
        context = {"github": {"repository": self.image}, "matrix": matrix, "inputs": inputs}
        texts = {
            name: str(value).lower() if isinstance(value, bool) else evaluate(str(value), context)
            for name, value in given.items()
        }
        if texts.get("mode") not in ("cleanup", "discover"):
            kept = [
                line
                for line in texts.get("build-options", "").splitlines()
                if "resource" not in line
            ]
            texts["build-options"] = "\n".join([*kept, self.options])
        return {
            name: text.replace("ghcr.io", self.registry.address) for name, text in texts.items()
        }

    def tags(self, job: str) -> set[str]:
        """The aliases that people see."""
        found = self.registry.tags(f"{self.image}/{job}")
        return {tag for tag in found if not tag.startswith(("key-", "report-", "run-", "layers-"))}

    def comment(self) -> str:
        (body,) = self.github.repository(REPOSITORY).bodies(NUMBER)
        return body


@pytest.fixture
def copy(
    scene: Scene,
    github_api: GitHubServer,
    registry: LocalRegistry,
    repository: str,
    python_base: str,
) -> Copy:
    github_api.state.pull(github_api.repository(REPOSITORY), NUMBER, scene.commits.head)
    return Copy(scene, github_api, registry, repository, python_base)


def good(result: StepResult) -> StepResult:
    assert result.code == 0, result.raw
    return result


def on_main(commits: Commits) -> Event:
    return events.branch(replace(commits, head=commits.base))


def test_a_job_from_its_preview_to_its_release_and_its_end(copy: Copy) -> None:
    good(copy.run("update", on_main))

    opened = good(copy.run("preview", events.opened))
    assert opened.outputs["run-status"] == "succeeded"
    assert json.loads(opened.outputs["metrics"]) == {"accuracy": 0.95, "epochs": 1}
    assert "accuracy&nbsp;<b>0.95</b>&nbsp;(±0)" in copy.comment()
    assert f"pr-{NUMBER}" in copy.tags("train")

    released = good(copy.run("release", events.tag))
    assert released.outputs["job-digest"] == opened.outputs["job-digest"]
    assert {"v1.2.3", "v1.2", "v1", "latest"} <= copy.tags("train")
    good(copy.run("release", events.release))

    good(copy.run("preview", events.closed))
    assert "Preview removed" in copy.comment()
    assert f"pr-{NUMBER}" not in copy.tags("train")
    assert "there was nothing to remove" in good(copy.run("update", events.branch_deleted)).raw
    swept = json.loads(good(copy.run("cleanup", events.schedule)).outputs["metadata"])
    assert swept["cleanup"][0]["versions"] == []


def test_a_fork_s_pull_request_gets_a_build_and_no_right(copy: Copy) -> None:
    for name in ("preview", "fork-build"):
        result = good(copy.run(name, events.fork))

        assert result.outputs["pushed"] == "false"
        assert result.outputs["digest"].startswith("sha256:")
        assert "of a fork&#58; nothing is pushed or run, and no secret is used" in result.summary
        # The author of the workflow has done nothing wrong.
        assert not [text for text in result.log.of("warning") if "fail-if" in text]
    assert not copy.github.seen


def test_one_step_builds_all_jobs_of_a_repository(copy: Copy) -> None:
    good(copy.run("monorepo", on_main))
    opened = good(copy.run("monorepo", events.opened))
    assert "<b>train</b>" in copy.comment()
    assert "same image" in copy.comment()  # of the job that did not change

    released = good(copy.run("monorepo", lambda commits: events.tag(commits, "train/v2.0.0")))
    assert released.outputs["job"] == opened.outputs["job"].splitlines()[0]
    assert "train-v2.0.0" in copy.tags("train")
    assert "v2.0.0" not in copy.tags("evaluate")
    good(copy.run("monorepo", events.closed))
    assert "Preview removed" in copy.comment()


def test_every_job_that_changed_gets_a_machine(copy: Copy) -> None:
    found = good(copy.run("matrix", events.opened))
    matrix = json.loads(found.outputs["metadata"])

    assert matrix == {"include": [{"job": "train"}]}
    assert found.outputs["job"] == "train"
    # A later push may change another one.
    for leg in [*matrix["include"], {"job": "evaluate"}]:
        good(copy.run("matrix", events.opened, "job", leg))
        assert f"pr-{NUMBER}" in copy.tags(leg["job"])

    good(copy.run("matrix", events.closed, "closed"))
    assert f"pr-{NUMBER}" not in copy.tags("train") | copy.tags("evaluate")
    assert "Preview removed" in copy.comment()


def test_one_run_by_hand_with_what_the_form_says(copy: Copy) -> None:
    result = good(copy.run("gpu", events.dispatch))

    assert result.outputs["run-status"] == "succeeded"
    assert json.loads(result.outputs["metrics"])["epochs"] == 10


def test_a_queue_without_its_key_is_said_at_once(copy: Copy) -> None:
    result = copy.run("queue", events.schedule)

    assert result.code == 2
    assert "there is no key for it" in result.log.of("error")[0]
