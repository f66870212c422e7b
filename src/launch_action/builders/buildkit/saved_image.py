"""An image as the engine saves it: its config, and its layers as plain tars on the disk.

Source of the format: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset
Format". Engines from 25 on name files by digest, older ones by ids of their own, with links for
layers that come twice; `manifest.json` says which file is what in both.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from pathlib import Path

from launch_action.builders.layers.tar_stream import ByteStream, Member, members
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError, InputError
from launch_action.core.image import parse_object
from launch_action.core.reference import Digest

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SavedImage:
    """The config's bytes, and for each layer, lowest first, its diff_id and the file of its tar."""

    config: bytes
    layers: tuple[tuple[Digest, Path], ...]


def read_saved_image(archive: Iterable[bytes], folder: Path) -> SavedImage:
    """Unpack what `docker save` of one image gives into `folder`. Raises BuildError."""
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    for number, member in enumerate(members(ByteStream(iter(archive)))):
        name = posixpath.normpath(member.name)
        if member.type in ("1", "2"):
            above = posixpath.dirname(name) if member.type == "2" else ""
            links[name] = posixpath.normpath(posixpath.join(above, member.target))
        elif member.type in ("0", "\0"):
            files[name] = folder / str(number)
            _spool(member, files[name])
    try:
        return _assembled(files, links)
    except (KeyError, IndexError, TypeError, ValueError, InputError) as error:
        raise BuildError(
            f"the engine saved an image that cannot be read: {error!r}",
            hint="update the Docker engine, or install docker-buildx",
        ) from error


def _spool(member: Member, place: Path) -> None:
    with place.open("xb") as out:
        while data := member.content(_CHUNK):
            out.write(data)


def _assembled(files: dict[str, Path], links: dict[str, str]) -> SavedImage:
    (described,) = json.loads(files["manifest.json"].read_bytes())
    config = files[posixpath.normpath(described["Config"])].read_bytes()
    named = [posixpath.normpath(name) for name in described["Layers"]]
    diff_ids = parse_object(config, "the image's config")["rootfs"]["diff_ids"]
    layers = tuple(
        (Digest(str(diff_id)), files[links.get(name, name)])
        for diff_id, name in zip(diff_ids, named, strict=True)
    )
    return SavedImage(config, layers)
