"""What the GitHub of the tests knows: repositories with what is in them, and who may do what.

Documents start as the examples of GitHub's own description; what a test says is put over them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from support.github_schema import operations

Document = dict[str, Any]
WORKFLOW_TOKEN = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
EVERYTHING = {
    "checks": "write", "contents": "write", "deployments": "write", "issues": "write",
    "pull_requests": "write", "actions": "read",
    "packages": "write",
}  # fmt: skip


@dataclass(slots=True)
class Token:
    """Who a token stands for, and the permissions of it; an installation's is no user's."""

    login: str = "github-actions[bot]"
    permissions: dict[str, str] = field(default_factory=lambda: dict(EVERYTHING))

    @property
    def of_installation(self) -> bool:
        return self.login.endswith("[bot]")

    def may(self, permission: str, level: str) -> bool:
        """Whether it has a permission at `read` or `write`."""
        had = self.permissions.get(permission)
        return had == "write" or (had == "read" and level == "read")


@dataclass(slots=True)
class Repository:
    """One repository: documents by id. `contexts` are the commit statuses of a commit, by name."""

    full_name: str
    identity: int
    default_branch: str = "main"
    private: bool = False
    comments: dict[int, Document] = field(default_factory=dict)
    pulls: dict[int, Document] = field(default_factory=dict)
    deployments: dict[int, Document] = field(default_factory=dict)
    statuses: dict[int, list[Document]] = field(default_factory=dict)
    check_runs: dict[int, Document] = field(default_factory=dict)
    releases: dict[int, Document] = field(default_factory=dict)
    contexts: dict[str, dict[str, str]] = field(default_factory=dict)
    # Refs whose base branch has gone on, which a deployment with auto_merge merges.
    behind: set[str] = field(default_factory=set)
    # Refs that are not there; every other one is taken to be.
    absent: set[str] = field(default_factory=set)

    def state_of(self, deployment: int) -> str:
        """The state of a deployment's last status."""
        found = self.statuses.get(deployment)
        return found[-1]["state"] if found else ""

    def states_of(self, deployment: int) -> list[str]:
        return [one["state"] for one in self.statuses.get(deployment, ())]

    def bodies(self, number: int) -> list[str]:
        """The comments of an issue or pull request, oldest first."""
        return [
            one["body"]
            for _, one in sorted(self.comments.items())
            if one["issue_url"].endswith(f"/{number}")
        ]


@dataclass(slots=True)
class State:
    """Everything; `lock` is held while a request is answered. `lag`: a comment is not listed by
    others before that many seconds have passed, as on a replica that is behind. `packages` are the
    container packages (support.github_packages)."""

    url: str = ""
    edition: str = "api.github.com"
    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=lambda: {WORKFLOW_TOKEN: Token()})
    lag: float = 0
    packages: Any = None
    born: dict[int, float] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    last: int = 100

    def repository(self, full_name: str = "acme/mono-jobs", **about: Any) -> Repository:
        """The repository of that name, made when it is not there."""
        key = full_name.lower()
        if key not in self.repositories:
            self.repositories[key] = Repository(full_name, self.new_id(), **about)
        return self.repositories[key]

    def new_id(self) -> int:
        with self.lock:
            self.last += 1
            self.born[self.last] = time.monotonic()
            return self.last

    def pull(
        self,
        repository: Repository,
        number: int,
        head: str,
        *,
        branch: str = "topic",
        state: str = "open",
    ) -> Document:
        """A pull request of the repository's own branch, at the commit `head`."""
        text = json.dumps(self.document("pulls/get", 200, repository, number))
        pull: Document = json.loads(text.replace("/1347", f"/{number}"))
        where = {"sha": head, "ref": branch, "label": f"{repository.full_name}:{branch}"}
        pull |= {
            "number": number,
            "state": state,
            "title": f"Change {number}",
            "requested_teams": [],
            "head": pull["head"] | where,
            "base": pull["base"] | {"ref": repository.default_branch},
        }
        repository.pulls[number] = pull
        return pull

    def comment(
        self, repository: Repository, number: int, body: str, login: str = "octocat"
    ) -> Document:
        """A comment that somebody wrote."""
        made = self.document("issues/create-comment", 201, repository, self.new_id())
        made |= {
            "body": body,
            "user": self.user(login),
            "issue_url": f"{self.url}/repos/{repository.full_name}/issues/{number}",
            "html_url": f"https://github.com/{repository.full_name}/pull/{number}"
            f"#issuecomment-{made['id']}",
        } | now("created_at", "updated_at")
        made["url"] = f"{self.url}/repos/{repository.full_name}/issues/comments/{made['id']}"
        repository.comments[made["id"]] = made
        return made

    def release(
        self, repository: Repository, tag: str, body: str | None = "", *, draft: bool = False
    ) -> Document:
        """A release of a tag, as somebody made it by hand."""
        made = self.document("repos/create-release", 201, repository, self.new_id())
        made |= {"tag_name": tag, "name": tag, "body": body, "draft": draft, "assets": []}
        made["url"] = f"{self.url}/repos/{repository.full_name}/releases/{made['id']}"
        repository.releases[made["id"]] = made
        return made

    def document(
        self, operation: str, status: int, repository: Repository, identity: int
    ) -> Document:
        """The description's example of an answer, of this repository and with this id."""
        text = json.dumps(operations(self.edition)[operation].example(status))
        for old in ("octocat/Hello-World", "octocat/example", "github/hello-world"):
            text = text.replace(old, repository.full_name)
        found = json.loads(text.replace("https://api.github.com", self.url))
        document: Document = found[0] if isinstance(found, list) else found
        return document | {"id": identity}

    def user(self, login: str) -> Document:
        example = operations(self.edition)["issues/create-comment"].example(201)["user"]
        text = json.dumps(example).replace("octocat", quote(login))
        kind = "Bot" if login.endswith("[bot]") else "User"
        made: Document = json.loads(text) | {"login": login, "type": kind}
        return made


def now(*names: str) -> Document:
    """The time, under each of the names."""
    text = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return dict.fromkeys(names, text)


def newest_first(documents: Mapping[int, Document]) -> Iterator[Document]:
    for identity in sorted(documents, reverse=True):
        yield documents[identity]
