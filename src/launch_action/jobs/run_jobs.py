"""Jobs of W&B runs: `job create run` reads what the SDK left of a run, and records its source."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.core.checkout import Checkout, Repository
from launch_action.core.create_plan import CreatePlan
from launch_action.core.dataclass import replace
from launch_action.core.errors import InputError
from launch_action.core.job import GitSource
from launch_action.core.run_job import of_run, plan_run_source, source_kind
from launch_action.planning.launch_plan import place_situation
from launch_action.planning.sources import check_commit
from launch_action.planning.workplace import Workplace
from launch_action.scratch import scratch_directory
from launch_action.wandb_runs.directory import RunDirectory, read_run
from launch_action.wandb_runs.find import find_log

if TYPE_CHECKING:
    from launch_action.core.image import Descriptor

_NOT_FOR_RUNS = ("git_hash", "base_image", "requirements")


def plan_run_job(
    path: str, place: Workplace, stack: ExitStack
) -> tuple[CreatePlan, Callable[..., Descriptor] | None]:
    """What the run at `path` makes, and what stores its code where it has any.

    Raises InputError, SourceError and RegistryError. What is unpacked is gone with the stack.
    """
    inputs, environment = place.inputs, place.environment
    for name in _NOT_FOR_RUNS:
        if getattr(inputs, name):
            raise InputError(
                f"input {name.replace('_', '-')!r} is what the run itself tells",
                hint="leave it out, or record the job with `launch-action job create git`",
            )
    with place.reporter.phase("read"):
        found = read_run(find_log(path, environment), environment)
    kind = source_kind(found.run, environment.get("WANDB_JOB_SOURCE", ""))
    place.reporter.info(f"run {found.run.facts.run_id} in {str(found.directory)!r}: {kind} job")
    if kind == "image":
        return _image(found, place), None
    plan = plan_run_source(inputs, found.run, place_situation(place), kind)
    if kind == "git":
        _check_commit(plan, place)
        return plan, None
    return plan, _archive(found, place, stack)


def _image(found: RunDirectory, place: Workplace) -> CreatePlan:
    from launch_action.jobs.image_jobs import plan_image_job

    image = found.run.facts.docker
    plan = plan_image_job(replace(place, inputs=replace(place.inputs, docker_image=image)))
    return of_run(plan, found.run, place.inputs, place_situation(place))


def _check_commit(plan: CreatePlan, place: Workplace) -> None:
    """Raise SourceError when the remote says that it does not have the run's commit."""
    assert isinstance(plan.source, GitSource)  # noqa: S101  # of kind "git"
    # All that is known of the run's checkout, which may be on another machine.
    checkout = Checkout(
        repository=Repository("", "", ""),
        subdirectory="",
        commit=plan.source.commit,
        commit_time=0,
        remote=plan.source.remote,
        remote_name="origin",
        branch=None,
        default_branch=None,
        tags=(),
        dirty=(),
        untracked=0,
        shallow=True,
    )
    check_commit(place, checkout)


def _archive(found: RunDirectory, place: Workplace, stack: ExitStack) -> Callable[..., Descriptor]:
    """What stores the logged code as one archive; it is refused what a directory is refused."""
    from launch_action.code.directory import open_directory
    from launch_action.jobs.code_archive import store_archive
    from launch_action.wandb_runs.logged_code import write_code

    folder = Path(stack.enter_context(scratch_directory("launch-action-source-")))
    root = folder / "code"
    root.mkdir()
    write_code(found.code, root)
    code = open_directory(root, allowed=place.inputs.allow_file, transfer=place.reporter.transfer)
    return partial(store_archive, code, place=place)
