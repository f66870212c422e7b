"""Job documents that W&B wrote: read, and mended where W&B's own tools write what cannot run.

Each defect is one of the W&B SDK 0.31: jobs of runs (its job builder makes them) have the full name
of the interpreter as runtime and in the entry point; `wandb job create git` without an entry point
records the script alone; a remote is recorded with the password in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, assert_never

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError
from launch_action.core.image import parse_object
from launch_action.core.job import CodeSource, GitSource, ImageSource, JobDocument, Source, read_job
from launch_action.core.names import recorded_remote

_RUNTIME = re.compile(r"(?:CPython |PyPy |python-?)?(3\.\d{1,3})(?:[.+a-z].*)?", re.DOTALL)
_TOKEN = 20
_PROGRAM = re.compile(r"python(?:CPython |PyPy )3\.\d+")


@dataclass(frozen=True, slots=True)
class WandbDocument:
    """A job document of W&B's as it can be run, and in words what was mended or is not used.

    `base_image` is the image that W&B mounts the job's code into, empty for none.
    """

    job: JobDocument
    base_image: str
    notes: tuple[str, ...]


def read_wandb_document(data: bytes, where: str) -> WandbDocument:
    """Read a document of W&B's. Raises StoreError for what is none, InputError for a notebook."""
    job = read_job(data, where)
    raw = parse_object(data, f"wandb-job.json of {where}")
    source = raw["source"]
    _refuse_notebook(job, source, where)
    runtime, notes = _runtime(job)
    entrypoint, more = _entrypoint(job.entrypoint)
    mended, even_more = _source(job.source)
    return WandbDocument(
        replace(job, source=mended, entrypoint=entrypoint, runtime=runtime, own={}),
        str(source.get("base_image") or ""),
        (*notes, *more, *even_more, *_services(raw)),
    )


def _refuse_notebook(job: JobDocument, source: Mapping[str, Any], where: str) -> None:
    if source.get("notebook") is True and any(w.endswith(".ipynb") for w in job.entrypoint):
        raise InputError(
            f"{where} is the job of a notebook: {job.entrypoint[-1]!r}",
            hint="make a script of it, `jupyter nbconvert --to script`, and a job of that",
        )


def _runtime(job: JobDocument) -> tuple[str, list[str]]:
    """The Python as `X.Y`; W&B stores whatever it is given for an image, which has its own."""
    if isinstance(job.source, ImageSource) or not job.runtime:
        return "", []
    match = _RUNTIME.fullmatch(job.runtime)
    if not match:
        return "", [f"its runtime is no version of Python, and not used: {job.runtime[:80]!r}"]
    if match[1] == job.runtime:
        return job.runtime, []
    return match[1], [f"its runtime {job.runtime[:80]!r} is taken for Python {match[1]}"]


def _entrypoint(words: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """A command that can be started."""
    if not words:
        return words, []
    first, *rest = words
    if _PROGRAM.fullmatch(first):
        return ("python", *rest), [f"its entry point begins with {first!r}: taken for 'python'"]
    if not rest and first.endswith(".py"):
        return ("python", first), [f"its entry point is the script alone: 'python {first}' is run"]
    return words, []


def _source(source: Source) -> tuple[Source, list[str]]:
    match source:
        case GitSource():
            remote = recorded_remote(source.remote)
            if remote == source.remote:
                return source, []
            note = (
                "its remote holds a login, which whoever reads the job can read, and which is not "
                f"used: let it be valid no more; where {remote} is private, give --git-token"
            )
            # A user without a password is no secret: `https://x-access-token:@host/...`.
            return replace(source, remote=remote), [note] if _password(source.remote) else []
        case CodeSource() | ImageSource():
            return source, []
        case _:
            assert_never(source)


def _password(remote: str) -> bool:
    """Whether there is a password, or a user as long as a token is."""
    user, _, password = (
        remote.partition("://")[2].partition("/")[0].rpartition("@")[0].partition(":")
    )
    return bool(password) or len(user) >= _TOKEN


def _services(raw: Mapping[str, Any]) -> list[str]:
    found = raw.get("services")
    if not isinstance(found, dict) or not found:
        return []
    names = ", ".join(sorted(map(str, found)))[:200]
    return [f"its services are those of a Kubernetes queue, and not started here: {names}"]
