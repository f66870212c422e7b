"""A store whose user is killed anywhere, or is not alone: it is whole, and work completes."""

from __future__ import annotations

import itertools
import threading

from support.stores import MAIN, V1, Counting, Open, save
from support.versions import (
    AMD64,
    ARM64,
    check_complete,
    put_image,
    spec,
)

from launch_action.core.errors import RegistryError
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Tag
from launch_action.core.store import LATEST, JobStore, StoredVersion
from launch_action.core.tombstone import is_tombstone
from launch_action.core.version import (
    make_version,
)


class Cut(RegistryError):
    """The process ended here."""


class Cutting(Counting):
    """A content whose user is killed after its n-th change, for good."""

    def __init__(self, content: Content, limit: int) -> None:
        super().__init__(content)
        self.limit = limit

    def change(self, what: str) -> None:
        with self._lock:
            if len(self.changes) >= self.limit:
                raise Cut("killed", hint="")
            self.changes.append(what)


def launch(store: JobStore, seed: str) -> StoredVersion:
    """What `execute` does, after the build has put its layers."""
    wanted = spec(seed, platforms=(AMD64, ARM64), created="2024-06-01T00:00:00Z")
    if store.find_build(wanted.build_key) is None:
        for platform in (AMD64, ARM64):
            put_image(store.content, seed, platform)
    recorded = store.record(wanted)
    store.point(recorded.version, [LATEST, MAIN, Tag(f"sha-{seed}")])
    return recorded


def test_a_launch_killed_anywhere_leaves_a_whole_store_and_completes_when_repeated(
    adapter: Open,
) -> None:
    wanted = make_version(
        spec("new", platforms=(AMD64, ARM64), created="2024-06-01T00:00:00Z")
    ).index.descriptor.digest
    for limit in itertools.count():
        content = adapter(f"cut-{limit}")
        old = save(JobStore(content), spec("old"), "latest", "main")
        cutting = Cutting(content, limit)
        try:
            launch(JobStore(cutting), "new")
            finished = True
        except Cut:
            finished = False

        found = check_complete(content)

        assert found[LATEST] in (old.digest, wanted)
        assert found[MAIN] in (old.digest, wanted)
        assert launch(JobStore(content), "new").version.digest == wanted
        after_all = check_complete(content)
        assert after_all[LATEST] == after_all[MAIN] == after_all[Tag("sha-new")] == wanted
        if finished:
            assert len(cutting.changes) > 12
            return


def test_a_deletion_killed_anywhere_leaves_a_whole_store_and_completes_when_repeated(
    adapter: Open,
) -> None:
    for limit in itertools.count():
        content = adapter(f"delete-{limit}")
        store = JobStore(content)
        kept = save(store, spec("old"), "latest")
        version = save(store, spec("gone"), "v1", "pr-12")
        aliases = [V1, Tag("pr-12")]
        cutting = Cutting(content, limit)
        try:
            JobStore(cutting).delete_version(version, "first", aliases)
            finished = True
        except Cut:
            finished = False

        check_known(content, {kept.digest, version.digest})
        JobStore(content).delete_version(version, "second", aliases)

        assert JobStore(content).versions() == ((kept, (LATEST,)),)
        assert JobStore(content).find_build(version.build_key) is None
        check_known(content, {kept.digest})
        if finished:
            return


def check_known(content: Content, digests: set[Digest]) -> None:
    """Every tag is a tombstone, or reaches one of these, whole."""
    found = check_complete(content)
    for tag, digest in found.items():
        manifest = content.get_manifest(tag)
        assert manifest
        assert digest in digests or is_tombstone(manifest)


def test_several_writers_of_one_version_agree(adapter: Open) -> None:
    failures: list[BaseException] = []
    found: set[Digest] = set()

    def write() -> None:
        try:
            found.add(launch(JobStore(adapter("shared")), "same").version.digest)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # docker-registry 2.8 reads links that another request is just writing, and then refuses.
    assert not [error for error in failures if not isinstance(error, RegistryError)]
    found.add(launch(JobStore(adapter("shared")), "same").version.digest)
    assert len(found) == 1
    assert set(check_complete(adapter("shared")).values()) == found
