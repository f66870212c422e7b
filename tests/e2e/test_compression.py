"""`--compression`, as a user sees it: layers of zstd run, and are not mixed with those of gzip."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.program import Machine, failed, succeeded
from support.repositories import Work
from support.services import LocalRegistry

from launch_action.core.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]

JOB = "job-https___github.com_acme_mono-train.py"
ZSTD = ("--compression", "zstd")


def build(machine: Machine, work: Work, *options: str) -> dict[str, Any]:
    return succeeded(machine.run("build", "--json", *options, cwd=work.path)).document


def made_types(machine: Machine, digest: str) -> set[str]:
    """The media types of the layers that were made here; the base's one is the first."""
    found = LayoutContent(machine.layout(JOB), JOB).get_manifest(digest)
    assert found
    return {layer.media_type for layer in found.layers()[1:]}


def test_a_job_of_zstd_layers_runs_and_is_the_same_on_another_machine(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    ended = machine.run("launch", "-r", "local-process", "--json", *options, *ZSTD, cwd=work.path)
    found = succeeded(ended).document
    other = build(Machine(tmp_path / "other"), work, *options, *ZSTD)

    assert found["metrics"] == {"ok": 1}
    assert made_types(machine, found["digest"]) == {OCI_LAYER_ZSTD}
    assert other["job_digest"] == found["job_digest"]


def test_another_compression_is_another_image_over_the_same_cache(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    found = {
        kind: build(machine, work, *options, "--compression", kind)
        for kind in ("gzip", "zstd", "gzip:9", "zstd:9", "gzip:6")
    }

    assert len({one["digest"] for one in found.values()}) == 4
    assert found["gzip:6"]["digest"] == found["gzip"]["digest"]
    assert [one["cache_hit"] for one in found.values()] == [False, False, False, False, True]
    assert made_types(machine, found["gzip:9"]["digest"]) == {OCI_LAYER_GZIP}


@pytest.mark.registry
def test_other_tools_take_an_image_of_zstd(
    machine: Machine, work: Work, options: tuple[str, ...], registry: LocalRegistry, tmp_path: Path
) -> None:
    image = f"{registry.address}/acme/zstd"
    found = build(machine, work, *options, *ZSTD, "--image", image)

    copy = tmp_path / "copy"
    subprocess.run(
        ["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-decompress",
         f"docker://{found['image']}", f"dir:{copy}"], check=True,
    )  # fmt: skip

    manifest = json.loads((copy / "manifest.json").read_text())
    config = json.loads((copy / manifest["config"]["digest"][7:]).read_text())
    layers = [layer["digest"] for layer in manifest["layers"]]
    assert layers == config["rootfs"]["diff_ids"], "what it unpacked is what was said"
    with tarfile.open(copy / layers[-1][7:], "r:") as code:
        script = code.extractfile("app/train.py")
        assert script
        assert script.read() == (work.path / "train.py").read_bytes()


def test_a_level_that_is_none_is_an_input_error(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    ended = failed(machine.run("build", *options, "--compression", "zstd:22", cwd=work.path), 2)

    assert ended.error == "input 'compression' cannot be 'zstd:22'"
