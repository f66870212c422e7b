"""What makes a directory an OCI image layout: the `oci-layout` marker, and `index.json` with tags.

Source of the format: OCI image specification 1.1, image-layout.md; a tag is the annotation
`org.opencontainers.image.ref.name` of an entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError, StoreError
from launch_action.core.image import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    canonical,
)
from launch_action.core.reference import Digest, Tag
from launch_action.oci.blobs import write
from launch_action.oci.collect import BLOBS
from launch_action.oci.directory import STATE, Directory

REF_NAME = "org.opencontainers.image.ref.name"
_MARKER = "oci-layout"
_INDEX = "index.json"
_VERSION = "1.0.0"
_MARKER_LIMIT = 1024 * 1024
_INDEX_LIMIT = 64 * 1024 * 1024
# What an empty directory may hold: our own state, and what a fresh ext4 volume has.
_EMPTY = {STATE, "lost+found"}

Entries = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What some bytes of index.json say; `named`: the entries that have a name, by name."""

    data: bytes
    document: Mapping[str, Any]
    entries: Entries
    named: Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class LayoutIndex:
    """The entries of a layout, read anew each time; parsing is kept while the bytes are the same.

    Methods raise OSError of the directory, and StoreError when it is no layout of ours to know.
    """

    files: Directory
    _parsed: _Parsed = field(default_factory=lambda: _Parsed(b"", {}, (), {}))

    def exists(self) -> bool:
        """Whether the layout is there; False when the directory is absent or empty."""
        data = self.files.read(_MARKER, _MARKER_LIMIT)
        if data is None and set(self.files.names()) - _EMPTY:
            # Another writer may have made the layout between the two looks.
            data = self.files.read(_MARKER, _MARKER_LIMIT)
            if data is None:
                raise self._no_layout()
        if data is not None:
            self._check_version(data)
        return data is not None

    def _no_layout(self) -> StoreError:
        return StoreError(
            f"not an OCI image layout: {str(self.files.root)!r} has no {_MARKER!r} file",
            hint="name an empty or a new directory, or one that an OCI tool wrote",
        )

    def make(self) -> None:
        """Make the layout where there is none."""
        if self.exists():
            return
        with self.files.lock():
            if not self.exists():
                self._write(_MARKER, {"imageLayoutVersion": _VERSION})
                self._write(_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})

    def entries(self) -> Entries:
        """The entries in their order; none where there is no layout."""
        return self._read().entries

    def find(self, name: str) -> Mapping[str, Any] | None:
        """The entry of this name."""
        return self._read().named.get(name)

    def names(self) -> tuple[str, ...]:
        """The names of entries, sorted; not every tool's name is a tag."""
        return tuple(sorted(self._read().named))

    def point(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Give names to other entries, in the place of the old ones. The lock must be held."""
        missing = dict(entries)
        changed = []
        for entry in self.entries():
            name = ref_name(entry)
            if name not in entries:
                changed.append(entry)
            elif name in missing:
                changed.append(missing.pop(name))
        self._rewrite([*changed, *missing.values()])

    def remove(self, condemned: Callable[[Mapping[str, Any]], bool]) -> None:
        """Remove entries. The directory's lock must be held."""
        self._rewrite([entry for entry in self.entries() if not condemned(entry)])

    def _rewrite(self, entries: list[Mapping[str, Any]]) -> None:
        """Replace the entries, other keys kept."""
        found = self._read()
        if tuple(entries) == found.entries:
            return
        # What the entries name must be durable before they are.
        self.files.sync(BLOBS)
        head = {"schemaVersion": 2, "mediaType": OCI_INDEX}
        self._write(_INDEX, {**head, **found.document, "manifests": entries})
        self.files.sync()

    def _read(self) -> _Parsed:
        data = self.files.read(_INDEX, _INDEX_LIMIT)
        if data is None:  # a writer was killed between the two files of a new layout
            return _Parsed(b"", {}, (), {})
        parsed = self._parsed
        if data != parsed.data:
            document = _object(data, self.files.root / _INDEX)
            entries = _entries(document, self.files.root / _INDEX)
            named = {name: entry for entry in reversed(entries) if (name := ref_name(entry))}
            self._parsed = parsed = _Parsed(data, document, entries, named)
        return parsed

    def _write(self, path: str, document: Mapping[str, Any]) -> None:
        data = canonical(document)
        self.files.write(path, lambda file: write(file, data))

    def _check_version(self, data: bytes) -> None:
        version = _object(data, self.files.root / _MARKER).get("imageLayoutVersion")
        if version != _VERSION:
            raise StoreError(
                f"unknown version {version!r} of an OCI image layout: {str(self.files.root)!r}",
                hint=f"this program knows version {_VERSION}; update it, or use another directory",
            )


def entry_for(descriptor: Descriptor, tag: Tag) -> Mapping[str, Any]:
    """The entry that makes a manifest the one of this tag."""
    plain = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
    return plain.annotated({REF_NAME: tag}).document()


def entry_digest(entry: Mapping[str, Any]) -> Digest:
    """What an entry names. Raises StoreError when that is no sha256 digest."""
    try:
        return Digest(str(entry.get("digest")))
    except InputError as error:
        raise StoreError(
            f"an entry of a layout's {_INDEX} has no sha256 digest: {entry.get('digest')!r}",
            hint="only sha256 is known to this program; use another directory",
        ) from error


def ref_name(entry: Mapping[str, Any]) -> str:
    """The name of an entry, empty when it has none."""
    annotations = entry.get("annotations")
    return str(annotations.get(REF_NAME) or "") if isinstance(annotations, dict) else ""


def manifest_type(data: bytes) -> str | None:
    """The media type that a manifest says or shows; None when the bytes are no manifest."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    said = found.get("mediaType")
    if said is not None:
        return said if said in (*INDEX_TYPES, *MANIFEST_TYPES) else None
    if isinstance(found.get("manifests"), list):
        return OCI_INDEX
    return OCI_MANIFEST if isinstance(found.get("layers"), list) else None


def _object(data: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StoreError(
            f"not a JSON object: {str(path)!r} begins with {data[:40]!r}",
            hint="restore that file, or use another directory",
        )
    return found


def _entries(found: Mapping[str, Any], path: Path) -> Entries:
    entries = found.get("manifests")
    if entries is None:  # how Go writes an empty list
        return ()
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StoreError(
            f"no list of manifests in {str(path)!r}",
            hint="restore that file, or use another directory",
        )
    return tuple(entries)
