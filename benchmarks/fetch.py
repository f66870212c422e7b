"""What one directory of a large repository costs: `launch-action` beside `git clone`.

    python benchmarks/fetch.py [--files 100000] [--runs 3]

A repository of many small files is made and served over HTTP on loopback; each run fetches it in
every way. The table has medians, and ratios to launch-action of the same run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.git_remotes import GitServer, http_server
from support.repositories import git

from launch_action.core.git_address import parse_git_address
from launch_action.git.fetch import Wanted, fetched
from launch_action.git.transfer import Access

NAME = "acme/mono.git"
CONTEXT = "jobs/hello_world"
Way = Callable[[GitServer, Path], None]


def make(root: Path, count: int) -> None:
    """A bare repository of `count` files in directories of 100, and one job."""
    bare = root / "bare" / NAME
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main", ".")
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(bare, "fast-import", "--quiet", stdin=b"".join(_stream(count)))


def _stream(count: int) -> Iterator[bytes]:
    """One commit, as git-fast-import(1) reads it."""
    yield b"commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 1\nx\n"
    yield _file(f"{CONTEXT}/job.py", b"print('hello')\n")
    yield _file(f"{CONTEXT}/requirements.txt", b"six\n")
    for number in range(count):
        text = b"value = '%s'\n" % os.urandom(150).hex().encode()
        yield _file(f"lib/{number // 10_000}/{number // 100}/{number}.py", text)


def _file(path: str, content: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)


def ours(path: str) -> Way:
    def fetch(server: GitServer, folder: Path) -> None:
        wanted = Wanted(parse_git_address(server.url(NAME)), "", path)
        with fetched(wanted, Access(os.environ), folder) as top:
            assert (top / CONTEXT / "job.py").exists()

    return fetch


def clone(*options: str) -> Way:
    def fetch(server: GitServer, folder: Path) -> None:
        command = ["git", "clone", "--quiet", *options, server.url(NAME), str(folder / "clone")]
        subprocess.run(command, check=True)

    return fetch


WAYS: tuple[tuple[str, Way], ...] = (
    ("launch-action, --build-context jobs/hello_world", ours(CONTEXT)),
    ("launch-action, whole repository", ours("")),
    ("git clone --depth=1", clone("--depth=1")),
    ("git clone (as W&B Launch does)", clone()),
)


def measure(server: GitServer, runs: int) -> Iterator[tuple[str, list[float], list[int], int]]:
    """Name, seconds and bytes received of each run, and bytes on disk, by way."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in WAYS}
    received: dict[str, list[int]] = {name: [] for name, _ in WAYS}
    disk: dict[str, int] = {}
    for _ in range(runs):
        for name, way in WAYS:
            folder = Path(tempfile.mkdtemp())
            before, started = server.sent, time.monotonic()
            way(server, folder)
            seconds[name].append(time.monotonic() - started)
            received[name].append(server.sent - before)
            used = subprocess.check_output(["du", "-sk", str(folder)], text=True)
            disk[name] = int(used.split()[0]) * 1024
            shutil.rmtree(folder)
    for name, _ in WAYS:
        yield name, seconds[name], received[name], disk[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), chosen.files)
        with http_server(Path(name) / "bare") as server:
            rows = list(measure(server, chosen.runs))
    base = rows[0]
    print(
        f"| {chosen.files} files, {chosen.runs} runs | seconds | ratio | MB received | MB on disk |"
    )
    print("| --- | --- | --- | --- | --- |")
    for title, seconds, received, disk in rows:
        ratio = statistics.median(a / b for a, b in zip(seconds, base[1], strict=True))
        print(
            f"| {title} | {statistics.median(seconds):.2f} | {ratio:.1f} "
            f"| {statistics.median(received) / 1e6:.2f} | {disk / 1e6:.1f} |"
        )


if __name__ == "__main__":
    main()
