"""Manifests of W&B artifacts: what files an artifact has, checked before any of them is asked for.

Source of the format: the W&B SDK 0.31 (`artifact_manifest_v1.py`): `contents` maps each path to
its base64 digest and size; a `ref` stands for a file that lies elsewhere. The artifact's digest is
that of the header below and of a line `path:digest` per file, by path. Digests are MD5; they are
XXH128 where the maker of an artifact asked for it and the server has it switched on, which the
artifact says of its own and `extra.alg` of a file's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import StoreError

_HEADER = b"wandb-artifact-manifest-v1\n"
Algorithm = Literal["MD5", "XXH128"]
_ALGORITHMS: Mapping[str, Algorithm] = {"MANIFEST_MD5": "MD5", "MANIFEST_XXH128": "XXH128"}
_DIGEST_SIZE = 16  # bytes, of both
_MAX_FILES = 100_000
_MAX_PATH = 4096
_HINT = "create the job again, or ask who made it: W&B's own tools write no such artifact"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of an artifact. `digest` is hexadecimal; `size` is in bytes."""

    path: str
    digest: str
    size: int
    algorithm: Algorithm = "MD5"


class Hasher(Protocol):
    """What a digest is made by, as hashlib has it."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def hasher(algorithm: Algorithm) -> Hasher:
    """A hasher of nothing yet. Raises StoreError where the package that it needs is missing."""
    if algorithm == "MD5":
        return hashlib.md5(usedforsecurity=False)
    try:
        # Imported where it is used: it is a package of the extra, and few artifacts want it.
        from xxhash import xxh128
    except ImportError as error:
        raise StoreError(
            "an artifact at W&B has digests of the kind XXH128, and xxhash is not installed",
            hint="pip install launch-action[wandb]",
        ) from error
    return xxh128()


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
    if algorithm not in _ALGORITHMS:
        raise StoreError(
            f"{where} has digests of the kind {algorithm!r}, which is not read",
            hint=f"create it again by an SDK that writes one of {', '.join(_ALGORITHMS)}",
        )
    digests = {path: str(one["digest"]) for path, one in contents.items()}
    found = manifest_digest(digests, _ALGORITHMS[algorithm])
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
    extra = entry.get("extra")
    algorithm = _file_algorithm(extra.get("alg") if isinstance(extra, dict) else None, where, path)
    try:
        digest = base64.b64decode(str(entry.get("digest")), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_digest(where, path, entry, algorithm) from error
    if len(digest) != _DIGEST_SIZE:
        raise _bad_digest(where, path, entry, algorithm)
    return ManifestFile(path, digest.hex(), size, algorithm)


def _file_algorithm(said: Any, where: str, path: str) -> Algorithm:
    """What a file's digest is of; W&B marks only those that are no MD5."""
    match said:
        case None | "MD5":
            return "MD5"
        case "XXH128":
            return "XXH128"
        case _:
            raise _refused(f"{where}: {path[:80]!r} has a digest of the kind {str(said)[:80]!r}")


def _bad_digest(
    where: str, path: str, entry: Mapping[str, Any], algorithm: Algorithm
) -> StoreError:
    said = str(entry.get("digest"))[:80]
    return _refused(f"{where}: {path[:80]!r} has no {algorithm}: {said!r}")


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


def manifest_digest(digests: Mapping[str, str], algorithm: Algorithm = "MD5") -> str:
    """The digest of an artifact with these files: that of each in base64, by path.

    >>> manifest_digest({})
    '64e7c61456b10382e2f3b571ac24b659'
    """
    found = hasher(algorithm)
    found.update(_HEADER)
    for path in sorted(digests):
        found.update(f"{path}:{digests[path]}\n".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _refused(message: str) -> StoreError:
    return StoreError(message, hint=_HINT)
