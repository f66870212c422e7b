"""What goes into a layer: entries of a tar archive, before they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from launch_action.core.dataclass import dataclass

EntryKind = Literal["file", "directory", "symlink", "hardlink"]

# What layers and configs hold, in which form: raised with any change of it, so that no layer and no
# image made before is taken for what would be made now.
CONTENT_VERSION = 3

# Modification time of every entry we write: 1980-01-01T00:00:00Z, the oldest that zip can hold.
# 1970 breaks zip, the commit's time would change the layer of unchanged files.
MTIME = 315532800


@dataclass(frozen=True, slots=True)
class Spliced:
    """A member of a zip file: its raw deflate bytes become a gzip member as they are.

    `offset` is where the compressed bytes begin; sizes in bytes, all from the central directory.
    `sha256` is what the content must hash to (64 hexadecimal digits), empty when nobody says;
    `name` is for messages.
    """

    zip_path: Path
    offset: int
    compressed_size: int
    size: int
    crc32: int
    sha256: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chunks:
    """Content that is read when it is written: its exact size, and what opens it."""

    size: int
    open: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer.

    `path` is relative to the image's root, normalised, without a leading `/`; bytes that are not
    UTF-8 are kept by surrogateescape. `target` is a link's target.
    """

    path: str
    kind: EntryKind
    mode: int
    content: bytes | Spliced | Chunks = b""
    uid: int = 0
    gid: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class LayerRecipe:
    """A layer that can be made: its key decides its bytes, so a known key needs no making.

    `key` is 64 hexadecimal digits: format version, codec version and everything `entries` uses.
    `role` is base, dependency, bytecode or code; `title` is for people (`numpy 1.26.4`).
    """

    key: str
    role: Literal["base", "dependency", "bytecode", "code"]
    title: str
    entries: Callable[[], Iterator[Entry]]
