"""The real W&B SDK in a job: it finds its run, its configuration, and needs no server."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest
from support.jobs import MACHINE, MINOR, Blobs, job_image, tar_of
from support.runners import ProcessBench
from uv import find_uv_bin

from launch_action.core.image import OCI_LAYER_GZIP, Descriptor, digest_of
from launch_action.core.run import JobImage, LayerRef

pytestmark = pytest.mark.network

TRAIN = b"""\
import wandb
with wandb.init(config={"lr": 1.0, "epochs": 2}) as run:
    print("init", run.id, run.project, run.name, run.config.lr, run.config.epochs)
    for epoch in range(run.config.epochs):
        run.log({"loss": 1 / (epoch + 1), "by": {"epoch": epoch}})
    run.summary["best"] = "first"
"""


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A layer with a virtual environment that has the SDK."""
    venv = tmp_path_factory.mktemp("sdk") / "venv"
    for command in (["venv", "--python", MINOR, venv], ["pip", "install", "wandb==0.31.0"]):
        env = os.environ | {"VIRTUAL_ENV": str(venv)}
        subprocess.run([find_uv_bin(), "-q", *map(str, command)], env=env, check=True)
    files: dict[str, bytes | str] = {}
    for path in venv.rglob("*"):
        name = f"opt/venv/{path.relative_to(venv)}"
        if path.is_symlink():
            files[name] = str(path.readlink())
        elif path.is_file():
            files[name] = path.read_bytes()
    return tar_of(files)


def image_with(sdk: bytes, blobs: Blobs, code: bytes) -> JobImage:
    data = gzip.compress(sdk, 1, mtime=0)
    blobs.data[digest_of(data)] = data
    layer = LayerRef("dependency", Descriptor.of(data, OCI_LAYER_GZIP), digest_of(sdk))
    made = job_image(blobs, {"train.py": code}, "python", "train.py")
    return JobImage(
        platform=MACHINE,
        python=made.python,
        entrypoint=made.entrypoint,
        layers=(layer, *made.of_role("code")),
    )


def test_a_run_is_configured_and_its_summary_becomes_metrics(tmp_path: Path, sdk: bytes) -> None:
    bench = ProcessBench(tmp_path)
    result = bench.run_image(
        image_with(sdk, bench.blobs, TRAIN),
        run_id="abcd1234",
        project="Demo",
        name="first run",
        config={"lr": 0.5},
        # Offline the SDK must not be told of a job to use: it would end with an error.
        wandb_job="acme/demo/job:v0",
        timeout=120,
    )

    assert result.status == "succeeded", b"".join(bench.log).decode()
    assert b"init abcd1234 demo first run 0.5 2\n" in bench.log
    assert result.metrics == {"loss": 0.5, "by": {"epoch": 1}, "best": "first"}
    assert list((tmp_path / "launch-output/run1/wandb").glob("offline-run-*-abcd1234"))


def test_metrics_json_comes_before_the_summary(tmp_path: Path, sdk: bytes) -> None:
    write = b"open(os.environ['LAUNCH_OUTPUT_DIR'] + '/metrics.json', 'w').write('{\"a\": 1}')\n"
    code = TRAIN + b"import os\n" + write
    bench = ProcessBench(tmp_path)
    result = bench.run_image(image_with(sdk, bench.blobs, code), timeout=120)

    assert (result.status, dict(result.metrics)) == ("succeeded", {"a": 1})
