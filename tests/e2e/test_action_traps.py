"""What GitHub's runner does that an action must know of: each trap, met by the real program.

docs/action.md lists them with the tests that hold each.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import github_events as events
from support.action_scene import Scene, git
from support.github_runner import TOKEN, Runner, StepResult
from support.program import PROGRAM

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

SECRET = "hunter2-in-one-line"
ENTRY = [str(PROGRAM), "action"]


def succeeded(result: StepResult) -> StepResult:
    assert result.code == 0, result.raw
    return result


def failed(result: StepResult, code: int) -> str:
    """Its one error annotation."""
    assert result.code == code, result.raw
    (error,) = result.log.of("error")
    return error


def committed(scene: Scene, **files: str) -> Runner:
    """The runner of a push to main whose commit has these files; `__` stands for a slash."""
    git(scene.workspace, "checkout", "--quiet", "-B", "main", scene.commits.head)
    for name, content in files.items():
        path = scene.workspace / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    git(scene.workspace, "add", ".")
    git(scene.workspace, "commit", "--quiet", "--message=two")
    commit = git(scene.workspace, "rev-parse", "HEAD")
    return Scene(scene.runner, replace(scene.commits, head=commit)).at(events.branch)


# ---- inputs ------------------------------------------------------------------------------------


def test_a_container_action_reads_its_inputs_with_their_hyphens(
    scene: Scene, inputs: dict[str, str]
) -> None:
    result = succeeded(scene.at(events.branch).run_container(ENTRY, inputs))

    assert result.log.text.startswith("mode update: push, branch 'main'")
    assert result.outputs["pushed"] == "true"


def test_a_shell_that_drops_names_with_hyphens_is_survived(
    scene: Scene, inputs: dict[str, str]
) -> None:
    """As `sh` in an image's entry point does: who writes one passes the other spelling on."""
    runner = scene.at(events.branch)
    also = {
        f"INPUT_{name.upper().replace('-', '_')}": value
        for name, value in inputs.items()
        if "-" in name
    }
    dash = ["dash", "-c", f"exec {shlex.join(ENTRY)}"]

    lost = runner.run_container(dash, inputs)
    found = replace(runner, also={**runner.also, **also}).run_container(dash, inputs)

    assert failed(lost, 2).startswith("input 'entry-point' is required")
    succeeded(found)


@pytest.mark.parametrize("text", ["", "auto", "true", "True", "TRUE"])
def test_a_boolean_is_yaml_s_and_nothing_is_the_default(
    scene: Scene, inputs: dict[str, str], text: str
) -> None:
    result = scene.at(events.branch).run(inputs | {"push": text, "allow-untrusted": ""})

    assert succeeded(result).outputs["pushed"] == "true"


def test_a_typo_in_a_boolean_gets_the_valid_values_and_the_nearest(
    scene: Scene, inputs: dict[str, str]
) -> None:
    error = failed(scene.at(events.branch).run(inputs | {"deployment": "ture"}), 2)

    assert "input 'deployment' cannot be 'ture'" in error
    assert "did you mean 'true'? valid: false, true" in error


def test_a_name_that_is_no_input_is_the_runner_s_warning_and_not_read(
    scene: Scene, inputs: dict[str, str]
) -> None:
    result = succeeded(scene.at(events.branch).run(inputs | {"base-image": "x", "imgae": "y"}))

    assert [warning.split(",")[0] for warning in result.warnings] == [
        "Unexpected input(s) 'base-image'",
        "Unexpected input(s) 'imgae'",
    ]


def test_an_input_that_is_required_and_missing_is_our_error(scene: Scene) -> None:
    error = failed(scene.at(events.branch).run({}), 2)

    assert error.startswith("input 'entry-point' is required")


# ---- secrets -----------------------------------------------------------------------------------


def test_secrets_are_masked_before_anything_is_said_and_line_by_line(
    scene: Scene, inputs: dict[str, str]
) -> None:
    secrets = {
        "registry-password": "first-line\nsecond-line",
        "wandb-api-key": SECRET,
        "secret": "id=token,env=TOKEN\nNAME=value-of-a-secret",
        "mode": "launhc",
    }
    result = scene.at(events.branch).run(inputs | secrets)

    lines = result.raw.splitlines()
    first_other = next(i for i, line in enumerate(lines) if not line.startswith("::add-mask::"))
    masked = {line.removeprefix("::add-mask::") for line in lines[:first_other]}
    assert {"first-line", "second-line", SECRET, "value-of-a-secret", TOKEN} <= masked
    assert "launhc" in failed(result, 2)


# ---- outputs and the other files ---------------------------------------------------------------


