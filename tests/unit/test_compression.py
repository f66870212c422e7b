"""Compression: how it is asked for, and the codecs, whose bytes are the same on every machine."""

from __future__ import annotations

import hashlib
import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from launch_action.builders.layers import zstd
from launch_action.builders.layers.codec import GZIP, codec_of
from launch_action.core.compression import Compression
from launch_action.core.errors import InputError
from launch_action.core.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD

TEXT = b"".join(b"%d some text, %d\n" % (i % 97, i * i) for i in range(4000))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("gzip", "gzip:6"),
        ("gzip:1", "gzip:1"),
        ("gzip:12", "gzip:12"),
        ("zstd", "zstd:3"),
        ("zstd:1", "zstd:1"),
        ("zstd:19", "zstd:19"),
    ],
)
def test_a_compression_is_read_by_kind_and_level(text: str, meant: str) -> None:
    assert str(Compression.parse(text)) == meant


@pytest.mark.parametrize(
    "text",
    ["", "none", "gzip:0", "gzip:13", "zstd:20", "zstd:", "zstd:3.5", "zstd:-1", "GZIP", "gzip:06",
     "zstd:3 ", "zstd:\u0663"],
)  # fmt: skip
def test_what_is_no_compression_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Compression.parse(text)
    assert repr(text) in refused.value.message
    assert "zstd:19" in refused.value.hint


def test_each_compression_has_its_own_keys_and_the_usual_one_those_of_the_recipe() -> None:
    texts = [f"gzip:{n}" for n in range(1, 13)] + [f"zstd:{n}" for n in range(1, 20)]
    codecs = [codec_of(Compression.parse(text)) for text in texts]

    assert len({codec.key("a") for codec in codecs}) == len(texts)
    assert codec_of(Compression.parse("gzip")) is GZIP
    assert GZIP.key("a") == "a"
    assert {codec.media_type for codec in codecs} == {OCI_LAYER_GZIP, OCI_LAYER_ZSTD}
    assert [codec.splices for codec in codecs] == [True] * 12 + [False] * 19


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("gzip:1", "26075ef2ea53c9e7"),
        ("gzip:6", "73cda6b892653113"),
        ("gzip:9", "23907bd9ac25a7af"),
        ("gzip:12", "b2c37fb38e9d9319"),
        ("zstd:1", "273a744663b9b5f0"),
        ("zstd:3", "e9ad4754bf62049d"),
        ("zstd:9", "9ad6d3c1ce1c1a26"),
        ("zstd:19", "13fdef90d0ad3f3d"),
    ],
)
def test_the_codecs_write_known_bytes(text: str, digest: str) -> None:
    """Other bytes, of another version or of another library, must go with another key."""
    found = codec_of(Compression.parse(text)).compress(TEXT)

    assert zstd.CODEC == "1/zstandard-0.25.0/libzstd-1.5.7"
    assert hashlib.sha256(found).hexdigest()[:16] == digest


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.lists(st.binary(max_size=3000), max_size=5), st.integers(1, 5000))
def test_frames_in_a_row_give_their_data_back_however_they_arrive(
    parts: list[bytes], size: int
) -> None:
    joined = b"".join(zstd.frame(part, 3) for part in parts)

    assert b"".join(zstd.decompressed(cut(joined, size))) == b"".join(parts)


def test_frames_of_other_tools_are_read() -> None:
    """With a checksum, without a size, and with frames between that hold no content."""
    packer = zstandard.ZstdCompressor(level=1, write_checksum=True).compressobj()
    streamed = packer.compress(TEXT) + packer.flush()
    skippable = b"\x5a\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"\x28\xb5\x2f\xfd five"

    for data in (streamed, skippable + streamed, streamed + skippable, skippable * 2 + streamed):
        assert zstd.is_zstd(data)
        assert b"".join(zstd.decompressed(cut(data, 7))) == TEXT


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f", b"\x60\x2a\x4d\x18"])
def test_what_is_no_frame(data: bytes) -> None:
    assert not zstd.is_zstd(data)


def test_a_file_that_ends_inside_a_frame_is_an_error() -> None:
    whole = zstd.frame(TEXT, 3)
    for end in (5, len(whole) // 2, len(whole) - 1):
        with pytest.raises(EOFError):
            list(zstd.decompressed([whole + whole[:end]]))


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b"\x1f\x8b\x08\0rest of something"])
def test_what_follows_the_frames_and_is_none_is_an_error(tail: bytes) -> None:
    with pytest.raises(ValueError, match="not zstd"):
        list(zstd.decompressed([zstd.frame(TEXT, 3) + tail]))


def test_a_damaged_frame_is_an_error() -> None:
    other = random.Random(1).randbytes(1 << 18)
    with pytest.raises(ValueError, match="not zstd"):
        list(zstd.decompressed([zstd.frame(TEXT, 3)[:40] + other]))


def test_a_frame_that_needs_too_much_memory_is_an_error() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    large = packer.compress(TEXT) + packer.flush()

    with pytest.raises(ValueError, match="memory"):
        list(zstd.decompressed([large]))


def test_a_bomb_comes_in_pieces_of_bounded_size() -> None:
    bomb = zstd.frame(bytes(1 << 28), 3)

    assert max(map(len, zstd.decompressed([bomb]))) <= 1 << 27
