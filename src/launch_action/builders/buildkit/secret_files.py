"""Secrets of a build as files that are in memory only, and gone with this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import assert_never

from launch_action.core.build_options import Secret
from launch_action.core.errors import InputError

# BuildKit refuses larger ones.
_LIMIT = 500 * 1024


def secret_value(secret: Secret, environment: Mapping[str, str], folder: Path) -> bytes:
    """The bytes of a secret; a file's path counts from `folder`. Raises InputError, without it."""
    match secret.kind:
        case "value":
            value = secret.text.encode("utf-8", "surrogateescape")
        case "env":
            value = environment[secret.text].encode("utf-8", "surrogateescape")
        case "file":
            value = _read(secret, folder)
        case _:
            assert_never(secret.kind)
    if len(value) > _LIMIT:
        raise InputError(
            f"secret {secret.id!r} has {len(value)} bytes, over BuildKit's limit of {_LIMIT}",
            hint="give a smaller one, or pass the content in the build context",
        )
    return value


@contextmanager
def secret_files(values: Sequence[tuple[str, bytes]]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Pairs of id and the path of a file with the value, which the same user's programs can read.

    Nothing is written to a disk, and nothing is left when this process is killed.
    """
    with ExitStack() as stack:
        found = []
        for name, value in values:
            descriptor = os.memfd_create("secret")
            stack.callback(os.close, descriptor)
            os.write(descriptor, value)
            found.append((name, f"/proc/{os.getpid()}/fd/{descriptor}"))
        yield tuple(found)


def _read(secret: Secret, folder: Path) -> bytes:
    path = folder / Path(secret.text).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"secret {secret.id!r}: cannot read {secret.text!r}: {error.strerror}",
            hint="check the path, which counts from the working directory",
        ) from error
