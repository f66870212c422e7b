"""Gzip members: deterministic, and readable by everyone."""

from __future__ import annotations

import gzip
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from launch_action.builders.layers import gzip as members


@given(st.binary(max_size=5000))
def test_a_member_gives_its_data_back(data: bytes) -> None:
    assert gzip.decompress(members.member(data)) == data


def test_members_can_be_joined() -> None:
    assert (
        gzip.decompress(members.member(b"a" * 9) + members.member(b"b" * 7)) == b"a" * 9 + b"b" * 7
    )


def test_the_header_has_no_time_name_or_operating_system() -> None:
    assert members.member(b"x")[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_the_trailer_takes_the_size_modulo_4_gib() -> None:
    assert members.trailer(1, 2**32 + 5) == bytes.fromhex("0100000005000000")


def test_the_codec_is_the_one_that_does_not_depend_on_the_processor() -> None:
    """Known bytes: another codec, version or level must go with another CODEC."""
    data = b"".join(b"%d some text, %d\n" % (i % 97, i * i) for i in range(4000))
    assert members.CODEC == "1/libdeflate-0.9.0"
    assert hashlib.sha256(members.member(data)).hexdigest() == (
        "73cda6b8926531131d792b053230fc74d2458bdfd04683cbdb62fabd1fee0c16"
    )
