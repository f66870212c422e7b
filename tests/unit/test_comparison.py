"""What one version has installed that another has not."""

from __future__ import annotations

from launch_action.core.comparison import Change, packages, requirement_changes

OLD = b"numpy==2.1.0\npandas==2.2.0\nours @ https://host/ours-1-py3-none-any.whl\n"
NEW = b"numpy==2.2.0\nours @ https://host/ours-1-py3-none-any.whl\nscipy==1.14.0\n"


def test_added_removed_and_changed_packages_are_told_by_name() -> None:
    found = requirement_changes(OLD, NEW)

    assert found == (
        Change("numpy", "2.1.0", "2.2.0"),
        Change("pandas", "2.2.0", ""),
        Change("scipy", "", "1.14.0"),
    )
    assert [change.kind for change in found] == ["changed", "removed", "added"]
    assert [str(change) for change in found] == [
        "~ numpy 2.1.0 -> 2.2.0", "- pandas 2.2.0", "+ scipy 1.14.0",
    ]  # fmt: skip


def test_the_same_list_has_no_change_and_comments_are_no_packages() -> None:
    assert requirement_changes(OLD, b"# as of today\n\n" + OLD) == ()
    assert packages(b"") == {}
