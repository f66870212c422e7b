"""Deletion in GitHub's registry, by GitHub's API: of what nothing else names, and of nothing else.

GitHub's registry is a real one whose own deletions are refused; the API deletes in it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.github_api import Fault, GitHubServer, refused
from support.github_packages import Packages, github_registry
from support.github_state import Token
from support.registry import Logins, Running, running
from support.versions import AMD64, check_complete, put, put_image, spec

from launch_action.builders.layers.image import LAYER_KEY
from launch_action.core.errors import RegistryError
from launch_action.core.image import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)
from launch_action.core.notes import ROW_NOTE, put_note
from launch_action.core.orphans import find_orphans, remove_orphans
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Repository, Tag
from launch_action.core.removal import Doomed, Removal, survey
from launch_action.core.store import JobStore
from launch_action.core.tags import key_tag
from launch_action.core.tombstone import going_tag, is_tombstone, make_tombstone
from launch_action.core.version import JobVersion, make_version
from launch_action.github.package_deletion import PackageDeletion, github_deletion
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

pytestmark = pytest.mark.registry
MAIN, PULL = Tag("main"), Tag("pr-12")
PERSONAL = "ghp_" + "p" * 36


@dataclass
class Told:
    """What a person is told."""

    infos: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warning(self, text: str, **_: Any) -> None:
        self.warnings.append(text)


@dataclass
class Scene:
    """A package `acme/train` of a server whose registry is the one on loopback."""

    github: GitHubServer
    packages: Packages
    registry: str
    told: Told = field(default_factory=Told)
    password: str = ""
    path: str = "acme/train"

    def open(self) -> Content:
        """The repository as a process of its own finds it."""
        reporter: Any = self.told
        tokens = (self.github.token, self.password)
        deletion = PackageDeletion(self.registry, self.github.url, reporter, lambda: tokens)
        registries = Registries(Logins(), elsewhere=deletion)
        return registries.open(Repository.parse(f"{self.registry}/{self.path}"), writable=True)

    @property
    def tags(self) -> set[str]:
        """The tags that name something."""
        found = survey(self.open())
        return {str(one.tag) for one in found if not is_tombstone(one.manifest)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("packages")) as found:
        yield found


@pytest.fixture
def scene(github_api: GitHubServer, server: Running, tmp_path: Path) -> Iterator[Scene]:
    github_api.state.packages = Packages(server)
    path = f"acme/{tmp_path.name.replace('_', '-').lower().strip('-')}/train"
    with github_registry(server) as proxy:
        yield Scene(github_api, github_api.state.packages, proxy.address, path=path)


def version(content: Content, commit: str, *aliases: Tag) -> JobVersion:
    """A version of a commit, with an image of its own."""
    store = JobStore(content)
    put_image(content, commit[:1])
    found = store.record(spec(commit[:1], commit=commit)).version
    store.point(found, aliases)
    return found


def test_a_version_goes_with_its_tags_and_nothing_stays(scene: Scene) -> None:
    content = scene.open()
    going, staying = version(content, "a" * 40, PULL), version(content, "b" * 40, MAIN)

    gone = Removal(content, "n").versions([Doomed(going, (PULL,))])

    assert [one.version for one in gone] == [going]
    assert set(scene.open().tags()) == {MAIN, key_tag(staying.build_key)}
    assert content.get_manifest(going.digest) is None
    check_complete(content)
    assert scene.told == Told()


def test_an_alias_goes_and_the_version_that_another_reaches_stays(scene: Scene) -> None:
    content = scene.open()
    found = version(content, "a" * 40, PULL, MAIN)

    assert Removal(content, "n").alias(PULL)

    assert set(scene.open().tags()) == {MAIN, key_tag(found.build_key)}
    assert JobStore(content).load(MAIN) == found


def test_a_version_that_an_alias_reached_meanwhile_is_not_deleted(scene: Scene) -> None:
    content = scene.open()
    found = version(content, "a" * 40, PULL, MAIN)

    assert Removal(content, "n").versions([Doomed(found, (PULL,))]) == ()

    assert {PULL, MAIN} <= scene.tags
    assert scene.github.count("DELETE", str(found.digest)) == 0
    assert JobStore(scene.open()).load(PULL) == found


@pytest.mark.parametrize("shown", ["nothing", "what was before"])
def test_nothing_is_deleted_by_a_list_of_tags_that_is_old(scene: Scene, shown: str) -> None:
    """It does not show the mark that was just set, and may lack a release that is as young."""
    content: Any = scene.open()
    version(content, "b" * 40, MAIN)
    found = version(content, "a" * 40, PULL)
    before = content.tags() if shown == "what was before" else ()
    JobStore(scene.open()).point(found, [Tag("v1.0.0")])
    content.tags = lambda: before

    assert Removal(content, "n").versions([Doomed(found, (PULL,))]) == ()

    assert {"v1.0.0", PULL, MAIN} <= scene.tags
    assert going_tag(found.digest) not in scene.tags
    assert JobStore(scene.open()).load("v1.0.0") == found


def test_the_last_version_with_a_tag_leaves_a_tombstone_that_marks_nothing(scene: Scene) -> None:
    content = scene.open()
    found = version(content, "a" * 40, PULL)

    assert Removal(content, "n").versions([Doomed(found, (PULL,))])

    assert scene.tags == set()
    assert content.get_manifest(found.digest) is None
    (left,) = survey(content)
    assert left.tag == going_tag(found.digest)
    assert any("last tagged version" in text for text in scene.told.infos)
    # Who builds it again is not kept waiting, and what is left goes with the next cleanup.
    again = version(scene.open(), "a" * 40, PULL)
    assert again.digest == found.digest
    Removal(content, "m").finish(survey(content))
    assert set(content.tags()) == {PULL, key_tag(found.build_key)}


def test_a_token_without_the_permission_leaves_tombstones_and_is_told_once(scene: Scene) -> None:
    scene.github.allow(packages="read")
    content = scene.open()
    kept = version(content, "b" * 40, MAIN)
    doomed = [Doomed(version(content, c * 40, Tag(f"pr-{c}")), (Tag(f"pr-{c}"),)) for c in "cde"]

    assert len(Removal(content, "n").versions(doomed)) == 3

    assert scene.tags == {MAIN, key_tag(kept.build_key)}
    (warning,) = scene.told.warnings
    assert "add `packages: write` to the job's `permissions:`" in warning
    assert "Admin" in warning
    assert "tombstone" in warning
    assert scene.github.count("DELETE") <= 3  # those that were on their way
    # With the permission the next cleanup takes them away.
    scene.github.allow(packages="write")
    later = scene.open()
    Removal(later, "m").finish(survey(later))
    assert set(later.tags()) == {MAIN, key_tag(kept.build_key)}


def test_without_any_right_to_packages_it_is_as_without_a_token(scene: Scene) -> None:
    scene.github.allow(contents="read")
    content = scene.open()
    version(content, "a" * 40, PULL)

    assert Removal(content, "n").alias(PULL)
    assert not Removal(content, "m").deletes()

    assert PULL not in scene.tags
    assert len(scene.told.warnings) == 1


def test_the_login_of_the_registry_is_a_token_as_well(scene: Scene) -> None:
    scene.github.state.tokens[PERSONAL] = Token("octocat", {"packages": "write"})
    scene.github.allow(contents="read")
    scene.password = PERSONAL
    content = scene.open()
    version(content, "a" * 40, PULL, MAIN)

    assert Removal(content, "n").alias(PULL)

    assert PULL not in content.tags()
    assert not scene.told.warnings


def test_a_package_of_a_person_is_found(scene: Scene) -> None:
    scene.packages.people = frozenset({"acme"})
    content = scene.open()
    version(content, "a" * 40, PULL, MAIN)

    assert Removal(content, "n").alias(PULL)

    assert PULL not in content.tags()
    assert scene.github.count("DELETE", "/users/acme/packages/container/") == 1


def test_a_version_that_is_listed_late_is_waited_for(scene: Scene) -> None:
    content = scene.open()
    version(content, "a" * 40, PULL, MAIN)
    scene.packages.lag = 1.5

    assert Removal(content, "n").alias(PULL)

    assert PULL not in content.tags()


def test_versions_beyond_the_first_page_are_found(scene: Scene) -> None:
    content = scene.open()
    old = version(content, "a" * 40, PULL)
    version(content, "b" * 40, MAIN)
    for number in range(110):
        content.put_manifest(make_tombstone(str(number)), f"t-{number}")

    assert Removal(content, "n").versions([Doomed(old, (PULL,))])

    assert PULL not in content.tags()
    assert scene.github.count("GET", "page=2") >= 1


def test_one_that_was_downloaded_too_often_loses_its_aliases_alone(scene: Scene) -> None:
    content = scene.open()
    version(content, "b" * 40, MAIN)
    found = version(content, "a" * 40, PULL)
    scene.packages.downloads[found.digest] = 5001

    assert Removal(content, "n").versions([Doomed(found, (PULL,))])

    assert PULL not in content.tags()
    assert any("5000 downloads" in text for text in scene.told.infos)
    assert not scene.told.warnings


@pytest.mark.parametrize("status", [401, 404, 500])
def test_what_github_does_not_answer_leaves_tombstones(scene: Scene, status: int) -> None:
    content = scene.open()
    version(content, "a" * 40, PULL, MAIN)
    scene.github.fail(refused(status, "no"), path="/packages/", times=99)

    assert Removal(content, "n").alias(PULL)

    assert PULL not in scene.tags
    assert len(scene.told.warnings) == 1


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        ("", "ghcr.io"),
        ("https://github.com", "ghcr.io"),
        ("https://ghes.example.com", "containers.ghes.example.com"),
        ("https://octocorp.ghe.com", "containers.octocorp.ghe.com"),
    ],
)
def test_only_github_s_own_registry_is_meant(
    github_api: GitHubServer, server: str, registry: str
) -> None:
    asked: list[str] = []
    environment = {"GITHUB_SERVER_URL": server, "GITHUB_API_URL": github_api.url}
    reporter: Any = Told()

    def login(name: str) -> str:
        asked.append(name)
        return ""

    deletion = github_deletion(environment, reporter, "", login)
    digest = Digest("sha256:" + "0" * 64)

    assert not deletion(Repository.parse("registry.example/acme/train"), digest, lambda: True)
    assert asked == []
    assert not deletion(Repository.parse(f"{registry}/acme/train"), digest, lambda: True)
    assert asked == [registry]
    assert not github_api.seen


# ---------------------------------------------------------------------------- what nothing names


def later(seconds: int = 60) -> int:
    """A moment before which all was pushed."""
    return int(time.time()) + seconds


def digests(scene: Scene) -> set[str]:
    """Every manifest that the package holds."""
    return {digest for digest, _, _ in scene.packages.versions(scene.path)}


def images(content: Content, *versions: JobVersion) -> set[Digest]:
    found = {image.digest for one in versions for image in one.images}
    return found | {one.job.digest for one in versions if one.job}


def layered(content: Content, seed: str) -> Descriptor:
    """An image as the builder of layers makes it: its layers have keys."""
    layer = put(content, seed.encode(), OCI_LAYER_GZIP).annotated({LAYER_KEY: "k" + seed})
    config = put(content, b'{"os":"linux","architecture":"amd64"}', OCI_CONFIG)
    manifest = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.document(),
            "layers": [layer.document()],
        }
    )
    content.put_manifest(manifest)
    return replace(manifest.descriptor, platform=AMD64)


def version_of(content: Content, image: Descriptor, commit: str, *aliases: Tag) -> JobVersion:
    store = JobStore(content)
    wanted = replace(spec(commit[:1], commit=commit), images=(image,))
    found = store.record(wanted).version
    store.point(found, aliases)
    return found


def test_what_only_a_deleted_version_named_goes_and_nothing_else(scene: Scene) -> None:
    content = scene.open()
    shared, mine = layered(content, "shared"), layered(content, "mine")
    kept = version_of(content, shared, "a" * 40, MAIN)
    also = version_of(content, shared, "b" * 40, PULL)
    alone = version_of(content, mine, "c" * 40, Tag("pr-13"))
    foreign = put_image(content, "of another tool").digest
    put_note(content, Tag("report-pr-12-" + "0" * 16), ROW_NOTE, "one")
    put_note(content, Tag("report-pr-12-" + "0" * 16), ROW_NOTE, "two")
    doomed = [Doomed(also, (PULL,)), Doomed(alone, (Tag("pr-13"),))]
    assert len(Removal(content, "n").versions(doomed)) == 2
    before = digests(scene)
    assert images(content, also, alone) <= before

    shown = find_orphans(scene.open(), later())
    assert before == digests(scene)
    gone = remove_orphans(scene.open(), later())

    assert gone == shown
    assert also.job
    assert alone.job
    assert {also.job.digest, alone.job.digest, mine.digest} <= set(gone)
    assert before - digests(scene) == set(gone)
    assert len(gone) == 4  # and the note that was written anew
    assert foreign in digests(scene)
    assert JobStore(scene.open()).load("main") == kept
    check_complete(scene.open())
    assert remove_orphans(scene.open(), later()) == ()


def test_what_an_index_without_a_tag_names_stays(scene: Scene) -> None:
    """Somebody runs it by its digest."""
    content = scene.open()
    version_of(content, layered(content, "other"), "b" * 40, MAIN)
    image = layered(content, "pinned")
    pinned = make_version(replace(spec("a", commit="a" * 40), images=(image,)))
    for descriptor, data in pinned.blobs:
        content.put_blob(descriptor, lambda data=data: io.BytesIO(data))  # type: ignore[misc]
    content.put_manifest(pinned.job)
    content.put_manifest(pinned.index)

    assert remove_orphans(scene.open(), later()) == ()

    assert {image.digest, pinned.index.descriptor.digest} <= digests(scene)


def test_what_is_young_or_spared_or_cannot_be_read_stays(scene: Scene) -> None:
    content = scene.open()
    version_of(content, layered(content, "other"), "b" * 40, MAIN)
    image = layered(content, "a")

    assert remove_orphans(scene.open(), int(time.time()) - 3600) == ()
    assert remove_orphans(scene.open(), later(), {image.digest}) == ()
    scene.github.fail(refused(500, "no"), "GET", "/versions", times=9)
    assert remove_orphans(scene.open(), later()) == ()

    scene.github.faults.clear()
    assert remove_orphans(scene.open(), later()) == (image.digest,)


def test_an_image_that_is_named_while_it_is_deleted_is_put_back(scene: Scene) -> None:
    content = scene.open()
    version_of(content, layered(content, "other"), "b" * 40, MAIN)
    image = layered(content, "a")
    content.put_manifest(make_tombstone("another"), "t")
    racing: Any = scene.open()
    delete = racing.delete_manifest

    def named_first(digest: Digest) -> bool:
        version_of(scene.open(), image, "a" * 40, PULL)
        return bool(delete(digest))

    racing.delete_manifest = named_first

    assert remove_orphans(racing, later()) == ()

    assert image.digest in digests(scene)
    check_complete(scene.open())


def orphan(scene: Scene) -> Descriptor:
    """An image that nothing names, beside a version."""
    content = scene.open()
    version_of(content, layered(content, "other"), "b" * 40, MAIN)
    return layered(content, "alone")


def test_a_package_that_is_not_there_keeps_no_other_one_s_versions(scene: Scene) -> None:
    """Of many jobs one may never have been pushed: nothing is to be had of its package."""
    image = orphan(scene)
    content: Any = scene.open()
    content.put_manifest(make_tombstone("another"), "t")
    version(content, "a" * 40, PULL)
    elsewhere = content._elsewhere
    assert elsewhere.untagged(Repository.parse(f"{scene.registry}/acme/never")) == {}
    never = Repository.parse(f"{scene.registry}/acme/never")
    assert not elsewhere(never, image.digest, lambda: True)

    assert Removal(content, "n").alias(PULL)

    assert PULL not in scene.open().tags()
    assert remove_orphans(content, later())


@pytest.mark.parametrize("lost", ["tags", "a tag", "an index"])
def test_what_is_listed_and_not_there_keeps_all(scene: Scene, lost: str) -> None:
    """A registry that says 404 for a moment has nothing deleted of what it does not show."""
    image = orphan(scene)
    content: Any = scene.open()
    index = JobStore(content).load("main").index
    untagged = Manifest.make(index.document() | {"annotations": {"a": "b"}})
    content.put_manifest(untagged)
    read, missing = content.get_manifest, {"a tag": MAIN, "an index": untagged.descriptor.digest}
    content.get_manifest = lambda one: None if one == missing.get(lost) else read(one)
    if lost == "tags":
        content.tags = lambda: ()

    assert remove_orphans(content, later()) == ()

    assert image.digest in digests(scene)
    assert image.digest in remove_orphans(scene.open(), later())


def test_what_an_index_in_an_index_names_stays(scene: Scene) -> None:
    image = orphan(scene)
    content: Any = scene.open()
    inner = Manifest.make(index_of(image))
    content.put_manifest(inner)
    content.put_manifest(Manifest.make(index_of(inner.descriptor)), "nested")
    pushed = dict(content.untagged())
    assert pushed.pop(inner.descriptor.digest)  # not listed yet
    content.untagged = lambda: pushed

    assert remove_orphans(content, later()) == ()

    assert image.digest in digests(scene)


def index_of(*entries: Descriptor) -> dict[str, Any]:
    """An index of another tool."""
    listed = [one.document() for one in entries]
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}


def test_the_image_that_a_job_runs_by_its_digest_stays(scene: Scene) -> None:
    image = orphan(scene)
    content = scene.open()
    found = spec("c", commit="")
    document = found.files.document.replace(b"{", b'{"of":"x@%s",' % image.digest.encode(), 1)
    files = replace(found.files, document=document)
    store = JobStore(content)
    job = store.record(replace(found, images=(), build_key="", files=files)).version
    store.point(job, [PULL])

    assert remove_orphans(scene.open(), later()) == ()

    assert image.digest in digests(scene)


def test_what_cannot_be_looked_at_afterwards_is_put_back(scene: Scene) -> None:
    image = orphan(scene)
    content: Any = scene.open()
    listed = content.tags
    answers = [listed(), RegistryError("no answer", hint="")]

    def tags() -> Any:
        found = answers.pop(0)
        if isinstance(found, RegistryError):
            raise found
        return found

    content.tags = tags

    assert remove_orphans(content, later()) == ()

    assert image.digest in digests(scene)


def test_a_list_that_is_not_github_s_keeps_all(scene: Scene) -> None:
    image = orphan(scene)
    page = json.dumps([{"name": image.digest, "metadata": {"container": {"tags": []}}}])
    scene.github.fail(Fault("status", status=200, body=page), "GET", "/versions")

    assert remove_orphans(scene.open(), later()) == ()

    assert image.digest in remove_orphans(scene.open(), later())


class Shrinking(Packages):
    """The newest version is deleted when the first page was read."""

    asked = 0

    def versions(self, path: str) -> list[tuple[str, float, list[str]]]:
        self.asked += 1
        return super().versions(path)[self.asked > 2 :]


def test_what_moves_to_another_page_while_it_is_read_is_found(scene: Scene) -> None:
    """Pages count from the newest: where one of them is deleted, the first of a page is skipped."""
    content: Any = scene.open()
    image = orphan(scene)
    untagged = Manifest.make(index_of(image))
    content.put_manifest(untagged)
    for number in range(100):
        content.put_manifest(make_tombstone(str(number)), f"t-{number}")
    scene.github.state.packages = Shrinking(scene.packages.registry)

    assert untagged.descriptor.digest in content.untagged()


def test_where_nothing_lists_what_has_no_tag_nothing_goes(server: Running, tmp_path: Path) -> None:
    content = Registries(Logins()).open(server.repository("acme/plain"), writable=True)
    layered(content, "a")

    assert remove_orphans(content, later()) == ()
    assert remove_orphans(LayoutContent(tmp_path / "job", "job"), later()) == ()
