"""From a lock (pylock.toml, PEP 751) to one wheel per package that fits the target."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from launch_action.builders.layers.target import Target
from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """One wheel to install.

    `url` has no credentials; it is empty for a wheel of the build context, which is at `path`.
    `sha256` is hexadecimal, `size` counts bytes where the lock tells it. `direct` says that the
    requirement names this URL itself. `hashes` are further allowed digests (`sha512:...`), of
    which one must hold, from a requirements file that gives no sha256 for it.
    """

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int | None = None
    path: str = ""
    direct: bool = False
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """A package that the lock has no fitting wheel for: an sdist at `url`, or a directory."""

    name: str
    version: str
    kind: Literal["sdist", "directory", "other"]
    url: str = ""
    sha256: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What will be installed, in the resolver's order (by name)."""

    wheels: tuple[LockedWheel, ...]
    sources: tuple[SourcePackage, ...] = ()

    @property
    def without_wheel(self) -> tuple[str, ...]:
        """The packages that have only a source for the target, as `name version`."""
        return tuple(f"{one.name} {one.version}".strip() for one in self.sources)

    @property
    def frozen(self) -> tuple[str, ...]:
        """`name==version` or `name @ url` of every wheel, sorted by name."""
        return tuple(frozen_line(one) for one in sorted(self.wheels, key=lambda one: one.name))

    def require_wheels(self, target: Target) -> None:
        """Raise BuildError when a package has no wheel for the target."""
        if self.sources:
            names = ", ".join(self.without_wheel)
            raise BuildError(
                f"no wheel of {names} for {target}",
                hint="require a version that has one, or build with --builder buildkit and a "
                "Dockerfile",
            )


def frozen_line(wheel: LockedWheel) -> str:
    """What is installed by a wheel, as a line of `requirements.frozen.txt`."""
    if wheel.direct and wheel.url:
        return f"{wheel.name} @ {wheel.url}"
    return f"{wheel.name}=={wheel.version}"


def dump_resolution(resolution: Resolution) -> str:
    """A resolution as JSON, for the cache."""
    return json.dumps(asdict(resolution), sort_keys=True)


def load_resolution(text: str) -> Resolution:
    """What `dump_resolution` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    document = json.loads(text)
    wheels = [one | {"hashes": tuple(one["hashes"])} for one in document["wheels"]]
    return Resolution(
        tuple(LockedWheel(**one) for one in wheels),
        tuple(SourcePackage(**one) for one in document["sources"]),
    )


def read_lock(
    text: str,
    target: Target,
    *,
    root: str = "",
    hashes: Mapping[str, Sequence[str]] | None = None,
    places: Mapping[str, str] | None = None,
) -> Resolution:
    """The wheels of a pylock document for the target.

    `root` is the directory that the lock's files lie in; paths below it are paths of the build
    context. `hashes` are the digests allowed per package name; when given, every package must have
    some; `places` says where a package is required. Raises BuildError.
    """
    import tomli

    document = tomli.loads(text)
    _check_python(document, target)
    found = []
    for package in document.get("packages", ()):
        if not _wanted(package, target):
            continue
        try:
            found.append(_choose(package, target, root, _allowed(package, hashes)))
        except BuildError as error:
            place = (places or {}).get(package["name"])
            message = f"{place}: {error.message}" if place else error.message
            raise BuildError(message, hint=error.hint, context=error.context) from None
    return Resolution(
        tuple(one for one in found if isinstance(one, LockedWheel)),
        tuple(one for one in found if isinstance(one, SourcePackage)),
    )


def _check_python(document: Mapping[str, Any], target: Target) -> None:
    from packaging.specifiers import SpecifierSet

    wanted = document.get("requires-python")
    if wanted and target.full_python not in SpecifierSet(wanted):
        raise BuildError(
            f"the lock is for Python {wanted}, the job has {target.python}",
            hint="choose another --python, or lock again with another requires-python",
        )


def _wanted(package: Mapping[str, Any], target: Target) -> bool:
    from packaging.markers import Marker

    marker = package.get("marker")
    environment = {**target.markers, "extra": ""}
    return not marker or Marker(marker).evaluate(environment)


def _allowed(
    package: Mapping[str, Any], hashes: Mapping[str, Sequence[str]] | None
) -> tuple[str, ...] | None:
    if hashes is None:
        return None
    found = tuple(hashes.get(package["name"], ()))
    if not found:
        raise BuildError(
            f"no hash is given for {package['name']} {package.get('version', '')}",
            hint="add it with its hashes: `uv pip compile --generate-hashes` writes all of them",
        )
    return found


def _choose(
    package: Mapping[str, Any], target: Target, root: str, allowed: tuple[str, ...] | None
) -> LockedWheel | SourcePackage:
    name, version = package["name"], package.get("version", "")
    if "directory" in package:
        path = posixpath.normpath(package["directory"]["path"])
        return SourcePackage(name, version, "directory", path=path)
    if "archive" in package:
        return _archive(package, root, allowed)
    fitting = _fitting(package.get("wheels", ()), target)
    found = [_wheel(package, entry, root) for entry in fitting]
    if allowed is not None:
        found = [_checked(wheel, allowed) for wheel in found if _may_hold(wheel.sha256, allowed)]
    if found:
        return found[0]
    sdist = package.get("sdist")
    if allowed is not None:
        sdist = sdist if sdist and f"sha256:{_sha256(sdist)}" in allowed else None
        rejected = [*fitting, *([package["sdist"]] if "sdist" in package else [])]
        if rejected and not sdist:
            raise _wrong_hash(package, rejected, allowed)
    if not sdist:
        return SourcePackage(name, version, "other")
    url = without_credentials(sdist.get("url", ""))
    return SourcePackage(name, version, "sdist", url, _sha256(sdist))


def _sha256(entry: Mapping[str, Any]) -> str:
    return str(entry.get("hashes", {}).get("sha256", "")).lower()


def _archive(
    package: Mapping[str, Any], root: str, allowed: tuple[str, ...] | None
) -> LockedWheel | SourcePackage:
    entry = package["archive"]
    wheel = _wheel(package, entry, root, direct=True)
    if not wheel.filename.endswith(".whl"):
        return SourcePackage(wheel.name, wheel.version, "sdist", wheel.url, wheel.sha256)
    if allowed is not None and not _may_hold(wheel.sha256, allowed):
        raise _wrong_hash(package, [entry], allowed)
    return wheel if allowed is None else _checked(wheel, allowed)


def _fitting(entries: Sequence[Mapping[str, Any]], target: Target) -> list[Mapping[str, Any]]:
    """The wheels that fit, best first; a higher build number wins within one tag."""
    ranked = []
    for entry in entries:
        parts = _filename(entry).removesuffix(".whl").split("-")
        rank = _rank(parts[-3:], target)
        if rank is not None:
            ranked.append((rank, _build(parts), entry))
    return [entry for _, _, entry in sorted(ranked, key=lambda one: one[:2])]


def _rank(tags: Sequence[str], target: Target) -> int | None:
    if len(tags) < 3:
        return None
    pythons, abis, platforms = (part.split(".") for part in tags)
    ranks = target.ranks
    return min(
        (
            ranks[tag]
            for python in pythons
            for abi in abis
            for platform in platforms
            if (tag := f"{python}-{abi}-{platform}") in ranks
        ),
        default=None,
    )


def _build(parts: Sequence[str]) -> tuple[int, str]:
    """The build number of a wheel's file name, as a key that sorts the highest first."""
    if len(parts) < 6:
        return (0, "")
    digits = "".join(c for c in parts[2] if c.isdigit())
    return (-int(digits or 0), parts[2])


