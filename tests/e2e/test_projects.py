"""Projects as people have them, each a directory of `projects/`: from a commit to a run job.

A case is `project/`, what is committed, and `case.toml`, what is asked for and what is to come of
it; what no file tree can hold is made by the function of the case's name in MAKERS.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tomli
from support.bases import AMD64, put_image
from support.index import make_wheel
from support.program import Ended, Machine
from support.repositories import REMOTE, Work, make_repository
from support.versions import check_complete
from support.wheels import WheelMaker

from launch_action.core.outputs import OUTPUTS
from launch_action.core.store import JobStore
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]

PROJECTS = Path(__file__).with_name("projects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What case.toml says.

    `log`: texts on standard error, where the job's output is too. `facts`: what the job left in
    facts.json, for what is no metric.
    """

    name: str
    entry_point: str = "python train.py"
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    engine: bool = False
    python: str = "3.11"
    base: str = ""
    repository: bool = True
    committed: bool = True
    remote: str = REMOTE
    exit: int = 0
    log: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    hint: tuple[str, ...] = ()
    metrics: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] | None = None
    frozen: tuple[str, ...] | None = None
    job_name: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)


def read_case(folder: Path) -> Case:
    found = tomli.loads((folder / "case.toml").read_text("utf-8"))
    values: dict[str, Any] = {
        key.replace("-", "_"): tuple(value) if isinstance(value, list) else value
        for key, value in found.items()
    }
    return Case(name=folder.name, **values)


CASES = [read_case(path.parent) for path in sorted(PROJECTS.glob("*/case.toml"))]


# ---- what no file tree can hold ------------------------------------------------------------------

ODD_NAMES = (
    "a b.txt", "line\nfeed.txt", "tab\t\x1b[31m.txt", "non-utf8-\udcff\udcfe.txt", "naïve-日本.txt",
    "-rf", "--config=x", "a'b\"c\\d$e`f", "trailing ", ".hidden/ .x", "*?[a].txt",
)  # fmt: skip


def odd_names(work: Work) -> None:
    work.write(dict.fromkeys(ODD_NAMES, "content\n"))


def long_names(work: Work) -> None:
    work.write({f"{'d' * 200}/{'e' * 200}/{'f' * 250}": "deep\n", "g" * 255: "long\n"})


def symlinks(work: Work) -> None:
    work.write({"data/real.txt": "through\n"})
    (work.path / "link.txt").symlink_to("data/real.txt")
    (work.path / "folder").symlink_to("data")
    (work.path / "data" / "up").symlink_to("../link.txt")


def escaping_links(work: Work) -> None:
    (work.path / "out").symlink_to("../../outside")
    (work.path / "absolute").symlink_to("/etc/hostname")


def large_files(work: Work) -> None:
    work.write({"empty": b"", "large.bin": os.urandom(1 << 20) * 48})


def local_wheel(work: Work) -> None:
    name, data = make_wheel("local-demo", "1.5")
    work.write({f"wheels/{name}": data})


def slipping_wheel(work: Work) -> None:
    maker = WheelMaker(
        name="evil", files={"../../../../tmp/launch-action-slipped": b"out", "evil.py": b""}
    )
    (work.path / "wheels").mkdir()
    maker.write(work.path / "wheels")


def submodule(work: Work) -> None:
    oid = "1" * 40
    work.git("update-index", "--add", "--cacheinfo", f"160000,{oid},library")


