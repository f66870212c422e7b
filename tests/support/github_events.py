"""Events as GitHub gives them to a workflow: the payload, and the variables that belong to it.

The shapes are those of GitHub's webhook documentation; tests/contract/test_github_events.py holds
every payload against GitHub's published schema. What a run sees besides (which ref and commit an
event has) is GitHub's table "Events that trigger workflows".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.github_payloads import (
    API,
    CLOSED,
    DEPENDABOT,
    INSTALLATION,
    NUMBER,
    ORGANIZATION,
    OWNER,
    REACTIONS,
    REPOSITORY,
    TIME,
    ZERO,
    Commits,
    Payload,
    bot,
    fork_pull_request,
    issue_object,
    pull_request,
    push_payload,
    release_object,
    run_object,
    sent,
    small_commit,
    user,
    workflow_object,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `schema` names its definition in GitHub's schema; empty: it is no webhook."""

    name: str
    payload: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""


def opened(commits: Commits) -> Event:
    return _pulled("opened", pull_request(commits), commits)


def synchronize(commits: Commits) -> Event:
    event = _pulled("synchronize", pull_request(commits), commits)
    return _more(event, before="a" * 40, after=commits.head)


def reopened(commits: Commits) -> Event:
    return _pulled("reopened", pull_request(commits), commits)


def draft(commits: Commits) -> Event:
    return _pulled("opened", {**pull_request(commits), "draft": True}, commits)


def ready_for_review(commits: Commits) -> Event:
    return _pulled("ready_for_review", pull_request(commits), commits)


def labeled(commits: Commits) -> Event:
    label = {
        "id": 1,
        "node_id": "LA_1",
        "url": f"{API}/repos/{REPOSITORY}/labels/preview",
        "name": "preview",
        "color": "ededed",
        "default": False,
        "description": None,
    }
    pull = {**pull_request(commits), "labels": [label]}
    return _more(_pulled("labeled", pull, commits), label=label)


def labeled_when_closed(commits: Commits) -> Event:
    event = labeled(commits)
    pull = {**event.payload["pull_request"], **CLOSED}
    return _more(event, pull_request=pull)


def closed(commits: Commits) -> Event:
    return _pulled("closed", {**pull_request(commits), **CLOSED}, commits)


def merged(commits: Commits) -> Event:
    pull = {
        **pull_request(commits),
        **CLOSED,
        "merged": True,
        "merged_at": TIME,
        "merged_by": user(),
    }
    return _pulled("closed", pull, commits)


def fork(commits: Commits) -> Event:
    return _pulled("opened", fork_pull_request(commits), commits, actor="mallory")


def deleted_fork(commits: Commits) -> Event:
    pull = fork_pull_request(commits)
    gone = {**pull, "head": {**pull["head"], "repo": None}}
    return _pulled("synchronize", gone, commits, actor="mallory", before=ZERO, after=commits.head)


def closed_fork(commits: Commits) -> Event:
    return _pulled("closed", {**fork_pull_request(commits), **CLOSED}, commits, actor="mallory")


def dependabot(commits: Commits) -> Event:
    pull = {**pull_request(commits, branch="dependabot/pip/tomli-2.3.0"), "user": bot()}
    return _pulled("opened", pull, commits, actor=DEPENDABOT)


def target(commits: Commits) -> Event:
    return _targeted(pull_request(commits), commits, "octocat")


def target_fork(commits: Commits) -> Event:
    return _targeted(fork_pull_request(commits), commits, "mallory")


def branch(commits: Commits, name: str = "main") -> Event:
    ref = f"refs/heads/{name}"
    return Event("push", push_payload(ref, commits.head), _of_ref(ref, commits.head), "push$event")


def tag(commits: Commits, name: str = "v1.2.3") -> Event:
    ref = f"refs/tags/{name}"
    return Event("push", push_payload(ref, commits.head), _of_ref(ref, commits.head), "push$event")


def pushed_by_dependabot(commits: Commits) -> Event:
    event = branch(commits, "dependabot/pip/tomli-2.3.0")
    payload = {**event.payload, "sender": bot(), "pusher": {"name": DEPENDABOT, "email": None}}
    return Event("push", payload, {**event.variables, "GITHUB_ACTOR": DEPENDABOT}, "push$event")


def branch_pushed_away(commits: Commits, name: str = "old") -> Event:
    """A push that deletes: ref and commit of the run are then the default branch's."""
    payload = push_payload(f"refs/heads/{name}", ZERO) | {
        "before": "a" * 40,
        "deleted": True,
        "created": False,
        "commits": [],
        "head_commit": None,
    }
    return Event("push", payload, _of_ref("refs/heads/main", commits.head), "push$event")


def branch_deleted(commits: Commits, name: str = "old") -> Event:
    return _deleted(commits, name, "branch")


def tag_deleted(commits: Commits, name: str = "v1") -> Event:
    return _deleted(commits, name, "tag")


def dispatch(commits: Commits) -> Event:
    payload = sent(
        inputs={"lr": "0.1"}, ref="refs/heads/main", workflow=".github/workflows/launch.yml"
    )
    variables = _of_ref("refs/heads/main", commits.head)
    return Event("workflow_dispatch", payload, variables, "workflow_dispatch$event")


