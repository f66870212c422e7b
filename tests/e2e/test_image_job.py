"""An image that exists becomes a job: recorded by its digest, run as it is."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.program import Machine, failed, succeeded
from support.registry import PASSWORD, USERNAME, Running, running
from support.services import push_layout

pytest_plugins = ["support.program_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]

LOGIN = {
    "LAUNCH_ACTION_REGISTRY_USERNAME": USERNAME,
    "LAUNCH_ACTION_REGISTRY_PASSWORD": PASSWORD,
}


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, python_base_layout: Path
) -> Iterator[Running]:
    """A registry with an image under a nested path, in several platforms' guises."""
    with running(tmp_path_factory.mktemp("registry")) as found:
        push_layout(python_base_layout, f"{found.address}/team/images/hello:main")
        yield found


@pytest.fixture
def image(registry: Running) -> str:
    return f"{registry.address}/team/images/hello"


def digest(image: str) -> str:
    raw = (
        "skopeo",
        "inspect",
        "--tls-verify=false",
        "--format",
        "{{.Digest}}",
        f"docker://{image}",
    )
    return subprocess.check_output(raw, text=True).strip()


@pytest.mark.engine
def test_an_image_is_recorded_by_its_digest_and_run(
    machine: Machine, image: str, tmp_path: Path
) -> None:
    entry = "python3 -c 'import sys; print(\"hello\", *sys.argv[1:])'"
    launch = ("launch", "-d", f"{image}:main", "-E", entry, "-r", "local-container")

    ran = succeeded(machine.run(*launch, "--json", "--", "a", "b c", cwd=tmp_path))

    name = ran.document["job_name"]
    assert name == "job-" + image.replace(":", "_").replace("/", "_")
    assert ran.document["tags"] == ["main", "latest"]
    assert (ran.document["run_status"], ran.document["image"]) == ("succeeded", None)
    assert "hello a b c" in ran.err
    shown = succeeded(machine.run("job", "describe", f"{name}:main", "--json", cwd=tmp_path))
    assert shown.document["wandb_job"] == {
        "_version": "v0",
        "_partial": "v0",
        "source_type": "image",
        "source": {
            "image": f"{image}@{digest(f'{image}:main')}",
            "entrypoint": ["python3", "-c", 'import sys; print("hello", *sys.argv[1:])'],
            "args": ["a", "b c"],
        },
        "input_types": {"wb_type": "typedDict", "params": {"type_map": {}}},
        "output_types": {"wb_type": "typedDict", "params": {"type_map": {}}},
        "runtime": "",
    }
    again = machine.run("run", f"{name}:main", "-r", "local-container", cwd=tmp_path)
    assert "hello a b c" in succeeded(again).out
    version = ("-E", "python3 --version")
    other = machine.run("run", f"{name}:main", "-r", "local-container", *version, cwd=tmp_path)
    assert "Python 3.11" in succeeded(other).out


@pytest.mark.engine
def test_its_aliases_wait_for_a_run_that_is_judged(
    machine: Machine, image: str, tmp_path: Path
) -> None:
    write = (
        "import os; "
        "open(os.environ['LAUNCH_OUTPUT_DIR'] + '/metrics.json', 'w').write('{\"ok\": 1}')"
    )
    entry = shlex.join(["python3", "-c", write])
    launch = (
        "launch",
        "-d",
        f"{image}:main",
        "-E",
        entry,
        "-r",
        "local-container",
        "-J",
        "x",
        "--json",
    )

    missed = failed(machine.run(*launch, "--fail-if", "ok < 2", cwd=tmp_path), 1).document
    assert missed["tags"] == []
    assert missed["metadata"]["held"]["aliases"] == ["main", "latest"]
    assert missed["metrics"] == {"ok": 1}
    assert succeeded(machine.run("job", "list", "--json", cwd=tmp_path)).document["versions"] == []
    held = succeeded(machine.run(*launch, "--fail-if", "ok < 1", cwd=tmp_path)).document
    assert held["tags"] == ["main", "latest"]


