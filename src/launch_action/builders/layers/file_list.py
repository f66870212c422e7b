"""Interpreters and C library of an image, found in the files of its layers.

Layers are streamed once, a few at a time, and nothing of them is kept but a list of the files that
matter. Source of whiteouts: OCI image specification 1.1, layer.md.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from launch_action.builders.layers.base_findings import (
    DEFAULT_GLIBC,
    DEFAULT_MUSL,
    Findings,
    Libc,
)
from launch_action.builders.layers.tar_stream import (
    ByteStream,
    Member,
    decompress_zstd,
    inflate,
    members,
)
from launch_action.core.base import PythonFacts
from launch_action.core.dataclass import dataclass, field
from launch_action.core.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Layer
from launch_action.core.ports import Content, Reporter

_PYTHON = re.compile(r"(?:.*/)?bin/python(?:3(?:\.\d+)?)?")
_MINOR = re.compile(r"python(3\.\d+)")
_LIBRARY = re.compile(r"(.*/)?lib(?:64)?/python(3\.\d+)/os\.pyc?")
_PATCH_LEVEL = re.compile(r"(?:.*/)?include/python(3\.\d+)/patchlevel\.h")
_GLIBC = re.compile(r"(?:.*/)?(?:libc\.so\.6|libc-(2\.\d+)\.so|ld-linux[^/]*\.so\.\d+)")
_MUSL = re.compile(r"(?:.*/)?ld-musl-[^/]*\.so\.1")
_WANTED = re.compile(
    "|".join(pattern.pattern for pattern in (_PYTHON, _LIBRARY, _PATCH_LEVEL, _GLIBC, _MUSL))
)
_GLIBC_SAYS = re.compile(rb"GNU C Library [^\n]{0,80}?release version (2\.\d+)")
# musl is its own loader; it keeps its version as a string of its own.
_MUSL_SAYS = re.compile(rb"\0(1\.\d{1,2})\.\d{1,2}\0")
_PATCH_SAYS = re.compile(rb'#define\s+PY_VERSION\s+"([0-9.]+)')
_CONTENT = 8 * 1024 * 1024
_MAX_LINKS = 40
# Inflating and reading headers of several layers overlaps with the network.
_THREADS = 3


@dataclass(frozen=True, slots=True)
class _File:
    """A file that matters; `version` is what its content says."""

    executable: bool
    target: str = ""
    version: str = ""


@dataclass(slots=True)
class _LayerFiles:
    """What one layer adds and removes."""

    files: dict[str, _File] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)


def read_findings(
    origin: Content, layers: Sequence[Layer], *, name: str, reporter: Reporter
) -> Findings:
    """Stream the layers, lowest first, and judge what is in them.

    Raises BuildError for a layer that cannot be read, RegistryError or StoreError of `origin`.
    """
    total = sum(layer.descriptor.size for layer in layers)
    with (
        reporter.transfer(f"reading {name}", total) as advance,
        ThreadPoolExecutor(_THREADS, thread_name_prefix="base") as pool,
    ):
        tree = _Tree()
        for found in pool.map(lambda layer: _read_layer(origin, layer, advance), layers):
            tree.apply(found)
    return Findings(tuple(tree.pythons()), tree.libc())


def _read_layer(origin: Content, layer: Layer, advance: Callable[[int], None]) -> _LayerFiles:
    found = _LayerFiles()
    with origin.open_blob(layer.descriptor) as chunks:
        counted = _counted(chunks, advance)
        stream = ByteStream(_decompressed(layer.descriptor.media_type, counted))
        for member in members(stream):
            _note(found, member)
        # The blob's digest is checked at its end: nothing is believed before.
        stream.drain()
    return found


def _decompressed(media_type: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if media_type == OCI_LAYER_GZIP:
        return inflate(chunks)
    return decompress_zstd(chunks) if media_type == OCI_LAYER_ZSTD else chunks


def _counted(chunks: Iterator[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        advance(len(chunk))
        yield chunk


def _note(found: _LayerFiles, member: Member) -> None:
    path = posixpath.normpath(member.name).lstrip("/")
    folder, _, base = path.rpartition("/")
    if path.startswith("../"):
        return
    if base.startswith(".wh."):
        if base == ".wh..wh..opq":
            found.opaque.add(folder)
        else:
            found.removed.add(posixpath.join(folder, base[4:]))
    elif member.type == "5":
        found.directories.add(path)
    elif member.type == "2":
        found.links[path] = member.target
        found.files.pop(path, None)
    elif _WANTED.fullmatch(path):
        target = posixpath.normpath(member.target).lstrip("/") if member.type == "1" else ""
        found.files[path] = _File(bool(member.mode & 0o111), target, _says(path, member))


def _says(path: str, member: Member) -> str:
    """The version that a file's content tells, where it is known to tell one."""
    named = _GLIBC.fullmatch(path)
    if named and named[1]:
        return named[1]
    pattern = _GLIBC_SAYS if path.endswith("/libc.so.6") else None
    pattern = _MUSL_SAYS if _MUSL.fullmatch(path) else pattern
    pattern = _PATCH_SAYS if _PATCH_LEVEL.fullmatch(path) else pattern
    says = pattern and pattern.search(member.content(_CONTENT))
    return says[1].decode() if says else ""


