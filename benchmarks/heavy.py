"""A project that needs a wheel of 2 GB, and the index that has the wheel."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import project
from benchmarks.packages import home

SIZE = 2_000_000_000
_FILES = 8
_INFO = "heavy-1.0.dist-info"
_METADATA = b"Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n"
_WHEEL = b"Wheel-Version: 1.0\nGenerator: benchmark\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_TRAIN = "import heavy\n\nprint(heavy.__file__)\n"


@dataclass(frozen=True, slots=True)
class Index:
    """A running index of this machine; `given` tells the bytes of its answers so far."""

    url: str
    log: Path

    def given(self) -> int:
        return sum(map(int, self.log.read_text().split())) if self.log.exists() else 0


@contextmanager
def heavy_index(folder: Path) -> Iterator[Index]:
    """An index with the wheel; it ends with the block."""
    folder.mkdir(parents=True)
    log = folder / "index.log"
    program = str(Path(__file__).with_name("index.py"))
    child = subprocess.Popen(
        [sys.executable, program, str(wheel_folder()), str(log)], stdout=subprocess.PIPE, text=True
    )
    try:
        port = child.stdout.readline().strip() if child.stdout else ""
        yield Index(f"http://127.0.0.1:{port}/simple/", log)
    finally:
        child.terminate()
        child.wait()


def make_heavy(folder: Path, index: Index) -> None:
    """The usual source files, with the heavy wheel as the only requirement."""
    project.make_project(folder)
    (folder / "requirements.txt").write_text(f"--index-url {index.url}\nheavy==1.0\n")
    (folder / "train.py").write_text(_TRAIN)
    project.commit(folder, "Require the heavy wheel")


def make_torch(folder: Path) -> None:
    """The usual source files, with torch and the CUDA wheels that it needs."""
    project.make_project(folder)
    (folder / "requirements.txt").write_text("torch==2.5.1\n")
    (folder / "train.py").write_text("import torch\n\nprint(torch.__version__)\n")
    project.commit(folder, "Require torch")


def wheel_folder() -> Path:
    """The folder of the wheel, made once per machine: 2 GB that compress to three quarters."""
    place = home() / f"heavy-{SIZE}"
    with (home() / "heavy.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=home(), prefix=".partial-") as partial:
                made = Path(partial, "wheels")
                made.mkdir()
                _write(made / "heavy-1.0-py3-none-any.whl")
                made.rename(place)
    return place


def _write(wheel: Path) -> None:
    small = {
        "heavy/__init__.py": b"",
        f"{_INFO}/METADATA": _METADATA,
        f"{_INFO}/WHEEL": _WHEEL,
    }
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        rows = [_small(archive, name, data) for name, data in small.items()]
        rows += [
            _large(archive, f"heavy/data-{n}.bin", SIZE * 4 // 3 // _FILES) for n in range(_FILES)
        ]
        record = f"{_INFO}/RECORD"
        archive.writestr(record, "".join([*rows, f"{record},,\n"]))
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    wheel.with_suffix(".sha256").write_text(digest)


def _small(archive: zipfile.ZipFile, name: str, data: bytes) -> str:
    archive.writestr(name, data)
    return _row(name, hashlib.sha256(data), len(data))


def _large(archive: zipfile.ZipFile, name: str, size: int) -> str:
    """A file that every codec compresses to three quarters: noise with holes."""
    digest, length = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as out:
        while length < size:
            chunk = b"".join(os.urandom(3072) + bytes(1024) for _ in range(256))
            digest.update(chunk)
            length += len(chunk)
            out.write(chunk)
    return _row(name, digest, length)


def _row(name: str, digest: hashlib._Hash, size: int) -> str:
    text = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
    return f"{name},sha256={text},{size}\n"
