"""Everything that can be decided before anything is changed: `plan`, a pure function."""

from __future__ import annotations

import posixpath
from datetime import UTC, datetime
from typing import Any, Literal

from launch_action.core import dependencies
from launch_action.core.aliases import default_aliases, previous_aliases
from launch_action.core.attest import Attest, choose_attestations
from launch_action.core.base import BaseReference, LayoutBase, RegistryBase, parse_base
from launch_action.core.checkout import Checkout
from launch_action.core.compression import DEFAULT, Compression
from launch_action.core.context import TreeFile
from launch_action.core.dataclass import dataclass
from launch_action.core.dependencies import DependencyInputs
from launch_action.core.entrypoint import parse_entrypoint, script_of
from launch_action.core.errors import BuildError, InputError, SourceError
from launch_action.core.image import Platform, fingerprint
from launch_action.core.inputs import Inputs
from launch_action.core.job import GitSource
from launch_action.core.names import (
    git_job_name,
    recorded_remote,
    safe_name,
    wandb_git_job_name,
)
from launch_action.core.python_version import PythonChoice
from launch_action.core.reference import Reference, Repository, Tag
from launch_action.core.situation import Project, Situation
from launch_action.core.spelling import nearest

RECIPE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class StorePlan:
    """Where the job version goes: a registry repository, or a layout directory."""

    kind: Literal["registry", "layout"]
    name: str
    directory: str = ""
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What decides the image's content. `recipe` identifies all of it but the base's bytes."""

    builder: Literal["layers"]
    reason: str
    platforms: tuple[Platform, ...]
    base: BaseReference
    python: PythonChoice
    dependencies: DependencyInputs
    dependency_key: str
    cutoff: str | None
    entrypoint: tuple[str, ...]
    files: tuple[TreeFile, ...]
    content: str
    compile: bool
    recipe: str
    compression: Compression = DEFAULT

    def build_key(self, identities: tuple[str, ...]) -> str:
        """The build key, once the bases of the platforms are resolved; 64 hexadecimal digits."""
        return fingerprint(self.recipe, identities)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan, for people and programs."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What will be done, in full."""

    job_name: str
    script: str
    source: GitSource
    commit_time: int
    store: StorePlan
    build: BuildPlan
    aliases: tuple[Tag, ...]
    previous: tuple[Tag, ...]
    allow_rename: bool
    run: bool
    warnings: tuple[str, ...]
    attest: Attest

    @property
    def created(self) -> str:
        """The commit's time, RFC 3339 in UTC."""
        return timestamp(self.commit_time)

    def steps(self) -> tuple[Step, ...]:
        """The plan as a list of steps."""
        build, store = self.build, self.store
        commit = self.source.commit[:12]
        dependencies = build.dependencies.main or "none: the code alone"
        as_of = f", as of {build.cutoff}" if build.cutoff else ""
        found = [
            Step("source", f"{self.source.remote} at {commit}, {self._context()}"),
            Step("job", f"{self.job_name}, entry point {' '.join(build.entrypoint)}"),
            Step("base", f"{build.base}, for {', '.join(map(str, build.platforms))}"),
            Step("python", f"{build.python.version} ({build.python.source})"),
            Step("dependencies", f"{dependencies}{as_of}"),
            Step("build", f"{build.builder}: {build.reason}"),
            Step("push" if store.kind == "registry" else "store", store.name),
            Step("alias", ", ".join(self.aliases)),
        ]
        if self.attest.wanted:
            found.append(Step("attest", ", ".join(self.attest.wanted)))
        return (*found, Step("run", "the job version")) if self.run else tuple(found)

    def _context(self) -> str:
        files = self.build.files
        place = f"directory {self.source.build_context}" if self.source.build_context else "root"
        return f"{place}, {len(files)} files of {sum(f.size for f in files)} bytes"


