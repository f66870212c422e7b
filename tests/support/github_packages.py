"""Container packages of the GitHub of the tests: what is in a real registry, as package versions.

A version is a manifest with its tags. Deleting one deletes the manifest in the registry, whose own
API is to be asked through `github_registry`, which deletes nothing, as ghcr.io.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from support.github_request import Answer, Refusal, Request, listed
from support.github_state import Document, State
from support.registry import Running
from support.registry_proxy import Fault, Proxy, proxy_to

_REPOSITORIES = "data/docker/registry/v2/repositories"
LAST = (
    "You cannot delete the last tagged version of a package. You must delete the package instead."
)


@contextmanager
def github_registry(registry: Running) -> Iterator[Proxy]:
    """A registry's API without what ghcr.io's has not: every deletion is answered with 405."""
    body = json.dumps({"errors": [{"code": "UNSUPPORTED", "message": "unsupported"}]}).encode()
    with proxy_to(registry.address) as proxy:
        proxy.faults.append(Fault("status", "DELETE", times=10**9, status=405, body=body))
        yield proxy


@dataclass(slots=True)
class Packages:
    """Every repository of a registry as a package. `people` are owners that are no organisations.

    A version is listed `lag` seconds after it was pushed. `downloads` are those of public versions,
    by digest.
    """

    registry: Running
    people: frozenset[str] = frozenset()
    lag: float = 0
    downloads: dict[str, int] = field(default_factory=dict)
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)

    def versions(self, path: str) -> list[tuple[str, float, list[str]]]:
        """Digest, time of the push and tags of every manifest of a repository, newest first."""
        place = self.registry.folder / _REPOSITORIES / path / "_manifests"
        tags: dict[str, list[str]] = {}
        for link in sorted(place.glob("tags/*/current/link")):
            tags.setdefault(_read(link), []).append(link.parts[-3])
        links = place.glob("revisions/sha256/*/link")
        found = [(_read(link), link.stat().st_mtime, link) for link in links]
        return sorted(
            ((digest, pushed, tags.get(digest, [])) for digest, pushed, _ in found if digest),
            key=lambda one: -one[1],
        )

    def number(self, state: State, digest: str, pushed: float) -> int:
        """The number of a version; pushed again after a deletion it has another one."""
        key = digest, int(pushed * 1000)
        if key not in self.numbers:
            self.numbers[key] = state.new_id()
        return self.numbers[key]


def _read(link: Path) -> str:
    try:
        return link.read_text()
    except OSError:  # deleted in this moment
        return ""


def versions(state: State, request: Request) -> Answer:
    """The active versions of a package."""
    packages, path = _package(state, request, "read")
    seen = time.time() - packages.lag
    found = [
        _document(state, packages, request, one)
        for one in packages.versions(path)
        if not packages.lag or one[1] <= seen
    ]
    return listed(state, request, found)


def delete(state: State, request: Request) -> Answer:
    """Delete a version, unless it is one that GitHub does not delete."""
    packages, path = _package(state, request, "write")
    every = packages.versions(path)
    for digest, pushed, tags in every:
        if str(packages.number(state, digest, pushed)) != request.values["package_version_id"]:
            continue
        if tags and not any(other for one, _, other in every if one != digest):
            raise Refusal(400, LAST)
        if packages.downloads.get(digest, 0) > 5000:
            raise Refusal(
                400,
                "Publicly visible package versions with more than 5000 downloads cannot be deleted."
                " Contact GitHub support for further assistance.",
            )
        url = f"http://{packages.registry.address}/v2/{path}/manifests/{digest}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()
        return Answer(204)
    raise Refusal(404, "Package version not found.")


def _package(state: State, request: Request, level: str) -> tuple[Packages, str]:
    packages: Packages | None = state.packages
    owner = request.values.get("org") or request.values["username"]
    path = f"{owner}/{unquote(request.values['package_name'])}"
    if request.token is None:
        raise Refusal(401, "Requires authentication")
    if not request.token.may("packages", level):
        raise Refusal(403, "Resource not accessible by integration")
    kind = packages is not None and ("username" in request.values) == (owner in packages.people)
    if packages is None or not kind or not packages.versions(path):
        raise Refusal(404, "Package not found.")
    assert request.values["package_type"] == "container"
    return packages, path


def _document(
    state: State, packages: Packages, request: Request, one: tuple[str, float, list[str]]
) -> Document:
    digest, pushed, tags = one
    number = packages.number(state, digest, pushed)
    at = datetime.fromtimestamp(pushed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    example: list[dict[str, Any]] = request.operation.example(200)
    return example[0] | {
        "id": number,
        "name": digest,
        "url": f"{state.url}{request.operation.path}/{number}",
        "created_at": at,
        "updated_at": at,
        "metadata": {"package_type": "container", "container": {"tags": tags}},
    }
