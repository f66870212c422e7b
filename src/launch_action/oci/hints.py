"""What to do about a registry's no: each of the large ones has ways of its own.

What is known of them, and from where, is in docs/registries.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from launch_action.core.reference import DOCKER_HUB
from launch_action.oci.retry import retry_after

Kind = Literal["hub", "github", "amazon", "google", "azure", "gitlab", "quay", ""]

_ECR = re.compile(
    r"(?:\d+\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?|public\.ecr\.aws)"
)
_GOOGLE = re.compile(r"(?:.+\.)?gcr\.io|.+-docker\.pkg\.dev")
_GITLAB = re.compile(r"registry\.gitlab\..+|registry\.gitlab\.com")
_LIMIT = re.compile(r"(\d{1,12})(?:\s*;\s*w=(\d{1,12})\b)?")
_LOCKED = ("immutable", "cannot be overwritten", "disallowed on this registry")

_ACCESS: Mapping[Kind, str] = {
    "github": "give the workflow job 'permissions: packages: write' and this repository write "
    "access to the package (package settings, Manage Actions access); elsewhere log in to ghcr.io "
    "with a token of scope write:packages",
    "amazon": "log in: aws ecr get-login-password | docker login -u AWS --password-stdin {host} "
    "(a login lasts 12 hours); a push needs ecr:InitiateLayerUpload, ecr:UploadLayerPart, "
    "ecr:CompleteLayerUpload, ecr:PutImage",
    "google": "log in: gcloud auth configure-docker {host}; a push needs artifactregistry.writer",
    "azure": "log in: az acr login --name {name}; a push needs the role AcrPush",
    "gitlab": "log in: docker login {host} with CI_REGISTRY_USER and CI_REGISTRY_PASSWORD in a "
    "pipeline, else with a token of scopes read_registry and write_registry; the image's path "
    "begins with its project's",
    "quay": "log in with a robot account that may write there: docker login quay.io -u ORG+ROBOT",
}
_LISTED = (
    "the registry takes only media types of a list of its own (on Quay: IGNORE_UNKNOWN_MEDIATYPES "
    "ends that); attestations are left away with --no-sbom and --no-provenance"
)
_MISSING: Mapping[Kind, str] = {
    "amazon": "the repository must exist first: aws ecr create-repository --repository-name NAME, "
    "or a repository creation template that applies to CREATE_ON_PUSH",
    "google": "the repository must exist first: gcloud artifacts repositories create NAME "
    "--repository-format=docker; the image is {host}/PROJECT/NAME/IMAGE",
    "gitlab": "the image's path begins with that of a project which has its registry switched on",
}


def hint(
    host: str, status: int, text: str, *, login: bool, headers: Mapping[str, str] | None = None
) -> str:
    """The next action after an answer of this status; `text` is what the registry said."""
    words = text.lower()
    if status == 429 or "toomanyrequests" in words or "secondary rate limit" in words:
        return _limit(host, headers or {}, login=login)
    if any(word in words for word in _LOCKED):
        return _locked(host)
    if "unknown media type" in words or "is not one of" in words:
        return _LISTED
    if status in (401, 403):
        return _access(host, login=login)
    if status == 404:
        general = "check the name; some registries want the repository or project to be made first"
        return _filled(_MISSING.get(kind_of(host), general), host)
    if status == 413:
        return "a proxy before the registry limits the size of a request; raise its limit"
    if status in (400, 426) and "https" in words:
        return f"the registry speaks https: take {host} out of --insecure-registry"
    if status >= 500:
        return "the registry has a fault of its own; try again later, or ask who runs it"
    return "check the repository's name, and that the address is a registry's"


def kind_of(host: str) -> Kind:
    """Which registry a host is; empty for one that runs anywhere (Harbor, docker-registry)."""
    if host == DOCKER_HUB:
        return "hub"
    if host == "ghcr.io":
        return "github"
    if host == "quay.io":
        return "quay"
    if host.endswith(".azurecr.io"):
        return "azure"
    if _ECR.fullmatch(host):
        return "amazon"
    if _GOOGLE.fullmatch(host):
        return "google"
    return "gitlab" if _GITLAB.fullmatch(host) else ""


def immutable(text: str) -> bool:
    """Whether a registry refused a tag because it may not move."""
    return any(word in text.lower() for word in _LOCKED)


def _access(host: str, *, login: bool) -> str:
    kind = kind_of(host)
    if kind == "hub" and not login:
        return (
            "the repository does not exist, or is private: log in with docker login, or give "
            "--registry-username and --registry-password"
        )
    if kind == "hub":
        return "the login must be allowed to write there: its own account or an organisation's team"
    if kind in _ACCESS:
        return _filled(_ACCESS[kind], host)
    if login:
        return f"the login for {host} was sent and refused: renew it, or grant it this repository"
    return (
        f"no login for {host} was found: docker login {host}, or give --registry-username and "
        "--registry-password"
    )


def _limit(host: str, headers: Mapping[str, str], *, login: bool) -> str:
    found = [_allowance(headers), _wait(headers)]
    if kind_of(host) == "hub":
        more = "" if login else "log in with docker login for more, or "
        found.append(f"{more}pull through a mirror with --registry-mirror")
    elif not login:
        found.append(f"docker login {host} for more")
    said = "; ".join(part for part in found if part)
    return f"the registry limits requests: {said}" if said else "the registry limits requests: wait"


def _allowance(headers: Mapping[str, str]) -> str:
    """`ratelimit-limit: 100;w=21600` and its kin, in words (Docker Hub, GitLab)."""
    limit = _LIMIT.match(headers.get("RateLimit-Limit", ""))
    if limit is None:
        return ""
    window = f" in {_duration(int(limit[2]))}" if limit[2] else ""
    left = _LIMIT.match(headers.get("RateLimit-Remaining", ""))
    rest = f", {left[1]} left" if left else ""
    return f"{limit[1]}{window}{rest}"


def _wait(headers: Mapping[str, str]) -> str:
    seconds = retry_after(headers.get("Retry-After"))
    return f"it asks to wait {_duration(round(seconds))}" if seconds else ""


def _duration(seconds: int) -> str:
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"


def _locked(host: str) -> str:
    how = {
        "amazon": "exclude them with image tag mutability exclusion filters",
        "azure": "unlock them: az acr repository update --write-enabled true",
    }.get(kind_of(host), "allow these tags to be overwritten in the repository's settings")
    return (
        "aliases of a job move (latest, branches, pr-*, key-*), and here the tag is immutable: "
        f"{how}; release tags may stay as they are"
    )


def _filled(text: str, host: str) -> str:
    return text.replace("{host}", host).replace("{name}", host.partition(".")[0])
