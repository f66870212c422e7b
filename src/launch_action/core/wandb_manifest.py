"""Manifests of W&B artifacts: what files an artifact has, checked before any of them is asked for.

Source of the format: the W&B SDK 0.31 (`artifact_manifest_v1.py`): `contents` maps each path to
its base64 digest and size; a `ref` stands for a file that lies elsewhere. The artifact's digest is
that of the header below and of a line `path:digest` per file, by path.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import StoreError

_HEADER = b"wandb-artifact-manifest-v1\n"
_MD5 = "MANIFEST_MD5"
_MAX_FILES = 100_000
_MAX_PATH = 4096
_HINT = "create the job again, or ask who made it: W&B's own tools write no such artifact"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of an artifact. `md5` is hexadecimal; `size` is in bytes."""

    path: str
    md5: str
    size: int


def read_manifest(data: bytes, digest: str, algorithm: str, where: str) -> tuple[ManifestFile, ...]:
    """The files of an artifact, by path. Raises StoreError naming `where`.

    `digest` is the artifact's own, which must be that of what is read. A path that leaves the
    artifact, one that is a file and a directory at once, and a reference to what lies elsewhere
    are refused.
    """
    contents = _contents(data, where)
    if len(contents) > _MAX_FILES:
        raise _refused(f"{where} has {len(contents)} files, over the limit of {_MAX_FILES}")
    files = tuple(_file(path, contents[path], where) for path in sorted(contents))
    if algorithm != _MD5:
        raise StoreError(
            f"{where} has digests of the kind {algorithm!r}, which is not read",
            hint=f"create it again by an SDK that writes {_MD5}",
        )
    found = manifest_digest({path: str(one["digest"]) for path, one in contents.items()})
    if found != digest:
        raise _refused(f"the list of files of {where} has the digest {found}, not {digest!r}")
    _refuse_double([file.path for file in files], where)
    return files


def _contents(data: bytes, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
        contents = found["contents"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(f"{where} has no list of its files: {data[:80]!r}") from error
    if not isinstance(contents, dict):
        raise _refused(f"{where} has no list of its files: {data[:80]!r}")
    return contents


def _file(path: str, entry: Any, where: str) -> ManifestFile:
    if not isinstance(entry, dict):
        raise _refused(f"{where}: {path[:80]!r} is no file: {str(entry)[:80]!r}")
    if entry.get("ref"):
        raise StoreError(
            f"{where}: {path[:80]!r} is not in the artifact but at {str(entry['ref'])[:80]!r}, "
            "which is not fetched",
            hint="record the code itself: `wandb job create code DIR`",
        )
    _check_path(path, where)
    size = entry.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise _refused(f"{where}: {path[:80]!r} has no size: {size!r}")
    try:
        md5 = base64.b64decode(str(entry.get("digest")), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_digest(where, path, entry) from error
    if len(md5) != hashlib.md5(usedforsecurity=False).digest_size:
        raise _bad_digest(where, path, entry)
    return ManifestFile(path, md5.hex(), size)


def _bad_digest(where: str, path: str, entry: Mapping[str, Any]) -> StoreError:
    return _refused(f"{where}: {path[:80]!r} has no MD5: {str(entry.get('digest'))[:80]!r}")


def _check_path(path: str, where: str) -> None:
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") for part in parts)
    if not plain or len(path) > _MAX_PATH or any(ord(c) < 32 or c == "\x7f" for c in path):
        raise _refused(f"{where}: {path[:80]!r} is no path inside of it")


def _refuse_double(paths: Iterable[str], where: str) -> None:
    files = set(paths)
    for path in files:
        parts = path.split("/")
        above = next((p for n in range(1, len(parts)) if (p := "/".join(parts[:n])) in files), None)
        if above:
            raise _refused(f"{where}: {above!r} is a file and a directory at once")


def manifest_digest(digests: Mapping[str, str]) -> str:
    """The digest of an artifact with these files: the MD5 of each in base64, by path.

    >>> manifest_digest({})
    '64e7c61456b10382e2f3b571ac24b659'
    """
    found = hashlib.md5(_HEADER, usedforsecurity=False)
    for path in sorted(digests):
        found.update(f"{path}:{digests[path]}\n".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _refused(message: str) -> StoreError:
    return StoreError(message, hint=_HINT)
