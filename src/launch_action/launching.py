"""From inputs to a recorded job version: look, plan, execute, run. The order of the shell."""

from __future__ import annotations

import posixpath
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_action.builders.layers.base import Base, resolve_base
from launch_action.builders.layers.builder import LayersBuilder
from launch_action.builders.layers.index_auth import index_identities
from launch_action.builders.layers.writer import FORMAT
from launch_action.core.base import BaseReference, DebianBase, parse_base
from launch_action.core.checkout import Checkout
from launch_action.core.context import Context, TreeFile
from launch_action.core.dependencies import read_dependencies
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.dockerignore import context_digest, select
from launch_action.core.entrypoint import parse_entrypoint
from launch_action.core.errors import InputError, ServiceError, StoreError
from launch_action.core.image import Platform, fingerprint
from launch_action.core.launch import Announce, World, execute
from launch_action.core.links import escaping_links
from launch_action.core.outputs import Outcome
from launch_action.core.plan import LaunchPlan, Project, Situation, describe, plan
from launch_action.core.ports import Content, Traffic
from launch_action.core.python_version import DEFAULT_PYTHON, FILES, Reader, choose_python
from launch_action.core.reference import Reference, names_registry
from launch_action.core.run import RunResult
from launch_action.core.store import JobStore
from launch_action.git.checkout import inspect
from launch_action.git.tree import CommitContext, open_context
from launch_action.oci.layout import LayoutContent
from launch_action.wiring import Running, StoredJob, Workplace, situation

if TYPE_CHECKING:
    from launch_action.builders.layers.packages import Packages
    from launch_action.github.environment import GitHubContext

Log = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was read of the checkout, and the plan that it came to."""

    checkout: Checkout
    context: Context
    plan: LaunchPlan


def launch(place: Workplace, outcome: Outcome, log: Log, *, run: bool) -> int:
    """Build and record the checkout's job, and run it where asked; the exit code."""
    job = build(place, outcome.announce, run=run)
    if not run:
        outcome.announce({"run_status": "skipped"})
        return 0
    return run_stored(job, place, Running(outcome.announce, log))


def build(place: Workplace, announce: Announce, *, run: bool) -> StoredJob:
    """Build and record the checkout's job; `run` only tells the plan what comes after."""
    with look(place, run=run) as looked:
        content = place.content(looked.plan.store)
        announce({"job_name": looked.plan.job_name, "metadata": source_metadata(looked)})
        launched = execute(looked.plan, world(place, looked, content, announce))
        tell(place, announce, content.traffic)
    return StoredJob(content, launched.version, looked.plan.store.kind == "registry")


def run_stored(job: StoredJob, place: Workplace, running: Running) -> int:
    """Run a job version to its end; the exit code."""
    from launch_action.running import run_job

    result = run_job(job, place, running)
    tell(place, running.announce, job.content.traffic)
    return exit_code(result)


def run_existing(reference: str, place: Workplace, outcome: Outcome, log: Log) -> int:
    """Run a job version of a store; the exit code."""
    job = find_job(reference, place)
    version = job.version
    outcome.announce(
        {
            "job": f"{job.content.name}@{version.digest}",
            "job_name": version.job_name,
            "job_digest": str(version.digest),
            "metadata": {"commit": version.commit, "build_key": version.build_key},
        }
    )
    given = place.inputs.entry_point
    entrypoint = parse_entrypoint(given) if given else ()
    return run_stored(job, place, Running(outcome.announce, log, entrypoint))


def show_plan(place: Workplace, outcome: Outcome, *, run: bool) -> dict[str, Any]:
    """The plan as a document: the outputs that are known, and the list of steps."""
    with look(place, run=run) as looked:
        outcome.announce({"job_name": looked.plan.job_name, "tags": list(looked.plan.aliases)})
        outcome.announce({"metadata": source_metadata(looked)})
        return {**outcome.document(), "plan": describe(looked.plan)}


def exit_code(result: RunResult) -> int:
    """1 for a job that ran and failed or timed out; 128 + the signal that interrupted us."""
    if result.status == "cancelled":
        return 128 + (result.cancelled_by or signal.SIGINT)
    return 0 if result.status == "succeeded" else 1


def find_job(reference: str, place: Workplace) -> StoredJob:
    """A job by reference: a registry's, else `name[:alias]` or `name@digest` of the local store."""
    first = reference.partition("/")[0]
    if "/" in reference and names_registry(first):
        named = Reference.parse(reference)
        content: Content = place.registries.open(named.repository)
        return StoredJob(content, JobStore(content).load(named.selector), registry=True)
    name, selector = _local_reference(reference)
    content = LayoutContent(place.store_directory / name, name)
    if not content.tags():
        raise StoreError(
            f"no job {name!r} in {str(place.store_directory)!r}",
            hint=_known_jobs(place) or "build one with `launch-action build`",
        )
    return StoredJob(content, JobStore(content).load(selector), registry=False)


def _local_reference(reference: str) -> tuple[str, str]:
    name, at, digest = reference.partition("@")
    if at:
        return _job_directory(name, reference), digest
    name, _, alias = reference.partition(":")
    return _job_directory(name, reference), alias or "latest"


def _job_directory(name: str, reference: str) -> str:
    if not name or "/" in name or not name.strip("."):
        raise InputError(
            f"not a job reference: {reference!r}",
            hint="write ghcr.io/acme/train:v1, or name:alias of the local store",
        )
    return name


