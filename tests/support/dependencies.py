"""A build context of given files, and what it takes to resolve what they declare."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from launch_action.builders.layers.download import Downloader
from launch_action.builders.layers.git_source import find_commits
from launch_action.builders.layers.index_auth import read_logins
from launch_action.builders.layers.lock import Resolution
from launch_action.builders.layers.resolve import Uv, find_uv, resolve
from launch_action.builders.layers.source_wheels import SourceBuilder
from launch_action.builders.layers.target import Target
from launch_action.cache import Cache
from launch_action.core.context import TreeFile
from launch_action.core.dependencies import at_commits, read_dependencies
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform

AMD64 = Target("3.12", Platform("linux", "amd64"), "glibc", "2.28")


class Files:
    """A build context of the given files."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self.content = dict(sorted(content.items()))

    @property
    def files(self) -> tuple[TreeFile, ...]:
        return tuple(
            TreeFile(path, "file", f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
            for path, data in self.content.items()
        )

    def read(self, path: str) -> bytes | None:
        return self.content.get(path)

    def contents(self, files: Iterable[TreeFile]) -> Iterator[tuple[TreeFile, Iterator[bytes]]]:
        for file in files:
            yield file, iter([self.content[file.path]])


class Project:
    """A build context and what it takes to resolve it."""

    def __init__(
        self,
        directory: Path,
        files: Mapping[str, str | bytes],
        selection: Mapping[str, Any] | None = None,
        /,
        **environment: str,
    ) -> None:
        content = {k: v.encode() if isinstance(v, str) else v for k, v in files.items()}
        self.context = Files(content)
        self.selection = selection or {}
        declared = read_dependencies(self.context.read, **self.selection)
        home = directory / "home"
        home.mkdir(exist_ok=True)
        base = {"PATH": os.environ["PATH"], "HOME": str(home), "UV_HTTP_RETRIES": "0"}
        self.environment = base | environment
        commits = find_commits(declared.repositories, self.environment)
        self.inputs = at_commits(declared, commits)
        self.cache = Cache(directory / "cache")
        self.uv = Uv(find_uv(), self.cache.directory("uv"), self.environment)

    def resolve(self, target: Target = AMD64, **options: Any) -> Resolution:
        settings: dict[str, Any] = {"cutoff": None, "uv": self.uv, "context": self.context}
        return resolve(self.inputs, target, **(settings | options))

    def fault(self, target: Target = AMD64, **options: Any) -> BuildError:
        with pytest.raises(BuildError) as caught:
            self.resolve(target, **options)
        return caught.value

    @property
    def downloader(self) -> Downloader:
        logins = read_logins(self.inputs, self.environment)
        return Downloader(self.cache, logins, self.context, {}, sleep=lambda _: None)

    def builder(self, target: Target = AMD64) -> SourceBuilder:
        return SourceBuilder(self.inputs, target, self.uv, self.downloader, None, self.context)
