"""The distributions that are installed in an image, read from its layers; nothing of it is run.

Source: PyPA "Recording installed projects" (`*.dist-info/METADATA`), setuptools' `*.egg-info`, and
OCI image specification 1.1, layer.md, "Whiteouts".
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from launch_action.builders.layers.tar_stream import ByteStream, members
from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass, field

_METADATA = re.compile(
    r"(?P<prefix>.*?)/?lib(?:64)?/python(?P<python>3(?:\.\d+)?)/(?:site|dist)-packages/"
    r"[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)"
)
_NAME = re.compile(rb"^Name:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_VERSION = re.compile(rb"^Version:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_PYTHON = re.compile(r"3\.\d+")
_HEAD = 64 * 1024
_KIND = "installed"
_FORMAT = "1"


@dataclass(slots=True)
class LayerInstalls:
    """What a layer adds, by the path of its metadata (`name==version`), and what it removes."""

    added: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Installed:
    """An image's distributions as sorted requirement lines, and the Python `X.Y` they are of."""

    lines: tuple[str, ...]
    python: str

    @property
    def frozen(self) -> bytes:
        """The content of requirements.frozen.txt."""
        return "".join(f"{line}\n" for line in self.lines).encode()


def read_layer(chunks: Iterable[bytes]) -> LayerInstalls:
    """Read an uncompressed layer. Raises BuildError when it is no tar."""
    found = LayerInstalls()
    for member in members(ByteStream(iter(chunks))):
        path = posixpath.normpath(member.name).lstrip("/")
        folder, _, base = path.rpartition("/")
        if base == ".wh..wh..opq":
            found.opaque.append(folder)
        elif base.startswith(".wh."):
            found.removed.append(posixpath.join(folder, base[4:]))
        elif member.type in ("0", "\0") and _METADATA.fullmatch(path):
            line = _line(member.content(_HEAD))
            found.added |= {path: line} if line else {}
    return found


def cached_read(cache: Cache, diff_id: str, opened: Callable[[], Iterator[bytes]]) -> LayerInstalls:
    """What the layer of a diff_id installs: known from an earlier build, or read now."""
    key = f"{_FORMAT}-{diff_id.partition(':')[2]}"
    path = cache.find(_KIND, key)
    try:
        if path is not None:
            return LayerInstalls(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        pass  # trimmed meanwhile, or damaged
    found = read_layer(opened())
    with cache.write(_KIND, key) as place:
        place.write_text(
            json.dumps({"added": found.added, "removed": found.removed, "opaque": found.opaque})
        )
    return found


def installed(layers: Sequence[LayerInstalls], config: Mapping[str, Any]) -> Installed:
    """The distributions of the environment that the image's PATH finds first; else of every one.

    `config` is the image's whole config document.
    """
    paths: dict[str, str] = {}
    for layer in layers:
        gone = (*layer.removed, *(f"{folder}/*" for folder in layer.opaque))
        paths = {p: line for p, line in paths.items() if not _covered(p, gone)}
        paths |= layer.added
    environment = _environment(config)
    chosen = _first_found(paths, environment.get("PATH", "")) or paths
    return Installed(
        tuple(sorted(set(chosen.values()), key=str.lower)), _python(chosen, environment)
    )


def _line(metadata: bytes) -> str:
    head = metadata.partition(b"\n\n")[0]
    name, version = _NAME.search(head), _VERSION.search(head)
    if not name or not version:
        return ""
    return f"{name[1].decode('utf-8', 'replace')}=={version[1].decode('utf-8', 'replace')}"


def _covered(path: str, gone: Iterable[str]) -> bool:
    """Whether a removal takes a path away: the path itself, or something above it."""
    return any(
        path == place or path.startswith(f"{place.removesuffix('/*')}/") for place in gone if place
    )


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    inner = config.get("config") or {}
    pairs = (str(item).partition("=") for item in inner.get("Env") or ())
    return {name: value for name, _, value in pairs}


def _first_found(paths: Mapping[str, str], search: str) -> dict[str, str]:
    for folder in search.split(":"):
        if posixpath.basename(folder) != "bin":
            continue
        prefix = posixpath.dirname(folder).strip("/")
        found = {p: line for p, line in paths.items() if _prefix(p) == prefix}
        if found:
            return found
    return {}


def _prefix(path: str) -> str:
    found = _METADATA.fullmatch(path)
    return found["prefix"].strip("/") if found else ""


def _python(paths: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """The Python `X.Y`: what official images say, else what the packages' directory is named."""
    said = _PYTHON.match(environment.get("PYTHON_VERSION", ""))
    if said:
        return said[0]
    named = {m["python"] for p in paths if (m := _METADATA.fullmatch(p)) and "." in m["python"]}
    return named.pop() if len(named) == 1 else ""
