"""Removals beside pushes: whatever is interleaved, what was pushed is whole and named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.registry import Logins
from support.versions import check_complete, put_image, spec

from launch_action.core import removal
from launch_action.core.ports import Content
from launch_action.core.reference import Tag
from launch_action.core.removal import Doomed, Removal, survey
from launch_action.core.store import JobStore
from launch_action.core.tombstone import going_tag, is_tombstone
from launch_action.core.version import JobVersion
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

Open = Callable[[], Content]
MAIN, PULL = Tag("main"), Tag("pr-12")
SHA = Tag("sha-" + spec().commit)


class TagsFirst:
    """A registry that deletes tags, and a manifest when it has none (as Artifact Registry does)."""

    def __init__(self, content: LayoutContent) -> None:
        self._content = content

    def __getattr__(self, name: str) -> object:
        if name in ("collect", "put_tagged"):
            raise AttributeError(name)
        return getattr(self._content, name)

    def delete_manifest(self, digest: str) -> bool:
        found = self._content.get_manifest(digest)
        named = [self._content.get_manifest(tag) for tag in self._content.tags()]
        if found and any(one and one.descriptor.digest == digest for one in named):
            return False
        return not found or self._content.delete_manifest(found.descriptor.digest)


def _tags_first(content: LayoutContent) -> Content:
    made: Any = TagsFirst(content)
    return made  # type: ignore[no-any-return]


@pytest.fixture(
    params=[
        pytest.param("deleting", marks=pytest.mark.registry),
        pytest.param("keeping", marks=pytest.mark.registry),
        "crane",
        "layout",
        "tags first",
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    if request.param == "layout":
        yield lambda: LayoutContent(tmp_path / "job", "job")
    elif request.param == "tags first":
        yield lambda: _tags_first(LayoutContent(tmp_path / "job", "job"))
    else:
        running_one = request.getfixturevalue(request.param)
        path = tmp_path.name.replace("_", "-").lower().strip("-")
        with Registries(Logins()) as registries:
            yield lambda: registries.open(running_one.repository(path), writable=True)


def preview(content: Content, *aliases: Tag) -> JobVersion:
    """A version that a preview has pushed."""
    store = JobStore(content)
    put_image(content, "a")
    version = store.record(spec()).version
    store.point(version, aliases or (PULL, SHA))
    return version


def named(content: Content) -> dict[str, JobVersion]:
    """What every alias names; all of it is whole."""
    check_complete(content)
    return {str(tag): v for v, tags in JobStore(content).versions() for tag in tags}


def test_a_preview_goes_with_all_its_tags(opened: Open) -> None:
    version = preview(opened())

    gone = Removal(opened(), "n").versions([Doomed(version, (PULL, SHA))])

    assert [one.version for one in gone] == [version]
    assert named(opened()) == {}
    assert JobStore(opened()).find_build(version.build_key) is None
    left = [one for one in survey(opened()) if not is_tombstone(one.manifest)]
    assert left == []


def test_what_another_alias_reaches_by_now_stays(opened: Open) -> None:
    version = preview(opened())
    JobStore(opened()).point(version, [MAIN])

    assert Removal(opened(), "n").versions([Doomed(version, (PULL, SHA))]) == ()

    assert set(named(opened())) == {"main", "pr-12", str(SHA)}
    assert not [tag for tag in opened().tags() if tag.startswith("going-")]


class Meanwhile:
    """A content in which somebody else does something before the n-th call of a kind."""

    def __init__(self, content: Content, before: Callable[[str], None]) -> None:
        self._content = content
        self._before = before

    def __getattr__(self, name: str) -> object:
        found = getattr(self._content, name)
        if name in ("delete_manifest", "delete_tag", "put_manifest", "tags", "put_tagged"):

            def call(*arguments: object, **named: object) -> object:
                self._before(name)
                return found(*arguments, **named)

            return call
        return found


class Release:
    """A release that begins before the n-th call of a removal, and may have to wait for its end."""

    def __init__(self, opened: Open, moment: int) -> None:
        self._opened = opened
        self._left = moment
        self._thread = threading.Thread(target=self._work)

    @property
    def began(self) -> bool:
        return self._thread.ident is not None

    def before(self, _: str) -> None:
        self._left -= 1
        if self._left < 0 and not self.began:
            self._thread.start()
            self._thread.join(0.3)

    def end(self) -> None:
        if self.began:
            self._thread.join()

    def _work(self) -> None:
        store = JobStore(self._opened())
        store.point(store.record(spec()).version, [SHA, MAIN])


def test_a_release_at_any_moment_of_a_removal_keeps_its_version(opened: Open) -> None:
    for moment in range(60):
        version = preview(opened())
        release = Release(opened, moment)
        content: Content = Meanwhile(opened(), release.before)  # type: ignore[assignment]

        Removal(content, f"n{moment}").versions([Doomed(version, (PULL, SHA))])
        release.end()

        if not release.began:
            assert moment > 2
            return
        found = named(opened())
        assert found["main"].digest == version.digest, moment
        assert found[str(SHA)].digest == version.digest, moment
        JobStore(opened()).remove_alias(MAIN, f"again{moment}")
    raise AssertionError("a removal that does not end")


def test_an_alias_waits_for_a_removal_that_it_meets(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = preview(opened(), MAIN)
    remover = Removal(opened(), "killed")
    remover._mark(version)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:  # the removal that was met does its work
            for tag in (MAIN, Tag("v1")):
                Removal(opened(), f"late-{tag}").alias(tag)
            remover._unmark(version.digest)

    monkeypatch.setattr(removal, "pause", wait)

    JobStore(opened()).point(version, [Tag("v1"), MAIN])

    # Where the mark cannot be taken away, it marks nothing any more.
    assert len(waited) == 2
    assert set(named(opened())) == {"main", "v1"}


def test_a_mark_that_stays_is_not_waited_for_without_end(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = preview(opened(), MAIN)
    Removal(opened(), "killed")._mark(version)
    waited: list[float] = []
    monkeypatch.setattr(removal, "pause", waited.append)

    JobStore(opened()).point(version, [Tag("v1")])

    assert len(waited) == 20
    assert set(named(opened())) == {"main", "v1"}


def test_a_mark_that_was_left_is_taken_away_with_what_it_marks(opened: Open) -> None:
    version = preview(opened())
    if not Removal(opened(), "probe").deletes():
        # Where nothing is deleted, no mark is made that nobody could take away.
        Removal(opened(), "n").versions([Doomed(version, (PULL, SHA))])
        assert not [tag for tag in opened().tags() if tag.startswith("going-")]
        return
    Removal(opened(), "killed")._mark(version)

    Removal(opened(), "n").finish(survey(opened()))

    # Something names it: only the mark goes.
    assert set(named(opened())) == {"pr-12", str(SHA)}
    assert opened().get_manifest(going_tag(version.digest)) is None
