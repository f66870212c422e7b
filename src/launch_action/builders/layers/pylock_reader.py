"""From a lock (pylock.toml, PEP 751) to one wheel per package that fits the target."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote, urlsplit

from launch_action.builders.layers.lock import LockedWheel, Resolution, SourcePackage
from launch_action.builders.layers.target import Target
from launch_action.core.credentials import without_credentials
from launch_action.core.errors import BuildError
from launch_action.core.vcs import GitSource


def read_lock(
    text: str,
    target: Target,
    *,
    root: str = "",
    hashes: Mapping[str, Sequence[str]] | None = None,
    places: Mapping[str, str] | None = None,
    below: str = "",
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> Resolution:
    """The wheels of a pylock document for the target.

    `root` is the directory that the lock's files lie in; paths below it are paths of the build
    context. `below` is the directory of a lock in the context, which its own paths are relative to.
    `hashes` are the digests allowed per package name; when given, every package must have some, but
    for those of the context and of repositories. `places` says where a package is required.
    `extras` and `groups` are those of the lock to install. Raises BuildError.
    """
    import tomli

    document = tomli.loads(text)
    _check_python(document, target)
    environment = _environment(document, target, extras, groups)
    _check_environment(document, environment, target)
    found: list[LockedWheel | SourcePackage] = []
    for package in _selected(document, environment):
        try:
            found.append(_choose(package, target, (root, below), _allowed(package, hashes)))
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


def _environment(
    document: Mapping[str, Any], target: Target, extras: Sequence[str], groups: Sequence[str]
) -> dict[str, Any]:
    """What the lock's markers are evaluated in (PEP 751, "Installation")."""
    chosen = groups or document.get("default-groups", ())
    selected = {"extras": frozenset(extras), "dependency_groups": frozenset(chosen)}
    return {**target.markers, "extra": "", **selected}


def _check_environment(
    document: Mapping[str, Any], environment: Mapping[str, Any], target: Target
) -> None:
    wanted = document.get("environments", ())
    if wanted and not any(_holds(marker, environment) for marker in wanted):
        raise BuildError(
            f"the lock is for other environments than {target}: {' | '.join(wanted)}",
            hint="lock again for the job's platform and Python",
        )


def _holds(marker: str, environment: Mapping[str, Any]) -> bool:
    from packaging.markers import Marker

    return Marker(marker).evaluate(dict(environment), context="lock_file")


