"""Builds are found by their key, with few questions, and nothing is written twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.stores import MAIN, OTHER_COMMIT, V1, Counting, fresh, lose, save
from support.versions import (
    check_complete,
    image_documents,
    put_image,
    spec,
)

from launch_action.core.ports import Content
from launch_action.core.store import LATEST, JobStore
from launch_action.core.tags import key_tag
from launch_action.core.tombstone import going_tag


def test_a_build_is_found_by_its_key(store: JobStore) -> None:
    version = save(store, spec(), "latest")

    assert fresh(store).find_build(spec().build_key) == version
    assert fresh(store).find_build(spec("b").build_key) is None


def test_a_build_key_of_which_only_the_tag_agrees_is_not_found(store: JobStore) -> None:
    save(store, spec(), "latest")
    key = spec().build_key

    assert fresh(store).find_build(key[:32] + "0" * 32) is None


def test_another_commit_of_the_same_build_reuses_the_images(store: JobStore) -> None:
    save(store, spec(), "latest")
    next_store = fresh(store)
    found = next_store.find_build(spec().build_key)
    assert found

    recorded = next_store.record(replace(spec(commit=OTHER_COMMIT), images=found.images))
    next_store.point(recorded.version, [LATEST])

    assert recorded.written
    assert recorded.version.images == found.images
    assert recorded.version.digest != found.digest
    assert fresh(store).find_build(spec().build_key) == recorded.version
    check_complete(store.content)


def test_a_build_whose_image_is_gone_is_not_found_and_can_be_made_again(
    store: JobStore, tmp_path: Path
) -> None:
    version = save(store, spec(), "latest")
    if not lose(store.content, version.images[0].digest, tmp_path / "one"):
        return  # this registry loses nothing

    assert fresh(store).find_build(spec().build_key) is None
    assert fresh(store).previous([LATEST]) == ()

    assert save(fresh(store), spec(), "latest") == version
    assert fresh(store).find_build(spec().build_key) == version
    check_complete(store.content)


def test_a_key_that_names_something_else_is_not_found(store: JobStore) -> None:
    put_image(store.content, "a")
    store.content.put_manifest(image_documents("a")[2], key_tag(spec().build_key))

    assert store.find_build(spec().build_key) is None


def test_an_unchanged_build_is_read_and_nothing_is_written(content: Content) -> None:
    save(JobStore(content), spec(), "latest", "main")
    counting = Counting(content)
    store = JobStore(counting)

    version = store.find_build(spec().build_key)
    assert version
    assert version.job
    recorded = store.record(spec())
    store.point(recorded.version, [LATEST, MAIN])

    assert counting.reads[0] == key_tag(spec().build_key)
    assert sorted(counting.reads[1:]) == sorted(
        [version.images[0].digest, version.job.digest, LATEST, MAIN]
    )
    assert counting.changes == []


def test_a_build_that_an_alias_names_needs_no_look_up(content: Content) -> None:
    save(JobStore(content), spec(), "latest")
    counting = Counting(content)
    store = JobStore(counting)

    store.meet([LATEST, V1])
    version = store.find_build(spec().build_key, spec().commit)
    assert version
    assert version.job
    recorded = store.record(spec())
    store.point(recorded.version, [LATEST, V1])

    # The last two see that no removal took what was just moved.
    after = [going_tag(version.digest), V1]
    assert sorted(counting.reads) == sorted(
        [LATEST, V1, version.images[0].digest, version.job.digest, *after]
    )
    assert counting.changes == [f"put_manifest {V1}"]


def test_an_alias_that_names_another_version_is_moved(store: JobStore) -> None:
    old = save(store, spec(), "latest", "main")
    new = save(fresh(store), spec("b"), "latest")

    again = fresh(store)
    again.meet([LATEST, MAIN])
    again.point(old, [LATEST, MAIN])

    assert fresh(store).load("latest") == fresh(store).load("main") == old
    assert fresh(store).find_build(new.build_key) == new


def test_a_new_version_costs_no_read_where_its_build_is_known_to_be_new(content: Content) -> None:
    save(JobStore(content), spec(), "latest")
    counting = Counting(content)
    store = JobStore(counting)
    assert store.find_build(spec("b").build_key) is None
    assert store.previous([LATEST])
    counting.reads.clear()

    put_image(content, "b")
    recorded = store.record(spec("b"))
    store.point(recorded.version, [LATEST])

    assert recorded.written
    assert counting.reads == []
    manifests = [one for one in counting.changes if one.startswith("put_manifest")]
    assert manifests[1:] == [
        f"put_manifest {key_tag(spec('b').build_key)}", f"put_manifest {LATEST}",
    ]  # fmt: skip
