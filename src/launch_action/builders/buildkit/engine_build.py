"""A build by the engine's BuildKit alone, where there is no buildx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_action.builders.buildkit.bases import DockerfileBase
from launch_action.builders.buildkit.checks import stopped_at
from launch_action.builders.buildkit.context import write_tar
from launch_action.builders.buildkit.engine import build_in_engine, engine_query, removed_after
from launch_action.builders.buildkit.generated import PROJECT, WHEELS
from launch_action.builders.buildkit.rungs import check_engine_build
from launch_action.builders.buildkit.saved_image import read_saved_image
from launch_action.builders.buildkit.target import Taken
from launch_action.builders.buildkit.work import Work
from launch_action.core.errors import BuildError
from launch_action.engine import connected, engine_errors

if TYPE_CHECKING:
    from docker import DockerClient

_PULLS = "see that the engine reaches its registry, and that `docker login` was done"
# Seconds for an answer: a large image takes long to be put together before it is saved.
_PATIENCE = 600
# In the context where the ignore rules leave the Dockerfile out of it: there is no other way in.
_APART = ".launch-action.Dockerfile"


def build_with_engine(work: Work) -> tuple[Taken, ...]:
    """Build and take the image over. Raises InputError for what this rung cannot, BuildError."""
    check_engine_build(work.plan)
    with connected(_PATIENCE) as engine:
        for base in work.bases:
            _bring(engine, base, work)
        image = _build(engine, work)
        with removed_after(image, work.docker.say):
            folder = work.folder / "saved"
            folder.mkdir()
            with engine_errors("the engine does not hand the image over", kind=BuildError):
                saved = read_saved_image(engine.api.get_image(image), folder)
            return (work.taking.saved(saved),)


def _build(engine: DockerClient, work: Work) -> str:
    apart = work.ignored or work.plan.generated is not None
    path = _APART if apart else work.plan.dockerfile.path
    also = {_APART: work.text} if apart else {}
    prefix = ""
    if work.plan.generated is not None:
        prefix = f"{PROJECT}/"
        wheels = sorted(work.wheels.rglob("*")) if work.wheels.exists() else []
        also |= {
            f"{WHEELS}/{file.relative_to(work.wheels)}": file.read_bytes()
            for file in wheels
            if file.is_file()
        }
    place = work.folder / "context.tar.gz"
    with place.open("wb") as out:
        write_tar(work.context, work.plan.files, also, out, prefix=prefix)
    with place.open("rb") as packed:
        query = engine_query(work.plan, path, work.repository)
        text = work.text.decode("utf-8", "replace")
        return build_in_engine(
            engine, query, packed, work.docker.say, lambda why: stopped_at(why, text, work.place)
        )


def _bring(engine: DockerClient, base: DockerfileBase, work: Work) -> None:
    """Have the engine hold a base as it is pinned: without a session it could not log in."""
    if base.reference is None:
        return
    name = str(base.reference.repository)
    login = work.logins.get(base.reference.repository.registry)
    given = {"username": login[0], "password": login[1]} if login else None
    with engine_errors(f"the engine cannot pull {base.name}", hint=_PULLS, kind=BuildError):
        if not _has(engine, base):
            work.docker.say(f"pulls {base.pinned}")
            engine.images.pull(base.pinned, platform=str(work.plan.platforms[0]), auth_config=given)
        if not base.reference.selector.startswith("sha256:"):
            engine.api.tag(base.pinned, name, tag=base.reference.selector)


def _has(engine: DockerClient, base: DockerfileBase) -> bool:
    from docker.errors import ImageNotFound

    try:
        engine.images.get(base.pinned)
    except ImageNotFound:
        return False
    return True
