"""Jobs at W&B, read: described, built and run, however W&B's tools made them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.git_remotes import GitServer, http_server
from support.program import Ended, Machine, failed, succeeded
from support.registry import Running, running
from support.services import push_layout
from support.wandb_api.server import WandbServer, serve
from support.wandb_put import git_source, job_files, put_artifact

pytest_plugins = ["support.program_fixtures"]
pytestmark = pytest.mark.registry

SCRIPT = """\
import json, os, pathlib
names = ("WANDB_CONFIG", "WANDB_ARTIFACTS", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_JOB_NAME")
found = {name: os.environ.get(name) for name in names} | {"who": "WHO"}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(found))
"""
SCHEMA = {"type": "object", "properties": {"lr": {"type": "number", "minimum": 0}}}


def script(who: str) -> str:
    return SCRIPT.replace("WHO", who)


@dataclass
class AtWandb:
    """A W&B server and a git server, and a user's machine that knows the first."""

    wandb: WandbServer
    git: GitServer
    machine: Machine
    base: str
    directory: Path

    def run(self, *arguments: str) -> Ended:
        return self.machine.run(*arguments, cwd=self.directory)

    def build(self, reference: str, *more: str) -> dict[str, Any]:
        base = ("--base-image", self.base, "--json")
        return succeeded(self.run("build", reference, *base, *more)).document

    def metrics(self, reference: str, *more: str) -> dict[str, Any]:
        ended = succeeded(self.run("run", reference, "-r", "local-process", "--json", *more))
        found: dict[str, Any] = ended.document["metrics"]
        return found


@pytest.fixture
def at(tmp_path: Path, machine: Machine, python_base_layout: Path) -> Iterator[AtWandb]:
    (tmp_path / "here").mkdir()
    with serve(tmp_path / "wandb") as wandb, http_server(tmp_path / "git") as git:
        login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key}
        known = replace(machine, also=login)
        yield AtWandb(wandb, git, known, f"oci:{python_base_layout}", tmp_path / "here")


def test_the_broken_job_of_a_run_is_mended_built_and_run(at: AtWandb) -> None:
    commit = at.git.commit("mono", {"jobs/hello/job.py": script("git")})
    source = git_source(at.git.url("mono"), commit, "pythonCPython 3.11", "jobs/hello/job.py")
    put_artifact(at.wandb, "acme/demo/auto", job_files("repo", source, runtime="CPython 3.11.7"))

    described = at.run("job", "describe", "wandb:acme/demo/auto:v0")
    built = at.build("wandb:acme/demo/auto:latest")
    before = list(at.git.asked)
    found = at.metrics("acme/demo/auto", "--set", "lr=0.5")

    assert "'CPython 3.11.7' is taken for Python 3.11" in described.err
    assert "'pythonCPython 3.11': taken for 'python'" in described.err
    assert 'entry    ["python", "jobs/hello/job.py"]' in succeeded(described).out
    assert built["job_name"] == "auto"
    assert set(built["tags"]) == {"wandb-acme-demo-v0", f"sha-{commit}"}
    assert found == {
        "WANDB_CONFIG": '{"lr": 0.5}',
        "WANDB_ARTIFACTS": '{"_wandb_job": "acme/demo/auto:v0"}',
        "WANDB_PROJECT": "demo",
        "WANDB_ENTITY": None,
        "WANDB_JOB_NAME": "auto",
        "who": "git",
    }
    # It was built before: neither fetched nor built again.
    assert at.git.asked == before
    assert at.machine.leftovers() == []
    # What was made of it still knows its name at W&B, at this server.
    assert at.metrics("auto:wandb-acme-demo-v0")["WANDB_ARTIFACTS"] == found["WANDB_ARTIFACTS"]