def schedule(commits: Commits) -> Event:
    """No webhook: the payload says little more than the line of cron."""
    return Event("schedule", {"schedule": "0 5 * * 1"}, _of_ref("refs/heads/main", commits.head))


def merge_group(commits: Commits) -> Event:
    ref = f"refs/heads/gh-readonly-queue/main/pr-{NUMBER}-{commits.base}"
    group = {
        "head_sha": commits.head,
        "head_ref": ref,
        "base_sha": commits.base,
        "base_ref": "refs/heads/main",
        "head_commit": small_commit(commits.head),
    }
    payload = sent(action="checks_requested", merge_group=group, installation=INSTALLATION)
    variables = _of_ref(ref, commits.head)
    return Event("merge_group", payload, variables, "merge_group$checks_requested")


def release(commits: Commits, name: str = "v1.2.3") -> Event:
    payload = sent(action="published", release=release_object(name))
    variables = _of_ref(f"refs/tags/{name}", commits.head)
    return Event("release", payload, variables, "release$published")


def repository_dispatch(commits: Commits) -> Event:
    payload = sent(
        action="train", branch="main", client_payload={"lr": 1}, installation=INSTALLATION
    )
    variables = _of_ref("refs/heads/main", commits.head)
    return Event("repository_dispatch", payload, variables, "repository_dispatch$event")


def workflow_call(commits: Commits) -> Event:
    """A called workflow sees its caller's event, under this name or, on GitHub, the caller's."""
    return Event("workflow_call", branch(commits).payload, branch(commits).variables)


def workflow_run(commits: Commits, *, of_fork: bool = False) -> Event:
    owner = "mallory" if of_fork else OWNER
    payload = sent(
        action="completed",
        workflow=workflow_object(),
        workflow_run=run_object(commits, owner),
        organization=ORGANIZATION,
    )
    variables = _of_ref("refs/heads/main", commits.base)
    return Event("workflow_run", payload, variables, "workflow_run$completed")


def workflow_run_fork(commits: Commits) -> Event:
    return workflow_run(commits, of_fork=True)


def issue_comment(commits: Commits) -> Event:
    """A comment on a pull request, in which nothing says whose its head is."""
    issue = issue_object()
    comment = {
        "url": f"{issue['url']}/comments/1",
        "html_url": f"{issue['html_url']}#issuecomment-1",
        "issue_url": issue["url"],
        "id": 1,
        "node_id": "IC_1",
        "user": user(),
        "created_at": TIME,
        "updated_at": TIME,
        "author_association": "MEMBER",
        "body": "/launch",
        "reactions": REACTIONS | {"url": f"{issue['url']}/comments/1/reactions"},
        "performed_via_github_app": None,
    }
    payload = sent(action="created", issue=issue, comment=comment)
    variables = _of_ref("refs/heads/main", commits.base)
    return Event("issue_comment", payload, variables, "issue_comment$created")


EVERY: tuple[Callable[[Commits], Event], ...] = (
    opened, synchronize, reopened, draft, ready_for_review, labeled, labeled_when_closed, closed,
    merged, fork, deleted_fork, closed_fork, dependabot, target, target_fork, branch, tag,
    pushed_by_dependabot, branch_pushed_away, branch_deleted, tag_deleted, dispatch, schedule,
    merge_group, release, repository_dispatch, workflow_call, workflow_run, workflow_run_fork,
    issue_comment,
)  # fmt: skip


def _of_ref(ref: str, commit: str) -> dict[str, str]:
    kind = "tag" if ref.startswith("refs/tags/") else "branch"
    short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    return {
        "GITHUB_REF": ref,
        "GITHUB_REF_NAME": short,
        "GITHUB_REF_TYPE": kind,
        "GITHUB_SHA": commit,
        "GITHUB_HEAD_REF": "",
        "GITHUB_BASE_REF": "",
    }


def _more(event: Event, **parts: Any) -> Event:
    return Event(event.name, {**event.payload, **parts}, event.variables, event.schema)


def _pulled(
    action: str, pull: Payload, commits: Commits, *, actor: str = "octocat", **parts: Any
) -> Event:
    payload = sent(action=action, number=NUMBER, pull_request=pull, **parts)
    variables = {
        "GITHUB_REF": f"refs/pull/{NUMBER}/merge",
        "GITHUB_REF_NAME": f"{NUMBER}/merge",
        "GITHUB_REF_TYPE": "branch",
        "GITHUB_SHA": commits.merge,
        "GITHUB_HEAD_REF": pull["head"]["ref"],
        "GITHUB_BASE_REF": pull["base"]["ref"],
        "GITHUB_ACTOR": actor,
    }
    return Event("pull_request", payload, variables, f"pull_request${action}")


def _targeted(pull: Payload, commits: Commits, actor: str) -> Event:
    """`pull_request_target`: ref and commit are the default branch's (since December 2025)."""
    event = _pulled("opened", pull, commits, actor=actor)
    there = {**event.variables, **_of_ref("refs/heads/main", commits.base), "GITHUB_ACTOR": actor}
    return Event("pull_request_target", event.payload, there, event.schema)


def _deleted(commits: Commits, name: str, kind: str) -> Event:
    payload = sent(ref=name, ref_type=kind, master_branch="main", description=None)
    payload["pusher_type"] = "user"
    del payload["master_branch"], payload["description"]
    return Event("delete", payload, _of_ref("refs/heads/main", commits.head), "delete$event")
