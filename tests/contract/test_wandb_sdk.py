"""What `launch_action.wandb.sdk` uses beside the SDK's public interface, held against the SDK.

A failure here says what a new SDK has changed.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import wandb
from wandb.sdk import wandb_run

from launch_action.wandb import sdk


def test_jobs_are_still_kept_from_the_public_class() -> None:
    with pytest.raises(ValueError, match="reserved"):
        wandb.Artifact("name", type="job")

    made = sdk.make_artifact("job", "name", "text", {"_partial": True})
    assert (made.type, made.name, made.description) == ("job", "name", "text")
    assert dict(made.metadata) == {"_partial": True}
    assert sdk.make_artifact("code", "name", "", {}).type == "code"


def test_every_setting_is_one() -> None:
    known = set(wandb.Settings.model_fields)

    assert known >= {*sdk.PATIENCE, *sdk.SILENCE, "base_url", "api_key"}
    made = sdk.settings("http://127.0.0.1:9", "0" * 40, {"WANDB_INIT_TIMEOUT": "1"})
    assert made.console == "off"
    assert "init_timeout" not in made.model_fields_set
    assert made.x_graphql_retry_max == sdk.PATIENCE["x_graphql_retry_max"]


def test_latest_is_still_added_where_we_take_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve: Any = getattr(wandb_run, sdk.ALIASES)
    assert set(resolve(["pr-1"])) == {"pr-1", "latest"}
    assert sdk.ALIASES in inspect.getsource(wandb_run.Run._prepare_artifact)

    monkeypatch.setattr(wandb_run, sdk.ALIASES, resolve)  # put back afterwards
    sdk.keep_aliases()
    assert getattr(wandb_run, sdk.ALIASES)(["pr-1"]) == ["pr-1"]
