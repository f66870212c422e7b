"""The documents of a job version and its tags."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.versions import AMD64, ARM64, COMMIT, JOB_NAME, image_documents, spec

from launch_action.core.errors import StoreError
from launch_action.core.image import (
    EMPTY,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    UNKNOWN_PLATFORM,
    Descriptor,
    Manifest,
)
from launch_action.core.tombstone import is_tombstone, make_tombstone
from launch_action.core.version import (
    JOB_ARTIFACT,
    TITLE,
    WHEELS,
    make_version,
    naming_wheels,
    read_version,
    wheels_of,
)


def test_the_same_recording_has_the_same_digest() -> None:
    assert make_version(spec()) == make_version(spec())


def test_the_digest_of_a_recording_never_changes_between_releases() -> None:
    """Stored versions are found again by digest: a change here needs a new format version."""
    images = tuple(
        Descriptor(OCI_MANIFEST, EMPTY.digest, 2, platform=platform) for platform in (ARM64, AMD64)
    )
    found = make_version(replace(spec(schema=b"{}"), images=images)).index

    assert found.descriptor.digest == (
        "sha256:a53fc711115b9ed72cb765d7639e349cdc478a0dd9317c2d9b689f873bdb85ea"
    )


def test_the_order_in_which_platforms_were_built_does_not_matter() -> None:
    one = make_version(spec(platforms=(AMD64, ARM64)))
    other = make_version(spec(platforms=(ARM64, AMD64)))

    assert one.index == other.index


@pytest.mark.parametrize(
    "other",
    [
        spec(commit="f" * 40),
        spec(created="2024-05-01T12:00:01Z"),
        spec(job_name="job-other"),
        spec("b"),
        spec(schema=b"{}"),
        replace(spec(), remote="https://github.com/acme/other.git"),
    ],
    ids=["commit", "created", "job name", "image", "schema", "remote"],
)
def test_everything_recorded_is_part_of_the_digest(other: object) -> None:
    assert isinstance(other, type(spec()))
    assert make_version(other).index.descriptor != make_version(spec()).index.descriptor


def test_an_index_names_the_images_first_then_the_job_then_attestations() -> None:
    attestation = Descriptor(OCI_MANIFEST, EMPTY.digest, 2, platform=UNKNOWN_PLATFORM)
    made = make_version(replace(spec(platforms=(ARM64, AMD64)), attestations=(attestation,)))

    entries = made.index.entries()

    assert [entry.platform for entry in entries] == [
        AMD64, ARM64, UNKNOWN_PLATFORM, UNKNOWN_PLATFORM,
    ]  # fmt: skip
    assert entries[2].digest == made.job.descriptor.digest
    assert entries[3] == attestation


def test_a_version_is_read_as_it_was_recorded() -> None:
    attestation = Descriptor(OCI_MANIFEST, EMPTY.digest, 2, platform=UNKNOWN_PLATFORM)
    wanted = replace(spec(platforms=(AMD64, ARM64)), attestations=(attestation,))
    made = make_version(wanted)

    version = read_version(made.index)

    assert version.digest == made.index.descriptor.digest
    assert version.job_name == JOB_NAME
    assert version.remote == wanted.remote
    assert version.commit == COMMIT
    assert version.created == wanted.created
    assert version.build_key == wanted.build_key
    assert version.images == wanted.images
    assert version.job is not None
    assert version.job.digest == made.job.descriptor.digest
    assert version.attestations == (attestation,)


def test_images_read_from_a_version_record_the_same_version_again() -> None:
    """Another commit with the same build key takes the images from the version that was found."""
    made = make_version(spec(platforms=(AMD64, ARM64)))

    again = replace(spec(platforms=(AMD64, ARM64)), images=read_version(made.index).images)

    assert make_version(again) == made


def test_the_job_manifest_is_an_artifact_with_titled_files() -> None:
    code = Descriptor.of(b"archive", OCI_LAYER_GZIP)
    made = make_version(spec(schema=b'{"type": "object"}', code=code))

    document = made.job.document()

    assert document["artifactType"] == JOB_ARTIFACT
    assert document["config"] == EMPTY.document()
    assert [(layer.media_type, layer.annotations[TITLE]) for layer in made.job.layers()] == [
        ("application/vnd.wandb.job.v0+json", "wandb-job.json"),
        ("text/plain; charset=utf-8", "requirements.frozen.txt"),
        ("application/schema+json", "input-schema.json"),
        (OCI_LAYER_GZIP, "code.tar.gz"),
    ]


def test_the_blobs_are_all_that_the_job_manifest_names_but_the_code_archive() -> None:
    code = Descriptor.of(b"archive", OCI_LAYER_GZIP)
    made = make_version(spec(schema=b"{}", code=code))

    stored = {descriptor.digest for descriptor, _ in made.blobs}

    named = {made.job.config().digest, *(layer.digest for layer in made.job.layers())}
    assert named - stored == {code.digest}
    assert all(Descriptor.of(data, "").digest == found.digest for found, data in made.blobs)


def test_a_job_without_image_is_an_index_of_the_job_manifest_alone() -> None:
    version = read_version(make_version(spec(platforms=())).index)

    assert version.images == ()
    assert version.build_key == ""
    assert version.job is not None


def test_what_is_empty_is_not_annotated() -> None:
    made = make_version(replace(spec(platforms=()), remote="", commit=""))

    assert not [key for key, value in made.index.annotations().items() if not value]
    assert read_version(made.index).commit == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(spec(), created="2024-05-01"), "not a time in UTC"),
        (replace(spec(), created="2024-5-1T12:00:00Z"), "not a time in UTC"),
        (replace(spec(), created="2024-05-01T12:00:00+02:00"), "not a time in UTC"),
        (replace(spec(), build_key="abc"), "not a build key: 'abc'"),
        (replace(spec(), job_name=""), "needs a job name"),
        (
            replace(spec(), images=(Descriptor(OCI_MANIFEST, EMPTY.digest, 2),)),
            "no platform",
        ),
        (
            replace(spec(), images=spec().images * 2),
            "several images of one platform",
        ),
    ],
)
def test_a_recording_that_makes_no_sense_is_refused(wrong: object, said: str) -> None:
    assert isinstance(wrong, type(spec()))
    with pytest.raises(StoreError, match=said):
        make_version(wrong)


@pytest.mark.parametrize(
    "remote",
    [
        "https://bot:hunter2@github.com/a/b",
        "https://hunter2@github.com/a/b",
        "ssh://git:hunter2@h/a",
    ],
)
def test_a_remote_with_a_credential_is_refused_without_showing_it(remote: str) -> None:
    with pytest.raises(StoreError) as caught:
        make_version(replace(spec(), remote=remote))

    assert "hunter2" not in caught.value.message + caught.value.hint


def test_the_user_of_an_ssh_remote_is_no_credential() -> None:
    made = make_version(replace(spec(), remote="ssh://git@github.com/acme/mono.git"))

    assert read_version(made.index).remote == "ssh://git@github.com/acme/mono.git"


def test_unknown_keys_of_an_index_are_skipped() -> None:
    document = make_version(spec()).index.document()
    document["annotations"] |= {"com.example.extra": "1"}
    document["future"] = {"x": [1]}
    document["manifests"][0]["future"] = True

    assert read_version(Manifest.make(document)).job_name == JOB_NAME


def test_a_version_of_another_format_asks_for_an_update() -> None:
    document = make_version(spec()).index.document()
    document["annotations"]["dev.launch-action.version"] = "2"

    with pytest.raises(StoreError, match="has format '2', known is '1'") as caught:
        read_version(Manifest.make(document))
    assert "update" in caught.value.hint


def index_with(**changes: object) -> Manifest:
    return Manifest.make(make_version(spec()).index.document() | changes)


@pytest.mark.parametrize(
    "nonsense",
    [
        image_documents("a")[2],
        make_tombstone("n"),
        index_with(annotations={}),
        index_with(annotations=None),
        index_with(annotations=["x"]),
        index_with(manifests={"a": 1}),
        index_with(manifests=[{"digest": "sha256:short"}]),
        index_with(manifests=["x"]),
        Manifest(Descriptor.of(b"[]", OCI_INDEX), b"[]"),
        Manifest(Descriptor.of(b"\xff", OCI_INDEX), b"\xff"),
        Manifest(Descriptor.of(b"[" * 100_000, OCI_INDEX), b"[" * 100_000),
    ],
)
def test_what_is_no_version_is_a_store_error(nonsense: Manifest) -> None:
    with pytest.raises(StoreError):
        read_version(nonsense)


def test_a_tombstone_is_known_and_unlike_every_other() -> None:
    one, other = make_tombstone("1"), make_tombstone("2")

    assert is_tombstone(one)
    assert one.descriptor.digest != other.descriptor.digest
    assert not is_tombstone(make_version(spec()).index)
    assert one.layers() == (EMPTY,)


def test_documents_are_compact_json() -> None:
    made = make_version(spec())

    assert (
        json.dumps(json.loads(made.index.data), separators=(",", ":")).encode() == made.index.data
    )


def test_lists_of_wheels_are_named_once_in_the_order_of_the_platforms() -> None:
    one, other = Descriptor.of(b"one", WHEELS), Descriptor.of(b"other", WHEELS)
    arm, amd = spec(platforms=(ARM64, AMD64)).images
    images = (naming_wheels(arm, other), naming_wheels(amd, one))

    made = make_version(replace(spec(), images=images))

    assert [d.digest for d in made.job.layers()[2:]] == [one.digest, other.digest]
    assert made.index == make_version(replace(spec(), images=images[::-1])).index
    both = make_version(replace(spec(), images=(naming_wheels(arm, one), naming_wheels(amd, one))))
    assert [d.digest for d in both.job.layers()[2:]] == [one.digest]


@pytest.mark.parametrize("text", ["", "sha256:1 2", "nonsense", f"{EMPTY.digest} -1"])
def test_a_damaged_name_of_a_list_of_wheels_is_none(text: str) -> None:
    image = spec().images[0].annotated({"dev.launch-action.wheels": text})

    assert wheels_of(image) is None