def _selected(
    document: Mapping[str, Any], environment: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    seen = set()
    for package in document.get("packages", ()):
        marker = package.get("marker")
        if marker and not _holds(marker, environment):
            continue
        if package["name"] in seen:
            raise BuildError(
                f"the lock has {package['name']!r} twice for this environment",
                hint="lock again; markers must tell its versions apart",
            )
        seen.add(package["name"])
        yield package


def _allowed(
    package: Mapping[str, Any], hashes: Mapping[str, Sequence[str]] | None
) -> tuple[str, ...] | None:
    # What is in the commit, or named by a commit, is fixed by that.
    if hashes is None or "directory" in package or "vcs" in package:
        return None
    found = tuple(hashes.get(package["name"], ()))
    if not found:
        raise BuildError(
            f"no hash is given for {package['name']} {package.get('version', '')}",
            hint="add it with its hashes: `uv pip compile --generate-hashes` writes all of them",
        )
    return found


def _choose(
    package: Mapping[str, Any],
    target: Target,
    where: tuple[str, str],
    allowed: tuple[str, ...] | None,
) -> LockedWheel | SourcePackage:
    name, version = package["name"], package.get("version", "")
    if "directory" in package:
        return SourcePackage(name, version, "directory", path=_directory(package, where))
    if "vcs" in package:
        return _repository(package)
    if "archive" in package:
        return _archive(package, where, allowed)
    fitting = _fitting(package.get("wheels", ()), target)
    found = [_wheel(package, entry, where) for entry in fitting]
    if allowed is not None:
        found = [_checked(wheel, allowed) for wheel in found if _may_hold(wheel.sha256, allowed)]
    if found:
        return found[0]
    return _sdist(package, where, allowed, fitting)


def _sdist(
    package: Mapping[str, Any],
    where: tuple[str, str],
    allowed: tuple[str, ...] | None,
    rejected: list[Mapping[str, Any]],
) -> SourcePackage:
    name, version, sdist = package["name"], package.get("version", ""), package.get("sdist")
    if allowed is not None:
        good = sdist if sdist and f"sha256:{_sha256(sdist)}" in allowed else None
        rejected = [*rejected, *([sdist] if sdist else [])]
        if rejected and not good:
            raise _wrong_hash(package, rejected, allowed)
        sdist = good
    if not sdist:
        return SourcePackage(name, version, "other")
    url, path = _place(sdist, where)
    wheels = [_filename(entry) for entry in package.get("wheels", ())]
    compiled = bool(wheels) and not any(name.endswith("-any.whl") for name in wheels)
    return SourcePackage(name, version, "sdist", url, _sha256(sdist), path, compiled=compiled)


def _directory(package: Mapping[str, Any], where: tuple[str, str]) -> str:
    entry = package["directory"]
    inside = posixpath.join(where[1], entry["path"], entry.get("subdirectory", ""))
    return posixpath.normpath(inside.removeprefix(f"{where[0]}/") if where[0] else inside)


def _repository(package: Mapping[str, Any]) -> SourcePackage:
    vcs = package["vcs"]
    if vcs.get("type") != "git" or not vcs.get("url"):
        raise BuildError(
            f"{package['name']} is of a {vcs.get('type')!r} repository, which is not fetched",
            hint="require a released version, or one of a git repository",
        )
    source = GitSource(vcs["url"], vcs["commit-id"], vcs.get("subdirectory", ""))
    return SourcePackage(
        package["name"],
        package.get("version", ""),
        "git",
        source.plain,
        revision=source.revision,
        subdirectory=source.subdirectory,
        requested=vcs.get("requested-revision", ""),
        direct=True,
    )


def _sha256(entry: Mapping[str, Any]) -> str:
    return str(entry.get("hashes", {}).get("sha256", "")).lower()


def _archive(
    package: Mapping[str, Any], where: tuple[str, str], allowed: tuple[str, ...] | None
) -> LockedWheel | SourcePackage:
    entry = package["archive"]
    wheel = _wheel(package, entry, where, direct=True)
    if not wheel.filename.endswith(".whl"):
        if allowed is not None and f"sha256:{wheel.sha256}" not in allowed:
            raise _wrong_hash(package, [entry], allowed)
        return SourcePackage(
            wheel.name,
            wheel.version,
            "sdist",
            wheel.url,
            wheel.sha256,
            wheel.path,
            subdirectory=entry.get("subdirectory", ""),
            direct=True,
        )
    if allowed is not None and not _may_hold(wheel.sha256, allowed):
        raise _wrong_hash(package, [entry], allowed)
    return wheel if allowed is None else _checked(wheel, allowed)


def _fitting(entries: Sequence[Mapping[str, Any]], target: Target) -> list[Mapping[str, Any]]:
    """The wheels that fit, best first; a higher build number wins within one tag."""
    ranked = []
    for entry in entries:
        filename = _filename(entry)
        rank = target.rank(filename)
        if rank is not None:
            ranked.append((rank, _build(filename.removesuffix(".whl").split("-")), entry))
    return [entry for _, _, entry in sorted(ranked, key=lambda one: one[:2])]


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
    package: Mapping[str, Any],
    entry: Mapping[str, Any],
    where: tuple[str, str],
    *,
    direct: bool = False,
) -> LockedWheel:
    url, path = _place(entry, where)
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


def _place(entry: Mapping[str, Any], where: tuple[str, str]) -> tuple[str, str]:
    """The URL without credentials, or the path in the build context."""
    root, below = where
    url = entry.get("url", "")
    if url and not url.startswith("file:"):
        return without_credentials(url), ""
    local = unquote(urlsplit(url).path) if url else entry.get("path", "")
    normal = posixpath.normpath(posixpath.join(root, below, local))
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