def test_outputs_are_kept_when_the_step_fails_later(scene: Scene, inputs: dict[str, str]) -> None:
    runner = committed(scene, jobs__train_dot_py="raise SystemExit(3)\n")

    result = runner.run(inputs | {"run": "true"})

    assert failed(result, 1).startswith("the run of job-")
    for name in ("job", "job-digest", "image", "digest", "tags", "metadata"):
        assert result.outputs[name], name
    assert (result.outputs["run-status"], result.outputs["run-exit-code"]) == ("failed", "3")
    assert result.artifacts == (result.outputs["image"],)


def test_nothing_is_written_that_later_steps_would_obey(
    scene: Scene, inputs: dict[str, str]
) -> None:
    result = succeeded(scene.at(events.dispatch).run(inputs))

    assert (dict(result.environment), result.path) == ({}, ())
    deprecated = ("set-output", "save-state", "set-env", "add-path")
    assert not [name for name in deprecated if f"::{name}" in result.raw]


@pytest.mark.parametrize("place", ["/nonexistent/output", "/proc/version", ""])
def test_an_output_file_that_cannot_be_written_is_named(
    scene: Scene, inputs: dict[str, str], place: str
) -> None:
    runner = scene.at(events.branch)

    result = replace(runner, also={**runner.also, "GITHUB_OUTPUT": place}).run(inputs)

    assert f"GITHUB_OUTPUT names no file that can be written: {place!r}" in failed(result, 2)


@pytest.mark.parametrize("place", ["/nonexistent/file", "/proc/version", ""])
def test_a_summary_or_artifacts_file_that_cannot_be_written_ends_nothing(
    scene: Scene, inputs: dict[str, str], place: str
) -> None:
    runner = scene.at(events.branch)
    also = {"GITHUB_STEP_SUMMARY": place, "GITHUB_ARTIFACTS": place}

    result = succeeded(replace(runner, also={**runner.also, **also}).run(inputs))

    assert result.outputs["pushed"] == "true"


def test_what_an_earlier_step_wrote_into_the_files_is_kept(
    scene: Scene, inputs: dict[str, str], tmp_path: Path
) -> None:
    summary = tmp_path / "summary"
    summary.write_text("# of a nested action\n")
    runner = scene.at(events.branch)

    also = {**runner.also, "GITHUB_STEP_SUMMARY": str(summary)}
    succeeded(replace(runner, also=also).run(inputs))

    assert summary.read_text().startswith("# of a nested action\n### ✅ Update of ")


# ---- the log -----------------------------------------------------------------------------------


def test_what_a_job_prints_on_either_stream_is_no_command(
    scene: Scene, inputs: dict[str, str]
) -> None:
    commands = ["::error::a", "  ::add-mask::e", "##[group]x", "::stop-commands::y", "::endgroup::"]
    script = f"import sys\nfor one in {commands}:\n  print(one)\n  print(one, file=sys.stderr)\n"
    runner = committed(scene, jobs__train_dot_py=script)

    result = succeeded(runner.run(inputs | {"run": "true"}))

    assert result.log.of("error") == []
    assert "e" not in result.log.of("add-mask")
    (token,) = result.log.of("stop-commands")
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    assert result.log.text.count("::error::a") == 2


def test_a_branch_s_name_is_no_command(scene: Scene, inputs: dict[str, str]) -> None:
    runner = scene.at(events.branch)
    name = "x\n::error::forged\r::add-mask::e"
    forged = {**runner.github, "GITHUB_REF_NAME": name, "GITHUB_REF": f"refs/heads/{name}"}

    result = replace(runner, github=forged).run(inputs)

    assert not [data for data in result.log.of("error") if data.startswith("forged")]
    assert "e" not in result.log.of("add-mask")


def test_the_phases_are_groups_with_their_durations(scene: Scene, inputs: dict[str, str]) -> None:
    result = succeeded(scene.at(events.branch).run(inputs))

    groups = result.log.of("group")
    assert {"base", "build", "record"} <= set(groups)
    assert len(result.log.of("endgroup")) == len(groups)
    for name in groups:
        if name == "inputs":  # it takes no time
            continue
        assert re.search(rf"^{re.escape(name)}: [0-9]+\.[0-9]{{2}} s$", result.log.text, re.M), name


def test_a_failure_stands_at_the_file_and_line_at_fault(
    scene: Scene, inputs: dict[str, str]
) -> None:
    runner = committed(scene, requirements_dot_txt="# none\nnot a requirement\n")

    result = runner.run(inputs)

    error = failed(result, 4)
    (command,) = [one for one in result.log.commands if one.name == "error"]
    assert error.startswith("requirements.txt:2: ")
    assert (command.properties["file"], command.properties["line"]) == ("requirements.txt", "2")
    assert command.properties["title"] == "launch-action: build"


