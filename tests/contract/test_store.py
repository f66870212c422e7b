"""The job store over everything that can hold it: registries that delete or do not, a layout."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from support.registry import Logins, Running, running
from support.versions import (
    AMD64,
    ARM64,
    JOB_NAME,
    blob_path,
    check_complete,
    image_documents,
    put,
    put_image,
    recording,
)

from launch_action.core.errors import RegistryError, StoreError
from launch_action.core.image import (
    OCI_LAYER_GZIP,
    UNKNOWN_PLATFORM,
    Descriptor,
    Manifest,
    digest_of,
)
from launch_action.core.ports import Content, Moved, Traffic
from launch_action.core.reference import Digest, Tag
from launch_action.core.store import LATEST, JobStore, Recorded
from launch_action.core.tombstone import going_tag, is_tombstone, make_tombstone
from launch_action.core.version import (
    WHEELS,
    JobVersion,
    Recording,
    key_tag,
    make_version,
    naming_wheels,
    wheels_of,
)
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

Open = Callable[[str], Content]
OTHER_COMMIT = "e" * 40
MAIN, V1 = Tag("main"), Tag("v1")


@pytest.fixture(scope="module")
def deleting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("deleting")) as found:
        yield found


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry that refuses every deletion."""
    with running(tmp_path_factory.mktemp("keeping"), delete=False) as found:
        yield found