def _known_jobs(place: Workplace) -> str:
    directory = place.store_directory
    names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    return f"known: {', '.join(names[:20])}" if names else ""


@contextmanager
def look(place: Workplace, *, run: bool) -> Iterator[Looked]:
    """Read the checkout and plan; the context is open inside the block."""
    if run:
        from launch_action.running import check_run

        check_run(place)
    checkout = inspect(place.directory)
    build_context = _build_context(place)
    with open_context(checkout, build_context) as context:
        project = read_project(place, context, build_context)
        decided = plan(place.inputs, checkout, project, place_situation(place), run=run)
        for warning in decided.warnings:
            place.reporter.warning(warning)
        yield Looked(checkout, context, decided)


def place_situation(place: Workplace) -> Situation:
    """What the plan must know of where it runs; in GitHub Actions, what the event says."""
    found = situation(place, FORMAT)
    if place.environment.get("GITHUB_ACTIONS") != "true":
        return found
    from launch_action.github.environment import load_context

    event = load_context(place.environment)
    return replace(
        found,
        ci=True,
        event_branch="" if event.is_pull_request else event.branch,
        event_tag=event.tag,
        pull_request=event.number if event.is_pull_request else None,
        base_branch=event.base_ref,
        default_branch=event.default_branch or _ask_default_branch(place, event),
    )


def _ask_default_branch(place: Workplace, event: GitHubContext) -> str:
    """From GitHub's API, where a token is given and the payload (of a schedule) does not say."""
    token = place.inputs.github_token
    if not token or not event.repository or event.is_pull_request:
        return ""
    from launch_action.github.api import default_branch

    try:
        return default_branch(event.repository, token=token, api_url=event.api_url)
    except ServiceError as error:
        place.reporter.warning(f"{error.message}; the alias latest is not moved")
        return ""


def _build_context(place: Workplace) -> str:
    """The directory to build, from the repository's root: as given, never outside it.

    Where the program is started in a sub-directory, a given path counts from the root, as in
    W&B Launch; without one the root is built.
    """
    given = place.inputs.build_context
    normal = posixpath.normpath(given) if given else ""
    if normal.startswith("/") or normal.split("/")[0] == "..":
        raise InputError(
            f"build context is outside the repository: {given!r}",
            hint="name a directory relative to the repository's root",
        )
    return "" if normal == "." else normal


def read_project(place: Workplace, context: CommitContext, build_context: str) -> Project:
    """Read of the build context what the plan decides on."""
    inputs = place.inputs
    ignore = context.read(".dockerignore")
    files = select(context.files, ignore.decode("utf-8", "surrogateescape") if ignore else None)
    context.check(files)
    dependencies = read_dependencies(context.read, extras=inputs.extras)
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
        warnings=(*_dependency_warning(dependencies), *_link_warning(context, files)),
    )


def _dependency_warning(dependencies: DependencyInputs) -> tuple[str, ...]:
    if dependencies.kind != "none":
        return ()
    return (
        "no requirements.txt and no pyproject.toml in the build context: "
        "the image holds the code alone",
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


def _folders(context: CommitContext, build_context: str) -> Iterator[tuple[str, Reader]]:
    """The build context, then each directory above it up to the repository's root."""
    yield build_context, context.read
    folder = build_context
    while folder:
        folder = posixpath.dirname(folder)
        yield folder, _outer(context, folder)


def _outer(context: CommitContext, folder: str) -> Reader:
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
    return SUITE_PYTHON.get(base.suite) if isinstance(base, DebianBase) else None


# Only for the default: what a suite really has is read from its packages.
SUITE_PYTHON = {"bookworm": "3.11", "trixie": "3.13", "jammy": "3.10", "noble": "3.12"}


def world(place: Workplace, looked: Looked, content: Content, announce: Announce) -> World:
    """The effects that executing a plan needs."""

    def base(reference: BaseReference, platform: Platform, python: str) -> Base:
        return resolve_base(
            reference,
            platform,
            python,
            open_content=place.registries.open,
            open_layout=lambda directory: LayoutContent.base(Path(directory)),
            cache=place.cache,
            reporter=place.reporter,
        )

    def packages() -> Packages:
        from launch_action.builders.layers.packages import Packages

        return Packages(
            looked.context,
            place.cache,
            place.reporter,
            place.environment,
            trusted=not place.untrusted,
        )

    builder = LayersBuilder(looked.context, base, packages, place.cache, place.reporter)
    return World(builder, content, place.reporter, announce)


def source_metadata(looked: Looked) -> Mapping[str, Any]:
    """What `metadata` says of the source and the build, before anything is built."""
    decided = looked.plan
    return {
        "remote": decided.source.remote,
        "commit": decided.source.commit,
        "build_context": decided.source.build_context,
        "script": decided.script,
        "entrypoint": list(decided.build.entrypoint),
        "builder": decided.build.builder,
        "reason": decided.build.reason,
        "python": decided.build.python.version,
        "cutoff": decided.build.cutoff,
        "store": decided.store.name,
    }


def tell(place: Workplace, announce: Announce, traffic: Traffic) -> None:
    """Announce how long it took and what was exchanged."""
    announce(
        {
            "metadata": {
                "timings": dict(place.reporter.timings),
                "requests": traffic.requests,
                "bytes_sent": traffic.sent,
                "bytes_received": traffic.received,
            }
        }
    )
