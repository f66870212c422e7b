"""Installs a wheel: on paper, as the entries of a layer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.record import Row
from launch_action.builders.layers.scheme import ABOUT, Placed, Scheme, distribution_entries
from launch_action.builders.layers.scripts import commands, is_placeholder, rewrite
from launch_action.builders.layers.wheel import Member, Wheel, read_text
from launch_action.builders.layers.zips import Zips


def wheel_entries(wheel: Wheel, scheme: Scheme) -> list[Entry]:
    """The files of an installed wheel, sorted by path, without the directories above them.

    What differs from what `pip` and `uv` leave: INSTALLER names us, there is no REQUESTED and no
    bytecode, and RECORD is sorted, with the hash and size of every file. A file that the wheel's
    RECORD leaves out is installed and listed, as `pip` and `uv` install it. Raises BuildError for
    content that is not what RECORD says (the rest is checked when the layer is written), and for
    two files with one place.
    """
    with Zips() as zips:
        placed = {file.path: file for file in _scripts(wheel, scheme)}
        made = frozenset(placed)
        for member in wheel.members:
            path, is_script = _place(wheel, member.name, scheme)
            if not path or path in made:
                continue  # a script made of an entry point stands in for one that is shipped
            if path in placed:
                raise wheel.fail(f"{member.name!r} has the place of another file of it")
            placed[path] = _placed(wheel, member, path, is_script, scheme, zips)
    return distribution_entries(placed.values(), dist_info=wheel.dist_info, scheme=scheme)


def _scripts(wheel: Wheel, scheme: Scheme) -> Iterator[Placed]:
    for script in commands(wheel.scripts, distribution=wheel.name, python=scheme.python):
        content = script.content(scheme.interpreter)
        yield Placed.of(f"{scheme.scripts}/{script.name}", 0o755, content)


def _place(wheel: Wheel, name: str, scheme: Scheme) -> tuple[str, bool]:
    """The path of a member (empty: it is not installed), and whether it is a script."""
    top, _, rest = name.partition("/")
    if top == wheel.dist_info and rest in ABOUT:
        return "", False
    if "__pycache__/" in name and "__pycache__" in name.split("/")[:-1]:
        return "", False
    if top != wheel.data:
        return f"{scheme.site_packages}/{name}", False
    kind, _, inside = rest.partition("/")
    directory = scheme.directory(kind, wheel.name)
    if not directory or not inside:
        raise wheel.fail(f"{name!r} is not in a directory that wheels may have")
    path = scheme.below(inside) if kind == "data" else f"{directory}/{inside}"
    return path, kind == "scripts"


def _placed(
    wheel: Wheel, member: Member, path: str, is_script: bool, scheme: Scheme, zips: Zips
) -> Placed:
    mode = 0o755 if is_script or member.executable else 0o644
    # A program that is no text goes in as it is, like any file: it may be large (ruff, uv).
    if is_script and is_placeholder(_beginning(member.content, zips)):
        script = read_text(member.content, zips)
        _check(wheel, member.name, script)
        return Placed.of(path, mode, rewrite(script, scheme.interpreter))
    row = wheel.record.get(member.name)
    if row and (member.content.sha256 if isinstance(member.content, Spliced) else row.sha256):
        size = _size(member.content)
        if row.size is None:
            row = Row(row.hash, size)
        if row.size != size:
            raise wheel.fail(f"{member.name!r} does not have the {row.size} bytes of RECORD")
        return Placed(path, mode, member.content, row)
    return Placed(path, mode, member.content, _hashed(wheel, member, zips))


def _hashed(wheel: Wheel, member: Member, zips: Zips) -> Row:
    """The line of a file that has none, or one with another algorithm than SHA-256."""
    row = wheel.record.get(member.name)
    algorithm, _, expected = row.hash.partition("=") if row else ("", "", "")
    digests = [hashlib.sha256()]
    if algorithm:
        digests.append(_other(wheel, member.name, algorithm))
    for data in _chunks(member.content, zips):
        for digest in digests:
            digest.update(data)
    if algorithm and Row.encode(digests[1].digest()) != expected:
        raise wheel.fail(f"{member.name!r} is not what RECORD says")
    return Row.hashed(digests[0].digest(), _size(member.content))


def _check(wheel: Wheel, name: str, content: bytes) -> None:
    row = wheel.record.get(name)
    algorithm, _, expected = row.hash.partition("=") if row else ("", "", "")
    if algorithm:
        digest = _other(wheel, name, algorithm)
        digest.update(content)
        if Row.encode(digest.digest()) != expected:
            raise wheel.fail(f"{name!r} is not what RECORD says")


def _other(wheel: Wheel, name: str, algorithm: str) -> hashlib._Hash:
    # The specification asks for sha256 or better; what is weaker proves nothing.
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise wheel.fail(f"RECORD has {algorithm!r} for {name!r}, which is no hash to rely on")
    return hashlib.new(algorithm)


def _chunks(content: bytes | Spliced | Chunks, zips: Zips) -> Iterator[bytes]:
    if isinstance(content, bytes):
        return iter((content,))
    return content.open() if isinstance(content, Chunks) else zips.content(content)


def _beginning(content: bytes | Spliced | Chunks, zips: Zips) -> bytes:
    return next(_chunks(content, zips), b"")


def _size(content: bytes | Spliced | Chunks) -> int:
    return len(content) if isinstance(content, bytes) else content.size
