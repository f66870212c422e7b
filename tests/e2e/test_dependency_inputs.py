"""Every kind of declaration, from the commit to packages that a job imports from the image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.bundled_pip import pip_wheel
from support.declarations import NATIVE, poetry_files, pylock, source
from support.git_remotes import http_server
from support.index import Index, make_sdist, make_wheel, serve_index
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work, make_repository
from support.wheels import WheelMaker

from launch_action.core.store import JobStore
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]

# What the job tells: the distributions, and what each module named on its command line holds.
JOB = """\
import importlib, json, os, pathlib, sys
from importlib.metadata import distributions
facts = {"installed": sorted(f"{one.name}=={one.version}" for one in distributions())}
facts |= {name: getattr(importlib.import_module(name), "X", None) for name in sys.argv[1:]}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "facts.json").write_text(json.dumps(facts))
"""


@pytest.fixture
def index() -> Iterator[Index]:
    with serve_index() as found:
        found.add(make_wheel("alpha", "1.0", requires=["beta"]))
        found.add(make_wheel("beta", "1.0", extras={"more": ["gamma"]}))
        found.add(make_wheel("gamma", "1.0"))
        yield found


class Job:
    """A project with a job that tells what is installed, on a machine of its own."""

    def __init__(self, tmp_path: Path, cache: Path, base: Path) -> None:
        self.work: Work = make_repository(tmp_path / "checkout")
        self.machine = Machine(tmp_path / "machine", cache)
        self.base = base

    def commit(self, files: Mapping[str, str | bytes]) -> None:
        self.work.commit({"tell.py": JOB, **files})

    def launch(self, *modules: str, options: tuple[str, ...] = (), entry: str = "") -> Ended:
        command = entry or " ".join(("python tell.py", *modules))
        return self.machine.run(
            "launch", "--json", "--resource", "local-process", "--python", "3.11",
            "--base-image", f"oci:{self.base}", "--entry-point", command, *options,
            cwd=self.work.path,
        )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        runs = self.work.path / "launch-output"
        latest = max(runs.iterdir(), key=lambda one: one.stat().st_mtime_ns)
        found: dict[str, Any] = json.loads((latest / "facts.json").read_text())
        return found

    def frozen(self, ended: Ended) -> str:
        """The requirements.frozen.txt of the version that a launch recorded."""
        found = ended.document
        content = LayoutContent(self.machine.layout(found["job_name"]), found["job_name"])
        store = JobStore(content)
        return store.job_files(store.load(found["job_digest"]))[1].decode()

    def installed(self, *modules: str, options: tuple[str, ...] = ()) -> list[str]:
        succeeded(self.launch(*modules, options=options))
        found: list[str] = self.facts()["installed"]
        return found


@pytest.fixture
def job(tmp_path: Path, shared_cache: Path, python_base_layout: Path) -> Job:
    return Job(tmp_path, shared_cache, python_base_layout)


def test_a_pylock_is_installed(job: Job, index: Index) -> None:
    job.commit({"pylock.toml": pylock(index)})
    assert job.installed("alpha") == ["alpha==1.0", "gamma==1.0"]
    assert job.installed("beta", options=("--extra", "x", "--group", "docs")) == [
        "alpha==1.0",
        "beta==1.0",
    ]


def test_a_poetry_project_is_installed(job: Job, index: Index) -> None:
    job.commit(poetry_files(index, "2.1"))
    assert job.installed("alpha", options=("--group", "dev")) == [
        "alpha==1.0",
        "beta==1.0",
        "delta==1.0",
    ]


def test_groups_and_sources_of_a_pyproject_are_followed(job: Job, index: Index) -> None:
    with serve_index() as other:
        other.add(make_wheel("beta", "9.0"))
        text = (
            '[project]\nname = "app"\nversion = "1"\ndependencies = ["beta"]\n'
            '[dependency-groups]\ntest = ["gamma"]\n[tool.uv.sources]\nbeta = { index = "o" }\n'
            f'[[tool.uv.index]]\nname = "o"\nurl = "{other.url}"\nexplicit = true\n'
            f'[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n'
        )
        job.commit({"pyproject.toml": text})
        assert job.installed("beta", options=("--group", "test")) == ["beta==9.0", "gamma==1.0"]


def test_packages_of_the_repository_itself_are_installed(job: Job, index: Index) -> None:
    wheel, sdist = make_wheel("ready", "1.0"), make_sdist("packed", "0.1", source("packed"))
    text = f"-i {index.url}\n-e .\n./lib/loc\n./d/{wheel[0]}\n./d/{sdist[0]}\n-f ./links\nlinked\n"
    linked = make_wheel("linked", "1.0")
    archives = {
        f"d/{wheel[0]}": wheel[1],
        f"d/{sdist[0]}": sdist[1],
        f"links/{linked[0]}": linked[1],
    }
    own = source("app", "gamma") | source("loc", below="lib/loc/")
    job.commit({**own, **archives, "requirements.txt": text})
    ended = succeeded(job.launch("app", "loc", "packed", "ready", "linked"))
    found = job.facts()
    assert found["installed"] == [
        "app==0.1", "gamma==1.0", "linked==1.0", "loc==0.1", "packed==0.1", "ready==1.0",
    ]  # fmt: skip
    assert (found["app"], found["loc"], found["packed"]) == (1, 1, 1)
    built = ["app==0.1", "loc==0.1", "packed==0.1"]
    assert ended.document["metadata"]["built_from_source"] == built
    again = succeeded(job.launch("app"))
    assert again.document["metadata"]["built_from_source"] == [
        "app==0.1",
        "loc==0.1",
        "packed==0.1",
    ]
    job.commit({"lib/loc/loc.py": "X = 2\n"})
    succeeded(job.launch("loc"))
    assert job.facts()["loc"] == 2


def test_a_branch_of_a_repository_is_recorded_by_its_commit(job: Job, tmp_path: Path) -> None:
    with http_server(tmp_path / "git") as server:
        first = server.commit("gitty", source("gitty"))
        job.commit({"requirements.txt": f"gitty @ git+{server.url('gitty')}@main\n"})
        ended = succeeded(job.launch("gitty"))
        assert job.facts()["gitty"] == 1
        assert job.frozen(ended) == f"gitty @ git+{server.url('gitty')}@{first}\n"
        second = server.commit("gitty", {"gitty.py": "X = 2\n"})
        ended = succeeded(job.launch("gitty"))
        assert job.facts()["gitty"] == 2
        assert not ended.document["cache_hit"]
        assert job.frozen(ended) == f"gitty @ git+{server.url('gitty')}@{second}\n"


def test_the_project_itself_is_installed_with_its_console_script(job: Job, index: Index) -> None:
    project = source("app", "gamma", more='[project.scripts]\napp-tell = "app:main"\n')
    project["pyproject.toml"] += f'[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n'
    project["app.py"] = "def main():\n    import gamma\n    print('told by', __file__)\n"
    project["made.py"] = project["made.py"].replace(
        'out.writestr("app-0.1.dist-info/RECORD"',
        'out.writestr("app-0.1.dist-info/entry_points.txt", '
        '"[console_scripts]\\napp-tell = app:main\\n")\n        '
        'out.writestr("app-0.1.dist-info/RECORD"',
    )
    job.commit(project)
    ended = succeeded(job.launch(entry="app-tell", options=("--install-project",)))
    assert "site-packages/app.py" in ended.err
    assert "app-tell" in failed(job.launch(entry="app-tell"), 7).error
    job.commit({"app.py": project["app.py"].replace("told by", "now told by")})
    ended = succeeded(job.launch(entry="app-tell", options=("--install-project",)))
    assert "now told by" in ended.err


@pytest.mark.network
def test_compiled_code_without_a_wheel_is_built_once(job: Job, index: Index) -> None:
    name, data = make_sdist("native", "0.1", NATIVE)
    text = "-f ./d\nnative\nidna==3.4\n"
    job.commit({"requirements.txt": text, f"d/{name}": data})
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the base has Python 3.11, which must be here to compile for it")
    ended = succeeded(job.launch("native"))
    assert job.facts()["installed"] == ["idna==3.4", "native==0.1"]
    assert ended.document["metadata"]["built_from_source"] == ["native==0.1"]
    assert "was built here" in ended.err
    job.commit({"more.py": "\n"})
    assert "was built here" not in succeeded(job.launch("native")).err


def test_wheels_of_odd_shapes_are_installed_as_pip_does(job: Job) -> None:
    """Namespaces, .pth files, data files, scripts of their own, and long ways to all of them."""
    folder = job.work.path / "d"
    folder.mkdir()
    for part in ("one", "two"):
        WheelMaker(f"space_{part}", files={f"space/{part}.py": f"X = {part!r}\n".encode()}).write(
            folder
        )
    WheelMaker(
        "odd",
        files={
            "odd_hidden/deep.py": b"X = 'by pth'\n",
            "odd.pth": b"odd_hidden\nimport sys; sys.odd_was_here = True\n",
            "odd.py": b"import pathlib, sys\n"
            b"X = pathlib.Path(sys.prefix, 'share/odd/data.txt').read_text()\n"
            b"def main():\n    print('odd', sys.odd_was_here, sys.argv[0])\n",
            "odd-1.0.data/data/share/odd/data.txt": b"of share",
            "odd-1.0.data/scripts/odd-script": b"#!python\nimport deep\nprint(deep.X)\n",
        },
        entry_points="[console_scripts]\nodd-main = odd:main\n",
    ).write(folder)
    job.work.write({"requirements.txt": "--no-index\n-f ./d\nspace-one\nspace-two\nodd\n"})
    job.commit({})
    succeeded(job.launch("space.one", "space.two", "odd", "deep"))
    found = job.facts()
    assert [found[name] for name in ("space.one", "space.two", "odd", "deep")] == [
        "one", "two", "of share", "by pth",
    ]  # fmt: skip
    far = "a-long-way/" * 20
    long = Machine(job.machine.root, job.machine.cache, {"TMPDIR": str(job.work.path / far)})
    (job.work.path / far).mkdir(parents=True)
    job.machine = long
    assert "odd True" in succeeded(job.launch(entry="odd-main")).err
    assert "by pth" in succeeded(job.launch(entry="odd-script")).err


def test_a_private_index_is_used_and_its_login_is_nowhere(tmp_path: Path, job: Job) -> None:
    secret = "hunter2secret"
    with serve_index(login=("bob", secret)) as private:
        private.add(make_wheel("alpha", "1.0"))
        text = (
            '[project]\nname = "app"\nversion = "1"\ndependencies = ["alpha"]\n'
            f'[[tool.uv.index]]\nname = "in-house"\nurl = "{private.url}"\ndefault = true\n'
        )
        job.commit({"pyproject.toml": text})
        refused = failed(job.launch("alpha"), 4)
        assert "refused: 401" in refused.error
        login = {"UV_INDEX_IN_HOUSE_USERNAME": "bob", "UV_INDEX_IN_HOUSE_PASSWORD": secret}
        job.machine = Machine(job.machine.root, tmp_path / "cache", login)
        ended = succeeded(job.launch("alpha"))
        assert secret not in ended.err + ended.out
        for root in (tmp_path / "cache", job.machine.store):
            files = [path for path in root.rglob("*") if path.is_file()]
            assert files
            assert all(secret.encode() not in path.read_bytes() for path in files)


def odd(name: str, *needs: str, heavy: bool = False, **modules: str) -> WheelMaker:
    """A wheel with modules that tell who they are of, of more than a MiB if it is `heavy`."""
    files = {
        f"{path.replace('__', '/')}.py": f"X = {text!r}\n".encode()
        for path, text in modules.items()
    }
    files |= {f"{name}_own/data.bin": os.urandom(1 << 20) + b"."} if heavy else {}
    return WheelMaker(name=name, files=files, requires=needs)


def test_whose_file_is_seen_is_what_pip_leaves(job: Job, tmp_path: Path) -> None:
    folder = job.work.path / "d"
    folder.mkdir()
    wheels = [
        # A light one that needs the heavy one whose file it replaces: its layer is below.
        odd("zeta", "alpha", one="zeta", same="same"),
        odd("alpha", heavy=True, one="alpha", same="same"),
        # Two heavy ones, and two light ones, that do not know of each other.
        odd("cv_one", heavy=True, cv__a="cv_one", cv__b="cv_one"),
        odd("cv_two", heavy=True, cv__a="cv_two", cv__c="cv_two"),
        odd("la", two="la"),
        odd("lb", two="lb"),
    ]
    for wheel in wheels:
        wheel.write(folder)
    names = [wheel.name.replace("_", "-") for wheel in wheels]
    job.work.write({"requirements.txt": "--no-index\n-f ./d\n" + "\n".join(names) + "\n"})
    job.commit({})
    modules = ("one", "same", "cv.a", "cv.b", "cv.c", "two")
    ended = succeeded(job.launch(*modules))
    found = job.facts()
    venv.create(tmp_path / "pip")
    python = tmp_path / "pip" / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "-f", str(folder), *names]
    subprocess.run([python, pip_wheel() / "pip", *install], check=True, timeout=120)
    outputs = tmp_path / "pip-outputs"
    outputs.mkdir()
    subprocess.run(
        [python, job.work.path / "tell.py", *modules],
        check=True,
        env={"LAUNCH_OUTPUT_DIR": str(outputs)},
    )
    by_pip = json.loads((outputs / "facts.json").read_text())
    assert {name: found[name] for name in modules} == {name: by_pip[name] for name in modules}
    assert "alpha and zeta both install" in ended.err
    assert "zeta's is used" in ended.err
    assert "cv_one's is used" in ended.err.replace("cv-one", "cv_one")
    # Other requirements, over layers of the last image that are named and not made.
    odd("lc", three="lc").write(folder)
    job.work.write({"requirements.txt": (job.work.path / "requirements.txt").read_text() + "lc\n"})
    store = {"LAUNCH_ACTION_STORE": str(job.machine.store)}
    job.machine = Machine(tmp_path / "again", tmp_path / "other-cache", store)
    job.commit({})
    succeeded(job.launch(*modules, "three"))
    found = job.facts()
    assert {name: found[name] for name in modules} == {name: by_pip[name] for name in modules}
