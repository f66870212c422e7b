"""Short texts kept beside the versions of a store, each under a hidden tag of its own.

A note is an artifact manifest without files (OCI image specification 1.1, manifest.md, "Guidelines
for Artifact Usage") that has the text as an annotation, so that writing one takes two requests.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from typing import Any

from launch_action.core.artifact import make_artifact, make_plain, wants_plain
from launch_action.core.errors import RegistryError
from launch_action.core.image import EMPTY, Descriptor, Manifest
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Tag

RUN_NOTE = "application/vnd.launch-action.run.v1+json"
ROW_NOTE = "application/vnd.launch-action.row.v1+json"
USED_NOTE = "application/vnd.launch-action.used.v1+json"
_TEXT = "dev.launch-action.text"
_KIND = "dev.launch-action.note"
_TAG = "dev.launch-action.note.tag"
# Registries refuse manifests over 4 MiB, and some from 512 kB on.
LIMIT = 256 * 1024


def run_tag(version: Digest) -> Tag:
    """Where the run of a version is noted, with its metrics."""
    return Tag(f"sha256-{version.hex}.run")


def used_tag(version: Digest) -> Tag:
    """Where it is noted when a version was last used that no alias but its commit's names."""
    return Tag(f"sha256-{version.hex}.used")


def used_at(tag: str, manifest: Manifest) -> tuple[str, int] | None:
    """The digest of a version, and when it was used, in seconds since 1970; None for no such note.

    Its text is `note_use`'s.
    """
    found = re.fullmatch(r"sha256-([0-9a-f]{64})\.used", tag)
    text = note_text(manifest, USED_NOTE) if found else None
    whole = text is not None and text.isascii() and text.isdigit() and len(text) < 20
    return (f"sha256:{found[1]}", int(text)) if found and text and whole else None


def note_use(content: Content, version: Digest, now: int) -> None:
    """Have no sweep take a version for old, by seconds since 1970. Raises what the content raises.

    For a version whose run goes on, or which a later one keeps from its alias.
    """
    put_note(content, used_tag(version), USED_NOTE, str(now))


def row_tag(pull_request: int, workflow: str, key: str) -> Tag:
    """Where a leg of a workflow keeps its row of a pull request's report."""
    mine = hashlib.sha256(f"{workflow}\n{key}".encode()).hexdigest()[:16]
    return Tag(f"report-pr-{pull_request}-{mine}")


def preview_of(tag: str) -> int | None:
    """The number of the pull request whose preview an alias is; None for another alias."""
    found = re.fullmatch(r"pr-([0-9]+)", tag)
    return int(found[1]) if found else None


def row_of(tag: str) -> int | None:
    """The pull request whose row is kept under a tag; None for another tag."""
    found = re.fullmatch(r"report-pr-([0-9]+)-[0-9a-f]{16}", tag)
    return int(found[1]) if found else None


def put_note(content: Content, tag: Tag, kind: str, text: str) -> None:
    """Keep a text of at most `LIMIT` bytes. Raises what the content raises."""
    # With its tag a note is unlike every other one: to delete a manifest is to delete all its tags.
    annotations = {_KIND: kind, _TEXT: text, _TAG: tag}
    try:
        _put(content, tag, make_artifact(kind, [EMPTY], annotations))
    except RegistryError as error:
        if not wants_plain(error):
            raise
        _put(content, tag, make_plain([EMPTY], annotations))


def read_note(content: Content, tag: Tag, kind: str) -> str | None:
    """The text that is kept there; None for none. Raises what the content raises."""
    return note_text(content.get_manifest(tag), kind)


def note_text(found: Manifest | None, kind: str) -> str | None:
    """The text of a manifest that is a note of this kind; None for any other."""
    annotations: Mapping[str, Any] = found.annotations() if found else {}
    if annotations.get(_KIND) != kind:
        return None
    text = annotations.get(_TEXT)
    return text if isinstance(text, str) and len(text.encode()) <= LIMIT else None


def remove_note(content: Content, tag: Tag) -> bool:
    """Forget a note; False where there is none, or where the registry deletes nothing.

    Raises what the content raises.
    """
    found = content.get_manifest(tag)
    if found is None or _KIND not in found.annotations():
        return False
    return content.delete_tag(tag) or content.delete_manifest(found.descriptor.digest)


def _put(content: Content, tag: Tag, made: tuple[tuple[Descriptor, bytes], Manifest]) -> None:
    (config, data), manifest = made
    content.put_blob(EMPTY, lambda: io.BytesIO(b"{}"))
    if config != EMPTY:
        content.put_blob(config, lambda: io.BytesIO(data))
    content.put_manifest(manifest, tag)
