"""References to jobs at W&B: `wandb:entity/project/name:alias`, and the code artifacts they name.

Source of the forms: the W&B SDK 0.31 (`apis/public/jobs.py`, `util.parse_artifact_string`).
"""

from __future__ import annotations

import re

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, StoreError

PREFIX = "wandb:"
# W&B's own scheme of artifacts in job documents; `_id` stands before a server's identifier.
_SCHEME = "wandb-artifact://"
_HINT = "write wandb:ENTITY/PROJECT/NAME:ALIAS"
# What W&B refuses in the name of an artifact; entities and projects are as free as a URL's path.
_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,128}")
_OWNER = re.compile(r"(?!\.+$|_id$)[^/\\#?%:@\x00-\x1f\x7f]{1,128}")
_ALIAS = re.compile(r"[^/\\:\x00-\x1f\x7f]{1,128}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9+/_=-]{1,256}")


@dataclass(frozen=True, slots=True)
class ArtifactReference:
    """A version of an artifact of a project; `alias` is an alias or a version such as `v3`."""

    entity: str
    project: str
    name: str
    alias: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}:{self.alias}"


def parse_job_reference(text: str, entity: str = "", project: str = "") -> ArtifactReference:
    """A job's reference; the alias is `latest` where none is given. Raises InputError.

    `entity` and `project` stand for parts that are left out.

    >>> str(parse_job_reference("wandb:demo/hello", "acme"))
    'acme/demo/hello:latest'
    """
    parts = text.removeprefix(PREFIX).split("/")
    name, colon, alias = parts[-1].partition(":")
    owners = [*(("", "")[: max(0, 3 - len(parts))]), *parts[:-1]]
    if len(owners) != 2 or not _NAME.fullmatch(name) or (colon and not _ALIAS.fullmatch(alias)):
        raise InputError(f"not a reference to a job at W&B: {text!r}", hint=_HINT)
    found = ArtifactReference(owners[0] or entity, owners[1] or project, name, alias or "latest")
    for part, value in (("entity", found.entity), ("project", found.project)):
        if not value:
            other = "" if text.startswith(PREFIX) else "; a registry's job begins with its host"
            raise InputError(
                f"the job's {part} at W&B is not known: {text!r}",
                hint=f"{_HINT}, or give --{part}{other}",
            )
        check_owner(part, value)
    return found


def check_owner(part: str, value: str) -> None:
    """Raise InputError for the name of an `entity` or a `project` that W&B has none of."""
    if not _OWNER.fullmatch(value):
        raise InputError(
            f"not a W&B {part}: {value!r}",
            hint=r"it has 1 to 128 characters, none of them one of / \ # ? % : @",
        )


def parse_code_reference(text: str) -> ArtifactReference | str:
    """The code artifact of a job document: its reference, or the identifier the server gave it.

    Raises StoreError for what names no artifact of the job's own server.
    """
    first, *rest = text.removeprefix(_SCHEME).split("/")
    if text.startswith(_SCHEME) and first == "_id" and len(rest) == 1:
        if _IDENTIFIER.fullmatch(rest[0]):
            return rest[0]
    elif text.startswith(_SCHEME) and len(rest) == 2:
        name, _, alias = rest[1].partition(":")
        found = ArtifactReference(first, rest[0], name, alias or "latest")
        owners = _OWNER.fullmatch(found.entity) and _OWNER.fullmatch(found.project)
        if owners and _NAME.fullmatch(found.name) and _ALIAS.fullmatch(found.alias):
            return found
    raise StoreError(
        f"the job's code is no artifact of its own server: {text!r}",
        hint="create the job again with `wandb job create code`",
    )