def test_the_job_of_a_changed_checkout_is_built_with_its_change(at: AtWandb) -> None:
    commit = at.git.commit("mono", {"job.py": script("git")})
    old, new = script("git").splitlines(), script("patched").splitlines()
    patch = "".join([
        "diff --git a/job.py b/job.py\n--- a/job.py\n+++ b/job.py\n@@ -1,4 +1,4 @@\n",
        f" {old[0]}\n {old[1]}\n-{old[2]}\n+{new[2]}\n {old[3]}\n",
    ])  # fmt: skip
    source = git_source(at.git.url("mono"), commit, "job.py")  # as without an entry point
    put_artifact(at.wandb, "acme/demo/dirty", job_files("repo", source, patch=patch.encode()))

    built = at.build("wandb:acme/demo/dirty")

    assert built["tags"] == ["wandb-acme-demo-v0"]
    assert at.metrics("wandb:acme/demo/dirty")["who"] == "patched"


@pytest.mark.parametrize("by", ["identifier", "name"])
def test_a_code_job_is_downloaded_built_and_run(at: AtWandb, by: str) -> None:
    code = {"main.py": script("code").encode(), "pkg/deep/data.txt": b"x"}
    identifier = put_artifact(at.wandb, "acme/demo/code-quick", code, kind="code")
    where = f"_id/{identifier}" if by == "identifier" else "acme/demo/code-quick:latest"
    source = {
        "artifact": f"wandb-artifact://{where}", "entrypoint": ["python", "main.py"],
        "notebook": False,
    }  # fmt: skip
    schema = {"_partial": True, "input_schemas": {"@wandb.config": SCHEMA}}
    put_artifact(at.wandb, "acme/demo/quick", job_files("artifact", source), metadata=schema)

    described = succeeded(at.run("job", "describe", "wandb:acme/demo/quick", "--json")).document
    at.build("wandb:acme/demo/quick")
    refused = at.run("run", "wandb:acme/demo/quick", "-r", "local-process", "--set", "lr=-1")

    assert described["job"] == "wandb:acme/demo/quick:v0"
    assert described["aliases"] == ["v0", "latest"]
    assert described["schema"] == SCHEMA
    assert described["wandb_job"]["source"] == source
    assert at.metrics("wandb:acme/demo/quick", "--set", "lr=1")["who"] == "code"
    assert "lr: -1" in failed(refused, 2).error
    assert at.machine.leftovers() == []


def test_a_job_that_is_run_first_is_built_on_the_way(
    at: AtWandb, registry: Running, python_base_layout: Path
) -> None:
    # As W&B's own image to mount code in: `run` takes no base image, and the job names one.
    base = f"{registry.address}/library/python:3.11"
    push_layout(python_base_layout, base)
    commit = at.git.commit("mono", {"job.py": script("on its base")})
    source = git_source(at.git.url("mono"), commit, "python", "job.py", base_image=base)
    put_artifact(at.wandb, "acme/demo/based", job_files("repo", source, services={"a": "always"}))

    ended = succeeded(
        at.run("launch", "-j", "wandb:acme/demo/based", "-r", "local-process", "--json")
    )

    assert ended.document["metrics"]["who"] == "on its base"
    assert "W&B mounts its code into" in ended.err
    assert "its services are those of a Kubernetes queue" in ended.err


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.mark.engine
def test_an_image_job_is_recorded_by_digest_and_run(
    at: AtWandb, registry: Running, python_base_layout: Path
) -> None:
    image = f"{registry.address}/acme/python:main"
    push_layout(python_base_layout, image)
    source = {"image": image, "args": ["-c", "import os; print(os.environ['WANDB_DOCKER'])"]}
    files = job_files("image", {**source, "entrypoint": ["python"]}, runtime="ignored")
    put_artifact(at.wandb, "acme/demo/job-image", files)

    ended = at.run("run", "acme/demo/job-image", "-r", "local-container", "--json")
    pulled = f"{registry.address}/acme/python@{image_digest(ended)}"
    subprocess.run(["docker", "image", "rm", "-f", pulled], check=True, capture_output=True)
    built = at.run("build", "acme/demo/job-image")
    process = at.run("run", "acme/demo/job-image", "-r", "local-process")

    assert f"names its image by a tag, which moves: {image!r}" in succeeded(ended).err
    assert f"{registry.address}/acme/python@sha256:" in ended.err
    assert ended.document["job"].startswith("job-image@sha256:")
    assert "nothing to build" in failed(built, 2).error
    assert "runs in a container" in failed(process, 7).error


