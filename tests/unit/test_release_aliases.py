"""Which aliases a git tag gives, whatever else was released."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.aliases import branch_alias, tag_alias, wandb_aliases
from launch_action.core.reference import Tag
from launch_action.core.release_aliases import (
    moving_aliases,
    own_aliases,
    read_release,
    released_keys,
)

JOB = ("train",)


def taken(tag: str, present: Iterable[str] = (), names: Iterable[str] = JOB) -> str:
    """All aliases that a release takes in a store with these tags."""
    release, known = read_release(tag), tuple(names)
    moved = [m.alias for m in moving_aliases(release, present, known) if not m.rivals]
    return " ".join((*own_aliases(release, known), *moved))


@pytest.mark.parametrize(
    ("tag", "aliases"),
    [
        ("v1.2.3", "v1.2.3 v1.2 v1 latest"),
        ("1.2.3", "1.2.3 1.2 1 latest"),
        ("V2.0.0", "V2.0.0 V2.0 V2 latest"),
        ("v1.2", "v1.2 v1 latest"),
        ("v3", "v3 latest"),
        ("v1.2.3.4", "v1.2.3.4 v1.2 v1 latest"),
        ("2024.05.01", "2024.05.01 2024.05 2024 latest"),
        # Below 1.0 a minor version may break.
        ("v0.3.1", "v0.3.1 v0.3 latest"),
        ("v0.3", "v0.3 latest"),
        # Pre-releases, by PEP 440 and by Semantic Versioning.
        ("v1.2.3rc1", "v1.2.3rc1"),
        ("v1.2.3.rc1", "v1.2.3.rc1"),
        ("v1.2.3-rc.1", "v1.2.3-rc.1"),
        ("v1.2.3-alpha.beta", "v1.2.3-alpha.beta"),
        ("v1.2.3-0.3.7", "v1.2.3-0.3.7"),
        ("v1.2.3-1", "v1.2.3-1"),
        ("v1.2.3.dev4", "v1.2.3.dev4"),
        ("v1.2.3-gpu", "v1.2.3-gpu"),
        ("v2.0a1", "v2.0a1"),
        ("v1.2.3-rc.1+build.5", "v1.2.3-rc.1_build.5"),
        # Post-releases and build metadata are final.
        ("v1.2.3.post1", "v1.2.3.post1 v1.2 v1 latest"),
        ("v1.2.3+cu118", "v1.2.3_cu118 v1.2 v1 latest"),
        ("v1.2.3+linux-x86.64", "v1.2.3_linux-x86.64 v1.2 v1 latest"),
        # A prefix that says the job, or nothing.
        ("train/v1.2.3", "train-v1.2.3 v1.2.3 v1.2 v1 latest"),
        ("train-v1.2.3", "train-v1.2.3 v1.2.3 v1.2 v1 latest"),
        ("train@1.2.3", "train-1.2.3 1.2.3 1.2 1 latest"),
        ("train_1.2.3-rc.1", "train_1.2.3-rc.1 1.2.3-rc.1"),
        ("release-1.2.3", "release-1.2.3 1.2.3 1.2 1 latest"),
        # And one that says something else: what it releases is not this job's latest.
        ("docs/v1.2.3", "docs-v1.2.3 docs-v1.2 docs-v1"),
        ("resnet-50-v1.2.3", "resnet-50-v1.2.3 resnet-50-v1.2 resnet-50-v1"),
        # No versions.
        ("nightly", "nightly latest"),
        ("nightly-2024-01-01", "nightly-2024-01-01 latest"),
        ("nightly-20240101", "nightly-20240101 latest"),
        ("20240101", "20240101 latest"),
        ("2024-01-01", "2024-01-01 latest"),
        ("attempt-2", "attempt-2 latest"),
        ("v", "v latest"),
        ("v1.x", "v1.x latest"),
        # Names that mean something else.
        ("latest", "tag-latest latest"),
        ("pr-12", "tag-pr-12 latest"),
        ("key-" + "a" * 32, "tag-key-" + "a" * 32 + " latest"),
    ],
)
def test_the_first_release_takes_the_aliases_of_its_tag(tag: str, aliases: str) -> None:
    assert taken(tag) == aliases


@pytest.mark.parametrize(
    ("tag", "present", "aliases"),
    [
        ("v1.2.4", "v1.2.3 v1.2 v1 latest", "v1.2.4 v1.2 v1 latest"),
        # A patch of an old line moves that line's aliases alone.
        ("v1.2.9", "v1.2.8 v1.2 v1 v2.0.0 v2.0 v2 latest", "v1.2.9 v1.2 v1"),
        ("v1.2.9", "v1.3.0 v1.3 v2.0.0", "v1.2.9 v1.2"),
        ("v1.2.3", "v1.2.4", "v1.2.3"),
        # Pre-releases are in nobody's way, however new.
        ("v1.2.4", "v2.0.0-rc.1 v1.3.0rc1", "v1.2.4 v1.2 v1 latest"),
        ("v2.0.0", "v2.0.0-rc.1 v1.9.0", "v2.0.0 v2.0 v2 latest"),
        # The same release again, however it is spelt.
        ("v1.2.3", "v1.2.3 v1.2 v1 latest", "v1.2.3 v1.2 v1 latest"),
        ("v1.2.0", "v1.2 v1", "v1.2.0 v1.2 v1 latest"),
        ("v1.2.3", "1.2.4", "v1.2.3"),
        # Numbers, not texts.
        ("v1.10.0", "v1.9.0", "v1.10.0 v1.10 v1 latest"),
        ("v1.9.0", "v1.10.0", "v1.9.0 v1.9"),
        ("v1.2.3", "v1.2.3.post1", "v1.2.3"),
        ("v1.2.3.post2", "v1.2.3.post1", "v1.2.3.post2 v1.2 v1 latest"),
        # A plain release stands above its variants, and they above one another by name.
        ("v1.2.3", "v1.2.3_cu118", "v1.2.3 v1.2 v1 latest"),
        ("v1.2.3+cu118", "v1.2.3", "v1.2.3_cu118"),
        ("v1.2.3+cpu", "v1.2.3_cu118", "v1.2.3_cpu"),
        ("v1.2.4+cpu", "v1.2.3_cu118", "v1.2.4_cpu v1.2 v1 latest"),
        # Other prefixes are other releases.
        ("v1.2.3", "docs-v9.0.0", "v1.2.3 v1.2 v1 latest"),
        ("docs/v1.2.3", "docs-v1.2.4 v3.0.0", "docs-v1.2.3"),
        ("train/v1.2.3", "train-v1.3.0", "train-v1.2.3 v1.2.3 v1.2"),
        ("train/v1.2.3", "v1.3.0", "train-v1.2.3 v1.2.3 v1.2"),
        # What is no version stands behind every version.
        ("nightly", "v0.1.0", "nightly"),
        ("nightly", "v0.1.0rc1 main pr-3 key-" + "a" * 32, "nightly latest"),
    ],
)
def test_no_alias_moves_backwards(tag: str, present: str, aliases: str) -> None:
    assert taken(tag, present.split()) == aliases


@given(st.permutations(["v1.2.3", "v1.2.9", "v1.3.0", "v1.3.1rc1", "v2.0.0", "v2.0.1-rc.1"]))
def test_the_newest_ends_up_with_the_alias_whatever_the_order(order: list[str]) -> None:
    named: dict[str, str] = {}
    for tag in order:
        for alias in taken(tag, list(named)).split():
            named[alias] = tag

    assert {alias: named[alias] for alias in ("v1.2", "v1.3", "v1", "v2", "v2.0", "latest")} == {
        "v1.2": "v1.2.9", "v1.3": "v1.3.0", "v1": "v1.3.0", "v2": "v2.0.0", "v2.0": "v2.0.0",
        "latest": "v2.0.0",
    }  # fmt: skip


@given(st.text(min_size=1, max_size=200), st.lists(st.text(max_size=20)))
def test_any_tag_has_aliases(tag: str, present: list[str]) -> None:
    known = [str(tag_alias(name)) for name in present]

    for alias in taken(tag, known).split():
        Tag(alias)


def test_rivals_are_told_newest_first() -> None:
    present = ["v1.2.4", "v1.2.10", "v2.0.0", "v1.2.9"]
    random.Random(1).shuffle(present)

    found = {str(m.alias): m.rivals for m in moving_aliases(read_release("v1.2.3"), present, JOB)}

    assert found["v1.2"] == ("v1.2.10", "v1.2.9", "v1.2.4")
    assert found["latest"] == ("v2.0.0", "v1.2.10", "v1.2.9", "v1.2.4")


@pytest.mark.parametrize(
    ("branch", "alias"),
    [
        ("main", "main"),
        ("feature/x", "feature-x"),
        ("release/1.x", "release-1.x"),
        ("1.x", "1.x"),
        ("fix/pip-2.3.0", "fix-pip-2.3.0"),
        ("2024-experiments", "2024-experiments"),
        ("v1", "branch-v1"),
        ("1.2", "branch-1.2"),
        ("v1.2.3-rc1", "branch-v1.2.3-rc1"),
        ("latest", "branch-latest"),
        ("pr-3", "branch-pr-3"),
        # What becomes such a name when an alias is made of it.
        ("pr/3", "branch-pr-3"),
        ("+latest", "branch--latest"),
        ("ü/v1.2.3", "branch---v1.2.3"),
        ("sha/1f", "branch-sha-1f"),
    ],
)
def test_no_branch_takes_the_alias_of_a_release(branch: str, alias: str) -> None:
    assert branch_alias(branch) == alias


@pytest.mark.parametrize(
    "branch", ["release/2.0", "Release/v2", "release-2.0.0-rc", "V2", "train/v2.0.0"]
)
def test_a_branch_is_no_newer_release(branch: str) -> None:
    alias = branch_alias(branch)

    assert alias.startswith("branch-")
    assert all(not m.rivals for m in moving_aliases(read_release("v1.1.0"), [alias], ["train"]))


@pytest.mark.parametrize(("tag", "alias"), [("pr/3", "tag-pr-3"), ("#latest", "tag--latest")])
def test_no_tag_takes_an_alias_that_means_something_else(tag: str, alias: str) -> None:
    assert tag_alias(tag) == alias


def test_wandb_counts_versions_by_the_names_of_majors() -> None:
    assert wandb_aliases([Tag("v1.2"), Tag("v1")]) == ("v1.2", "tag-v1")


@pytest.mark.parametrize(
    ("tag", "keys"),
    [
        ("v1.2.3", ("train", "Eval-Set")),
        ("train/v1.2.3", ("train",)),
        ("eval-set-1.2.3", ("Eval-Set",)),
        ("docs/v1", ("train", "Eval-Set")),
        ("release-1.2.3", ("train", "Eval-Set")),
        ("train", ("train", "Eval-Set")),
    ],
)
def test_a_prefix_that_is_a_key_releases_that_job(tag: str, keys: tuple[str, ...]) -> None:
    assert released_keys(tag, ["train", "Eval-Set"]) == keys
