"""Deployments in the GitHub of the tests, with the traps of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from support.github_request import Answer, Refusal, Request, invalid, listed, pick
from support.github_state import Document, Repository, State, newest_first, now


def deployments(state: State, repository: Repository, request: Request) -> Answer:
    filters = {name: request.query.get(name, "none") for name in ("sha", "ref", "task")}
    filters["environment"] = request.query.get("environment", "none")
    found = [
        one
        for one in newest_first(repository.deployments)
        if all(value in ("none", one[name]) for name, value in filters.items())
    ]
    return listed(state, request, found)


def deploy(state: State, repository: Repository, request: Request) -> Answer:
    asked = request.body
    ref = asked["ref"]
    if ref in repository.absent:
        raise Refusal(422, f"No ref found for: {ref}")
    if asked.get("auto_merge", True) and ref in repository.behind:
        base = repository.default_branch
        return Answer(202, {"message": f"Auto-merged {base} into {ref} on deployment."})
    contexts = repository.contexts.get(ref, {})
    required = asked.get("required_contexts", list(contexts))
    if any(contexts.get(name) != "success" for name in required):
        raise Refusal(409, f"Conflict: Commit status checks failed for {ref}.")
    return Answer(201, _deployed(state, repository, request, asked))


def _deployed(
    state: State, repository: Repository, request: Request, asked: Mapping[str, Any]
) -> Document:
    assert request.token is not None
    made = state.document("repos/create-deployment", 201, repository, state.new_id())
    environment = asked.get("environment", "production")
    payload = asked.get("payload", {})
    url = f"{state.url}/repos/{repository.full_name}/deployments/{made['id']}"
    made |= {
        "ref": asked["ref"],
        "sha": asked["ref"] if len(asked["ref"]) == 40 else made["sha"],
        "task": asked.get("task", "deploy"),
        # A text that is JSON comes back as what it says.
        "payload": _loaded(payload) if isinstance(payload, str) else payload,
        "environment": environment,
        "original_environment": environment,
        "description": asked.get("description"),
        "creator": state.user(request.token.login),
        "transient_environment": asked.get("transient_environment", False),
        "production_environment": asked.get("production_environment", environment == "production"),
        "url": url,
        "statuses_url": f"{url}/statuses",
    } | now("created_at", "updated_at")
    repository.deployments[made["id"]] = made
    repository.statuses[made["id"]] = []
    return made


def _loaded(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text


def deployment(_: State, repository: Repository, request: Request) -> Answer:
    return Answer(200, pick(repository.deployments, request, "deployment_id"))


def remove_deployment(_: State, repository: Repository, request: Request) -> Answer:
    found = pick(repository.deployments, request, "deployment_id")
    if len(repository.deployments) > 1 and repository.state_of(found["id"]) != "inactive":
        raise invalid("Deployment", "state", "We cannot delete an active deployment")
    del repository.deployments[found["id"]]
    return Answer(204)


def statuses(state: State, repository: Repository, request: Request) -> Answer:
    found = pick(repository.deployments, request, "deployment_id")
    return listed(state, request, list(reversed(repository.statuses[found["id"]])))


def add_status(state: State, repository: Repository, request: Request) -> Answer:
    deployment = pick(repository.deployments, request, "deployment_id")
    asked = request.body
    if len(asked.get("description", "")) > 140:
        raise invalid("DeploymentStatus", "description", "description is too long (maximum is 140)")
    for name in ("log_url", "target_url", "environment_url"):
        if asked.get(name) and not asked[name].startswith(("https://", "http://")):
            raise invalid("DeploymentStatus", name, f"{name} must use http(s) scheme")
    if asked["state"] == "success" and asked.get("auto_inactive", True):
        _supersede(state, repository, request, deployment)
    return Answer(201, _put_status(state, repository, request, deployment, asked))


def _supersede(
    state: State, repository: Repository, request: Request, newer: Mapping[str, Any]
) -> None:
    for one in list(repository.deployments.values()):
        same = one["environment"] == newer["environment"] and one["id"] < newer["id"]
        lasting = not one["transient_environment"] and not one["production_environment"]
        if same and lasting and repository.state_of(one["id"]) == "success":
            _put_status(state, repository, request, one, {"state": "inactive"})


def _put_status(
    state: State,
    repository: Repository,
    request: Request,
    deployment: Document,
    asked: Mapping[str, Any],
) -> Document:
    assert request.token is not None
    made = state.document("repos/create-deployment-status", 201, repository, state.new_id())
    log = asked.get("log_url") or asked.get("target_url") or ""
    made |= {
        "state": asked["state"],
        "description": asked.get("description", ""),
        "environment": asked.get("environment", deployment["environment"]),
        "environment_url": asked.get("environment_url", ""),
        "log_url": log,
        "target_url": log,
        "creator": state.user(request.token.login),
        "deployment_url": deployment["url"],
        "url": f"{deployment['url']}/statuses/{made['id']}",
    } | now("created_at", "updated_at")
    repository.statuses[deployment["id"]].append(made)
    deployment |= now("updated_at")
    return made
