"""Jobs at a W&B server: their documents, and the code of a code job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError, StoreError
from launch_action.core.secret_files import HEAD, looks_secret
from launch_action.core.wandb_document import WandbDocument, read_wandb_document
from launch_action.core.wandb_manifest import ManifestFile
from launch_action.core.wandb_reference import ArtifactReference, parse_code_reference
from launch_action.wandb.artifact_files import (
    address_of,
    download,
    file_addresses,
    list_files,
    read_file,
)
from launch_action.wandb.artifact_versions import ArtifactVersion, find_version, version_of
from launch_action.wandb.server import Server

_DOCUMENT = "wandb-job.json"
_FROZEN = "requirements.frozen.txt"
_PATCH = "diff.patch"
# The most that is read of each, in bytes.
_LIMITS = {_DOCUMENT: 1024 * 1024, _FROZEN: 4 * 1024 * 1024, _PATCH: 32 * 1024 * 1024}
_CODE_LIMIT = 4 * 1024 * 1024 * 1024

Transfer = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class WandbJob:
    """A job version at W&B; `raw` is its document as W&B has it. Absent files are empty."""

    version: ArtifactVersion
    raw: bytes
    document: WandbDocument
    frozen: bytes
    patch: bytes

    @property
    def schema(self) -> Any:
        """The JSON Schema of its inputs, as its maker gave it; None where there is none."""
        schemas = self.version.metadata.get("input_schemas")
        return schemas.get("@wandb.config") if isinstance(schemas, dict) else None


def read_job(server: Server, reference: ArtifactReference) -> WandbJob:
    """A job by its reference.

    Raises StoreError for one that is not there or cannot be read, InputError for a notebook's,
    ServiceError when W&B refuses.
    """
    version = find_version(server, reference, "job")
    where = f"job {str(version.reference)!r}"
    files = {file.path: file for file in list_files(server, version)}
    if _DOCUMENT not in files:
        raise StoreError(f"{where} at W&B has no {_DOCUMENT}", hint="create the job again")
    addresses = file_addresses(server, version)

    def read(name: str) -> bytes:
        if name not in files:
            return b""
        url = address_of(name, addresses, where)
        return read_file(server, files[name], url, _LIMITS[name], where)

    raw = read(_DOCUMENT)
    return WandbJob(version, raw, read_wandb_document(raw, where), read(_FROZEN), read(_PATCH))


def find_code(server: Server, artifact: str) -> ArtifactVersion:
    """The code artifact that a job's document names. Raises StoreError."""
    named = parse_code_reference(artifact)
    if isinstance(named, ArtifactReference):
        return find_version(server, named, "code")
    version = version_of(server, named)
    if version.kind != "code":
        raise StoreError(
            f"the code of the job is an artifact of type {version.kind!r}: "
            f"{str(version.reference)!r}",
            hint="create the job again with `wandb job create code`",
        )
    return version


def fetch_code(
    server: Server,
    version: ArtifactVersion,
    root: Path,
    *,
    allowed: tuple[str, ...],
    transfer: Transfer,
) -> None:
    """Write the files of a code artifact below an empty directory.

    Raises StoreError, and SourceError for files that look like credentials, which W&B's own tools
    take along, unless they are `allowed` by their path.
    """
    where = f"code {str(version.reference)!r}"
    files = list_files(server, version)
    total = sum(file.size for file in files)
    if total > _CODE_LIMIT:
        raise StoreError(
            f"{where} has {total} bytes, over the limit of {_CODE_LIMIT}",
            hint="leave data out of the code, and give it to the job as an artifact",
        )
    with transfer(f"{len(files)} files", total) as advance:
        addresses = file_addresses(server, version)
        download(server, files, addresses, root, where, advance)
    _refuse_secrets(files, root, frozenset(allowed), where)


def _refuse_secrets(
    files: tuple[ManifestFile, ...], root: Path, allowed: frozenset[str], where: str
) -> None:
    found = [
        file.path
        for file in files
        if file.path not in allowed and looks_secret(file.path, _head(root / file.path))
    ]
    if found:
        shown = ", ".join(map(repr, found[:5])) + (" ..." if len(found) > 5 else "")
        raise SourceError(
            f"{where} holds files that look like credentials: {shown}",
            hint="whoever reads the artifact can read them; --allow-file PATH lets each in",
        )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
