"""Makes small wheels, well-formed and hostile."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EXECUTABLE = 0o100755
PLAIN = 0o100644
SYMLINK = 0o120777


@dataclass
class WheelMaker:
    """A wheel in the making; `record` replaces lines by path, None leaves a file out."""

    name: str = "demo"
    version: str = "1.0"
    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)
    entry_points: str = ""
    record: dict[str, str | None] = field(default_factory=dict)
    extra: list[tuple[str, bytes]] = field(default_factory=list)
    streamed: bool = False
    requires: tuple[str, ...] = ()

    @property
    def dist_info(self) -> str:
        return f"{self.name}-{self.version}.dist-info"

    def contents(self) -> dict[str, bytes]:
        found = dict(self.files)
        metadata = f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n"
        metadata += "".join(f"Requires-Dist: {one}\n" for one in self.requires)
        found[f"{self.dist_info}/METADATA"] = metadata.encode()
        found[f"{self.dist_info}/WHEEL"] = (
            b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        if self.entry_points:
            found[f"{self.dist_info}/entry_points.txt"] = self.entry_points.encode()
        return found

    def write(self, directory: Path) -> Path:
        path = directory / f"{self.name}-{self.version}-py3-none-any.whl"
        contents = self.contents()
        own = f"{self.dist_info}/RECORD"
        if own not in self.record:
            contents[own] = self._record(contents, own).encode()
        elif (text := self.record[own]) is not None:
            contents[own] = text.encode()
        raw = io.BytesIO()
        # A stream that cannot seek makes zipfile write data descriptors after each member.
        target: _Unseekable | io.BytesIO = _Unseekable(raw) if self.streamed else raw
        with zipfile.ZipFile(target, "w") as archive:  # type: ignore[call-overload]
            for name, data in [*contents.items(), *self.extra]:
                info = zipfile.ZipInfo(name)
                info.compress_type = self.methods.get(name, zipfile.ZIP_DEFLATED)
                info.external_attr = self.modes.get(name, PLAIN) << 16
                archive.writestr(info, data)
        path.write_bytes(raw.getvalue())
        return path

    def _record(self, contents: Mapping[str, bytes], own: str) -> str:
        lines = []
        for name, data in contents.items():
            line = self.record.get(name, f"{hash_of(data)},{len(data)}")
            if line is not None:
                lines.append(f"{_quoted(name)},{line}")
        return "\n".join([*lines, f"{own},,"]) + "\n"


class _Unseekable:
    def __init__(self, raw: io.BytesIO) -> None:
        self._raw = raw

    def write(self, data: bytes) -> int:
        return self._raw.write(data)

    def flush(self) -> None:
        self._raw.flush()


def hash_of(data: bytes, algorithm: str = "sha256") -> str:
    """The hash of these bytes as RECORD spells it."""
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm}=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def rich(directory: Path) -> Path:
    """A wheel that has something of everything a wheel may have."""
    return WheelMaker(
        name="rich_demo",
        version="2.5",
        files={
            "rich_demo/__init__.py": b"VALUE = 1\n\ndef main():\n    print('main', VALUE)\n",
            "rich_demo/big.bin": bytes(range(256)) * 800,
            "rich_demo/empty.py": b"",
            "rich_demo/stored.bin": b"stored" * 3000,
            "rich_demo/tool.sh": b"#!/bin/sh\necho hi\n",
            'rich_demo/na\u00efve, "quoted".txt': b"odd name\n",
            "rich_demo/" + "deep/" * 30 + "module.py": b"DEEP = True\n",
            "rich_demo/__pycache__/__init__.cpython-311.pyc": b"stale",
            "rich_demo-2.5.data/scripts/run-me": b"#!python -E\nprint('script')\n",
            "rich_demo-2.5.data/scripts/shell": b"#!/bin/sh\necho shell\n",
            "rich_demo-2.5.data/data/etc/rich.conf": b"a = 1\n",
            "rich_demo-2.5.data/data/share/rich/large.txt": b"x" * 9000,
            "rich_demo-2.5.data/headers/rich.h": b"#define RICH 1\n",
            "rich_demo-2.5.data/purelib/rich_pure.py": b"PURE = 1\n",
            "rich_demo-2.5.data/platlib/rich_plat.py": b"PLAT = 1\n",
        },
        modes={
            "rich_demo/tool.sh": EXECUTABLE,
            "rich_demo-2.5.data/scripts/run-me": EXECUTABLE,
            "rich_demo-2.5.data/scripts/shell": EXECUTABLE,
        },
        methods={"rich_demo/stored.bin": zipfile.ZIP_STORED},
        entry_points=(
            "[console_scripts]\nrich-demo = rich_demo:main\nrich-extra = rich_demo : main [x]\n"
            "[gui_scripts]\nrich-gui = rich_demo:main\n[other]\nx = y\n"
        ),
    ).write(directory)


def damage(path: Path, before: bytes, after: bytes) -> Path:
    """Replace bytes of a file in place, as a hostile or broken tool would."""
    data = path.read_bytes()
    if before not in data or len(before) != len(after):
        raise AssertionError("nothing to damage")
    path.write_bytes(data.replace(before, after))
    return path


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & {",", '"'} else name


@dataclass(frozen=True)
class Pinned:
    """A wheel as a lock names it, and its file."""

    name: str
    version: str
    sha256: str
    path: Path


def pinned(maker: WheelMaker, directory: Path) -> Pinned:
    return Pinned(maker.name, maker.version, maker.name.ljust(64, "0"), maker.write(directory))
