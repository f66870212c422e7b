"""Aliases of the store: they move, are removed, and versions are deleted with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.registry import Logins, Running
from support.stores import MAIN, OTHER_COMMIT, V1, fresh, save
from support.versions import (
    check_complete,
    put,
    spec,
)

from launch_action.core.errors import StoreError
from launch_action.core.image import (
    digest_of,
)
from launch_action.core.reference import Tag
from launch_action.core.store import LATEST, JobStore
from launch_action.core.tags import key_tag
from launch_action.core.tombstone import is_tombstone, make_tombstone
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries


def test_aliases_move_to_the_version_that_is_pointed_at(store: JobStore) -> None:
    old = save(store, spec(), "latest", "v1")
    new = save(store, spec("b", created="2024-06-01T00:00:00Z"), "latest", "v2")

    assert store.aliases(old) == ("v1",)
    assert store.aliases(new) == ("latest", "v2")
    assert fresh(store).versions() == ((new, (Tag("latest"), Tag("v2"))), (old, (V1,)))


@pytest.mark.parametrize("alias", [key_tag("a" * 64), "sha256-" + "a" * 64])
def test_a_tag_of_the_stores_own_is_no_alias(store: JobStore, alias: str) -> None:
    version = save(store, spec(), "latest")

    with pytest.raises(StoreError, match="not an alias"):
        store.point(version, [Tag(alias)])


def test_an_unknown_alias_names_the_nearest(store: JobStore) -> None:
    save(store, spec(), "latest", "feature-training", "v1")

    with pytest.raises(StoreError, match="'feature-trainign'") as caught:
        fresh(store).load("feature-trainign")

    assert "feature-training" in caught.value.hint
    assert "key-" not in caught.value.hint


def test_an_unknown_alias_of_an_empty_repository_says_so(store: JobStore) -> None:
    with pytest.raises(StoreError, match="'latest'") as caught:
        store.load("latest")
    assert "no versions" in caught.value.hint
    with pytest.raises(StoreError, match="sha256:"):
        store.load(digest_of(b"absent"))
    assert store.versions() == ()


def test_a_removed_alias_is_gone_and_its_version_stays(store: JobStore) -> None:
    version = save(store, spec(), "latest", "pr-12")

    assert store.remove_alias(Tag("pr-12"), "nonce")

    assert store.aliases(version) == ("latest",)
    assert fresh(store).load(version.digest) == version
    assert fresh(store).load("latest") == version
    with pytest.raises(StoreError, match="no job version 'pr-12'"):
        fresh(store).load("pr-12")
    assert not store.remove_alias(Tag("pr-12"), "another nonce")
    check_complete(store.content)


def test_where_nothing_can_be_deleted_a_tombstone_stays_and_counts_as_absent(
    keeping: Running,
) -> None:
    with Registries(Logins()) as registries:
        store = JobStore(registries.open(keeping.repository("tombstone"), writable=True))
        version = save(store, spec(), "latest", "pr-12")

        store.remove_alias(Tag("pr-12"), "nonce")

        found = store.content.get_manifest("pr-12")
        assert found
        assert is_tombstone(found)
        assert store.versions() == ((version, (LATEST,)),)
        assert store.previous([Tag("pr-12")]) == ()
        with pytest.raises(StoreError) as told:
            store.load("pr-12")
        assert "pr-12" not in told.value.hint
        store.point(version, [Tag("pr-12")])
        assert store.aliases(version) == ("latest", "pr-12")


def test_a_removal_that_was_killed_after_the_tombstone_completes(store: JobStore) -> None:
    version = save(store, spec(), "latest", "pr-12")
    put(store.content, b"{}")
    store.content.put_manifest(make_tombstone("killed"), "pr-12")

    assert not store.remove_alias(Tag("pr-12"), "nonce")

    assert store.versions() == ((version, (LATEST,)),)


def test_an_alias_that_never_was_is_removed_without_a_trace(store: JobStore) -> None:
    save(store, spec(), "latest")
    before = store.content.tags()

    assert not store.remove_alias(Tag("nothing"), "nonce")

    assert store.content.tags() == before


def test_a_version_that_another_alias_reaches_is_not_deleted(store: JobStore) -> None:
    version = save(store, spec(), "latest", "v1", "main")

    with pytest.raises(StoreError) as caught:
        store.delete_version(version, "nonce", [MAIN])

    assert "latest, v1" in caught.value.message
    assert "main" not in caught.value.message
    assert store.aliases(version) == ("latest", "main", "v1")


def test_a_deleted_version_is_gone_with_its_aliases_and_its_key(store: JobStore) -> None:
    other = save(store, spec("b"), "latest")
    version = save(store, spec(), "v1", "pr-12")

    gone = store.delete_version(version, "nonce", [V1, Tag("pr-12")])

    assert gone == ("pr-12", "v1")
    assert fresh(store).versions() == ((other, (LATEST,)),)
    assert fresh(store).find_build(spec().build_key) is None
    with pytest.raises(StoreError):
        fresh(store).load("v1")
    check_complete(store.content)


def test_a_deleted_version_is_written_again_by_who_deleted_it(store: JobStore) -> None:
    version = save(store, spec(), "v1")
    assert store.find_build(spec().build_key) == version
    assert not store.record(spec()).written

    store.delete_version(version, "nonce", [V1])

    kept = store.content.get_manifest(version.digest)  # by a registry that deletes nothing
    assert store.record(spec()).written is (kept is None)


def test_a_build_key_stays_found_when_its_newest_version_is_deleted(store: JobStore) -> None:
    old = save(store, spec(), "v1")
    new = save(store, spec(commit=OTHER_COMMIT, created="2024-06-01T00:00:00Z"), "v2")
    assert fresh(store).find_build(spec().build_key) == new

    store.delete_version(new, "nonce", [Tag("v2")])

    assert fresh(store).find_build(spec().build_key) == old
    assert fresh(store).load("v1") == old
    check_complete(store.content)


def test_a_deletion_frees_what_only_the_version_reached(tmp_path: Path) -> None:
    content = LayoutContent(tmp_path / "store", "store")
    store = JobStore(content)
    save(store, spec("b"), "latest")
    kept = {path.name for path in (tmp_path / "store/blobs/sha256").iterdir()}
    version = save(store, spec(), "v1")

    store.delete_version(version, "nonce", [V1])
    content.collect(grace=-1)

    assert {path.name for path in (tmp_path / "store/blobs/sha256").iterdir()} == kept
