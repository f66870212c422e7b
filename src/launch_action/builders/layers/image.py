"""The image around the layers: its config and its manifest, pure functions of what is in it.

Source of the formats: OCI image specification 1.1 (config.md, manifest.md). Nothing in them depends
on the commit, so that another commit with the same content has the same image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from launch_action.core.base import BaseFacts
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.image import (
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    Layer,
    Manifest,
    canonical,
)
from launch_action.core.reference import Digest

LAYER_KEY = "dev.launch-action.layer.key"
LAYER_ROLE = "dev.launch-action.layer.role"
LAYER_DIFF_ID = "dev.launch-action.layer.diff-id"
LAYER_PACKAGES = "dev.launch-action.layer.packages"
LAYER_CLAIMS = "dev.launch-action.layer.claims"
LAYER_MODULES = "dev.launch-action.layer.modules"
LAYER_TITLE = "org.opencontainers.image.title"
DEPENDENCIES_KEY = "dev.launch-action.dependencies.key"
# The exact Python that compiled the layers of bytecode.
BYTECODE = "dev.launch-action.bytecode.python"
LIBC = "dev.launch-action.libc"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

VENV = "opt/venv"
APP = "app"
HOME = "home/job"
JOB_UID = 1000
# Group 0 and group-writable, so that a cluster that picks a random user id may write there too.
JOB_GID = 0
USER = f"{JOB_UID}:{JOB_GID}"


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What the image says about itself, besides its layers."""

    entrypoint: tuple[str, ...]
    import_paths: tuple[str, ...]
    dependencies_key: str
    bytecode: str = ""


@dataclass(frozen=True, slots=True)
class MadeLayer:
    """A layer of ours with what it was made from.

    `packages` are requirement lines, sorted; `modules` is how many Python files a layer of wheels
    has, or -1 where that was not counted; `claims` are its places (`claims.py`).
    """

    layer: Layer
    key: str
    role: str
    title: str
    packages: tuple[str, ...] = ()
    modules: int = -1
    claims: tuple[str, ...] = ()

    def annotated(self) -> Descriptor:
        """The descriptor as a manifest names it: it carries what the layer was made from."""
        found = {
            LAYER_KEY: self.key,
            LAYER_ROLE: self.role,
            LAYER_DIFF_ID: str(self.layer.diff_id),
            LAYER_TITLE: self.title,
        }
        if self.modules >= 0:
            found[LAYER_MODULES] = str(self.modules)
        if self.claims:
            found[LAYER_CLAIMS] = "\n".join(self.claims)
        if self.packages:
            found[LAYER_PACKAGES] = "\n".join(self.packages)
        return self.layer.descriptor.annotated(found)


def read_layer(descriptor: Descriptor) -> MadeLayer | None:
    """The layer of ours that a manifest's descriptor names; None for a base's layer."""
    found = descriptor.annotations
    if not found.get(LAYER_KEY) or not found.get(LAYER_DIFF_ID):
        return None
    return MadeLayer(
        Layer(replace(descriptor, annotations={}), Digest(found[LAYER_DIFF_ID])),
        found[LAYER_KEY],
        found.get(LAYER_ROLE, ""),
        found.get(LAYER_TITLE, ""),
        tuple(filter(None, found.get(LAYER_PACKAGES, "").split("\n"))),
        _count(found.get(LAYER_MODULES, "")),
        tuple(filter(None, found.get(LAYER_CLAIMS, "").split("\n"))),
    )


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() else -1


def make_config(
    base: BaseFacts, base_layers: Sequence[Layer], made: Sequence[MadeLayer], spec: ImageSpec
) -> bytes:
    """The image config. `created` is the base's, so that it is a function of the content."""
    inherited = base.config
    config = dict(_object(inherited.get("config")))
    for key in ("Cmd", "Healthcheck", "OnBuild", "ArgsEscaped"):
        config.pop(key, None)
    config |= {
        "Env": _environment(_strings(config.get("Env")), spec),
        "User": USER,
        "WorkingDir": f"/{APP}",
        "Entrypoint": list(spec.entrypoint),
        "Labels": {
            **_object(config.get("Labels")),
            BASE_NAME: base.name,
            BASE_DIGEST: base.identity,
        },
    }
    document: dict[str, Any] = {"created": base.created, "architecture": base.platform.architecture}
    if base.platform.variant:
        document["variant"] = base.platform.variant
    document |= {
        "os": base.platform.os,
        "config": dict(sorted(config.items())),
        "rootfs": {"type": "layers", "diff_ids": _diff_ids(base_layers, made)},
        "history": _history(inherited.get("history"), len(base_layers), base.created, made),
    }
    return canonical(document)


def make_manifest(
    base: BaseFacts,
    base_layers: Sequence[Layer],
    made: Sequence[MadeLayer],
    config: bytes,
    spec: ImageSpec,
) -> Manifest:
    """The image manifest; its annotations name the base and the dependencies, never the commit."""
    layers = [layer.descriptor for layer in base_layers] + [one.annotated() for one in made]
    return Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor.of(config, OCI_CONFIG).document(),
            "layers": [layer.document() for layer in layers],
            "annotations": {
                DEPENDENCIES_KEY: spec.dependencies_key,
                LIBC: f"{base.libc} {base.libc_version}",
                BASE_DIGEST: base.identity,
                BASE_NAME: base.name,
                **({BYTECODE: spec.bytecode} if spec.bytecode else {}),
            },
        }
    )


def _diff_ids(base_layers: Iterable[Layer], made: Iterable[MadeLayer]) -> list[str]:
    return [str(layer.diff_id) for layer in base_layers] + [str(m.layer.diff_id) for m in made]


def _environment(inherited: Sequence[str], spec: ImageSpec) -> list[str]:
    """The base's environment with ours over it; W&B's defaults are PYTHONUNBUFFERED and SHELL."""
    found = dict(item.partition("=")[::2] for item in inherited)
    path = found.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    found |= {
        "PATH": f"/{VENV}/bin:{path}",
        "VIRTUAL_ENV": f"/{VENV}",
        "PYTHONUNBUFFERED": "1",
        "HOME": f"/{HOME}",
        # No entry in the base's passwd: getpass.getuser() and torch ask these first.
        "USER": "job",
        "LOGNAME": "job",
        "SHELL": found.get("SHELL", "/bin/sh"),
    }
    if spec.import_paths:
        found["PYTHONPATH"] = ":".join(spec.import_paths)
    return [f"{name}={value}" for name, value in found.items()]


def _history(
    inherited: object, base_layers: int, created: str, made: Sequence[MadeLayer]
) -> list[dict[str, Any]]:
    """The base's history as far as it fits its layers, then one line per layer of ours."""
    entries = [e for e in inherited if isinstance(e, dict)] if isinstance(inherited, list) else []
    if sum(not e.get("empty_layer") for e in entries) != base_layers:
        entries = [{"created": created, "created_by": "base image"}] * base_layers
    ours = [{"created": created, "created_by": f"launch-action: {one.title}"} for one in made]
    return entries + ours


def _object(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _strings(found: object) -> tuple[str, ...]:
    return tuple(str(item) for item in found) if isinstance(found, list) else ()
