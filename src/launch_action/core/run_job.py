"""The job that a W&B run makes: its source, name, entry point and the types of its inputs.

W&B's own order of sources: git remote and commit, logged code, image (`wandb/sdk/internal/
job_builder.py`, `_get_source_type`), of which `$WANDB_JOB_SOURCE` may name one.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from typing import Literal

from launch_action.core.aliases import asked_alias
from launch_action.core.create_plan import CreatePlan
from launch_action.core.credentials import without_logins
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.entrypoint import parse_entrypoint, script_of
from launch_action.core.errors import InputError, LaunchError, SourceError
from launch_action.core.git_address import parse_git_address
from launch_action.core.inputs import Inputs
from launch_action.core.job import CodeSource, GitSource, Source
from launch_action.core.layers_plan import timestamp
from launch_action.core.names import (
    code_job_name,
    git_job_name,
    recorded_remote,
    wandb_git_job_name,
)
from launch_action.core.plan import chosen_job_name, plan_store
from launch_action.core.python_version import choose_python
from launch_action.core.reference import Tag
from launch_action.core.services import parse_services
from launch_action.core.situation import Situation
from launch_action.core.tags import alias_tag
from launch_action.core.wandb_run import RunFacts
from launch_action.core.wandb_types import type_of

Kind = Literal["git", "code", "image"]
_KINDS: Mapping[str, Kind] = {"repo": "git", "artifact": "code", "image": "image"}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as it was found: its facts and the files beside its log, empty where there are none.

    `code_paths` are the files of its logged code, whose artifact is `code_name`. `no_code` says
    in words why there are none, or why there is only what `save_code` kept.
    """

    facts: RunFacts
    frozen: bytes
    patch: bytes
    code_name: str
    code_paths: tuple[str, ...]
    no_code: str


def source_kind(run: FoundRun, asked: str) -> Kind:
    """Which of the three conditions makes the job; `asked` is `$WANDB_JOB_SOURCE`.

    Raises SourceError when none does, InputError for what cannot be asked.
    """
    facts = run.facts
    missing = _missing(run)
    if not asked:
        for kind, what in missing.items():
            if not what:
                return kind
            if kind == "code" and facts.code:
                # Its code is what it ran: the image is no substitute that nobody asked for.
                raise _lost_code(run)
        raise SourceError(
            f"run {facts.run_id!r} has no tracked source: {'; '.join(missing.values())}",
            hint="run it in a git checkout with a remote, call run.log_code(), or set WANDB_DOCKER",
        )
    if asked not in _KINDS:
        raise InputError(
            f"WANDB_JOB_SOURCE cannot be {asked!r}", hint=f"valid: {', '.join(_KINDS)}"
        )
    if what := missing[_KINDS[asked]]:
        raise SourceError(
            f"run {facts.run_id!r} makes no job of source {asked!r}: {what}",
            hint="leave WANDB_JOB_SOURCE unset to take the source that it has",
        )
    return _KINDS[asked]


def _lost_code(run: FoundRun) -> SourceError:
    return SourceError(
        f"the code of run {run.facts.run_id!r} cannot be recorded: {run.no_code}",
        hint="record its directory, with `launch-action job create code DIR`, or run it offline",
    )


def _missing(run: FoundRun) -> dict[Kind, str]:
    """By kind, in order of preference: what it lacks, empty for nothing."""
    facts = run.facts
    return {
        "git": _missing_git(facts),
        "code": "" if run.code_paths else run.no_code,
        "image": "" if facts.docker else "WANDB_DOCKER was not set",
    }


def _missing_git(facts: RunFacts) -> str:
    if not _COMMIT.fullmatch(facts.commit):
        return "it was not in a git checkout with a commit"
    if not facts.remote:
        return f"its checkout, at commit {facts.commit[:12]}, had no git remote"
    try:
        parse_git_address(recorded_remote(facts.remote))
    except LaunchError as error:
        return f"its git remote is {error.message}"
    return ""


def plan_run_source(
    inputs: Inputs, run: FoundRun, situation: Situation, kind: Literal["git", "code"]
) -> CreatePlan:
    """The job of a run's commit or logged code. Raises InputError and SourceError."""
    facts = run.facts
    context = _context(inputs)
    entrypoint = _entrypoint(inputs, run, kind, context)
    script = script_of(entrypoint, context)
    source, default = _source(inputs, run, kind, context, script)
    name, warnings = chosen_job_name(_named(inputs, facts), default)
    patch = run.patch if kind == "git" else b""
    return CreatePlan(
        job_name=name,
        source=source,
        entrypoint=entrypoint,
        runtime=_python(inputs, facts),
        created=timestamp(facts.started),
        store=plan_store(inputs, situation, name),
        aliases=_aliases(inputs, run, situation, source, patch),
        allow_rename=inputs.allow_rename,
        frozen=_frozen(run.frozen),
        input_types=type_of(dict(facts.config)),
        output_types=type_of(dict(facts.summary)),
        patch=patch,
        own={"script": script, "run": facts.run_id},
        warnings=(*warnings, *_warnings(run, kind)),
        services=parse_services(inputs.service),
    )


