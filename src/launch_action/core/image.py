"""Image documents: descriptors, platforms, manifests, configs, and their one JSON spelling.

Source of the formats: OCI image specification 1.1 (descriptor.md, manifest.md, image-index.md,
config.md) and, for reading only, Docker image manifest version 2, schema 2.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.reference import Digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "amd64": "amd64"}


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """What an image runs on, as OCI names it: `linux/amd64`, `linux/arm64/v8`."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/arch[/variant]`, with machine names (x86_64) too. Raises InputError."""
        os_name, _, rest = text.strip().lower().partition("/")
        architecture, _, variant = rest.partition("/")
        if not os_name or not architecture or "/" in variant:
            raise InputError(
                f"not a platform: {text!r}", hint="write os/architecture, as in linux/amd64"
            )
        return cls(os_name, _ARCHITECTURES.get(architecture, architecture), variant)

    def accepts(self, other: Platform) -> bool:
        """Whether an image of platform `other` serves; arm64 is arm64/v8."""
        mine, theirs = (
            p.variant or ("v8" if p.architecture == "arm64" else "") for p in (self, other)
        )
        return (self.os, self.architecture, mine) == (other.os, other.architecture, theirs)

    def document(self) -> dict[str, str]:
        """The `platform` object of an index entry."""
        found = {"architecture": self.architecture, "os": self.os}
        return found | ({"variant": self.variant} if self.variant else {})

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}" + (f"/{self.variant}" if self.variant else "")


UNKNOWN_PLATFORM = Platform("unknown", "unknown")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Names content by digest. `size` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Descriptor:
        """The descriptor of these bytes."""
        return cls(media_type, digest_of(data), len(data))

    @classmethod
    def read(cls, found: Any) -> Descriptor:
        """Read a descriptor object of a manifest or index. Raises RegistryError on nonsense."""
        try:
            platform = found.get("platform")
            return cls(
                media_type=str(found["mediaType"]),
                digest=Digest(str(found["digest"])),
                size=int(found["size"]),
                annotations={str(k): str(v) for k, v in (found.get("annotations") or {}).items()},
                platform=platform and _read_platform(platform),
                artifact_type=str(found.get("artifactType") or ""),
            )
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            raise RegistryError(
                f"not an OCI descriptor: {json.dumps(found, default=str)[:200]}",
                hint="the manifest was not written by an OCI tool; name another image",
            ) from error

    def annotated(self, annotations: Mapping[str, str]) -> Descriptor:
        """The same content with these annotations, and none else."""
        return replace(self, annotations=dict(annotations))

    def document(self) -> dict[str, Any]:
        """The descriptor as a JSON object, keys in the specification's order."""
        found: dict[str, Any] = {"mediaType": self.media_type}
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        found |= {"digest": str(self.digest), "size": self.size}
        if self.annotations:
            found["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform:
            found["platform"] = self.platform.document()
        return found


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: what the manifest names, and the digest of its uncompressed tar (`diff_id`)."""

    descriptor: Descriptor
    diff_id: Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stored manifest or index: the bytes that its digest is of, and how they read."""

    descriptor: Descriptor
    data: bytes

    @classmethod
    def make(cls, document: Mapping[str, Any]) -> Manifest:
        """The manifest that this document is; its media type is the document's own."""
        data = canonical(document)
        return cls(Descriptor.of(data, str(document["mediaType"])), data)

    def document(self) -> dict[str, Any]:
        """The parsed document. Raises RegistryError when it is not a JSON object."""
        return parse_object(self.data, f"manifest {self.descriptor.digest}")

    @property
    def is_index(self) -> bool:
        return self.descriptor.media_type in INDEX_TYPES

    def entries(self) -> tuple[Descriptor, ...]:
        """An index's manifests, in order; empty for an image manifest."""
        return _descriptors(self.document().get("manifests"), self.descriptor)

    def layers(self) -> tuple[Descriptor, ...]:
        """An image manifest's layers, lowest first; empty for an index."""
        return _descriptors(self.document().get("layers"), self.descriptor)

    def config(self) -> Descriptor:
        """An image manifest's config. Raises RegistryError when it has none."""
        return Descriptor.read(self.document().get("config"))

    def annotations(self) -> dict[str, str]:
        """The annotations of the document itself."""
        found = self.document().get("annotations")
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def canonical(document: Any) -> bytes:
    """The one spelling of a JSON document that we write: compact, UTF-8, keys in given order."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object that came from outside. Raises RegistryError naming `what`."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RegistryError(
            f"{what} is not JSON: {data[:80]!r}", hint="check that the address is a registry's"
        ) from error
    if not isinstance(found, dict):
        raise RegistryError(
            f"{what} is not a JSON object: {data[:80]!r}",
            hint="check that the address is a registry's",
        )
    return found


def digest_of(data: bytes) -> Digest:
    """The sha256 digest of these bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def fingerprint(*parts: object) -> str:
    """64 hexadecimal digits that identify a sequence of JSON values, unambiguous at the joints."""
    text = json.dumps(parts, separators=(",", ":"), sort_keys=True, ensure_ascii=True, default=list)
    return hashlib.sha256(text.encode("ascii", "strict")).hexdigest()


def _descriptors(found: Any, where: Descriptor) -> tuple[Descriptor, ...]:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise RegistryError(
            f"manifest {where.digest} has no list of descriptors",
            hint="the manifest was not written by an OCI tool; name another image",
        )
    return tuple(Descriptor.read(entry) for entry in found)


def _read_platform(found: Mapping[str, Any]) -> Platform:
    return Platform(
        str(found.get("os", "unknown")),
        str(found.get("architecture", "unknown")),
        str(found.get("variant") or ""),
    )


EMPTY = Descriptor.of(b"{}", OCI_EMPTY)
