"""What the W&B SDK wrote down of a run, as far as a job can be made of it.

Source of the numbers: wandb_internal.proto of the SDK 0.31 (Record, RunRecord, ConfigRecord,
GitRepoRecord, EnvironmentRecord, ArtifactRecord, ArtifactManifest, ArtifactManifestEntry,
UseArtifactRecord, PartialJobArtifact).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.names import safe_name
from launch_action.core.protobuf import fields
from launch_action.core.transaction_log import apply_item

_LAST_SECOND = 253402300799  # of the year 9999
_PYTHON = re.compile(r"(?:CPython |PyPy )?(3\.\d+)(?:[.+a-z].*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LoggedFile:
    """A file of a logged artifact: its path there, its MD5 in base64, and where the SDK put it."""

    path: str
    digest: str
    local_path: str


@dataclass(frozen=True, slots=True)
class LoggedCode:
    """A code artifact that the run logged.

    Its files are in the log of an offline run; that of an online one names the artifact alone.
    """

    name: str
    files: tuple[LoggedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run as its transaction log tells of it; what the log does not say is empty.

    `entity` is empty where the key's own was taken. `started` is in seconds since 1970. `python` is
    `X.Y`. `remote` may still hold a user's name. `program` is absolute or `-m MODULE`; `code_path`
    counts from the repository's root, else from the run's directory, `code_path_local` always from
    the latter. `docker` is `$WANDB_DOCKER`. `job_name` is that of the job at W&B which the run was
    started from.
    """

    run_id: str = ""
    entity: str = ""
    project: str = ""
    started: int = 0
    python: str = ""
    remote: str = field(default="", repr=False)
    commit: str = ""
    docker: str = ""
    program: str = ""
    code_path: str = ""
    code_path_local: str = ""
    job_name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    code: LoggedCode | None = None

    @property
    def saved_code_name(self) -> str:
        """The name that `run.log_code` would have given to the program's code."""
        return safe_name(f"source-{self.project}-{self.code_path}")


def read_facts(records: Iterable[bytes]) -> RunFacts:
    """The facts in the records of a log; a record that does not read is passed over."""
    found: dict[str, Any] = {}
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for record in records:
        for number, value in _parts(record):
            match number:
                case 3:
                    _apply(summary, value)
                case 5:
                    _apply(config, value)
                case 8:
                    found |= _artifact(value)
                case 17:
                    found |= _run(value, config, summary)
                case 25:
                    found |= _used(value)
                case 26:
                    found |= _environment(value)
    own = config.pop("_wandb", None)
    summary.pop("_wandb", None)
    if "code" not in found and (name := _logged_name(own)):
        found["code"] = LoggedCode(name, ())
    return RunFacts(**found, config=config, summary=summary)


def _logged_name(own: Any) -> str:
    """The artifact that a run says it logged its code as; a path is what `save_code` kept."""
    name = own.get("code_path") if isinstance(own, dict) else None
    return name if isinstance(name, str) and not name.startswith("code/") else ""


def with_metadata(facts: RunFacts, document: bytes) -> RunFacts:
    """The facts, and of `wandb-metadata.json` what the log of an older SDK does not say."""
    try:
        found = json.loads(document) if document else {}
    except (ValueError, RecursionError):
        return facts
    if not isinstance(found, dict):
        return facts
    git = found.get("git")
    remote, commit = (git.get("remote"), git.get("commit")) if isinstance(git, dict) else ("", "")
    known = {
        "python": _minor(str(found.get("python") or "")),
        "remote": remote,
        "commit": commit,
        "docker": found.get("docker"),
        "program": found.get("program"),
        "code_path": found.get("codePath"),
        "code_path_local": found.get("codePathLocal"),
    }
    new = {k: v for k, v in known.items() if isinstance(v, str) and v and not getattr(facts, k)}
    return replace(facts, **new)  # type: ignore[arg-type]  # texts, each


def _minor(version: str) -> str:
    match = _PYTHON.fullmatch(version)
    return match[1] if match else ""


def _parts(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that have bytes: texts and messages."""
    try:
        for number, value in fields(message):
            if isinstance(value, bytes):
                yield number, value
    except IndexError:
        return


def _apply(values: dict[str, Any], changes: bytes) -> None:
    for change, item in _parts(changes):
        if change in (1, 2):
            apply_item(values, change, item)


def _texts(message: bytes, names: Mapping[int, str]) -> dict[str, str]:
    """The texts of a message by the names of their fields, empty ones left out."""
    found = {names[number]: value for number, value in _parts(message) if number in names}
    return {name: _text(value) for name, value in found.items() if value}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _run(message: bytes, config: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _texts(message, {1: "run_id", 2: "entity", 3: "project"})
    for number, value in _parts(message):
        match number:
            case 4:
                _apply(config, value)
            case 5:
                _apply(summary, value)
            case 17:
                found["started"] = _seconds(value)
            case 21:
                found |= _git(value)
    return found


def _seconds(timestamp: bytes) -> int:
    try:
        found = next((v for n, v in fields(timestamp) if n == 1 and isinstance(v, int)), 0)
    except IndexError:
        return 0
    return found if found <= _LAST_SECOND else 0


def _git(message: bytes) -> dict[str, str]:
    return _texts(message, {1: "remote", 2: "commit"})


def _environment(message: bytes) -> dict[str, Any]:
    names = {2: "python", 4: "docker", 6: "program", 7: "code_path", 8: "code_path_local"}
    found = _texts(message, names)
    if "python" in found:
        found["python"] = _minor(found["python"])
    for number, value in _parts(message):
        if number == 9:
            found |= _git(value)
    return found


def _used(message: bytes) -> dict[str, str]:
    """The name of the job that the run says it was started from."""
    partial = [value for number, value in _parts(message) if number == 4]
    return _texts(partial[-1], {1: "job_name"}) if partial else {}


def _artifact(message: bytes) -> dict[str, Any]:
    """The code that the run logged, where this artifact is such."""
    texts = _texts(message, {4: "type", 5: "name"})
    if texts.get("type") != "code":
        return {}
    manifest = b"".join(value for number, value in _parts(message) if number == 12)
    return {"code": _code(texts.get("name", ""), manifest)}


def _code(name: str, manifest: bytes) -> LoggedCode:
    entries = (value for number, value in _parts(manifest) if number == 4)
    named = (_texts(entry, {1: "path", 2: "digest", 6: "local_path"}) for entry in entries)
    files = tuple(
        LoggedFile(one["path"], one.get("digest", ""), one.get("local_path", ""))
        for one in named
        if one.get("path")
    )
    return LoggedCode(name, files)
