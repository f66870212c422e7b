"""The bootstrap makes real environments from a real index, as a step of a workflow."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.github_runner import TOKEN, Runner, StepResult
from support.machines import (
    TELLTALE,
    action_with,
    having,
    interpreter,
    pretend_old,
    runner_at,
    script,
    told,
    tools,
)

pytestmark = pytest.mark.network

_STEP = 'exec python3 -I -u -X utf8 "$GITHUB_ACTION_PATH/bootstrap.py"'
BOOBY_TRAP = "import pathlib; pathlib.Path(__file__).with_name('OWNED').touch()\n"


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Without uv: what a hosted runner is like."""
    return runner_at(tmp_path, action_with(tmp_path / "action"))


@pytest.fixture
def with_uv(runner: Runner, tmp_path: Path) -> Runner:
    (tools(tmp_path) / "uv").symlink_to(Path(interpreter_bin()) / "uv")
    return runner


def interpreter_bin() -> str:
    from uv import find_uv_bin

    return str(Path(find_uv_bin()).parent)


def environments(runner: Runner) -> list[Path]:
    found = (runner.root / "tools" / "launch-action").glob("*/*")
    return [path for path in found if path.is_dir()]


def test_uv_makes_the_environment_once_and_it_is_used_again(with_uv: Runner) -> None:
    first = with_uv.run({})
    second = with_uv.run({})

    assert (first.code, second.code) == (0, 0), first.raw + second.raw
    assert "LAUNCH_ACTION_MADE=uv, Python" in first.raw
    assert "LAUNCH_ACTION_MADE" not in second.raw
    assert len(environments(with_uv)) == 1
    assert told(second)["prefix"] == str(environments(with_uv)[0])


def test_the_sdk_of_w_b_comes_with_a_key_for_it_alone(with_uv: Runner) -> None:
    def packages() -> list[bool]:
        return sorted(bool(list(one.glob("lib/*/*/distro"))) for one in environments(with_uv))

    assert with_uv.run({}).code == 0
    assert with_uv.run({"wandb-api-key": "k", "wandb-register": "off"}).code == 0
    assert packages() == [False]

    assert with_uv.run({"wandb-api-key": "k"}).code == 0
    assert replace(with_uv, also={"WANDB_API_KEY": "k"}).run({}).code == 0
    assert packages() == [False, True]


def test_without_uv_pip_makes_it(runner: Runner) -> None:
    result = runner.run({})

    assert result.code == 0, result.raw
    assert "LAUNCH_ACTION_MADE=pip and uv, Python" in result.raw
    assert told(result)["tomli"].startswith(str(environments(runner)[0]))


def test_the_program_gets_the_inputs_and_the_workspace_as_working_directory(
    with_uv: Runner,
) -> None:
    seen = told(with_uv.run({"Entry-Point": "python 'a b.py'\n"}))

    assert seen["cwd"] == str(with_uv.workspace)
    assert "python 'a b.py'\\n" in seen["inputs"]
    assert seen["argv"][1:] == ["action"]


def test_no_input_is_left_where_a_child_could_read_it(with_uv: Runner) -> None:
    secret = "hunter2" * 10_000  # more than a pipe would hold

    seen = told(with_uv.run({"registry-password": secret}))

    assert secret in seen["inputs"]
    assert "hunter2" not in seen["environ"]
    assert TOKEN not in seen["environ"]


def test_a_change_of_the_program_is_another_environment(with_uv: Runner) -> None:
    with_uv.run({})
    (with_uv.action / "src" / "launch_action" / "new.py").write_text("")

    assert with_uv.run({}).code == 0
    assert len(environments(with_uv)) == 2


