"""Which aliases move at once, which wait for a run, and what of it travels between processes."""

from __future__ import annotations

import json

import pytest

from launch_action.core.aliases import branch_alias, distinct_alias, may_collide
from launch_action.core.claims import Claims, Held, Turn, for_release, parted, read_held, waits
from launch_action.core.inputs import Inputs
from launch_action.core.reference import Tag

GATED = Inputs(fail_if=("accuracy < 0.9",))
SHA = Tag("sha-" + "a" * 40)


@pytest.mark.parametrize(
    ("inputs", "pull_request", "tag", "run", "wait"),
    [
        (Inputs(), False, "", True, False),
        (GATED, False, "", True, True),
        (GATED, False, "", False, False),
        (GATED, True, "", True, False),
        (Inputs(), False, "v1.0.0", True, True),
        (Inputs(), False, "v1.0.0", False, False),
        (Inputs(detach=True), False, "v1.0.0", True, False),
    ],
)
def test_what_waits(inputs: Inputs, pull_request: bool, tag: str, run: bool, wait: bool) -> None:
    assert waits(inputs, pull_request=pull_request, tag=tag, run=run) is wait


def test_the_commit_s_alias_never_waits() -> None:
    main, latest = Tag("main"), Tag("latest")

    assert parted((SHA, main, latest), Claims(), wait=False) == ((SHA, main, latest), None)
    assert parted((SHA, main, latest), Claims(), wait=True) == (
        (SHA,),
        Held((main, latest), Claims()),
    )
    assert parted((SHA,), Claims(), wait=True) == ((SHA,), None)


def test_what_waits_is_the_same_in_another_process() -> None:
    claims = Claims(Turn("https://github.com/a/b", 7, 2, 99, 3), frozenset({Tag("mine")}), "main")
    held = Held((Tag("main"), Tag("mine")), claims)
    released = for_release(held, "v1", ("train",), (Tag("main"),), (Tag("v1"), Tag("latest")))

    assert released.aliases == (Tag("mine"),)
    assert released.shown == (Tag("mine"), Tag("v1"), Tag("latest"))
    for one in (held, released, Held((Tag("x"),))):
        assert read_held(json.loads(json.dumps(one.document()))) == one


@pytest.mark.parametrize(
    ("branch", "collides"),
    [
        ("main", False), ("dev_2", False), ("1.x", False), ("feature/x", True), ("feature-x", True),
        ("@main", True), ("v1", True), ("\u00e9", True),
    ],
)  # fmt: skip
def test_a_branch_that_may_be_mistaken_has_another_alias(branch: str, collides: bool) -> None:
    assert may_collide(branch) is collides
    other = distinct_alias(branch)
    assert other != branch_alias(branch)
    assert len(distinct_alias(branch * 60)) <= 128


def test_alike_branches_differ_in_it() -> None:
    names = ("a/b", "a-b", "a b", "a\u00e9b", "a@b")

    assert len(set(map(branch_alias, names))) == 1
    assert len(set(map(distinct_alias, names))) == len(names)