@pytest.fixture(
    params=[
        pytest.param("deleting", marks=pytest.mark.registry),
        pytest.param("keeping", marks=pytest.mark.registry),
        "crane",
        pytest.param("layout"),
    ]
)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a repository by its path; one name gives one repository within a test."""
    if request.param == "layout":
        yield lambda path: LayoutContent(tmp_path / path, path)
        return
    found: Running = request.getfixturevalue(request.param)
    prefix = tmp_path.name.lower().replace("_", "-").strip("-")
    with Registries(Logins()) as registries:
        yield lambda path: registries.open(found.repository(f"{prefix}/{path}"), writable=True)


@pytest.fixture
def content(adapter: Open) -> Content:
    return adapter("one")


@pytest.fixture
def store(content: Content) -> JobStore:
    return JobStore(content)


def fresh(store: JobStore) -> JobStore:
    """The store as the next process finds it."""
    return JobStore(store.content)


def save(store: JobStore, wanted: Recording, *aliases: str) -> JobVersion:
    """Put the images of a recording (their seed is in the document), record, point."""
    seed = wanted.files.document.split(b'"')[3].decode()
    for image in wanted.images:
        assert image.platform
        put_image(store.content, seed, image.platform)
    recorded = store.record(wanted)
    store.point(recorded.version, [Tag(alias) for alias in aliases])
    return recorded.version


# ---------------------------------------------------------------------------- recording


def test_a_version_is_loaded_by_alias_and_by_digest(store: JobStore) -> None:
    wanted = recording(platforms=(AMD64, ARM64))

    version = save(store, wanted, "latest", "main")

    for selector in ("latest", "main", version.digest):
        assert fresh(store).load(selector) == version
    assert version.job_name == JOB_NAME
    assert version.images == wanted.images
    check_complete(store.content)


def test_a_recording_has_the_digest_of_its_documents(store: JobStore) -> None:
    assert save(store, recording()).digest == make_version(recording()).index.descriptor.digest


def test_the_same_recording_is_written_once(store: JobStore) -> None:
    save(store, recording(), "latest")

    again = fresh(store).record(recording())

    assert not again.written
    assert again.version == fresh(store).load("latest")


def test_no_alias_moves_before_it_is_asked(store: JobStore) -> None:
    put_image(store.content, "a")

    assert store.record(recording()).written

    assert store.content.tags() == (key_tag(recording().build_key),)


def lose(content: Content, digest: Digest, directory: Path) -> bool:
    """Take a manifest away under the index that names it, as clean-ups of registries do."""
    if isinstance(content, LayoutContent):  # its own deletion keeps what is named
        blob_path(directory, digest).unlink()
        return True
    return content.delete_manifest(digest)


def test_an_index_without_its_job_manifest_is_recorded_again(
    store: JobStore, tmp_path: Path
) -> None:
    version = save(store, recording(), "latest")
    assert version.job
    lost = lose(store.content, version.job.digest, tmp_path / "one")

    assert fresh(store).record(recording()).written == lost

    assert fresh(store).load("latest") == version
    check_complete(store.content)


def test_the_files_of_a_version_come_back(store: JobStore) -> None:
    code = put(store.content, b"archive", OCI_LAYER_GZIP)
    wanted = recording(schema=b'{"type": "object"}', code=code)

    version = save(store, wanted, "latest")

    found = fresh(store).files(version)
    assert (found.document, found.frozen, found.schema) == (
        wanted.files.document,
        wanted.files.frozen,
        wanted.files.schema,
    )
    assert found.code
    assert found.code.digest == code.digest
    assert store.job_files(version) == (wanted.files.document, wanted.files.frozen)


def test_a_version_without_schema_and_code_has_none(store: JobStore) -> None:
    found = store.files(save(store, recording()))

    assert found.schema is None
    assert found.code is None


def test_an_empty_list_of_requirements_is_stored(store: JobStore) -> None:
    """A project without dependencies has an empty blob."""
    wanted = recording()

    version = save(store, replace(wanted, files=replace(wanted.files, frozen=b"")), "latest")

    assert store.job_files(version)[1] == b""


def test_a_job_without_image_is_stored(store: JobStore) -> None:
    version = save(store, recording(platforms=()), "latest")

    assert fresh(store).load("latest") == version
    assert store.content.tags() == ("latest",)
    check_complete(store.content)


# ---------------------------------------------------------------------------- finding a build


def test_a_build_is_found_by_its_key(store: JobStore) -> None:
    version = save(store, recording(), "latest")

    assert fresh(store).find_build(recording().build_key) == version
    assert fresh(store).find_build(recording("b").build_key) is None


def test_a_build_key_of_which_only_the_tag_agrees_is_not_found(store: JobStore) -> None:
    save(store, recording(), "latest")
    key = recording().build_key

    assert fresh(store).find_build(key[:32] + "0" * 32) is None


def test_another_commit_of_the_same_build_reuses_the_images(store: JobStore) -> None:
    save(store, recording(), "latest")
    next_store = fresh(store)
    found = next_store.find_build(recording().build_key)
    assert found

    recorded = next_store.record(replace(recording(commit=OTHER_COMMIT), images=found.images))
    next_store.point(recorded.version, [LATEST])

    assert recorded.written
    assert recorded.version.images == found.images
    assert recorded.version.digest != found.digest
    assert fresh(store).find_build(recording().build_key) == recorded.version
    check_complete(store.content)


def test_a_build_whose_image_is_gone_is_not_found_and_can_be_made_again(
    store: JobStore, tmp_path: Path
) -> None:
    version = save(store, recording(), "latest")
    if not lose(store.content, version.images[0].digest, tmp_path / "one"):
        return  # this registry loses nothing

    assert fresh(store).find_build(recording().build_key) is None
    assert fresh(store).previous([LATEST]) == ()

    assert save(fresh(store), recording(), "latest") == version
    assert fresh(store).find_build(recording().build_key) == version
    check_complete(store.content)


def test_a_key_that_names_something_else_is_not_found(store: JobStore) -> None:
    put_image(store.content, "a")
    store.content.put_manifest(image_documents("a")[2], key_tag(recording().build_key))

    assert store.find_build(recording().build_key) is None


class Counting:
    """A content that counts what is asked of it; a base for those that do more."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.reads: list[str] = []
        self.changes: list[str] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.content.name

    @property
    def traffic(self) -> Traffic:
        return self.content.traffic

    def change(self, what: str) -> None:
        with self._lock:
            self.changes.append(what)

    def has_blob(self, digest: Digest) -> bool:
        self.reads.append(digest)
        return self.content.has_blob(digest)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        self.reads.append(descriptor.digest)
        return self.content.open_blob(descriptor)

    def get_manifest(self, reference: str) -> Manifest | None:
        self.reads.append(reference)
        return self.content.get_manifest(reference)

    def tags(self) -> tuple[str, ...]:
        self.reads.append("tags")
        return self.content.tags()

    def put_blob(self, descriptor: Descriptor, source: Callable[[], BinaryIO]) -> Moved:
        self.change("put_blob")
        return self.content.put_blob(descriptor, source)

    def copy_blob(self, descriptor: Descriptor, origin: Content) -> Moved:
        self.change("copy_blob")
        return self.content.copy_blob(descriptor, origin)

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        self.change(f"put_manifest {tag or manifest.descriptor.digest}")
        self.content.put_manifest(manifest, tag)

    def delete_manifest(self, digest: Digest) -> bool:
        self.change("delete_manifest")
        return self.content.delete_manifest(digest)

    def delete_tag(self, tag: str) -> bool:
        self.change("delete_tag")
        return self.content.delete_tag(tag)


