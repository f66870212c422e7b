"""The job document: `wandb-job.json` in W&B's own format, written and read.

Source of the format: the W&B SDK 0.31 (`wandb job create` writes it, W&B Launch reads it). Our own
facts stand under one key that begins with `_`, which W&B's readers skip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, assert_never

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import RegistryError, StoreError
from launch_action.core.image import parse_object
from launch_action.core.reference import Digest

OWN_KEY = "_launch_action"
# W&B's own scheme stands for what lies on its server; ours lies beside the document.
ARTIFACT_SCHEME = "launch-action-artifact://"
# W&B's smallest reader that knows `dockerfile` and `build_context`, and every other document.
_VERSION_WITH_CONTEXT = "0.17.0"
_VERSION = "v0"
_ANY_KEYS: dict[str, Any] = {"wb_type": "typedDict", "params": {"type_map": {}}}


@dataclass(frozen=True, slots=True)
class GitSource:
    """A commit of a remote. `remote` is as recorded: without password or token.

    `base_image` is what W&B mounts the code into, and what it is built on here.
    """

    remote: str
    commit: str
    build_context: str = ""
    dockerfile: str = ""
    base_image: str = ""


@dataclass(frozen=True, slots=True)
class CodeSource:
    """A directory recorded as an artifact. `base_image` is as for a commit."""

    artifact: str
    build_context: str = ""
    dockerfile: str = ""
    base_image: str = ""


def at_digest(source: GitSource | CodeSource, digest: Digest) -> GitSource | CodeSource:
    """The source with its artifact named to the digest of its archive."""
    if isinstance(source, GitSource):
        return source
    return replace(source, artifact=f"{ARTIFACT_SCHEME}{source.artifact}@{digest}")


def artifact_name(artifact: str) -> str:
    """The name of an artifact that `at_digest` named; of another one, W&B's, nothing."""
    if not artifact.startswith(ARTIFACT_SCHEME):
        return ""
    return artifact.removeprefix(ARTIFACT_SCHEME).partition("@")[0]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An existing image, by digest; `args` follow its entry point."""

    image: str
    args: tuple[str, ...] = ()


Source = GitSource | CodeSource | ImageSource


@dataclass(frozen=True, slots=True)
class JobDocument:
    """What `wandb-job.json` says. `runtime` is the Python version `X.Y`, empty for image jobs.

    `services` are what an agent on Kubernetes starts beside it: `always` or `never` by name.
    """

    source: Source
    entrypoint: tuple[str, ...]
    runtime: str = ""
    input_types: Mapping[str, Any] = field(default_factory=lambda: dict(_ANY_KEYS))
    output_types: Mapping[str, Any] = field(default_factory=lambda: dict(_ANY_KEYS))
    own: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> bytes:
        """The document as W&B's SDK writes it: keys in its order, indented by 4."""
        document: dict[str, Any] = {
            "_version": _version(self.source),
            "_partial": _VERSION,
            "source_type": source_type(self.source),
            "source": _source_document(self.source, self.entrypoint),
            "input_types": dict(self.input_types),
            "output_types": dict(self.output_types),
            "runtime": self.runtime,
        }
        if self.services:
            document["services"] = dict(self.services)
        if self.own:
            document[OWN_KEY] = dict(self.own)
        return (json.dumps(document, indent=4) + "\n").encode("ascii")

    @property
    def images(self) -> tuple[tuple[str, Digest], ...]:
        """Platform and manifest digest of each recorded image."""
        found = self.own.get("images") or ()
        return tuple((str(i["platform"]), Digest(str(i["digest"]))) for i in found)


def source_type(source: Source) -> str:
    """W&B's word for the kind of source."""
    match source:
        case GitSource():
            return "repo"
        case CodeSource():
            return "artifact"
        case ImageSource():
            return "image"
        case _:
            assert_never(source)


def input_types(schema: bytes | None) -> Mapping[str, Any]:
    """W&B's type of the inputs: what their recorded schema says, else any keys."""
    if schema is None:
        return dict(_ANY_KEYS)
    # Imported where it is used: most jobs have no schema.
    from launch_action.core.schema_types import types_of_schema

    return types_of_schema(json.loads(schema))


def read_job(data: bytes, where: str) -> JobDocument:
    """Read a `wandb-job.json`, ours or W&B's. Raises StoreError naming `where`."""
    try:
        found = parse_object(data, f"wandb-job.json of {where}")
        source = found["source"]
        return JobDocument(
            source=_read_source(str(found["source_type"]), source),
            entrypoint=tuple(str(word) for word in source.get("entrypoint") or ()),
            runtime=str(found.get("runtime") or ""),
            input_types=dict(found.get("input_types") or {}),
            output_types=dict(found.get("output_types") or {}),
            own=dict(found.get(OWN_KEY) or {}),
            services=_read_services(found.get("services")),
        )
    except (KeyError, TypeError, AttributeError, ValueError, RegistryError) as error:
        raise StoreError(
            f"wandb-job.json of {where} cannot be read: {error!r}",
            hint="record the job again with `launch-action build`",
        ) from error


def _version(source: Source) -> str:
    match source:
        case GitSource() | CodeSource():
            return _VERSION_WITH_CONTEXT if source.build_context or source.dockerfile else _VERSION
        case ImageSource():
            return _VERSION
        case _:
            assert_never(source)


def _source_document(source: Source, entrypoint: tuple[str, ...]) -> dict[str, Any]:
    match source:
        case GitSource():
            git = {"remote": source.remote, "commit": source.commit}
            found: dict[str, Any] = {"git": git, "entrypoint": list(entrypoint), "notebook": False}
        case CodeSource():
            found = {"entrypoint": list(entrypoint), "notebook": False, "artifact": source.artifact}
        case ImageSource():
            entry = {"entrypoint": list(entrypoint)} if entrypoint else {}
            args = {"args": list(source.args)} if source.args else {}
            return {"image": source.image} | entry | args
        case _:
            assert_never(source)
    if source.build_context:
        found["build_context"] = source.build_context
    if source.dockerfile:
        found["dockerfile"] = source.dockerfile
    if source.base_image:
        found["base_image"] = source.base_image
    return found


def _read_services(found: Any) -> Mapping[str, str]:
    known = found if isinstance(found, dict) else {}
    return {str(name): str(policy) for name, policy in known.items()}


def _read_source(kind: str, found: Mapping[str, Any]) -> Source:
    context = str(found.get("build_context") or "")
    dockerfile = str(found.get("dockerfile") or "")
    base = str(found.get("base_image") or "")
    if kind == "repo":
        git = found["git"]
        return GitSource(str(git["remote"]), str(git["commit"]), context, dockerfile, base)
    if kind == "artifact":
        return CodeSource(str(found["artifact"]), context, dockerfile, base)
    if kind == "image":
        args = tuple(str(word) for word in found.get("args") or ())
        return ImageSource(str(found["image"]), args)
    message = f"unknown source_type {kind!r}"
    raise ValueError(message)
