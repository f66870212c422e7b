"""launch.yaml: the jobs of a repository, by their keys, with the options of each.

Read as data of the commit. `core.launch_schema` says the same as a JSON Schema; a test holds the
two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.input_table import BY_NAME
from launch_action.core.launch_document import (
    Entry,
    Node,
    Scalar,
    Table,
    decoded,
    fault,
    read_yaml_tree,
    toml_tree,
)
from launch_action.core.launch_options import OPTIONS, PAIRS, PATHS, OptionReader, Value, merged
from launch_action.core.reference import Repository
from launch_action.core.spelling import nearest

# At the root of the repository; one of them at most lists jobs.
YAML_NAMES = ("launch.yaml", "launch.yml")
PROJECT = "pyproject.toml"
NAMES = (*YAML_NAMES, PROJECT)
_SECTION = ("tool", "launch-action")
# As many as GitHub starts of one matrix.
MOST_JOBS = 256
# What may follow a repository's name (OCI distribution 1.1, "Pulling manifests"), in any case.
KEY = r"[A-Za-z0-9]+(?:(?:\.|_|__|-+)[A-Za-z0-9]+)*"
LONGEST_KEY = 64
# A name is of one job.
NOT_IN_DEFAULTS = frozenset({"job-name"})
_TOP = ("image", "defaults", "jobs", "$schema")


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job of the file. `values` are its options by name, as inputs are given; texts as written.

    `paths` are patterns as in .gitignore: a change of what they match is one of the job.
    """

    key: str
    line: int
    values: Mapping[str, Value]
    paths: tuple[str, ...] = ()

    def repository(self, image: str) -> str:
        """The repository of this job below that of all jobs."""
        return f"{image}/{self.key.lower()}"


@dataclass(frozen=True, slots=True)
class LaunchFile:
    """The jobs in the order of the file, and the repository below which theirs are."""

    name: str
    jobs: tuple[ListedJob, ...]
    image: str = ""


def read_launch_file(read: Mapping[str, bytes]) -> LaunchFile | None:
    """The jobs that the files of these names list; None where none does.

    Raises InputError, with file and line where it is known, for what is wrong with one, and for two
    files that list jobs.
    """
    there = [name for name in YAML_NAMES if name in read]
    # Read only where it may say something: every other project's is no concern of ours.
    document = _project_table(read[PROJECT]) if _may_list(read.get(PROJECT, b"")) else None
    found = [*there, *([f"{PROJECT} ([tool.launch-action])"] if document else [])]
    if len(found) > 1:
        raise InputError(
            f"the jobs are listed twice: in {found[0]} and in {found[1]}",
            hint="keep one of the two",
        )
    if document:
        return _Reader(PROJECT).file(document)
    if not there:
        return None
    text = decoded(read[there[0]], there[0])
    return _Reader(there[0]).file(read_yaml_tree(text, there[0]))


def _may_list(content: bytes) -> bool:
    return b"launch-action" in content


def _project_table(content: bytes) -> Node | None:
    import tomli

    try:
        document = tomli.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomli.TOMLDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        raise fault(PROJECT, line, f"not TOML: {error}", "correct the file") from None
    found: Any = document
    for name in _SECTION:
        found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            return None
    return toml_tree(found, decoded(content, PROJECT), PROJECT, _SECTION)


def is_key(text: str) -> bool:
    """Whether a job of the file can have this key."""
    return len(text) <= LONGEST_KEY and re.fullmatch(KEY, text) is not None


def chosen_jobs(file: LaunchFile, keys: Sequence[str]) -> tuple[ListedJob, ...]:
    """The jobs of these keys, all without any, in the order of the file. Raises InputError."""
    known = {job.key.lower(): job for job in file.jobs}
    for key in keys:
        if key.lower() not in known:
            near = nearest(key, [job.key for job in file.jobs])
            guess = f"did you mean {near[0]!r}? " if near else ""
            listed = ", ".join(job.key for job in file.jobs)
            raise InputError(f"no job {key!r} in {file.name}", hint=f"{guess}there are: {listed}")
    wanted = {key.lower() for key in keys} or known.keys()
    return tuple(job for name, job in known.items() if name in wanted)


def with_given(
    values: Mapping[str, Value], given: Mapping[str, str | Sequence[str]]
) -> dict[str, str | Sequence[str]]:
    """A job's options below what the step or the command line gives, which wins.

    What is NAME=VALUE is merged by name. `given` holds what is not empty.
    """
    found: dict[str, str | Sequence[str]] = {**values, **given}
    for name in PAIRS & values.keys() & given.keys():
        lines = given[name]
        above = lines.splitlines() if isinstance(lines, str) else lines
        found[name] = merged(
            values[name], [one.strip() for text in above for one in text.split("\n")]
        )
    return found