def test_an_unchanged_build_is_read_and_nothing_is_written(content: Content) -> None:
    save(JobStore(content), recording(), "latest", "main")
    counting = Counting(content)
    store = JobStore(counting)

    version = store.find_build(recording().build_key)
    assert version
    assert version.job
    recorded = store.record(recording())
    store.point(recorded.version, [LATEST, MAIN])

    assert counting.reads[0] == key_tag(recording().build_key)
    assert sorted(counting.reads[1:]) == sorted(
        [version.images[0].digest, version.job.digest, LATEST, MAIN]
    )
    assert counting.changes == []


def test_a_build_that_an_alias_names_needs_no_look_up(content: Content) -> None:
    save(JobStore(content), recording(), "latest")
    counting = Counting(content)
    store = JobStore(counting)

    store.meet([LATEST, V1])
    version = store.find_build(recording().build_key, recording().commit)
    assert version
    assert version.job
    recorded = store.record(recording())
    store.point(recorded.version, [LATEST, V1])

    # The last two see that no removal took what was just moved.
    after = [going_tag(version.digest), V1]
    assert sorted(counting.reads) == sorted(
        [LATEST, V1, version.images[0].digest, version.job.digest, *after]
    )
    assert counting.changes == [f"put_manifest {V1}"]


def test_an_alias_that_names_another_version_is_moved(store: JobStore) -> None:
    old = save(store, recording(), "latest", "main")
    new = save(fresh(store), recording("b"), "latest")

    again = fresh(store)
    again.meet([LATEST, MAIN])
    again.point(old, [LATEST, MAIN])

    assert fresh(store).load("latest") == fresh(store).load("main") == old
    assert fresh(store).find_build(new.build_key) == new


def test_a_new_version_costs_no_read_where_its_build_is_known_to_be_new(content: Content) -> None:
    save(JobStore(content), recording(), "latest")
    counting = Counting(content)
    store = JobStore(counting)
    assert store.find_build(recording("b").build_key) is None
    assert store.previous([LATEST])
    counting.reads.clear()

    put_image(content, "b")
    recorded = store.record(recording("b"))
    store.point(recorded.version, [LATEST])

    assert recorded.written
    assert counting.reads == []
    manifests = [one for one in counting.changes if one.startswith("put_manifest")]
    assert manifests[1:] == [
        f"put_manifest {key_tag(recording('b').build_key)}", f"put_manifest {LATEST}",
    ]  # fmt: skip


# ---------------------------------------------------------------------------- one job


def test_a_repository_takes_one_job(store: JobStore) -> None:
    save(store, recording(), "latest")
    other = recording("b", job_name="job-other")

    with pytest.raises(StoreError) as caught:
        fresh(store).record(other)

    assert JOB_NAME in caught.value.message
    assert "job-other" in caught.value.message
    assert store.content.name in caught.value.message
    assert "--allow-rename" in caught.value.hint


@pytest.mark.parametrize("alias", ["pr-12", "zz"])
def test_a_repository_of_previews_takes_one_job_as_well(store: JobStore, alias: str) -> None:
    save(store, recording(), alias)

    with pytest.raises(StoreError, match="job-other"):
        fresh(store).check_name("job-other")
    fresh(store).check_name(JOB_NAME)


