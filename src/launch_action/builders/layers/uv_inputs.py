"""What uv is given: one requirements file from all that were read, and its arguments."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from launch_action.builders.layers.back_ends import bounds
from launch_action.builders.layers.target import Target
from launch_action.core.credentials import without_credentials
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.core.python_name import normal
from launch_action.core.requirement import Option
from launch_action.core.toml_file import read_toml, table, tables

INPUT = "requirements.in"
CONSTRAINTS = "constraints.txt"
# Kinds whose entries were read by us, and come to uv as a requirements file.
BY_ENTRIES = ("requirements", "poetry-lock")
# Where an event is not trusted, the settings of `tool.uv` that a project may have: none of them
# makes uv run a build back end. (`no-binary-package` does, whatever the command line says.)
_HARMLESS = frozenset({
    "build-constraint-dependencies", "build-backend", "cache-keys", "conflicts",
    "constraint-dependencies", "default-groups", "dependency-groups", "dependency-metadata",
    "dev-dependencies", "environments", "exclude-dependencies", "exclude-newer",
    "exclude-newer-package", "extra-index-url", "find-links", "fork-strategy", "index",
    "index-strategy", "index-url", "managed", "no-index", "override-dependencies", "package",
    "prerelease", "required-environments", "required-version", "resolution", "sources", "workspace",
})  # fmt: skip


def flat(inputs: DependencyInputs, *, build: bool) -> str:
    """One requirements file for uv from all that were read, hashes left to us to check.

    Without `build`, lines that would have a source built are left out.
    """
    lines = index_lines(inputs)
    if build:
        chosen = (one for one in inputs.options if one.name in ("no-binary", "only-binary"))
        lines += [f"--{one.name} {one.value}" for one in chosen]
    lines += [one.text for one in inputs.requirements]
    lines += [f"./{one.path}{one.suffix}" for one in inputs.local_requirements]
    return "".join(f"{line}\n" for line in lines)


def index_lines(inputs: DependencyInputs) -> list[str]:
    """The index options of all requirements files; as in pip, the last index URL wins.

    Indexes with a name are arguments (`named_indexes`): their logins go by it.
    """
    plain = [one for one in inputs.options if not one.index]
    urls = [one.value for one in plain if one.name == "index-url"]
    lines = [f"--index-url {urls[-1]}"] if urls else []
    for one in plain:
        if one.name in ("extra-index-url", "find-links"):
            lines.append(f"--{one.name} {one.value}")
        elif one.name == "no-index":
            lines.append("--no-index")
    return lines


def named_indexes(options: tuple[Option, ...]) -> list[str]:
    """The arguments for indexes that have a name of their own."""
    found = []
    for one in options:
        if one.index:
            option = "--default-index" if one.name == "index-url" else "--index"
            found += [option, f"{index_name(one.index)}={one.value}"]
    return found


def build_index_arguments(inputs: DependencyInputs) -> list[str]:
    """The arguments for the indexes that build back ends come from: the declared ones that need no
    login, for a back end is other people's code."""
    found = []
    for option in inputs.options:
        if without_credentials(option.value) != option.value or "${" in option.value:
            continue
        if option.name in ("index-url", "extra-index-url"):
            found += ["--default-index" if option.name == "index-url" else "--index", option.value]
        elif option.name == "find-links" and "://" in option.value:
            found += ["--find-links", option.value]
        elif option.name == "no-index":
            found.append("--no-index")
    if inputs.kind == "pyproject":
        for one in tables(_pyproject(inputs), "tool", "uv", "index"):
            url = str(one.get("url", ""))
            if "://" in url and without_credentials(url) == url and not one.get("explicit"):
                found += ["--default-index" if one.get("default") else "--index", url]
    return found


