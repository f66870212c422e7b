"""`launch-action doctor`: what this machine has, what is missing, and what that means."""

from __future__ import annotations

import json
import os
import platform as machine
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from launch_action import __version__, process
from launch_action.cache import cache_root
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError
from launch_action.planning.workplace import in_actions
from launch_action.report import printable


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for. `needed` says what it is needed for where it is missing."""

    name: str
    found: bool
    detail: str
    needed: str = ""


def examine(*, as_json: bool) -> int:
    """Print the findings; the exit code is 0 as long as a job can be built here at all."""
    environment = dict(os.environ)
    findings = [finding for check in _CHECKS for finding in check(environment)]
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        for finding in findings:
            mark = "ok     " if finding.found else "missing"
            needed = f" ({finding.needed})" if finding.needed and not finding.found else ""
            sys.stdout.write(
                printable(f"{mark} {finding.name:<12} {finding.detail}{needed}") + "\n"
            )
    essential = {finding.name: finding.found for finding in findings}
    return 0 if essential["git"] and essential["uv"] else 3


def _program(_: Mapping[str, str]) -> Iterator[Finding]:
    python = f"Python {machine.python_version()} on {machine.system().lower()}/{machine.machine()}"
    yield Finding("launch-action", True, f"{__version__}, {python}")


def _git(_: Mapping[str, str]) -> Iterator[Finding]:
    yield _version("git", ["git", "--version"], "reads the checkout: apt-get install git")
    yield _version("git-lfs", ["git-lfs", "--version"], "fetches LFS files before the build")


def _uv(_: Mapping[str, str]) -> Iterator[Finding]:
    from launch_action.builders.layers.resolve import find_uv

    try:
        yield _version("uv", [str(find_uv()), "--version"], "resolves dependencies")
    except LaunchError as error:
        yield Finding("uv", False, error.message, error.hint)


def _debian(_: Mapping[str, str]) -> Iterator[Finding]:
    from launch_action.builders.layers.debian import available

    reason = available()
    yield Finding(
        "deb: bases",
        reason is None,
        reason or "apt-get can assemble a base without a registry",
        "--base-image deb:SUITE works on Debian and Ubuntu",
    )


def _engine(_: Mapping[str, str]) -> Iterator[Finding]:
    from launch_action.engine import engine_available

    engine = engine_available()
    if isinstance(engine, str):
        yield Finding("engine", False, engine, "not needed to build; runs are local processes")
    else:
        zstd = "takes" if engine.takes_zstd else "does not take"
        detail = f"{engine.name} {engine.version} at {engine.address}, {zstd} --compression zstd"
        yield Finding("engine", True, detail)


def _builder(environment: Mapping[str, str]) -> Iterator[Finding]:
    yield Finding("builder", True, "layers: no daemon, no root")
    from launch_action.builders.buildkit.client import Docker, docker_environment
    from launch_action.builders.buildkit.probe import find_rung

    try:
        found = find_rung(Docker(docker_environment(environment), lambda _: None))
    except LaunchError as error:
        yield Finding("dockerfiles", False, error.message, error.hint)
    else:
        yield Finding("dockerfiles", True, f"buildkit: {found}")


def _login(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The registries that the Docker configuration names; never a credential."""
    home = environment.get("DOCKER_CONFIG") or str(Path(environment.get("HOME", "/"), ".docker"))
    path = Path(home, "config.json")
    try:
        document = json.loads(path.read_bytes())
        names = sorted({*document.get("auths", {}), *document.get("credHelpers", {})})
        store = [f"store {document['credsStore']}"] if document.get("credsStore") else []
    except FileNotFoundError:
        names, store = [], []
    except (OSError, ValueError, AttributeError, TypeError) as error:
        yield Finding("login", False, f"{path} cannot be read: {error}", "docker login writes it")
        return
    known = ", ".join([*names, *store])
    yield Finding("login", bool(known), known or f"none in {path}", "to push: docker login HOST")


def _wandb(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Where the key is from, and whether the server takes it; never the key."""
    from launch_action.wandb.account import find_account

    try:
        account = find_account(environment, Path.cwd())
        server = f"{account.base_url}, {_sdk()}"
        if not account.key:
            detail = f"{server}; no key: runs are offline, and nothing is recorded there"
            yield Finding("wandb", True, detail)
            return
        entity = account.own_entity(patient=False)
    except LaunchError as error:
        yield Finding("wandb", False, error.message, error.hint)
        return
    project = f", project {account.project}" if account.project else ""
    found = account.entity or entity or "unknown"
    detail = f"{server}; the key of {account.key_place} is taken, entity {found}{project}"
    yield Finding("wandb", True, detail)


def _sdk() -> str:
    import importlib.metadata

    try:
        return f"SDK {importlib.metadata.version('wandb')}"
    except importlib.metadata.PackageNotFoundError:
        return "no SDK here (jobs bring their own)"


def _places(environment: Mapping[str, str]) -> Iterator[Finding]:
    cache = cache_root(environment)
    yield Finding("cache", True, f"{cache}, {_size(cache)}")
    place = "GitHub Actions" if in_actions(environment) else "not in GitHub Actions"
    yield Finding("ci", True, place)


def _size(directory: Path) -> str:
    from launch_action.report import readable_size

    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            total += path.lstat().st_size if path.exists() else 0
    return readable_size(total)


def _version(name: str, arguments: list[str], needed: str) -> Finding:
    try:
        done = process.run(arguments, timeout=10)
    except FileNotFoundError:
        return Finding(name, False, "not found", needed)
    except (OSError, process.TimedOut) as error:
        return Finding(name, False, f"cannot be run: {error}", needed)
    first = (done.text.strip().splitlines() or [""])[0]
    return Finding(name, done.code == 0, first, needed)


_CHECKS: tuple[Callable[[Mapping[str, str]], Iterator[Finding]], ...] = (
    _program,
    _git,
    _uv,
    _builder,
    _debian,
    _engine,
    _login,
    _wandb,
    _places,
)
