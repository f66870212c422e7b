"""`deb:<suite>`: a minimal Python base assembled from a distribution's signed packages.

What is resolved is a list of packages; the files are fetched only when the layer must be made, so
that a machine which finds the layer in an earlier image downloads none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from launch_action.builders.layers.archive import Entry, LayerRecipe
from launch_action.builders.layers.debian_archive import Archive
from launch_action.builders.layers.debian_list import PackageList
from launch_action.builders.layers.debian_machine import Machine, missing_tool
from launch_action.builders.layers.debian_mirror import SuiteArchive
from launch_action.builders.layers.debian_suites import distribution_of
from launch_action.builders.layers.debian_system import FORMAT, system_entries
from launch_action.builders.layers.writer import layer_key
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, DebianBase, PythonFacts, SystemPackages
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform
from launch_action.core.ports import Reporter
from launch_action.core.reference import Digest

# Seconds for which a package list is taken as it is, before the archive is asked again.
FRESH = 3600.0
_ARCHITECTURES = ("amd64", "arm64")
_INTERPRETER = re.compile(r"python(3\.[0-9]+)")
_UPSTREAM = re.compile(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def available() -> str | None:
    """Why `deb:` bases cannot be made here; None where they can (for doctor)."""
    return missing_tool()


def resolve_debian(
    reference: DebianBase,
    platform: Platform,
    python: str,
    *,
    cache: Cache,
    reporter: Reporter,
    machine: Machine | None = None,
    fresh: float = FRESH,
) -> tuple[BaseFacts, LayerRecipe]:
    """The facts and the layer of a suite's base; its own Python must be `python` (X.Y).

    A list is taken as it is for `fresh` seconds. Raises BuildError.
    """
    distribution = distribution_of(reference.suite)
    _check(reference, platform)
    archive = SuiteArchive(reference.suite, platform.architecture, cache, machine)
    if reference.identity is None:
        packages = archive.current(fresh, reporter)
    else:
        packages = _pinned(reference, reference.identity, archive, fresh, reporter)
    return _base(reference, platform, python, packages, archive, distribution.id)


def _check(reference: DebianBase, platform: Platform) -> None:
    reason = missing_tool()
    if reason:
        raise BuildError(
            f"cannot make base image {str(reference)!r} here: {reason}",
            hint="name a --base-image of a registry, or build on Debian or Ubuntu",
        )
    if platform.os != "linux" or platform.architecture not in _ARCHITECTURES:
        raise BuildError(
            f"no {platform} in base image {reference}: it has linux/amd64, linux/arm64",
            hint="choose one of these with --platform",
        )


def _pinned(
    reference: DebianBase,
    identity: Digest,
    archive: SuiteArchive,
    fresh: float,
    reporter: Reporter,
) -> PackageList:
    """The list of this identity: known from before, or what the archive has now."""
    known = archive.known(identity)
    if known is not None and archive.complete(known):
        return known
    now = archive.current(fresh, reporter)
    if now.identity == identity:
        return now
    changes = "\n".join(known.changes(now)) if known else ""
    raise BuildError(
        f"deb:{reference.suite} is {now.identity} now, not {identity}",
        hint=f"pin the new list with --base-image deb:{reference.suite}@{now.identity}, "
        "or build where the old packages are still in the cache",
        context=changes,
    )


def _base(
    reference: DebianBase,
    platform: Platform,
    python: str,
    packages: PackageList,
    archive: SuiteArchive,
    distribution: str,
) -> tuple[BaseFacts, LayerRecipe]:
    name = f"deb:{reference.suite}"
    facts = BaseFacts(
        name=name,
        identity=str(packages.identity),
        platform=platform,
        python=_python(packages, python, name),
        libc="glibc",
        libc_version=".".join(_upstream(packages, "libc6").split(".")[:2]),
        created=_created(packages, archive),
        config=_config(platform),
        system=SystemPackages(
            distribution,
            reference.suite,
            tuple((p.name, p.version, p.architecture, p.sha256) for p in packages.packages),
        ),
    )
    recipe = LayerRecipe(
        key=layer_key("deb", FORMAT, str(packages.identity), platform.architecture, distribution),
        role="base",
        title=name,
        entries=_entries(packages, archive, platform.architecture, distribution),
    )
    return facts, recipe


def _entries(
    packages: PackageList, archive: SuiteArchive, architecture: str, distribution: str
) -> Callable[[], Iterator[Entry]]:
    def entries() -> Iterator[Entry]:
        files = archive.files(packages.packages)
        ordered = [files[one.sha256] for one in packages.packages]
        return system_entries(packages, ordered, architecture, distribution)

    return entries


def _python(packages: PackageList, wanted: str, name: str) -> PythonFacts:
    """The suite's interpreter, by the package that python3 depends on."""
    minors = [m[1] for one in packages.packages if (m := _INTERPRETER.fullmatch(one.name))]
    if not minors:
        raise BuildError(f"no python in {name}", hint="name another --base-image")
    if len(minors) != 1 or minors[0] != ".".join(wanted.split(".")[:2]):
        there = ", ".join(minors)
        raise BuildError(
            f"{name} has Python {there}, not {wanted}",
            hint=f"choose it with --python {minors[0]}, or name another --base-image",
        )
    return PythonFacts(_upstream(packages, f"python{minors[0]}"), f"/usr/bin/python{minors[0]}")


def _upstream(packages: PackageList, name: str) -> str:
    """The upstream part of a package's version, its numbers only: 2.36 of 2.36-9+deb12u14."""
    found = packages.find(name)
    version = found and _UPSTREAM.match(found.version)
    if not version:
        raise BuildError(f"no package {name!r} in the base", hint="name another --base-image")
    return version[1]


def _created(packages: PackageList, archive: SuiteArchive) -> str:
    """When the newer of two small packages was built: the release's, and the interpreter's.

    They stand for all, so that the others need not be fetched where the layer is known.
    """
    dated = [
        one
        for one in packages.packages
        if one.name == "base-files" or re.fullmatch(r"python3\.[0-9]+-venv", one.name)
    ]
    files = archive.files(dated)
    newest = max((Archive(path).modified() for path in files.values()), default=315532800)
    return datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _config(platform: Platform) -> dict[str, object]:
    """The image config that the layers go on; like the official images', without an interpreter
    command."""
    return {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {"Env": [f"PATH={_PATH}", "LANG=C.UTF-8"]},
    }