def test_a_rename_that_is_allowed_lasts(store: JobStore) -> None:
    save(store, recording(), "latest", "v1")
    other = recording("b", job_name="job-other")
    put_image(store.content, "b")

    recorded = fresh(store).record(other, allow_rename=True)
    store.point(recorded.version, [LATEST])

    put_image(store.content, "c")
    later = fresh(store)
    later.previous([LATEST, V1])
    assert later.record(recording("c", job_name="job-other")).written


def test_images_of_other_tools_in_the_repository_are_no_job(store: JobStore) -> None:
    put_image(store.content, "a")
    store.content.put_manifest(image_documents("a")[2], "latest")

    store.check_name(JOB_NAME)

    assert store.versions() == ()
    assert store.previous([LATEST]) == ()
    with pytest.raises(StoreError, match="not a job version"):
        store.load("latest")


# ---------------------------------------------------------------------------- aliases


def test_aliases_move_to_the_version_that_is_pointed_at(store: JobStore) -> None:
    old = save(store, recording(), "latest", "v1")
    new = save(store, recording("b", created="2024-06-01T00:00:00Z"), "latest", "v2")

    assert store.aliases(old) == ("v1",)
    assert store.aliases(new) == ("latest", "v2")
    assert fresh(store).versions() == ((new, (Tag("latest"), Tag("v2"))), (old, (V1,)))


@pytest.mark.parametrize("alias", [key_tag("a" * 64), "sha256-" + "a" * 64])
def test_a_tag_of_the_stores_own_is_no_alias(store: JobStore, alias: str) -> None:
    version = save(store, recording(), "latest")

    with pytest.raises(StoreError, match="not an alias"):
        store.point(version, [Tag(alias)])


def test_an_unknown_alias_names_the_nearest(store: JobStore) -> None:
    save(store, recording(), "latest", "feature-training", "v1")

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
    version = save(store, recording(), "latest", "pr-12")

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
        version = save(store, recording(), "latest", "pr-12")

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
    version = save(store, recording(), "latest", "pr-12")
    put(store.content, b"{}")
    store.content.put_manifest(make_tombstone("killed"), "pr-12")

    assert not store.remove_alias(Tag("pr-12"), "nonce")

    assert store.versions() == ((version, (LATEST,)),)


def test_an_alias_that_never_was_is_removed_without_a_trace(store: JobStore) -> None:
    save(store, recording(), "latest")
    before = store.content.tags()

    assert not store.remove_alias(Tag("nothing"), "nonce")

    assert store.content.tags() == before


# ---------------------------------------------------------------------------- deletion


def test_a_version_that_another_alias_reaches_is_not_deleted(store: JobStore) -> None:
    version = save(store, recording(), "latest", "v1", "main")

    with pytest.raises(StoreError) as caught:
        store.delete_version(version, "nonce", [MAIN])

    assert "latest, v1" in caught.value.message
    assert "main" not in caught.value.message
    assert store.aliases(version) == ("latest", "main", "v1")


def test_a_deleted_version_is_gone_with_its_aliases_and_its_key(store: JobStore) -> None:
    other = save(store, recording("b"), "latest")
    version = save(store, recording(), "v1", "pr-12")

    gone = store.delete_version(version, "nonce", [V1, Tag("pr-12")])

    assert gone == ("pr-12", "v1")
    assert fresh(store).versions() == ((other, (LATEST,)),)
    assert fresh(store).find_build(recording().build_key) is None
    with pytest.raises(StoreError):
        fresh(store).load("v1")
    check_complete(store.content)


def test_a_deleted_version_is_written_again_by_who_deleted_it(store: JobStore) -> None:
    version = save(store, recording(), "v1")
    assert store.find_build(recording().build_key) == version
    assert not store.record(recording()).written

    store.delete_version(version, "nonce", [V1])

    kept = store.content.get_manifest(version.digest)  # by a registry that deletes nothing
    assert store.record(recording()).written is (kept is None)