def test_the_tag_is_an_alias_and_the_digest_stays(
    machine: Machine, image: str, python_base_layout: Path, tmp_path: Path
) -> None:
    pinned = digest(f"{image}:main")
    by_tag = machine.run(
        "job", "create", "image", f"{image}:main", "--json", "-n", "x", cwd=tmp_path
    )
    again = machine.run("build", "-d", f"{image}:main", "--json", "-J", "x", cwd=tmp_path)
    by_digest = machine.run(
        "job", "create", "image", f"{image}@{pinned}", "--json", "-n", "y", cwd=tmp_path
    )
    plan = machine.run("build", "-d", f"{image}:main", "--dry-run", "--json", cwd=tmp_path)

    assert succeeded(by_tag).document["tags"] == ["main", "latest"]
    assert succeeded(again).document["job"] == by_tag.document["job"]
    assert succeeded(by_digest).document["tags"] == ["latest"]
    assert [step["step"] for step in succeeded(plan).document["plan"]] == [
        "source", "job", "store", "alias",
    ]  # fmt: skip


def test_what_is_wrong_with_an_image_is_told_apart(
    machine: Machine, image: str, tmp_path: Path
) -> None:
    def told(reference: str, code: int, *more: str) -> str:
        return failed(machine.run("build", "-d", reference, *more, cwd=tmp_path), code).error

    assert "no image" in told(f"{image}:none", 5)
    assert "no image" in told(f"{image}@sha256:{'0' * 64}", 5)
    assert "not an image repository" in told("Not An Image", 2)
    assert "'uri'" in told(f"{image}:main", 2, "-u", ".")
    assert "reached" in told("127.0.0.1:9/a/b", 5) or "refused" in told("127.0.0.1:9/a/b", 5)
    process = machine.run("launch", "-d", f"{image}:main", "-r", "local-process", cwd=tmp_path)
    assert "container" in failed(process, 7).error
    recorded = machine.run("job", "create", "image", f"{image}:main", "-n", "z", cwd=tmp_path)
    succeeded(recorded)
    assert "nothing to build" in failed(machine.run("build", "z", cwd=tmp_path), 2).error


def test_a_private_image_takes_the_login(
    machine: Machine, python_base_layout: Path, tmp_path: Path
) -> None:
    with running(tmp_path / "private", password=True) as private:
        image = f"{private.address}/secret/image:v1"
        target = ("--dest-tls-verify=false", f"--dest-creds={USERNAME}:{PASSWORD}")
        subprocess.run(
            [
                "skopeo",
                "copy",
                "--quiet",
                *target,
                f"oci:{python_base_layout}:base",
                f"docker://{image}",
            ],
            check=True,
        )
        refused = machine.run("build", "-d", image, cwd=tmp_path)
        let_in = replace(machine, also=LOGIN).run("build", "-d", image, "--json", cwd=tmp_path)

    assert "UNAUTHORIZED" in failed(refused, 5).error
    assert succeeded(let_in).document["tags"] == ["v1", "latest"]


def test_an_index_is_recorded_whole_or_by_platform(
    machine: Machine, registry: Running, image: str, tmp_path: Path
) -> None:
    """A job version of ours with two entries is such an index."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/main.py").write_text("print(1)\n")
    index = f"{registry.address}/team/index"
    build = ("build", "-u", "code", "-E", "python main.py", "--image", index, "--python", "3.11")
    succeeded(machine.run(*build, "--base-image", f"{image}:main", cwd=tmp_path))

    whole = machine.run("build", "-d", f"{index}:latest", "--json", "-J", "w", cwd=tmp_path)
    one = machine.run(
        "build", "-d", f"{index}:latest", "--json", "-J", "o", "--platform", "linux/amd64",
        cwd=tmp_path,
    )  # fmt: skip
    none = machine.run("build", "-d", f"{index}:latest", "--platform", "linux/s390x", cwd=tmp_path)

    succeeded(whole)
    shown = succeeded(machine.run("job", "describe", "o", "--json", cwd=tmp_path)).document
    assert succeeded(one).document["job_digest"] != whole.document["job_digest"]
    assert shown["details"]["platform"] == "linux/amd64"
    assert "nothing for linux/s390x" in failed(none, 5).error
