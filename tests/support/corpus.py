"""Real projects' dependency files: built by the program, and looked at in the image.

A project is a directory of `tests/corpus`: `project/` is what is committed, `project.toml` says
where the facts come from and what is to come of them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import tomli
from support import corpus_imports, services
from support.bundled_pip import pip_wheel
from support.image_root import Image, Root, image_root
from support.program import Ended, Machine
from support.repositories import make_repository

CORPUS = Path(__file__).parents[1] / "corpus"
_JOB = "application/vnd.launch-action.job.v1+json"
_PYTHON = "/opt/venv/bin/python"
_BUILD_TIMEOUT = 3600.0
_CHECK_TIMEOUT = 1800.0

Result = Literal["works", "some imports fail", "refused", "code alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What project.toml says.

    `repository`, `path`, `commit` and `licence` name the source. `date` is the commit's here, which
    decides what unpinned requirements mean. `lock` is a tool that writes a lock before the commit.
    `imports` are modules of what is required; `fails` are those that cannot be imported, with what
    is in the reason; `absent` are packages that may not be installed. `says` are texts of the error
    or the log. `why` explains a result that is not `works`. `small`: part of the test suite.
    """

    folder: Path
    repository: str
    path: str
    commit: str
    licence: str
    shape: str
    date: str
    python: str = "3.11"
    platform: str = "linux/amd64"
    options: tuple[str, ...] = ()
    lock: Literal["", "uv", "pylock"] = ""
    imports: tuple[str, ...] = ()
    fails: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    result: Result = "works"
    says: tuple[str, ...] = ()
    why: str = ""
    small: bool = False

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def files(self) -> Path:
        return self.folder / "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a project; `faults` are what is not as it has to be, or not as is written.

    `packages` is the number of packages installed, `megabytes` the size of the dependency layers
    as stored, `seconds` the time of the build, `message` the error.
    """

    result: Result
    packages: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    message: str = ""
    faults: tuple[str, ...] = ()


def read_project(folder: Path) -> Project:
    found = tomli.loads((folder / "project.toml").read_text("utf-8"))
    values: dict[str, Any] = {
        key.replace("-", "_"): tuple(value) if isinstance(value, list) else value
        for key, value in found.items()
    }
    return Project(folder=folder, **values)


def projects(corpus: Path = CORPUS) -> list[Project]:
    return [read_project(path.parent) for path in sorted(corpus.glob("*/project.toml"))]


# ---- building ------------------------------------------------------------------------------------


def build(project: Project, machine: Machine, folder: Path) -> Ended:
    """Commit the project in a repository at `folder` and build it with `machine`'s program."""
    shutil.copytree(project.files, folder)
    (folder / "train.py").write_text("print('trained')\n")
    if project.lock:
        _LOCKS[project.lock](project, folder)
    work = make_repository(folder, remote=f"https://github.com/{project.repository}.git")
    work.git("add", "--all")
    work.git("commit", "--quiet", "--message", "a commit")
    return machine.run(
        "build", "--json", "--entry-point", "python train.py", "--job-name", project.name,
        "--base-image", base_image(project), "--platform", project.platform,
        "--python", project.python, "--resolve-date", project.date, *project.options,
        cwd=folder, timeout=_BUILD_TIMEOUT,
    )  # fmt: skip


def base_image(project: Project) -> str:
    """Debian's Python of that version, for that platform."""
    if project.python == "3.11" and project.platform == "linux/amd64":
        return f"oci:{services.python_base_layout()}"
    return {"3.11": "deb:bookworm", "3.13": "deb:trixie"}[project.python]


