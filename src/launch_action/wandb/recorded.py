"""What of a recording is at W&B already: found out by a question each, without the SDK."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from launch_action.core.dataclass import replace
from launch_action.core.errors import LaunchError
from launch_action.core.registration import CODE_ID, WandbArtifact
from launch_action.core.wandb_manifest import manifest_digest
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.account import Account
from launch_action.wandb.artifact_versions import ArtifactVersion, asked_version
from launch_action.wandb.recording import RecordedArtifact, artifact_page
from launch_action.wandb.server import Server


def recorded_before(
    account: Account, artifacts: Sequence[WandbArtifact], folder: Path
) -> tuple[RecordedArtifact, ...]:
    """All of the artifacts, where W&B has each with this content and these aliases; else nothing.

    The content is in the folder, in directories by roles. What cannot be found out is not there:
    who records it then says what is wrong.
    """
    server = Server(account.base_url, account.key, account.environment, attempts=1)
    try:
        account = replace(account, entity=account.entity or account.default_entity())
        found: list[RecordedArtifact] = []
        code = ""
        for one in artifacts:
            version = _version(server, account, one)
            if version is None or not _same(one, version, folder / one.role, code):
                return ()
            code = version.identifier if one.kind == "code" else code
            page = artifact_page(account, version.reference, one.kind)
            found.append(RecordedArtifact(one.role, str(version.reference), page))
        return tuple(found)
    except LaunchError:
        return ()
    finally:
        server.close()


def _version(server: Server, account: Account, one: WandbArtifact) -> ArtifactVersion | None:
    if not one.aliases:
        return None
    wanted = ArtifactReference(account.entity, account.project, one.name, one.aliases[0])
    return asked_version(server, wanted)


def _same(one: WandbArtifact, version: ArtifactVersion, files: Path, code: str) -> bool:
    return (
        version.kind == one.kind
        and version.digest == _digest(files, code)
        and set(one.aliases) <= set(version.aliases)
        and one.description in ("", version.description)
    )


def _digest(files: Path, code: str) -> str:
    """The digest of a directory as an artifact, with the code's identifier in its document."""
    found = {}
    for path in files.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if code and path == files / "wandb-job.json":
                data = data.replace(CODE_ID.encode(), code.encode())
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            found[path.relative_to(files).as_posix()] = base64.b64encode(md5).decode()
    return manifest_digest(found)
