"""Comments on a pull request that carry a marker: the raw operations, without what they say.

A marker is a line that a page does not show, `<!-- launch-action:... -->`, at the beginning of a
comment. GitHub has no conditional update and keeps no two of them apart, so that whoever writes a
comment looks again afterwards; that is left to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.github.api import GitHubApi
from launch_action.github.refusal import Purpose, Refused, nonsense

# Characters, not bytes; GitHub refuses one more with 422.
LIMIT = 65536
PERMISSION = "pull-requests: write"
# Whose comments those of a workflow's own token are.
WORKFLOW = "github-actions[bot]"


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; of two with one marker, the lower number is the older."""

    number: int
    body: str
    author: str
    url: str


class Comments:
    """The comments of one pull request. Every method raises Refused."""

    def __init__(self, api: GitHubApi, pull_request: int) -> None:
        self._api = api
        self._pull_request = pull_request

    def marked(self, marker: str) -> tuple[Comment, ...]:
        """Our comments that begin with the marker, the oldest first.

        Somebody else's that carries it, such as a quotation, is not among them: ours are those of
        the workflow's token, and of whom the token in use stands for.
        """
        purpose = self._purpose("list the comments")
        path = f"/issues/{self._pull_request}/comments"
        found = [_read(one, purpose) for one in self._api.listed(path, purpose)]
        carrying = [one for one in found if one.body.lstrip().startswith(marker)]
        return tuple(sorted(filter(self._is_ours, carrying), key=lambda one: one.number))

    def create(self, body: str) -> Comment:
        """Write a comment; where the refusal is `uncertain`, `marked` may list it all the same."""
        purpose = self._purpose("take a comment")
        path = f"/issues/{self._pull_request}/comments"
        return _read(self._api.create(path, purpose, {"body": body}), purpose)

    def edit(self, number: int, body: str) -> Comment:
        """Replace the text of a comment; the refusal of one that is gone has the status 404."""
        purpose = self._purpose("change a comment")
        path = f"/issues/comments/{number}"
        return _read(self._api.change(path, purpose, {"body": body}), purpose)

    def delete(self, number: int) -> None:
        """Delete a comment, which may be gone already."""
        self._api.remove(f"/issues/comments/{number}", self._purpose("delete a comment"))

    def _is_ours(self, comment: Comment) -> bool:
        if comment.author == WORKFLOW:
            return True
        # Asked only here, since a workflow's own token is the usual one.
        try:
            return comment.author == self._api.viewer()
        except Refused:
            return False

    def _purpose(self, what: str) -> Purpose:
        return Purpose(f"{what} of pull request #{self._pull_request}", PERMISSION)


def _read(document: Mapping[str, Any], purpose: Purpose) -> Comment:
    number, body = document.get("id"), document.get("body")
    author = document.get("user")
    login = author.get("login") if isinstance(author, dict) else ""  # null: who left GitHub
    if type(number) is not int or not isinstance(body, str | None):
        raise nonsense(purpose, f"its answer has {number!r} for a comment's number")
    return Comment(number, body or "", str(login or ""), str(document.get("html_url") or ""))
