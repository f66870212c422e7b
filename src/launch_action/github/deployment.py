"""Deployments of previews: one for each job and commit of a pull request, all in one environment.

The environment is transient and none of production, so that GitHub shows what is over as destroyed.
Which job of which pull request a deployment is of stands in its payload; its task names the pull
request, because GitHub lists deployments by task, and a busy repository has thousands of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from launch_action.core.dataclass import dataclass
from launch_action.github.api import GitHubApi
from launch_action.github.refusal import Purpose, Refused, nonsense

PERMISSION = "deployments: write"
State = Literal["queued", "in_progress", "success", "failure", "inactive"]
# Characters of a status's description; GitHub refuses one more with 422.
_DESCRIPTION = 140
# What GitHub itself writes for a job of a workflow that has an `environment:`.
_OWN_TASK = "deploy"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment that we made; a higher number is a newer one.

    `job` names the job for people, `leg` tells it from every other one of the pull request, such as
    the same job for another Python.
    """

    number: int
    commit: str
    environment: str
    pull_request: int
    job: str
    leg: str


class Deployments:
    """The deployments of one repository's previews. Every method raises Refused.

    `log_url` is the page of this run, which every status that is told links to.
    """

    def __init__(self, api: GitHubApi, log_url: str = "") -> None:
        self._api = api
        self._log_url = log_url

    def of(self, pull_request: int) -> tuple[Deployment, ...]:
        """Ours of a pull request, the newest first."""
        purpose = _purpose("list the deployments", pull_request)
        listed = self._api.listed("/deployments", purpose, task=_task(pull_request))
        found = [one for one in map(_read, listed) if one and one.pull_request == pull_request]
        return tuple(sorted(found, key=lambda one: one.number, reverse=True))

    def ensure(self, wanted: Deployment, known: Sequence[Deployment]) -> Deployment:
        """The deployment of this leg and commit: made, or found where this is a run again.

        `known` are those of the pull request (`of`); the number of `wanted` says nothing. What was
        made though its answer was lost is found.
        """
        found = _newest(wanted, known)
        if found:
            return found
        try:
            return self._create(wanted)
        except Refused as error:
            if not error.uncertain:
                raise
        return _newest(wanted, self.of(wanted.pull_request)) or self._create(wanted)

    def tell(
        self, deployment: Deployment, state: State, *, description: str = "", url: str = ""
    ) -> None:
        """Give a deployment a status; `url` is where the preview itself is looked at.

        Others become inactive by `supersede`, not by GitHub: it goes by the environment, and all
        previews have the same.
        """
        body: dict[str, Any] = {
            "state": state,
            "auto_inactive": False,
            "description": _fitted(description),
        }
        if self._log_url:
            body["log_url"] = self._log_url
        if url.startswith(("https://", "http://")):
            body["environment_url"] = url
        purpose = _purpose("take the state of the deployment", deployment.pull_request)
        self._api.create(f"/deployments/{deployment.number}/statuses", purpose, body, again=True)

    def state(self, deployment: Deployment) -> str:
        """The state that was told last; empty where none was."""
        states = self._states(deployment)
        return states[-1] if states else ""

    def supersede(self, deployment: Deployment) -> None:
        """Make the earlier deployments of the same leg inactive, now that this one succeeded.

        Where a newer one has succeeded meanwhile, or where this one was made inactive while its leg
        went on, as the end of the pull request does, it becomes inactive itself.
        """
        if "inactive" in self._since_queued(deployment):
            self.tell(deployment, "inactive")
            return
        for one in self.of(deployment.pull_request):
            if one.number == deployment.number or one.leg != deployment.leg:
                continue
            state = self.state(one)
            if one.number > deployment.number:
                if state == "success":
                    self.tell(deployment, "inactive")
            elif state == "inactive":
                return  # it, or what made it so, has seen to the older ones
            else:
                self.tell(one, "inactive")

    def deactivate(self, pull_request: int, job: str | None = None) -> int:
        """Make every deployment of a pull request inactive, or of one of its jobs; how many."""
        found = [one for one in self.of(pull_request) if job in (None, one.job)]
        active = [one for one in found if self.state(one) != "inactive"]
        for one in active:
            self.tell(one, "inactive")
        return len(active)

    def is_made_by_github(self, commit: str, environment: str, run_id: str) -> bool:
        """Whether this very run's job has an `environment:` of that name: GitHub tells of it."""
        purpose = Purpose(f"list the deployments of commit {commit[:12]}", PERMISSION)
        query = {"sha": commit, "environment": environment, "task": _OWN_TASK}
        return any(
            f"/actions/runs/{run_id}/" in str(status.get("log_url"))
            for number in _numbers(self._api.listed("/deployments", purpose, **query))
            for status in self._api.listed(f"/deployments/{number}/statuses", purpose)
        )

    def _since_queued(self, deployment: Deployment) -> list[str]:
        """What was told of it since its leg began, the last time that it did."""
        states = self._states(deployment)
        begun = max((place for place, one in enumerate(states) if one == "queued"), default=0)
        return states[begun:]

    def _states(self, deployment: Deployment) -> list[str]:
        """All that was told of a deployment, in its order."""
        purpose = _purpose("show the state of the deployment", deployment.pull_request)
        path = f"/deployments/{deployment.number}/statuses"
        found = [
            (number, str(one.get("state")))
            for one in self._api.listed(path, purpose)
            if type(number := one.get("id")) is int
        ]
        return [state for _, state in sorted(found)]

    def _create(self, wanted: Deployment) -> Deployment:
        purpose = _purpose("take a deployment", wanted.pull_request)
        body = {
            "ref": wanted.commit,
            "task": _task(wanted.pull_request),
            # By default GitHub merges the base branch into the head, and deploys nothing then.
            "auto_merge": False,
            # By default checks that are still pending, this one among them, are a conflict.
            "required_contexts": [],
            "environment": wanted.environment,
            "transient_environment": True,
            "production_environment": False,
            "description": _fitted(f"{wanted.job} of pull request #{wanted.pull_request}"),
            "payload": {
                "pull_request": wanted.pull_request,
                "job": wanted.job,
                "leg": wanted.leg,
            },
        }
        made = _read(self._api.create("/deployments", purpose, body))
        if made is None:
            raise nonsense(purpose, "its answer is another deployment than was asked for")
        return made