def _uv(folder: Path, *arguments: str) -> None:
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    done = subprocess.run([uv, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _uv_lock(project: Project, folder: Path) -> None:
    _uv(folder, "lock", "--quiet", "--exclude-newer", project.date, "--python", project.python)


def _pylock(project: Project, folder: Path) -> None:
    _uv_lock(project, folder)
    _uv(folder, "export", "--quiet", "--frozen", "--no-emit-project", "--format", "pylock.toml",
        "--output-file", "pylock.toml")  # fmt: skip
    (folder / "uv.lock").unlink()


_LOCKS: Mapping[str, Callable[[Project, Path], None]] = {
    "uv": _uv_lock,
    "pylock": _pylock,
}


# ---- looking at what was built -------------------------------------------------------------------


def examine(project: Project, machine: Machine, ended: Ended, work: Path) -> Outcome:
    """What came of a build: compared with project.toml, and the image with what was recorded.

    `work` is a directory for unpacked layers, which are kept, and the image's root, which is not.
    """
    if ended.code:
        return _refused(project, ended)
    document = ended.document
    layout = machine.layout(document["job_name"])
    image = Image(layout, document["digest"])
    frozen = frozen_requirements(image, document["job_digest"])
    faults = [f"not said: {text!r}" for text in project.says if text not in ended.err]
    with image_root(image, work / "layers", work / f"root-{project.name}") as root:
        installed = _installed(root, faults)
        _compare(installed, frozen, faults)
        _check(root, faults)
        reasons = _imports(root, project)
    faults += [f"{x} is installed" for x in project.absent if _normal(x) in installed]
    faults += _unexpected(project, reasons)
    result: Result = "some imports fail" if any(reasons.values()) else "works"
    result = result if installed else "code alone"
    if result != project.result:
        faults.append(f"the result is {result!r}, not {project.result!r}")
    return Outcome(
        result=result,
        packages=len(installed),
        megabytes=image.size("dependency") / 1e6,
        seconds=ended.seconds,
        faults=tuple(faults),
    )


def _refused(project: Project, ended: Ended) -> Outcome:
    faults = [f"not said: {text!r}" for text in project.says if text not in ended.err]
    if project.result != "refused":
        faults.append(f"the result is 'refused', not {project.result!r}")
    if "\nTraceback" in ended.err or ended.code == 70:
        faults.append("a traceback")
    message = f"{ended.error} (hint: {ended.hint})"
    return Outcome(result="refused", seconds=ended.seconds, message=message, faults=tuple(faults))


def frozen_requirements(image: Image, job_digest: str) -> dict[str, str]:
    """Version, or URL, of every package in requirements.frozen.txt, by its normalised name."""
    index = image.document(job_digest)
    for entry in index["manifests"]:
        manifest = image.document(entry["digest"])
        if manifest.get("artifactType") != _JOB:
            continue
        for layer in manifest["layers"]:
            if layer["annotations"]["org.opencontainers.image.title"] == "requirements.frozen.txt":
                lines = image.blob(layer["digest"]).read_text().splitlines()
                return dict(_pinned(line) for line in lines if line)
    raise AssertionError(f"no requirements.frozen.txt in {job_digest}")


def _pinned(line: str) -> tuple[str, str]:
    name, separator, version = line.partition("==")
    if not separator:
        name, _, version = line.partition(" @ ")
    return _normal(name), version


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _pip(root: Root, *arguments: str) -> tuple[int, str]:
    place = root.path / ".check" / "pip"
    if not place.exists():
        # Unpacked, so that its bytecode is kept: emulators are slow.
        with ZipFile(pip_wheel()) as wheel:
            wheel.extractall(place)
    done = root.run(
        _PYTHON, "/.check/pip/pip", "--disable-pip-version-check", *arguments,
        timeout=_CHECK_TIMEOUT,
    )  # fmt: skip
    return done.returncode, done.stdout if done.stdout.strip() else done.stderr[-500:]


def _installed(root: Root, faults: list[str]) -> dict[str, str]:
    # By its path: the pip that tells it is no part of the image.
    (packages,) = (root.path / "opt/venv/lib").glob("python3.*/site-packages")
    inside = f"/{packages.relative_to(root.path)}"
    code, text = _pip(root, "list", "--path", inside, "--format", "json")
    if code:
        faults.append(f"pip list: {text.strip()}")
        return {}
    return {_normal(one["name"]): one["version"] for one in json.loads(text)}


def _compare(installed: Mapping[str, str], frozen: Mapping[str, str], faults: list[str]) -> None:
    """Note every difference between what is installed and what was recorded."""
    for name in sorted(installed.keys() | frozen.keys()):
        found, wanted = installed.get(name, "nothing"), frozen.get(name, "nothing")
        if "://" in wanted or wanted.startswith("./"):
            continue
        if found != wanted:
            faults.append(f"pip list has {name} {found}, the lock {wanted}")


def _check(root: Root, faults: list[str]) -> None:
    code, text = _pip(root, "check")
    if code:
        faults.append(f"pip check: {'; '.join(text.strip().splitlines())}")


def _imports(root: Root, project: Project) -> dict[str, str]:
    """Why each module cannot be imported; empty where it can."""
    if not project.imports:
        return {}
    script = root.put(Path(corpus_imports.__file__), "imports.py")
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "WANDB_MODE": "disabled", "MPLCONFIGDIR": "/tmp"}
    done = root.run(
        _PYTHON, script, *project.imports, timeout=_CHECK_TIMEOUT, environment=environment
    )
    told = dict(_told(done.stdout))
    crash = f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    return {name: told.get(name, crash) for name in project.imports}


def _told(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line.startswith("@["):
            name, reason = json.loads(line[1:])
            yield name, reason


def _unexpected(project: Project, reasons: Mapping[str, str]) -> list[str]:
    found = []
    for name, reason in reasons.items():
        expected = project.fails.get(name, "")
        if expected not in reason or bool(expected) != bool(reason):
            found.append(
                f"import {name}: {reason or 'works'}" + (f", not {expected!r}" if expected else "")
            )
    return found
