"""Which of the artifacts W&B has already: found out by a question each, without the SDK."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError, RefusedError
from launch_action.core.registration import CODE_ID, WandbArtifact
from launch_action.core.wandb_manifest import manifest_digest
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.account import Account
from launch_action.wandb.artifact_upload import UploadedArtifact, artifact_page
from launch_action.wandb.artifact_versions import ArtifactVersion, asked_version, look_up
from launch_action.wandb.server import Server

# As W&B's agent asks whether an entity is there: `sdk/launch/api.py` of the SDK 0.31.
ENTITY = """
query EntityIsTeam($entity: String!) { entity(name: $entity) { id isTeam } }
"""
# Seconds after which an answer is asked for again: what was built meanwhile took its time.
_FRESH = 10.0


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What W&B said of one artifact, at a moment of the monotonic clock; None: it has none."""

    reference: ArtifactReference
    version: ArtifactVersion | None
    moment: float


@dataclass(frozen=True, slots=True)
class Found:
    """A version that W&B has with the content that is asked for."""

    asked: WandbArtifact
    version: ArtifactVersion
    uploaded: UploadedArtifact

    @property
    def lacking(self) -> tuple[str, ...]:
        """The aliases that are asked for and that it has not."""
        return tuple(alias for alias in self.asked.aliases if alias not in self.version.aliases)

    @property
    def is_described(self) -> bool:
        """Whether its description is the one that is asked for, if any is."""
        return self.asked.description in ("", self.version.description)


def first_answer(account: Account, name: str, alias: str) -> FirstAnswer | None:
    """Ask for a job, by one question as a rule; None where W&B does not answer in seconds.

    Raises RefusedError where it does not take the key, or knows no such entity.
    """
    try:
        with closing(account.server(patient=False)) as server:
            entity = account.entity or account.own_entity(patient=False)
            if not entity:  # as of a service's key
                return None
            wanted = ArtifactReference(entity, account.project, name, alias)
            version, is_project = look_up(server, wanted)
            if not is_project:  # it is made later, where its entity is there
                _check_entity(server, entity)
            return FirstAnswer(wanted, version, time.monotonic())
    except RefusedError:
        raise
    except LaunchError:
        return None


def _check_entity(server: Server, entity: str) -> None:
    if server.ask(ENTITY, {"entity": entity}).get("entity") is None:
        raise RefusedError(
            f"W&B at {server.host} has no such entity, or none that the key may see: {entity!r}",
            hint="check --entity: a user or a team that the key is of",
        )


def find_all_uploaded(
    account: Account,
    artifacts: Sequence[WandbArtifact],
    folder: Path,
    first: FirstAnswer | None = None,
) -> tuple[Found, ...]:
    """All of the artifacts, where W&B has each with this content and description; else nothing.

    The content is in the folder, in directories by roles. What cannot be found out is not there:
    who uploads it then says what is wrong.
    """
    try:
        found = tuple(find_uploaded(account, artifacts, folder, first=first))
    except LaunchError:
        return ()
    there = len(found) == len(artifacts) and all(one.is_described for one in found)
    return found if there else ()


def find_uploaded(
    account: Account,
    artifacts: Sequence[WandbArtifact],
    folder: Path,
    *,
    known: Sequence[str] = (),
    first: FirstAnswer | None = None,
) -> Iterator[Found]:
    """Those of the artifacts that W&B has with this content, under an alias of theirs or a `known`.

    Raises ServiceError.
    """
    entity = account.entity or (first.reference.entity if first else account.default_entity())
    account = replace(account, entity=entity)
    code = ""
    with closing(account.server(attempts=1)) as server:
        for one in artifacts:
            digest = _digest(folder / one.role, code)
            version = _version(_Asking(server, account, first), one, known, digest)
            if version is None:
                continue
            code = version.identifier if one.kind == "code" else code
            page = artifact_page(account, version.reference, one.kind)
            yield Found(one, version, UploadedArtifact(one.role, str(version.reference), page))


@dataclass(frozen=True, slots=True)
class _Asking:
    """Questions for versions, one of which was asked before."""

    server: Server
    account: Account
    first: FirstAnswer | None

    def version(self, name: str, alias: str) -> ArtifactVersion | None:
        wanted = ArtifactReference(self.account.entity, self.account.project, name, alias)
        first = self.first
        if first and first.reference == wanted and time.monotonic() - first.moment < _FRESH:
            return first.version
        return asked_version(self.server, wanted)


def _version(
    asking: _Asking, one: WandbArtifact, known: Sequence[str], digest: str
) -> ArtifactVersion | None:
    """The version with a digest, under any of the aliases; one of its commit is enough to know."""
    aliases = tuple(dict.fromkeys((*one.aliases, *known)))
    for alias in [alias for alias in aliases if alias.startswith("sha-")] or aliases:
        version = asking.version(one.name, alias)
        if version and version.kind == one.kind and version.digest == digest:
            return version
    return None


def _digest(files: Path, code: str) -> str:
    """The digest of a directory as an artifact, with the code's identifier in its document."""
    found = {}
    for path in files.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if code and path == files / "wandb-job.json":
                data = data.replace(CODE_ID.encode(), code.encode())
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            found[path.relative_to(files).as_posix()] = base64.b64encode(md5).decode()
    return manifest_digest(found)
