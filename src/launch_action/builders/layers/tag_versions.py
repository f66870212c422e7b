"""Versions that a project leaves to git's tags, where an image must not depend on the commit.

A directory of the commit is built without its repository. The back ends that would ask git take a
version from the environment instead. Source: setuptools-scm ("Overrides"), hatch-vcs (which uses
it), PDM ("Dynamic project version"), poetry-dynamic-versioning and uv-dynamic-versioning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from launch_action.core.context import Context
from launch_action.core.project_file import project_identity

VERSION = "0.0.0"
# For a build of one project; where others are built too, its name has to be said.
PRETENDED = tuple(
    (name, VERSION)
    for name in (
        "SETUPTOOLS_SCM_PRETEND_VERSION",
        "PDM_BUILD_SCM_VERSION",
        "POETRY_DYNAMIC_VERSIONING_BYPASS",
        "UV_DYNAMIC_VERSIONING_BYPASS",
        "PBR_VERSION",
    )
)


def pretended_versions(
    context: Context | None, directories: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """The variables that give the projects at these paths a version, each by its own name."""
    found = []
    for path in directories if context else ():
        file = "pyproject.toml" if path == "." else f"{path}/pyproject.toml"
        content = context.read(file) if context else None
        name, version = project_identity(content) if content else ("", "")
        if name and not version:
            part = re.sub(r"[-_.]+", "_", name).upper()
            found.append((f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{part}", VERSION))
    return tuple(found)
