"""The Docker client's configuration with a login that only this run was given."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launch_action.core.errors import InputError
from launch_action.scratch import scratch_directory

# What else the client keeps beside its config.json.
_BESIDE = ("buildx", "cli-plugins", "contexts")


@contextmanager
def client_environment(
    environment: Mapping[str, str], logins: Mapping[str, tuple[str, str]]
) -> Iterator[dict[str, str]]:
    """The environment of the client; with logins (user and password by registry), another
    DOCKER_CONFIG that only this user can read, and that is gone when the block ends."""
    if not logins:
        yield dict(environment)
        return
    home = _home(environment)
    with scratch_directory() as name:
        folder = Path(name)
        for part in _BESIDE:
            if (home / part).exists():
                (folder / part).symlink_to((home / part).absolute())
        document = with_logins(_read(home / "config.json"), logins)
        place = folder / "config.json"
        place.touch(mode=0o600)
        place.write_text(json.dumps(document))
        found = {**environment, "DOCKER_CONFIG": name}
        found.setdefault("BUILDX_CONFIG", str((home / "buildx").absolute()))
        yield found


def with_logins(
    document: Mapping[str, Any], logins: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """A config.json with these logins besides its own.

    A store for all logins would hide the ones that stand in the file, so that it becomes the
    helper of each registry that it has a login for.
    """
    found = dict(document)
    auths = dict(found.get("auths") or {})
    helpers = dict(found.get("credHelpers") or {})
    store = found.pop("credsStore", "")
    if store:
        helpers = {**dict.fromkeys(auths, store), **helpers}
    for host, (user, password) in logins.items():
        helpers.pop(host, None)
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        auths[host] = {"auth": pair}
    return {**found, "auths": auths, **({"credHelpers": helpers} if helpers else {})}


def _home(environment: Mapping[str, str]) -> Path:
    chosen = environment.get("DOCKER_CONFIG")
    return Path(chosen) if chosen else Path(environment.get("HOME") or "/", ".docker")


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(
            f"the Docker configuration {str(path)!r} cannot be read: {error}",
            hint="`docker login` writes it anew",
        ) from error
    return document if isinstance(document, dict) else {}
