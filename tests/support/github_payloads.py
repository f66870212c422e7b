"""The parts of GitHub's webhook payloads, in the shapes that its documentation gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

OWNER, NAME = "acme", "mono-jobs"
REPOSITORY = f"{OWNER}/{NAME}"
NUMBER = 12
TIME = "2026-11-20T10:00:00Z"
ZERO = "0" * 40
API, WEB = "https://api.github.com", "https://github.com"
DEPENDABOT = "dependabot[bot]"

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Commits:
    """The commits that an event speaks of: the pushed one, GitHub's merge of it, the base's."""

    head: str
    merge: str = "f" * 40
    base: str = "b" * 40


INSTALLATION = {"id": 7, "node_id": "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uNw=="}
CLOSED = {"state": "closed", "closed_at": TIME}
REACTIONS = {
    "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "confused": 0, "heart": 0,
    "rocket": 0, "eyes": 0,
}  # fmt: skip
ORGANIZATION = {
    "login": OWNER,
    "id": 9,
    "node_id": "O_9",
    "url": f"{API}/orgs/{OWNER}",
    "avatar_url": "https://avatars.githubusercontent.com/u/9?v=4",
    "description": "",
    **{
        f"{name}_url": f"{API}/orgs/{OWNER}/{path}"
        for name, path in (
            ("repos", "repos"),
            ("events", "events"),
            ("hooks", "hooks"),
            ("issues", "issues"),
            ("members", "members{/member}"),
            ("public_members", "public_members{/member}"),
        )
    },
}


def sent(**parts: Any) -> Payload:
    return {**parts, "repository": _repository(OWNER), "sender": user()}


def push_payload(ref: str, commit: str) -> Payload:
    made = {
        **small_commit(commit),
        "distinct": True,
        "url": f"{WEB}/{REPOSITORY}/commit/{commit}",
        "added": [],
        "removed": [],
        "modified": ["jobs/train.py"],
    }
    new = ref.startswith("refs/tags/")
    return sent(
        ref=ref,
        before=ZERO if new else "a" * 40,
        after=commit,
        created=new,
        deleted=False,
        forced=False,
        base_ref="refs/heads/main" if new else None,
        compare=f"{WEB}/{REPOSITORY}/compare/{commit}",
        commits=[] if new else [made],
        head_commit=made,
        pusher={"name": "octocat", "email": "octocat@example.com"},
    ) | {"repository": _repository(OWNER) | {"pushed_at": 1763632800, "created_at": 1763632800}}


def small_commit(commit: str) -> Payload:
    who = {"name": "Octo Cat", "email": "octocat@example.com"}
    return {
        "id": commit,
        "tree_id": "e" * 40,
        "message": "Train longer",
        "timestamp": "2026-11-20T10:00:00+01:00",
        "author": who,
        "committer": who,
    }


def pull_request(commits: Commits, *, owner: str = OWNER, branch: str = "fix") -> Payload:
    api, web = f"{API}/repos/{REPOSITORY}/pulls/{NUMBER}", f"{WEB}/{REPOSITORY}/pull/{NUMBER}"
    issue = f"{API}/repos/{REPOSITORY}/issues/{NUMBER}"
    links = {
        "self": api,
        "html": web,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{api}/comments",
        "review_comment": f"{API}/repos/{REPOSITORY}/pulls/comments{{/number}}",
        "commits": f"{api}/commits",
        "statuses": f"{API}/repos/{REPOSITORY}/statuses/{commits.head}",
    }
    return {
        "url": api,
        "id": 512,
        "node_id": "PR_512",
        "html_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
        "number": NUMBER,
        "state": "open",
        "locked": False,
        "title": "Train longer | `now` <b>",
        "user": user("mallory" if owner != OWNER else "octocat"),
        "body": None,
        "created_at": TIME,
        "updated_at": TIME,
        "closed_at": None,
        "merged_at": None,
        "merge_commit_sha": commits.merge,
        "head": _side(owner, branch, commits.head),
        "base": _side(OWNER, "main", commits.base),
        "_links": {name: {"href": url} for name, url in links.items()},
        **{f"{name}_url": url for name, url in links.items() if name not in ("self", "html")},
        "author_association": "CONTRIBUTOR",
        **dict.fromkeys(
            ("assignee", "milestone", "auto_merge", "active_lock_reason", "merged_by", "mergeable")
        ),
        **{key: [] for key in ("assignees", "requested_reviewers", "requested_teams", "labels")},
        **dict.fromkeys(("draft", "merged", "maintainer_can_modify"), False),
        **dict.fromkeys(("comments", "review_comments", "additions", "deletions"), 0),
        "commits": 1,
        "changed_files": 1,
        "rebaseable": None,
        "mergeable_state": "unknown",
    }


def fork_pull_request(commits: Commits) -> Payload:
    return pull_request(commits, owner="mallory", branch="main")


def _side(owner: str, branch: str, commit: str) -> Payload:
    return {
        "label": f"{owner}:{branch}",
        "ref": branch,
        "sha": commit,
        "user": user(owner),
        "repo": _repository(owner),
    }


def user(login: str = "octocat", kind: str = "User") -> Payload:
    api = f"{API}/users/{quote(login)}"
    paths = {
        "followers": "followers",
        "following": "following{/other_user}",
        "gists": "gists{/gist_id}",
        "starred": "starred{/owner}{/repo}",
        "subscriptions": "subscriptions",
        "organizations": "orgs",
        "repos": "repos",
        "events": "events{/privacy}",
        "received_events": "received_events",
    }
    return {
        "login": login,
        "id": 583231,
        "node_id": "U_583231",
        "avatar_url": "https://avatars.githubusercontent.com/u/583231?v=4",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{WEB}/apps/{login[:-5]}" if kind == "Bot" else f"{WEB}/{login}",
        **{f"{name}_url": f"{api}/{path}" for name, path in paths.items()},
        "type": kind,
        "site_admin": False,
    }


def bot() -> Payload:
    return user(DEPENDABOT, "Bot")


# The rest of a repository's URLs, by their name and path.
_URLS = {
    "forks": "forks", "keys": "keys{/key_id}", "collaborators": "collaborators{/collaborator}",
    "teams": "teams", "hooks": "hooks", "issue_events": "issues/events{/number}",
    "events": "events", "assignees": "assignees{/user}", "branches": "branches{/branch}",
    "tags": "tags", "blobs": "git/blobs{/sha}", "git_tags": "git/tags{/sha}",
    "git_refs": "git/refs{/sha}", "trees": "git/trees{/sha}", "statuses": "statuses/{sha}",
    "languages": "languages", "stargazers": "stargazers", "contributors": "contributors",
    "subscribers": "subscribers", "subscription": "subscription", "commits": "commits{/sha}",
    "git_commits": "git/commits{/sha}", "comments": "comments{/number}",
    "issue_comment": "issues/comments{/number}", "contents": "contents/{+path}",
    "compare": "compare/{base}...{head}", "merges": "merges",
    "archive": "{archive_format}{/ref}", "downloads": "downloads", "issues": "issues{/number}",
    "pulls": "pulls{/number}", "milestones": "milestones{/number}",
    "notifications": "notifications{?since,all,participating}", "labels": "labels{/name}",
    "releases": "releases{/id}", "deployments": "deployments",
}  # fmt: skip


def _repository(owner: str) -> Payload:
    full = f"{owner}/{NAME}"
    api, web = f"{API}/repos/{full}", f"{WEB}/{full}"
    return {
        "id": 1001 if owner == OWNER else 1002,
        "node_id": "R_1001",
        "name": NAME,
        "full_name": full,
        "private": False,
        "owner": user(owner, "Organization" if owner == OWNER else "User"),
        "html_url": web,
        "description": None,
        "fork": owner != OWNER,
        "url": api,
        **{f"{name}_url": f"{api}/{path}" for name, path in _URLS.items()},
        **dict.fromkeys(("created_at", "updated_at", "pushed_at"), TIME),
        "git_url": f"git://github.com/{full}.git",
        "ssh_url": f"git@github.com:{full}.git",
        "clone_url": f"{web}.git",
        "svn_url": web,
        **dict.fromkeys(("homepage", "language", "mirror_url", "license")),
        **dict.fromkeys(("size", "stargazers_count", "watchers_count", "forks_count"), 0),
        **dict.fromkeys(("open_issues_count", "forks", "open_issues", "watchers"), 0),
        **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki"), True),
        **dict.fromkeys(("has_pages", "archived", "disabled", "is_template"), False),
        **dict.fromkeys(("has_discussions", "web_commit_signoff_required"), False),
        "allow_forking": True,
        "topics": [],
        "visibility": "public",
        "default_branch": "main",
        "custom_properties": {},
    }


def release_object(name: str) -> Payload:
    api = f"{API}/repos/{REPOSITORY}/releases/1"
    return {
        "url": api,
        "assets_url": f"{api}/assets",
        "upload_url": f"https://uploads.github.com/repos/{REPOSITORY}/releases/1/assets{{?name}}",
        "html_url": f"{WEB}/{REPOSITORY}/releases/tag/{name}",
        "id": 1,
        "node_id": "RE_1",
        "tag_name": name,
        "target_commitish": "main",
        "name": name,
        "draft": False,
        "author": user(),
        "prerelease": False,
        "created_at": TIME,
        "published_at": TIME,
        "assets": [],
        "tarball_url": f"{API}/repos/{REPOSITORY}/tarball/{name}",
        "zipball_url": f"{API}/repos/{REPOSITORY}/zipball/{name}",
        "body": "",
    }


def workflow_object() -> Payload:
    web = f"{WEB}/{REPOSITORY}"
    return {
        "id": 3,
        "node_id": "W_3",
        "name": "ci",
        "path": ".github/workflows/ci.yml",
        "state": "active",
        "created_at": TIME,
        "updated_at": TIME,
        "url": f"{API}/repos/{REPOSITORY}/actions/workflows/3",
        "html_url": f"{web}/blob/main/.github/workflows/ci.yml",
        "badge_url": f"{web}/workflows/ci/badge.svg",
    }


def run_object(commits: Commits, owner: str) -> Payload:
    """A run of a pull request's workflow; for a fork's, GitHub leaves `pull_requests` empty."""
    api = f"{API}/repos/{REPOSITORY}/actions/runs/6001"
    mine = owner == OWNER
    small = {"id": 1001, "url": f"{API}/repos/{REPOSITORY}", "name": NAME}
    pull = {
        "url": f"{API}/repos/{REPOSITORY}/pulls/{NUMBER}",
        "id": 512,
        "number": NUMBER,
        "head": {"ref": "fix", "sha": commits.head, "repo": small},
        "base": {"ref": "main", "sha": commits.base, "repo": small},
    }
    urls = ("jobs", "logs", "artifacts", "cancel", "rerun")
    return {
        "id": 6001,
        "name": "ci",
        "node_id": "WFR_6001",
        "head_branch": "fix",
        "head_sha": commits.head,
        "path": ".github/workflows/ci.yml",
        "display_title": "Train longer",
        "run_number": 4,
        "event": "pull_request",
        "status": "completed",
        "conclusion": "success",
        "workflow_id": 3,
        "check_suite_id": 5,
        "check_suite_node_id": "CS_5",
        "url": api,
        "html_url": f"{WEB}/{REPOSITORY}/actions/runs/6001",
        "pull_requests": [pull] if mine else [],
        "created_at": TIME,
        "updated_at": TIME,
        "actor": user("octocat" if mine else "mallory"),
        "triggering_actor": user("octocat" if mine else "mallory"),
        "run_attempt": 1,
        "run_started_at": TIME,
        **{f"{name}_url": f"{api}/{name}" for name in urls},
        "check_suite_url": f"{API}/repos/{REPOSITORY}/check-suites/5",
        "previous_attempt_url": None,
        "workflow_url": f"{API}/repos/{REPOSITORY}/actions/workflows/3",
        "head_commit": small_commit(commits.head),
        "repository": _small_repository(OWNER),
        "head_repository": _small_repository(owner),
    }


def _small_repository(owner: str) -> Payload:
    """A repository without its figures, as it stands inside a run."""
    whole = _repository(owner)
    plain = ("id", "node_id", "name", "full_name", "private", "owner", "html_url", "description")
    return {
        name: value
        for name, value in whole.items()
        if name in (*plain, "fork", "url") or (name.endswith("_url") and name[:-4] in _URLS)
    }


def issue_object() -> Payload:
    api, web = f"{API}/repos/{REPOSITORY}/issues/{NUMBER}", f"{WEB}/{REPOSITORY}/pull/{NUMBER}"
    return {
        "url": api,
        "repository_url": f"{API}/repos/{REPOSITORY}",
        "labels_url": f"{api}/labels{{/name}}",
        "comments_url": f"{api}/comments",
        "events_url": f"{api}/events",
        "html_url": web,
        "id": 511,
        "node_id": "PR_512",
        "number": NUMBER,
        "title": "Train longer",
        "user": user(),
        "labels": [],
        "state": "open",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": 1,
        "created_at": TIME,
        "updated_at": TIME,
        "closed_at": None,
        "author_association": "CONTRIBUTOR",
        "active_lock_reason": None,
        "draft": False,
        "pull_request": {
            "url": f"{API}/repos/{REPOSITORY}/pulls/{NUMBER}",
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "merged_at": None,
        },
        "body": None,
        "reactions": REACTIONS | {"url": f"{api}/reactions"},
        "timeline_url": f"{api}/timeline",
        "performed_via_github_app": None,
        "state_reason": None,
    }
