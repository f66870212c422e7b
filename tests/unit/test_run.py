"""What a run is asked for, what its job sees, and what is read of its metrics."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import InputError
from launch_action.core.metrics import METRICS_LIMIT, read_metrics
from launch_action.core.resources import ContainerResources
from launch_action.core.run import (
    CONFIG_CHUNK,
    RunPlan,
    exit_code,
    job_environment,
    missing_names,
    new_run_id,
    speaks_to_this_machine,
)

OUTPUTS = "/here/launch-output/abc12345"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def plan(**given: Any) -> RunPlan:
    base = {"run_id": "abc12345", "resource": "local-process", "output_directory": OUTPUTS}
    return RunPlan(**(base | given))


def environment(
    given: RunPlan, caller: dict[str, str] | None = None, image: dict[str, str] | None = None
) -> dict[str, str]:
    return job_environment(given, caller=caller or {}, image=image or {}, outputs=OUTPUTS)


def test_a_run_id_is_eight_of_the_letters_that_are_chosen() -> None:
    asked: list[str] = []

    def choose(letters: str) -> str:
        asked.append(letters)
        return letters[len(asked)]

    assert new_run_id(choose) == "bcdefghi"
    assert asked == ["abcdefghijklmnopqrstuvwxyz0123456789"] * 8


@pytest.mark.parametrize("run_id", ["", "../x", "a b", "a/b", ".a", "a\n", "x" * 129])
def test_a_run_id_that_is_no_name_of_a_directory_is_refused(run_id: str) -> None:
    with pytest.raises(InputError, match="not a run id"):
        plan(run_id=run_id)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(timeout: float) -> None:
    with pytest.raises(InputError, match="not a timeout"):
        plan(timeout=timeout)


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_a_name_that_no_variable_can_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="not the name of a variable"):
        plan(env_names=(name,))
    with pytest.raises(InputError, match="not the name of a variable"):
        plan(environment=((name, "value"),))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"config": {"x": "y" * 2_000_000}}, "environment and arguments of the run have 20000"),
        ({"files": {"x": "y" * 2_000_000}}, "takes 2000000 at most"),
        ({"args": ("ü" * 70_000,)}, "argument 'üüüüüüüüüüüüüüüüüüüü' has 140000 bytes"),
        ({"environment": (("A", "x" * 140_000),)}, "--env A has 140002 bytes"),
        ({"artifacts": {"a": "x" * 140_000}}, "overrides.artifacts has"),
        ({"environment": tuple((f"A{i}", "x" * 100_000) for i in range(21))}, "takes 2000000"),
    ],
)
def test_what_no_process_can_be_given_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        plan(**given)


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (3, 3), (-9, 137), (-15, 143)])
def test_a_signal_is_128_and_its_number(returned: int, code: int) -> None:
    assert exit_code(returned) == code


def test_a_job_without_options_sees_the_least() -> None:
    assert environment(plan()) == {
        "LAUNCH_OUTPUT_DIR": OUTPUTS,
        "PYTHONUNBUFFERED": "1",
        "WANDB_CONFIG": "{}",
        "WANDB_DATA_DIR": f"{OUTPUTS}/wandb-data",
        "WANDB_DIR": OUTPUTS,
        "WANDB_LAUNCH": "True",
        "WANDB_MODE": "offline",
        "WANDB_RUN_ID": "abc12345",
        "WANDB_SYMLINK": "false",
    }


def test_names_are_w_and_b_s_variables_and_the_project_is_lower_case() -> None:
    found = environment(plan(project="Demo", entity="Acme", name="First Run"))

    assert found["WANDB_PROJECT"] == "demo"
    assert found["WANDB_ENTITY"] == "Acme"
    assert found["WANDB_NAME"] == "First Run"


def test_nothing_of_the_caller_is_seen_but_what_is_named() -> None:
    caller = {"SECRET": "s", "NAMED": "n", "GITHUB_TOKEN": "k"}
    found = environment(plan(env_names=("NAMED", "ABSENT")), caller)

    assert found == environment(plan()) | {"NAMED": "n"}
    assert missing_names(plan(env_names=("NAMED", "ABSENT")), caller) == ("ABSENT",)


def test_the_job_and_its_image_are_named_as_w_and_b_names_them() -> None:
    found = job_environment(
        plan(job_name="job-x", files={"a.yaml": {"lr": 1}}),
        caller={},
        image={},
        outputs=OUTPUTS,
        docker="ghcr.io/acme/train@sha256:00",
    )

    assert found["WANDB_JOB_NAME"] == "job-x"
    assert found["WANDB_DOCKER"] == "ghcr.io/acme/train@sha256:00"
    assert json.loads(found["WANDB_LAUNCH_FILE_OVERRIDES"]) == {"a.yaml": {"lr": 1}}


def test_the_key_of_a_team_s_own_server_goes_to_that_server_alone() -> None:
    caller = {"WANDB_API_KEY": "k", "WANDB_BASE_URL": "https://me:pw@wandb.acme.io"}
    found = environment(plan(env_names=("WANDB_API_KEY",)), caller)

    assert found["WANDB_BASE_URL"] == "https://wandb.acme.io"
    assert environment(plan(), caller)["WANDB_BASE_URL"] == "https://wandb.acme.io"
    kept = plan(environment=(("WANDB_API_KEY", ""),))
    for found in (environment(kept, caller), environment(plan(untrusted=True), caller)):
        assert not {"WANDB_BASE_URL", "WANDB_API_KEY"} & set(found)
        assert found["WANDB_MODE"] == "offline"


def test_the_container_s_own_environment_is_below_what_is_given_on_the_command_line() -> None:
    limits = ContainerResources(environment=(("A", "limits"), ("B", "limits"), ("C", "limits")))
    given = plan(resources=limits, environment=(("A", "user"),), env_names=("B",))
    found = environment(given, {"B": "caller"})

    assert (found["A"], found["B"], found["C"]) == ("user", "caller", "limits")


def test_a_key_given_by_name_puts_w_and_b_online() -> None:
    found = environment(plan(env_names=("WANDB_API_KEY",)), {"WANDB_API_KEY": "k"})

    assert found["WANDB_API_KEY"] == "k"
    assert "WANDB_MODE" not in found


def test_an_empty_key_or_none_leaves_w_and_b_offline() -> None:
    for caller in ({"WANDB_API_KEY": ""}, {}):
        found = environment(plan(env_names=("WANDB_API_KEY",)), caller)
        assert found["WANDB_MODE"] == "offline"
        assert "WANDB_API_KEY" not in found


def test_the_job_is_used_at_w_and_b_only_where_it_is_known_and_online() -> None:
    known = plan(wandb_job="acme/demo/job:v3", env_names=("WANDB_API_KEY", "WANDB_MODE"))
    key = {"WANDB_API_KEY": "k"}

    assert json.loads(environment(known, key)["WANDB_ARTIFACTS"]) == {
        "_wandb_job": "acme/demo/job:v3"
    }
    used = environment(plan(artifacts={"data": "acme/demo/set:v1"}, env_names=known.env_names), key)
    assert json.loads(used["WANDB_ARTIFACTS"]) == {"data": "acme/demo/set:v1"}
    # An offline `wandb.init` fails when it is told to use an artifact.
    assert "WANDB_ARTIFACTS" not in environment(known)
    assert "WANDB_ARTIFACTS" not in environment(known, key | {"WANDB_MODE": "offline"})
    assert "WANDB_ARTIFACTS" not in environment(plan(env_names=("WANDB_API_KEY",)), key)


def test_what_an_offline_run_leaves_is_found_when_the_job_has_ended() -> None:
    key = {"WANDB_API_KEY": "k"}
    modes = {"WANDB_MODE": "offline"}
    kept = job_environment(plan(), caller={}, image={}, outputs="/launch-output", kept="/here/x")
    online = job_environment(plan(), caller=key, image={}, outputs=OUTPUTS)
    asked = plan(environment=tuple(modes.items()))
    offline = job_environment(asked, caller=key, image={}, outputs=OUTPUTS)

    assert (kept["WANDB_DIR"], kept["WANDB_DATA_DIR"]) == ("/launch-output", "/here/x/wandb-data")
    assert kept["WANDB_SYMLINK"] == "false"
    assert "WANDB_DATA_DIR" not in online
    assert offline["WANDB_DATA_DIR"] == f"{OUTPUTS}/wandb-data"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:8080", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://[::1", False),
        ("https://localhost.example.com", False),
        ("https://api.wandb.ai", False),
        ("", False),
    ],
)
def test_a_server_of_this_machine_is_none_that_a_container_reaches(url: str, here: bool) -> None:
    assert speaks_to_this_machine({"WANDB_API_KEY": "k", "WANDB_BASE_URL": url}) is here
    # Without a key nothing is spoken to.
    assert not speaks_to_this_machine({"WANDB_BASE_URL": url})


def test_an_empty_switch_never_reaches_the_sdk() -> None:
    given = plan(environment=(("WANDB_SILENT", ""), ("EMPTY", "")), env_names=("WANDB_QUIET",))
    found = environment(given, {"WANDB_QUIET": ""}, {"WANDB_DISABLED": "", "OTHER": ""})

    assert {name for name in found if name.startswith("WANDB_")} == {
        name for name in environment(plan()) if name.startswith("WANDB_")
    }
    assert found["EMPTY"] == found["OTHER"] == ""


def test_what_the_user_gives_wins_over_image_and_defaults_but_not_the_output_directory() -> None:
    given = plan(
        environment=(("A", "user"), ("WANDB_MODE", "disabled"), ("LAUNCH_OUTPUT_DIR", "/x"))
    )
    found = environment(given, image={"A": "image", "B": "image", "PYTHONUNBUFFERED": "0"})

    assert (found["A"], found["B"]) == ("user", "image")
    assert found["PYTHONUNBUFFERED"] == "1"
    assert found["WANDB_MODE"] == "disabled"
    assert found["LAUNCH_OUTPUT_DIR"] == OUTPUTS


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_configuration_reads_back(config: dict[str, Any]) -> None:
    found = environment(plan(config=config))

    assert json.dumps(json.loads(found["WANDB_CONFIG"])) == json.dumps(config)


@pytest.mark.parametrize("length", [CONFIG_CHUNK - 1, CONFIG_CHUNK, CONFIG_CHUNK * 3 + 5])
def test_a_long_configuration_is_cut_into_pieces_that_join_to_it(length: int) -> None:
    config = {"text": "é" * length}
    found = environment(plan(config=config))
    pieces = [found[f"WANDB_CONFIG_{i}"] for i in range(len(found)) if f"WANDB_CONFIG_{i}" in found]

    assert "WANDB_CONFIG" not in found
    assert all(len(piece) <= CONFIG_CHUNK for piece in pieces)
    assert json.loads("".join(pieces)) == config


# ---- metrics ------------------------------------------------------------------------------------


def test_metrics_are_an_object_of_scalars_nested_or_not() -> None:
    found = {"loss": 0.5, "n": 3, "best": {"epoch": 7, "by": {"class": "a"}}, "ok": True, "x": None}

    assert read_metrics(json.dumps(found).encode()) == (found, "")


@pytest.mark.parametrize("data", [b"", b"[1]", b"3", b"{", b"\xff\xfe", b"null", b"[" * 100000])
def test_nonsense_gives_no_metrics_and_one_line_of_warning(data: bytes) -> None:
    metrics, warning = read_metrics(data)

    assert metrics == {}
    assert warning
    assert "\n" not in warning
    assert len(warning) < 500


def test_a_document_over_the_limit_is_not_read() -> None:
    assert read_metrics(b" " * METRICS_LIMIT + b"{}")[0] == {}
    assert "more than" in read_metrics(b" " * METRICS_LIMIT + b"{}")[1]
    assert read_metrics(b" " * (METRICS_LIMIT - 7) + b'{"a":1}') == ({"a": 1}, "")


def test_what_is_no_scalar_is_left_out_by_name() -> None:
    metrics, warning = read_metrics(b'{"a": 1, "curve": [1, 2], "b": {"c": [3], "d": 4}}')

    assert metrics == {"a": 1, "b": {"d": 4}}
    assert "'curve', 'b.c'" in warning


def test_numbers_that_json_does_not_have_become_w_and_b_s_words() -> None:
    assert read_metrics(b'{"a": NaN, "b": Infinity, "c": -Infinity}')[0] == {
        "a": "NaN",
        "b": "Infinity",
        "c": "-Infinity",
    }


@given(st.binary() | JSON.map(lambda found: json.dumps(found).encode()))
def test_whatever_is_read_can_be_written_as_json_in_utf_8(data: bytes) -> None:
    metrics, warning = read_metrics(data)

    json.dumps(metrics, allow_nan=False, ensure_ascii=False).encode()
    assert isinstance(warning, str)


def test_half_a_surrogate_pair_does_not_break_the_output() -> None:
    assert read_metrics(b'{"a": "\\ud800", "\\udfff": 1}')[0] == {"a": "?", "?": 1}
