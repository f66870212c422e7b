"""The tags of a store: aliases, which people see, and the hidden ones, which are its own."""

from __future__ import annotations

import hashlib
import re

from launch_action.core.errors import StoreError
from launch_action.core.reference import Tag

_BUILD_KEY_TEXT = re.compile(r"[0-9a-f]{64}")
# `buildcache` is where a builder keeps its cache when nothing else is said.
# Runs are noted at `sha256-<version>.run`, rows of reports as `core.notes` says, who moved an alias
# as `core.turns` says, and what is to be removed is marked as `core.tombstone` says.
_HIDDEN = re.compile(
    r"key-[0-9a-f]{32}|going-[0-9a-f]{32}|sha256-[0-9a-f]{64}.*|report-pr-[0-9]+-[0-9a-f]{16}"
    r"|turn-[0-9a-f]{16}-[0-9]|buildcache",
    re.DOTALL,
)
_UNTAGGABLE = re.compile(r"[^A-Za-z0-9._-]")
_MAX_TAG = 128


def alias_tag(text: str) -> Tag:
    """A branch or another free name as an alias; a hash stands in where nothing usable is left.

    >>> alias_tag("feature/x")
    'feature-x'
    """
    tag = _UNTAGGABLE.sub("-", text).lstrip(".-")
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    # A branch must not be able to take the place of the store's own tags.
    if not tag or hidden(tag):
        return Tag(f"alias-{digest}")
    if len(tag) > _MAX_TAG:
        return Tag(f"{tag[: _MAX_TAG - 9]}-{digest}")
    return Tag(tag)


def key_tag(build_key: str) -> Tag:
    """The hidden tag under which a build key is found. Raises StoreError for anything else."""
    if not _BUILD_KEY_TEXT.fullmatch(build_key):
        raise StoreError(
            f"not a build key: {build_key!r}", hint="a build key is 64 hexadecimal digits"
        )
    return Tag(f"key-{build_key[:32]}")


def hidden(tag: str) -> bool:
    """Whether a tag is no alias: a build key's, a note, a mark, a cache, another tool's own."""
    return _HIDDEN.fullmatch(tag) is not None
