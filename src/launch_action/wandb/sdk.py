"""What is used of the W&B SDK besides its public interface: all of it is here, and tested.

`tests/contract/test_wandb_sdk.py` says when an SDK changes one of these. Imported in the process
of `sdk_worker` alone, never in that of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wandb
from wandb.sdk import wandb_run
from wandb.sdk.artifacts._internal_artifact import InternalArtifact

ALIASES = "_resolve_aliases"
# The SDK's defaults are for a training that may wait for hours: seconds, and how often.
PATIENCE: Mapping[str, Any] = {
    "init_timeout": 60.0,
    "x_graphql_retry_max": 5,
    "x_graphql_retry_wait_max_seconds": 10.0,
    "x_graphql_timeout_seconds": 30.0,
    "x_file_transfer_retry_max": 5,
    "x_file_transfer_retry_wait_max_seconds": 10.0,
    "x_file_stream_retry_max": 3,
    "x_file_stream_retry_wait_max_seconds": 5.0,
}
# What a run collects of itself, its machine and its directory: none of it is asked for.
SILENCE: Mapping[str, Any] = {
    "silent": True,
    "quiet": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "disable_job_creation": True,
    "host": "launch-action",
    "program": "launch-action",
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}


def settings(base_url: str, key: str, environment: Mapping[str, str]) -> wandb.Settings:
    """The settings of a run that uploads artifacts; the SDK's own variables win over PATIENCE."""
    said = {name.lower() for name in environment}
    patience = {name: value for name, value in PATIENCE.items() if f"wandb_{name}" not in said}
    return wandb.Settings(base_url=base_url, api_key=key, **SILENCE, **patience)


def make_artifact(
    kind: str, name: str, description: str, metadata: Mapping[str, Any]
) -> wandb.Artifact:
    """An artifact; of the type `job`, which `wandb.Artifact` keeps to the SDK."""
    make = InternalArtifact if kind == "job" else wandb.Artifact
    return make(name, kind, description=description or None, metadata=dict(metadata))


def keep_aliases() -> None:
    """Have an artifact logged with the aliases that are given, and no `latest` besides.

    A preview must not take it.
    """

    def given(aliases: Sequence[str] | None) -> list[str]:
        return list(aliases or ())

    # The one place where it is added.
    setattr(wandb_run, ALIASES, given)
