"""Jobs registered in W&B: what is there afterwards, and what W&B's own programs make of it."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.jobs import eventually
from support.program import Machine, failed, succeeded
from support.repositories import Work
from support.services import LocalRegistry
from support.wandb_api.handler import BELOW
from support.wandb_api.server import KEY, WandbServer, serve
from support.wandb_jobs import CREATE, PROJECT, Registrar, Wandb, job_document

import launch_action

pytest_plugins = ["support.program_fixtures", "support.wandb_fixtures"]

SCHEMA = {"type": "object", "properties": {"lr": {"type": "number"}}, "required": ["lr"]}


@pytest.fixture
def wandb(server: WandbServer, tmp_path: Path) -> Wandb:
    return Wandb(server, tmp_path / "wandb-home")


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts}


def test_a_git_job_is_there_as_launch_reads_it(
    here: Registrar, server: WandbServer, work: Work, wandb: Wandb
) -> None:
    before = below(work.path)
    made = succeeded(here.create("--description", "what it does", "-a", "v3")).document

    name = f"{PROJECT}/hello"
    assert made["metadata"]["wandb"] == {
        "job": f"{name}:v0",
        "url": f"{server.url}/acme/demo/artifacts/job/hello/v0",
        "image_job": None,
        "image_url": None,
        "code": None,
    }
    assert made["wandb_job"] == f"{name}:v0"
    assert made["wandb_job_url"] == made["metadata"]["wandb"]["url"]
    (version,) = server.versions(name)
    assert version["description"] == "what it does"
    metadata = json.loads(version["metadata"])
    assert metadata["_partial"] is True
    commit = work.git("rev-parse", "HEAD").strip()
    assert set(server.aliases(name)) == {f"sha-{commit}", "main", "latest", "tag-v3"}
    files = server.files(f"{name}:latest")
    assert set(files) == {"wandb-job.json", "requirements.frozen.txt"}
    document = json.loads(files["wandb-job.json"])
    assert document["source"]["git"]["commit"] == commit
    assert (document["_partial"], document["runtime"]) == ("v0", "3.12")
    # Nothing is left: of the run that recorded it, of the SDK, of a process of its.
    assert server.runs(PROJECT) == []
    assert below(work.path) == before
    assert here.machine.leftovers() == []
    assert list((here.machine.root / "home").iterdir()) == []
    assert eventually(lambda: not _processes(str(here.machine.root)))
    # W&B's own programs read it.
    assert "hello -- versions" in wandb.command("job", "list", "-p", "demo", "-e", "acme")
    assert "source_type: repo" in wandb.command("job", "describe", f"{name}:latest")


def _processes(word: str, but: int = 0) -> list[str]:
    """Arguments and environment of processes that have a word in the latter, but for one of them.

    The environment is as /proc has it: what a process was started with.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            if word.encode() in environment and process.name != str(but):
                found.append(((process / "cmdline").read_bytes() + environment).decode("latin-1"))
        except OSError:
            continue
    return found


