"""Tombstones: what stands in the place of a removed alias, or marks a version that is to go."""

from __future__ import annotations

from launch_action.core.artifact import make_artifact
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.image import EMPTY, Manifest
from launch_action.core.reference import Digest, Tag

TOMBSTONE_ARTIFACT = "application/vnd.launch-action.tombstone.v1+json"
_NONCE = "dev.launch-action.nonce"
_GOING = "dev.launch-action.going"


def make_tombstone(nonce: str, of: str = "") -> Manifest:
    """What stands in the place of a removed alias; `nonce` makes it unlike every other one.

    `of` is the digest of a version that is about to be removed, which it marks then.
    """
    annotations = {_NONCE: nonce, **({_GOING: of} if of else {})}
    return make_artifact(TOMBSTONE_ARTIFACT, [EMPTY], annotations)[1]


def is_tombstone(manifest: Manifest) -> bool:
    """Whether this manifest says that there is nothing."""
    try:
        return _NONCE in manifest.annotations()
    except RegistryError:
        return False


def tombstone_of(manifest: Manifest) -> Digest | None:
    """The version that a tombstone marks; None where it marks none."""
    try:
        text = manifest.annotations().get(_GOING, "")
        return Digest(text) if is_tombstone(manifest) else None
    except (RegistryError, InputError):
        return None


def going_tag(digest: Digest) -> Tag:
    """The hidden tag that marks a version which is about to be removed."""
    return Tag(f"going-{digest.hex[:32]}")
