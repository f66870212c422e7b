"""The facts of a GitHub Actions run: which event, which commit, and how far it is to be trusted.

Sources: the runner's variables (actions/runner, GitHubContext.cs) and the webhook payload.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from launch_action.core.claims import Turn
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.mode import EventFacts
from launch_action.github.payload import Payload, read_payload

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PULL_REQUEST_EVENTS = frozenset(
    {
        "pull_request",
        "pull_request_target",
        "pull_request_review",
        "pull_request_review_comment",
    }
)
# They run as this repository, with its token and secrets, whoever causes them.
_WITH_RIGHTS = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
_DEPENDABOT = "dependabot[bot]"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubContext:
    """What GitHub says of this run. Texts are empty, numbers None, when it does not say.

    `sha` is GITHUB_SHA, which a pull request makes a throw-away merge commit; `head_sha` is the
    commit that a person pushed, `base_sha` the one that a pull request is compared with. `number`
    is that of a pull request or an issue, `pull_request` that of a pull request alone, which is
    `is_closed` when it is. Of an event that `is_deleted`, `branch` and `tag` name what was deleted.
    Branch names, titles and actors are outside text.
    """

    event_name: str
    action: str
    repository: str
    sha: str
    head_sha: str
    ref: str
    ref_name: str
    ref_type: str
    head_ref: str
    base_ref: str
    head_repository: str
    default_branch: str
    number: int | None
    pull_request: int | None
    base_sha: str
    is_closed: bool
    is_deleted: bool
    is_fork: bool
    is_dependabot: bool
    actor: str
    workflow: str
    workflow_ref: str
    job: str
    run_id: str
    run_number: int
    run_attempt: int
    workspace: str
    server_url: str
    api_url: str

    @property
    def is_pull_request(self) -> bool:
        return self.event_name in _PULL_REQUEST_EVENTS

    @property
    def branch(self) -> str:
        """The branch that the event is about: a pull request's head, or what was pushed to."""
        if self.is_pull_request:
            return self.head_ref
        return self.ref_name if self.ref_type == "branch" else ""

    @property
    def branch_to_name(self) -> str:
        """The branch whose alias the event's commit takes; the checkout's own where it is empty.

        None for a pull request's, nor for a workflow that another one triggered: whether it is at
        that one's commit, its checkout tells.
        """
        named = self.pull_request is None and self.event_name != "workflow_run"
        return self.branch if named else ""

    @property
    def tag(self) -> str:
        """The tag that the event is about."""
        return self.ref_name if self.ref_type == "tag" and not self.is_pull_request else ""

    @property
    def is_untrusted(self) -> bool:
        """Whether code of people without write access may be in this run.

        Dependabot's own events get a fork's rights, and so are judged like one.
        """
        return self.is_fork or self.is_dependabot

    @property
    def has_rights(self) -> bool:
        """Whether the run has this repository's token and secrets though outsiders may cause it."""
        return self.event_name in _WITH_RIGHTS

    def facts(self, *, foreign: bool) -> EventFacts:
        """What the mode goes by; `foreign`: the checkout may be of another repository's code."""
        return EventFacts(
            name=self.event_name,
            action=self.action,
            branch=self.branch,
            tag=self.tag,
            deleted=self.is_deleted,
            pull_request=self.pull_request,
            closed=self.is_closed,
            fork=self.is_fork,
            dependabot=self.is_dependabot,
            rights=self.has_rights,
            foreign=foreign,
        )

    @property
    def run_url(self) -> str:
        """The page of this attempt of the workflow run."""
        if not (self.repository and self.run_id):
            return ""
        base = f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"
        return f"{base}/attempts/{self.run_attempt}"

    @property
    def workflow_url(self) -> str:
        """Which workflow, at which ref, this run is of; what SLSA calls the builder's id."""
        return f"{self.server_url}/{self.workflow_ref}" if self.workflow_ref else ""

    def turn(self, now: int) -> Turn | None:
        """This run among those of the repository, `now` in seconds since 1970."""
        if not (self.repository and self.run_id.isascii() and self.run_id.isdigit()):
            return None
        origin = f"{self.server_url}/{self.repository}"
        return Turn(origin, int(self.run_id), self.run_attempt, now, self.run_number)

    def shown(self) -> tuple[tuple[str, str], ...]:
        """Name and text of what is known of the run, for a log that says more."""
        from dataclasses import fields  # slow to import, and seldom asked for

        found = ((one.name, getattr(self, one.name)) for one in fields(self))
        return tuple((name, str(value)) for name, value in found if value not in ("", None, False))


def load_context(environment: Mapping[str, str]) -> GitHubContext:
    """The context of this run, its payload read from GITHUB_EVENT_PATH.

    Raises InputError when the payload is there but is not a JSON object.
    """
    return read_context(environment, read_payload(environment).value)


def compared_commit(environment: Mapping[str, str]) -> str:
    """The commit that the event's own is a change of; empty where the event does not say.

    Of a pull request the base branch's, of a merge queue the one before the group, of a push the
    one before it, but for a branch or tag that is new. Raises InputError.
    """
    event = read_payload(environment)
    named = (
        event.text("pull_request", "base", "sha"),
        event.text("merge_group", "base_sha"),
        event.text("before"),
    )
    return next((one for one in named if _COMMIT.fullmatch(one) and one.strip("0")), "")


