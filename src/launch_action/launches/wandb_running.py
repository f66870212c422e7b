"""A run and W&B: what its job is given of this machine's account, and what it left of its run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError
from launch_action.core.job import GitSource, JobDocument
from launch_action.core.metrics import scalars
from launch_action.core.names import safe_name
from launch_action.core.run import RunPlan, RunResult
from launch_action.planning.workplace import StoredJob, Workplace

# What the SDK calls the project of a run that names none.
_NO_PROJECT = "uncategorized"
# The record of the run is one of the first in its log, and its configuration follows soon.
_FIRST_RECORDS = 1000
_SECRET = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalRun:
    """What the SDK left of the run on this machine; `entity` is empty where the run names none.

    `config` are the scalars of its configuration.
    """

    directory: Path
    offline: bool
    entity: str
    project: str
    config: Mapping[str, Any]


def with_account(plan: RunPlan, job: StoredJob, document: JobDocument, place: Workplace) -> RunPlan:
    """The plan with entity, project and the job's name at W&B, where the run is online there.

    Options and the launch config win, then the environment and W&B's settings; the project is at
    last the job's own at W&B, else the name of its repository, as in W&B Launch: of a launched run
    the SDK passes over what the script names.
    """
    account = place.wandb
    known = job.wandb_job or _recorded_name(document, account.base_url)
    own = known.split("/")[1] if known else _repository_name(document)
    return replace(
        plan,
        wandb_job=known,
        entity=plan.entity or account.entity,
        project=plan.project or account.project or own,
    )


def caller(place: Workplace) -> Mapping[str, str]:
    """The environment that a run may be given of, with the key and the server that are known here.

    So a job gets the key of a `wandb login` as it gets `$WANDB_API_KEY`, and with it its server.
    """
    from launch_action.wandb.account import DEFAULT_URL

    account = place.wandb
    found = dict(place.environment)
    if account.key:
        found["WANDB_API_KEY"] = account.key
        if account.base_url != DEFAULT_URL:
            found["WANDB_BASE_URL"] = account.base_url
    return found


def run_outputs(plan: RunPlan, result: RunResult, place: Workplace) -> dict[str, Any]:
    """What is to be announced of the run at W&B: its page, and as metadata its configuration.

    What becomes of it is told. A job that never calls `wandb.init` has no run there: that is told,
    and no failure of it.
    """
    account = place.wandb
    found = local_run(Path(result.output_directory), result.run_id)
    if found is None:
        if account.key and _gets_key(plan):
            place.reporter.info("the job did not call wandb.init: W&B has no run of it")
        return {"run_url": None}
    if found.offline:
        place.reporter.info(
            f"W&B's run is offline, in {str(found.directory)!r}: `wandb sync` sends it from there"
        )
    known = {"directory": str(found.directory), "offline": found.offline, "config": found.config}
    page = None if found.offline else _page(found, result.run_id, place)
    return {"run_url": page, "metadata": {"wandb_run": known}}


def _page(found: LocalRun, run_id: str, place: Workplace) -> str | None:
    account = place.wandb
    try:
        # The job has ended: nobody waits for long to be told where its page is.
        entity = found.entity or account.entity
        entity = entity or (account.own_entity(patient=False) if account.key else "")
    except LaunchError as error:
        place.reporter.warning(f"the page of the run is not known: {error.message}")
        return None
    return account.run_url(entity, found.project or _NO_PROJECT, run_id) if entity else None


def local_run(outputs: Path, run_id: str) -> LocalRun | None:
    """The run that the SDK recorded below a run's output, None where it recorded none."""
    from launch_action.core.transaction_log import records
    from launch_action.core.wandb_run import read_facts

    for directory in sorted((outputs / "wandb").glob(f"*run-*-{run_id}"), reverse=True):
        log = directory / f"run-{run_id}.wandb"
        try:
            if log.is_symlink() or not log.is_file():
                continue
            with log.open("rb") as file:
                facts = read_facts(islice(records(file), _FIRST_RECORDS))
        except OSError:  # the job may do with its files what it likes
            continue
        offline = directory.name.startswith("offline-")
        return LocalRun(directory, offline, facts.entity, facts.project, _shown(facts.config))
    return None


def _shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """The scalars of a configuration, nested or not, and nothing that is called as a secret is."""
    found = scalars(config, [])
    return {name: _hidden(name, value) for name, value in found.items()}


def _hidden(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _hidden(inner, one) for inner, one in value.items()}
    return "***" if _SECRET.search(name) and isinstance(value, str) else value


def _repository_name(document: JobDocument) -> str:
    if not isinstance(document.source, GitSource):
        return ""
    name = document.source.remote.rstrip("/").removesuffix(".git").replace(":", "/")
    return safe_name(name.rpartition("/")[2]) if name else ""


def _recorded_name(document: JobDocument, server: str) -> str:
    """The name at W&B of a version that was made of a job there, at the server of now."""
    origin = document.own.get("wandb")
    if not isinstance(origin, dict) or origin.get("server") != server:
        return ""
    name = str(origin.get("job") or "")
    return name if name.count("/") == 2 else ""


def _gets_key(plan: RunPlan) -> bool:
    given = dict(plan.environment)
    return not plan.untrusted and given.get("WANDB_API_KEY", "x") != ""