class _Reader:
    """Reads the tree of one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._read = OptionReader(file)

    def file(self, root: Node | None) -> LaunchFile:
        table = self._table(root, "the file", 'begin with "jobs:"; a symbolic link is not followed')
        entries = self._known(table, _TOP, "of the file")
        self._schema(entries.get("$schema"))
        jobs = entries.get("jobs")
        if jobs is None:
            raise self._fault(table.line, "it lists no jobs", "write them below `jobs:`, by key")
        defaults = self._options(entries.get("defaults"), "of the defaults", NOT_IN_DEFAULTS)
        image = entries.get("image")
        return LaunchFile(
            self._file, self._jobs(jobs, defaults), self._image(image) if image else ""
        )

    def _schema(self, found: Entry | None) -> None:
        """For editors; any text will do."""
        if found and not (isinstance(found.node, Scalar) and found.node.kind == "text"):
            raise self._fault(found.line, "'$schema' is a text", "leave it out")

    def _image(self, found: Entry) -> str:
        text = self._read.text(found, "of the file")
        try:
            return str(Repository.parse(text.lower()))
        except InputError as error:
            raise self._fault(found.line, error.message, error.hint) from None

    def _jobs(self, found: Entry, defaults: Mapping[str, Value]) -> tuple[ListedJob, ...]:
        table = self._table(found.node, "'jobs'", "write each job as `key:` with its options")
        if not 0 < len(table.entries) <= MOST_JOBS:
            raise self._fault(
                found.line, f"{len(table.entries)} jobs", f"list 1 to {MOST_JOBS} of them"
            )
        jobs: dict[str, ListedJob] = {}
        for entry in table.entries:
            job = self._job(entry, defaults)
            if other := jobs.get(entry.name.lower()):
                raise self._fault(
                    entry.line,
                    f"jobs {other.key!r} and {entry.name!r} differ in case alone",
                    "their repositories are lower-case: choose another key",
                )
            jobs[entry.name.lower()] = job
        return tuple(jobs.values())

    def _job(self, entry: Entry, defaults: Mapping[str, Value]) -> ListedJob:
        if not is_key(entry.name):
            raise self._fault(
                entry.line,
                f"not a job's key: {entry.name[:80]!r}",
                f"1 to {LONGEST_KEY} letters and digits, with single '.', '_' or '-' between",
            )
        own = self._options(entry, f"of job {entry.name!r}")
        values = {**defaults, **own}
        for name in PAIRS & defaults.keys() & own.keys():
            values[name] = merged(defaults[name], own[name])
        if "entry-point" not in values:
            raise self._fault(
                entry.line,
                f"job {entry.name!r} has no entry point",
                "add `entry-point: python train.py`",
            )
        paths = values.pop(PATHS, ())
        return ListedJob(entry.name, entry.line, values, tuple(paths))

    def _options(
        self, found: Entry | None, whose: str, without: frozenset[str] = frozenset()
    ) -> dict[str, Value]:
        if found is None:
            return {}
        hint = "write options as `name: value`; `{}` for none"
        table = self._table(found.node, f"{found.name!r}", hint)
        entries = self._known(table, sorted(OPTIONS - without), whose)
        return {name: self._read.value(entry, whose) for name, entry in entries.items()}

    def _known(self, table: Table, names: Sequence[str], whose: str) -> dict[str, Entry]:
        for entry in table.entries:
            if entry.name not in names:
                raise self._unknown(entry, names, whose)
        return {entry.name: entry for entry in table.entries}

    def _unknown(self, entry: Entry, names: Sequence[str], whose: str) -> InputError:
        elsewhere = entry.name in BY_NAME
        near = nearest(entry.name, names, likeness=0.8 if elsewhere else 0.6)
        if elsewhere and not near:
            return self._fault(
                entry.line,
                f"option {entry.name!r} is not taken from here",
                "give it to the step, or on the command line",
            )
        guess = f"did you mean {near[0]!r}? " if near else ""
        return self._fault(
            entry.line,
            f"unknown option {entry.name[:80]!r} {whose}",
            f"{guess}valid: {', '.join(names)}",
        )

    def _table(self, found: Node | None, what: str, hint: str) -> Table:
        if isinstance(found, Table):
            return found
        raise self._fault(found.line if found else 0, f"{what} is not a mapping", hint)

    def _fault(self, line: int, what: str, hint: str) -> InputError:
        return fault(self._file, line, what, hint)


def names_clash(names: Sequence[tuple[ListedJob, str]], file: str) -> InputError | None:
    """The error for two jobs that would have one name; None where every name is of one."""
    known: dict[str, ListedJob] = {}
    for job, name in names:
        if other := known.get(name):
            return fault(
                file,
                job.line,
                f"jobs {other.key!r} and {job.key!r} have one name: {name!r}",
                "give one of them a `job-name`",
            )
        known[name] = job
    return None
