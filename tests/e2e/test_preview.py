"""A preview as its reviewers see it: one comment and a summary, by the real program."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import github_events as events
from support.action_scene import Scene, git
from support.github_api import GitHubServer
from support.github_events import Event
from support.github_payloads import NUMBER, REPOSITORY, Commits
from support.github_runner import TOKEN, StepResult
from support.github_state import Repository
from support.machines import ROOT
from support.services import LocalRegistry

from launch_action.core.notes import row_of
from launch_action.core.preview_comment import ANY_MARKER, read_report
from launch_action.core.preview_row import Row

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

SCRIPT = """\
import json, os, pathlib, sys
import tomli
print("args", sys.argv[1:])
config = json.loads(os.environ["WANDB_CONFIG"])
metrics = {{"accuracy": {accuracy}, "rate": config.get("rate"), "eval": {{"loss": {loss}}}}}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(metrics))
"""


def project(folder: Path, script: str, *requirements: str) -> str:
    """Commit a job with these dependencies; its commit."""
    (folder / "jobs" / "train.py").write_text(script)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=a job")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """A pull request that changes code and dependencies of a job on main."""
    folder = scene.workspace
    git(folder, "checkout", "--quiet", "--force", "main")
    base = project(folder, SCRIPT.format(accuracy=0.9, loss=0.5), "tomli==2.2.1", "six==1.17.0")
    git(folder, "checkout", "--quiet", "-b", "topic")
    better = SCRIPT.format(accuracy=0.95, loss=0.25)
    head = project(folder, better, "tomli==2.3.0", "iniconfig==2.1.0")
    git(folder, "checkout", "--quiet", "main")
    git(folder, "merge", "--quiet", "--no-ff", "--message=merge", "topic")
    merge = git(folder, "rev-parse", "HEAD")
    return Scene(scene.runner, Commits(head, merge, base))


@pytest.fixture
def github(github_api: GitHubServer, scene: Scene) -> Repository:
    """The repository that the events are of, in the GitHub of the test."""
    repository = github_api.repository(REPOSITORY)
    github_api.state.pull(repository, NUMBER, scene.commits.head)
    return repository


@pytest.fixture
def inputs(inputs: dict[str, str]) -> dict[str, str]:
    options = inputs["build-options"].replace("comment=false", "")
    return inputs | {"build-options": options, "run": "true", "set": "rate=0.1"}


def run(
    scene: Scene,
    server: GitHubServer,
    inputs: dict[str, str],
    event: Callable[[Commits], Event] = events.synchronize,
    run_id: int = 7001,
) -> StepResult:
    runner = scene.at(event)
    also = {"GITHUB_API_URL": server.url, "GITHUB_RUN_ID": str(run_id)}
    result = replace(runner, also={**runner.also, **also}).run(inputs)
    assert TOKEN not in result.log.text
    return result


def on_main(scene: Scene) -> Scene:
    """Main, before the pull request is merged."""
    base = scene.commits.base
    return Scene(scene.runner, replace(scene.commits, head=base, merge=base))


def succeeded(result: StepResult) -> StepResult:
    assert result.code == 0, result.raw
    return result


def row(github: Repository) -> Row:
    """The row of the one comment."""
    (body,) = github.bodies(NUMBER)
    assert body.startswith(ANY_MARKER)
    (found,) = read_report(body).rows
    return found


def shown(markdown: str) -> str:
    """What a reader sees, on one line."""
    text = re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    return " ".join(text.replace("\xa0", " ").replace("\u200b", "").split())


def test_a_reviewer_sees_what_the_pull_request_changes(
    scene: Scene,
    github_api: GitHubServer,
    github: Repository,
    inputs: dict[str, str],
    registry: LocalRegistry,
    repository: str,
    tmp_path: Path,
) -> None:
    succeeded(run(on_main(scene), github_api, inputs, events.branch))
    assert github.comments == {}
    result = succeeded(run(scene, github_api, inputs, run_id=7002))

    found, outputs = row(github), result.outputs
    assert (found.state, found.commit, found.run) == ("done", scene.commits.head, 7002)
    assert (found.job, found.image) == (outputs["job"], outputs["image"])
    assert found.base is not None
    assert (found.base.name, found.base.commit) == ("main", scene.commits.base)
    assert {(one.name, one.before, one.after) for one in found.changes or ()} == {
        ("tomli", "2.2.1", "2.3.0"), ("six", "1.17.0", ""), ("iniconfig", "", "2.1.0"),
    }  # fmt: skip
    metrics = {one.name: (one.value, one.before) for one in found.metrics}
    assert metrics == {"accuracy": (0.95, 0.9), "rate": (0.1, 0.1), "eval.loss": (0.25, 0.5)}
    assert re.fullmatch(r"\d+ of \d+ layers reused", found.reused)
    assert found.size == sum(layers(registry, repository, outputs["digest"]).values())
    for text in (shown(github.bodies(NUMBER)[0]), shown(result.summary)):
        for part in ("tomli 2.2.1 → 2.3.0", "accuracy 0.95 (+0.05)", outputs["digest"][7:19]):
            assert part in text
    assert NUMBER in map(row_of, registry.tags(repository))
    check_reproduces(found, tmp_path)


def layers(registry: LocalRegistry, repository: str, digest: str) -> dict[str, int]:
    manifest = registry.manifest(repository, digest)
    return {one["digest"]: one["size"] for one in manifest["layers"]}


def check_reproduces(found: Row, tmp_path: Path) -> None:
    """The command of the comment, word for word, on a machine of its own."""
    program = Path(ROOT, ".venv", "bin", "launch-action")
    words = shlex.split(found.reproduce.replace("\\\n", " "))
    assert words[0] == "launch-action"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [str(program), *words[1:], "--json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["image"] == found.image
    assert document["metrics"] == {"accuracy": 0.95, "rate": 0.1, "eval": {"loss": 0.25}}


def test_the_comment_follows_the_job_and_the_next_push_edits_it(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    succeeded(run(scene, github_api, inputs, run_id=7001))
    seen = [one.body["body"] for one in github_api.seen if one.method in ("POST", "PATCH")]
    states = [read_report(body).rows[0].state for body in seen]
    succeeded(run(scene, github_api, inputs, run_id=7002))

    assert states[-1] == "done"
    assert states[0] in ("pending", "building")
    assert row(github).run == 7002
    assert row(github).reused == "image reused"
    assert len(github.bodies(NUMBER)) == 1


def test_a_closed_pull_request_s_comment_says_that_the_preview_is_removed(
    scene: Scene,
    github_api: GitHubServer,
    github: Repository,
    inputs: dict[str, str],
    registry: LocalRegistry,
    repository: str,
) -> None:
    quick = inputs | {"run": "false"}
    succeeded(run(scene, github_api, quick, run_id=7001))
    assert "Preview removed" not in github.bodies(NUMBER)[0]
    succeeded(run(scene, github_api, quick, events.merged, run_id=7002))

    (body,) = github.bodies(NUMBER)
    assert "Preview removed" in body
    assert "launch-action run" not in body
    assert f"pr-{NUMBER}" not in registry.tags(repository)
    assert NUMBER not in map(row_of, registry.tags(repository))

    # Its run is started again, by an event that says that it is open.
    again = succeeded(run(scene, github_api, quick, run_id=7001))
    (body,) = github.bodies(NUMBER)
    assert "Preview removed" in body
    assert "started again" in body
    assert again.outputs["job"] in html.unescape(body)
    assert again.outputs["tags"] == f"sha-{scene.commits.head}"
    assert f"pr-{NUMBER}" not in registry.tags(repository)

    succeeded(run(scene, github_api, quick, events.reopened, run_id=7003))
    assert row(github).run == 7003
    assert "✅ Preview" in github.bodies(NUMBER)[0]


def test_a_cancelled_step_says_so_in_time(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    ended = threading.Thread(target=terminate_when_running, args=(github, scene))
    ended.start()
    result = run(scene, github_api, inputs | {"entry-point": "sleep 60"})
    ended.join()

    assert result.code == 143, result.raw
    assert row(github).state == "cancelled"
    assert "🚫" in result.summary


def terminate_when_running(github: Repository, scene: Scene) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        bodies = github.bodies(NUMBER)
        if bodies and read_report(bodies[0]).rows[0].state == "running":
            break
        time.sleep(0.05)
    listed = subprocess.run(
        ["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    for line in listed.splitlines():
        pid, _, words = line.strip().partition(" ")
        if "launch-action" in words and is_of(Path(f"/proc/{pid}/environ"), scene.runner.root):
            os.kill(int(pid), signal.SIGTERM)


def is_of(environment: Path, runner: Path) -> bool:
    try:
        return str(runner).encode() in environment.read_bytes()
    except OSError:
        return False


def test_a_job_that_cannot_be_built_says_why(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    git(scene.workspace, "checkout", "--quiet", "topic")
    head = project(scene.workspace, "", "no-such-package-4711 @ file:///nowhere/|@octocat")
    scene = Scene(scene.runner, replace(scene.commits, head=head, merge=head))
    result = run(scene, github_api, inputs)

    assert result.code in (2, 4), result.raw
    assert row(github).state == "failed"
    for text in (github.bodies(NUMBER)[0], result.summary):
        assert "❌" in text
        assert "hint:" in shown(text)
        assert "octocat" in shown(text)
        assert "@octocat" not in html.unescape(text)


def test_a_metric_that_misses_its_gate_is_reported_before_the_step_fails(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    result = run(scene, github_api, inputs | {"fail-if": "accuracy < 0.99"})

    assert result.code == 1, result.raw
    assert row(github).state == "failed"
    assert {one.name for one in row(github).metrics} == {"accuracy", "rate", "eval.loss"}
    assert "the metrics gate failed: " in shown(github.bodies(NUMBER)[0])


@pytest.mark.parametrize("event", [events.fork, events.dependabot], ids=lambda e: e.__name__)
def test_an_outsider_s_pull_request_is_reported_in_the_summary_alone(
    scene: Scene,
    github_api: GitHubServer,
    github: Repository,
    inputs: dict[str, str],
    event: Callable[[Commits], Event],
) -> None:
    succeeded(run(on_main(scene), github_api, inputs, events.branch))
    before = len(github_api.seen)
    result = succeeded(run(scene, github_api, inputs, event))

    assert github.comments == {}
    assert len(github_api.seen) == before
    assert "tomli 2.2.1 → 2.3.0" in shown(result.summary), result.raw


def test_without_the_permission_the_step_goes_on_with_one_warning(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    github_api.allow(contents="read")
    result = succeeded(run(scene, github_api, inputs))

    warnings = [one for one in result.log.of("warning") if "permission" in one]
    assert len(warnings) == 1
    assert "`pull-requests: write`" in warnings[0]
    assert github.comments == {}


def test_a_comment_that_is_not_wanted_asks_nothing_of_github(
    scene: Scene, github_api: GitHubServer, inputs: dict[str, str]
) -> None:
    options = f"{inputs['build-options']}\ncomment=false"
    succeeded(run(scene, github_api, inputs | {"build-options": options}))

    assert github_api.seen == []


def test_hostile_words_of_a_job_stay_words(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    hostile: Any = {
        "--><img src=x>|`@octocat`": "</details><script>|\n# x",
        "\u202erate\x1b[0m": 1,
        "[a](https://evil.example)": "#1 GH-1",
    }
    script = (
        "import json, os, pathlib\n"
        "pathlib.Path(os.environ['LAUNCH_OUTPUT_DIR'], 'metrics.json').write_text("
        f"json.dumps({hostile!r}))\n"
    )
    git(scene.workspace, "checkout", "--quiet", "topic")
    head = project(scene.workspace, script)
    scene = Scene(scene.runner, replace(scene.commits, head=head, merge=head))
    result = succeeded(run(scene, github_api, inputs))

    for text in (github.bodies(NUMBER)[0], result.summary):
        for part in ("<img", "<script", "@octocat", "](https", "\u202e", "\x1b", " #1", "GH-1"):
            assert part not in re.sub(r"&#(?!8203)", "", text), part
        assert text.count("-->") == (2 if text.startswith(ANY_MARKER) else 0)
        assert "<img src=x>" in shown(html.unescape(text).replace("<img", "&lt;img"))
