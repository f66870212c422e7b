"""What the GitHub of the tests does and answers, an operation of the description at a time.

Each rule is GitHub's: limits of lengths, the traps of deployments, who may do what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from support import github_deploying as deploying
from support import github_packages as packages
from support.github_request import Answer, Refusal, Request, fitting, invalid, listed, pick
from support.github_state import Document, Repository, State, newest_first, now

COMMENT_LIMIT = 65536  # characters
CHECK_LIMIT = 65535
RELEASE_LIMIT = 125000

# Any one of the permissions is enough; GitHub sends them as X-Accepted-GitHub-Permissions.
PERMISSIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "actions/list-jobs-for-workflow-run-attempt": (("actions",), "read"),
    "checks/create": (("checks",), "write"),
    "checks/update": (("checks",), "write"),
    "checks/get": (("checks",), "read"),
    "checks/list-for-ref": (("checks",), "read"),
    "issues/list-comments": (("issues", "pull_requests"), "read"),
    "issues/get-comment": (("issues", "pull_requests"), "read"),
    "issues/create-comment": (("issues", "pull_requests"), "write"),
    "issues/update-comment": (("issues", "pull_requests"), "write"),
    "issues/delete-comment": (("issues", "pull_requests"), "write"),
    "pulls/get": (("pull_requests",), "read"),
    "pulls/list": (("pull_requests",), "read"),
    "repos/list-pull-requests-associated-with-commit": (("pull_requests",), "read"),
    "repos/create-deployment": (("deployments",), "write"),
    "repos/create-deployment-status": (("deployments",), "write"),
    "repos/delete-deployment": (("deployments",), "write"),
    "repos/get-deployment": (("deployments",), "read"),
    "repos/list-deployments": (("deployments",), "read"),
    "repos/list-deployment-statuses": (("deployments",), "read"),
    "repos/get-release": (("contents",), "read"),
    "repos/get-release-by-tag": (("contents",), "read"),
    "repos/list-releases": (("contents",), "read"),
    "repos/create-release": (("contents",), "write"),
    "repos/update-release": (("contents",), "write"),
}


def answer(state: State, request: Request) -> Answer:
    """Do what is asked. Raises Refusal."""
    name = request.operation.name
    if name not in _HANDLERS and name not in _PACKAGES:
        raise NotImplementedError(f"the GitHub of the tests does not do {name}")
    if name in _PACKAGES:
        return _PACKAGES[name](state, request)
    if "owner" not in request.values:
        return _HANDLERS[name](state, Repository("", 0), request)
    full_name = f"{request.values['owner']}/{request.values['repo']}"
    repository = state.repositories.get(full_name.lower())
    if repository is None or (repository.private and request.token is None):
        raise Refusal(404, "Not Found")
    _allow(request, repository)
    return _HANDLERS[name](state, repository, request)


def _allow(request: Request, repository: Repository) -> None:
    permissions, level = PERMISSIONS.get(request.operation.name, ((), "read"))
    if not permissions or (level == "read" and not repository.private):
        return
    if request.token is None:
        raise Refusal(401, "Requires authentication")
    if not any(request.token.may(one, level) for one in permissions):
        whose = "integration" if request.token.of_installation else "personal access token"
        refusal = Refusal(403, f"Resource not accessible by {whose}")
        refusal.headers["X-Accepted-GitHub-Permissions"] = "; ".join(
            f"{one}={level}" for one in permissions
        )
        raise refusal


# ---- repositories, users, pull requests ---------------------------------------------------------


def _repository(state: State, repository: Repository, _: Request) -> Answer:
    found = state.document("repos/get", 200, repository, repository.identity)
    for kin in ("source", "parent", "template_repository"):  # of a fork, and not whole
        found.pop(kin, None)
    found |= {
        "name": repository.full_name.split("/")[1],
        "full_name": repository.full_name,
        "default_branch": repository.default_branch,
        "private": repository.private,
        "language": None,
    }
    return Answer(200, found)


def _viewer(state: State, _: Repository, request: Request) -> Answer:
    if request.token is None:
        raise Refusal(401, "Requires authentication")
    if request.token.of_installation:
        raise Refusal(403, "Resource not accessible by integration")
    found = request.operation.example(200)
    return Answer(200, found | state.user(request.token.login))


def _pull(_: State, repository: Repository, request: Request) -> Answer:
    return Answer(200, pick(repository.pulls, request, "pull_number"))


def _pulls(state: State, repository: Repository, request: Request) -> Answer:
    wanted = request.query.get("state", "open")
    commit, head = request.values.get("commit_sha"), request.query.get("head")
    found = [
        state.document("pulls/list", 200, repository, pull["id"])
        | {name: pull[name] for name in ("number", "state", "title", "url", "requested_teams")}
        | {"head": pull["head"], "base": pull["base"]}
        for pull in newest_first(repository.pulls)
        if (commit is not None or wanted in ("all", pull["state"]))
        and commit in (None, pull["head"]["sha"])
        and head in (None, pull["head"]["label"])
    ]
    return listed(state, request, found)


# ---- comments -----------------------------------------------------------------------------------


def _comments(state: State, repository: Repository, request: Request) -> Answer:
    _require_pull(repository, request)
    seen = time.monotonic() - state.lag
    found = [
        one
        for identity, one in sorted(repository.comments.items())
        if one["issue_url"].endswith(f"/{request.values['issue_number']}")
        and (not state.lag or state.born[identity] <= seen)
    ]
    return listed(state, request, found)


def _add_comment(state: State, repository: Repository, request: Request) -> Answer:
    _require_pull(repository, request)
    body = fitting(request.body["body"], "IssueComment", COMMENT_LIMIT)
    assert request.token is not None
    number = int(request.values["issue_number"])
    return Answer(201, state.comment(repository, number, body, request.token.login))


def _comment(_: State, repository: Repository, request: Request) -> Answer:
    return Answer(200, pick(repository.comments, request, "comment_id"))


def _edit_comment(_: State, repository: Repository, request: Request) -> Answer:
    found = pick(repository.comments, request, "comment_id")
    found["body"] = fitting(request.body["body"], "IssueComment", COMMENT_LIMIT)
    found |= now("updated_at")
    return Answer(200, found)


def _delete_comment(_: State, repository: Repository, request: Request) -> Answer:
    del repository.comments[pick(repository.comments, request, "comment_id")["id"]]
    return Answer(204)


def _require_pull(repository: Repository, request: Request) -> None:
    if int(request.values["issue_number"]) not in repository.pulls:
        raise Refusal(404, "Not Found")


# ---- check runs ---------------------------------------------------------------------------------


def _add_check(state: State, repository: Repository, request: Request) -> Answer:
    made = state.document("checks/create", 201, repository, state.new_id())
    made |= {
        "head_sha": request.body["head_sha"],
        "name": request.body["name"],
        "status": "queued",
        "conclusion": None,
        "external_id": "",
        "pull_requests": [],
        "output": made["output"] | {"title": None, "summary": None, "text": None},
        "html_url": f"https://github.com/{repository.full_name}/runs/{made['id']}",
        "url": f"{state.url}/repos/{repository.full_name}/check-runs/{made['id']}",
    } | now("started_at")
    _checked(made, request.body)
    repository.check_runs[made["id"]] = made
    return Answer(201, made)


def _edit_check(_: State, repository: Repository, request: Request) -> Answer:
    found = pick(repository.check_runs, request, "check_run_id")
    _checked(found, request.body)
    return Answer(200, found)


def _checked(document: Document, asked: Mapping[str, Any]) -> None:
    if asked.get("status") == "completed" and "conclusion" not in asked:
        raise Refusal(422, "Invalid request.\n\nMissing conclusion")
    output = asked.get("output", {})
    for name in ("summary", "text"):
        if len(output.get(name) or "") > CHECK_LIMIT:
            raise Refusal(
                422,
                f"Invalid request.\n\nOnly {CHECK_LIMIT} characters are allowed; "
                f"{len(output[name])} were supplied.",
            )
    names = ("name", "status", "conclusion", "details_url", "external_id", "completed_at")
    document |= {name: asked[name] for name in names if name in asked}
    document["output"] |= {n: output[n] for n in ("title", "summary", "text") if n in output}
    if "conclusion" in asked:
        document |= {"status": "completed"} | now("completed_at")


def _check(_: State, repository: Repository, request: Request) -> Answer:
    return Answer(200, pick(repository.check_runs, request, "check_run_id"))


def _checks(state: State, repository: Repository, request: Request) -> Answer:
    found = [
        one
        for one in newest_first(repository.check_runs)
        if one["head_sha"] == request.values["ref"]
        and request.query.get("check_name", one["name"]) == one["name"]
        and request.query.get("status", one["status"]) == one["status"]
    ]
    page = listed(state, request, found)
    page.body = {"total_count": len(found), "check_runs": page.body}
    return page


# ---- releases -----------------------------------------------------------------------------------


def _releases(state: State, repository: Repository, request: Request) -> Answer:
    may_write = request.token is not None and request.token.may("contents", "write")
    found = [one for one in newest_first(repository.releases) if may_write or one["draft"] is False]
    return listed(state, request, found)


def _release_of_tag(_: State, repository: Repository, request: Request) -> Answer:
    """The published release of a tag: a draft has none yet."""
    tag = unquote(request.values["tag"])
    for one in newest_first(repository.releases):
        if one["tag_name"] == tag and not one["draft"]:
            return Answer(200, one)
    raise Refusal(404, "Not Found")


def _release(_: State, repository: Repository, request: Request) -> Answer:
    return Answer(200, pick(repository.releases, request, "release_id"))


def _add_release(state: State, repository: Repository, request: Request) -> Answer:
    if any(one["tag_name"] == request.body["tag_name"] for one in repository.releases.values()):
        raise invalid("Release", "tag_name", "", "already_exists")
    made = state.release(repository, request.body["tag_name"])
    _released(made, request.body)
    return Answer(201, made)


def _edit_release(_: State, repository: Repository, request: Request) -> Answer:
    found = pick(repository.releases, request, "release_id")
    _released(found, request.body)
    return Answer(200, found)


def _released(document: Document, asked: Mapping[str, Any]) -> None:
    fitting(asked.get("body") or "", "Release", RELEASE_LIMIT)
    names = ("tag_name", "name", "body", "draft", "prerelease", "target_commitish")
    document |= {name: asked[name] for name in names if name in asked}


# Packages are an owner's, not a repository's.
_PACKAGES: Mapping[str, Callable[[State, Request], Answer]] = {
    "packages/get-all-package-versions-for-package-owned-by-org": packages.versions,
    "packages/get-all-package-versions-for-package-owned-by-user": packages.versions,
    "packages/delete-package-version-for-org": packages.delete,
    "packages/delete-package-version-for-user": packages.delete,
}
_Handler = Callable[[State, Repository, Request], Answer]
_HANDLERS: Mapping[str, _Handler] = {
    "repos/get": _repository,
    "users/get-authenticated": _viewer,
    "pulls/get": _pull,
    "pulls/list": _pulls,
    "repos/list-pull-requests-associated-with-commit": _pulls,
    "issues/list-comments": _comments,
    "issues/create-comment": _add_comment,
    "issues/get-comment": _comment,
    "issues/update-comment": _edit_comment,
    "issues/delete-comment": _delete_comment,
    "repos/list-deployments": deploying.deployments,
    "repos/create-deployment": deploying.deploy,
    "repos/get-deployment": deploying.deployment,
    "repos/delete-deployment": deploying.remove_deployment,
    "repos/list-deployment-statuses": deploying.statuses,
    "repos/create-deployment-status": deploying.add_status,
    "checks/create": _add_check,
    "checks/update": _edit_check,
    "checks/get": _check,
    "checks/list-for-ref": _checks,
    "repos/list-releases": _releases,
    "repos/get-release-by-tag": _release_of_tag,
    "repos/get-release": _release,
    "repos/create-release": _add_release,
    "repos/update-release": _edit_release,
}
