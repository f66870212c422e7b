"""The tree that a package is built from: an sdist, a directory of the context, a repository."""

from __future__ import annotations

import posixpath
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launch_action.builders.layers.download import Downloader
from launch_action.builders.layers.git_source import fetch_tree
from launch_action.builders.layers.lock import LockedWheel, SourcePackage
from launch_action.core.context import Context, TreeFile
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import BuildError
from launch_action.core.vcs import GitSource


@dataclass(frozen=True, slots=True)
class SourceTrees:
    """Fetches sources. `repositories` are as they are declared, with the logins in their URLs."""

    downloader: Downloader
    context: Context | None
    repositories: tuple[GitSource, ...]
    environment: Mapping[str, str] = field(repr=False)

    def identity(self, source: SourcePackage) -> str:
        """What the source's content is known by."""
        if source.kind != "directory":
            return f"{source.sha256 or source.place}#{source.subdirectory}"
        return "\n".join(f"{one.path} {one.kind} {one.content}" for one in self._files(source))

    def fetch(self, source: SourcePackage, directory: Path) -> Path:
        """Put the source below `directory`; returns what is to be built, a directory or an sdist.

        Raises BuildError.
        """
        if source.kind == "git":
            return fetch_tree(self._repository(source), directory / "tree", self.environment)
        if source.kind == "directory":
            return self._copy(source, directory / "tree")
        archive = self._archive(source, directory)
        return _unpacked(archive, source, directory) if source.subdirectory else archive

    def _repository(self, source: SourcePackage) -> GitSource:
        """The repository with the login of its declaration."""
        wanted = source.repository
        known = (one.url for one in self.repositories if one.plain == wanted.plain)
        return GitSource(next(known, wanted.url), wanted.revision, wanted.subdirectory)

    def _files(self, source: SourcePackage) -> list[TreeFile]:
        files = self.context.files if self.context else ()
        below = "" if source.path == "." else f"{source.path}/"
        return [one for one in files if one.path.startswith(below)]

    def _copy(self, source: SourcePackage, root: Path) -> Path:
        if self.context is None:
            raise ValueError("a directory needs the build context")
        for file, chunks in self.context.contents(self._files(source)):
            place = root / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            content = b"".join(chunks) if file.kind == "symlink" else None
            if content is not None:
                _link(place, file.path, content)
                continue
            with place.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
            place.chmod(0o755 if file.kind == "executable" else 0o644)
        return root / source.path

    def _archive(self, source: SourcePackage, directory: Path) -> Path:
        filename = posixpath.basename(source.path) or unquote(
            urlsplit(source.url).path.rpartition("/")[2]
        )
        locked = LockedWheel(
            source.name, source.version, filename, source.url, source.sha256, path=source.path
        )
        place = directory / Path(filename).name
        place.symlink_to(self.downloader.fetch(self.downloader.complete(locked)).resolve())
        return place


def _link(place: Path, path: str, content: bytes) -> None:
    """A symbolic link, where it stays inside the tree; one that leaves it is left out."""
    target = content.decode("utf-8", "surrogateescape")
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if not target.startswith("/") and inside.split("/")[0] != "..":
        place.symlink_to(target)


def _unpacked(archive: Path, source: SourcePackage, directory: Path) -> Path:
    """A directory inside an archive; what would land outside is refused by the standard library."""
    root = directory / "tree"
    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(root)  # noqa: S202 - drops what would leave the directory
        else:
            with tarfile.open(archive) as packed_tar:
                packed_tar.extractall(root, filter="data")
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise BuildError(
            f"{source.name}: {archive.name} cannot be unpacked: {error}", hint="name another file"
        ) from None
    tops = [one for one in sorted(root.iterdir()) if one.is_dir()]
    found = [one / source.subdirectory for one in (root, *tops)]
    inside = next((one for one in found if one.is_dir()), None)
    if inside is None or not inside.resolve().is_relative_to(root.resolve()):
        raise BuildError(
            f"{source.name}: no directory {source.subdirectory!r} in {archive.name}",
            hint="correct #subdirectory=",
        )
    return inside
