"""Everything that can be decided before anything is changed: `plan`, a pure function."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, assert_never

from launch_action.core.aliases import (
    asked_alias,
    default_aliases,
    named_branch,
    previous_aliases,
)
from launch_action.core.attest import Attest, choose_attestations
from launch_action.core.checkout import Checkout
from launch_action.core.claims import Claims, Held, parted, waits
from launch_action.core.dataclass import dataclass, field
from launch_action.core.directory import Directory
from launch_action.core.dockerfile_choice import PLAIN, WANDB, below_folder
from launch_action.core.entrypoint import parse_entrypoint, script_of
from launch_action.core.errors import InputError, SourceError
from launch_action.core.inputs import Inputs
from launch_action.core.job import CodeSource, GitSource
from launch_action.core.layers_plan import LayersPlan, plan_layers, timestamp
from launch_action.core.names import (
    code_artifact_name,
    code_job_name,
    git_job_name,
    recorded_remote,
    safe_name,
    wandb_git_job_name,
)
from launch_action.core.reference import Repository, Tag
from launch_action.core.situation import Project, Situation
from launch_action.core.spelling import nearest

if TYPE_CHECKING:
    from launch_action.core.dockerfile_plan import DockerfilePlan

    BuildPlan = LayersPlan | DockerfilePlan

DAY = 86400


@dataclass(frozen=True, slots=True)
class StorePlan:
    """Where the job version goes: a registry repository, or a layout directory."""

    kind: Literal["registry", "layout"]
    name: str
    directory: str = ""
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a recorded version says that its source does not: its build says it again.

    The types are W&B's. `patch` is what a run had changed of the commit; `run` is its id. `wandb`
    is where a job at W&B is from.
    """

    input_types: Mapping[str, Any]
    output_types: Mapping[str, Any]
    schema: bytes | None = None
    patch: bytes | None = None
    run: str = ""
    wandb: Mapping[str, Any] | None = None
    services: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What will be done, in full. `schema` is that of the job's inputs, as it is recorded.

    `queue` is what it is sent to instead of being run here. `aliases` are moved at once, those of
    `held` when the run has gone well, both by the right of `claims`.
    """

    job_name: str
    script: str
    source: GitSource | CodeSource
    moment: int
    store: StorePlan
    build: BuildPlan
    aliases: tuple[Tag, ...]
    previous: tuple[Tag, ...]
    allow_rename: bool
    run: bool
    warnings: tuple[str, ...]
    attest: Attest
    schema: bytes | None = None
    kept: Kept | None = None
    queue: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    held: Held | None = None
    claims: Claims = Claims()

    @property
    def created(self) -> str:
        """The commit's time, or the day a directory was recorded, RFC 3339 in UTC."""
        return timestamp(self.moment)

    @property
    def remote(self) -> str:
        """The git remote, empty for code."""
        return self.source.remote if isinstance(self.source, GitSource) else ""

    @property
    def commit(self) -> str:
        """The commit, empty for code."""
        return self.source.commit if isinstance(self.source, GitSource) else ""


def plan(
    inputs: Inputs,
    origin: Checkout | Directory,
    project: Project,
    situation: Situation,
    *,
    run: bool,
) -> LaunchPlan:
    """Decide everything. Raises InputError, SourceError or BuildError."""
    checkout = origin if isinstance(origin, Checkout) else None
    if checkout:
        _check_clean(inputs, checkout)
    moment = checkout.commit_time if checkout else situation.now - situation.now % DAY
    entrypoint = parse_entrypoint(inputs.entry_point)
    # The job's name does not depend on where its Dockerfile makes the context begin.
    script = script_of(entrypoint, _asked_context(project))
    found = project.dockerfile
    entrypoint = below_folder(entrypoint, found.folder if found else "")
    build = plan_build(inputs, moment, project, situation, entrypoint)
    name, name_warnings = _job_name(inputs, origin, script)
    aliases, held, claims = _aliases(inputs, checkout, situation, run=run)
    return LaunchPlan(
        job_name=name,
        script=script,
        source=_source(inputs, origin, project, script),
        moment=moment,
        store=plan_store(inputs, situation, name),
        build=build,
        aliases=aliases,
        previous=previous_aliases(checkout, situation),
        allow_rename=inputs.allow_rename,
        run=run,
        warnings=(
            *(_checkout_warnings(checkout) if checkout else ()),
            *name_warnings,
            *_dockerfile_warning(inputs, project),
            *_script_warning(entrypoint, project),
            *project.warnings,
        ),
        attest=choose_attestations(inputs, situation),
        schema=project.schema,
        queue=inputs.queue,
        services=_services(inputs),
        held=held,
        claims=claims,
    )


def _services(inputs: Inputs) -> Mapping[str, str]:
    if not inputs.service:
        return {}
    # Imported where it is used: most jobs have none.
    from launch_action.core.services import parse_services

    return parse_services(inputs.service)