def test_nothing_in_the_workspace_is_imported_or_configures_anything(with_uv: Runner) -> None:
    workspace = with_uv.workspace
    for name in (
        "yaml.py",
        "tomli.py",
        "sitecustomize.py",
        "usercustomize.py",
        "json.py",
        "venv.py",
    ):
        (workspace / name).write_text(BOOBY_TRAP)
    (workspace / "launch_action").mkdir()
    (workspace / "launch_action" / "__init__.py").write_text(
        BOOBY_TRAP.replace("__file__", "__path__[0]")
    )
    (workspace / "evil.pth").write_text(f"import sys; open({str(workspace / 'OWNED')!r}, 'w')\n")
    (workspace / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/simple\n")
    (workspace / "uv.toml").write_text(
        '[[index]]\nurl = "http://127.0.0.1:9/simple"\ndefault = true\n'
    )
    (workspace / "pyproject.toml").write_text('[tool.uv]\nrequired-version = "==0.0.1"\n')
    (workspace / ".python-version").write_text("2.7\n")
    hostile = having(
        with_uv,
        {
            "PYTHONPATH": str(workspace),
            "PYTHONHOME": "",
            "PYTHONSTARTUP": str(workspace / "yaml.py"),
            "PIP_CONFIG_FILE": str(workspace / "pip.conf"),
            "UV_CONFIG_FILE": str(workspace / "uv.toml"),
            "PIP_TARGET": str(workspace / "target"),
            "UV_CONSTRAINT": str(workspace / "pip.conf"),
            "VIRTUAL_ENV": str(workspace),
        },
    )

    result = hostile.run({})

    assert result.code == 0, result.raw
    assert not list(workspace.rglob("OWNED"))
    seen = told(result)
    assert not [entry for entry in seen["path"] if entry.startswith(str(workspace)) or not entry]
    assert seen["python"] == []
    assert not (workspace / "target").exists()


def test_pip_too_is_configured_by_nothing_in_the_workspace_or_the_home(runner: Runner) -> None:
    evil = "[global]\nindex-url = http://127.0.0.1:9/simple\n"
    (runner.workspace / "pip.conf").write_text(evil)
    for place in (".pip/pip.conf", ".config/pip/pip.conf"):
        path = runner.root / "home" / place
        path.parent.mkdir(parents=True)
        path.write_text(evil)

    assert having(runner, {"PIP_CONFIG_FILE": str(runner.workspace / "pip.conf")}).run({}).code == 0


def test_programs_of_the_workspace_are_not_run(with_uv: Runner, tmp_path: Path) -> None:
    for name in ("uv", "python3.14"):
        script(
            with_uv.workspace / "bin" / name,
            f"#!/bin/sh\n: >{with_uv.workspace}/OWNED\nexit 1\n",
        )
    pretend_old(tools(tmp_path) / "python3")
    (tools(tmp_path) / "python3.11").symlink_to(interpreter())
    path = f"{with_uv.workspace}/bin:bin:{with_uv.path}"

    having(with_uv, {"PATH": path}).run({})

    assert not (with_uv.workspace / "OWNED").exists()


def test_two_runs_at_once_both_work_and_leave_one_environment(
    with_uv: Runner, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = runner_at(tmp_path / "other", with_uv.action)
    cache = {"RUNNER_TOOL_CACHE": str(with_uv.root / "tools")}
    pair = (having(with_uv, cache), having(other, cache | {"PATH": with_uv.path}))

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda one: one.run({}), pair))

    assert [result.code for result in results] == [0, 0], results[0].raw + results[1].raw
    assert len(environments(with_uv)) == 1


def test_an_environment_whose_interpreter_is_gone_is_made_anew(with_uv: Runner) -> None:
    with_uv.run({})
    (place,) = environments(with_uv)
    (place / "bin" / "python").unlink()
    (place / "bin" / "python").symlink_to("/nonexistent/python3.11")

    result = with_uv.run({})

    assert result.code == 0, result.raw
    assert environments(with_uv) == [place]


def test_what_a_killed_run_left_is_not_used_and_is_swept_a_day_later(with_uv: Runner) -> None:
    with_uv.run({})
    (place,) = environments(with_uv)
    shutil.rmtree(place)
    young, old = place.parent / ".partial-young", place.parent / ".partial-old"
    for folder in (young, old):
        (folder / "new" / "bin").mkdir(parents=True)
    os.utime(old, (time.time() - 90_000,) * 2)

    assert with_uv.run({}).code == 0
    assert set(environments(with_uv)) == {place, young}


def test_killed_while_it_makes_the_environment_it_makes_it_the_next_time(
    with_uv: Runner,
) -> None:
    with with_uv.started({}) as step:
        partial = waited_for(with_uv.root / "tools" / "launch-action", "*/.partial-*/new/bin")
        os.killpg(step.process.pid, signal.SIGKILL)
        step.process.wait(10)

    assert partial.exists(), "it was not killed in the middle"
    assert with_uv.run({}).code == 0
    assert [p for p in environments(with_uv) if not p.name.startswith(".")] != []


def waited_for(folder: Path, pattern: str) -> Path:
    """The first path of a pattern, as soon as there is one."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in folder.glob(pattern):
            return path
        time.sleep(0.005)
    raise AssertionError(f"no {pattern} in {folder}")


def with_mounted(runner: Runner, mounts: str) -> subprocess.CompletedProcess[str]:
    """The step with what a command mounts, which nothing else of the machine sees."""
    step = shlex.join(["bash", "-e", "-c", _STEP])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{mounts} && exec {step}"],
        cwd=runner.workspace,
        env={**runner.environment(), "PATH": f"{runner.path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine mounts nothing: {done.stderr}")
    return done


def test_an_environment_in_a_tool_cache_that_is_read_only_is_used(
    with_uv: Runner, tmp_path: Path
) -> None:
    """As an administrator bakes it into a machine's image; root may write anywhere but there."""
    with_uv.run({})
    cache = with_uv.root / "tools"
    (place,) = environments(with_uv)

    done = with_mounted(
        with_uv, f"mount --bind {cache} {cache} && mount -o remount,bind,ro {cache}"
    )

    assert done.returncode == 0, done.stderr
    assert "LAUNCH_ACTION_MADE" not in done.stdout
    assert str(place) in done.stdout