def test_the_same_content_is_no_new_version_and_its_aliases_move(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    succeeded(here.create())
    server.asked.clear()
    succeeded(here.create())
    # A question is enough: no run is made for it, and the SDK is not started.
    assert server.operations == ["ArtifactMembershipByName"]
    again = succeeded(here.create("-a", "prod", "--description", "said later")).document
    assert again["metadata"]["wandb"]["job"] == f"{PROJECT}/hello:v0"
    (version,) = server.versions(f"{PROJECT}/hello")
    assert version["description"] == "said later"
    assert server.aliases(f"{PROJECT}/hello")["prod"] == "v0"

    work.commit({"train.py": "print(2)\n"})
    assert succeeded(here.create()).document["metadata"]["wandb"]["job"] == f"{PROJECT}/hello:v1"
    aliases = server.aliases(f"{PROJECT}/hello")
    assert (aliases["latest"], aliases["main"], aliases["prod"]) == ("v1", "v1", "v0")


def test_what_is_no_release_does_not_take_latest(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    work.git("update-ref", "refs/remotes/origin/main", "HEAD")
    work.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    succeeded(here.create(CI="true"))
    assert server.aliases(f"{PROJECT}/hello")["latest"] == "v0"
    work.git("checkout", "-q", "-b", "try")
    work.commit({"train.py": "print(2)\n"})
    succeeded(here.create(CI="true"))

    aliases = server.aliases(f"{PROJECT}/hello")
    assert (aliases["try"], aliases["latest"]) == ("v1", "v0")


def test_a_code_job_names_its_code_there(
    here: Registrar, server: WandbServer, wandb: Wandb, tmp_path: Path
) -> None:
    code = tmp_path / "my_code"
    (code / "sub").mkdir(parents=True)
    (code / "main.py").write_text("print(1)\n")
    (code / "sub" / "data.txt").write_text("x")
    (code / "link.py").symlink_to("main.py")
    (code / "requirements.txt").write_text("six==1.16.0\n")
    (code / ".env").write_text("TOKEN=s3cr3t\n")
    (code / ".launchignore").write_text(".env\n")
    create = ("job", "create", "code", str(code), "-E", "python main.py", "-p", "demo", "--json")
    made = succeeded(here.run(*create, "-e", "acme")).document
    server.asked.clear()
    again = succeeded(here.run(*create, "-e", "acme")).document

    assert server.operations == ["ArtifactMembershipByName"] * 2
    assert made["metadata"]["wandb"] == again["metadata"]["wandb"]
    assert made["metadata"]["wandb"]["code"] == f"{PROJECT}/code-my_code_main.py:v0"
    # No ghosts: W&B's own tool leaves a pending `job-my_job_main.py` besides.
    assert server.collections(PROJECT) == ["job-code-my_code_main.py"]
    assert server.collections(PROJECT, "code") == ["code-my_code_main.py"]
    assert {v["state"] for v in server.state.all("artifacts")} == {"COMMITTED"}
    kept = server.files(f"{PROJECT}/code-my_code_main.py:latest")
    assert set(kept) == {"main.py", "sub/data.txt", "link.py", "requirements.txt", ".launchignore"}
    assert kept["link.py"] == b"print(1)\n"
    (row,) = server.versions(f"{PROJECT}/code-my_code_main.py")
    document = job_document(server, f"{PROJECT}/job-code-my_code_main.py:latest")
    assert document["source"]["artifact"] == f"wandb-artifact://_id/{row['id']}"
    files = server.files(f"{PROJECT}/job-code-my_code_main.py:latest")
    assert files["requirements.frozen.txt"] == b"six==1.16.0\n"
    # Launch gets the code by what the document names.
    assert wandb.python(_GETS_CODE.format(name="job-code-my_code_main.py")) == [
        ".launchignore", "link.py", "main.py", "requirements.frozen.txt", "requirements.txt", "sub",
    ]  # fmt: skip


_GETS_CODE = """
import json, os, wandb
from wandb.sdk.launch._project_spec import LaunchProject
from wandb.sdk.launch.api import LaunchApi
job = "acme/demo/{name}:latest"
spec = {{"job": job, "entity": "acme", "project": "demo", "resource": "local-process"}}
project = LaunchProject.from_spec(spec, LaunchApi())
project.fetch_and_validate_project()
print(json.dumps(sorted(os.listdir(project.project_dir))))
"""


def test_a_schema_types_the_inputs_for_the_sdk(
    here: Registrar, server: WandbServer, wandb: Wandb, work: Work
) -> None:
    work.commit({"schema.json": json.dumps(SCHEMA)})
    succeeded(here.create("--schema", "schema.json"))
    server.add_queue("gpu", "local-process")

    (version,) = server.versions(f"{PROJECT}/hello")
    metadata = json.loads(version["metadata"])
    assert metadata["_partial"] is True
    assert metadata["input_schemas"]["@wandb.config"]["properties"] == SCHEMA["properties"]
    assert job_document(server, f"{PROJECT}/hello:latest")["input_types"]["params"]["type_map"] == {
        "lr": {"wb_type": "number"}
    }
    assert "lr" in wandb.python(_CALLS)
    (item,) = server.items("gpu")
    assert item["runSpec"]["overrides"]["run_config"] == {"lr": 0.5}


# On a job of W&B's own tools this raises TypeError: "Found extra keys".
_CALLS = """
import json, wandb
job = wandb.Api().job("acme/demo/hello:latest")
job.call({"lr": 0.5}, project="demo", entity="acme", queue="gpu", resource="local-process")
print(json.dumps(str(job._input_types)))
"""


def test_odd_entry_points_and_credentials_of_remotes(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    work.git("remote", "set-url", "origin", "ssh://git@host.example:2222/acme/mono.git")
    succeeded(here.create("-E", "python -c \"print('a b')\""))
    first = job_document(server, f"{PROJECT}/hello:latest")["source"]
    assert first["entrypoint"] == ["python", "-c", "print('a b')"]
    assert first["git"]["remote"] == "ssh://git@host.example:2222/acme/mono.git"

    work.git("remote", "set-url", "origin", "https://user:s3cr3t-word@host.example/acme/mono.git")
    succeeded(here.create())
    second = job_document(server, f"{PROJECT}/hello:latest")["source"]
    assert second["git"]["remote"] == "https://host.example/acme/mono.git"
    assert b"s3cr3t-word" not in b"".join(_every_byte(server.directory))


def test_every_script_of_a_repository_is_a_job_of_its_own(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    work.commit({"jobs/a.py": "", "jobs/b.py": ""})
    for script in ("jobs/a.py", "jobs/b.py"):
        command = ("job", "create", "git", ".", "-E", f"python {script}", "--no-check-remote")
        succeeded(here.run(*command, "-p", "demo", "-e", "acme"))

    names = server.collections(PROJECT)
    assert [name.rpartition("-")[2] for name in names] == ["jobs_a.py", "jobs_b.py"]


@pytest.mark.network
@pytest.mark.registry
def test_an_image_job_starts_anywhere_without_a_builder(
    here: Registrar,
    server: WandbServer,
    wandb: Wandb,
    options: tuple[str, ...],
    registry: LocalRegistry,
) -> None:
    image = f"{registry.address}/wandb/trainer"
    build = ("build", *options, "--image", image, "-p", "demo", "-e", "acme", "-J", "hello",
             "--no-check-remote", "--wandb-register", "both", "--json")  # fmt: skip
    made = succeeded(here.run(*build)).document

    assert made["metadata"]["wandb"]["job"] == f"{PROJECT}/hello:v0"
    assert made["metadata"]["wandb"]["image_job"] == f"{PROJECT}/hello-image:v0"
    assert made["wandb_job"] == f"{PROJECT}/hello-image:v0"  # the one to launch
    assert made["wandb_job_url"] == made["metadata"]["wandb"]["image_url"]
    assert server.collections(PROJECT) == ["hello", "hello-image"]
    source = job_document(server, f"{PROJECT}/hello-image:latest")["source"]
    assert source == {"image": made["image"], "entrypoint": ["python", "train.py"]}
    assert "@sha256:" in made["image"]
    # W&B's own launch comes to a container of exactly this image.
    wandb.command(
        "launch", "-j", f"{PROJECT}/hello-image:latest", "-p", "demo", "-e", "acme",
        "-r", "local-container",
    )  # fmt: skip
    (run,) = [call for call in wandb.docker_calls() if call.startswith("run ")]
    assert run.endswith(f"--entrypoint python {made['image']} train.py"), run
    assert f"WANDB_DOCKER={made['image']}" in run
    # Nothing is built and nothing is made again.
    again = succeeded(here.run(*build)).document
    assert again["metadata"]["wandb"] == made["metadata"]["wandb"]


@pytest.mark.registry
@pytest.mark.network
def test_a_job_of_an_image_has_its_tag_for_an_alias_and_a_name_without_its_digest(
    here: Registrar, server: WandbServer, python_base: str
) -> None:
    create = ("job", "create", "image", python_base, "-p", "demo", "-e", "acme", "--json")
    made = succeeded(here.run(*create, "-E", "python -V")).document
    by_digest = job_document(server, made["metadata"]["wandb"]["job"])["source"]
    assert by_digest["entrypoint"] == ["python", "-V"]
    repository, _, tag = python_base.rpartition(":")
    assert by_digest["image"].startswith(f"{repository}@sha256:")
    (name,) = server.collections(PROJECT)
    assert name == "job-" + repository.replace(":", "_").replace("/", "_")
    assert tag in server.aliases(f"{PROJECT}/{name}")

    # By digest it is the same job, and no alias of it has 64 digits.
    succeeded(here.run("job", "create", "image", by_digest["image"], *create[4:]))
    assert server.collections(PROJECT) == [name]
    assert not [alias for alias in server.aliases(f"{PROJECT}/{name}") if len(alias) == 64]


def test_names_that_w_b_takes_unchecked_are_made_safe(here: Registrar, server: WandbServer) -> None:
    command = [word for word in CREATE if word not in ("-n", "hello")]
    run = (*command, "-p", "demo", "-e", "acme")
    succeeded(here.run(*run, WANDB_JOB_NAME="awesome job/name"))
    # Set and empty, as GitHub gives what is not set: W&B then logs no job, or ends.
    succeeded(here.run(*run, WANDB_JOB_NAME="", WANDB_SILENT="", WANDB_DISABLE_GIT=""))

    first, second = server.collections(PROJECT)
    assert first == "awesome_job_name"
    assert second.startswith("job-")


def _every_byte(*folders: Path) -> Iterator[bytes]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path.read_bytes()


def _login(here: Registrar, server: WandbServer) -> Path:
    """The file that `wandb login` writes."""
    netrc = here.machine.root / "home" / ".netrc"
    netrc.parent.mkdir(parents=True, exist_ok=True)
    host = server.url.removeprefix("http://")
    netrc.write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    netrc.chmod(0o600)
    return netrc


def test_the_key_is_nowhere(here: Registrar, server: WandbServer, work: Work) -> None:
    watched: list[str] = []
    fault = server.fail("CommitArtifact", 500, wait=1.5, times=1)
    netrc = _login(here, server)
    also = {name: text for name, text in server.environment.items() if text != KEY}
    command = (*CREATE, "-p", "demo", "-e", "acme")
    machine = Machine(here.machine.root, here.machine.cache, also)
    with machine.started(*command, cwd=work.path) as child:
        while child.poll() is None:
            watched += _processes(str(here.machine.root), but=child.pid)
        out, err = child.communicate()

    assert child.returncode == 0, err
    assert fault.seen > 1
    service = [one for one in watched if "wandb-core" in one]
    # And its own faults are told to nobody but the server.
    assert service
    assert all("--no-observability" in one for one in service)
    assert KEY not in "".join(watched)
    assert KEY.encode() not in out + err
    netrc.unlink()
    kept = b"".join(_every_byte(here.machine.root, server.directory, work.path))
    assert KEY.encode() not in kept


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("wandb_v1_" + "aB3_" * 19 + "x", id="of-86-characters"),
        pytest.param("local-" + "f" * 40, id="of-a-team-s-own-server"),
        pytest.param("eyJhbGciOi.eyJzdWIi_Q.c2lnbmF0dXJl-Zw", id="token"),
    ],
)
def test_a_key_of_any_form_and_a_server_below_a_path(
    machine: Machine, work: Work, tmp_path: Path, key: str
) -> None:
    with serve(tmp_path / "another", key) as server:
        here = Registrar(machine, server, work.path)
        at_path = {"WANDB_BASE_URL": f"{server.url}{BELOW}"}
        # As a file with a line end after it gives it.
        made = succeeded(here.create(WANDB_API_KEY=f"{key}\n", **at_path))
        read = succeeded(here.run("job", "describe", f"wandb:{PROJECT}/hello", **at_path))

    assert made.document["wandb_job"] == f"{PROJECT}/hello:v0"
    page = f"{server.url}{BELOW}/acme/demo/artifacts/job/hello/v0"
    assert made.document["wandb_job_url"] == page
    assert key not in made.out + made.err + read.out + read.err
    kept = b"".join(_every_byte(machine.root, server.directory, work.path))
    assert key.encode() not in kept


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        pytest.param((), {"WANDB_API_KEY": ""}, id="no-key"),
        pytest.param(("--wandb-register", "off"), {}, id="off"),
        pytest.param((), {"WANDB_MODE": "offline"}, id="offline"),
        pytest.param(
            (), {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request"}, id="fork"
        ),
    ],
)
def test_nothing_is_asked_where_nothing_is_registered(
    here: Registrar, server: WandbServer, tmp_path: Path,
    options: tuple[str, ...], environment: dict[str, str],
) -> None:  # fmt: skip
    if "GITHUB_ACTIONS" in environment:
        fork = {"head": {"repo": {"fork": True, "full_name": "them/mono"}, "sha": "a" * 40},
                "base": {"repo": {"full_name": "acme/mono"}}, "number": 7}  # fmt: skip
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"pull_request": fork, "number": 7}))
        environment = {
            **environment,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "acme/mono",
        }
    made = succeeded(here.create(*options, **environment)).document

    assert "wandb" not in made["metadata"]
    assert server.operations == []


