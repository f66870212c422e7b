"""Real git repositories for tests: made by git, in a configuration of their own."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REMOTE = "https://github.com/acme/mono.git"
COMMIT_TIME = 1_700_000_000

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A U Thor",
    "GIT_AUTHOR_EMAIL": "author@example.com",
    "GIT_AUTHOR_DATE": f"{COMMIT_TIME - 100} +0200",
    "GIT_COMMITTER_NAME": "C O Mitter",
    "GIT_COMMITTER_EMAIL": "committer@example.com",
    "GIT_COMMITTER_DATE": f"{COMMIT_TIME} -0500",
}


@dataclass(frozen=True, slots=True)
class Work:
    """A working tree for a test to change."""

    path: Path

    def git(self, *arguments: str | bytes, stdin: bytes | None = None) -> str:
        """Run git here; its output without the last line feed."""
        return git(self.path, *arguments, stdin=stdin)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files, making their directories; names may hold surrogate escapes."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes] | None = None) -> str:
        """Write files, commit everything, and return the commit."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a commit")
        return self.git("rev-parse", "HEAD")


def git(directory: Path, *arguments: str | bytes, stdin: bytes | None = None) -> str:
    """Run git in a directory; its output without the last line feed."""
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=_ENVIRONMENT, input=stdin, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def make_repository(path: Path, *options: str, remote: str | None = REMOTE) -> Work:
    """An empty repository on branch main with an origin."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main", *options)
    if remote:
        git(path, "remote", "add", "origin", remote)
    return Work(path)


def lfs_pointer(content: bytes) -> bytes:
    """The pointer that stands for content in a commit (git-lfs docs/spec.md)."""
    oid = hashlib.sha256(content).hexdigest()
    head = "version https://git-lfs.github.com/spec/v1"
    return f"{head}\noid sha256:{oid}\nsize {len(content)}\n".encode()


def store_lfs(git_dir: Path, content: bytes) -> Path:
    """Put content where git-lfs keeps it."""
    oid = hashlib.sha256(content).hexdigest()
    place = git_dir / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def forge_tree(work: Work, *entries: tuple[str, str, str, bytes]) -> str:
    """A tree that git would not make, from (mode, kind, oid, name); returns its oid."""
    raw = b"".join(
        mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(oid)
        for mode, _, oid, name in entries
    )
    return work.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)
