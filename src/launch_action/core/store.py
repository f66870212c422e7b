"""The job store: the versions of one job and their aliases, over the content of one repository.

Aliases move only after everything they reach is there, so that a store stays consistent whenever
a writer is killed, and the same command run again completes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

from launch_action.core.artifact import is_plain, wants_plain
from launch_action.core.concurrency import concurrently
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import RegistryError, StoreError
from launch_action.core.image import Descriptor, Manifest
from launch_action.core.ports import Collecting, Content, Tagging, read_blob
from launch_action.core.reference import Digest, Tag
from launch_action.core.spelling import nearest
from launch_action.core.tags import hidden, key_tag
from launch_action.core.tombstone import is_tombstone
from launch_action.core.version import (
    CODE_TITLE,
    DOCUMENT_TITLE,
    FROZEN_TITLE,
    NO_TEXT,
    PATCH_TITLE,
    SCHEMA_TITLE,
    TITLE,
    JobFiles,
    JobVersion,
    MadeVersion,
    VersionSpec,
    make_version,
    read_version,
)

LATEST = Tag("latest")
_SAMPLE = 16
_TEXT_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version that is in the store; `written` says that it was not there before."""

    version: JobVersion
    written: bool


class JobStore:
    """The versions of one job. Methods raise StoreError, and what the content raises."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._complete: set[Digest] = set()  # versions seen here with everything they name
        self._job_names: set[str] = set()  # of the versions seen here
        self._plain = False  # whether jobs are kept in the form that every registry takes
        self._met = False  # whether some were looked for, for the sake of their names
        self._manifests: dict[Digest, Manifest] = {}  # seen here: what a digest names stays so
        self._named: dict[str, JobVersion | None] = {}  # what tags named when last seen here
        self._written: set[Digest] = set()  # versions that were not there before
        self._unknown_keys: set[str] = set()  # build keys that no version had

    def meet(self, tags: Sequence[Tag]) -> None:
        """Read what these tags name, unless that was done; it is used wherever it serves."""
        concurrently(self._met_version, tags)

    def met(self, tag: Tag) -> JobVersion | None:
        """What a tag named when it was last seen here; None for nothing, or not seen."""
        return self._named.get(tag)

    def met_build(self, build_key: str, commit: str) -> JobVersion | None:
        """The version with this build key and commit, if it is among those that were met."""
        met = (version for version in self._named.values() if version)
        return next((v for v in met if (v.build_key, v.commit) == (build_key, commit)), None)

    def find_build(self, build_key: str, commit: str = "") -> JobVersion | None:
        """The newest version with this build key; one of this commit where such a one was met.

        None as well when part of it is missing.
        """
        found = self.met_build(build_key, commit) or self._version(key_tag(build_key))
        if found is None or found.build_key != build_key or not self._is_complete(found):
            self._unknown_keys.add(build_key)
            return None
        return found

    def load(self, selector: str) -> JobVersion:
        """The version behind an alias or digest. Raises StoreError with the nearest aliases."""
        by_digest = selector.startswith("sha256:")
        found = self.content.get_manifest(Digest(selector) if by_digest else Tag(selector))
        if found is None or is_tombstone(found):
            raise self._unknown(selector)
        return self._read(found)

    def job_files(self, version: JobVersion) -> tuple[bytes, bytes]:
        """The job document and the frozen requirements of a version."""
        files = self._texts(version, self._job_layers(version), DOCUMENT_TITLE, FROZEN_TITLE)
        return files[0], files[1]

    def frozen(self, version: JobVersion) -> Descriptor:
        """The blob of a version's frozen requirements."""
        found = self._job_layers(version).get(FROZEN_TITLE)
        if found is None:
            raise self._lost(version, FROZEN_TITLE)
        return found

    def files(self, version: JobVersion) -> JobFiles:
        """Everything of a version's job manifest; the code archive by its descriptor."""
        layers = self._job_layers(version)
        wanted = (DOCUMENT_TITLE, FROZEN_TITLE, SCHEMA_TITLE, PATCH_TITLE)
        titles = [title for title in wanted if title in layers]
        texts = dict(zip(titles, self._texts(version, layers, *titles), strict=True))
        return JobFiles(
            texts[DOCUMENT_TITLE],
            texts[FROZEN_TITLE],
            texts.get(SCHEMA_TITLE),
            layers.get(CODE_TITLE),
            texts.get(PATCH_TITLE),
        )

    def images(self, version: JobVersion) -> tuple[Manifest, ...]:
        """The image manifests of a version, a platform each."""
        found = concurrently(self._manifest, [image.digest for image in version.images])
        for image, manifest in zip(version.images, found, strict=True):
            if manifest is None:
                raise self._lost(version, f"image {image.digest}")
        return tuple(manifest for manifest in found if manifest)

    def image_size(self, version: JobVersion) -> int:
        """Bytes of the layers of a version's images, each blob counted once."""
        layers = {layer.digest: layer for m in self.images(version) for layer in m.layers()}
        return sum(layer.size for layer in layers.values())

    def check_name(self, job_name: str) -> None:
        """Raise StoreError when the repository holds another job, and no version of this one."""
        if not self._job_names and not self._met:
            self._meet_versions()
        if self._job_names and job_name not in self._job_names:
            other = min(self._job_names)
            raise StoreError(
                f"repository {self.content.name!r} holds job {other!r}, not {job_name!r}",
                hint="push to another --image, or say --allow-rename",
            )

    def record(self, spec: VersionSpec, *, allow_rename: bool = False) -> StoredVersion:
        """Store a version, under its build key's tag, unless it is there; no alias is moved."""
        made = make_version(spec, plain=self._plain)
        version = read_version(made.index)
        if version.digest in self._complete or self._is_stored(made):
            return StoredVersion(version, written=False)
        if not allow_rename:
            self.check_name(spec.job_name)
        concurrently(self._put_blob, made.blobs)
        try:
            self.content.put_manifest(made.job)
        except RegistryError as error:
            if self._plain or not wants_plain(error):
                raise
            self._plain = True
            return self.record(spec, allow_rename=allow_rename)
        if version.build_key:
            self._move(version, [key_tag(version.build_key)])
        else:
            self.content.put_manifest(made.index)
        self._written.add(version.digest)
        return StoredVersion(version, written=True)

    def point(self, version: JobVersion, aliases: Sequence[Tag]) -> None:
        """Move aliases, and the tag of the build key, to a version that is stored.

        An alias that named it already when it was read here is left as it is.
        """
        for alias in aliases:
            if hidden(alias):
                raise StoreError(
                    f"not an alias: {alias!r}", hint="tags of this form are the store's own"
                )
        # What was there before had its aliases before, as a rule: to ask is to write nothing.
        if version.digest not in self._written:
            self.meet(aliases)
        keyed = version.build_key and version.digest not in self._complete
        wanted = dict.fromkeys((*([key_tag(version.build_key)] if keyed else ()), *aliases))
        moved = [tag for tag in wanted if self._named.get(tag) != version]
        self._move(version, moved)
        if moved and version.digest not in self._written:
            from launch_action.core.removal import outlast

            outlast(self.content, version, moved, list(wanted))

    def aliases(self, version: JobVersion) -> tuple[Tag, ...]:
        """The aliases that reach a version, sorted."""
        return tuple(
            tag for tag, found in self._tagged(hidden_too=False) if found.digest == version.digest
        )

    def versions(self) -> tuple[tuple[JobVersion, tuple[Tag, ...]], ...]:
        """Every version that has an alias, newest first, with its aliases."""
        found: dict[Digest, tuple[JobVersion, list[Tag]]] = {}
        for tag, version in self._tagged(hidden_too=False):
            found.setdefault(version.digest, (version, []))[1].append(tag)
        ordered = sorted(found.values(), key=lambda v: (v[0].created, v[0].digest), reverse=True)
        return tuple((version, tuple(tags)) for version, tags in ordered)

    def remove_alias(self, tag: Tag, nonce: str) -> bool:
        """Remove one alias, leaving its version; False when there was none.

        `nonce` must be another one for every call: deleting a tombstone deletes all its tags.
        """
        from launch_action.core.removal import Removal

        self._named.pop(tag, None)
        return Removal(self.content, nonce).alias(tag)

    def delete_version(
        self, version: JobVersion, nonce: str, aliases: Iterable[Tag] = ()
    ) -> tuple[Tag, ...]:
        """Delete a version with the aliases that were asked to go; returns those that went.

        Raises StoreError when other aliases reach it. What only it reached is collected where the
        store is a directory; a registry collects by its own rules.
        """
        from launch_action.core.removal import Doomed, Removal

        asked = frozenset(aliases)
        self._refuse_reached(version, asked)
        self._complete.clear()
        self._manifests.clear()
        self._named.clear()
        gone = Removal(self.content, nonce).versions([Doomed(version, tuple(asked))])
        if not gone:
            self._refuse_reached(version, asked)  # an alias has come meanwhile
        if isinstance(self.content, Collecting):
            self.content.collect()
        return gone[0].aliases if gone else ()

    def _refuse_reached(self, version: JobVersion, aliases: frozenset[Tag]) -> None:
        kept = sorted(set(self.aliases(version)) - aliases)
        if kept:
            raise StoreError(
                f"job version {version.digest} is still reached by {', '.join(kept)}",
                hint="delete these aliases too, or move them to another version first",
            )

    def previous(self, tags: Iterable[Tag]) -> tuple[Manifest, ...]:
        """The image manifests of the versions behind these tags, in their order; missing: none.

        Their descriptors are those of the index, with what it says of each.
        """
        versions = [found for found in concurrently(self._met_version, list(tags)) if found]
        images: dict[Digest, Descriptor] = {}
        for version in versions:
            for image in version.images:
                images.setdefault(image.digest, image)
        # Their job manifests as well: what they name need not be looked for when it is needed.
        jobs = dict.fromkeys(version.job.digest for version in versions if version.job)
        found = concurrently(self._manifest, [*images, *jobs])[: len(images)]
        return tuple(replace(one, descriptor=images[one.descriptor.digest]) for one in found if one)

    def find(self, tag: Tag) -> JobVersion | None:
        """The version behind a tag; None for no tag, a tombstone, and what is no version."""
        return self._version(tag)

    def _manifest(self, digest: Digest) -> Manifest | None:
        found = self._manifests.get(digest) or self.content.get_manifest(digest)
        if found is not None:
            self._manifests[digest] = found
        return found

    def _version(self, tag: Tag) -> JobVersion | None:
        """The version behind a tag; None for no tag, a tombstone, and what is no version."""
        found = self.content.get_manifest(tag)
        try:
            version = self._read(found) if found else None
        except StoreError:
            version = None
        self._named[tag] = version
        return version

    def _met_version(self, tag: Tag) -> JobVersion | None:
        return self._named[tag] if tag in self._named else self._version(tag)

    def _read(self, index: Manifest) -> JobVersion:
        version = read_version(index)
        self._job_names.add(version.job_name)
        return version

    def _meet_versions(self) -> None:
        """Read the latest version, else some: what their job is called is known then."""
        self._met = True
        if self._version(LATEST) is None:
            # Tags of build keys first: they are versions, whatever else lies in the repository.
            tags = sorted(self._tags(hidden_too=True), key=lambda tag: not tag.startswith("key-"))
            concurrently(self._version, tags[:_SAMPLE])

    def _tags(self, *, hidden_too: bool) -> list[Tag]:
        return [Tag(tag) for tag in self.content.tags() if hidden_too or not hidden(tag)]

    def _tagged(self, *, hidden_too: bool) -> list[tuple[Tag, JobVersion]]:
        """The tags that reach a version, each with it."""
        tags = self._tags(hidden_too=hidden_too)
        versions = concurrently(self._version, tags)
        return [(tag, found) for tag, found in zip(tags, versions, strict=True) if found]

    def _job_layers(self, version: JobVersion) -> dict[str, Descriptor]:
        """The files of a version's job manifest by title."""
        manifest = self._manifest(version.job.digest) if version.job else None
        if manifest is None:
            raise self._lost(version, "its job manifest")
        return {layer.annotations.get(TITLE, ""): layer for layer in manifest.layers()}

    def _texts(
        self, version: JobVersion, layers: Mapping[str, Descriptor], *titles: str
    ) -> list[bytes]:
        for title in (DOCUMENT_TITLE, FROZEN_TITLE):
            if title not in layers:
                raise self._lost(version, title)
        found = concurrently(
            lambda title: read_blob(self.content, layers[title], _TEXT_LIMIT), titles
        )
        return [b"" if text == NO_TEXT else text for text in found]

    def _lost(self, version: JobVersion, what: str) -> StoreError:
        return StoreError(
            f"job version {self.content.name}@{version.digest} lacks {what}",
            hint="record it again: run the same build on its commit",
        )

    def _is_stored(self, made: MadeVersion) -> bool:
        """Whether index and job manifest are there; they were stored after all they name."""
        if read_version(made.index).build_key in self._unknown_keys:
            return False
        return all(self._manifest(m.descriptor.digest) for m in (made.index, made.job))

    def _is_complete(self, version: JobVersion) -> bool:
        """Whether a version has an image, and all its manifests are there."""
        if not version.images or not version.job:
            return False
        named = [one.digest for one in (*version.images, version.job)]
        if None in concurrently(self._manifest, named):
            return False
        self._complete.add(version.digest)
        self._plain = is_plain(self._manifests[version.job.digest])
        return True

    def _put_blob(self, blob: tuple[Descriptor, bytes]) -> None:
        descriptor, data = blob
        self.content.put_blob(descriptor, lambda: _opened(data))

    def _move(self, version: JobVersion, tags: Sequence[Tag]) -> None:
        if isinstance(self.content, Tagging):
            self.content.put_tagged(version.index, tags)
        else:
            concurrently(lambda tag: self.content.put_manifest(version.index, tag), tags)
        self._named |= dict.fromkeys(tags, version)

    def _unknown(self, selector: str) -> StoreError:
        tags = self._tags(hidden_too=False)
        near = nearest(selector, tags, count=3, likeness=0.5) or tags[:5]
        near = [tag for tag in near if self._version(Tag(tag))]  # a tombstone's is none any more
        return StoreError(
            f"no job version {selector!r} in {self.content.name!r}",
            hint=f"nearest aliases: {', '.join(near)}"
            if near
            else "the repository has no versions",
        )


def _opened(data: bytes) -> BinaryIO:
    return io.BytesIO(data)
