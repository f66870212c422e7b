"""The base image that everybody builds on, made of Debian packages so that nothing is pulled.

It says of itself what `docker.io/library/python:3.11-slim` says (environment, history, the
interpreter's place), has pip as that one has, and trusts the certificates that this machine trusts.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.packages import home

NAME = "library/python:3.11-slim"
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
_VERSION = "3.11.2"
_FORMAT = 1
_CREATED = "2024-01-01T00:00:00Z"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_KIND = "application/vnd.oci.image"
_HISTORY = (
    f"# debian.sh --arch 'amd64' out/ '{SUITE}' '@1704067200'",
    "RUN /bin/sh -c set -eux; wget -O python.tar.xz https://www.python.org/... # buildkit",
)


def base_layout() -> Path:
    """The base as an OCI layout directory, made once per machine (needs a Debian mirror)."""
    key = hashlib.sha256(repr((SUITE, PACKAGES, _FORMAT, _HISTORY)).encode())
    key.update(_CERTIFICATES.read_bytes())
    place = home() / f"base-{key.hexdigest()[:16]}"
    with (home() / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=home()) as partial:
                root = Path(partial, "root.tar")
                _bootstrap(root)
                _write_layout(Path(partial, "layout"), root, _config(), _HISTORY)
                Path(partial, "layout").rename(place)
    return place


def program_layout(folder: Path, program: Path) -> Path:
    """An image that holds one program at its root, as `astral-sh/uv` is one."""
    root = folder.with_suffix(".tar")
    subprocess.run(
        ["tar", "--create", f"--file={root}", "--dereference", "--owner=0", "--group=0",
         "--mtime=@0", f"--directory={program.parent}", program.name],
        check=True,
    )  # fmt: skip
    _write_layout(folder, root, {}, ("a program",))
    return folder


def push(layout: Path, image: str) -> None:
    """Copy a layout into a registry on loopback."""
    target = f"docker://{image}"
    subprocess.run(
        ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout}:base", target],
        check=True,
    )


def _bootstrap(root: Path) -> None:
    links = " && ".join(
        f'ln -s /usr/bin/python3 "$1/usr/local/bin/{name}"'
        for name in ("python", "python3", "python3.11")
    )
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            *([f"--keyring={keyring}"] if Path(keyring).exists() else []),
            f"--customize-hook={links}",
            '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
            f'--customize-hook=cp {_CERTIFICATES} "$1{_CERTIFICATES}"',
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            SUITE, str(root), "http://deb.debian.org/debian",
        ],
        check=True,
    )  # fmt: skip


def _config() -> dict[str, Any]:
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "Env": [
            f"PATH={path}",
            "LANG=C.UTF-8",
            f"PYTHON_VERSION={_VERSION}",
            f"SSL_CERT_FILE={_CERTIFICATES}",
        ],
        "Cmd": ["python3"],
    }


def _write_layout(
    layout: Path, root: Path, inner: dict[str, Any], history: tuple[str, ...]
) -> None:
    (layout / "blobs" / "sha256").mkdir(parents=True)
    empty = [{"created": _CREATED, "created_by": line, "empty_layer": True} for line in history[1:]]
    config = {
        "created": _CREATED,
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": inner,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(root)}"]},
        "history": [{"created": _CREATED, "created_by": history[0]}, *empty],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_KIND}.manifest.v1+json",
        "config": _blob(layout, f"{_KIND}.config.v1+json", json.dumps(config).encode()),
        "layers": [_layer(layout, root)],
    }
    named = _blob(layout, f"{_KIND}.manifest.v1+json", json.dumps(manifest).encode())
    named["annotations"] = {"org.opencontainers.image.ref.name": "base"}
    index = {"schemaVersion": 2, "mediaType": f"{_KIND}.index.v1+json", "manifests": [named]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _layer(layout: Path, root: Path) -> dict[str, Any]:
    """Compressed in a stream: whoever starts a program hands it its own peak of memory."""
    packed = layout / "layer"
    with (
        root.open("rb") as tar,
        packed.open("wb") as out,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=out, mtime=0) as stream,
    ):
        shutil.copyfileobj(tar, stream, 1 << 20)
    digest, size = _digest(packed), packed.stat().st_size
    packed.rename(layout / "blobs" / "sha256" / digest)
    return {
        "mediaType": f"{_KIND}.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": size,
    }  # fmt: skip


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _blob(layout: Path, kind: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}