def plan(
    inputs: Inputs, checkout: Checkout, project: Project, situation: Situation, *, run: bool
) -> LaunchPlan:
    """Decide everything. Raises InputError, SourceError or BuildError."""
    _check_clean(inputs, checkout)
    entrypoint = parse_entrypoint(inputs.entry_point)
    script = script_of(entrypoint, project.build_context)
    build = plan_build(inputs, checkout, project, situation, entrypoint, script)
    name, name_warnings = _job_name(inputs, checkout, script)
    return LaunchPlan(
        job_name=name,
        script=script,
        source=GitSource(recorded_remote(checkout.remote), checkout.commit, project.build_context),
        commit_time=checkout.commit_time,
        store=_store(inputs, situation, name),
        build=build,
        aliases=default_aliases(checkout, situation, inputs.alias),
        previous=previous_aliases(checkout, situation),
        allow_rename=inputs.allow_rename,
        run=run,
        warnings=(
            *_checkout_warnings(checkout),
            *name_warnings,
            *_dockerfile_warning(inputs, project),
            *_script_warning(entrypoint, project),
            *project.warnings,
        ),
        attest=choose_attestations(inputs, situation),
    )


def plan_build(
    inputs: Inputs,
    checkout: Checkout,
    project: Project,
    situation: Situation,
    entrypoint: tuple[str, ...],
    script: str,
) -> BuildPlan:
    """The part of the plan that decides the image."""
    reason = _builder(inputs, project, script)
    base = _base(inputs, project.python)
    platforms = _platforms(inputs, situation)
    until = _cutoff(inputs, checkout, project, situation)
    dependency_key = _dependency_key(inputs, project, situation, until)
    compression = Compression.parse(inputs.compression)
    recipe = fingerprint(
        "recipe", RECIPE_FORMAT, "layers", situation.builder_format, project.digest,
        dependency_key, project.python.version, _base_name(base), [str(p) for p in platforms],
        entrypoint, inputs.compile, str(compression),
    )  # fmt: skip
    return BuildPlan(
        builder="layers",
        reason=reason,
        platforms=platforms,
        base=base,
        python=project.python,
        dependencies=project.dependencies,
        dependency_key=dependency_key,
        cutoff=until,
        entrypoint=entrypoint,
        files=project.files,
        content=project.digest,
        compile=inputs.compile,
        recipe=recipe,
        compression=compression,
    )


def _cutoff(
    inputs: Inputs, checkout: Checkout, project: Project, situation: Situation
) -> str | None:
    declared = project.dependencies
    today = datetime.fromtimestamp(situation.now, UTC).date()
    pinned = declared.pinned or declared.kind == "none"
    return dependencies.cutoff(
        checkout.commit_time, inputs.resolve_date or None, today, pinned=pinned
    )


def _dependency_key(
    inputs: Inputs, project: Project, situation: Situation, until: str | None
) -> str:
    """Identifies what is declared, for any platform. What is resolved as of now is never known."""
    declared = project.dependencies
    chosen = not declared.pinned and declared.kind != "none"
    moves = inputs.resolve_date == "latest" and chosen
    key = dependencies.fingerprint(
        declared,
        python=project.python.version,
        platform="",
        cutoff=timestamp(situation.now) if moves else until,
        local=dict(project.local),
        indexes=project.indexes,
    )
    return fingerprint("wheels only", key) if chosen and not situation.trusted else key


