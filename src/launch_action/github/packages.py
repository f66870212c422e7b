"""Versions of container packages: the manifests of GitHub's registry, which deletes none itself.

A package version is one manifest with all its tags, and is named by its digest. Source: GitHub's
REST API, "Packages"; what it refuses to delete was found by others: the last version that has a
tag, and public ones of over 5,000 downloads, both with 400.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from launch_action.core.errors import InputError
from launch_action.core.reference import Digest
from launch_action.github.api import MOST, PAGE, GitHubApi
from launch_action.github.refusal import Purpose, Refused

PERMISSION = "packages: write"
# Seconds between looks for a version that the registry has, and GitHub does not list yet.
_PAUSES = (1.0, 2.0, 4.0)
# The words of this version alone; any other refusal is of the package, or of the token.
_OF_ONE_VERSION = frozenset({400, 422})


class ContainerPackages:
    """What one token may do with container packages. Usable from several threads.

    `refusals` are why nothing of a package can be deleted with it, by its path, once that is known.
    The client is one without a repository.
    """

    def __init__(self, api: GitHubApi, pauses: tuple[float, ...] = _PAUSES) -> None:
        self._api = api
        self._pauses = pauses
        self._lock = threading.Lock()
        self._bases: dict[str, str] = {}  # where a package is, by its path in the registry
        self._known: dict[str, dict[str, int]] = {}  # versions that were listed, by digest
        self.refusals: dict[str, Refused] = {}

    def delete(self, path: str, digest: Digest, exists: Callable[[], bool]) -> bool:
        """Delete a manifest of the repository at this path with its tags; whether it is gone.

        `exists` asks the registry for it. Raises Refused where GitHub does not delete this version;
        what it says of the whole package is kept in `refusals`.
        """
        if path in self.refusals:
            return False
        try:
            return self._delete(path, digest, exists)
        except Refused as error:
            if error.status in _OF_ONE_VERSION:
                raise
            self.refusals[path] = error
            return False

    def untagged(self, path: str) -> dict[Digest, int]:
        """The versions of a package without a tag, with when they were pushed last.

        In seconds since 1970. None where GitHub does not list them, or not all.
        """
        with self._lock:
            try:
                found = list(self._versions(path))
                if len(found) > PAGE:  # one that is deleted meanwhile takes another off its page
                    found += self._versions(path)
            except Refused:
                return {}
        return {} if len(found) >= 2 * MOST else _without_tag(found)

    def _delete(self, path: str, digest: Digest, exists: Callable[[], bool]) -> bool:
        for pause in (0.0, *self._pauses):
            time.sleep(pause)
            version = self._find(path, digest)
            if version is not None:
                what = f"delete version {digest} of package {path!r}"
                place = f"{self._bases[path]}/versions/{version}"
                self._api.remove(place, Purpose(what, PERMISSION))
                return True
            if not exists():
                return True
        return False

    def _find(self, path: str, digest: Digest) -> int | None:
        """The number of a version, forgotten with that: deleted and pushed again it has another."""
        with self._lock:
            known = self._known.setdefault(path, {})
            if digest not in known:
                for one in self._versions(path):
                    name, number = one.get("name"), one.get("id")
                    if isinstance(name, str) and type(number) is int:
                        known[name] = number
                    if name == digest:
                        break
            return known.pop(digest, None)

    def _versions(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Every version, the newest first; of an organisation's package, else of a person's."""
        purpose = Purpose(f"list the versions of package {path!r}", PERMISSION)
        owner, _, name = path.partition("/")
        tried = [self._bases[path]] if path in self._bases else [
            f"/{kind}/{quote(owner)}/packages/container/{quote(name, safe='')}"
            for kind in ("orgs", "users")
        ]  # fmt: skip
        for base in tried:
            try:
                first = True
                for one in self._api.listed(f"{base}/versions", purpose):
                    self._bases[path], first = base, False
                    yield one
            except Refused as error:
                if error.status != 404 or not first or base == tried[-1]:
                    raise
            else:
                return


def _without_tag(versions: Iterable[Mapping[str, Any]]) -> dict[Digest, int]:
    """Those without a tag; none where one of all is not as GitHub describes it."""
    try:
        return {
            Digest(one["name"]): _pushed(one)
            for one in versions
            if one["metadata"]["container"]["tags"] == []
        }
    except (KeyError, TypeError, ValueError, InputError):
        return {}


def _pushed(version: Mapping[str, Any]) -> int:
    """When a version was pushed, or pushed again."""
    moments = (version["created_at"], version["updated_at"])
    return max(int(datetime.fromisoformat(moment).timestamp()) for moment in moments)
