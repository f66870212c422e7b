"""Deletes manifests of GitHub's registry by GitHub's API: the registry itself deletes nothing.

A token may do it that has `packages: write` and whose repository, or person, has the role Admin of
the package; the repository whose workflow made the package has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from launch_action.core.ports import Reporter
from launch_action.core.reference import Digest, Repository

if TYPE_CHECKING:
    from launch_action.github.packages import ContainerPackages

_SERVER = "https://github.com"
_API = "https://api.github.com"
_LEFT = "what the registry cannot delete stays as a tombstone, which counts as absent"
_ROLE = "the repository needs the role Admin there, under Manage Actions access, too"


class PackageDeletion:
    """Deletion from `registry` with each of the tokens that there are, until one may do it."""

    def __init__(
        self, registry: str, api_url: str, reporter: Reporter, tokens: Callable[[], Iterable[str]]
    ) -> None:
        self._registry = registry
        self._api_url = api_url
        self._reporter = reporter
        self._tokens = tokens
        self._told = threading.Lock()

    def __call__(self, repository: Repository, digest: Digest, exists: Callable[[], bool]) -> bool:
        """Whether the manifest is gone; False where it is not GitHub's, or cannot be deleted.

        `exists` asks the registry for it. Why nothing can be deleted is told once.
        """
        if repository.registry != self._registry:
            return False
        from launch_action.github.refusal import Refused

        try:
            gone = any(one.delete(repository.path, digest, exists) for one in self._packages)
        except Refused as error:  # of this version alone
            self._reporter.info(error.message)
            return False
        if not gone:
            self._tell(repository.path)
        return gone

    def untagged(self, repository: Repository) -> Mapping[Digest, int]:
        """What has no tag, by when it was pushed; nothing where it is not GitHub's, or not told."""
        if repository.registry != self._registry:
            return {}
        for packages in self._packages:
            if found := packages.untagged(repository.path):
                return found
        return {}

    @cached_property
    def _packages(self) -> list[ContainerPackages]:
        from launch_action.github.api import GitHubApi
        from launch_action.github.packages import ContainerPackages

        tokens = filter(None, dict.fromkeys(self._tokens()))
        return [ContainerPackages(GitHubApi("", token=t, api_url=self._api_url)) for t in tokens]

    def _tell(self, path: str) -> None:
        """Say why nothing is deleted: what is said of the first token, the step's own."""
        refusals = [one.refusals.get(path) for one in self._packages]
        first = refusals[0] if refusals and None not in refusals else None
        if first and self._told.acquire(blocking=False):  # once: it is never released
            self._reporter.warning(f"{first.message}; {_LEFT}; {first.hint}; {_ROLE}")


def github_deletion(
    environment: Mapping[str, str], reporter: Reporter, token: str, login: Callable[[str], str]
) -> PackageDeletion:
    """That of the GitHub which the environment names, github.com or an Enterprise Server.

    `token` is the step's own; `login` gives the password for a registry, a token as well here.
    """
    host = urlsplit(environment.get("GITHUB_SERVER_URL") or _SERVER).netloc
    registry = "ghcr.io" if host == "github.com" else f"containers.{host}"
    given = token or environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN") or ""
    return PackageDeletion(
        registry,
        environment.get("GITHUB_API_URL") or _API,
        reporter,
        lambda: (given, login(registry)),
    )