def timestamp(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339 in UTC.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe(plan: LaunchPlan) -> list[dict[str, Any]]:
    """The steps as JSON objects."""
    return [{"step": step.name, "detail": step.detail} for step in plan.steps()]


def _check_clean(inputs: Inputs, checkout: Checkout) -> None:
    if inputs.require_clean and checkout.dirty:
        raise SourceError(
            f"the checkout has changed files: {_listed(checkout.dirty)}",
            hint="commit or stash them, or leave out --require-clean to build the commit",
        )


def _checkout_warnings(checkout: Checkout) -> tuple[str, ...]:
    if not checkout.dirty:
        return ()
    return (
        f"the checkout has changed files that are not built: {_listed(checkout.dirty)}; "
        f"commit {checkout.short_commit} is",
    )


def _listed(paths: tuple[str, ...]) -> str:
    shown = ", ".join(repr(path) for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _job_name(inputs: Inputs, checkout: Checkout, script: str) -> tuple[str, tuple[str, ...]]:
    if inputs.job_name:
        name = safe_name(inputs.job_name)
        if name == inputs.job_name:
            return name, ()
        return name, (f"job name {inputs.job_name!r} is recorded as {name!r}",)
    make = wandb_git_job_name if inputs.job_name_style == "wandb" else git_job_name
    return make(checkout.remote, script), ()


def _store(inputs: Inputs, situation: Situation, job_name: str) -> StorePlan:
    """Design: with an image repository that is the store, else a layout directory per job."""
    directory = inputs.store or situation.store_directory
    if inputs.image:
        repository = Repository.parse(inputs.image.lower())
        if inputs.push is False:
            # One level, so that no store lies in another's directory; ':' would end its name.
            name = str(repository).replace("/", "+").replace(":", "_")
            place = posixpath.join(directory, name)
            return StorePlan("layout", str(repository), place)
        return StorePlan("registry", str(repository), repository=repository)
    if inputs.push:
        raise InputError(
            "input 'push' needs a repository to push to",
            hint="name it with --image, such as ghcr.io/acme/train",
        )
    return StorePlan("layout", job_name, posixpath.join(directory, job_name))


def _builder(inputs: Inputs, project: Project, script: str) -> str:
    if inputs.builder == "layers":
        return "asked for"
    beside = posixpath.join(posixpath.dirname(script), "Dockerfile.wandb")
    if _in_context(beside, project.build_context) in {file.path for file in project.files}:
        raise BuildError(
            f"{beside!r} beside the script asks for a Dockerfile build, which this version lacks",
            hint="build without the Dockerfile with --builder layers",
        )
    return "no Dockerfile asked for"


def _in_context(path: str, build_context: str) -> str:
    return posixpath.relpath(path, build_context or ".")


def _dockerfile_warning(inputs: Inputs, project: Project) -> tuple[str, ...]:
    if inputs.builder == "layers":
        return ()
    paths = {file.path for file in project.files}
    unused = [name for name in ("Dockerfile", "Dockerfile.wandb") if name in paths]
    if not unused:
        return ()
    return (f"{unused[0]} is not used; say --builder layers to build without it silently",)


def _script_warning(entrypoint: tuple[str, ...], project: Project) -> tuple[str, ...]:
    """A script that is not in the context: a typo, as a rule; but the base may hold it."""
    script = script_of(entrypoint, "")
    paths = {file.path for file in project.files}
    named = script in (posixpath.normpath(word) for word in entrypoint[1:])
    if not named or script.startswith("/") or script in paths:
        return ()
    kin = [path for path in paths if path.endswith(posixpath.splitext(script)[1])]
    near = nearest(script, sorted(kin)[:1000])
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return (f"no file {script!r} in the build context, which the entry point names{guess}",)


def _base(inputs: Inputs, python: PythonChoice) -> BaseReference:
    if inputs.base_image:
        return parse_base(inputs.base_image)
    return RegistryBase(Reference.parse(f"docker.io/library/python:{python.version}-slim"))


def _base_name(base: BaseReference) -> str:
    # A directory's path is this machine's own affair; its image's digest is in the build key.
    return "oci" if isinstance(base, LayoutBase) else str(base)


def _platforms(inputs: Inputs, situation: Situation) -> tuple[Platform, ...]:
    wanted = tuple(Platform.parse(text) for text in inputs.platform) or (situation.platform,)
    unique = tuple(sorted(set(wanted)))
    for platform in unique:
        if platform.os != "linux":
            raise InputError(
                f"platform {str(platform)!r} is not Linux", hint="images are built for linux/ARCH"
            )
    return unique
