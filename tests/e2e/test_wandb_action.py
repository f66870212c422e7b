"""The action and W&B: its SDK comes with a key alone, and a step registers what it has built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.action_scene import Scene
from support.github_events import branch
from support.services import LocalRegistry
from support.wandb_api.server import KEY, serve
from support.wandb_jobs import IMPATIENT, PROJECT

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]


def test_a_step_registers_its_job(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str, tmp_path: Path
) -> None:
    with serve(tmp_path / "api") as server:
        runner = scene.at(branch)
        also = {**runner.also, **IMPATIENT, "WANDB_BASE_URL": server.url, "WANDB_ENTITY": "acme"}
        given = {
            **inputs,
            "wandb-api-key": KEY,
            "project": "demo",
            "job-name": "hello",
            "wandb-register": "both",
        }
        result = replace(runner, also=also).run(given)

        assert result.code == 0, result.raw
        found = json.loads(result.outputs["metadata"])["wandb"]
        assert found["job"] == f"{PROJECT}/hello:v0"
        assert found["image_job"] == f"{PROJECT}/hello-image:v0"
        assert result.outputs["wandb-job"] == found["image_job"]
        assert result.outputs["wandb-job-url"] == found["image_url"]
        assert found["url"] in result.summary
        assert server.aliases(f"{PROJECT}/hello")["latest"] == "v0"
        told = [line for line in result.raw.splitlines() if not line.startswith("::add-mask::")]
        assert KEY not in result.summary + "".join(told)
