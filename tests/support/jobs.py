"""Jobs for tests of runners: layers with a small virtual environment, a store to take them from."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from launch_action.core.image import OCI_LAYER_GZIP, Descriptor, Platform, digest_of
from launch_action.core.reference import Digest
from launch_action.core.run import JobImage, LayerRef, LayerRole

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"opt/venv/lib/python{MINOR}/site-packages"
MACHINE = Platform.parse(f"linux/{os.uname().machine}")

GREETER: dict[str, bytes | str] = {
    f"{SITE}/greeter.py": b"def main():\n    import sys\n    print('hello from', sys.prefix)\n",
    "opt/venv/bin/greet": b"#!/opt/venv/bin/python\nfrom greeter import main\nmain()\n",
    "opt/venv/bin/python": "/usr/local/bin/python",
    "opt/venv/bin/python3": "python",
    "opt/venv/pyvenv.cfg": b"home = /usr/local/bin\ninclude-system-site-packages = false\n",
    "home/job/.keep": b"",
}


@dataclass
class Blobs:
    """A store of layers in memory; `opened` counts how often each was read."""

    data: dict[str, bytes] = field(default_factory=dict)
    opened: list[Digest] = field(default_factory=list)

    def put(self, role: LayerRole, files: Mapping[str, bytes | str]) -> LayerRef:
        """A layer with these files: bytes are content (executable below bin), a str a link."""
        archive = tar_of(files)
        data = gzip.compress(archive, mtime=0)
        self.data[digest_of(data)] = data
        descriptor = Descriptor.of(data, OCI_LAYER_GZIP)
        return LayerRef(role, descriptor, digest_of(archive))

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        self.opened.append(descriptor.digest)
        data = self.data[descriptor.digest]
        yield (data[at : at + 4096] for at in range(0, len(data), 4096))


def tar_of(files: Mapping[str, bytes | str], *, executable: bool = False) -> bytes:
    """An archive with these files, with the folders they are in."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for folder in sorted(folders):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.mtime = 315532800
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
                continue
            info.size, info.mode = len(content), 0o755 if executable or "/bin/" in name else 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def job_image(
    blobs: Blobs, code: Mapping[str, bytes | str], *entrypoint: str, python: str = MINOR
) -> JobImage:
    """A job's image for this machine: the greeter as its dependency, `code` in its `/app`."""
    layers = (
        blobs.put("dependency", GREETER),
        blobs.put("code", {f"app/{name}": content for name, content in code.items()}),
    )
    return JobImage(
        platform=MACHINE,
        python=python,
        entrypoint=entrypoint,
        environment=(("PYTHONPATH", "/app/src:/app"), ("PATH", "/opt/venv/bin:/usr/bin")),
        layers=layers,
    )


def gone(pid: int) -> bool:
    """Whether no process has this id any more; one that only waits to be reaped is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return status.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def eventually(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it becomes true within `seconds`."""
    import time

    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def shared_with(path: Path) -> int:
    """How many names a file has."""
    return path.stat()[stat.ST_NLINK]
