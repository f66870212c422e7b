"""No credential is in what the program prints, stores, keeps, or starts other programs with."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.index import make_wheel, serve_index
from support.program import Machine, files_below, succeeded
from support.registry import PASSWORD, USERNAME, running
from support.repositories import make_repository
from support.watching import watching

pytest_plugins = ["support.program_fixtures"]

REMOTE_TOKEN = "ghp_remoteTokenOfATest4711"
INDEX_PASSWORD = "index-pass-4711"
JOB_SECRET = "job-secret-4711"
SECRETS = (REMOTE_TOKEN, PASSWORD, INDEX_PASSWORD, JOB_SECRET)
SCRIPT = """\
import json, os, pathlib
import secret_demo
assert os.environ["API_KEY"].startswith("job-secret")
seen = {name: value for name, value in os.environ.items() if name != "API_KEY"}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "seen.json").write_text(json.dumps(seen))
"""


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as it is, and as the end of a basic login, in base64 at any place."""
    yield secret.encode()
    for user in (USERNAME, "bot", "x-access-token"):
        yield base64.b64encode(f"{user}:{secret}".encode()).rstrip(b"=")[:-2]


def holding(folder: Path, secrets: tuple[str, ...]) -> list[str]:
    """The files that hold a secret, also within gzip."""
    wanted = [spelt for secret in secrets for spelt in spellings(secret)]
    found = []
    for path in files_below(folder):
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data += gzip.decompress(data)
        if any(spelt in data for spelt in wanted):
            found.append(str(path))
    return found


@pytest.mark.registry
def test_no_credential_is_anywhere(tmp_path: Path, options: tuple[str, ...]) -> None:
    remote = f"https://x-access-token:{REMOTE_TOKEN}@github.com/acme/mono.git"
    work = make_repository(tmp_path / "checkout", remote=remote)
    with running(tmp_path / "registry", password=True) as registry, index() as url:
        machine = Machine(
            tmp_path / "machine",
            also={
                "LAUNCH_ACTION_REGISTRY_USERNAME": USERNAME,
                "LAUNCH_ACTION_REGISTRY_PASSWORD": PASSWORD,
                "UV_INDEX_URL": "",
                "UV_INDEX": f"private={url}",
                "UV_INDEX_PRIVATE_USERNAME": "bot",
                "UV_INDEX_PRIVATE_PASSWORD": INDEX_PASSWORD,
                "API_KEY": JOB_SECRET,
            },
        )
        work.commit({"train.py": SCRIPT, "requirements.txt": "secret-demo\n"})
        with watching() as watched:
            ended = machine.run(
                "launch", "--json", "--verbose", "-r", "local-process", *options,
                "--image", f"{registry.address}/acme/train", "--env", "API_KEY",
                cwd=work.path,
            )  # fmt: skip

        succeeded(ended)
        assert ended.document["pushed"] is True
        assert ended.document["metadata"]["remote"] == "https://github.com/acme/mono.git"
        said = (ended.out + ended.err).encode()
        lines = b"\n".join(watched.lines)
        for secret in SECRETS:
            for spelt in spellings(secret):
                assert spelt not in said
                assert spelt not in lines
        assert any(b"uv" in line and b"compile" in line for line in watched.lines)
        assert holding(tmp_path / "registry" / "data", SECRETS) == []
        assert holding(machine.root, SECRETS) == []
        assert holding(work.path / "launch-output", SECRETS) == []


def test_a_login_in_a_requirements_file_stays_there(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    machine = Machine(tmp_path / "machine")
    work = make_repository(tmp_path / "checkout")
    with index() as url:
        line = f"--index-url {url.replace('//', f'//bot:{INDEX_PASSWORD}@')}\n"
        work.commit(
            {
                "train.py": "import secret_demo\n",
                "requirements.txt": f"{line}secret-demo\n",
                # The file itself is the project's own affair; here it is left out of the image.
                ".dockerignore": "requirements.txt\n",
            }
        )
        with watching() as watched:
            ended = succeeded(
                machine.run("launch", "--json", "-r", "local-process", *options, cwd=work.path)
            )
            work.commit({"requirements.txt": f"{line}secret-demoo\n"})
            wrong = machine.run("build", "--json", *options, cwd=work.path)

    assert wrong.code == 4
    assert "secret-demoo" in wrong.error
    for text in (ended.out, ended.err, wrong.out, wrong.err, b"\n".join(watched.lines).decode()):
        assert INDEX_PASSWORD not in text
    assert holding(machine.root, (INDEX_PASSWORD,)) == []


@contextmanager
def index() -> Iterator[str]:
    """An index that wants a login; its URL without."""
    with serve_index(login=("bot", INDEX_PASSWORD)) as served:
        served.add(make_wheel("secret-demo", "1.0"))
        yield served.url