def _filename(entry: Mapping[str, Any]) -> str:
    path = entry.get("path") or urlsplit(entry["url"]).path
    return str(entry.get("name") or unquote(path.rpartition("/")[2]))


def _wheel(
    package: Mapping[str, Any], entry: Mapping[str, Any], root: str, *, direct: bool = False
) -> LockedWheel:
    url, path = _place(entry, root)
    return LockedWheel(
        name=package["name"],
        version=package.get("version", ""),
        filename=_filename(entry),
        url=url,
        sha256=_sha256(entry),
        size=entry.get("size"),
        path=path,
        direct=direct,
    )


def _place(entry: Mapping[str, Any], root: str) -> tuple[str, str]:
    """The URL without credentials, or the path in the build context."""
    url = entry.get("url", "")
    local = entry.get("path") or (unquote(urlsplit(url).path) if url.startswith("file:") else "")
    if not local:
        return without_credentials(url), ""
    normal = posixpath.normpath(posixpath.join(root, local))
    inside = normal.removeprefix(f"{root}/") if root else normal
    if inside.startswith(("/", "../")):
        raise BuildError(
            f"a wheel outside the build context: {local!r}",
            hint="commit the wheel, or serve it from an index",
        )
    return "", inside


def _may_hold(sha256: str, allowed: Sequence[str]) -> bool:
    """Whether a file may be an allowed one: by its SHA-256, or by a hash of another kind."""
    return f"sha256:{sha256}" in allowed or any(not x.startswith("sha256:") for x in allowed)


def _checked(wheel: LockedWheel, allowed: Sequence[str]) -> LockedWheel:
    if f"sha256:{wheel.sha256}" in allowed:
        return wheel
    others = tuple(one for one in allowed if not one.startswith("sha256:"))
    return LockedWheel(**{**asdict(wheel), "hashes": others})


def _wrong_hash(
    package: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], allowed: Sequence[str]
) -> BuildError:
    found = _sha256(entries[0]) or "unknown"
    return BuildError(
        f"no wheel of {package['name']} {package.get('version', '')} has a hash that is given for "
        f"it: {_filename(entries[0])} has sha256:{found}",
        hint="the file on the index is not the one that was hashed; compile the hashes again",
        context="allowed:\n" + "\n".join(allowed),
    )
