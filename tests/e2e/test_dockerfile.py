"""The Dockerfile builds on a local base, and the image is the program."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

pytestmark = [pytest.mark.engine, pytest.mark.registry, pytest.mark.network]


def docker(*arguments: str) -> str:
    # The classic builder: every engine has it, without a plugin.
    env = os.environ | {"DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        ["docker", *arguments], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def image(python_base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, on a base that trusts the authorities that this machine trusts."""
    folder = tmp_path_factory.mktemp("base")
    shutil.copy(CERTIFICATES, folder / "certificates.crt")
    (folder / "Dockerfile").write_text(
        f"FROM {python_base}\nCOPY certificates.crt {CERTIFICATES}\nENV PIP_CERT={CERTIFICATES}\n"
    )
    base, name = f"launch-action-test-base:{os.getpid()}", f"launch-action-test:{os.getpid()}"
    docker("build", "--quiet", "--tag", base, str(folder))
    docker("build", "--quiet", "--build-arg", f"PYTHON_IMAGE={base}", "--tag", name, str(ROOT))
    yield name
    docker("image", "rm", "--force", name, base, python_base)


def test_the_image_is_the_program(image: str) -> None:
    assert docker("run", "--rm", image, "--version").startswith("launch-action ")


def test_what_the_program_needs_is_in_it(image: str) -> None:
    docker("run", "--rm", "--entrypoint", "git", image, "--version")
    docker("run", "--rm", "--entrypoint", "uv", image, "--version")


def test_a_variable_with_a_hyphen_reaches_the_program(image: str) -> None:
    ask = "import os; print(os.environ['INPUT_BUILD-CONTEXT'])"
    given = ("--env", "INPUT_BUILD-CONTEXT=a b", "--entrypoint", "/opt/venv/bin/python")

    assert docker("run", "--rm", *given, image, "-c", ask) == "a b\n"


def test_no_installer_of_its_own_is_in_it(image: str) -> None:
    assert "pip" not in docker("run", "--rm", "--entrypoint", "ls", image, "/opt/venv/bin").split()