def image_digest(ended: Ended) -> str:
    """The digest that a warning names."""
    return "sha256:" + ended.err.partition("/acme/python@sha256:")[2][:64]


def test_what_is_not_there_gets_the_nearest_names(at: AtWandb) -> None:
    put_artifact(at.wandb, "acme/demo/train-mnist", job_files("image", {"image": "a/b"}))
    put_artifact(at.wandb, "acme/demo/data", {"x": b"x"}, kind="dataset")

    def hint(reference: str, *more: str, code: int = 6) -> str:
        return failed(at.run("run", reference, *more), code).hint

    assert hint("wandb:acme/demo/train-mnits") == "nearest: train-mnist"
    assert hint("wandb:acme/demo/train-mnist:latset") == "it has: latest"
    assert "check entity and project" in hint("wandb:acme/dmeo/train-mnist")
    assert "name a job" in hint("acme/demo/data")
    assert "--project" in hint("wandb:train-mnist", code=2)
    assert "ENTITY/PROJECT/NAME" in hint("wandb:a/b/c/d", code=2)
    assert "launch-action build" in hint("train-mnist")


def test_parts_that_are_left_out_are_the_options_or_the_key_s_own(at: AtWandb) -> None:
    for entity in ("acme", "me"):
        files = job_files("image", {"image": f"{entity}/image"})
        put_artifact(at.wandb, f"{entity}/demo/train", files)

    def image(*arguments: str) -> Any:
        found = succeeded(at.run("job", "describe", "--json", *arguments)).document
        return found["wandb_job"]["source"]["image"]

    assert image("demo/train") == "me/image"
    assert image("demo/train", "-e", "acme") == "acme/image"
    assert image("train", "-p", "demo", "-e", "acme") == "acme/image"
    assert image("wandb:train", "-p", "demo") == "me/image"


def test_a_name_alone_is_the_local_store_s_where_that_has_it(at: AtWandb) -> None:
    commit = at.git.commit("mono", {"job.py": script("local")})
    put_artifact(at.wandb, "me/demo/train", job_files("image", {"image": "a/b"}))
    made = succeeded(
        at.run("job", "create", "git", at.git.url("mono"), "-g", commit, "-E", "python job.py",
               "-n", "train", "--json")
    ).document  # fmt: skip

    local = at.run("job", "describe", "train", "-p", "demo")
    other = at.run("job", "describe", "train:v0", "-p", "demo")

    assert made["job_digest"] in succeeded(local).out
    assert "version  wandb:me/demo/train:v0" in succeeded(other).out
    assert "job me/demo/train:v0 of W&B" in other.err