def pointer(work: Work) -> None:
    """Made here: in this repository it would have git fetch the file."""
    oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n"
    work.write({"model.bin": text, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    work.git("config", "filter.lfs.clean", "cat")  # as it is, whatever is installed


MAKERS: Mapping[str, Callable[[Work], None]] = {
    "names-of-any-bytes": odd_names,
    "names-as-long-as-can-be": long_names,
    "symlinks": symlinks,
    "symlinks-out-of-the-context": escaping_links,
    "large-and-empty-files": large_files,
    "wheel-in-the-repository": local_wheel,
    "broken-wheel-that-slips-out": slipping_wheel,
    "broken-submodule-is-not-there": submodule,
    "broken-lfs-file-is-a-pointer": pointer,
}


# ---- the test ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bare_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base with a C library's name in its history and no interpreter."""
    folder = tmp_path_factory.mktemp("bare-base")
    put_image(LayoutContent(folder, "bare"), [], tag="base", platform=AMD64)
    return f"oci:{folder}"


@pytest.fixture
def work(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The case's project, committed."""
    case: Case = request.node.callspec.params["case"]
    path = tmp_path / "checkout"
    project = PROJECTS / case.name / "project"
    if project.exists():
        shutil.copytree(project, path, symlinks=True)
    else:
        path.mkdir()
    if not case.repository:
        return path
    work = make_repository(path, remote=case.remote or None)
    make = MAKERS.get(case.name)
    if make:
        make(work)
    if case.committed:
        work.git("add", "--all", ":!library")
        work.git("commit", "--quiet", "--message", "a commit")
    return path


def _parameter(case: Case) -> Any:
    marks = [pytest.mark.network] if case.network else []
    marks += [pytest.mark.engine] if case.engine else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_parameter(case) for case in CASES])
def test_a_project_is_launched_or_refused_as_its_case_says(
    case: Case,
    work: Path,
    tmp_path: Path,
    shared_cache: Path,
    python_base_layout: Path,
    bare_base: str,
) -> None:
    machine = Machine(tmp_path, shared_cache, case.environment)
    base = {"": f"oci:{python_base_layout}", "without-python": bare_base}.get(case.base, case.base)
    python = ("--python", case.python) if case.python else ()
    ended = machine.run(
        "launch", "--json", "--resource", "local-process", "--base-image", base,
        "--entry-point", case.entry_point, *python, *case.arguments,
        cwd=work,
    )  # fmt: skip
    said = f"exit {ended.code}\n{ended.err}\n{ended.out}"
    assert ended.code == case.exit, said
    assert "Traceback" not in ended.err or 'File "/app' in ended.err, said
    for text in case.log:
        assert text in ended.err, said
    assert machine.leftovers() == [], said
    if ended.error:
        _check_failure(case, machine, ended)
    else:
        _check_success(case, machine, ended, work)


def _check_failure(case: Case, machine: Machine, ended: Ended) -> None:
    assert set(ended.document) == {output.name for output in OUTPUTS} | {"error"}
    told = ended.document["error"]
    assert told["exit"] == case.exit
    assert told["message"][:1] == told["message"][:1].lower()
    assert not told["message"].endswith(".")
    for text in case.error:
        assert text in told["message"], ended.err
    for text in case.hint:
        assert text in told["hint"], ended.err
    assert case.error or not case.exit, "an expected failure says what it expects"
    stored = list(machine.store.iterdir()) if machine.store.exists() else []
    assert [LayoutContent(place, place.name).tags() for place in stored if place.is_dir()] in (
        [],
        [()],
    )


def _check_success(case: Case, machine: Machine, ended: Ended, work: Path) -> None:
    found = ended.document
    assert set(found) == {output.name for output in OUTPUTS}
    expected = {"run_status": "succeeded", "run_exit_code": 0, "pushed": False, **case.run}
    if case.job_name:
        expected["job_name"] = case.job_name
    if case.metrics is not None:
        expected["metrics"] = case.metrics
    assert {name: found[name] for name in expected if name in found} == expected, ended.err
    if case.facts is not None:
        (outputs,) = (work / "launch-output").iterdir()
        assert json.loads((outputs / "facts.json").read_text()) == case.facts
    layout = machine.layout(found["job_name"])
    content = LayoutContent(layout, found["job_name"])
    assert str(set(check_complete(content).values()).pop()) == found["job_digest"]
    if case.frozen is not None:
        store = JobStore(content)
        _, frozen = store.job_files(store.load(found["job_digest"]))
        assert tuple(frozen.decode().splitlines()) == case.frozen
