"""Lets uv fetch and install the wheels of a resolution: for indexes whose login only uv has.

The tree that comes out has the layout of a virtual environment: `bin/`, `lib/pythonX.Y/
site-packages/`, and whatever else the wheels' data schemes hold; RECORD files are relative to
site-packages. Console scripts carry the interpreter of this machine: whoever uses the tree makes
them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from launch_action.builders.layers.index_auth import secrets
from launch_action.builders.layers.lock import LockedWheel
from launch_action.builders.layers.resolve import Uv
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_failure import failed, mask, read_failure
from launch_action.builders.layers.uv_inputs import BY_ENTRIES, index_lines, named_indexes
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.scratch import scratch_directory

_INPUT = "requirements.in"


def install_tree(
    wheels: Iterable[LockedWheel],
    inputs: DependencyInputs,
    target: Target,
    destination: Path,
    *,
    uv: Uv,
    fetch: Callable[[LockedWheel], Path] | None = None,
) -> Path:
    """Install wheels into `destination` (made, must be empty) and return its site-packages.

    Hashes are checked by uv. `fetch` gives the files of wheels that have no URL: those of the build
    context, and those built from sources. Raises BuildError.
    """
    with scratch_directory() as name:
        directory = Path(name)
        (directory / "config").mkdir()
        for path, content in inputs.files if inputs.kind not in BY_ENTRIES else ():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(content)
        (directory / _INPUT).write_text(_requirements(wheels, inputs, directory, fetch))
        arguments = _arguments(inputs, target, destination.absolute())
        done = uv.run(arguments, inputs, directory, directory / "config")
    if done.code:
        stderr = mask(done.err.decode("utf-8", "replace"), secrets(inputs, uv.environment))
        raise failed(read_failure(stderr, target), stderr, {})
    (destination / ".lock").unlink(missing_ok=True)
    return _renamed(destination, target)


def _arguments(inputs: DependencyInputs, target: Target, destination: Path) -> list[str]:
    # Our own interpreter serves: nothing is run, and --python-version decides what fits.
    arguments = ["pip", "install", "--prefix", str(destination), "--python", sys.executable]
    arguments += ["--no-config"] if inputs.kind in BY_ENTRIES else []
    arguments += named_indexes(inputs.options)
    arguments += ["--python-version", target.python, "--python-platform", target.uv_platform]
    return [*arguments, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", _INPUT]


def _requirements(
    wheels: Iterable[LockedWheel],
    inputs: DependencyInputs,
    directory: Path,
    fetch: Callable[[LockedWheel], Path] | None,
) -> str:
    """Each wheel by version and hash, from the declared indexes: uv knows logins by index."""
    written = {one.name: one.text for one in inputs.requirements if one.url}
    # Directories of the context are not here, and what lies in them needs no login.
    lines = [x for x in index_lines(inputs) if not x.startswith("--find-links") or "://" in x]
    for wheel in wheels:
        if not wheel.sha256 or not (wheel.url or fetch):
            raise BuildError(
                f"{wheel.filename} has no URL or no SHA-256, so uv cannot install it checked",
                hint="use an index that gives hashes",
            )
        if not wheel.url and fetch:
            (directory / wheel.filename).symlink_to(fetch(wheel).resolve())
            text = f"./{wheel.filename}"
        elif wheel.direct:
            text = written.get(wheel.name, f"{wheel.name} @ {wheel.url}")
        else:
            text = f"{wheel.name}=={wheel.version}"
        lines.append(f"{text} --hash=sha256:{wheel.sha256}")
    return "".join(f"{line}\n" for line in lines)


def _renamed(destination: Path, target: Target) -> Path:
    """Give the directories that carry our own Python's version that of the target."""
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
    theirs = f"python{target.minor}"
    library = destination / "lib" / theirs
    if ours != theirs:
        (destination / "lib" / ours).rename(library)
        headers = destination / "include" / "site" / ours
        if headers.is_dir():
            headers.rename(headers.with_name(theirs))
    packages = library / "site-packages"
    old, new = f"/include/site/{ours}/", f"/include/site/{theirs}/"
    for record in packages.glob("*.dist-info/RECORD"):
        text = record.read_text("utf-8")
        if old in text and old != new:
            record.unlink()  # it may be a hard link into uv's cache
            record.write_text(text.replace(old, new), "utf-8")
    return packages