def test_a_remote_with_a_login_is_neither_recorded_nor_shown(at: AtWandb) -> None:
    commit = at.git.commit("mono", {"job.py": script("git")})
    remote = at.git.url("mono", "user:s3cr3t@")
    put_artifact(at.wandb, "acme/demo/creds", job_files("repo", git_source(remote, commit, "x.py")))

    built = at.run("build", "wandb:acme/demo/creds", "--dry-run")

    assert "its remote holds a login" in succeeded(built).err
    assert "s3cr3t" not in built.err + built.out


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"remote": "/etc"}, 2, "not an address"),
        ({"remote": "ext::sh -c touch% x"}, 3, "not a git remote"),
        ({"commit": "--upload-pack=x"}, 6, "names no commit"),
        ({"commit": "main"}, 6, "names no commit"),
        ({"dockerfile": "../../x"}, 2, "outside the build context"),
        ({"build_context": "/etc"}, 2, "outside the repository"),
        ({"base_image": "oci:/etc"}, 2, "not an image repository"),
        ({"base_image": "deb:bookworm"}, 5, "registry-1.docker.io"),
        ({"entrypoint": ["python", "a\0b"]}, 2, "entry point"),
        ({"patch": b"--- a/../../x\n+++ b/../../x\n@@ -0,0 +1 @@\n+x\n"}, 3, "does not apply"),
    ],
)  # fmt: skip
def test_a_document_names_nothing_of_this_machine(
    at: AtWandb, change: dict[str, Any], code: int, words: str
) -> None:
    commit = at.git.commit("mono", {"job.py": script("git")})
    known = {"remote": at.git.url("mono"), "commit": commit, "entrypoint": ["python", "job.py"]}
    found = {**known, **change}
    patch, entrypoint = found.pop("patch", b""), found.pop("entrypoint")
    source = git_source(found.pop("remote"), found.pop("commit"), *entrypoint, **found)
    put_artifact(at.wandb, "acme/demo/x", job_files("repo", source, patch=patch))

    # With a base of the user's own only where the document's is not what is tried.
    base = () if "base_image" in change else ("--base-image", at.base)
    ended = failed(at.run("build", "wandb:acme/demo/x", *base), code)

    assert words in ended.error
    assert at.machine.leftovers() == []
    assert not at.machine.store.exists() or not list(at.machine.store.glob("*/index.json"))


def test_an_untrusted_event_reads_without_the_key(at: AtWandb, tmp_path: Path) -> None:
    put_artifact(at.wandb, "acme/demo/train", job_files("image", {"image": "a/b"}))
    event = tmp_path / "event.json"
    repository = {"full_name": "acme/mono", "fork": False, "default_branch": "main"}
    head = {"sha": "a" * 40, "ref": "x", "repo": {**repository, "full_name": "evil/mono"}}
    event.write_text(json.dumps({
        "number": 1, "repository": repository, "action": "opened",
        "pull_request": {"number": 1, "head": head, "base": {"ref": "main", "repo": repository}},
    }))  # fmt: skip
    also = {
        **at.machine.also, "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "acme/mono",
    }  # fmt: skip
    machine = replace(at.machine, also=also)

    ended = machine.run("run", "wandb:acme/demo/train", cwd=at.directory)

    assert "wants a key: 401" in failed(ended, 8).error


def test_doctor_says_whose_key_it_is_and_whether_it_is_taken(at: AtWandb, tmp_path: Path) -> None:
    def said(**also: str) -> dict[str, Any]:
        ended = replace(at.machine, also=also).run("doctor", "--json", cwd=at.directory)
        assert at.wandb.key not in ended.out + ended.err
        found: dict[str, Any] = next(o for o in json.loads(ended.out) if o["name"] == "wandb")
        return found

    (tmp_path / "login").mkdir()
    host = at.wandb.url.removeprefix("http://")
    (tmp_path / "login/.netrc").write_text(f"machine {host} login u password {at.wandb.key}\n")
    url = {"WANDB_BASE_URL": at.wandb.url}

    taken = said(WANDB_API_KEY=at.wandb.key, **url)
    assert taken["found"]
    assert "the key of WANDB_API_KEY is taken, entity me" in taken["detail"]
    assert "login/.netrc is taken" in said(HOME=str(tmp_path / "login"), **url)["detail"]
    assert "no key: runs are offline" in said(**url)["detail"]
    refused = said(WANDB_API_KEY="f" * 40, **url)
    assert (refused["found"], "does not take the key" in refused["detail"]) == (False, True)
    assert not said(WANDB_API_KEY="x", WANDB_BASE_URL="http://127.0.0.1:9")["found"]