def _newest(wanted: Deployment, known: Sequence[Deployment]) -> Deployment | None:
    """The newest of the leg, where it is of this commit and environment."""
    same = [one for one in known if one.leg == wanted.leg]
    found = max(same, key=lambda one: one.number, default=None)
    if found and (found.commit, found.environment) == (wanted.commit, wanted.environment):
        return found
    return None


def _task(pull_request: int) -> str:
    return f"launch:pr-{pull_request}"


def _purpose(what: str, pull_request: int) -> Purpose:
    return Purpose(f"{what} of pull request #{pull_request}", PERMISSION)


def _fitted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _DESCRIPTION else f"{line[: _DESCRIPTION - 3]}..."


def _numbers(documents: Iterator[Mapping[str, Any]]) -> Iterator[int]:
    return (number for one in documents if type(number := one.get("id")) is int)


def _read(document: Mapping[str, Any]) -> Deployment | None:
    """None for one that says of no job and pull request that it is theirs."""
    payload = document.get("payload")
    if isinstance(payload, str):  # as old Enterprise Servers give it
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return None
    if not isinstance(payload, dict):
        return None
    number, pull_request = document.get("id"), payload.get("pull_request")
    job, leg = payload.get("job"), payload.get("leg")
    if type(number) is not int or type(pull_request) is not int:
        return None
    if not isinstance(job, str) or not isinstance(leg, str):
        return None
    return Deployment(
        number=number,
        commit=str(document.get("sha")),
        environment=str(document.get("environment")),
        pull_request=pull_request,
        job=job,
        leg=leg,
    )
