"""Layers as they are written: one gzip file, two digests, readable by every tool."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.layers import checked_tar, layer_of, members
from support.wheels import damage, rich

from launch_action.builders.layers import gzip, writer
from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.codec import RUN, codec_of
from launch_action.builders.layers.install import wheel_entries
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.wheel import read_wheel
from launch_action.builders.layers.writer import SPLICE_MIN, layer_key, write_layer
from launch_action.builders.layers.zstd import MAGIC
from launch_action.core.compression import Compression
from launch_action.core.errors import BuildError
from launch_action.core.image import OCI_LAYER_ZSTD

SCHEME = Scheme("/opt/venv", "3.11")


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def spliced(tmp_path: Path, data: bytes, **change: object) -> Spliced:
    """A stretch of a file that is a raw deflate stream."""
    raw = raw_deflate(data)
    file = tmp_path / "some.zip"
    file.write_bytes(b"before" + raw + b"after")
    values = {
        "offset": 6,
        "compressed_size": len(raw),
        "size": len(data),
        "crc32": zlib.crc32(data),
    }
    return Spliced(file, **(values | change))  # type: ignore[arg-type]


def entry(content: bytes | Spliced | Chunks, path: str = "f") -> Entry:
    return Entry(path, "file", 0o644, content)


def test_an_empty_layer_is_an_empty_archive() -> None:
    assert checked_tar(*layer_of(())) == bytes(1024)


def test_a_spliced_file_is_in_the_layer_as_it_was_in_the_zip(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(10) * 1000
    content = spliced(tmp_path, data)
    layer, written = layer_of([entry(b"a" * 9, "a"), entry(content, "b"), entry(b"c", "c")])
    assert gzip.HEADER + raw_deflate(data) + gzip.trailer(zlib.crc32(data), 10_000) in layer
    tar = checked_tar(layer, written)
    assert [found.name for found in members(tar)] == ["a", "b", "c"]
    assert data in tar


@pytest.mark.parametrize("size", [0, 1, SPLICE_MIN - 1, SPLICE_MIN, 3 * RUN + 7])
def test_spliced_plain_and_chunked_content_give_one_tar(tmp_path: Path, size: int) -> None:
    data = random.Random(2).randbytes(size // 2) * 2 + b"x" * (size % 2)

    def chunks() -> Iterator[bytes]:
        yield from (data[at : at + 1000] for at in range(0, len(data), 1000))

    tars = {
        checked_tar(*layer_of([entry(content), entry(b"end", "g")]))
        for content in (data, Chunks(size, chunks), spliced(tmp_path, data))
    }
    assert len(tars) == 1


def test_how_content_arrives_does_not_change_the_bytes() -> None:
    data = random.Random(3).randbytes(RUN + 5) + bytes(RUN)
    layers = set()
    for step in (1, 511, 4096, len(data)):
        pieces = [data[at : at + step] for at in range(0, len(data), step)] if step > 1 else [data]
        layers.add(layer_of([entry(Chunks(len(data), lambda pieces=pieces: iter(pieces)))])[0])  # type: ignore[misc]
    assert len(layers) == 1


@pytest.mark.parametrize("size", [100, SPLICE_MIN, 3 << 20])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crc32": 1}, "CRC-32"),
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"size": -1}, "size|bytes"),
        ({"size": 1}, "size|bytes"),
        ({"compressed_size": -1}, "size|damaged"),
        ({"compressed_size": 1}, "size|damaged"),
        ({"offset": 7}, "damaged"),
        ({"offset": 10**9}, "ends at byte"),
    ],
)
def test_a_spliced_file_that_is_not_what_it_says_is_refused(
    tmp_path: Path, size: int, change: dict[str, int | str], message: str
) -> None:
    data = random.Random(4).randbytes(size)
    good = spliced(tmp_path, data)
    for field, value in change.items():
        if field in ("size", "compressed_size") and isinstance(value, int):
            change = {field: getattr(good, field) + value}
    with pytest.raises(BuildError, match=message):
        layer_of([entry(spliced(tmp_path, data, **change))])


def test_a_bomb_is_given_up_at_the_size_it_promised(tmp_path: Path) -> None:
    bomb = spliced(tmp_path, bytes(1 << 27), size=SPLICE_MIN)

    out = io.BytesIO()
    with pytest.raises(BuildError, match="do not agree"):
        write_layer([entry(bomb)], out)
    assert len(out.getvalue()) < 1 << 20


@pytest.mark.parametrize("actual", [9, 11])
def test_a_file_that_changed_its_size_is_refused(actual: int) -> None:
    with pytest.raises(BuildError, match="changed while it was read"):
        layer_of([entry(Chunks(10, lambda: iter([b"x" * actual])))])


def test_a_member_of_4_gib_is_not_spliced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"x" * 20_000
    monkeypatch.setattr(writer, "MAX_MEMBER", 20_000)
    layer, written = layer_of([entry(spliced(tmp_path, data))])
    assert raw_deflate(data) not in layer
    assert data in checked_tar(layer, written)


def test_a_layer_of_zstd_holds_what_one_of_gzip_holds(tmp_path: Path) -> None:
    """Compressed anew, in frames that several threads make, and put together in order."""
    data = random.Random(5).randbytes(7 << 20)
    entries = [entry(b"a" * 9, "a"), entry(spliced(tmp_path, data), "b"), entry(data[:9999], "c")]
    codec = codec_of(Compression("zstd", 1))
    layer, written = layer_of(entries, codec)

    assert written.media_type == OCI_LAYER_ZSTD
    assert layer.count(MAGIC) == 2
    assert checked_tar(layer, written) == checked_tar(*layer_of(entries))
    assert {layer_of(entries, codec)[0] for _ in range(5)} == {layer}


@pytest.mark.parametrize("processors", [1, 5])
def test_a_layer_does_not_depend_on_how_many_compress(
    monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    codec = replace(codec_of(Compression("zstd", 3)), run=1000)
    entries = [entry(random.Random(6).randbytes(300_000).hex().encode())]
    expected = layer_of(entries, codec)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(processors))

    assert layer_of(entries, codec) == expected


@pytest.mark.parametrize("level", range(1, 13))
def test_a_level_of_gzip_is_that_of_what_is_not_spliced(tmp_path: Path, level: int) -> None:
    data = random.Random(7).randbytes(500) * 40
    content = spliced(tmp_path, data)
    entries = [entry(content, "b"), entry(b"text %d\n" * 9000, "c")]
    layer, written = layer_of(entries, codec_of(Compression("gzip", level)))

    assert raw_deflate(data) in layer
    assert checked_tar(layer, written) == checked_tar(*layer_of(entries))


def test_a_file_that_is_damaged_gives_no_layer_of_zstd(tmp_path: Path) -> None:
    content = spliced(tmp_path, random.Random(8).randbytes(5 << 20), crc32=1)
    with pytest.raises(BuildError, match="CRC-32"):
        layer_of([entry(content)], codec_of(Compression("zstd", 1)))


def test_links_and_directories_have_no_content() -> None:
    entries = [
        Entry("d", "directory", 0o750, uid=5, gid=6),
        Entry("d/l", "symlink", 0o777, target="../x"),
        Entry("d/f", "file", 0o4755, b"data"),
        Entry("d/h", "hardlink", 0o644, target="d/f"),
    ]
    found = {m.name: m for m in members(checked_tar(*layer_of(entries)))}
    assert found["d"].isdir()
    assert (found["d"].mode, found["d"].uid, found["d"].gid) == (0o750, 5, 6)
    assert found["d/l"].linkname == "../x"
    assert found["d/f"].mode == 0o4755
    assert found["d/h"].islnk()


def test_the_programs_of_the_machine_read_it(tmp_path: Path) -> None:
    layer, _ = layer_of(with_parents(wheel_entries(read_wheel(rich(tmp_path)), SCHEME)))
    file = tmp_path / "layer.tar.gz"
    file.write_bytes(layer)
    subprocess.run([shutil.which("gzip") or "gzip", "-t", file], check=True)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([shutil.which("tar") or "tar", "-xzf", file, "-C", out], check=True)
    packages = out / SCHEME.site_packages
    assert (packages / "rich_demo/big.bin").read_bytes() == bytes(range(256)) * 800
    assert (packages / ("rich_demo/" + "deep/" * 30 + "module.py")).read_bytes() == b"DEEP = True\n"
    assert (packages / 'rich_demo/na\u00efve, "quoted".txt').exists()
    assert os.access(out / "opt/venv/bin/rich-demo", os.X_OK)


def test_a_wheel_damaged_after_it_was_read_gives_no_layer(tmp_path: Path) -> None:
    path = rich(tmp_path)
    wheel = read_wheel(path)
    damage(path, b"stored" * 3000, b"Stored" * 3000)
    with pytest.raises(BuildError, match=r"rich_demo/stored\.bin"):
        layer_of(wheel_entries(wheel, SCHEME))


def test_keys_depend_on_every_part_and_on_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {layer_key("a", 1), layer_key("a", 2), layer_key("a", "1"), layer_key("a"), layer_key()}
    assert len(keys) == 5
    monkeypatch.setattr(writer, "FORMAT", "another")
    assert layer_key("a", 1) not in keys


SCRIPT = """
import sys, io, os
from pathlib import Path
os.umask(int(sys.argv[2], 8))
from launch_action.builders.layers.environment import Supply, environment_recipes
from launch_action.builders.layers.writer import write_layer
from launch_action.core.base import PythonFacts
from types import SimpleNamespace
wheel = SimpleNamespace(name="rich-demo", version="2.5", sha256="ab" * 32)
supply = Supply(wheel=lambda w: Path(sys.argv[1]), tree=None)
for size in (10, 1 << 21):
    found = environment_recipes([(wheel, size)], PythonFacts("3.11.9", "/usr/bin/python3"), supply,
                                prefix="/opt/venv")
    for recipe, _ in found:
        print(recipe.key, write_layer(recipe.entries(), io.BytesIO()))
"""


def test_the_digests_are_the_same_in_every_process(tmp_path: Path) -> None:
    """Other hash seed, umask, working directory, time zone, locale and time of the file."""
    found = set()
    for number, (seed, umask) in enumerate([("0", "022"), ("1", "077"), ("2", "000")]):
        place = tmp_path / f"place{number}"
        place.mkdir()
        wheel = rich(place)
        os.utime(wheel, (number, number))
        environment = {"PYTHONHASHSEED": seed, "TZ": f"UTC-{number}", "LC_ALL": "C"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, wheel, umask],
            cwd=place, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1
    assert "sha256:" in found.pop()