def test_without_a_project_nothing_is_asked(here: Registrar, server: WandbServer) -> None:
    assert "wandb" not in succeeded(here.run(*CREATE)).document["metadata"]
    assert server.operations == []


def test_a_plan_registers_nothing(
    here: Registrar, server: WandbServer, options: tuple[str, ...]
) -> None:
    run = ("build", *options, "-p", "demo", "-e", "acme", "--dry-run", "--json")
    assert succeeded(here.run(*run)).document["plan"]
    assert server.operations == []


@pytest.mark.parametrize(
    ("options", "environment", "word"),
    [
        pytest.param(("--wandb-register", "blueprint"), {"WANDB_API_KEY": ""}, "key", id="key"),
        pytest.param(("--wandb-register", "image"), {}, "not pushed", id="image"),
        pytest.param(("-p", "a/b"), {}, "not a W&B project: 'a/b'", id="project"),
        pytest.param(("-e", "a/b"), {}, "not a W&B entity: 'a/b'", id="entity"),
        pytest.param((), {"WANDB_BASE_URL": "nowhere"}, "server: 'nowhere'", id="address"),
        pytest.param(
            ("--wandb-register", "blueprint"), {"WANDB_MODE": "offline"}, "offline", id="offline"
        ),
    ],
)
def test_what_is_asked_for_and_cannot_be_is_said_before_anything_is_done(
    here: Registrar, options: tuple[str, ...], environment: dict[str, str], word: str
) -> None:
    assert word in failed(here.create(*options, **environment), 2).error
    assert not here.machine.store.exists()


