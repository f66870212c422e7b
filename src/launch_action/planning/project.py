"""The project in a build context: its files, its Python, what it declares that it needs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from launch_action.builders.layers.index_auth import index_identities
from launch_action.core.base import DebianBase, parse_base
from launch_action.core.context import Context, TreeFile
from launch_action.core.dataclass import replace
from launch_action.core.dependencies import at_commits, read_dependencies
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.dockerfile_choice import DockerfileChoice
from launch_action.core.dockerignore import context_digest, select
from launch_action.core.errors import BuildError
from launch_action.core.image import fingerprint
from launch_action.core.links import escaping_links
from launch_action.core.python_version import (
    DEFAULT_PYTHON,
    FILES,
    PythonChoice,
    Reader,
    choose_python,
)
from launch_action.core.situation import Project
from launch_action.core.version import FROZEN_TITLE
from launch_action.planning.sources import SourceContext
from launch_action.planning.workplace import Workplace

# Only for the default: what a suite really has is read from its packages.
_SUITE_PYTHON = {"bookworm": "3.11", "trixie": "3.13", "jammy": "3.10", "noble": "3.12"}
_CONDA = "a conda environment is not read; write a requirements.txt of its packages"
# What declares dependencies for other tools, with what to do about it.
_UNREAD = {
    **dict.fromkeys(("environment.yml", "environment.yaml", "conda.yml", "conda.yaml"), _CONDA),
    **dict.fromkeys(("setup.py", "setup.cfg"), "it is read with --install-project"),
    "python_env.yaml": "it is not read; write its dependencies into a requirements.txt",
    "Pipfile": "it is not read; `pipenv requirements` writes a requirements.txt",
    "pixi.toml": "it is not read; write its PyPI packages into a requirements.txt",
}


def read_project(
    place: Workplace,
    context: SourceContext,
    build_context: str,
    choice: DockerfileChoice | None = None,
) -> Project:
    """Read of the build context what the plan decides on."""
    if choice is None:
        return _read_dependencies(place, context, build_context, _selected(context))
    # Imported where it is used: most jobs have no Dockerfile.
    from launch_action.core.build_options import read_build_options
    from launch_action.core.dockerfile_read import ignore_file, read_dockerfile

    dockerfile = read_dockerfile(context, choice)
    options = read_build_options(place.inputs, place.environment)
    files = _selected(context, ignore_file(context, dockerfile.path))
    if not dockerfile.path:
        found = _read_dependencies(place, context, build_context, files)
        return replace(found, dockerfile=dockerfile, options=options)
    asked = place.inputs.python
    return Project(
        build_context=build_context,
        files=files,
        digest=context_digest(files),
        python=choose_python(asked) if asked else PythonChoice("", "the image"),
        dependencies=DependencyInputs("none"),
        dockerfile=dockerfile,
        options=options,
    )


def _selected(context: SourceContext, ignore: str = ".dockerignore") -> tuple[TreeFile, ...]:
    """The files after the rules of an ignore file; raises SourceError where content is missing."""
    rules = context.read(ignore)
    files = select(context.files, rules.decode("utf-8", "surrogateescape") if rules else None)
    context.check(files)
    return files


def _read_dependencies(
    place: Workplace, context: SourceContext, build_context: str, files: tuple[TreeFile, ...]
) -> Project:
    inputs = place.inputs
    dependencies = _dependencies(place, context)
    for notice in dependencies.notices:
        where = posixpath.join(build_context, notice.origin.file)
        place.reporter.warning(notice.text, file=where, line=notice.origin.line)
    return Project(
        build_context=build_context,
        files=files,
        digest=context_digest(files),
        python=choose_python(
            inputs.python,
            _folders(context, build_context),
            default=_suite_python(inputs.base_image) or DEFAULT_PYTHON,
        ),
        dependencies=dependencies,
        local=_local_content(dependencies, context),
        indexes=index_identities(place.environment),
        warnings=(*_dependency_warning(dependencies, files), *_link_warning(context, files)),
    )


def _dependencies(place: Workplace, context: SourceContext) -> DependencyInputs:
    """What is declared, branches and tags of repositories at the commits they are at now."""
    inputs = place.inputs
    found = read_dependencies(
        context.read,
        extras=inputs.extras,
        groups=inputs.groups,
        project=inputs.install_project,
        file=inputs.requirements,
    )
    frozen = place.recorded.frozen if place.recorded else b""
    if found.kind == "none" and frozen.strip():
        # A whole environment, every package at its version: nothing in it is younger than the run.
        return replace(read_dependencies({FROZEN_TITLE: frozen}.get, file=FROZEN_TITLE), exact=True)
    locked = found.kind in ("uv-lock", "pylock")
    if locked or not found.repositories:
        return found
    if place.untrusted:
        names = ", ".join(one.place for one in found.repositories)
        raise BuildError(
            f"an untrusted event reads no git repository: {names}",
            hint="require a released version; a push to the repository builds from source",
        )
    from launch_action.builders.layers.git_source import find_commits

    return at_commits(found, find_commits(found.repositories, place.environment))


def _dependency_warning(
    dependencies: DependencyInputs, files: tuple[TreeFile, ...]
) -> tuple[str, ...]:
    if dependencies.kind != "none":
        return ()
    there = sorted({file.path for file in files} & _UNREAD.keys())
    return (
        "no requirements.txt, pylock.toml or pyproject.toml in the build context: "
        "the image holds the code alone",
        *(f"{name}: {_UNREAD[name]}" for name in there),
    )


def _link_warning(context: Context, files: tuple[TreeFile, ...]) -> tuple[str, ...]:
    """Links that lead out of the context stay links, and mean another place in the image."""
    links = [file for file in files if file.kind == "symlink"]
    if not links:
        return ()
    targets = {file.path: b"".join(chunks) for file, chunks in context.contents(links)}
    escaping = escaping_links(links, targets.get)
    if not escaping:
        return ()
    shown = ", ".join(repr(path) for path in escaping[:3])
    more = f" and {len(escaping) - 3} more" if len(escaping) > 3 else ""
    return (f"symbolic links point outside the build context and stay as they are: {shown}{more}",)


def _folders(context: SourceContext, build_context: str) -> Iterator[tuple[str, Reader]]:
    """The build context, then each directory above it up to the repository's root."""
    yield build_context, context.read
    folder = build_context
    while folder:
        folder = posixpath.dirname(folder)
        yield folder, _outer(context, folder)


def _outer(context: SourceContext, folder: str) -> Reader:
    found = context.outer(*(posixpath.join(folder, name) for name in FILES))
    return lambda name: found.get(posixpath.join(folder, name))


def _local_content(dependencies: DependencyInputs, context: Context) -> tuple[tuple[str, str], ...]:
    """Content ids of the paths that the dependencies name."""
    return tuple((path, _content_id(path, context)) for path in dependencies.local)


def _content_id(path: str, context: Context) -> str:
    below = "" if path == "." else f"{path}/"
    found = [f for f in context.files if f.path == path or f.path.startswith(below)]
    return fingerprint([[f.path, f.kind, f.content] for f in found])


def _suite_python(base_image: str) -> str | None:
    """The Python that a `deb:` base has, to be taken where the project asks for none."""
    if not base_image:
        return None
    base = parse_base(base_image)
    return _SUITE_PYTHON.get(base.suite) if isinstance(base, DebianBase) else None
