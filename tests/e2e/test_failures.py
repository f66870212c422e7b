"""What a user sees when something is wrong, and that nothing half-made is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.index import make_wheel, serve_index
from support.program import Ended, Machine, failed, succeeded
from support.registry_proxy import Fault, proxy_to
from support.repositories import Work, git
from support.services import LocalRegistry
from support.versions import check_complete

from launch_action.core.outputs import OUTPUTS
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]

JOB = "job-https___github.com_acme_mono-train.py"
FOREVER = 1_000_000


def stored(machine: Machine) -> dict[str, str]:
    """Every alias of the local store with what it names; all of it is read."""
    layout = machine.layout(JOB)
    if not layout.exists():
        return {}
    return {str(tag): str(d) for tag, d in check_complete(LayoutContent(layout, JOB)).items()}


@pytest.mark.parametrize("command", [("doctor",), ("build",), ("run", "train")])
def test_a_current_directory_that_was_removed_is_told(
    machine: Machine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    ended = machine.run(*command, cwd=gone, before=("sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh"))

    assert "the current directory is gone" in failed(ended, 3).error


# ---- the network ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def unplugged() -> tuple[str, ...]:
    """What starts a program without any network, not even loopback."""
    for command in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
            return command
    pytest.skip("no network namespace can be made here (unshare --net)")


@pytest.fixture
def impatient(machine: Machine) -> Machine:
    """A machine whose user told uv not to ask again."""
    return replace(machine, also={"UV_HTTP_RETRIES": "0"})


def test_a_project_without_dependencies_needs_no_network(
    machine: Machine, work: Work, options: tuple[str, ...], unplugged: tuple[str, ...]
) -> None:
    ended = machine.run(
        "launch", "-r", "local-process", "--json", *options, cwd=work.path, before=unplugged
    )

    assert succeeded(ended).document["metrics"] == {"ok": 1}


def test_without_a_network_the_index_is_named(
    impatient: Machine, work: Work, options: tuple[str, ...], unplugged: tuple[str, ...]
) -> None:
    work.commit({"requirements.txt": "six\n"})
    # What other tests have resolved would do here as well.
    forgetful = replace(impatient, cache=None)

    ended = failed(forgetful.run("build", *options, cwd=work.path, before=unplugged), 4)

    assert "cannot fetch http" in ended.error
    assert "check the network" in ended.hint
    assert stored(impatient) == {}


@pytest.mark.network
def test_a_known_set_of_dependencies_needs_no_network(
    machine: Machine, work: Work, options: tuple[str, ...], unplugged: tuple[str, ...]
) -> None:
    work.commit({"requirements.txt": "six==1.16.0\n"})
    succeeded(machine.run("build", *options, cwd=work.path))
    work.commit({"other.py": "changed = True\n"})

    succeeded(machine.run("build", *options, cwd=work.path, before=unplugged))


def test_an_index_that_is_not_there_is_named(
    impatient: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"requirements.txt": "--index-url http://127.0.0.1:9/simple\nsix\n"})

    ended = failed(impatient.run("build", *options, cwd=work.path), 4)

    assert "http://127.0.0.1:9/simple" in ended.error


def test_an_index_that_gives_other_bytes_is_an_error(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    with serve_index() as index:
        index.add(make_wheel("spoilt-demo", "1.0"))
        index.faults["/files/spoilt-demo/spoilt_demo-1.0-py3-none-any.whl"] = ["wrong"] * 100
        work.commit({"requirements.txt": f"--index-url {index.url}\nspoilt-demo\n"})
        ended = failed(machine.run("build", *options, cwd=work.path), 4)

    assert "spoilt" in ended.error
    assert stored(machine) == {}


def test_a_registry_that_is_not_there_is_named(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    ended = failed(
        machine.run("build", *options, "--image", "127.0.0.1:9/acme/train", cwd=work.path), 5
    )

    assert "127.0.0.1:9" in ended.error


@pytest.mark.registry
@pytest.mark.parametrize("part", ["blobs/uploads", "manifests/sha256", "manifests/latest"])
def test_a_registry_that_goes_down_in_the_middle_leaves_no_alias(
    machine: Machine, work: Work, options: tuple[str, ...], registry: LocalRegistry, part: str
) -> None:
    name = f"acme/down-{part.replace('/', '-')}"
    with proxy_to(registry.address) as proxy:
        target = ("--image", f"{proxy.address}/{name}")
        proxy.faults.append(Fault("reset", "PUT|PATCH|POST", part, times=FOREVER))
        ended = failed(machine.run("build", "--json", *options, *target, cwd=work.path), 5)
        assert proxy.address in ended.error
        # What was sent before stays: aliases come last, the most wanted one at the end.
        assert "latest" not in registry.tags(name)

        proxy.faults.clear()
        again = succeeded(machine.run("build", "--json", *options, *target, cwd=work.path))

    assert again.document["job_digest"].startswith("sha256:")
    assert "latest" in registry.tags(name)


@pytest.mark.registry
def test_a_registry_that_stumbles_is_asked_again(
    machine: Machine, work: Work, options: tuple[str, ...], registry: LocalRegistry
) -> None:
    with proxy_to(registry.address) as proxy:
        proxy.faults += [
            Fault("status", "PUT|PATCH", "uploads", status=503),
            Fault("reset", "POST", "uploads"),
            Fault("lose", "PUT", "manifests/latest"),
            Fault("status", "GET|HEAD", ".", status=429, headers={"Retry-After": "0"}),
        ]
        image = f"{proxy.address}/acme/stumbles"
        ended = succeeded(machine.run("build", "--json", *options, "--image", image, cwd=work.path))
        assert proxy.faults == []

    assert ended.document["pushed"] is True
    assert "latest" in registry.tags("acme/stumbles")


# ---- the disk ------------------------------------------------------------------------------------


@contextmanager
def disk(place: Path, options: str) -> Iterator[None]:
    """A file system in memory at a place."""
    place.mkdir(parents=True, exist_ok=True)
    command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_below_the_cache_is_told(
    tmp_path: Path, work: Work, options: tuple[str, ...]
) -> None:
    machine = Machine(tmp_path / "machine")
    work.commit({"large.bin": noise(12)})
    with disk(machine.cache_directory, "size=8m"):
        ended = failed(machine.run("build", *options, cwd=work.path), 4)
        assert "No space left on device" in ended.error
        assert "LAUNCH_ACTION_CACHE" in ended.hint
        assert partial_files(machine.cache_directory) == []
    assert stored(machine) == {}


def test_a_full_disk_below_the_store_is_told_and_the_store_stays_whole(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    with disk(machine.store, "size=110m"):
        succeeded(machine.run("build", *options, cwd=work.path))
        before = stored(machine)
        work.commit({"large.bin": noise(64)})
        ended = failed(machine.run("build", *options, cwd=work.path), 6)
        assert f"no space left for the store: '{machine.layout(JOB)}'" in ended.error
        assert stored(machine) == before

        subprocess.run(["mount", "-o", "remount,size=400m", str(machine.store)], check=True)
        succeeded(machine.run("build", *options, cwd=work.path))
        assert stored(machine)["latest"] != before["latest"]


def test_a_full_temporary_directory_is_told(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"large.bin": noise(12)})
    with disk(machine.temporary, "size=4m"):
        ended = failed(machine.run("launch", "-r", "local-process", *options, cwd=work.path), 7)
        assert "No space left on device" in ended.error
        assert machine.leftovers() == []


def test_a_store_that_cannot_be_written_is_told(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    with disk(machine.store, "ro"):
        ended = failed(machine.run("build", *options, cwd=work.path), 6)

    assert str(machine.store) in ended.error


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, work: Work, options: tuple[str, ...]
) -> None:
    machine = Machine(tmp_path / "machine")
    with disk(machine.cache_directory, "ro"):
        ended = failed(machine.run("build", *options, cwd=work.path), 4)

    assert str(machine.cache_directory) in ended.error
    assert "LAUNCH_ACTION_CACHE" in ended.hint


def noise(megabytes: int) -> bytes:
    """Bytes that no compression makes smaller, the same every time."""
    import random

    return random.Random(megabytes).randbytes(megabytes << 20)


def partial_files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".partial-*")]


# ---- what is asked for ---------------------------------------------------------------------------

MISTAKES = [
    (("--set", "rate"), "not KEY=VALUE: 'rate'"),
    (("--set", "=1"), "not KEY=VALUE: '=1'"),
    (("--set", "a=1", "--set", "a.b=2"), "'a.b=2'"),
    (("--env", "=x"), "not the name of a variable: ''"),
    (("--timeout", "soon"), "input 'timeout' cannot be 'soon'"),
    (("--timeout", "-5s"), "--timeout"),
    (("--timeout=-5s",), "input 'timeout' cannot be '-5s'"),
    (("--timeout", "0"), "input 'timeout' cannot be '0'"),
    (("--config", "/nonexistent.json"), "/nonexistent.json"),
    (("--config", "{"), "--config"),
    (("--config", '{"overrides": [1]}'), "overrides"),
    (("--config", '{"overrides": {"run_config": 5}}'), "run_config"),
    (("--resource", "kubernetes"), "kubernetes is reached through a W&B Launch queue"),
    (("--python", "2.7"), "'2.7'"),
    (("--python", "three"), "'three'"),
    (("--platform", "windows/amd64"), "windows/amd64"),
    (("--alias", "no spaces"), "'no spaces'"),
    (("--alias", "key-1"), "'key-1'"),
    (("--image", "not a repository"), "'not a repository'"),
    (("--push",), "input 'push' needs a repository"),
    (("--base-image", "deb:"), "'deb:'"),
    (("--resolve-date", "tomorrow"), "'tomorrow'"),
    (("--resolve-date", "2999-01-01"), "future"),
    (("--entry-point", "python 'train.py"), "python 'train.py"),
    (("--entry-point", " "), "entry-point"),
    (("--entry-point", "python \udcff.py"), "is not UTF-8 text: '\\udcff.py'"),
    (("--extra", "more"), "'more'"),
    (("--builder", "magic"), "input 'builder' cannot be 'magic'"),
    (("--no-such-option",), "--no-such-option"),
    (("--entry",), "--entry"),
    (("--python",), "--python"),
]


@pytest.mark.parametrize(("arguments", "text"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_is_told_before_anything_is_done(
    machine: Machine, work: Work, options: tuple[str, ...], arguments: tuple[str, ...], text: str
) -> None:
    ended = failed(
        machine.run("launch", "--json", "-r", "local-process", *options, *arguments, cwd=work.path),
        2,
    )

    assert text in ended.error
    assert not machine.store.exists()
    assert set(ended.document) == {output.name for output in OUTPUTS} | {"error"}
    assert ended.document["error"] == {
        "code": "input",
        "exit": 2,
        "message": ended.error,
        "hint": ended.hint,
    }


def test_without_a_command_the_commands_are_named(machine: Machine, work: Work) -> None:
    ended = failed(machine.run(cwd=work.path), 2)

    assert "COMMAND" in ended.error


def test_a_directory_that_does_not_exist_is_named(machine: Machine, work: Work) -> None:
    ended = failed(
        machine.run("build", "-E", "python train.py", "-C", "/nonexistent", cwd=work.path), 3
    )

    assert "/nonexistent" in ended.error


# ---- references ----------------------------------------------------------------------------------


def test_an_unknown_job_gets_the_nearest_names(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    succeeded(machine.run("build", *options, cwd=work.path))

    ended = failed(machine.run("run", JOB.replace("train", "trian"), cwd=work.path), 6)

    assert JOB.replace("train", "trian") in ended.error
    assert JOB in ended.hint


def test_an_unknown_alias_gets_the_nearest_names(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    succeeded(machine.run("build", *options, "--alias", "nightly", cwd=work.path))

    ended = failed(machine.run("run", f"{JOB}:nigthly", cwd=work.path), 6)

    assert "'nigthly'" in ended.error
    assert "nightly" in ended.hint


def test_a_job_in_an_empty_store_is_not_found(machine: Machine, work: Work) -> None:
    ended = failed(machine.run("run", "--json", "nothing:latest", cwd=work.path), 6)

    assert "'nothing'" in ended.error
    assert not machine.store.exists(), "asking makes nothing"


@pytest.mark.parametrize("reference", ["../../etc", "..", "/etc/passwd", "", ":latest", "a@b"])
def test_a_reference_never_leaves_the_store(machine: Machine, work: Work, reference: str) -> None:
    ended = machine.run("run", reference, cwd=work.path)

    failed(ended, ended.code)
    assert ended.code in (2, 6)


@pytest.mark.registry
def test_an_unknown_job_of_a_registry_is_named(
    machine: Machine, work: Work, registry: LocalRegistry
) -> None:
    ended = failed(machine.run("run", f"{registry.address}/acme/none:v1", cwd=work.path), 6)

    assert f"{registry.address}/acme/none" in ended.error


# ---- size ----------------------------------------------------------------------------------------

MEASURE = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def measured(
    machine: Machine, *arguments: str, cwd: Path, timeout: float = 180
) -> tuple[Ended, int]:
    """A run, and the memory in MB of the largest of its processes."""
    before = (sys.executable, "-I", "-c", MEASURE)
    ended = succeeded(machine.run(*arguments, cwd=cwd, before=before, timeout=timeout))
    (peak,) = (line for line in ended.err.splitlines() if line.startswith("peak "))
    return ended, int(peak.split()[1]) // 1024


def test_fifty_thousand_files_are_recorded_in_little_memory(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    count = 50_000
    stream = b"blob\nmark :1\ndata 8\ncontent\n\nreset refs/heads/many\nfrom refs/heads/main^0\n"
    stream += b"commit refs/heads/many\ncommitter A <a@b> 1700000000 +0000\ndata 4\nmany\n"
    stream += b"".join(b"M 100644 :1 data/%03d/%05d.txt\n" % (n // 100, n) for n in range(count))
    git(work.path, "fast-import", "--quiet", stdin=stream)
    git(work.path, "checkout", "--quiet", "many")

    cold, peak = measured(machine, "build", "--json", *options, cwd=work.path)
    again, _ = measured(machine, "build", "--json", *options, cwd=work.path)

    assert again.document["cache_hit"] is True
    assert again.document["job_digest"] == cold.document["job_digest"]
    assert peak < 300


def test_a_huge_file_needs_little_memory(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    with (work.path / "huge.bin").open("wb") as out:
        for _ in range(200):
            out.write(bytes(1 << 20))
    work.commit()

    ended, peak = measured(machine, "build", "--json", *options, cwd=work.path)

    assert ended.document["cache_hit"] is False
    assert peak < 150


# ---- what is printed -----------------------------------------------------------------------------


def test_the_result_goes_to_standard_output_and_progress_to_standard_error(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    ended = succeeded(machine.run("launch", "-r", "local-process", *options, cwd=work.path))

    assert ended.out.startswith("hello from the job\njob      job-https")
    assert "metric   ok = 1" in ended.out
    assert "run: " in ended.err
    assert "hello" not in ended.err


def test_what_a_job_leaves_begins_no_line_of_the_result(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    metrics = {"text": "x\n::error::forged", "bad\rname": 1, "undefined": float("nan")}
    script = (
        "import os, pathlib\n"
        f"text = {json.dumps(metrics)!r}\n"
        "pathlib.Path(os.environ['LAUNCH_OUTPUT_DIR'], 'metrics.json').write_text(text)\n"
    )
    work.commit({"train.py": script})

    ended = succeeded(machine.run("launch", "-r", "local-process", *options, cwd=work.path))

    assert "metric   text = x ::error::forged" in ended.out
    assert not any(line.startswith("::") for line in ended.out.splitlines())


def test_a_config_may_come_through_a_pipe(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    config = json.dumps({"overrides": {"args": ["given"], "run_config": {"x": "y" * 200_000}}})
    (work.path / "config.json").write_text(config)
    work.commit(
        {
            "train.py": "import json, os, sys\n"
            "names = [f'WANDB_CONFIG_{n}' for n in range(7)]\n"
            "found = json.loads(''.join(os.environ[name] for name in names))\n"
            "print('through:', sys.argv[1:], len(found['x']))\n"
        }
    )
    shell = ("bash", "-c", '"$@" --config <(cat config.json)', "bash")

    ended = machine.run("launch", "-r", "local-process", *options, cwd=work.path, before=shell)

    assert "through: ['given'] 200000" in succeeded(ended).out


def test_standard_output_that_cannot_be_written_is_no_defect_of_the_program(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    shell = ("sh", "-c", 'exec "$@" >/dev/full', "sh")

    ended = machine.run("build", *options, cwd=work.path, before=shell)

    assert ended.code not in (0, 70), ended.err
    assert "Traceback" not in ended.err


def test_a_reader_that_leaves_ends_the_program_quietly(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    shell = ("sh", "-c", '"$@" | true', "sh")

    ended = machine.run("build", "--json", *options, cwd=work.path, before=shell)

    assert "Traceback" not in ended.err
    assert "Exception ignored" not in ended.err
    assert stored(machine)


def test_doctor_says_what_is_here(machine: Machine, work: Work) -> None:
    ended = succeeded(machine.run("doctor", "--json", cwd=work.path))

    found = {one["name"]: one["found"] for one in json.loads(ended.out)}
    assert found["git"] is bool(shutil.which("git"))
    assert found["git-lfs"] is bool(shutil.which("git-lfs"))
