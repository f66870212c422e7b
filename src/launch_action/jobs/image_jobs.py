"""Image jobs: an image that exists becomes a job by its digest; nothing is built."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from launch_action.core.create_plan import CreatePlan, FoundImage, plan_image
from launch_action.core.dataclass import replace
from launch_action.core.entrypoint import parse_entrypoint
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.image import Descriptor, Manifest, Platform, parse_object
from launch_action.core.layers_plan import timestamp
from launch_action.core.ports import Content, read_blob
from launch_action.core.reference import Reference
from launch_action.planning.launch_plan import place_situation
from launch_action.planning.workplace import Workplace

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_NOT_FOR_IMAGES = ("uri", "git_hash", "build_context", "dockerfile", "base_image", "require_clean")


def plan_image_job(place: Workplace) -> CreatePlan:
    """Look the image up and decide. Raises InputError and RegistryError."""
    inputs = place.inputs
    for name in _NOT_FOR_IMAGES:
        if getattr(inputs, name):
            raise InputError(
                f"input {name.replace('_', '-')!r} is for what is built, and 'docker-image' names "
                f"an image that is there: {inputs.docker_image!r}",
                hint="leave one of them out",
            )
    reference = Reference.parse(inputs.docker_image)
    entrypoint = parse_entrypoint(inputs.entry_point) if inputs.entry_point else ()
    with place.reporter.phase("image"):
        found = find_image(reference, place)
    return plan_image(inputs, reference, found, place_situation(place), entrypoint)


def find_image(reference: Reference, place: Workplace) -> FoundImage:
    """The digest that a reference has now; of an index the one of `--platform`, where it is given.

    Raises RegistryError when there is no such image, or none for the platform.
    """
    place = replace(place, login_host=place.login_host or reference.repository.registry)
    content = place.registries.open(reference.repository, mirrored=True)
    manifest = content.get_manifest(reference.selector)
    if manifest is None:
        raise RegistryError(
            f"no image {str(reference)!r}",
            hint="check its name and tag; a private registry may also answer so without a login",
        )
    platform = ""
    if manifest.is_index and place.inputs.platform:
        chosen = _for_platform(manifest, place.inputs.platform, reference)
        platform = str(chosen.platform)
        manifest = _named(content, chosen, reference)
    inner = (
        _named(content, _first(manifest, reference), reference) if manifest.is_index else manifest
    )
    return FoundImage(manifest.descriptor.digest, _created(content, inner, reference), platform)


def _for_platform(index: Manifest, asked: tuple[str, ...], reference: Reference) -> Descriptor:
    if len(asked) > 1:
        raise InputError(
            f"an image job has one platform: {', '.join(asked)}",
            hint="name one, or none to record all that the image has",
        )
    wanted = Platform.parse(asked[0])
    for entry in index.entries():
        if entry.platform and wanted.accepts(entry.platform):
            return entry
    there = ", ".join(str(entry.platform) for entry in index.entries() if entry.platform)
    raise RegistryError(
        f"image {str(reference)!r} has nothing for {wanted}", hint=f"it has: {there or 'nothing'}"
    )


def _first(index: Manifest, reference: Reference) -> Descriptor:
    found = [e for e in index.entries() if e.platform and e.platform.os != "unknown"]
    if not found:
        raise _no_image(reference)
    return found[0]


def _named(content: Content, descriptor: Descriptor, reference: Reference) -> Manifest:
    found = content.get_manifest(descriptor.digest)
    if found is None:
        raise RegistryError(
            f"image {str(reference)!r} lacks its manifest {descriptor.digest}",
            hint="it was pushed in part, or part of it was deleted; push it again",
        )
    return found


def _created(content: Content, manifest: Manifest, reference: Reference) -> str:
    """When the image says it was made, to the second, in UTC; an image without a time: 1970."""
    config = manifest.config()
    if "image" not in config.media_type:
        raise _no_image(reference)
    text = str(parse_object(read_blob(content, config), "the image's config").get("created") or "")
    match = _TIME.fullmatch(text)
    if not match:
        return timestamp(0)
    try:
        moment = datetime.fromisoformat(match[1] + match[2]).astimezone(UTC)
        return timestamp(max(int(moment.timestamp()), 0))
    except (ValueError, OverflowError):
        return timestamp(0)


def _no_image(reference: Reference) -> RegistryError:
    return RegistryError(
        f"{str(reference)!r} is no image of a container",
        hint="name an image; a job version is run with `launch-action run`",
    )