@pytest.mark.engine
def test_a_dockerfile_that_fails_is_annotated_at_its_line(
    scene: Scene, inputs: dict[str, str], python_base: str
) -> None:
    text = f"FROM {python_base}\n# a comment\nRUN echo ::error::forged && exit 3\n"
    runner = committed(scene, Dockerfile=text)

    result = runner.run(inputs | {"dockerfile": "Dockerfile"})

    assert failed(result, 4).startswith("Dockerfile:3: ")
    (command,) = [one for one in result.log.commands if one.name == "error"]
    assert (command.properties["file"], command.properties["line"]) == ("Dockerfile", "3")


def test_a_launch_file_that_is_wrong_is_annotated_at_its_line(scene: Scene) -> None:
    runner = committed(scene, launch_dot_yaml="jobs:\n  train:\n    entrypoint: x\n")

    result = runner.run({})

    (command,) = [one for one in result.log.commands if one.name == "error"]
    assert result.code == 2, result.raw
    assert command.data.startswith("launch.yaml:")
    assert command.properties["file"] == "launch.yaml"
    assert command.properties["line"] == "3"


def test_debug_logging_says_more(scene: Scene, inputs: dict[str, str]) -> None:
    runner = scene.at(events.branch)

    plain = succeeded(runner.run(inputs))
    told = succeeded(replace(runner, also={**runner.also, "RUNNER_DEBUG": "1"}).run(inputs))

    for line in ("event head_sha: ", "event run_id: 7001", "plan job: ", "plan alias: sha-"):
        assert line in told.log.text
        assert line not in plain.log.text


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1"])
def test_the_locale_of_the_runner_decides_nothing(
    scene: Scene, inputs: dict[str, str], locale: str
) -> None:
    runner = scene.at(events.branch)
    also = {**runner.also, "LC_ALL": locale, "LANG": locale, "PYTHONIOENCODING": "ascii"}

    result = succeeded(replace(runner, also=also).run(inputs))

    assert "✅" in result.summary


# ---- facts of the run --------------------------------------------------------------------------


def test_a_second_attempt_of_a_run_changes_its_address_and_nothing_else(
    scene: Scene, inputs: dict[str, str]
) -> None:
    runner = scene.at(events.branch)
    again = replace(runner, also={**runner.also, "GITHUB_RUN_ATTEMPT": "2"})

    first, second = succeeded(runner.run(inputs)), succeeded(again.run(inputs))

    assert second.outputs["job-digest"] == first.outputs["job-digest"]
    assert second.outputs["cache-hit"] == "true"


