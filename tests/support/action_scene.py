"""The repository that the tests of the action work at: a pull request, and checkouts of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from support.github_events import Event
from support.github_payloads import REPOSITORY, Commits
from support.github_runner import TOKEN, Runner

SCRIPT = "print('trained')\n"


def git(folder: Path, *arguments: str) -> str:
    who = {
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | who,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Scene:
    """A repository with a pull request, and a runner whose workspace is a checkout of it."""

    runner: Runner
    commits: Commits

    @property
    def workspace(self) -> Path:
        return self.runner.workspace

    def at(self, event: Callable[[Commits], Event], checkout: str = "") -> Runner:
        """The runner of an event, its workspace as actions/checkout leaves it.

        `checkout` is the commit that the workflow names instead of the event's own.
        """
        made = event(self.commits)
        ref, commit = made.variables["GITHUB_REF"], made.variables["GITHUB_SHA"]
        if checkout or not ref.startswith("refs/heads/"):
            git(self.workspace, "checkout", "--quiet", "--detach", checkout or commit)
        else:
            name = ref.removeprefix("refs/heads/")
            git(self.workspace, "checkout", "--quiet", "--force", "-B", name, commit)
        return replace(
            self.runner,
            event=made.name,
            payload=made.payload,
            github={"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_ACTOR": "octocat", **made.variables},
        )


def history(workspace: Path) -> Commits:
    """A commit on main, one on the branch `fix`, and the merge of both."""
    git(workspace, "init", "--quiet", "--initial-branch=main")
    # As older versions of actions/checkout do, which keep the token there.
    remote = f"https://x-access-token:{TOKEN}@github.com/{REPOSITORY}.git"
    git(workspace, "remote", "add", "origin", remote)
    base = _commit(workspace, "")
    git(workspace, "checkout", "--quiet", "-b", "fix")
    head = _commit(workspace, SCRIPT)
    git(workspace, "checkout", "--quiet", "main")
    git(workspace, "merge", "--quiet", "--no-ff", "--message=merge", "fix")
    merge = git(workspace, "rev-parse", "HEAD")
    return Commits(head, merge, base)


def _commit(workspace: Path, script: str) -> str:
    (workspace / "jobs" / "train.py").write_text(script)
    git(workspace, "add", ".")
    git(workspace, "commit", "--quiet", "--message=one")
    return git(workspace, "rev-parse", "HEAD")
