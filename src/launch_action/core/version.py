"""The documents of a job version: index and job manifest, made and read.

One OCI image index is one job version. Format: OCI image specification 1.1 (image-index.md, and
manifest.md, "Guidelines for Artifact Usage"); the same VersionSpec gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlsplit

from launch_action.core.artifact import make_artifact, make_plain
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError, RegistryError, StoreError
from launch_action.core.image import (
    MANIFEST_TYPES,
    OCI_INDEX,
    UNKNOWN_PLATFORM,
    Descriptor,
    Manifest,
    Platform,
)
from launch_action.core.reference import Digest
from launch_action.core.tags import key_tag

# What stands for an empty file: a blob of no bytes is refused by ECR and Artifact Registry.
NO_TEXT = b"\n"
FORMAT = "1"
JOB_ARTIFACT = "application/vnd.launch-action.job.v1+json"
WANDB_JOB = "application/vnd.wandb.job.v0+json"
FROZEN = "text/plain; charset=utf-8"
SCHEMA = "application/schema+json"
WHEELS = "application/vnd.launch-action.wheels.v1+json"
DOCUMENT_TITLE = "wandb-job.json"
FROZEN_TITLE = "requirements.frozen.txt"
SCHEMA_TITLE = "input-schema.json"
CODE_TITLE = "code.tar.gz"
PATCH = "text/x-diff; charset=utf-8"
PATCH_TITLE = "diff.patch"
WHEELS_TITLE = "wheels.json"

TITLE = "org.opencontainers.image.title"
_SOURCE = "org.opencontainers.image.source"
_REVISION = "org.opencontainers.image.revision"
_CREATED = "org.opencontainers.image.created"
_FORMAT = "dev.launch-action.version"
_JOB_NAME = "dev.launch-action.job.name"
_BUILD_KEY = "dev.launch-action.build.key"
# Marks the job manifest in the index. Not by the descriptor's `artifactType`: tools that know OCI
# 1.0 write the index anew without that property when they copy it, which would change the digest.
_KIND = "dev.launch-action.kind"
_JOB = "job"
# At an image in the index: digest and size of the list of its wheels, which the job manifest names.
_WHEELS = "dev.launch-action.wheels"
# Beside it and in the list's own descriptor: what was built from source, as `name==version`.
BUILT = "dev.launch-action.built"

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The content of a job manifest; `code` names the archive of a code job, which is stored.

    `patch` is what a run's checkout had changed of its commit, as `git diff` writes it.
    """

    document: bytes
    frozen: bytes
    schema: bytes | None = None
    code: Descriptor | None = None
    patch: bytes | None = None


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """What a job version is to say and to name.

    `created` is the commit's time, `2024-05-01T12:00:00Z`. `remote` and `commit` are empty where
    the source has none, `build_key` (64 hexadecimal digits) and `images` where nothing was built.
    `frozen` names the frozen requirements where they are stored, in place of those of `files`.
    """

    job_name: str
    remote: str
    commit: str
    created: str
    build_key: str
    images: tuple[Descriptor, ...]
    files: JobFiles
    attestations: tuple[Descriptor, ...] = ()
    frozen: Descriptor | None = None


@dataclass(frozen=True, slots=True)
class JobVersion:
    """A recorded job version. `images` have a platform each; `job` names the job manifest."""

    digest: Digest
    index: Manifest
    job_name: str
    remote: str
    commit: str
    created: str
    build_key: str
    images: tuple[Descriptor, ...]
    job: Descriptor | None
    attestations: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """The documents of a version, in the order in which they have to be stored."""

    blobs: tuple[tuple[Descriptor, bytes], ...]
    job: Manifest
    index: Manifest


def make_version(spec: VersionSpec, *, plain: bool = False) -> MadeVersion:
    """The documents of a version. Raises StoreError when it cannot be recorded as it is.

    `plain` is for registries that take no media types but their own.
    """
    _check(spec)
    annotations = _annotations(spec)
    layers = (*_layers(spec), *_wheel_lists(spec.images))
    files = [layer for layer, _ in layers]
    config, job = (
        make_plain(files, annotations) if plain else make_artifact(JOB_ARTIFACT, files, annotations)
    )
    blobs = (config, *((layer, data) for layer, data in layers if data is not None))
    entries = (
        *sorted(spec.images, key=_platform),
        replace(job.descriptor, platform=UNKNOWN_PLATFORM, annotations={_KIND: _JOB}),
        *spec.attestations,
    )
    index = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [entry.document() for entry in entries],
            "annotations": annotations,
        }
    )
    return MadeVersion(blobs, job, index)


def read_version(index: Manifest) -> JobVersion:
    """Read a job version's index; unknown keys are skipped. Raises StoreError when it is none."""
    digest = index.descriptor.digest
    try:
        found, entries = index.annotations(), index.entries()
    except RegistryError as error:
        raise StoreError(error.message, hint=error.hint) from error
    if not index.is_index or _FORMAT not in found or not found.get(_JOB_NAME):
        raise StoreError(
            f"{digest} is not a job version", hint="name an alias that `launch-action job list` has"
        )
    if found[_FORMAT] != FORMAT:
        raise StoreError(
            f"job version {digest} has format {found[_FORMAT]!r}, known is {FORMAT!r}",
            hint="update launch-action",
        )
    jobs = tuple(entry for entry in entries if entry.annotations.get(_KIND) == _JOB)
    images = tuple(entry for entry in entries if _is_image(entry))
    return JobVersion(
        digest=digest,
        index=index,
        job_name=found[_JOB_NAME],
        remote=found.get(_SOURCE, ""),
        commit=found.get(_REVISION, ""),
        created=found.get(_CREATED, ""),
        build_key=found.get(_BUILD_KEY, ""),
        images=images,
        job=jobs[0] if jobs else None,
        attestations=tuple(entry for entry in entries if entry not in (*images, *jobs)),
    )