def test_on_an_enterprise_server_the_links_are_its_own(
    scene: Scene, inputs: dict[str, str]
) -> None:
    runner = scene.at(events.branch)
    server = {
        "GITHUB_SERVER_URL": "https://git.acme.example",
        "GITHUB_API_URL": "https://git.acme.example/api/v3",
    }

    result = succeeded(replace(runner, also={**runner.also, **server}).run(inputs))

    commit = scene.commits.head
    assert f"https://git.acme.example/acme/mono-jobs/commit/{commit}" in result.summary
    assert "https://github.com" not in result.summary


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"[" * 100_000])
def test_a_payload_that_is_none_is_named(
    scene: Scene, inputs: dict[str, str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "event.json").write_bytes(content)
    runner = scene.at(events.branch)
    also = {**runner.also, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}

    assert "event.json" in failed(replace(runner, also=also).run(inputs), 2)


def test_a_payload_of_the_largest_size_is_read(
    scene: Scene, inputs: dict[str, str], tmp_path: Path
) -> None:
    """25 MB is what GitHub sends at most."""
    runner = scene.at(events.opened)
    path = tmp_path / "event.json"
    path.write_text(json.dumps({**runner.payload, "more": ["x" * 1000] * 25_000}))
    also = {**runner.also, "GITHUB_EVENT_PATH": str(path)}

    result = succeeded(replace(runner, also=also).run(inputs))

    assert "pr-12" in result.outputs["tags"].split()


# ---- cancellation ------------------------------------------------------------------------------

WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"
STUBBORN = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{WAITS}"


@pytest.mark.parametrize("script", [WAITS, STUBBORN], ids=["obeys", "stubborn"])
def test_a_cancelled_run_leaves_outputs_and_summary(
    scene: Scene, inputs: dict[str, str], script: str
) -> None:
    runner = committed(scene, jobs__train_dot_py=script)

    with runner.started(inputs | {"run": "true"}) as step:
        step.wait_for("waiting")
        step.cancel(between=1.5 if script == STUBBORN else 7.5)
        result = step.result()

    assert result.code == 130, result.raw
    assert result.outputs["job-digest"].startswith("sha256:")
    assert result.outputs["run-status"] == "cancelled"
    assert "cancelled" in result.summary
    assert result.log.of("error") == []


def test_a_build_that_is_cancelled_says_so_in_the_summary(
    scene: Scene, inputs: dict[str, str]
) -> None:
    """The remote base never answers, so that the build is at it whenever the signal comes."""
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        base = f"base-image=127.0.0.1:{silent.getsockname()[1]}/library/python:3.11"
        options = f"{base}\npython=3.11"
        with scene.at(events.branch).started(inputs | {"build-options": options}) as step:
            step.wait_for("::group::base")
            step.cancel()
            result = step.result()

    assert result.code == 130, result.raw
    assert result.summary.startswith("### 🚫 Update of ")
    assert result.outputs["job-name"].startswith("job-https___github.com_acme_mono-jobs")


# ---- a hostile workspace -----------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_nothing_of_the_workspace_is_imported_or_obeyed(
    scene: Scene, inputs: dict[str, str], tmp_path: Path, tool: str
) -> None:
    owned = tmp_path / "owned"
    trap = f"open({str(owned)!r}, 'a').write(__name__ + chr(10))\n"
    evil = "http://127.0.0.1:9/simple"
    names = (
        "yaml", "tomli", "github", "docker", "sitecustomize", "usercustomize", "json",
        "launch_action", "requests", "packaging", "actions_toolkit", "rich", "readline",
    )  # fmt: skip
    files = {
        **{f"{name}.py": trap for name in names},
        "evil.pth": f"import os; {trap}",
        "pip.conf": f"[global]\nindex-url = {evil}\n",
        "uv.toml": f'[[index]]\nurl = "{evil}"\ndefault = true\n',
        "setup.cfg": "[easy_install]\nindex_url = http://127.0.0.1:9\n",
        "pyproject.toml": '[tool.uv]\nrequired-version = "==0.0.1"\n',
        ".python-version": "3.11\n",
        "pyvenv.cfg": "home = /nonexistent\n",
        ".netrc": "machine 127.0.0.1 login x password y\n",
        ".env": f"UV_DEFAULT_INDEX={evil}\n",
        "requirements.txt": "",
    }
    runner = scene.at(events.branch)
    for name, text in files.items():
        (runner.workspace / name).write_text(text)
    site = runner.workspace / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site.mkdir(parents=True)
    (site / "evil.pth").write_text(f"import os; {trap}")
    # What an earlier step may have written into GITHUB_ENV.
    hostile = {
        "PYTHONPATH": str(runner.workspace), "PYTHONSTARTUP": "yaml.py", "PYTHONUSERBASE": ".",
        "PYTHONINSPECT": "1", "PYTHONBREAKPOINT": "yaml.x", "PYTHONWARNINGS": "error",
        "PYTHONPYCACHEPREFIX": str(runner.workspace), "PIP_CONFIG_FILE": "pip.conf",
        "UV_CONFIG_FILE": "uv.toml", "UV_ENV_FILE": ".env", "UV_PROJECT": ".", "VIRTUAL_ENV": ".",
        "PIP_TARGET": "target", "PIP_REQUIRE_VIRTUALENV": "1", "BASH_ENV": "",
        "GIT_DIR": "", "GIT_CONFIG_PARAMETERS": "",
    }  # fmt: skip
    tools = {"RUNNER_TOOL_CACHE": str(tmp_path / "own-tool-cache")}  # made anew, in this workspace
    git(runner.workspace, "add", ".")

    path = runner.path if tool == "uv" else os.environ["PATH"]
    made = replace(runner, also={**runner.also, **hostile, **tools}, path=path).run(inputs)

    assert f"environment made by {tool}" in succeeded(made).raw
    assert not owned.exists(), owned.read_text()
    assert not (runner.workspace / "target").exists()
    assert not list(runner.workspace.rglob("__pycache__"))
    assert made.outputs["pushed"] == "true"


def test_a_variable_of_an_earlier_step_names_no_other_git(
    scene: Scene, inputs: dict[str, str], tmp_path: Path
) -> None:
    runner = scene.at(events.branch)
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
    trap.chmod(0o755)
    hostile = {
        name: str(trap)
        for name in ("GIT_SSH", "GIT_ASKPASS", "GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_EDITOR")
    }
    git(runner.workspace, "config", "core.fsmonitor", str(trap))
    git(runner.workspace, "config", "core.sshCommand", str(trap))

    succeeded(replace(runner, also={**runner.also, **hostile}).run(inputs))

    assert not (tmp_path / "owned").exists()
    assert os.access(trap, os.X_OK)