def of_run(plan: CreatePlan, run: FoundRun, inputs: Inputs, situation: Situation) -> CreatePlan:
    """The plan of a run's image, with what the run says besides."""
    facts = run.facts
    name, warnings = chosen_job_name(_named(inputs, facts), plan.job_name)
    aliases = (*plan.aliases, _run_alias(facts))
    return replace(
        plan,
        job_name=name,
        store=plan_store(inputs, situation, name),
        aliases=tuple(dict.fromkeys(aliases)),
        frozen=_frozen(run.frozen),
        input_types=type_of(dict(facts.config)),
        output_types=type_of(dict(facts.summary)),
        own={**plan.own, "run": facts.run_id},
        warnings=(*plan.warnings, *warnings),
    )


def _named(inputs: Inputs, facts: RunFacts) -> Inputs:
    """What was asked for wins over the name that the SDK wrote down."""
    name = inputs.job_name or facts.job_name.partition(":")[0]
    return replace(inputs, job_name=name)


def _context(inputs: Inputs) -> str:
    given = inputs.build_context
    normal = posixpath.normpath(given) if given else ""
    if normal.startswith("/") or normal.split("/")[0] == "..":
        raise InputError(
            f"build context is outside the source: {given!r}",
            hint="name a directory relative to the source's root",
        )
    return "" if normal == "." else normal


def _entrypoint(
    inputs: Inputs, run: FoundRun, kind: Literal["git", "code"], context: str
) -> tuple[str, ...]:
    """`python SCRIPT` or `python -m MODULE`, as the run was started; its arguments are not."""
    if inputs.entry_point:
        return parse_entrypoint(inputs.entry_point)
    facts = run.facts
    if facts.program.startswith("-m "):
        return ("python", "-m", facts.program.removeprefix("-m ").strip())
    path = facts.code_path if kind == "git" else _logged_program(run)
    if not path or path.endswith(".ipynb"):
        what = f"the notebook {path!r}" if path else "no file that its source has"
        raise SourceError(
            f"run {facts.run_id!r} was started from {what}",
            hint="say what starts the job: --entry-point 'python train.py'",
        )
    return parse_entrypoint(shlex.join(("python", _no_option(_below(path, context)))))


def _no_option(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path


def _logged_program(run: FoundRun) -> str:
    """Where the program is among the logged files, which count from where `log_code` was told."""
    facts, paths = run.facts, set(run.code_paths)
    for known in (facts.code_path, facts.code_path_local):
        if known in paths:
            return known
    parts = facts.program.strip("/").split("/")
    tails = ("/".join(parts[at:]) for at in range(len(parts)))
    return next((tail for tail in tails if tail in paths), "")


def _below(path: str, context: str) -> str:
    if not context:
        return path
    if not path.startswith(f"{context}/"):
        raise InputError(
            f"the run's program {path!r} is not below the build context {context!r}",
            hint="choose another --build-context, or give --entry-point",
        )
    return path.removeprefix(f"{context}/")


def _source(
    inputs: Inputs, run: FoundRun, kind: Literal["git", "code"], context: str, script: str
) -> tuple[Source, str]:
    """The source as it is recorded, and the job's name by default."""
    if kind == "code":
        name = run.code_name
        return CodeSource(name, context, inputs.dockerfile), code_job_name(name)
    facts = run.facts
    remote = recorded_remote(facts.remote)  # the SDK leaves the user of https in it
    make = wandb_git_job_name if inputs.job_name_style == "wandb" else git_job_name
    return GitSource(remote, facts.commit, context, inputs.dockerfile), make(remote, script)


def _python(inputs: Inputs, facts: RunFacts) -> str:
    if inputs.python:
        return choose_python(inputs.python).version
    if not facts.python:
        raise SourceError(
            f"run {facts.run_id!r} does not say which Python it had", hint="give --python 3.12"
        )
    return facts.python


def _aliases(
    inputs: Inputs, run: FoundRun, situation: Situation, source: Source, patch: bytes
) -> tuple[Tag, ...]:
    """`sha-<commit>` only of the commit and nothing else; the run's; `latest`; the asked."""
    found = [_run_alias(run.facts)]
    if isinstance(source, GitSource) and not patch:
        found.insert(0, Tag(f"sha-{source.commit}"))
    if not situation.ci:
        found.append(Tag("latest"))
    return tuple(dict.fromkeys((*found, *map(asked_alias, inputs.alias))))


def _run_alias(facts: RunFacts) -> Tag:
    return alias_tag(f"run-{facts.run_id}")


def _frozen(lines: bytes) -> bytes:
    """The run's packages, sorted: the SDK lists them as it comes upon them."""
    text = without_logins(lines).decode("utf-8", "replace")
    found = sorted({line.strip() for line in text.splitlines()} - {""}, key=str.casefold)
    return "".join(f"{line}\n" for line in found).encode()


def _warnings(run: FoundRun, kind: str) -> tuple[str, ...]:
    facts = run.facts
    found = []
    if kind == "git" and facts.remote.startswith("ssh://") and "@" not in facts.remote:
        found.append(
            f"W&B's SDK leaves the user of an ssh address out: {facts.remote!r}; "
            "`launch-action job create git ssh://git@... --git-hash COMMIT` records it"
        )
    if kind == "git" and run.patch:
        found.append(
            f"the run was of more than commit {facts.commit[:12]}: what had changed is recorded as "
            "diff.patch; files that git did not track are not"
        )
    if kind == "code" and run.no_code:
        found.append(f"of the run's code only its program is recorded: {run.no_code}")
    if not run.frozen:
        found.append(f"run {facts.run_id!r} left no list of its packages")
    return tuple(found)
