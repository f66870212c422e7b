"""Files of artifacts at a W&B server: listed, found, and read as their list says they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from launch_action.core.concurrency import concurrently
from launch_action.core.errors import StoreError
from launch_action.core.wandb_manifest import ManifestFile, hasher, read_manifest
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.artifact_versions import ArtifactVersion
from launch_action.wandb.server import Server

_MANIFEST_LIMIT = 64 * 1024 * 1024
_PAGE = 1000
MANIFEST = """
query FetchArtifactManifest($id: ID!) {
  artifact(id: $id) { currentManifest { file { directUrl } } }
}
"""
FILES = """
query GetArtifactMembershipFileUrls(
  $entity: String!, $project: String!, $collection: String!, $alias: String!,
  $cursor: String, $perPage: Int
) {
  project(name: $project, entityName: $entity) {
    artifactCollection(name: $collection) {
      artifactMembership(aliasName: $alias) {
        files(after: $cursor, first: $perPage) {
          pageInfo { endCursor hasNextPage }
          edges { node { name directUrl } }
        }
      }
    }
  }
}
"""


def list_files(server: Server, version: ArtifactVersion) -> tuple[ManifestFile, ...]:
    """The files of a version, checked against its digest. Raises StoreError."""
    found = server.ask(MANIFEST, {"id": version.identifier}).get("artifact") or {}
    try:
        url = str(found["currentManifest"]["file"]["directUrl"])
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{str(version.reference)!r} at W&B has no list of files",
            hint="it was not uploaded in full; create it again",
        ) from error
    with server.opened(url) as chunks:
        data = _limited(chunks, _MANIFEST_LIMIT, f"the list of files of {str(version.reference)!r}")
    return read_manifest(data, version.digest, version.algorithm, f"{str(version.reference)!r}")


def file_addresses(server: Server, version: ArtifactVersion) -> dict[str, str]:
    """Where each file of a version is read, by path; addresses are valid for a time."""
    reference, cursor = version.reference, None
    found: dict[str, str] = {}
    while True:
        variables = {
            "entity": reference.entity,
            "project": reference.project,
            "collection": reference.name,
            "alias": reference.alias,
            "cursor": cursor,
            "perPage": _PAGE,
        }
        page, more = _page(server.ask(FILES, variables), reference)
        new = {path: url for path, url in page if path not in found}
        found |= new
        if not more or more == cursor or not new:
            return found
        cursor = more


def read_file(server: Server, file: ManifestFile, url: str, limit: int, where: str) -> bytes:
    """A file of an artifact, as its list says it is. Raises StoreError."""
    if file.size > limit:
        raise StoreError(
            f"{file.path!r} of {where} has {file.size} bytes, over the limit of {limit}",
            hint="such a file of a job is not that large; create the job again",
        )
    with server.opened(url) as chunks:
        return b"".join(_checked(chunks, file, where))


def download(
    server: Server,
    files: Sequence[ManifestFile],
    addresses: Mapping[str, str],
    root: Path,
    where: str,
    advance: Callable[[int], None],
) -> None:
    """Write the files below an empty directory, several at a time.

    Raises StoreError for one that is not what its list says.
    """

    def one(file: ManifestFile) -> None:
        target = root.joinpath(*PurePosixPath(file.path).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            server.opened(address_of(file.path, addresses, where)) as chunks,
            os.fdopen(os.open(target, flags, 0o644), "wb") as out,
        ):
            for chunk in _checked(chunks, file, where):
                out.write(chunk)
                advance(len(chunk))

    concurrently(one, files)


def address_of(path: str, addresses: Mapping[str, str], where: str) -> str:
    """Where a file is read. Raises StoreError where the server names no place."""
    if path not in addresses:
        raise StoreError(
            f"W&B does not say where {path!r} of {where} is", hint="create it again, or ask W&B"
        )
    return addresses[path]


def _checked(chunks: Iterator[bytes], file: ManifestFile, where: str) -> Iterator[bytes]:
    """The content; a StoreError at its end, or as soon as it is more, when it is not the file."""
    digest, left = hasher(file.algorithm), file.size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        digest.update(chunk)
        yield chunk
    if left or digest.hexdigest() != file.digest:
        raise StoreError(
            f"{file.path!r} of {where} is not what its list of files says",
            hint="it was changed at its place, or what is between here and W&B changes it",
        )


def _limited(chunks: Iterator[bytes], limit: int, what: str) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > limit:
            raise StoreError(
                f"{what} has more than {limit} bytes", hint="create it again with fewer files"
            )
    return bytes(found)


def _page(
    data: Mapping[str, Any], reference: ArtifactReference
) -> tuple[list[tuple[str, str]], str]:
    """Path and address of each file of a page, and the cursor of the next one, if there is one."""
    try:
        files = data["project"]["artifactCollection"]["artifactMembership"]["files"]
        nodes = [edge["node"] for edge in files["edges"]]
        found = [(str(node["name"]), str(node["directUrl"])) for node in nodes]
        more = files["pageInfo"]
        return found, str(more["endCursor"] or "") if more["hasNextPage"] else ""
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"W&B does not list the files of {str(reference)!r}",
            hint="it was deleted meanwhile, or is not visible to this key",
        ) from error
