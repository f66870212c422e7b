"""A program of its own that uploads artifacts with the W&B SDK, started by `artifact_upload`.

The SDK prints, takes signals, leaves a service running and reads the directory that it is in:
here nothing of the kind reaches anybody. What to upload is one JSON object on standard input, the
key among it; each line of standard output is one of `{"uploaded": ...}`, `{"left": ...}`,
`{"error": ...}` and `{"done": true}`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch_action.wandb.artifact_list import Collection
    from launch_action.wandb.duplicates import Double

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
        _upload(request, folder, tell)
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


def _upload(request: Mapping[str, Any], folder: Path, tell: Tell) -> None:
    import wandb

    from launch_action.wandb import sdk
    from launch_action.wandb.artifact_list import JOB_TYPE

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
    with _Session(run, request, tell) as session:
        code = ""
        for one in request["artifacts"]:
            artifact = session.settled(_logged(run, one, folder, code), one)
            code = str(artifact.id) if one["kind"] == "code" else code
            tell({"uploaded": _described(artifact, one, run)})


class _Session:
    """The run that artifacts are logged by, which is deleted at its end as W&B's own tools do."""

    def __init__(self, run: Any, request: Mapping[str, Any], tell: Tell) -> None:
        from launch_action.wandb.server import Server

        self._run = run
        self._request = request
        self._tell = tell
        self._server = Server(request["base_url"], request["key"], os.environ, patient=False)

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        path = f"{self._run.entity}/{self._run.project}/{self._run.id}"
        try:
            self._run.finish()
            self._sweep()
            self._api.run(path).delete()
        except Exception as error:  # what was uploaded stays, and matters more
            self._tell({"left": {"run": path, "why": type(error).__name__}})
        finally:
            self._server.close()

    @cached_property
    def _api(self) -> Any:
        import wandb

        overrides = {"base_url": self._request["base_url"]}
        return wandb.Api(overrides=overrides, api_key=self._request["key"])

    def settled(self, logged: Any, one: Mapping[str, Any]) -> Any:
        """The version that stays: with its aliases and its description, the first of its content.

        Identical content is an earlier version, and somebody else may have uploaded it just now.
        One that is not of this run is not deleted: it may have aliases of others.
        """
        double = self._double(logged, one)
        found = self._earliest(logged, double) if double else logged
        missing = [alias for alias in one["aliases"] if alias not in found.aliases]
        described = one["description"] and found.description != one["description"]
        if missing or described:
            found.aliases.extend(missing)
            found.description = one["description"] or found.description
            found.save()
        if double and double.is_own and found is not logged:
            with suppress(Exception):  # whatever the SDK raises where it is gone
                logged.delete(delete_aliases=True)
        return found

    def _double(self, logged: Any, one: Mapping[str, Any]) -> Double | None:
        from launch_action.core.errors import LaunchError
        from launch_action.wandb.artifact_list import latest_versions
        from launch_action.wandb.duplicates import find_double

        try:
            versions = list(latest_versions(self._server, self._collection(one), "COMMITTED"))
        except LaunchError:
            return None
        return find_double(versions, str(logged.id), run_id=self._run.id)

    def _earliest(self, logged: Any, double: Double) -> Any:
        """The earlier version; what is logged where that is gone by now."""
        name = str(logged.qualified_name).rpartition(":")[0]
        with suppress(Exception):  # whatever the SDK raises for one that was deleted
            return self._api.artifact(f"{name}:v{double.earliest.number}")
        return logged

    def _sweep(self) -> None:
        """Leave no version pending: of this run where it failed, or of an earlier one's."""
        from launch_action.wandb.abandoned import remove_abandoned

        of = [self._collection(one) for one in self._request["artifacts"]]
        remove_abandoned(self._server, of, run_id=self._run.id, now=time.time())

    def _collection(self, one: Mapping[str, Any]) -> Collection:
        from launch_action.wandb.artifact_list import Collection

        return Collection(self._run.entity, self._run.project, one["kind"], one["name"])


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


def _described(artifact: Any, one: Mapping[str, Any], run: Any) -> dict[str, str]:
    return {
        "role": one["role"],
        "entity": run.entity,
        "project": run.project,
        "name": artifact.qualified_name,
    }


def _kind(error: Exception, message: str) -> str:
    for pattern, kind in _FAULTS:
        if re.search(pattern, message, re.IGNORECASE):
            return kind
    # Raised for whatever the server answers to the first question.
    return "key" if type(error).__name__ == "AuthenticationError" else "other"


if __name__ == "__main__":
    main()
