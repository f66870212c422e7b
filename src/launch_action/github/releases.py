"""The release page of a tag: found, and its text replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from launch_action.core.dataclass import dataclass
from launch_action.github.api import GitHubApi
from launch_action.github.refusal import Purpose, Refused, nonsense

# Characters of a release's text; GitHub refuses one more with 422.
LIMIT = 125_000
PERMISSION = "contents: write"


@dataclass(frozen=True, slots=True)
class Release:
    """A release; its text is empty where nobody wrote one."""

    number: int
    tag: str
    body: str
    url: str


class Releases:
    """The releases of a repository. Every method raises Refused."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def of_tag(self, tag: str) -> Release | None:
        """The release of a tag; a draft of it where that is all there is; None without any.

        GitHub does not find drafts by their tag, and lists them only to who may write.
        """
        purpose = Purpose(f"show the release of tag {tag!r}", PERMISSION)
        try:
            return _read(self._api.get(f"/releases/tags/{quote(tag)}", purpose), purpose)
        except Refused as error:
            if error.status != 404:
                raise
        for one in self._api.listed("/releases", purpose):
            if one.get("tag_name") == tag:
                return _read(one, purpose)
        return None

    def edit(self, release: Release, body: str) -> Release:
        """Replace the text of a release, and nothing else of it."""
        purpose = Purpose(f"change the release of tag {release.tag!r}", PERMISSION)
        path = f"/releases/{release.number}"
        return _read(self._api.change(path, purpose, {"body": body}), purpose)


def _read(document: Mapping[str, Any], purpose: Purpose) -> Release:
    number, tag = document.get("id"), document.get("tag_name")
    if type(number) is not int or not isinstance(tag, str):
        raise nonsense(purpose, f"its answer has {number!r} for a release's number")
    return Release(
        number=number,
        tag=tag,
        body=str(document.get("body") or ""),
        url=str(document.get("html_url") or ""),
    )
