"""What is recorded is found again, in registries that delete or do not, and in a layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.stores import MAIN, V1, fresh, lose, save
from support.versions import (
    AMD64,
    ARM64,
    JOB_NAME,
    check_complete,
    image_documents,
    put,
    put_image,
    spec,
)

from launch_action.core.errors import StoreError
from launch_action.core.image import (
    OCI_LAYER_GZIP,
    UNKNOWN_PLATFORM,
)
from launch_action.core.reference import Tag
from launch_action.core.store import LATEST, JobStore
from launch_action.core.tags import key_tag
from launch_action.core.version import WHEELS, make_version, naming_wheels, wheels_of


def test_a_version_is_loaded_by_alias_and_by_digest(store: JobStore) -> None:
    wanted = spec(platforms=(AMD64, ARM64))

    version = save(store, wanted, "latest", "main")

    for selector in ("latest", "main", version.digest):
        assert fresh(store).load(selector) == version
    assert version.job_name == JOB_NAME
    assert version.images == wanted.images
    check_complete(store.content)


def test_a_recording_has_the_digest_of_its_documents(store: JobStore) -> None:
    assert save(store, spec()).digest == make_version(spec()).index.descriptor.digest


def test_the_same_recording_is_written_once(store: JobStore) -> None:
    save(store, spec(), "latest")

    again = fresh(store).record(spec())

    assert not again.written
    assert again.version == fresh(store).load("latest")


def test_no_alias_moves_before_it_is_asked(store: JobStore) -> None:
    put_image(store.content, "a")

    assert store.record(spec()).written

    assert store.content.tags() == (key_tag(spec().build_key),)


def test_an_index_without_its_job_manifest_is_recorded_again(
    store: JobStore, tmp_path: Path
) -> None:
    version = save(store, spec(), "latest")
    assert version.job
    lost = lose(store.content, version.job.digest, tmp_path / "one")

    assert fresh(store).record(spec()).written == lost

    assert fresh(store).load("latest") == version
    check_complete(store.content)


def test_the_files_of_a_version_come_back(store: JobStore) -> None:
    code = put(store.content, b"archive", OCI_LAYER_GZIP)
    wanted = spec(schema=b'{"type": "object"}', code=code)

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
    found = store.files(save(store, spec()))

    assert found.schema is None
    assert found.code is None


def test_an_empty_list_of_requirements_is_stored(store: JobStore) -> None:
    """A project without dependencies has an empty one; some registries take no empty blob."""
    wanted = spec()

    version = save(store, replace(wanted, files=replace(wanted.files, frozen=b"")), "latest")

    assert store.job_files(version)[1] == b""
    assert version.job
    job = store.content.get_manifest(version.job.digest)
    assert job
    assert all(layer.size for layer in job.layers())


def test_a_job_without_image_is_stored(store: JobStore) -> None:
    version = save(store, spec(platforms=()), "latest")

    assert fresh(store).load("latest") == version
    assert store.content.tags() == ("latest",)
    check_complete(store.content)


def test_a_repository_takes_one_job(store: JobStore) -> None:
    save(store, spec(), "latest")
    other = spec("b", job_name="job-other")

    with pytest.raises(StoreError) as caught:
        fresh(store).record(other)

    assert JOB_NAME in caught.value.message
    assert "job-other" in caught.value.message
    assert store.content.name in caught.value.message
    assert "--allow-rename" in caught.value.hint


@pytest.mark.parametrize("alias", ["pr-12", "zz"])
def test_a_repository_of_previews_takes_one_job_as_well(store: JobStore, alias: str) -> None:
    save(store, spec(), alias)

    with pytest.raises(StoreError, match="job-other"):
        fresh(store).check_name("job-other")
    fresh(store).check_name(JOB_NAME)


def test_a_rename_that_is_allowed_lasts(store: JobStore) -> None:
    save(store, spec(), "latest", "v1")
    other = spec("b", job_name="job-other")
    put_image(store.content, "b")

    recorded = fresh(store).record(other, allow_rename=True)
    store.point(recorded.version, [LATEST])

    put_image(store.content, "c")
    later = fresh(store)
    later.previous([LATEST, V1])
    assert later.record(spec("c", job_name="job-other")).written


def test_images_of_other_tools_in_the_repository_are_no_job(store: JobStore) -> None:
    put_image(store.content, "a")
    store.content.put_manifest(image_documents("a")[2], "latest")

    store.check_name(JOB_NAME)

    assert store.versions() == ()
    assert store.previous([LATEST]) == ()
    with pytest.raises(StoreError, match="not a job version"):
        store.load("latest")


def test_the_images_of_previous_versions_come_in_the_order_of_their_tags(store: JobStore) -> None:
    save(store, spec(platforms=(AMD64, ARM64)), "latest")
    save(store, spec("b"), "main")

    found = fresh(store).previous([MAIN, Tag("absent"), LATEST, MAIN])

    assert [manifest.descriptor.digest for manifest in found] == [
        image_documents("b", AMD64)[2].descriptor.digest,
        image_documents("a", AMD64)[2].descriptor.digest,
        image_documents("a", ARM64)[2].descriptor.digest,
    ]


def test_a_previous_image_comes_with_the_list_of_its_wheels(store: JobStore) -> None:
    listed = put(store.content, b'{"wheels":[]}', WHEELS)
    image = naming_wheels(put_image(store.content, "a"), listed)
    save(store, replace(spec(), images=(image,)), "latest")

    (found,) = fresh(store).previous([LATEST])

    assert wheels_of(found.descriptor) == listed
    check_complete(store.content)


def test_a_version_holds_the_list_of_its_wheels(store: JobStore) -> None:
    """Named by the job manifest, so that no registry and no collection takes it away."""
    listed = put(store.content, b'{"wheels":[]}', WHEELS)
    image = naming_wheels(put_image(store.content, "a"), listed)
    saved = save(store, replace(spec(), images=(image,)), "latest")

    assert saved.job
    job = store.content.get_manifest(saved.job.digest)
    assert job
    assert listed.digest in [layer.digest for layer in job.layers()]
    assert fresh(store).find(LATEST) == saved


def test_nothing_is_previous_in_an_empty_repository(store: JobStore) -> None:
    assert store.previous([LATEST, MAIN]) == ()
    assert store.previous([]) == ()


def test_attestations_are_part_of_the_version(store: JobStore) -> None:
    put_image(store.content, "a")
    put_image(store.content, "attestation")
    statement = replace(image_documents("attestation")[2].descriptor, platform=UNKNOWN_PLATFORM)

    recorded = store.record(replace(spec(), attestations=(statement,)))
    store.point(recorded.version, [LATEST])

    assert fresh(store).load("latest").attestations == (statement,)
    assert fresh(store).load("latest").images == spec().images
