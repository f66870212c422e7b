"""Takes aliases and versions out of a store, and breaks nothing that is pushed at the same time.

A registry deletes a manifest with every tag of it, also one that was written a moment ago, and a
release may be about to name the very version that a cleanup has found unused. So a version that is
about to go is marked first, by a hidden tag; then all tags are read, the mark among them, and only
what no alias reaches is deleted; then the mark goes. Who moves an alias to a version that was there
before looks for its mark afterwards (`outlast`): where there was none yet, the alias is among the
tags that are read later; where there is one, the alias is written again when the mark is gone. Only
versions are deleted, never what they name: another version may be about to name the same image.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence

from launch_action.core.artifact import make_plain, wants_plain
from launch_action.core.concurrency import concurrently, pause
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RegistryError, StoreError
from launch_action.core.image import EMPTY, Descriptor, Manifest, digest_of
from launch_action.core.notes import remove_note, run_tag, used_tag
from launch_action.core.ports import Collecting, Content, Tagging
from launch_action.core.reference import Digest, Tag
from launch_action.core.tags import hidden, key_tag
from launch_action.core.tombstone import going_tag, is_tombstone, make_tombstone, tombstone_of
from launch_action.core.version import JobVersion, read_version

# Seconds that an alias's writer waits for a removal, which takes some after it has read the tags.
_PATIENCE = 20
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag with the manifest that it names; `version` where that is a job version."""

    tag: Tag
    manifest: Manifest
    version: JobVersion | None

    @property
    def digest(self) -> Digest:
        return self.manifest.descriptor.digest


@dataclass(frozen=True, slots=True)
class Doomed:
    """A version that is to go, and the aliases that go with it."""

    version: JobVersion
    aliases: tuple[Tag, ...]


def survey(content: Content) -> tuple[Tagged, ...]:
    """Every tag of a repository with what it names now. Raises what the content raises."""
    tags = [Tag(tag) for tag in content.tags()]
    found = concurrently(content.get_manifest, tags)
    return tuple(
        Tagged(tag, manifest, version_of(manifest))
        for tag, manifest in zip(tags, found, strict=True)
        if manifest
    )


