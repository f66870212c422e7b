"""W&B's offline summary, read from the SDK's transaction log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wandb_log import field, log, varint

from launch_action.runners.offline_summary import offline_summary


def update(value: Any, *keys: str) -> bytes:
    """A Record that sets one key of the summary."""
    names = (
        b"".join(field(2, key.encode()) for key in keys) if keys[1:] else field(1, keys[0].encode())
    )
    return varint(8) + varint(7) + field(3, field(1, names + field(16, json.dumps(value).encode())))


def remove(key: str) -> bytes:
    return field(3, field(2, field(1, key.encode())))


def place(directory: Path, data: bytes, name: str = "offline-run-20260101_000000-abc") -> None:
    folder = directory / name
    folder.mkdir(parents=True)
    (folder / "run-abc.wandb").write_bytes(data)


def test_the_last_value_of_each_key_is_its_metric(tmp_path: Path) -> None:
    place(
        tmp_path,
        log(
            update(1.0, "loss"),
            field(2, b"history"),
            update(0.5, "loss"),
            update(3, "by", "class"),
            update("x", "gone"),
            remove("gone"),
            update(9, "_runtime"),
            update([1], "curve"),
        ),
    )

    assert offline_summary(tmp_path, "abc") == {"loss": 0.5, "by": {"class": 3}}


def test_records_over_several_blocks_are_joined(tmp_path: Path) -> None:
    text = "é" * 50_000
    place(tmp_path, log(field(2, b"x" * 32_750), update(text, "text"), update(1, "after")))

    assert offline_summary(tmp_path, "abc") == {"text": text, "after": 1}


def test_a_huge_record_is_passed_over(tmp_path: Path) -> None:
    place(tmp_path, log(update("x" * 5_000_000, "text"), update(1, "after")))

    assert offline_summary(tmp_path, "abc") == {"after": 1}


def test_a_log_that_ends_in_the_middle_gives_what_came_before(tmp_path: Path) -> None:
    data = log(update(1, "a"), update(2, "b"))
    place(tmp_path, data[:-3])

    assert offline_summary(tmp_path, "abc") == {"a": 1}


def test_a_record_whose_checksum_is_wrong_ends_the_reading(tmp_path: Path) -> None:
    data = bytearray(log(update(1, "a"), update(2, "b")))
    data[-1] ^= 1
    place(tmp_path, bytes(data))

    assert offline_summary(tmp_path, "abc") == {"a": 1}


def test_the_document_of_older_sdks_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "offline-run-20260101_000000-abc/files"
    folder.mkdir(parents=True)
    (folder / "wandb-summary.json").write_text('{"loss": 0.1, "_step": 3}')

    assert offline_summary(tmp_path, "abc") == {"loss": 0.1}


def test_a_document_with_the_sdk_s_own_facts_alone_is_not_all(tmp_path: Path) -> None:
    """As `wandb` 0.16 leaves it offline: the metrics are in the log beside it."""
    place(tmp_path, log(update(0.5, "metric"), update(0, "_step")))
    files = tmp_path / "offline-run-20260101_000000-abc/files"
    files.mkdir()
    (files / "wandb-summary.json").write_text('{"_wandb": {"runtime": 0}}')

    assert offline_summary(tmp_path, "abc") == {"metric": 0.5}


def test_another_run_s_summary_is_not_taken(tmp_path: Path) -> None:
    place(tmp_path, log(update(1, "a")))

    assert offline_summary(tmp_path, "xyz") == {}
    assert offline_summary(tmp_path / "nothing", "abc") == {}


@pytest.mark.parametrize("data", [b"", b":W&B", b"PK\x03\x04" * 100])
def test_a_file_that_is_no_log_gives_nothing(tmp_path: Path, data: bytes) -> None:
    place(tmp_path, data)

    assert offline_summary(tmp_path, "abc") == {}


@given(st.binary())
def test_a_record_of_any_bytes_is_survived(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    directory = tmp_path_factory.mktemp("run")
    place(directory, log(field(3, data), field(3, field(1, data)), data, update(1, "after")))

    assert offline_summary(directory, "abc")["after"] == 1