@dataclass(slots=True)
class _Tree:
    """The files that matter of the layers applied so far."""

    files: dict[str, _File] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def apply(self, layer: _LayerFiles) -> None:
        """Put a layer over these: its removals first, they concern only what lies below."""
        gone = layer.removed | layer.files.keys() | layer.links.keys()
        self._keep(lambda path: not _below(path, gone) and not _inside(path, layer.opaque))
        # A directory takes the place of a link, but not of what is in it.
        self.links = {p: t for p, t in self.links.items() if p not in layer.directories}
        self.files |= layer.files
        self.links |= layer.links

    def pythons(self) -> Iterator[PythonFacts]:
        """Every interpreter by its real path (a virtual environment's is the one behind it)."""
        libraries = {
            (self.real(m[1] or "").strip("/"), m[2])
            for path in self.files
            if (m := _LIBRARY.fullmatch(path))
        }
        seen = set()
        for path in sorted(p for p in (*self.files, *self.links) if _PYTHON.fullmatch(p)):
            real = self.real(path)
            file = self.files.get(real)
            if file is None or real in seen or not (file.executable or file.target):
                continue
            seen.add(real)
            minor = _minor(path, real, libraries)
            if minor:
                yield PythonFacts(self._patch(minor, real), f"/{real}")

    def libc(self) -> Libc | None:
        """glibc where its library is, although a loader of musl may be there too."""
        real = [path for path in self.files if _GLIBC.fullmatch(path)]
        versions = [self.files[p].version for p in real if self.files[p].version]
        musl = [path for path in (*self.files, *self.links) if _MUSL.fullmatch(path)]
        if musl and not versions:
            says = [self.files[p].version for p in musl if p in self.files]
            return Libc("musl", min(filter(None, says), key=_numbers, default=DEFAULT_MUSL))
        if not real:
            return None
        return Libc("glibc", min(versions, key=_numbers, default=DEFAULT_GLIBC))

    def real(self, path: str) -> str:
        """The path without symbolic links, confined to the image; itself where links loop."""
        done: list[str] = []
        todo = path.split("/")[::-1]
        for _ in range(_MAX_LINKS * 8):
            if not todo:
                return "/".join(done)
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            target = self.links.get("/".join((*done, part)))
            if target is None:
                done.append(part)
                continue
            if target.startswith("/"):
                done.clear()
            todo.extend(target.split("/")[::-1])
        return path

    def _patch(self, minor: str, real: str) -> str:
        prefix = real.rpartition("bin/")[0]
        header = self.files.get(f"{prefix}include/python{minor}/patchlevel.h")
        return header.version if header and header.version.startswith(f"{minor}.") else minor

    def _keep(self, stays: Callable[[str], bool]) -> None:
        self.files = {path: file for path, file in self.files.items() if stays(path)}
        self.links = {path: target for path, target in self.links.items() if stays(path)}


def _minor(path: str, real: str, libraries: set[tuple[str, str]]) -> str:
    """X.Y of an interpreter: by its name, else by the only library beside it."""
    named = _MINOR.search(real.rpartition("/")[2]) or _MINOR.search(path.rpartition("/")[2])
    if named:
        return named[1]
    prefix = real.rpartition("bin/")[0].strip("/")
    beside = {minor for where, minor in libraries if where == prefix}
    return beside.pop() if len(beside) == 1 else ""


def _below(path: str, places: set[str]) -> bool:
    """Whether the path is one of the places, or lies in one."""
    while path:
        if path in places:
            return True
        path = path.rpartition("/")[0]
    return False


def _inside(path: str, folders: set[str]) -> bool:
    return bool(folders) and ("" in folders or _below(path.rpartition("/")[0], folders))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
