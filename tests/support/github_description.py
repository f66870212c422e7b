"""GitHub's published OpenAPI description: fetched once a machine, cut down to what is asked here.

The npm package `@octokit/openapi` holds it for github.com and for GitHub Enterprise Server. The
package is 28 MB, so it is pinned by its integrity and kept in the tests' cache, not in the
repository; what is left of an edition after cutting is kept beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
from typing import Any

from support import npm

VERSION = "23.0.2"
# Of the whole package, in base64, as npm writes it.
SHA512 = "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
GITHUB = "api.github.com"
GHES = "ghes-3.17"
FORMAT = 1
# Every path that the server of the tests answers; a longer list costs only a new cut.
PATHS = (
    "/rate_limit",
    "/orgs/{org}/packages/{package_type}/{package_name}/versions",
    "/orgs/{org}/packages/{package_type}/{package_name}/versions/{package_version_id}",
    "/user",
    "/users/{username}/packages/{package_type}/{package_name}/versions",
    "/users/{username}/packages/{package_type}/{package_name}/versions/{package_version_id}",
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
    cut = npm.home() / f"github-{edition}-{_key()}.json"
    with npm.alone("github"):
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


def _key() -> str:
    return hashlib.sha256(repr((SHA512, PATHS, FORMAT)).encode()).hexdigest()[:16]


def _whole(edition: str) -> dict[str, Any]:
    path = f"generated/{edition}.json"
    found: dict[str, Any] = json.loads(npm.file_of("@octokit/openapi", VERSION, SHA512, path))
    return found


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