def read_context(
    environment: Mapping[str, str], payload: Mapping[str, Any] | None = None
) -> GitHubContext:
    """The context that the variables and the payload describe.

    Raises InputError when a pull request's payload does not say which commit and number it is of;
    everything else that is missing or of another type counts as not said.
    """
    event = Payload(payload or {})
    name = environment.get("GITHUB_EVENT_NAME", "")
    pull = event.within("pull_request")
    repository = environment.get("GITHUB_REPOSITORY") or event.text("repository", "full_name")
    sha = environment.get("GITHUB_SHA", "")
    if name in _PULL_REQUEST_EVENTS:
        _require_pull_request(name, pull)
    ref_name, ref_type = _ref(name, environment, event)
    actor = environment.get("GITHUB_ACTOR", "")
    return GitHubContext(
        event_name=name,
        action=event.text("action"),
        repository=repository,
        sha=sha,
        head_sha=_head_sha(name, event) or sha,
        ref=environment.get("GITHUB_REF", ""),
        ref_name=ref_name,
        ref_type=ref_type,
        head_ref=environment.get("GITHUB_HEAD_REF") or pull.text("head", "ref"),
        base_ref=environment.get("GITHUB_BASE_REF") or _base_ref(event),
        head_repository=_head_repository(name, event),
        default_branch=event.text("repository", "default_branch"),
        number=pull.number("number") or event.within("issue").number("number"),
        pull_request=_pull_request(name, event),
        base_sha=pull.text("base", "sha"),
        is_closed="closed" in (pull.text("state"), event.text("action")),
        is_deleted=name == "delete" or event.within("deleted").value is True,
        is_fork=_is_fork(name, event, repository),
        is_dependabot=_DEPENDABOT in (actor, event.text("workflow_run", "actor", "login")),
        actor=actor,
        workflow=environment.get("GITHUB_WORKFLOW", ""),
        workflow_ref=environment.get("GITHUB_WORKFLOW_REF", ""),
        job=environment.get("GITHUB_JOB", ""),
        run_id=environment.get("GITHUB_RUN_ID", ""),
        run_number=_positive(environment.get("GITHUB_RUN_NUMBER", "")),
        run_attempt=_positive(environment.get("GITHUB_RUN_ATTEMPT", "")),
        workspace=environment.get("GITHUB_WORKSPACE", ""),
        server_url=_url(environment.get("GITHUB_SERVER_URL"), "https://github.com"),
        api_url=_url(environment.get("GITHUB_API_URL"), "https://api.github.com"),
    )


def _require_pull_request(name: str, pull: Payload) -> None:
    commit = pull.text("head", "sha")
    if not _COMMIT.fullmatch(commit):
        raise InputError(
            f"the payload of this {name} event has no commit in pull_request.head.sha: {commit!r}",
            hint="GITHUB_EVENT_PATH must name the payload that the runner wrote",
        )
    if pull.number("number") is None:
        raise InputError(
            f"the payload of this {name} event has no pull_request.number",
            hint="GITHUB_EVENT_PATH must name the payload that the runner wrote",
        )


def _head_sha(name: str, event: Payload) -> str:
    if name in _PULL_REQUEST_EVENTS:
        return event.text("pull_request", "head", "sha")
    if name == "workflow_run":
        return event.text("workflow_run", "head_sha")
    return ""


def _head_repository(name: str, event: Payload) -> str:
    if name == "workflow_run":
        return event.text("workflow_run", "head_repository", "full_name")
    return event.text("pull_request", "head", "repo", "full_name")


def _is_fork(name: str, event: Payload, repository: str) -> bool:
    """Whether the head is another repository's, or may be: a deleted one cannot be told apart."""
    if name in _PULL_REQUEST_EVENTS or name == "workflow_run":
        head = _head_repository(name, event)
        return not head or head.lower() != repository.lower()
    # A comment on a pull request does not say whose head it is.
    return event.within("issue", "pull_request").value is not None


def _pull_request(name: str, event: Payload) -> int | None:
    """The pull request that the event is about, where it is about one alone."""
    if name in _PULL_REQUEST_EVENTS:
        return event.number("pull_request", "number")
    if event.within("issue", "pull_request").value is not None:
        return event.number("issue", "number")
    several = event.within("workflow_run", "pull_requests").value
    if isinstance(several, list) and len(several) == 1:
        return Payload(several[0]).number("number")
    return None


def _base_ref(event: Payload) -> str:
    """The branch that a pull request, or the merge queue, is to be merged into."""
    queued = event.text("merge_group", "base_ref")
    return event.text("pull_request", "base", "ref") or queued.removeprefix("refs/heads/")


def _ref(name: str, environment: Mapping[str, str], event: Payload) -> tuple[str, str]:
    """Name and kind of the ref that the event is about.

    Where a ref was deleted, GitHub's variables name the default branch; those of a workflow that
    another one has triggered, too.
    """
    full = environment.get("GITHUB_REF", "")
    if name == "delete":
        return event.text("ref"), event.text("ref_type")
    if name == "push" and event.within("deleted").value is True:
        return _short(event.text("ref")), _kind(event.text("ref"))
    if name == "workflow_run":
        return event.text("workflow_run", "head_branch"), "branch"
    if name == "release" and event.text("release", "tag_name"):
        return event.text("release", "tag_name"), "tag"
    return (
        environment.get("GITHUB_REF_NAME") or _short(full),
        environment.get("GITHUB_REF_TYPE") or _kind(full),
    )


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
        if ref.startswith(prefix):
            return ref[len(prefix) :]
    return ref


def _kind(ref: str) -> str:
    return (
        "tag" if ref.startswith("refs/tags/") else "branch" if ref.startswith("refs/heads/") else ""
    )


def _positive(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else 1


def _url(text: str | None, default: str) -> str:
    return (text or default).rstrip("/")
