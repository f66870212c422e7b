"""Pull requests, where the event does not tell enough of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.github.api import GitHubApi
from launch_action.github.refusal import Purpose, nonsense

PERMISSION = "pull-requests: read"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request; `head` is the commit that was pushed last, `base` the branch it is for."""

    number: int
    open: bool
    head: str
    base: str


class PullRequests:
    """The pull requests of a repository. Every method raises Refused."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def get(self, number: int) -> PullRequest:
        """The pull request with this number."""
        purpose = Purpose(f"show pull request #{number}", PERMISSION)
        return _read(self._api.get(f"/pulls/{number}", purpose), purpose)

    def open(self) -> tuple[PullRequest, ...]:
        """Every pull request that is open."""
        purpose = Purpose("list the pull requests", PERMISSION)
        found = self._api.listed("/pulls", purpose, state="open")
        return tuple(_read(one, purpose) for one in found)


def _read(document: Any, purpose: Purpose) -> PullRequest:
    found: Mapping[str, Any] = document if isinstance(document, dict) else {}
    head, base = found.get("head"), found.get("base")
    number = found.get("number")
    if type(number) is not int or not isinstance(head, dict) or not isinstance(base, dict):
        raise nonsense(purpose, f"its answer has {number!r} for a pull request's number")
    return PullRequest(
        number, found.get("state") == "open", str(head.get("sha")), str(base.get("ref"))
    )
