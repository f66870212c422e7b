"""The archive that a directory's files are recorded as: the same files, the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from launch_action.builders.layers.archive import CONTENT_VERSION, Chunks, Entry
from launch_action.builders.layers.observed import Observed
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.writer import layer_key, write_layer
from launch_action.core.context import Context, TreeFile
from launch_action.core.image import OCI_LAYER_GZIP, Descriptor
from launch_action.core.ports import Content
from launch_action.core.reference import Digest
from launch_action.planning.workplace import Workplace

_MODES = {"file": 0o644, "executable": 0o755, "symlink": 0o777}


def store_archive(code: Context, content: Content, place: Workplace) -> Descriptor:
    """Put all files of a directory into the content as one tar.gz; its descriptor.

    Order, times, owners and modes are ours: only paths, bytes and the execute bit count. What was
    archived before is in the cache. Raises SourceError for a file that changed meanwhile.
    """
    rows = [(file.path, file.kind, file.content) for file in code.files]
    key = layer_key("code archive", CONTENT_VERSION, rows)
    cache = place.cache
    with place.reporter.phase("archive"):
        path, note = cache.find("archives", key), cache.find("archive-notes", key)
        if path is None or note is None:
            path, note = _write(code, place, key)
        digest, _, size = note.read_text("ascii").partition(" ")
        descriptor = Descriptor(OCI_LAYER_GZIP, Digest(digest), int(size))
        found = path
        with place.reporter.transfer("code", descriptor.size) as advance:
            content.put_blob(descriptor, lambda: Observed(found.open("rb"), advance))
    return descriptor


def _write(code: Context, place: Workplace, key: str) -> tuple[Path, Path]:
    cache = place.cache
    total = sum(file.size for file in code.files)
    with (
        cache.write("archives", key) as target,
        target.open("wb") as out,
        place.reporter.transfer("archive", total) as advance,
    ):
        written = write_layer(with_parents(_entries(code, advance)), out)
    with cache.write("archive-notes", key) as target:
        target.write_text(f"{written.digest} {written.size}", "ascii")
    found, note = cache.find("archives", key), cache.find("archive-notes", key)
    if found is None or note is None:
        raise FileNotFoundError(key)  # trimmed at once: the cache's limit is below the archive
    return found, note


def _entries(code: Context, advance: Callable[[int], None]) -> Iterator[Entry]:
    for file, chunks in code.contents(code.files):
        if file.kind == "symlink":
            target = b"".join(chunks).decode("utf-8", "surrogateescape")
            yield Entry(file.path, "symlink", _MODES[file.kind], target=target)
        else:
            yield Entry(file.path, "file", _MODES[file.kind], _content(file, chunks, advance))


def _content(file: TreeFile, chunks: Iterator[bytes], advance: Callable[[int], None]) -> Chunks:
    return Chunks(file.size, lambda: _told(chunks, advance))


def _told(chunks: Iterator[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        advance(len(chunk))
        yield chunk
