"""The schema of a job's inputs: where it is read, and what of a run is held against it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from launch_action.core.errors import InputError
from launch_action.core.input_schema import (
    LIMIT,
    InputSchema,
    check_values,
    parse_schema,
    wandb_notice,
)
from launch_action.core.job_inputs import merged
from launch_action.core.schema_types import typed, typed_settings
from launch_action.planning.run_plan import read_config
from launch_action.planning.workplace import Workplace


def read_schema(
    place: Workplace, read: Callable[[str], bytes | None] | None = None
) -> InputSchema | None:
    """The schema that is asked for, None for none; `read` reads a file of the build context.

    Raises InputError for one that is not there, or not valid.
    """
    path = place.inputs.schema
    if not path:
        return None
    local = read is None or path.startswith("/")
    data = _local(path) if local or read is None else read(_below(path))
    if data is None:
        raise InputError(
            f"no schema {path!r} in the build context",
            hint="commit it, and name it from there; an absolute path is of this machine",
        )
    schema = parse_schema(data, path)
    if notice := wandb_notice(schema, path):
        place.reporter.warning(notice)
    return schema


def checked_config(place: Workplace, schema: InputSchema) -> Mapping[str, Any]:
    """The inputs of a run, as the schema types them. Raises InputError where they break it."""
    config = read_config(place.inputs.config)
    below = typed(config.run_config, config.texts, schema.standard)
    values = merged(below, typed_settings(place.inputs.set, schema.standard))
    check_values(schema, values)
    return values


def _local(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        raise InputError(
            f"schema {path!r} cannot be read: {error.strerror}", hint="name a JSON or YAML file"
        ) from error


def _below(path: str) -> str:
    normal = posixpath.normpath(path)
    if normal.split("/")[0] == "..":
        raise InputError(
            f"schema is outside the build context: {path!r}",
            hint="name a file relative to the build context",
        )
    return normal
