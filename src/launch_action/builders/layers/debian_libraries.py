"""The dynamic loader's cache, /etc/ld.so.cache, as a pure function of the shared libraries.

Source of the formats: System V ABI (ELF-64 object file format), and glibc's "new format" of the
cache, `glibc-ld.so.cache1.1` (elf/cache.c and sysdeps/generic/dl-cache.h), without extensions.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence

from launch_action.core.dataclass import dataclass

# FLAG_ELF_LIBC6 with the architecture's bits (dl-cache.h).
_FLAGS = {"amd64": 0x0303, "arm64": 0x0A03}
_MACHINES = {"amd64": 62, "arm64": 183}
_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_HEADER_SIZE, _ENTRY_SIZE = 48, 24
_LIBRARY = re.compile(r"(?:lib[^/]*\.so(?:\.[^/]*)?|ld[^/]*\.so(?:\.[^/]*)?|ld\.so)")
_LOAD, _DYNAMIC = 1, 2
_NULL, _STRING_TABLE, _SONAME = 0, 5, 14
_TRUSTED = ("lib", "usr/lib", "lib64", "usr/lib64")


@dataclass(frozen=True, slots=True)
class Library:
    """A library: what programs ask for, and where it is found (with a leading `/`)."""

    soname: str
    path: str


def is_library(path: str) -> bool:
    """Whether a path is named like a shared library."""
    return _LIBRARY.fullmatch(path.rpartition("/")[2]) is not None


def soname(data: bytes, architecture: str) -> str | None:
    """DT_SONAME of a 64-bit little-endian ELF file of this architecture; None for anything else."""
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        return None
    if struct.unpack_from("<H", data, 18)[0] != _MACHINES[architecture]:
        return None
    try:
        return _soname(data)
    except (struct.error, UnicodeDecodeError):
        return None


def search_directories(files: Mapping[str, bytes], machine: str) -> tuple[str, ...]:
    """The directories of ld.so.conf in order, then the trusted ones; without a leading `/`.

    `files` holds etc/ld.so.conf and etc/ld.so.conf.d/*; `machine` is a multiarch name.
    """
    text = "".join(files[path].decode("utf-8") + "\n" for path in sorted(files) if _conf(path))
    listed = [line.split("#")[0].strip() for line in text.splitlines()]
    found = [line.strip("/") for line in listed if line.startswith("/")]
    return tuple(dict.fromkeys((*found, f"lib/{machine}", f"usr/lib/{machine}", *_TRUSTED)))


def loader_cache(libraries: Iterable[Library], architecture: str) -> bytes:
    """The content of /etc/ld.so.cache. Libraries of one name stay in the given order."""
    # The loader searches by halves, from the largest name to the smallest.
    ordered = sorted(libraries, key=lambda library: _order(library.soname), reverse=True)
    offsets, strings = _strings(ordered, _HEADER_SIZE + _ENTRY_SIZE * len(ordered))
    header = struct.pack(
        "<20sIIB3xI12x", _MAGIC, len(ordered), len(strings), _LITTLE_ENDIAN, 0
    )  # fmt: skip
    flags = _FLAGS[architecture]
    entries = b"".join(
        struct.pack("<iIIIQ", flags, offsets[one.soname], offsets[one.path], 0, 0)
        for one in ordered
    )
    return header + entries + strings


def _strings(libraries: Sequence[Library], start: int) -> tuple[dict[str, int], bytes]:
    offsets: dict[str, int] = {}
    strings = bytearray()
    for text in (text for one in libraries for text in (one.soname, one.path)):
        if text not in offsets:
            offsets[text] = start + len(strings)
            strings += text.encode("utf-8", "surrogateescape") + b"\0"
    return offsets, bytes(strings)


def _order(name: str) -> list[tuple[int, int]]:
    """The order of names in the cache: numbers by their value, and after any other character."""
    runs = re.findall(r"[0-9]+|[^0-9]", name)
    return [(1, int(run)) if run.isdigit() else (0, ord(run)) for run in runs]


def _conf(path: str) -> bool:
    return re.fullmatch(r"etc/ld\.so\.conf(?:\.d/[^/]+\.conf)?", path) is not None


def _soname(data: bytes) -> str | None:
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    loads = [(h[3], h[2], h[5]) for h in headers if h[0] == _LOAD]
    dynamic = next(((h[2], h[5]) for h in headers if h[0] == _DYNAMIC), None)
    if dynamic is None:
        return None
    tags: dict[int, int] = {}
    for at in range(dynamic[0], dynamic[0] + dynamic[1], 16):
        tag, value = struct.unpack_from("<qQ", data, at)
        if tag == _NULL:
            break
        tags[tag] = value
    if _SONAME not in tags or _STRING_TABLE not in tags:
        return None
    table = _file_offset(tags[_STRING_TABLE], loads)
    start = table + tags[_SONAME]
    return data[start : data.index(b"\0", start)].decode() if table >= 0 else None


def _file_offset(address: int, loads: Iterable[tuple[int, int, int]]) -> int:
    for start, offset, size in loads:
        if start <= address < start + size:
            return address - start + offset
    return -1
