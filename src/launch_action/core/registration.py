"""What W&B is given of a job version: the artifacts that W&B Launch reads, as files and facts.

The blueprint is the job in the form that Launch builds of; the image job is its image by digest,
which an agent of a queue starts without a builder and without a login at the git server. Source of
the form: the W&B SDK 0.31 (`sdk/launch/create_job.py`, `apis/public/jobs.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from launch_action.core.aliases import wandb_aliases
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import StoreError
from launch_action.core.job import CodeSource, ImageSource, JobDocument, artifact_name, read_job
from launch_action.core.names import safe_name
from launch_action.core.reference import Tag
from launch_action.core.version import (
    DOCUMENT_TITLE,
    FROZEN_TITLE,
    PATCH_TITLE,
    SCHEMA_TITLE,
    JobFiles,
)

Register = Literal["blueprint", "image", "both", "off"]
# Where the identifier comes that the server gives to the code; no document has these words.
CODE_ID = "launch-action:code-id"
CODE_ADDRESS = f"wandb-artifact://_id/{CODE_ID}"
# What the values are called that `wandb.config` has, in the metadata of a job.
_CONFIG = "@wandb.config"


@dataclass(frozen=True, slots=True)
class WandbArtifact:
    """An artifact to be uploaded; `files` are its content by path, those of code come later.

    Where `code` is true its document has CODE_ID in the place of the code's identifier.
    """

    kind: Literal["job", "code"]
    name: str
    role: Literal["blueprint", "image", "code"]
    description: str
    metadata: Mapping[str, Any]
    aliases: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = ()
    code: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """A recorded job version, as far as W&B is told of it.

    `job` is the version as `repository@digest` where others can reach it, else empty; `image` is
    that of its image, empty where no agent could pull one.
    """

    job_name: str
    commit: str
    build_key: str
    files: JobFiles
    aliases: tuple[Tag, ...]
    job: str = ""
    image: str = ""
    description: str = ""


def artifacts(of: Registration, what: Register) -> tuple[WandbArtifact, ...]:
    """The artifacts to upload, in their order: code, then the blueprint, then the image job.

    Raises StoreError for a document that cannot be read, and where an image is lacking.
    """
    document = read_job(of.files.document, of.job or of.job_name)
    if isinstance(document.source, ImageSource):
        # The job is an image as it is: there is one form of it.
        return () if what == "off" else (_blueprint(of, document),)
    found = []
    if what in ("blueprint", "both"):
        if isinstance(document.source, CodeSource):
            found.append(_code(of, document))
        found.append(_blueprint(of, document))
    if what in ("image", "both"):
        found.append(_image_job(of, document))
    return tuple(found)


def asked_name(job_name: str, what: Register, *, is_image: bool = False) -> str:
    """The name of the job that W&B is asked about first; `is_image` of a job that is an image."""
    return image_job_name(job_name) if what == "image" and not is_image else job_name


def image_job_name(job_name: str) -> str:
    """The name of a job's image job.

    >>> image_job_name("hello")
    'hello-image'
    """
    return safe_name(f"{job_name}-image")


def _blueprint(of: Registration, document: JobDocument) -> WandbArtifact:
    data = of.files.document
    is_code = isinstance(document.source, CodeSource)
    if is_code:
        changed = json.loads(data)
        changed["source"]["artifact"] = CODE_ADDRESS
        data = (json.dumps(changed, indent=4) + "\n").encode("ascii")
    files = [(DOCUMENT_TITLE, data), *_other_files(of.files)]
    if of.files.patch:
        files.append((PATCH_TITLE, of.files.patch))
    return _job(of, of.job_name, "blueprint", tuple(files), code=is_code)


def _image_job(of: Registration, document: JobDocument) -> WandbArtifact:
    if not of.image:
        raise StoreError(
            f"job {of.job_name!r} has no image that an agent could pull",
            hint="build it into a registry: launch-action build --image REPOSITORY",
        )
    image = JobDocument(
        source=ImageSource(of.image),
        entrypoint=document.entrypoint,
        input_types=document.input_types,
        output_types=document.output_types,
        own={**document.own, "blueprint": of.job_name},
        services=document.services,
    )
    files = ((DOCUMENT_TITLE, image.render()), *_other_files(of.files))
    return _job(of, image_job_name(of.job_name), "image", files)


def _other_files(files: JobFiles) -> tuple[tuple[str, bytes], ...]:
    """The requirements, which W&B's readers copy whatever is in them; and the schema.

    The schema is in the metadata as well, which W&B does not count as content: as a file it makes
    a version of its own.
    """
    found = [(FROZEN_TITLE, files.frozen)]
    return (*found, (SCHEMA_TITLE, files.schema)) if files.schema else tuple(found)


def _job(
    of: Registration,
    name: str,
    role: Literal["blueprint", "image"],
    files: tuple[tuple[str, bytes], ...],
    *,
    code: bool = False,
) -> WandbArtifact:
    return WandbArtifact(
        kind="job",
        name=name,
        role=role,
        description=of.description,
        metadata=_metadata(of),
        aliases=wandb_aliases(of.aliases),
        files=files,
        code=code,
    )


def _metadata(of: Registration) -> dict[str, Any]:
    """W&B's own keys, and where the version is: `_partial` stays where there is a schema too."""
    schema = of.files.schema
    schemas = {"input_schemas": {_CONFIG: json.loads(schema)}} if schema else {}
    known = {"job": of.job, "image": of.image, "commit": of.commit, "build_key": of.build_key}
    own = {name: value for name, value in known.items() if value}
    return {"_partial": True, **schemas, "launch_action": own}


def _code(of: Registration, document: JobDocument) -> WandbArtifact:
    assert isinstance(document.source, CodeSource)  # noqa: S101  # the caller's condition
    name = artifact_name(document.source.artifact) or safe_name(f"code-{of.job_name}")
    entrypoint = document.entrypoint[-1] if document.entrypoint else ""
    return WandbArtifact(
        kind="code",
        name=name,
        role="code",
        description="Code artifact for job",
        metadata={"codePath": document.source.build_context or ".", "entrypoint": entrypoint},
        aliases=wandb_aliases(of.aliases),
    )
