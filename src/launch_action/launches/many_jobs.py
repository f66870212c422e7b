"""The jobs that launch.yaml lists at the commit, each with the inputs that it is built with."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from launch_action.core.aliases import default_aliases
from launch_action.core.checkout import Checkout
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, LaunchError
from launch_action.core.input_values import read_inputs
from launch_action.core.inputs import Inputs
from launch_action.core.launch_document import SIZE_LIMIT, fault
from launch_action.core.launch_file import (
    NAMES,
    LaunchFile,
    ListedJob,
    chosen_jobs,
    names_clash,
    read_launch_file,
    with_given,
)
from launch_action.core.launch_options import Value
from launch_action.core.plan import planned_name
from launch_action.core.store import LATEST
from launch_action.git.root_files import root_files
from launch_action.planning.launch_plan import place_situation
from launch_action.planning.sources import open_checkout
from launch_action.planning.workplace import Workplace, names_commit, names_no_job

# Where a job is run and told of, with our login.
_PLACES = frozenset({"queue", "priority", "project", "entity"})
# What a step or a command line gives, by the name of the input; nothing empty is among it.
Given = Mapping[str, str | Sequence[str]]
# What says which jobs are meant, and is no input of any of them.
_CHOICES = ("only", "job", "mode")


@dataclass(frozen=True, slots=True)
class Listed:
    """The chosen jobs of a launch file, in its order, each with its inputs and its name.

    `image` is the repository that the file names, empty where it may not say.
    """

    file: LaunchFile
    checkout: Checkout
    jobs: tuple[ListedJob, ...]
    inputs: tuple[Inputs, ...]
    names: tuple[str, ...]
    image: str = ""


@contextmanager
def open_listed(
    place: Workplace,
    given: Given,
    keys: Sequence[str],
    allowed: Callable[[Inputs], Inputs] = lambda inputs: inputs,
) -> Iterator[Listed | None]:
    """The jobs of these keys, all without any; None where no file at the commit lists jobs.

    `allowed` leaves of a job's inputs what the event allows. The checkout is there inside the
    block. Raises InputError for the file, for two jobs of one name, and for keys without a file.
    """
    _check_source(place, keys)
    # All of it, where it is not here yet: each job has a build context of its own.
    with open_checkout(place, "") as checkout:
        file = read_listed(checkout)
        if file is None:
            if keys:
                raise InputError(
                    f"job {keys[0]!r} is of no file: commit {checkout.short_commit} has no "
                    "launch.yaml",
                    hint="list the jobs there (docs/many-jobs.md), and commit it",
                )
            yield None
            return
        jobs = chosen_jobs(file, keys)
        inputs = tuple(allowed(job_inputs(place, file, job, given, checkout)) for job in jobs)
        names = _names(file, checkout, jobs, inputs)
        yield Listed(file, checkout, jobs, inputs, names, _image(place, file))


def _check_source(place: Workplace, keys: Sequence[str]) -> None:
    inputs = place.inputs
    directory = inputs.uri and not names_commit(inputs.uri)
    for name, other in (("uri", directory), ("docker-image", inputs.docker_image)):
        if other:
            raise InputError(
                f"job {', '.join(keys)!r} is of a commit's launch.yaml, and {name!r} names "
                "another source",
                hint=f"leave one of the two out; with {name!r} give the job's own options",
            )


def listed_repositories(place: Workplace) -> dict[str, dict[str, str]]:
    """Where the jobs that the checkout's launch file lists are pushed; none where it lists none.

    Each with the `project` and the `entity` at W&B that the file says of it. A step that only
    cleans up need not have a checkout.
    """
    if not names_no_job(place.inputs):
        return {}
    try:
        with open_checkout(place, "") as checkout:
            file = read_listed(checkout)
    except LaunchError:
        return {}
    image = place.inputs.image or (_image(place, file) if file else "")
    if not (file and image):
        return {}
    return {job.repository(image.lower()): _at_wandb(job) for job in file.jobs}


def _at_wandb(job: ListedJob) -> dict[str, str]:
    return {name: str(job.values[name]) for name in ("project", "entity") if job.values.get(name)}


def read_listed(checkout: Checkout) -> LaunchFile | None:
    """The launch file of a commit. Raises InputError and SourceError."""
    return read_launch_file(root_files(checkout, NAMES, SIZE_LIMIT))


def job_inputs(
    place: Workplace, file: LaunchFile, job: ListedJob, given: Given, checkout: Checkout
) -> Inputs:
    """The inputs of a job of the file: what is given wins, the file's own repository is last.

    Where an outsider may have written the file, it says nothing of where anything goes; nor does
    that of a repository which is named by its address: its people are others than ours. Its aliases
    are more names of what `latest` names: a pull request's or a branch's file moves none.
    """
    own = {name: value for name, value in given.items() if name not in _CHOICES and value}
    values = with_given(_said(place, job), own)
    if "alias" in job.values and "alias" not in own and not _is_latest(place, checkout):
        del values["alias"]
    image = str(values.get("image") or _image(place, file))
    if image:
        values["image"] = job.repository(image.strip())
    return read_inputs(values, place.environment)


def _said(place: Workplace, job: ListedJob) -> Mapping[str, Value]:
    """What the file says of a job: a repository that nobody checked out says not where it goes."""
    left = sorted(_PLACES & job.values.keys()) if place.inputs.uri else []
    for name in left:
        place.reporter.info(
            f"job {job.key!r}: {name} {job.values[name]!r} of another repository is not taken; "
            f"say --{name}"
        )
    return {name: value for name, value in job.values.items() if name not in left}


def _image(place: Workplace, file: LaunchFile) -> str:
    return "" if place.untrusted or place.inputs.uri else file.image


def _is_latest(place: Workplace, checkout: Checkout) -> bool:
    found = place_situation(place)
    return bool(found.event_tag) or LATEST in default_aliases(checkout, found, ())


def _names(
    file: LaunchFile, checkout: Checkout, jobs: Sequence[ListedJob], inputs: Sequence[Inputs]
) -> tuple[str, ...]:
    """The names of the jobs. Raises InputError for two of one name."""
    pairs = zip(jobs, inputs, strict=True)
    names = [(job, _name(file, checkout, job, one)) for job, one in pairs]
    if error := names_clash(names, file.name):
        raise error
    return tuple(name for _, name in names)


def _name(file: LaunchFile, checkout: Checkout, job: ListedJob, inputs: Inputs) -> str:
    context = posixpath.normpath(inputs.build_context or ".")
    try:
        return planned_name(inputs, checkout, "" if context == "." else context)
    except LaunchError as error:
        raise fault(file.name, job.line, f"job {job.key!r}: {error.message}", error.hint) from error
