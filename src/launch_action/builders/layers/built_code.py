"""Whether compiled code that was built here runs on the target: its machine, C library, and needs.

Source of the formats: System V ABI (ELF-64, "Dynamic Section"), LSB "Symbol Versioning".
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from launch_action.builders.layers.target import Target
from launch_action.core.dataclass import dataclass

_MACHINES = {"amd64": ("x86_64", 62), "arm64": ("aarch64", 183)}
_GLIBC = re.compile(rb"\0GLIBC_2\.(\d+)(?:\.\d+)*(?=\0)")
_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRING_TABLE, _STRING_SIZE = 0, 1, 5, 10
# What every image with CPython has, besides the parts of the C library itself.
_COMMON = re.compile(
    r"(?:lib(?:c|m|dl|pthread|rt|util|resolv|gcc_s|stdc\+\+)\.so\.\d+|ld-linux-.*|libc\.musl-.*)"
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the compiled code of a wheel asks of the system.

    `glibc` is the highest minor version of `2.x`, 0 for none; `libraries` those that neither the
    wheel nor every image has.
    """

    machines: frozenset[int]
    glibc: int
    libraries: tuple[str, ...]


def builds_for(target: Target) -> bool:
    """Whether what a compiler makes here is for the target's architecture and kind of C library."""
    known = _MACHINES.get(target.platform.architecture)
    return known is not None and known[0] == os.uname().machine and target.libc == machine_libc()


def machine_libc() -> str:
    """The C library of this machine: `glibc`, or `musl` for what is not."""
    try:
        return "glibc" if os.confstr("CS_GNU_LIBC_VERSION") else "musl"
    except (ValueError, OSError):
        return "musl"


def code_needs(wheel: Path) -> Needs:
    """What the shared objects of a wheel need."""
    machines, glibc, needed, own = set(), 0, set(), set()
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            base = info.filename.rpartition("/")[2]
            if ".so" not in base and base.rpartition(".")[1]:
                continue
            with archive.open(info) as member:
                if member.read(4) != b"\x7fELF":
                    continue
            data = archive.read(info)
            own.add(base)
            machines.add(_machine(data))
            glibc = max([glibc, *(int(found) for found in _GLIBC.findall(data))])
            needed |= set(_needed(data))
    missing = (name for name in needed - own if not _COMMON.fullmatch(name))
    return Needs(frozenset(machines), glibc, tuple(sorted(missing)))


def unfit(needs: Needs, target: Target) -> str:
    """Why code with these needs does not run on the target; empty when it does."""
    machine = _MACHINES[target.platform.architecture][1]
    if needs.machines - {machine}:
        return f"its code is not for {target.platform}"
    if target.libc == "glibc" and needs.glibc > int(target.libc_version.split(".")[1]):
        return f"its code needs glibc 2.{needs.glibc}, the base has {target.libc_version}"
    return ""


def _machine(data: bytes) -> int:
    return int(struct.unpack_from("<H", data, 18)[0]) if len(data) > 20 else 0


def _needed(data: bytes) -> Iterator[str]:
    """DT_NEEDED of a 64-bit little-endian ELF file; nothing for one that is damaged."""
    if data[:6] != b"\x7fELF\x02\x01":
        return
    try:
        entries = list(_dynamic(data))
        table = _offset(data, next(value for tag, value in entries if tag == _STRING_TABLE))
        for tag, value in entries:
            if tag == _NEEDED:
                end = data.index(b"\0", table + value)
                yield data[table + value : end].decode("utf-8", "replace")
    except (struct.error, StopIteration, ValueError):
        return


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset, address and size of every program header."""
    start: int = struct.unpack_from("<Q", data, 32)[0]
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from(
            "<IIQQQQ", data, start + number * size
        )
        yield kind, offset, address, length


def _dynamic(data: bytes) -> Iterator[tuple[int, int]]:
    for kind, offset, _, length in _segments(data):
        for at in range(offset, offset + length, 16) if kind == _DYNAMIC else ():
            tag, value = struct.unpack_from("<qQ", data, at)
            if tag == _NULL:
                return
            yield tag, value


def _offset(data: bytes, address: int) -> int:
    for kind, offset, start, length in _segments(data):
        if kind == _LOAD and start <= address < start + length:
            return offset + address - start
    raise ValueError(address)
