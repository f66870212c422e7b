"""Whose turn an alias is of: what a later workflow run has set, no earlier one takes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.registry import Logins, Running, running
from support.versions import put_image, spec

from launch_action.commands.cleaning import close_preview, remove_branch
from launch_action.core.claims import Claims, Turn
from launch_action.core.image import Manifest
from launch_action.core.ports import Content
from launch_action.core.reference import Tag
from launch_action.core.removal import Removal
from launch_action.core.store import JobStore
from launch_action.core.sweep import Policy
from launch_action.core.tags import hidden
from launch_action.core.turns import Claimant, read_taken, record, stale_turns, turn_tag
from launch_action.core.version import JobVersion
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

ORIGIN = "https://github.com/acme/mono-jobs"
PREVIEW = Tag("pr-12")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(params=[pytest.param("registry", marks=pytest.mark.registry), "layout"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Content]]:
    """The repository, as each process opens it for itself."""
    if request.param == "layout":
        yield lambda: LayoutContent(tmp_path / "one", "one")
        return
    found: Running = request.getfixturevalue("server")
    name = found.repository(tmp_path.name.lower().replace("_", "-").strip("-"))
    with Registries(Logins()) as registries:
        yield lambda: registries.open(name, writable=True)


@pytest.fixture
def content(opened: Callable[[], Content]) -> Content:
    return opened()


def turn(run: int, attempt: int = 1) -> Turn:
    return Turn(ORIGIN, run, attempt, run, run)


def save(content: Content, seed: str, created: str = "2024-05-01T12:00:00Z") -> JobVersion:
    """A version of a commit of its own, without an alias."""
    wanted = spec(seed, commit=seed * 40, created=created)
    put_image(content, seed)
    return JobStore(content).record(wanted).version


def claim(
    content: Content, version: JobVersion, whose: Turn | None, *aliases: str, **claims: object
) -> list[str]:
    """What a process of a run gets of these aliases."""
    made = Claims(whose, **claims)  # type: ignore[arg-type]
    claimant = Claimant(
        JobStore(content), made, is_before=lambda other: other.created > version.created
    )
    return [str(tag) for tag in claimant.point(version, [Tag(alias) for alias in aliases])]


def names(content: Content, alias: str) -> str:
    """The seed of the version that an alias names; empty for none."""
    found = JobStore(content).find(Tag(alias))
    return found.commit[0] if found else ""


def test_an_earlier_run_does_not_move_an_alias_back(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    assert claim(content, b, turn(13), "pr-12", "sha-" + b.commit) == ["pr-12", f"sha-{b.commit}"]

    # Its version has its commit's alias all the same, and a sweep leaves it for some days.
    assert claim(content, a, turn(12, 2), f"sha-{a.commit}", "pr-12") == [f"sha-{a.commit}"]
    assert names(content, "pr-12") == "b"
    assert names(content, f"sha-{a.commit}") == "a"
    assert f"sha256-{a.digest.hex}.used" in content.tags()
    # What somebody asks for by name moves, and so does what a later run sets: a roll-back.
    assert claim(content, a, turn(12, 3), "pr-12", asked=frozenset({PREVIEW})) == ["pr-12"]
    assert names(content, "pr-12") == "a"
    assert claim(content, b, turn(13, 2), "pr-12") == ["pr-12"]
    assert claim(content, a, turn(14), "pr-12") == ["pr-12"]
    assert names(content, "pr-12") == "a"
    # The same run, started again, is as late as it was.
    assert claim(content, b, turn(14, 2), "pr-12") == ["pr-12"]
    assert all(hidden(tag) for tag in content.tags() if tag.startswith("turn-"))


def test_outside_workflows_whoever_comes_moves_it(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    claim(content, b, turn(13), "latest")

    assert claim(content, a, None, "latest") == ["latest"]
    assert names(content, "latest") == "a"


def test_without_a_note_a_run_that_is_started_again_leaves_what_is_newer(content: Content) -> None:
    """As an alias that was moved by hand, or by a release of this program that took no notes."""
    old = save(content, "a", "2024-05-01T12:00:00Z")
    new = save(content, "b", "2024-05-02T12:00:00Z")
    JobStore(content).point(new, [PREVIEW])

    assert claim(content, old, turn(12, 2), "pr-12") == []
    assert claim(content, old, turn(12, 1), "pr-12") == ["pr-12"]
    JobStore(content).point(old, [PREVIEW])
    assert claim(content, new, turn(12, 2), "pr-12") == ["pr-12"]


def test_runs_of_another_repository_are_not_compared(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    claim(content, a, Turn("https://ghe.acme.example/a/b", 9_000, 1, 1), "latest")

    assert claim(content, b, turn(12), "latest") == ["latest"]


def test_runs_of_another_repository_take_no_notes_away(content: Content) -> None:
    """A registry's repository may be that of two repositories' workflows."""
    a, b, c = save(content, "a"), save(content, "b"), save(content, "c")
    claim(content, a, turn(11), "latest")
    claim(content, b, turn(12), "latest")
    for run in range(9_000, 9_004):
        claim(content, c, Turn("https://github.com/acme/other", run, 1, 1, run), "latest")

    assert claim(content, a, turn(11, 2), "latest") == []


def test_a_run_that_is_overtaken_gives_back_what_it_has_set(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")

    class Overtaken(JobStore):
        def point(self, version: JobVersion, aliases: object) -> None:
            super().point(version, aliases)  # type: ignore[arg-type]
            claim(content, b, turn(13), "pr-12")
            # What the slower one had sent before arrives after it.
            self.content.put_manifest(version.index, PREVIEW)

    slower = Claimant(Overtaken(content), Claims(turn(12)))

    assert slower.point(a, [PREVIEW]) == ()
    assert names(content, "pr-12") == "b"


def test_a_later_run_that_changes_nothing_has_the_alias_all_the_same(content: Content) -> None:
    """A branch is set back while the run of what was pushed to it still builds."""
    a, b = save(content, "a"), save(content, "b")
    claim(content, a, turn(12), "main", "latest")
    assert claim(content, a, turn(14), "main", "latest") == ["main", "latest"]

    assert claim(content, b, turn(13), "main", "latest") == []
    assert (names(content, "main"), names(content, "latest")) == ("a", "a")


def test_a_run_that_changes_nothing_reads_and_writes_little(content: Content) -> None:
    a = save(content, "a")
    claim(content, a, turn(12), "main", "latest")

    def costs(whose: Turn, *aliases: str, branch: str = "main") -> tuple[int, int]:
        """Manifests that are read and written for them when the build itself was found."""
        manifests = Manifests(content)
        store = JobStore(manifests)
        store.meet([Tag(alias) for alias in aliases])
        assert store.find_build(a.build_key) == a
        manifests.read.clear()
        Claimant(store, Claims(whose, branch=branch)).point(a, [Tag(alias) for alias in aliases])
        return len(manifests.read), len(manifests.written)

    assert costs(turn(12, 2), "main", "latest") == (2, 0)
    assert costs(turn(13), "main", "latest") == (4, 2)
    assert costs(turn(13, 2), "main", "latest") == (2, 0)
    # Of a branch whose alias may be another's there is more to know.
    claim(content, a, turn(12), "feature-x", branch="feature/x")
    assert costs(turn(12, 2), "feature-x", branch="feature/x") == (8, 0)


def test_an_alias_that_is_moved_while_a_later_run_notes_it_is_moved_back(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    claim(content, a, turn(12), "main")

    class Behind(Manifests):
        def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
            super().put_manifest(manifest, tag)
            if len(self.written) == 1:  # as an earlier run whose looks are all behind it
                content.put_manifest(b.index, "main")

    assert claim(Behind(content), a, turn(14), "main") == ["main"]
    assert names(content, "main") == "a"


def test_what_a_later_run_has_noted_is_not_written_over(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    claim(content, a, turn(12), "main")
    claim(content, a, turn(20), "main")

    assert claim(content, a, turn(16), "main") == []
    assert names(content, "main") == "a"
    assert claim(content, b, turn(18), "main") == []


class Manifests:
    """A repository, and which manifests of it were asked for, and written."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.read: list[str] = []
        self.written: list[str | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def get_manifest(self, reference: str) -> Manifest | None:
        self.read.append(reference)
        return self._content.get_manifest(reference)

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        self.written.append(tag)
        self._content.put_manifest(manifest, tag)


def test_a_run_that_was_killed_before_it_moved_anything_completes(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    record(content, turn(13), b, [PREVIEW])

    assert claim(content, a, turn(12), "pr-12") == []
    assert claim(content, b, turn(13, 2), "pr-12") == ["pr-12"]
    assert names(content, "pr-12") == "b"


def test_runs_at_one_time_leave_the_later_one_s_version(opened: Callable[[], Content]) -> None:
    a, b = save(opened(), "a"), save(opened(), "b")
    for round_of in range(10):
        ready, got = threading.Barrier(2), dict[str, list[str]]()
        runs = [(a, 100 + 2 * round_of), (b, 101 + 2 * round_of)]
        threads = [threading.Thread(target=race, args=(opened, ready, got, *one)) for one in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (names(opened(), "main"), names(opened(), "latest")) == ("b", "b"), round_of
        assert got["b"] == ["main", "latest"]


def race(
    opened: Callable[[], Content],
    ready: threading.Barrier,
    got: dict[str, list[str]],
    version: JobVersion,
    run: int,
) -> None:
    there = opened()
    ready.wait()
    got[version.commit[0]] = claim(there, version, turn(run), "main", "latest")


# ---------------------------------------------------------------------------- what is removed


def close(content: Content, run: int) -> frozenset[Tag]:
    gone = close_preview(content, Policy(now=run, gone=frozenset({PREVIEW})), turn(run)).gone
    for tag in gone:
        Removal(content, f"{run}-{tag}").alias(tag)
    return gone


def test_a_removed_alias_is_brought_back_by_a_later_run_alone(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    claim(content, a, turn(12), "pr-12")

    assert close(content, 13) == {PREVIEW}
    assert claim(content, a, turn(12, 2), "pr-12") == []
    assert names(content, "pr-12") == ""
    # It is opened again; and the event of its end, started again, is of an earlier time.
    assert claim(content, b, turn(14), "pr-12") == ["pr-12"]
    assert close(content, 13) == frozenset()
    assert names(content, "pr-12") == "b"


def test_of_a_removed_alias_one_note_is_kept(content: Content) -> None:
    a = save(content, "a")
    for run in range(11, 16):
        claim(content, a, turn(run), "pr-12")
    record(content, turn(20), a, [PREVIEW])

    close(content, 16)  # a later one has it
    assert len([tag for tag in content.tags() if tag.startswith("turn-")]) == 4

    assert close(content, 21) == {PREVIEW}
    assert [tag for tag in content.tags() if tag.startswith("turn-")] == [
        turn_tag(PREVIEW, ORIGIN, 21)
    ]
    assert claim(content, a, turn(20, 2), "pr-12") == []


def test_a_repository_without_anything_stays_without(content: Content) -> None:
    close(content, 13)

    assert content.tags() == ()


def test_notes_of_what_is_gone_go_when_no_run_can_bring_it_back(content: Content) -> None:
    claim(content, save(content, "a"), turn(12), "pr-12")
    notes = {turn_tag(PREVIEW, ORIGIN, 12): read_taken(content, [PREVIEW], ORIGIN)[PREVIEW]}
    day = 86400

    assert stale_turns(notes, set(), 12 + 40 * day, 7 * day) == tuple(notes)
    assert stale_turns(notes, {PREVIEW}, 12 + 40 * day, 7 * day) == ()
    assert stale_turns(notes, set(), 12 + 20 * day, 7 * day) == ()
    assert stale_turns(notes, set(), 12 + 40 * day, 50 * day) == ()
    assert stale_turns(notes, set(), 12 + 40 * day, None) == ()


# ---------------------------------------------------------------------------- branches


def gone_with(content: Content, branch: str, whose: Turn | None) -> list[str]:
    """The aliases that a deleted branch takes along."""
    found: list[str] = remove_branch(content, branch, whose, None)["aliases"]
    return found


def push(content: Content, version: JobVersion, run: int, branch: str, alias: str) -> list[str]:
    return claim(content, version, turn(run), alias, branch=branch)


def test_branches_that_are_spelt_alike_do_not_share_an_alias(content: Content) -> None:
    a, b, c = (save(content, seed) for seed in "abc")
    assert push(content, a, 1, "feature/x", "feature-x") == ["feature-x"]

    (other,) = push(content, b, 2, "feature-x", "feature-x")
    assert other.startswith("feature-x-")
    assert (names(content, "feature-x"), names(content, other)) == ("a", "b")
    # Each goes on with its own.
    assert push(content, b, 3, "feature/x", "feature-x") == ["feature-x"]
    assert push(content, c, 4, "feature-x", "feature-x") == [other]
    assert (names(content, "feature-x"), names(content, other)) == ("b", "c")

    # The end of one is not the other's.
    assert gone_with(content, "feature-x", turn(5)) == [other]
    assert (names(content, "feature-x"), names(content, other)) == ("b", "")
    assert push(content, c, 4, "feature-x", "feature-x") == []
    assert gone_with(content, "feature/x", turn(6)) == ["feature-x"]
    assert push(content, c, 7, "feature-x", "feature-x") == ["feature-x"]


def test_a_branch_that_had_an_alias_of_its_own_keeps_that_too(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    push(content, a, 1, "feature/x", "feature-x")
    (own,) = push(content, b, 2, "feature-x", "feature-x")
    gone_with(content, "feature/x", turn(3))

    assert push(content, a, 4, "feature-x", "feature-x") == ["feature-x", own]
    assert names(content, own) == "a"


def test_a_name_without_anything_to_mistake_is_its_alias(content: Content) -> None:
    a, b = save(content, "a"), save(content, "b")
    push(content, a, 1, "@main", "main")

    assert push(content, b, 2, "main", "main") == ["main"]
    (other,) = push(content, a, 3, "@main", "main")
    assert other.startswith("main-")
    assert names(content, "main") == "b"


def test_an_alias_that_nobody_noted_goes_with_the_branch(content: Content) -> None:
    JobStore(content).point(save(content, "a"), [Tag("old")])

    assert gone_with(content, "old", None) == ["old"]
    assert names(content, "old") == ""
