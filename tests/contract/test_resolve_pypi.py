"""Resolution against PyPI: what real packages look like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launch_action.builders.layers.download import Downloader
from launch_action.builders.layers.index_auth import Logins
from launch_action.builders.layers.lock import Resolution
from launch_action.builders.layers.resolve import Uv, find_uv, resolve
from launch_action.builders.layers.target import Target
from launch_action.cache import Cache
from launch_action.core.dependencies import read_dependencies
from launch_action.core.image import Platform

pytestmark = pytest.mark.network

CUTOFF = "2026-06-01T00:00:00Z"
JOBLIB = (
    "joblib==1.5.3 --hash=sha256:5fc3c5039fc5ca8c0276333a188bbd59d6b7ab37fe6632daa76bc7f9ec18e713"
)


def resolved(directory: Path, text: str, target: Target) -> Resolution:
    inputs = read_dependencies({"requirements.txt": text.encode()}.get)
    uv = Uv(find_uv(), Cache(directory).directory("uv"), dict(os.environ))
    return resolve(inputs, target, cutoff=None if inputs.pinned else CUTOFF, uv=uv)


@pytest.mark.parametrize(
    ("architecture", "libc", "version", "tag"),
    [
        ("amd64", "glibc", "2.36", "manylinux_2_27_x86_64.manylinux_2_28_x86_64"),
        ("arm64", "glibc", "2.28", "manylinux_2_27_aarch64.manylinux_2_28_aarch64"),
        ("arm64", "musl", "1.2", "musllinux_1_2_aarch64"),
    ],
)
def test_one_commit_gives_one_set_of_wheels_per_target(
    tmp_path: Path, architecture: str, libc: str, version: str, tag: str
) -> None:
    target = Target("3.12", Platform("linux", architecture), libc, version)  # type: ignore[arg-type]
    found = resolved(tmp_path, "numpy\npandas\n", target)
    assert found.frozen == (
        "numpy==2.4.6",
        "pandas==3.0.3",
        "python-dateutil==2.9.0.post0",
        "six==1.17.0",
    )
    assert found.wheels[0].filename == f"numpy-2.4.6-cp312-cp312-{tag}.whl"
    assert all(one.size for one in found.wheels)


def test_a_checked_wheel_arrives(tmp_path: Path) -> None:
    target = Target("3.12", Platform("linux", "amd64"))
    (wheel,) = resolved(tmp_path, f"{JOBLIB}\n", target).wheels
    downloader = Downloader(Cache(tmp_path), Logins(), environment=dict(os.environ))
    assert downloader.fetch(wheel).stat().st_size == wheel.size == 309071