def _aliases(
    inputs: Inputs, checkout: Checkout | None, situation: Situation, *, run: bool
) -> tuple[tuple[Tag, ...], Held | None, Claims]:
    """The aliases that are moved at once, those that wait for the run, and with what right."""
    asked = frozenset(map(asked_alias, inputs.alias))
    claims = Claims(situation.turn, asked, named_branch(checkout, situation))
    pull_request = situation.pull_request is not None
    wait = waits(inputs, pull_request=pull_request, tag=situation.event_tag, run=run)
    return *parted(default_aliases(checkout, situation, inputs.alias), claims, wait=wait), claims


def plan_build(
    inputs: Inputs,
    moment: int,
    project: Project,
    situation: Situation,
    entrypoint: tuple[str, ...],
) -> BuildPlan:
    """The part of the plan that decides the image. Raises InputError."""
    if project.dockerfile is None:
        return plan_layers(inputs, moment, project, situation, entrypoint)
    # Imported where it is used: most jobs have no Dockerfile.
    from launch_action.core.dockerfile_plan import plan_dockerfile

    return plan_dockerfile(inputs, moment, project, situation, entrypoint)


def _asked_context(project: Project) -> str:
    """The build context that was asked for, below which a Dockerfile may have made another."""
    folder = project.dockerfile.folder if project.dockerfile else ""
    return project.build_context.removesuffix(folder).rstrip("/")


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


def _source(
    inputs: Inputs, origin: Checkout | Directory, project: Project, script: str
) -> GitSource | CodeSource:
    dockerfile = project.dockerfile.path if project.dockerfile else ""
    match origin:
        case Checkout():
            remote = recorded_remote(origin.remote)
            return GitSource(remote, origin.commit, project.build_context, dockerfile)
        case Directory():
            artifact = _artifact(inputs, origin, script)
            return CodeSource(artifact, project.build_context, dockerfile)
        case _:
            assert_never(origin)


def _artifact(inputs: Inputs, directory: Directory, script: str) -> str:
    """The name of a code artifact: design 3.2."""
    if directory.artifact:
        return directory.artifact
    given = safe_name(inputs.job_name) if inputs.job_name else ""
    return safe_name(f"code-{given}") if given else code_artifact_name(directory.name, script)


def chosen_job_name(inputs: Inputs, default: str) -> tuple[str, tuple[str, ...]]:
    """The name that was given, with a warning where it had to be changed; else the default."""
    if not inputs.job_name:
        return default, ()
    name = safe_name(inputs.job_name)
    if name == inputs.job_name:
        return name, ()
    return name, (f"job name {inputs.job_name!r} is recorded as {name!r}",)


def planned_name(inputs: Inputs, origin: Checkout | Directory, build_context: str) -> str:
    """The name that the job of these inputs gets. Raises InputError for its entry point."""
    script = script_of(parse_entrypoint(inputs.entry_point), build_context)
    return _job_name(inputs, origin, script)[0]


def _job_name(
    inputs: Inputs, origin: Checkout | Directory, script: str
) -> tuple[str, tuple[str, ...]]:
    if isinstance(origin, Directory):
        return chosen_job_name(inputs, code_job_name(_artifact(inputs, origin, script)))
    make = wandb_git_job_name if inputs.job_name_style == "wandb" else git_job_name
    return chosen_job_name(inputs, make(origin.remote, script))


def layout_folder(name: str) -> str:
    """The directory, in that of the local store, of the layout with this name.

    One level, so that no store lies in another's directory; ':' would end its name.

    >>> layout_folder("localhost:5000/a/b")
    'localhost_5000+a+b'
    """
    return name.replace("/", "+").replace(":", "_")


def plan_store(inputs: Inputs, situation: Situation, job_name: str) -> StorePlan:
    """With an image repository that is the store, else a layout directory per job.

    Raises InputError for a push without a repository, and for what names none.
    """
    directory = inputs.store or situation.store_directory
    if inputs.image:
        repository = Repository.parse(inputs.image.lower())
        if inputs.push is False:
            place = posixpath.join(directory, layout_folder(str(repository)))
            return StorePlan("layout", str(repository), place)
        return StorePlan("registry", str(repository), repository=repository)
    if inputs.push:
        raise InputError(
            "input 'push' needs a repository to push to",
            hint="name it with --image, such as ghcr.io/acme/train",
        )
    return StorePlan("layout", job_name, posixpath.join(directory, job_name))


def _dockerfile_warning(inputs: Inputs, project: Project) -> tuple[str, ...]:
    if inputs.builder == "layers" or project.dockerfile:
        return ()
    paths = {file.path for file in project.files}
    unused = [name for name in (PLAIN, WANDB) if name in paths]
    if not unused:
        return ()
    return (
        f"{unused[0]} is not used: build it with --dockerfile {unused[0]}, "
        "or say --builder layers to build without it silently",
    )


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
