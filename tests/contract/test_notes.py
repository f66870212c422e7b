"""Notes beside the versions of a store, over what can hold it: hidden, replaced, swept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.registry import Logins, Running, running
from support.versions import AMD64, check_complete, put_image, spec

from launch_action.core.errors import StoreError
from launch_action.core.notes import (
    LIMIT,
    ROW_NOTE,
    RUN_NOTE,
    put_note,
    read_note,
    remove_note,
    row_of,
    row_tag,
    run_tag,
)
from launch_action.core.ports import Content
from launch_action.core.reference import Tag
from launch_action.core.run_note import keep_metrics, kept_metrics
from launch_action.core.store import JobStore
from launch_action.core.tags import alias_tag, hidden
from launch_action.core.version import JobVersion
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

TAG = row_tag(12, "workflow", "key")
OUTPUTS: dict[str, Any] = {
    "run_id": "abc",
    "run_status": "succeeded",
    "metrics": {"accuracy": 0.5, "eval": {"loss": 1}, "note": "ü|\n"},
    "metadata": {"run_seconds": 1.5},
}


@pytest.fixture(scope="module")
def registry_of_notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("notes")) as found:
        yield found


@pytest.fixture(params=[pytest.param("registry", marks=pytest.mark.registry), "layout"])
def content(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Content]:
    if request.param == "layout":
        yield LayoutContent(tmp_path / "store", "store")
        return
    found: Running = request.getfixturevalue("registry_of_notes")
    name = tmp_path.name.lower().replace("_", "-").strip("-")
    with Registries(Logins()) as registries:
        yield registries.open(found.repository(name), writable=True)


def recorded(content: Content, *aliases: str) -> JobVersion:
    store = JobStore(content)
    put_image(content, "a", AMD64)
    version = store.record(spec()).version
    store.point(version, [Tag(alias) for alias in aliases])
    return version


def test_a_note_is_read_as_it_was_written_last(content: Content) -> None:
    assert read_note(content, TAG, ROW_NOTE) is None

    put_note(content, TAG, ROW_NOTE, "one")
    put_note(content, TAG, ROW_NOTE, "zwei ü\n\U0001f600")

    assert read_note(content, TAG, ROW_NOTE) == "zwei ü\n\U0001f600"
    assert read_note(content, TAG, RUN_NOTE) is None


def test_a_note_goes_and_one_that_says_the_same_stays(content: Content) -> None:
    """Two versions that were used in the same second, in a registry that deletes no tags."""
    other = Tag("report-pr-13-" + "0" * 16)
    for tag in (TAG, other):
        put_note(content, tag, ROW_NOTE, "the same")

    assert remove_note(content, TAG)

    assert read_note(content, TAG, ROW_NOTE) is None
    assert read_note(content, other, ROW_NOTE) == "the same"


def test_the_longest_note_is_taken(content: Content) -> None:
    put_note(content, TAG, ROW_NOTE, "x" * LIMIT)

    assert read_note(content, TAG, ROW_NOTE) == "x" * LIMIT


def test_notes_are_no_versions_and_in_nobody_s_way(content: Content) -> None:
    put_note(content, TAG, ROW_NOTE, "first, in an empty repository")
    version = recorded(content, "latest")
    put_note(content, run_tag(version.digest), RUN_NOTE, "{}")
    store = JobStore(content)

    assert store.versions() == ((version, (Tag("latest"),)),)
    assert store.find(TAG) is None
    with pytest.raises(StoreError):
        store.point(version, [TAG])
    check_complete(content)


def test_a_version_takes_the_record_of_its_run_with_it(content: Content) -> None:
    version = recorded(content, "pr-1")
    assert keep_metrics(content, version.digest, OUTPUTS)
    assert kept_metrics(content, version.digest) == {
        "accuracy": 0.5, "eval.loss": 1, "note": "ü|\n",
    }  # fmt: skip

    JobStore(content).delete_version(version, "n", [Tag("pr-1")])

    assert kept_metrics(content, version.digest) == {}
    assert content.tags() == ()
    # A run that went on meanwhile.
    assert not keep_metrics(content, version.digest, OUTPUTS)
    assert content.tags() == ()


@pytest.mark.parametrize(
    "other", [{"run_status": "failed"}, {"metrics": {}}, {"metrics": {"x": "y" * LIMIT}}]
)
def test_a_run_without_use_to_others_is_not_recorded(other: dict[str, Any], tmp_path: Path) -> None:
    content = LayoutContent(tmp_path / "store", "store")
    version = recorded(content)

    assert not keep_metrics(content, version.digest, {**OUTPUTS, **other})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "metrics": 3}'])
def test_a_record_that_is_none_has_no_metrics(text: str, tmp_path: Path) -> None:
    content = LayoutContent(tmp_path / "store", "store")
    version = recorded(content)
    put_note(content, run_tag(version.digest), RUN_NOTE, text)

    assert kept_metrics(content, version.digest) == {}


def test_a_note_is_removed_and_a_version_is_no_note(content: Content) -> None:
    version = recorded(content, "latest")
    put_note(content, TAG, ROW_NOTE, "x")

    assert remove_note(content, TAG)
    assert not remove_note(content, TAG)
    assert not remove_note(content, Tag("latest"))
    assert JobStore(content).load("latest") == version


def test_the_tags_of_notes_are_hidden_and_no_branch_takes_them() -> None:
    tags = (TAG, row_tag(1, "workflow", "key"), row_tag(12, "another", "key"))

    assert all(map(hidden, tags))
    named = (*tags, "report-pr-123-" + "0" * 16, "pr-12")
    assert [row_of(tag) for tag in named] == [12, 1, 12, 123, None]
    assert alias_tag(TAG) != TAG