def index_name(name: str) -> str:
    """An index's name as uv takes it."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def compile_arguments(
    inputs: DependencyInputs, target: Target, cutoff: str | None, *, build: bool
) -> list[str]:
    """`uv pip compile` of what `write_inputs` wrote."""
    options = {one.name for one in inputs.options}
    arguments = ["pip", "compile", *_source(inputs)]
    arguments += ["-c", CONSTRAINTS] if inputs.constraints else []
    arguments += named_indexes(inputs.options)
    arguments += ["--format", "pylock.toml", "--no-header", "--no-annotate"]
    # Our own interpreter, always: a python3.12 on PATH may be a shim that does not run, and
    # nothing but build back ends would use it.
    arguments += ["--python", sys.executable]
    arguments += ["--python-version", target.python]
    arguments += ["--python-platform", target.uv_platform]
    arguments += bounds(cutoff)
    locked = inputs.kind == "poetry-lock"
    arguments += ["--prerelease", "allow"] if "pre" in options or locked else []
    # Every file's hash is locked: which index has it does not matter.
    arguments += ["--index-strategy", "unsafe-best-match"] if locked else []
    return arguments + ([] if build else ["--no-build"])


def _source(inputs: DependencyInputs) -> Iterator[str]:
    if inputs.kind in BY_ENTRIES:
        yield from (INPUT, "--no-config")
        return
    if table(_pyproject(inputs), "project"):
        yield "pyproject.toml"
        yield from (word for extra in inputs.extras for word in ("--extra", extra))
    yield from (word for group in inputs.groups for word in ("--group", group))


def export_arguments(inputs: DependencyInputs) -> list[str]:
    """`uv export` of the lock, which asks no index and builds nothing."""
    arguments = ["export", "--frozen", "--offline", "--format", "pylock.toml"]
    arguments += ["--no-default-groups", "--no-emit-project", "--no-header", "--no-annotate"]
    arguments += ["--python", sys.executable]
    for extra in inputs.extras:
        arguments += ["--extra", extra]
    for group in inputs.groups:
        arguments += ["--group", group]
    return arguments


def write_inputs(inputs: DependencyInputs, root: Path, *, build: bool) -> None:
    """Write the declaring files to a private directory. Without `build`, raises BuildError for
    settings that could make uv run a build back end."""
    if inputs.kind not in BY_ENTRIES:
        if not build and inputs.kind == "pyproject":
            check_harmless(inputs)
        for path, content in inputs.files:
            _write(root, path, content)
        return
    _write(root, INPUT, flat(inputs, build=build).encode())
    if inputs.constraints:
        lines = "".join(f"{one.text}\n" for one in inputs.constraints)
        _write(root, CONSTRAINTS, lines.encode())


def check_harmless(inputs: DependencyInputs) -> None:
    """Raise BuildError for uv settings that an outsider's event must not choose."""
    found = {f"tool.uv.{key}" for key in set(table(_pyproject(inputs), "tool", "uv")) - _HARMLESS}
    config = dict(inputs.files).get("uv.toml")
    if config is not None:
        found |= {f"uv.toml: {key}" for key in set(read_toml(config, "uv.toml")) - _HARMLESS}
    if found:
        raise BuildError(
            f"settings that an untrusted event must not choose: {', '.join(sorted(found))}",
            hint="commit uv.lock, with which nothing is resolved; what is locked needs no setting",
        )


def _pyproject(inputs: DependencyInputs) -> Mapping[str, object]:
    return read_toml(dict(inputs.files).get("pyproject.toml", b""), "pyproject.toml")


def _write(root: Path, path: str, content: bytes) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def allowed_hashes(inputs: DependencyInputs) -> dict[str, list[str]] | None:
    """The digests allowed per package, when requirements files or a Poetry lock check hashes."""
    if inputs.kind not in BY_ENTRIES or not inputs.pinned:
        return None
    found: dict[str, list[str]] = {}
    for one in (*inputs.requirements, *inputs.constraints):
        found.setdefault(one.name, []).extend(one.hashes)
    for local in inputs.local_requirements:
        name = normal(Path(local.path).name.split("-")[0])
        found.setdefault(name, []).extend(local.hashes)
    return found


def places(inputs: DependencyInputs) -> dict[str, str]:
    """Where each package is required, as `file:line`, by its normalised name."""
    return {one.name: str(one.origin) for one in reversed(inputs.requirements)}
