"""Following links on paper."""

from __future__ import annotations

import pytest

from launch_action.core.context import TreeFile
from launch_action.core.links import escaping_links, resolve

LINKS = {
    "requirements.txt": "req/prod.txt",
    "req/base": "../base",
    "deep": "a/b",
    "a/b/up": "../../top",
    "chain": "requirements.txt",
    "loop": "loop2",
    "loop2": "loop",
    "out": "../x",
    "absolute": "/app/x",
    "empty": "",
}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("plain", "plain"),
        ("requirements.txt", "req/prod.txt"),
        ("chain", "req/prod.txt"),
        ("req/base/x", "base/x"),
        ("deep/up", "top"),
        ("deep/../../x", "x"),  # `deep` is a/b, so two up is the top
        ("out", None),
        ("absolute", None),
        ("out/../inside", None),
    ],
)
def test_a_path_leads_where_the_links_in_it_lead(path: str, target: str | None) -> None:
    assert resolve(path, LINKS) == target


def test_a_loop_ends() -> None:
    assert resolve("loop", LINKS) is not None


def test_only_links_are_read_and_those_that_leave_are_named_in_order() -> None:
    files = (
        *(TreeFile(path, "symlink", "git:0", 1) for path in LINKS),
        TreeFile("f", "file", "git:1", 1),
    )
    read: list[str] = []

    def target(path: str) -> bytes:
        read.append(path)
        return LINKS[path].encode()

    assert escaping_links(files, target) == ("out", "absolute")
    assert read == list(LINKS)
