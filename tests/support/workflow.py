"""A repository on GitHub whose workflow runs the action: one checkout, events as a test wants."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.github_runner import Runner, StepResult
from support.machines import ROOT
from support.program import Ended, Machine
from support.registry import Logins
from support.repositories import Work, make_repository

from launch_action.core.reference import Repository
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.oci.registries import Registries

NAME = "acme/mono-jobs"


@dataclass(slots=True)
class Workflow:
    """A checkout, a runner for its events, and the inputs of every step.

    `also` is in the environment of the steps. `image` is the repository that they push to.
    """

    root: Path
    work: Work
    inputs: dict[str, str]
    image: str
    cache: Path
    also: dict[str, str] = field(default_factory=dict)

    def push(self, **inputs: str) -> StepResult:
        """The step of a push to the default branch, at what is checked out."""
        return self.step(
            "push", {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}, inputs
        )

    def tag(self, tag: str, **inputs: str) -> StepResult:
        """The step of a pushed tag, at what is checked out."""
        ref = {"GITHUB_REF": f"refs/tags/{tag}", "GITHUB_REF_NAME": tag, "GITHUB_REF_TYPE": "tag"}
        return self.step("push", ref, inputs)

    def pull(self, number: int, action: str = "synchronize", **inputs: str) -> StepResult:
        """The step of a pull request's event, whose head is checked out."""
        head = {"sha": self.commit, "ref": f"feature-{number}", "repo": {"full_name": NAME}}
        pull = {
            "number": number,
            "head": head,
            "base": {"ref": "main", "sha": "b" * 40},
            "state": "closed" if action == "closed" else "open",
        }
        ref = {
            "GITHUB_REF": f"refs/pull/{number}/merge", "GITHUB_REF_NAME": f"{number}/merge",
            "GITHUB_HEAD_REF": f"feature-{number}", "GITHUB_BASE_REF": "main",
            "GITHUB_SHA": "f" * 40,
        }  # fmt: skip
        payload = {"action": action, "number": number, "pull_request": pull}
        return self.step("pull_request", ref, inputs, payload)

    def branch(self, branch: str, **inputs: str) -> StepResult:
        """The step of a push to another branch, at what is checked out."""
        ref = {"GITHUB_REF": f"refs/heads/{branch}", "GITHUB_REF_NAME": branch}
        return self.step("push", ref, inputs)

    def as_run(self, run: int, attempt: int = 1) -> None:
        """Have the steps from here on be of this workflow run."""
        numbers = {"ID": run, "NUMBER": run % 7000, "ATTEMPT": attempt}
        self.also |= {f"GITHUB_RUN_{name}": str(number) for name, number in numbers.items()}

    def delete(self, branch: str, **inputs: str) -> StepResult:
        """The step of a branch's deletion; what is checked out is the default branch."""
        payload = {"ref": branch, "ref_type": "branch"}
        return self.step("delete", {"GITHUB_REF": "refs/heads/main"}, inputs, payload)

    def step(
        self,
        event: str,
        ref: Mapping[str, str],
        inputs: Mapping[str, str],
        payload: Mapping[str, Any] | None = None,
    ) -> StepResult:
        named = {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.runner(event, ref, payload).run(self.inputs | named)

    def runner(
        self, event: str, ref: Mapping[str, str], payload: Mapping[str, Any] | None = None
    ) -> Runner:
        """The runner of an event, at what is checked out."""
        repository = {"full_name": NAME, "default_branch": "main"}
        return Runner(
            root=self.root / "runner",
            action=ROOT,
            workspace=self.work.path,
            path=os.environ["PATH"],
            event=event,
            payload={"repository": repository, **(payload or {})},
            github={"GITHUB_SHA": self.commit, "GITHUB_REPOSITORY": NAME, **ref},
            also={
                "RUNNER_TOOL_CACHE": str(self.cache),
                "LAUNCH_ACTION_CACHE": str(self.cache / "cache"),
                "PIP_FIND_LINKS": "",
                **self.also,
            },
        )

    @property
    def commit(self) -> str:
        """What is checked out."""
        return self.work.git("rev-parse", "HEAD")

    def program(self, *arguments: str) -> Ended:
        """The command line, on a laptop that knows the registry."""
        return Machine(self.root / "laptop", self.cache / "cache").run(
            *arguments, cwd=self.work.path
        )


@contextmanager
def workflow(root: Path, image: str, base: str, cache: Path) -> Iterator[Workflow]:
    """A repository with one commit of a script that has no dependencies."""
    work = make_repository(root / "checkout", remote=f"https://github.com/{NAME}.git")
    work.commit({"train.py": "print('trained')\n"})
    inputs = {
        "entry-point": "python train.py",
        "image": image,
        "build-options": f"base-image={base}\npython=3.11\nresource=local-process\ncomment=false",
    }
    yield Workflow(root, work, inputs, image, cache)


def good(step: StepResult) -> StepResult:
    """A step that succeeded."""
    assert step.code == 0, step.raw
    return step


def aliased(image: str) -> dict[str, JobVersion]:
    """What every alias in an image's repository names, but for those of commits."""
    versions = JobStore(Registries(Logins()).open(Repository.parse(image))).versions()
    found = ((str(tag), version) for version, tags in versions for tag in tags)
    return {alias: version for alias, version in found if not alias.startswith("sha-")}
