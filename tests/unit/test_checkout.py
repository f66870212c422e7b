"""Facts that follow from a checkout."""

from __future__ import annotations

from launch_action.core.checkout import Checkout, Repository

CHECKOUT = Checkout(
    repository=Repository("/checkout", "/checkout/.git", "/checkout/.git"),
    subdirectory="",
    commit="0123456789abcdef0123456789abcdef01234567",
    commit_time=1_700_000_000,
    remote="https://user:s3cr3t@github.com/acme/mono",
    remote_name="origin",
    branch="main",
    default_branch="main",
    tags=("v1",),
    dirty=(),
    untracked=3,
    shallow=False,
)


def test_the_short_commit_is_a_prefix_of_twelve() -> None:
    assert CHECKOUT.short_commit == "0123456789ab"


def test_the_remote_is_not_in_the_repr() -> None:
    assert "s3cr3t" not in repr(CHECKOUT)


def test_top_is_that_of_the_repository() -> None:
    assert CHECKOUT.top == "/checkout"
