"""Puts a job's image into the engine: found there, pulled by digest, or loaded from its store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from launch_action.core.errors import RunError
from launch_action.core.ports import Reporter
from launch_action.core.run import JobImage
from launch_action.engine import engine_errors

if TYPE_CHECKING:
    from docker import DockerClient

Load = Callable[[], Iterator[bytes]]
Login = Callable[[], Mapping[str, str]]


def provide_image(
    engine: DockerClient, image: JobImage, load: Load | None, login: Login, reporter: Reporter
) -> str:
    """The image's name in the engine. Raises RunError when it cannot be brought there.

    The engine pulls with the `login` of this machine (the docker SDK's `auth_config`, empty: none).
    Where it cannot, since it does not reach the registry or trusts its certificate less than we
    do, the image goes through this machine.
    """
    for name in filter(None, (image.image_id, image.reference)):
        if _has(engine, name):
            return name
    refused: RunError | None = None
    if image.reference:
        try:
            return _pull(engine, image, login())
        except RunError as error:
            refused = error
    if not load or not image.image_id:
        raise refused or RunError(
            "the job's image is in no registry and cannot be loaded",
            hint="build it again with --image REPOSITORY",
        )
    if refused:
        reporter.info(f"{refused.message}; it goes through this machine")
    return _loaded(engine, image, load())


def _pull(engine: DockerClient, image: JobImage, login: Mapping[str, str]) -> str:
    """Raises RunError with what the engine said of the registry."""
    repository, _, digest = image.reference.partition("@")
    what = f"the engine cannot pull {image.reference}"
    with engine_errors(what, hint="see that the engine reaches the registry"):
        messages = engine.api.pull(
            repository,
            tag=digest,
            stream=True,
            decode=True,
            platform=str(image.platform),
            auth_config=dict(login),
        )
        for message in messages:
            if error := message.get("error"):
                raise RunError(
                    f"{what}: {' '.join(str(error).split())[:500]}",
                    hint="see that the engine reaches the registry",
                )
    return image.reference


def _loaded(engine: DockerClient, image: JobImage, archive: Iterator[bytes]) -> str:
    named = said = ""
    with engine_errors("the engine cannot load the job's image"):
        # Not quiet: without progress a long load would look like an engine that does not answer.
        for message in engine.api.load_image(archive, quiet=False):  # type: ignore[no-untyped-call]
            said = str(message.get("error") or said)
            if found := re.match(r"Loaded image(?: ID)?: (\S+)", str(message.get("stream") or "")):
                named = found[1]
    if not named:
        raise RunError(
            f"the engine cannot load the job's image: {said or 'no image in the archive'}",
            hint="build it again; docker 20.10 and later load what is built here",
        )
    # An image's id is the digest of its config, which names its layers by digest: found by that,
    # what was loaded is what was meant. An engine with containerd's store has other ids.
    return image.image_id if _has(engine, image.image_id) else named


def _has(engine: DockerClient, name: str) -> bool:
    from docker.errors import ImageNotFound

    with engine_errors(f"the engine does not say whether it has {name}"), suppress(ImageNotFound):
        engine.images.get(name)
        return True
    return False
