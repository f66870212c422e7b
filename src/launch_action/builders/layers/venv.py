"""The virtual environment of an image before anything is installed in it, and the job's home.

Source of the format: Python library reference, "venv" and "site" (pyvenv.cfg).
"""

from __future__ import annotations

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.image import JOB_GID, JOB_UID
from launch_action.builders.layers.scheme import Scheme
from launch_action.core.base import PythonFacts

JOB_HOME = "home/job"


def skeleton(scheme: Scheme, python: PythonFacts) -> list[Entry]:
    """The entries of an empty virtual environment on the base's interpreter, sorted by path.

    Its `activate` scripts are left out: an image sets PATH instead.
    """
    root = scheme.root
    config = (
        f"home = {python.executable.rpartition('/')[0] or '/'}\n"
        "include-system-site-packages = false\n"
        f"version = {python.version}\n"
        f"executable = {python.executable}\n"
    )
    return [
        _link(f"{root}/bin/python", python.executable),
        _link(f"{root}/bin/python3", "python"),
        _link(f"{root}/bin/python{scheme.python}", "python"),
        _directory(scheme.site_packages),
        # Where a distribution's Python has sys.platlibdir "lib64", its platlib is the same place.
        _link(f"{root}/lib64", "lib"),
        Entry(f"{root}/pyvenv.cfg", "file", 0o644, config.encode("utf-8", "surrogateescape")),
    ]


def home(path: str = JOB_HOME) -> Entry:
    """The job's home directory: of the job's user, and of nobody else."""
    return Entry(path.strip("/"), "directory", 0o770, uid=JOB_UID, gid=JOB_GID)


def _link(path: str, target: str) -> Entry:
    return Entry(path, "symlink", 0o777, target=target)


def _directory(path: str) -> Entry:
    return Entry(path, "directory", 0o755)