class Removal:
    """Removals from one repository. Methods raise what the content raises.

    `nonce` must be another one for every removal: deleting a tombstone deletes all its tags.
    """

    def __init__(self, content: Content, nonce: str) -> None:
        self._content = content
        self._nonce = nonce
        self._tombstones = 0
        self._can_delete: bool | None = None

    def alias(self, tag: Tag, digest: Digest | None = None) -> bool:
        """Remove an alias, where it names this digest; False when it does not, or there is none."""
        found = self._content.get_manifest(tag)
        if found is None:
            return False
        if is_tombstone(found):  # an earlier removal was killed, or could not delete
            self._content.delete_manifest(found.descriptor.digest)
            return False
        if digest and found.descriptor.digest != digest:
            return False
        if not self._content.delete_tag(tag):
            self._put_blob((EMPTY, b"{}"))
            self._content.delete_manifest(self._put_tombstone(tag))
        return True

    def versions(self, doomed: Sequence[Doomed]) -> tuple[Doomed, ...]:
        """Delete versions that no alias reaches but those that go with them; returns what went.

        Hidden tags go with their version; that of a build key goes to another version of it.
        """
        gone: list[Doomed] = []
        for first in range(0, len(doomed), _BATCH):
            gone += self._batch(doomed[first : first + _BATCH])
        return tuple(gone)

    def finish(self, tagged: Iterable[Tagged]) -> None:
        """Complete what removals that were killed have left, as far as a survey shows it."""
        left = [one for one in tagged if is_tombstone(one.manifest)]
        if not left or not self.deletes():
            return
        for one in left:
            digest = tombstone_of(one.manifest)
            version = self._content.get_manifest(digest) if digest else None
            if version and (found := version_of(version)):
                self.versions([Doomed(found, ())])  # where nothing names it any more
            self._content.delete_manifest(one.digest)

    def deletes(self) -> bool:
        """Whether manifests can be deleted here; asked of one that nobody has."""
        if self._can_delete is None:
            unknown = digest_of(f"nobody's {self._nonce}".encode())
            known = isinstance(self._content, Collecting)
            self._can_delete = known or self._content.delete_manifest(unknown)
        return self._can_delete

    def _batch(self, doomed: Sequence[Doomed]) -> list[Doomed]:
        marked = self.deletes()
        if marked:
            self._put_blob(
                (EMPTY, b"{}")
            )  # once: docker-registry loses it where several do at once
            concurrently(lambda one: self._mark(one.version), doomed)
        tagged = survey(self._content)
        known = [one for one in doomed if not marked or _is_marked(tagged, one.version)]
        free = [one for one in known if set(_aliases(tagged, one.version)) <= set(one.aliases)]
        handed_on = self._hand_on_keys([one.version for one in free], tagged)
        deleted = concurrently(lambda one: self._content.delete_manifest(one.version.digest), free)
        left = [one for one, done in zip(free, deleted, strict=True) if not done]
        if not left and self._outlived(free, tagged, handed_on):
            left = free
        late = self._untag(left, tagged, handed_on) if left else set()
        if marked:
            concurrently(lambda one: self._unmark(one.version.digest), doomed)
        gone = [one.version for one in free if one.version.digest not in late]
        notes = [note(one.digest) for one in gone for note in (run_tag, used_tag)]
        remove_notes(self._content, notes)
        return [Doomed(one, _aliases(tagged, one)) for one in gone]

    def _outlived(
        self, free: Sequence[Doomed], tagged: Sequence[Tagged], handed_on: Collection[Tag]
    ) -> bool:
        """Whether tags stay here where their manifest was deleted (go-containerregistry's)."""
        gone = {one.version.digest for one in free}
        sample = next((t for t in tagged if t.digest in gone and t.tag not in handed_on), None)
        found = self._content.get_manifest(sample.tag) if sample else None
        return found is not None and found.descriptor.digest in gone

    def _untag(
        self, left: Sequence[Doomed], tagged: Sequence[Tagged], handed_on: Collection[Tag]
    ) -> set[Digest]:
        """Remove the tags of versions one by one, where they do not go with a manifest.

        Returns the versions that an alias reaches again, and gives those the tags back that every
        version has. Other aliases are last: killed before, the same removal finds them again.
        """
        removed: list[tuple[JobVersion, Tag]] = []
        for one in left:
            version, digest = one.version, one.version.digest
            mine = [t.tag for t in tagged if t.digest == digest and t.tag not in handed_on]
            for tag in sorted(mine, key=lambda tag: not _of_every_version(tag)):
                if self.alias(tag, digest):
                    removed.append((version, tag))
        after = survey(self._content)
        late = {one.version.digest for one in left if _aliases(after, one.version)}
        for version, tag in removed:
            if version.digest in late and _of_every_version(tag):
                self._content.put_manifest(version.index, tag)
        for one in left:
            if one.version.digest not in late:  # some delete only what has no tag
                self._content.delete_manifest(one.version.digest)
        return late

    def _hand_on_keys(
        self, going: Sequence[JobVersion], tagged: Iterable[Tagged]
    ) -> frozenset[Tag]:
        """Give each build key's tag to the newest version with it that stays, if there is one."""
        digests = {one.digest for one in going}
        staying = [t.version for t in tagged if t.version and t.digest not in digests]
        handed: set[Tag] = set()
        for key in {one.build_key for one in going if one.build_key}:
            heirs = [one for one in staying if one.build_key == key]
            if heirs:
                heir = max(heirs, key=lambda one: (one.created, one.digest))
                self._content.put_manifest(heir.index, key_tag(key))
                handed.add(key_tag(key))
        return frozenset(handed)

    def _mark(self, version: JobVersion) -> None:
        self._put_tombstone(going_tag(version.digest), str(version.digest))

    def _unmark(self, digest: Digest) -> None:
        tag = going_tag(digest)
        found = self._content.get_manifest(tag)
        if not found or not is_tombstone(found) or self._content.delete_tag(tag):
            return
        if not self._content.delete_manifest(found.descriptor.digest):
            self._put_tombstone(tag)  # which marks nothing: a mark that stays would hold pushers up

    def _put_tombstone(self, tag: Tag, of: str = "") -> Digest:
        """Move a tag to a tombstone of its own, whose blob is there; its digest."""
        self._tombstones += 1
        nonce = f"{self._nonce}-{tag}-{self._tombstones}"
        made = make_tombstone(nonce, of)
        try:
            self._content.put_manifest(made, tag)
        except RegistryError as error:
            if not wants_plain(error):
                raise
            config, made = make_plain([EMPTY], made.annotations())
            self._put_blob(config)
            self._content.put_manifest(made, tag)
        return made.descriptor.digest

    def _put_blob(self, blob: tuple[Descriptor, bytes]) -> None:
        self._content.put_blob(blob[0], lambda: io.BytesIO(blob[1]))


def remove_notes(content: Content, tags: Sequence[Tag]) -> None:
    """Forget notes that are kept under these tags. Raises what the content raises."""
    concurrently(lambda tag: remove_note(content, tag), tags)


def outlast(
    content: Content, version: JobVersion, moved: Sequence[Tag], wanted: Sequence[Tag]
) -> None:
    """See that tags which were just moved to a version stay, though it may be being removed.

    `wanted` are all that are to name it; one that names something else by now was moved by somebody
    else, and is left.
    """
    for _ in range(_PATIENCE):
        mark = content.get_manifest(going_tag(version.digest))
        if mark is None or tombstone_of(mark) is None:
            break
        pause(1)
    if not _absent(content, moved):
        return
    lost = _absent(content, wanted)
    if isinstance(content, Tagging):
        content.put_tagged(version.index, lost)
    else:
        concurrently(lambda tag: content.put_manifest(version.index, tag), lost)


def _absent(content: Content, tags: Sequence[Tag]) -> list[Tag]:
    """Those of the tags that name nothing."""
    pairs = zip(tags, concurrently(content.get_manifest, tags), strict=True)
    return [tag for tag, found in pairs if found is None or is_tombstone(found)]


def version_of(manifest: Manifest) -> JobVersion | None:
    """The version that a manifest is; None for any other manifest."""
    try:
        return read_version(manifest)
    except StoreError:
        return None


def _is_marked(tagged: Iterable[Tagged], version: JobVersion) -> bool:
    """Whether a survey shows the mark of a version: else it is older than that, or not whole."""
    mark = going_tag(version.digest)
    return any(one.tag == mark for one in tagged)


def _of_every_version(tag: Tag) -> bool:
    """Whether a tag is one that a version has by itself: of its build key and commit."""
    return hidden(tag) or tag.startswith("sha-")


def _aliases(tagged: Iterable[Tagged], version: JobVersion) -> tuple[Tag, ...]:
    """The aliases that reach a version, as a survey shows them."""
    mine = (one.tag for one in tagged if one.digest == version.digest)
    return tuple(tag for tag in mine if not hidden(tag))
