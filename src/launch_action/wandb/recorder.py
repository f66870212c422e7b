"""A program of its own that records artifacts with the W&B SDK, started by `recording`.

The SDK prints, takes signals, leaves a service running and reads the directory that it is in:
here nothing of the kind reaches anybody. What to record is one JSON object on standard input, the
key among it; each line of standard output is one of `{"recorded": ...}`, `{"left": ...}`,
`{"error": ...}` and `{"done": true}`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Tell = Callable[[Mapping[str, Any]], None]

_PLACES = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR")
# What an error of the SDK's says, and what that is: the first that fits.
_FAULTS = (
    (r"validation errors? for Settings", "setting"),
    (r"entity .* not found|could not find entity", "entity"),
    (r"not logged in|invalid api key|error 401|HTTP 401", "key"),
    (r"permission denied|error 403|HTTP 403|forbidden", "permission"),
    (r"\b429\b|rate.?limit", "limit"),
    (
        r"connection refused|no such host|dial tcp|timed? ?out|deadline|unreachable|\bEOF\b",
        "network",
    ),
    (r"\bHTTP 5\d\d\b|returned error 5\d\d|internal server error|uploads .* failed", "server"),
)


def main() -> None:
    tell = _voice()
    request = json.load(sys.stdin)
    folder = Path(request["folder"])
    for name in _PLACES:
        os.environ[name] = str(folder / name.lower())
    try:
        _record(request, folder, tell)
    except Exception as error:  # whatever the SDK raises is what the parent tells
        message = " ".join(str(error).split()).replace(request["key"], "***")
        # wandb-core says the last fault twice.
        message = message.partition(" while retrying: Post")[0]
        tell({"error": {"kind": _kind(error, message), "message": message[:600]}})
        return
    tell({"done": True})


def _voice() -> Tell:
    """What writes to our standard output, which from now on nobody else does."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(what: Mapping[str, Any]) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    return tell


def _record(request: Mapping[str, Any], folder: Path, tell: Tell) -> None:
    import wandb

    from launch_action.wandb import sdk
    from launch_action.wandb.abandoned import JOB_TYPE

    sdk.keep_aliases()
    settings = sdk.settings(request["base_url"], request["key"], os.environ)
    run = wandb.init(
        entity=request["entity"] or None,
        project=request["project"],
        id=request["run"],
        job_type=JOB_TYPE,
        dir=str(folder),
        settings=settings,
    )
    try:
        api, code = _api(request), ""
        for one in request["artifacts"]:
            artifact = _settled(api, _logged(run, one, folder, code), one)
            code = str(artifact.id) if one["kind"] == "code" else code
            tell({"recorded": _described(artifact, one, run)})
    finally:
        _forget(run, request, tell)


def _logged(run: Any, one: Mapping[str, Any], folder: Path, code: str) -> Any:
    """Log an artifact, and wait until it is committed."""
    from launch_action.wandb import sdk

    files = folder / one["folder"]
    if one["placeholder"]:
        document = files / "wandb-job.json"
        document.write_text(document.read_text("ascii").replace(one["placeholder"], code), "ascii")
    artifact = sdk.make_artifact(one["kind"], one["name"], one["description"], one["metadata"])
    for path in sorted(p for p in files.rglob("*") if p.is_file()):
        name = path.relative_to(files).as_posix()
        artifact.add_file(str(path), name=name, skip_cache=True, policy="immutable")
    return run.log_artifact(artifact, aliases=list(one["aliases"])).wait()


def _settled(api: Any, logged: Any, one: Mapping[str, Any]) -> Any:
    """The version that stays: with its aliases and its description, and the first of its content.

    Identical content is an earlier version, and somebody else may have recorded it just now.
    """
    from launch_action.wandb.duplicates import earliest, remove

    found = earliest(api, logged)
    missing = [alias for alias in one["aliases"] if alias not in found.aliases]
    described = one["description"] and found.description != one["description"]
    if missing or described:
        found.aliases.extend(missing)
        found.description = one["description"] or found.description
        found.save()
    if found is not logged:
        remove(logged)
    return found


def _api(request: Mapping[str, Any]) -> Any:
    import wandb

    return wandb.Api(overrides={"base_url": request["base_url"]}, api_key=request["key"])


def _described(artifact: Any, one: Mapping[str, Any], run: Any) -> dict[str, str]:
    return {
        "role": one["role"],
        "entity": run.entity,
        "project": run.project,
        "name": artifact.qualified_name,
    }


def _forget(run: Any, request: Mapping[str, Any], tell: Tell) -> None:
    """End the run that the artifacts were logged by, and delete it, as W&B's own tools do."""
    path = f"{run.entity}/{run.project}/{run.id}"
    try:
        run.finish()
        _sweep(run, request)
        _api(request).run(path).delete()
    except Exception as error:  # what was recorded stays, and matters more
        tell({"left": {"run": path, "why": type(error).__name__}})


def _sweep(run: Any, request: Mapping[str, Any]) -> None:
    """Leave no version pending: of this run where it failed, or of an earlier one's."""
    from launch_action.wandb.abandoned import remove_abandoned
    from launch_action.wandb.server import Server

    server = Server(request["base_url"], request["key"], os.environ, patient=False)
    kinds = [(one["kind"], one["name"]) for one in request["artifacts"]]
    try:
        remove_abandoned(server, run.entity, run.project, kinds, run_id=run.id, now=time.time())
    finally:
        server.close()


def _kind(error: Exception, message: str) -> str:
    for pattern, kind in _FAULTS:
        if re.search(pattern, message, re.IGNORECASE):
            return kind
    # Raised for whatever the server answers to the first question.
    return "key" if type(error).__name__ == "AuthenticationError" else "other"


if __name__ == "__main__":
    main()
