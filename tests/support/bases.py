"""Small base images of known content, and a reporter that remembers."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from launch_action.core.image import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Platform,
    canonical,
    digest_of,
)
from launch_action.core.ports import Content

AMD64 = Platform("linux", "amd64")
# What the official images say: enough to know Python and libc without their files.
OFFICIAL_ENV = ("PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.11.9")
_BUILT = "RUN /bin/sh -c set -eux; wget -O python.tar.xz https://www.python.org/...; # buildkit"
OFFICIAL_HISTORY = (
    "# debian.sh --arch 'amd64' out/ 'bookworm' '@1755475200'",
    "RUN /bin/sh -c set -eux; apt-get update; apt-get install -y ca-certificates # buildkit",
    _BUILT,
)
ALPINE_HISTORY = (
    "ADD alpine-minirootfs-3.20.3-x86_64.tar.gz / # buildkit",
    "RUN /bin/sh -c set -eux; apk add --no-cache ca-certificates # buildkit",
    _BUILT,
)
GLIBC_SAYS = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\0"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a made layer: a link when it has a target, a directory when it has no data."""

    data: bytes | None = b""
    mode: int = 0o644
    target: str = ""
    hard: bool = False


PROGRAM = File(b"\x7fELF", 0o755)


@dataclass(slots=True)
class Remembered:
    """A Reporter that keeps what it was told."""

    lines: list[str] = field(default_factory=list)
    bytes: int = 0
    timings: dict[str, float] = field(default_factory=dict)

    def info(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.lines.append(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        def advance(count: int) -> None:
            self.bytes += count

        yield advance


def layer(files: Mapping[str, File], kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of these files, as the format of `kind`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for path, file in files.items():
            info = tarfile.TarInfo(path)
            info.mode = file.mode
            if file.target:
                info.type = tarfile.LNKTYPE if file.hard else tarfile.SYMTYPE
                info.linkname = file.target
            elif file.data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(file.data)
            archive.addfile(info, io.BytesIO(file.data or b""))
    return out.getvalue()


def put_image(
    content: Content,
    layers: Sequence[bytes],
    *,
    tag: str | None = None,
    env: Sequence[str] = (),
    history: Sequence[str] = (),
    platform: Platform = AMD64,
    config: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
    layer_type: str = OCI_LAYER_GZIP,
    pack: Callable[[bytes], bytes] = lambda data: gzip.compress(data, 1, mtime=0),
) -> Manifest:
    """Store an image of these uncompressed layers. `config` and `manifest` go over what is made."""
    packed = [pack(data) for data in layers]
    document = {
        "created": "2024-01-01T00:00:00Z",
        **platform.document(),
        "config": {"Env": list(env)},
        "rootfs": {"type": "layers", "diff_ids": [str(digest_of(data)) for data in layers]},
        "history": [{"created_by": line, "empty_layer": True} for line in history],
        **(config or {}),
    }
    spelt = canonical(document)
    for data in (*packed, spelt):
        _put(content, data)
    made = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor.of(spelt, OCI_CONFIG).document(),
            "layers": [Descriptor.of(data, layer_type).document() for data in packed],
            **(manifest or {}),
        }
    )
    content.put_manifest(made, tag)
    return made


def _put(content: Content, data: bytes) -> None:
    content.put_blob(Descriptor.of(data, "application/octet-stream"), lambda: io.BytesIO(data))