def naming_wheels(image: Descriptor, wheels: Descriptor | None) -> Descriptor:
    """An image as an index names it, with where the list of its wheels is."""
    if wheels is None:
        return image
    named = {_WHEELS: f"{wheels.digest} {wheels.size}"}
    built = wheels.annotations.get(BUILT)
    return image.annotated({**image.annotations, **named, **({BUILT: built} if built else {})})


def wheels_of(image: Descriptor) -> Descriptor | None:
    """The list of the wheels in an image of an index; None where none is named."""
    digest, _, size = image.annotations.get(_WHEELS, "").partition(" ")
    try:
        found = Descriptor(WHEELS, Digest(digest), int(size)) if size.isdecimal() else None
    except InputError:
        return None
    built = image.annotations.get(BUILT)
    return found.annotated({BUILT: built}) if found and built else found


def built_of(images: Iterable[Descriptor]) -> tuple[str, ...]:
    """What of these images was built from source and may come out otherwise, as `name==version`."""
    return tuple(sorted({x for one in images for x in one.annotations.get(BUILT, "").split()}))


def _check(spec: VersionSpec) -> None:
    if not spec.job_name:
        raise StoreError("a job version needs a job name", hint="name it with --job-name")
    if not _is_utc(spec.created):
        raise StoreError(
            f"not a time in UTC: {spec.created!r}", hint="write it as 2024-05-01T12:00:00Z"
        )
    if spec.build_key:
        key_tag(spec.build_key)
    if "://" in spec.remote and _has_credential(spec.remote):
        raise StoreError(
            f"the remote of job {spec.job_name!r} carries a credential",
            hint="take user and password out of it: `git remote set-url origin URL`",
        )
    platforms = [_platform(image) for image in spec.images]
    if len(set(platforms)) != len(platforms):
        raise StoreError(
            f"several images of one platform: {', '.join(map(str, platforms))}",
            hint="a job version has one image per platform",
        )


def _is_utc(text: str) -> bool:
    """Whether this is the one spelling of a moment: another spelling would be another digest."""
    try:
        return datetime.fromisoformat(text).strftime(_TIME) == text
    except ValueError:
        return False


def _has_credential(remote: str) -> bool:
    try:
        parts = urlsplit(remote)
    except ValueError:
        return "@" in remote
    return parts.password is not None or (parts.username is not None and parts.scheme != "ssh")


def _platform(image: Descriptor) -> Platform:
    if image.platform is None or image.platform == UNKNOWN_PLATFORM:
        raise StoreError(
            f"image {image.digest} has no platform", hint="name the platform it was built for"
        )
    return image.platform


def _annotations(spec: VersionSpec) -> dict[str, str]:
    found = {
        _BUILD_KEY: spec.build_key,
        _JOB_NAME: spec.job_name,
        _FORMAT: FORMAT,
        _CREATED: spec.created,
        _REVISION: spec.commit,
        _SOURCE: spec.remote,
    }
    return {key: value for key, value in found.items() if value}


def _layers(spec: VersionSpec) -> tuple[tuple[Descriptor, bytes | None], ...]:
    """The layers of a job manifest; None where the blob is stored already."""
    files, frozen = spec.files, spec.frozen
    layers = [_text(DOCUMENT_TITLE, WANDB_JOB, files.document)]
    if frozen is not None:
        layers.append((frozen.annotated({TITLE: FROZEN_TITLE}), None))
    else:
        layers.append(_text(FROZEN_TITLE, FROZEN, files.frozen))
    if files.schema is not None:
        layers.append(_text(SCHEMA_TITLE, SCHEMA, files.schema))
    if files.patch is not None:
        layers.append(_text(PATCH_TITLE, PATCH, files.patch))
    if files.code:
        layers.append((files.code.annotated({TITLE: CODE_TITLE, **files.code.annotations}), None))
    return tuple(layers)


def _text(title: str, kind: str, data: bytes) -> tuple[Descriptor, bytes | None]:
    data = data or NO_TEXT
    return Descriptor.of(data, kind).annotated({TITLE: title}), data


def _wheel_lists(images: tuple[Descriptor, ...]) -> tuple[tuple[Descriptor, None], ...]:
    """The lists of wheels of the images: named here, so that a registry keeps them."""
    named = filter(None, map(wheels_of, sorted(images, key=_platform)))
    found = {one.digest: one.annotated({TITLE: WHEELS_TITLE}) for one in named}
    return tuple((one, None) for one in found.values())


def _is_image(entry: Descriptor) -> bool:
    return entry.media_type in MANIFEST_TYPES and entry.platform not in (None, UNKNOWN_PLATFORM)