def test_a_tool_cache_without_room_is_said(with_uv: Runner) -> None:
    cache = Path(with_uv.environment()["RUNNER_TOOL_CACHE"])

    done = with_mounted(with_uv, f"mount -t tmpfs -o size=100k tmpfs {cache}")

    assert done.returncode == 7, done.stdout + done.stderr
    error = done.stdout.splitlines()[-1]
    assert error.startswith("::error title=launch-action::")
    assert "No space left on device" in error
    assert "RUNNER_TOOL_CACHE" in error


def test_environments_unused_for_a_month_are_swept(with_uv: Runner) -> None:
    stale = with_uv.root / "tools" / "launch-action" / ("0" * 16) / "cpython-3.11-x86_64-0"
    stale.mkdir(parents=True)
    os.utime(stale, (time.time() - 31 * 86_400,) * 2)

    with_uv.run({})

    assert not stale.exists()


def test_without_a_writable_tool_cache_it_goes_to_the_temporary_directory(with_uv: Runner) -> None:
    result = having(with_uv, {"RUNNER_TOOL_CACHE": "/proc/none"}).run({})

    assert result.code == 0, result.raw
    assert told(result)["prefix"].startswith(str(with_uv.root / "work/_temp"))


def test_an_old_python3_finds_a_newer_one_in_the_tool_cache(
    with_uv: Runner, tmp_path: Path
) -> None:
    pretend_old(tools(tmp_path) / "python3")
    script(tools(tmp_path) / "python3.13", "#!/bin/sh\necho not installed >&2\nexit 127\n")
    cached = with_uv.root / "tools/Python/3.11.9/x64/bin/python3"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(interpreter())
    (tools(tmp_path) / "uv").unlink()

    result = with_uv.run({})

    assert result.code == 0, result.raw
    assert told(result)["version"] >= [3, 11]


def failed(result: StepResult) -> str:
    """The one error of a bootstrap that gave up."""
    assert result.code == 7, result.raw
    (error,) = result.log.of("error")
    assert "Traceback" not in result.raw
    return error


def test_without_a_new_python_one_line_names_setup_python(runner: Runner, tmp_path: Path) -> None:
    pretend_old(tools(tmp_path) / "python3")

    error = failed(runner.run({}))

    assert error.startswith("no Python from 3.11 to 3.14 on this machine (python3 is 3.8)")
    assert "actions/setup-python" in error


def test_without_any_python_one_line_names_setup_python(runner: Runner, tmp_path: Path) -> None:
    (tools(tmp_path) / "python3").unlink()

    assert "actions/setup-python" in failed(runner.run({}))


def test_a_wheel_with_another_hash_is_refused(with_uv: Runner) -> None:
    lock = with_uv.action / "requirements.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", lock.read_text()))

    assert "cannot be made" in failed(with_uv.run({}))
    assert environments(with_uv) == []


def test_an_index_that_is_not_there_is_said_and_leaves_nothing(runner: Runner) -> None:
    away = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "UV_DEFAULT_INDEX": "",
    }

    error = failed(having(runner, away).run({}))

    assert "PIP_INDEX_URL" in error
    assert environments(runner) == []


def test_what_a_tool_prints_is_no_command(runner: Runner, tmp_path: Path) -> None:
    script(
        tools(tmp_path) / "uv",
        '#!/bin/sh\n[ "$1" = --version ] && echo uv && exit 0\necho "::add-mask::e"\nexit 3\n',
    )

    result = runner.run({})

    assert "exited with 3" in failed(result)
    assert result.log.of("add-mask") == []
    assert "::add-mask::e" in result.log.text


def test_the_program_gets_the_signals_of_the_runner(tmp_path: Path) -> None:
    waiting = TELLTALE.replace("    return 0", "    import time\n    time.sleep(60)")
    action = action_with(tmp_path / "action", waiting)
    runner = runner_at(tmp_path, action)

    with subprocess.Popen(
        ["bash", "-e", "-c", _STEP],
        cwd=runner.workspace,
        env=runner.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("TOLD"):
                break
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == -signal.SIGTERM