def test_a_build_key_stays_found_when_its_newest_version_is_deleted(store: JobStore) -> None:
    old = save(store, recording(), "v1")
    new = save(store, recording(commit=OTHER_COMMIT, created="2024-06-01T00:00:00Z"), "v2")
    assert fresh(store).find_build(recording().build_key) == new

    store.delete_version(new, "nonce", [Tag("v2")])

    assert fresh(store).find_build(recording().build_key) == old
    assert fresh(store).load("v1") == old
    check_complete(store.content)


def test_a_deletion_frees_what_only_the_version_reached(tmp_path: Path) -> None:
    content = LayoutContent(tmp_path / "store", "store")
    store = JobStore(content)
    save(store, recording("b"), "latest")
    kept = {path.name for path in (tmp_path / "store/blobs/sha256").iterdir()}
    version = save(store, recording(), "v1")

    store.delete_version(version, "nonce", [V1])
    content.collect(grace=-1)

    assert {path.name for path in (tmp_path / "store/blobs/sha256").iterdir()} == kept


# ---------------------------------------------------------------------------- layer reuse


def test_the_images_of_previous_versions_come_in_the_order_of_their_tags(store: JobStore) -> None:
    save(store, recording(platforms=(AMD64, ARM64)), "latest")
    save(store, recording("b"), "main")

    found = fresh(store).previous([MAIN, Tag("absent"), LATEST, MAIN])

    assert [manifest.descriptor.digest for manifest in found] == [
        image_documents("b", AMD64)[2].descriptor.digest,
        image_documents("a", AMD64)[2].descriptor.digest,
        image_documents("a", ARM64)[2].descriptor.digest,
    ]


def test_a_previous_image_comes_with_the_list_of_its_wheels(store: JobStore) -> None:
    listed = put(store.content, b'{"wheels":[]}', WHEELS)
    image = naming_wheels(put_image(store.content, "a"), listed)
    save(store, replace(recording(), images=(image,)), "latest")

    (found,) = fresh(store).previous([LATEST])

    assert wheels_of(found.descriptor) == listed
    check_complete(store.content)


def test_a_version_holds_the_list_of_its_wheels(store: JobStore) -> None:
    """Named by the job manifest, so that no registry and no collection takes it away."""
    listed = put(store.content, b'{"wheels":[]}', WHEELS)
    image = naming_wheels(put_image(store.content, "a"), listed)
    saved = save(store, replace(recording(), images=(image,)), "latest")

    assert saved.job
    job = store.content.get_manifest(saved.job.digest)
    assert job
    assert listed.digest in [layer.digest for layer in job.layers()]
    assert fresh(store).find(LATEST) == saved


def test_nothing_is_previous_in_an_empty_repository(store: JobStore) -> None:
    assert store.previous([LATEST, MAIN]) == ()
    assert store.previous([]) == ()


# ---------------------------------------------------------------------------- killed anywhere


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


def launch(store: JobStore, seed: str) -> Recorded:
    """What `execute` does, after the build has put its layers."""
    wanted = recording(seed, platforms=(AMD64, ARM64), created="2024-06-01T00:00:00Z")
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
        recording("new", platforms=(AMD64, ARM64), created="2024-06-01T00:00:00Z")
    ).index.descriptor.digest
    for limit in itertools.count():
        content = adapter(f"cut-{limit}")
        old = save(JobStore(content), recording("old"), "latest", "main")
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
        kept = save(store, recording("old"), "latest")
        version = save(store, recording("gone"), "v1", "pr-12")
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


def test_attestations_are_part_of_the_version(store: JobStore) -> None:
    put_image(store.content, "a")
    put_image(store.content, "attestation")
    statement = replace(image_documents("attestation")[2].descriptor, platform=UNKNOWN_PLATFORM)

    recorded = store.record(replace(recording(), attestations=(statement,)))
    store.point(recorded.version, [LATEST])

    assert fresh(store).load("latest").attestations == (statement,)
    assert fresh(store).load("latest").images == recording().images
