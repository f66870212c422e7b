from __future__ import annotations

import os
from pathlib import Path

import pytest

from launch_action.commands.image_user import Owner, unwritable, workspace_owner
from launch_action.runners.host_paths import own_container, translated

ID = "0123456789abcdef" * 4
MOUNTS = (
    {"Source": "/srv/runner/mono", "Destination": "/github/workspace"},
    {"Source": "/srv/runner/_temp", "Destination": "/github/runner_temp"},
    {"Source": "/srv/data", "Destination": "/github/workspace/data"},
    {"Source": "", "Destination": "/scratch"},
)


def status(mode: int, user: int, group: int) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 0, user, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "user", "group", "wanted"),
    [
        (0o600, 1001, 0, True),
        (0o077, 1001, 0, False),
        (0o020, 0, 121, True),
        (0o020, 0, 999, True),
        (0o602, 0, 121, False),
        (0o606, 0, 7, True),
        (0o664, 0, 0, False),
    ],
)
def test_the_first_class_of_the_mode_that_fits_decides(
    mode: int, user: int, group: int, wanted: bool
) -> None:
    assert Owner(1001, 121, (999,)).may_write(status(mode, user, group)) is wanted


def test_a_workspace_of_root_changes_nothing() -> None:
    assert workspace_owner({"GITHUB_WORKSPACE": "/"}) is None
    assert workspace_owner({"GITHUB_WORKSPACE": "/no/such/place"}) is None


def test_a_file_of_the_runner_that_is_not_there_is_no_obstacle(tmp_path: Path) -> None:
    there = tmp_path / "output"
    there.touch(mode=0o600)
    stranger = Owner(there.stat().st_uid + 1, there.stat().st_gid + 1, ())

    assert unwritable(stranger, {"GITHUB_OUTPUT": str(there)}) == str(there)
    assert unwritable(stranger, {"GITHUB_OUTPUT": str(tmp_path / "gone")}) == ""


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/github/workspace", "/srv/runner/mono"),
        ("/github/workspace/a b", "/srv/runner/mono/a b"),
        ("/github/workspace/data/x", "/srv/data/x"),
        ("/github/workspaces", None),
        ("/etc", None),
        ("/scratch/x", None),
    ],
)
def test_the_nearest_mount_names_a_path_of_the_engine(path: str, wanted: str | None) -> None:
    assert translated(path, MOUNTS) == wanted


def test_a_container_finds_itself_by_the_files_that_an_engine_mounts() -> None:
    line = f"701 680 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1"

    assert own_container(f"30 1 8:1 / / rw - ext4 /dev/sda1\n{line}\n") == ID


def test_the_engine_s_own_machine_is_no_container() -> None:
    line = f"99 30 0:50 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw"

    assert own_container(line) == ""
