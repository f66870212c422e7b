"""Reads layers back, with the standard library alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterable

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.codec import GZIP, Codec
from launch_action.builders.layers.writer import Written, write_layer
from launch_action.builders.layers.zips import Zips
from launch_action.core.image import OCI_LAYER_ZSTD


def layer_of(entries: Iterable[Entry], codec: Codec = GZIP) -> tuple[bytes, Written]:
    """The bytes of a layer, and what was said of them."""
    out = io.BytesIO()
    written = write_layer(entries, out, codec)
    return out.getvalue(), written


def checked_tar(data: bytes, written: Written) -> bytes:
    """The uncompressed tar, with everything that was said of the layer checked."""
    tar = _zstd(data) if written.media_type == OCI_LAYER_ZSTD else gzip.decompress(data)
    assert written.size == len(data)
    assert written.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert written.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    return tar


def _zstd(data: bytes) -> bytes:
    """What Facebook's own program makes of it."""
    return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout


def members(tar: bytes) -> list[tarfile.TarInfo]:
    """What Python's tarfile reads."""
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        return archive.getmembers()


def content(entry: Entry) -> bytes:
    """The whole content of an entry."""
    found = entry.content
    if isinstance(found, bytes):
        return found
    if isinstance(found, Chunks):
        return b"".join(found.open())
    with Zips() as zips:
        return b"".join(zips.content(found))


def described(entries: Iterable[Entry]) -> list[tuple[str, str, int, int, int, str, bytes]]:
    """Everything that decides an entry's bytes in the tar."""
    return [(e.path, e.kind, e.mode, e.uid, e.gid, e.target, content(e)) for e in entries]


def spliced(entries: Iterable[Entry]) -> list[str]:
    """The paths whose content comes from a zip file as it is."""
    return [entry.path for entry in entries if isinstance(entry.content, Spliced)]
