"""GitHub's published OpenAPI description: fetched once a machine, cut down to what is asked here.

The npm package `@octokit/openapi` holds it for github.com and for GitHub Enterprise Server. The
package is 28 MB, so it is pinned by its integrity and kept in the tests' cache, not in the
repository; what is left of an edition after cutting is kept beside it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VERSION = "23.0.2"
# Of the whole package, in base64, as npm writes it.
SHA512 = "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
GITHUB = "api.github.com"
GHES = "ghes-3.17"
FORMAT = 1
# Every path that the server of the tests answers; a longer list costs only a new cut.
PATHS = (
    "/rate_limit",
    "/user",
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs",
    "/repos/{owner}/{repo}/check-runs",
    "/repos/{owner}/{repo}/check-runs/{check_run_id}",
    "/repos/{owner}/{repo}/commits/{commit_sha}/pulls",
    "/repos/{owner}/{repo}/commits/{ref}/check-runs",
    "/repos/{owner}/{repo}/deployments",
    "/repos/{owner}/{repo}/deployments/{deployment_id}",
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    "/repos/{owner}/{repo}/issues/comments/{comment_id}",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/releases",
    "/repos/{owner}/{repo}/releases/tags/{tag}",
    "/repos/{owner}/{repo}/releases/{release_id}",
)
METHODS = ("get", "post", "patch", "put", "delete")


def description(edition: str = GITHUB) -> dict[str, Any]:
    """The paths above, with the components they reach. Fetches the package when it is not there."""
    cut = _home() / f"github-{edition}-{_key()}.json"
    with _locked():
        if not cut.exists():
            partial = cut.with_suffix(".partial")
            partial.write_text(json.dumps(_cut(_whole(edition))), "utf-8")
            partial.rename(cut)
    found: dict[str, Any] = json.loads(cut.read_text("utf-8"))
    return found


def missing() -> str:
    """Why the description cannot be had; empty when it can."""
    try:
        description()
    except (urllib.error.URLError, TimeoutError) as error:
        return f"GitHub's description is not in the cache, and npm's registry: {error}"
    return ""


def _home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "launch-action-tests"
    home.mkdir(parents=True, exist_ok=True)
    return home


def _key() -> str:
    return hashlib.sha256(repr((SHA512, PATHS, FORMAT)).encode()).hexdigest()[:16]


@contextmanager
def _locked() -> Iterator[None]:
    with (_home() / "github.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _whole(edition: str) -> dict[str, Any]:
    with tarfile.open(_package()) as package:
        member = package.extractfile(f"package/generated/{edition}.json")
        assert member is not None
        found: dict[str, Any] = json.load(member)
    return found


def _package() -> Path:
    """The package as npm's registry serves it. Raises URLError when it cannot be reached."""
    place = _home() / f"octokit-openapi-{VERSION}.tgz"
    if not place.exists():
        registry = os.environ.get("npm_config_registry") or "https://registry.npmjs.org"  # noqa: SIM112  npm's own spelling
        url = f"{registry.rstrip('/')}/@octokit/openapi/-/openapi-{VERSION}.tgz"
        with urllib.request.urlopen(url, timeout=120) as answer:
            content = answer.read()
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        assert digest == SHA512, f"{url} is not what was pinned: sha512-{digest}"
        partial = place.with_suffix(".partial")
        partial.write_bytes(content)
        partial.rename(place)
    return place


def _cut(whole: dict[str, Any]) -> dict[str, Any]:
    # Enterprise Server may lack a path that github.com has.
    paths = {path: whole["paths"][path] for path in PATHS if path in whole["paths"]}
    kept: dict[str, dict[str, Any]] = {}
    waiting = [json.dumps(paths)]
    while waiting:
        for kind, name in re.findall(r'"#/components/([a-z-]+)/([^"]+)"', waiting.pop()):
            if name not in kept.setdefault(kind, {}):
                kept[kind][name] = whole["components"][kind][name]
                waiting.append(json.dumps(kept[kind][name]))
    return {"openapi": whole["openapi"], "paths": paths, "components": kept}
