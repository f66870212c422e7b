"""Whether a version that was built of a commit is what a release of it would be: then it is that.

A version records its recipe, the hash of all that decides its image but the bytes of its base and
of bytecode. The same recipe is the same job, even where the base has moved since.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from launch_action.core.job import JobDocument
from launch_action.core.plan import LaunchPlan
from launch_action.core.version import JobVersion


def objection(
    plan: LaunchPlan, version: JobVersion, document: JobDocument, schema: bytes | None
) -> str:
    """Why the version of this commit is not what the plan would build; empty where it is.

    `document` and `schema` are what is recorded of it.
    """
    return next(_objections(plan, version, document, schema), "")


def _objections(
    plan: LaunchPlan, version: JobVersion, document: JobDocument, schema: bytes | None
) -> Iterator[str]:
    build, own = plan.build, document.own
    if (version.remote, version.commit) != (plan.remote, plan.commit):
        yield f"it is of {version.remote or 'no remote'} at {version.commit or 'no commit'}"
    if version.job_name != plan.job_name:
        yield f"it is of job {version.job_name!r}, and this is {plan.job_name!r}"
    if not version.images:
        yield "it was recorded and not built"
    if build.fresh:
        yield "--no-cache asks for a new build"
    if tuple(document.entrypoint) != build.entrypoint:
        yield f"its entry point is {shlex.join(document.entrypoint)!r}"
    there = {str(image.platform) for image in version.images}
    if there != {str(platform) for platform in build.platforms}:
        yield f"its platforms are {', '.join(sorted(there))}"
    if own.get("builder") != build.builder:
        yield f"its builder is {own.get('builder')!r}"
    if own.get("dependencies") != build.dependencies.main:
        yield f"its dependencies are {own.get('dependencies') or 'none'}"
    if own.get("cutoff") != build.cutoff:
        yield f"its requirements were resolved as of {own.get('cutoff') or 'no day'}"
    if not own.get("recipe"):
        yield "it does not say what its image was made of"
    elif own.get("recipe") != build.recipe:
        yield "its base image, files, options or the version of the builder differ"
    if schema != plan.schema:
        yield "the schema of its inputs differs"