def test_the_account_is_of_where_w_b_has_it(here: Registrar, server: WandbServer) -> None:
    home = here.machine.root / "home"
    (home / ".config" / "wandb").mkdir(parents=True)
    (home / ".config" / "wandb" / "settings").write_text("[default]\nentity = acme\nproject = p\n")
    _login(here, server)
    made = succeeded(here.run(*CREATE, WANDB_API_KEY="")).document
    assert made["metadata"]["wandb"]["job"] == "acme/p/hello:v0"

    # The user's own entity is W&B's default; a project is made on the way.
    (home / ".config" / "wandb" / "settings").unlink()
    made = succeeded(here.run(*CREATE, WANDB_PROJECT="fresh")).document
    assert made["metadata"]["wandb"]["job"] == "me/fresh/hello:v0"


def test_a_repository_does_not_choose_where_the_key_goes(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    work.write({"wandb/settings": f"[default]\nbase_url = {server.url}\nproject = demo\n"})
    # Its own server is not reached from here, and not asked for long.
    ended = here.run(*CREATE, "-e", "acme", WANDB_BASE_URL="", HTTPS_PROXY="http://127.0.0.1:9")
    assert "api.wandb.ai" in failed(ended, 8).error
    assert server.operations == []

    _login(here, server)
    succeeded(here.run(*CREATE, "-e", "acme", WANDB_BASE_URL="", WANDB_API_KEY=""))
    assert server.collections(PROJECT) == ["hello"]


_START = "from launch_action.cli import main; main()"


def _without_sdk(folder: Path) -> tuple[str, ...]:
    """The program with every package of this environment but the SDK."""
    packages = folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith("wandb"):
            (packages / entry.name).symlink_to(entry)
    ours = Path(launch_action.__file__).parents[1]
    code = f"import sys; sys.path += [{str(packages)!r}, {str(ours)!r}]; {_START}"
    return (sys.executable, "-S", "-c", code)


def test_without_the_sdk(here: Registrar, server: WandbServer, work: Work, tmp_path: Path) -> None:
    """An error where it is counted on, a warning where a machine is only logged in."""
    lacking = Registrar(replace(here.machine, program=_without_sdk(tmp_path)), server, work.path)
    refused = failed(lacking.create(), 2)
    assert "SDK is not installed" in refused.error
    assert "pip install launch-action[wandb]" in refused.hint
    assert not here.machine.store.exists()

    home = here.machine.root / "home"
    (home / ".config" / "wandb").mkdir(parents=True)
    (home / ".config" / "wandb" / "settings").write_text("[default]\nproject = p\n")
    warned = succeeded(lacking.run(*CREATE))
    assert "the SDK of launch-action[wandb] is not installed" in warned.err
    assert server.operations == []


def test_a_directory_of_the_sdk_s_runs_is_no_sdk(
    here: Registrar, server: WandbServer, work: Work, tmp_path: Path
) -> None:
    """Every run leaves a `wandb` beside its script, and CI often has PYTHONPATH=. there."""
    work.write({"wandb/run-1/files/output.log": "", "wandb/__init__.py": ""})
    program = _without_sdk(tmp_path)
    lacking = Registrar(replace(here.machine, program=program), server, work.path)
    assert "SDK is not installed" in failed(lacking.create(PYTHONPATH="."), 2).error
    assert "SDK is not installed" in failed(lacking.create(), 2).error  # as of `python -m`
    # Where the SDK is, it is the one that is used.
    assert succeeded(here.create(PYTHONPATH=".")).document["metadata"]["wandb"]


def test_an_older_sdk_is_told_before_anything_is_done(
    here: Registrar, server: WandbServer, work: Work, tmp_path: Path
) -> None:
    """As a project's own environment has it, into which the program was installed."""
    program = _without_sdk(tmp_path)
    (tmp_path / "packages" / "wandb").mkdir()
    (tmp_path / "packages" / "wandb" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "packages" / "wandb-0.19.11.dist-info").mkdir()
    older = Registrar(replace(here.machine, program=program), server, work.path)
    refused = failed(older.create(), 2)
    assert "its SDK is of version 0.19.11, and 0.31 is needed" in refused.error
    assert "pip install launch-action[wandb]" in refused.hint
    assert not here.machine.store.exists()


def test_packages_that_a_user_has_installed_for_himself(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    """`pip install --user`, which an isolated Python does not look at."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = here.machine.root / "home" / ".local" / "lib" / version / "site-packages"
    packages.parent.mkdir(parents=True)
    packages.symlink_to(sysconfig.get_path("purelib"))
    python = str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    machine = replace(here.machine, program=(python, "-c", _START))
    made = succeeded(Registrar(machine, server, work.path).create()).document
    assert made["metadata"]["wandb"]["job"] == f"{PROJECT}/hello:v0"
