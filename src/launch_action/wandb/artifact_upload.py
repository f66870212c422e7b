"""Uploads artifacts to W&B with its SDK, in a process of its own that leaves nothing behind."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from launch_action import process
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError, ServiceError
from launch_action.core.registration import CODE_ID, WandbArtifact
from launch_action.core.run import new_run_id
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.account import Account

EXTRA = "launch-action[wandb]"
# What `sdk` uses is in none before. Of a later one nobody knows yet: it is tried.
_OLDEST = (0, 31)
# What somebody may have said of how long to wait, and of what stands between here and the server.
_PASSED = (
    "WANDB_HTTP_TIMEOUT", "WANDB_INIT_TIMEOUT", "WANDB_X_EXTRA_HTTP_HEADERS",
    "WANDB_X_GRAPHQL_RETRY_MAX", "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS",
    "WANDB_X_GRAPHQL_TIMEOUT_SECONDS", "WANDB_X_FILE_TRANSFER_RETRY_MAX",
    "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS", "WANDB_APP_URL",
)  # fmt: skip
_LONGEST = 3600.0  # seconds
# Isolated from variables and the workspace, and with packages that a user has installed for
# himself, of which an isolated Python knows nothing.
_WORKER = (
    "import sys; sys.path += [path for path in sys.argv[1:] if path not in sys.path]; "
    "from launch_action.wandb.sdk_worker import main; main()"
)
_FAULTS: Mapping[str, tuple[str, str]] = {
    "setting": (
        "is not asked, for its SDK does not take a WANDB_ variable",
        "mend or unset the variable",
    ),
    "key": ("does not take the key", "set WANDB_API_KEY to a key of it, or `wandb login`"),
    "entity": ("has no such entity", "check --entity: a user or a team that the key is of"),
    "permission": (
        "refuses this to the key",
        "check --entity and --project",
    ),
    "limit": ("is asked too often", "run it again later"),
    "network": ("cannot be reached", "check WANDB_BASE_URL, and whether this machine reaches it"),
    "server": ("has a fault", "run it again later"),
    "other": ("does not do it", "what it says may tell why, and whether another try helps"),
}


@dataclass(frozen=True, slots=True)
class UploadedArtifact:
    """A version at W&B: `name` is `entity/project/name:v3`, `url` its page."""

    role: str
    name: str
    url: str


def sdk_fault() -> str:
    """Why the SDK cannot be used, empty where it can: found out without importing it.

    A directory `wandb` of the workspace, such as the SDK's own of any run, is none.
    """
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec("wandb", _places())
    if found is None or found.origin is None:
        return "is not installed"
    for facts in Path(found.origin).parents[1].glob("wandb-*.dist-info"):
        version = facts.name.removeprefix("wandb-").removesuffix(".dist-info")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers < _OLDEST:
            return f"is of version {version}, and {'.'.join(map(str, _OLDEST))} is needed"
    return ""


def _places() -> list[str]:
    """Where packages are installed: not what PYTHONPATH or `python -m` put in front.

    Our own place is one of them, however it was named.
    """
    ours = str(Path(__file__).resolve().parents[2])
    given = os.environ.get("PYTHONPATH")
    theirs = {os.path.realpath(path) for path in (given.split(os.pathsep) if given else ())}
    theirs = (theirs | {os.path.realpath("")}) - {ours}
    return [path for path in sys.path if os.path.realpath(path) not in theirs]


def upload_artifacts(
    account: Account, artifacts: Sequence[WandbArtifact], folder: Path
) -> Iterator[UploadedArtifact | str]:
    """Upload artifacts, the content of which is in the folder, in directories by their roles.

    Gives each once it is committed; a text is a warning. Raises ServiceError for what W&B refuses,
    after those that are uploaded.
    """
    run_id = new_run_id(secrets.choice)
    request = {
        "run": run_id,
        "base_url": account.base_url,
        "key": account.key,
        "entity": account.entity,
        "project": account.project,
        "folder": str(folder),
        "artifacts": [_asked(one) for one in artifacts],
    }
    command = [sys.executable, "-I", "-X", "utf8", "-c", _WORKER, *_places()]
    # Else faults of the SDK's own are told to a host that is not the team's server.
    quiet = {"WANDB_ERROR_REPORTING": "false"}
    environment = process.environment(*_PASSED, HOME=str(folder), TMPDIR=str(folder), **quiet)
    code: int | None = None
    try:
        done = process.run(
            command,
            cwd=folder,
            env={name: value for name, value in environment.items() if value},
            stdin=json.dumps(request).encode(),
            timeout=_LONGEST,
            group=True,
        )
        code = done.code
    except process.TimedOut as error:
        raise _refused(account, "network", f"no end after {_LONGEST:.0f} s") from error
    finally:
        if code != 0:  # what would have deleted its run is gone
            _forget(account, artifacts, run_id)
    yield from _told(account, done)


def _forget(account: Account, artifacts: Sequence[WandbArtifact], run_id: str) -> None:
    """Delete what a worker that could not do it itself has left, as far as W&B lets us."""
    from launch_action.wandb.abandoned import DELETE_RUN, remove_abandoned
    from launch_action.wandb.artifact_list import Collection
    from launch_action.wandb.queues import RUN

    server = account.server(patient=False)
    with suppress(LaunchError), closing(server):
        # Nobody who has interrupted it waits for the answers of a slow server.
        entity, project = account.entity or account.own_entity(patient=False), account.project
        of = [Collection(entity, project, one.kind, one.name) for one in artifacts]
        remove_abandoned(server, of, run_id=run_id, now=time.time())
        variables = {"entity": entity, "project": project, "name": run_id}
        found = (server.ask(RUN, variables).get("project") or {}).get("run") or {}
        if found.get("id"):
            server.ask(DELETE_RUN, {"id": str(found["id"])})


def _asked(one: WandbArtifact) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "role": one.role,
        "name": one.name,
        "description": one.description,
        "metadata": dict(one.metadata),
        "aliases": list(one.aliases),
        "folder": one.role,
        "placeholder": CODE_ID if one.code else "",
    }


def _told(account: Account, done: process.Finished) -> Iterator[UploadedArtifact | str]:
    finished = False
    for line in done.text.splitlines():
        said = json.loads(line)
        match said:
            case {"uploaded": found}:
                yield _uploaded(account, found)
            case {"left": left}:
                yield (
                    f"the run that recorded it could not be deleted at W&B: {left['run']} "
                    f"({left['why']})"
                )
            case {"error": error}:
                raise _refused(account, error["kind"], error["message"])
            case _:
                finished = True
    if not finished:
        words = done.complaint.replace(account.key, "***")
        raise ServiceError(
            f"the W&B SDK ended with code {done.code} before it was done",
            hint="run it again; what is recorded is not made again",
            context=words,
        )


def artifact_page(account: Account, version: ArtifactReference, kind: str) -> str:
    """The page of an artifact's version."""
    place = f"{version.entity}/{version.project}/artifacts/{kind}/{version.name}/{version.alias}"
    return f"{account.app_url}/{quote(place)}"


def _uploaded(account: Account, found: Mapping[str, str]) -> UploadedArtifact:
    name, _, version = found["name"].rpartition("/")[2].partition(":")
    named = ArtifactReference(found["entity"], found["project"], name, version)
    kind = "code" if found["role"] == "code" else "job"
    return UploadedArtifact(found["role"], str(named), artifact_page(account, named, kind))


def _refused(account: Account, kind: str, message: str) -> ServiceError:
    what, hint = _FAULTS[kind]
    entity = f": {account.entity!r}" if kind == "entity" else ""
    return ServiceError(f"W&B at {account.host} {what}{entity} ({message})", hint=hint)
