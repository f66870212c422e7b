"""A build by `docker buildx`: with the current builder, or one of our own where that cannot."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from launch_action.builders.buildkit.arguments import (
    Output,
    Places,
    build_arguments,
    check_arguments,
)
from launch_action.builders.buildkit.builders import own_builder
from launch_action.builders.buildkit.checks import failure, read_findings
from launch_action.builders.buildkit.client import CACHE_VARIABLES
from launch_action.builders.buildkit.context import write_directory
from launch_action.builders.buildkit.generated import PROJECT
from launch_action.builders.buildkit.rungs import Buildx, cache_is, needs_more
from launch_action.builders.buildkit.saved_image import read_saved_image
from launch_action.builders.buildkit.secret_files import secret_files
from launch_action.builders.buildkit.target import Taken
from launch_action.builders.buildkit.tools import OpenLayout
from launch_action.builders.buildkit.work import Work
from launch_action.core.dataclass import replace
from launch_action.core.errors import BuildError, LaunchError, RegistryError
from launch_action.core.image import Manifest
from launch_action.core.ports import Content
from launch_action.core.reference import Digest

_TRIES = 4
# What a registry or its network says, and another try may not be told; not what a step says.
_TRANSIENT = re.compile(
    r"\b(?:408|425|429|5\d\d) [A-Z]|unexpected status[^:]*: (?:408|425|429|5\d\d)|connection reset"
    r"|connection refused|unexpected EOF|\bEOF$|i/o timeout|handshake timeout|no such host"
    r"|broken pipe|toomanyrequests",
    re.IGNORECASE,
)
# What BuildKit has lost of its own cache, as it may where another build was cut off or goes on.
_LOST = re.compile(r"snapshot \w+ does not exist")
_STEP = re.compile(r"did not complete successfully|failed to calculate checksum")
_DENIED = re.compile(r"\b(?:401|403)\b|unauthorized|denied|authorization failed", re.IGNORECASE)
_WAIT = 0.5


def build_with_buildx(work: Work, rung: Buildx, layouts: OpenLayout) -> tuple[Taken, ...]:
    """Build and take the images over. Raises BuildError, or RegistryError of a push."""
    needed = needs_more(work.plan) if rung.limited else ""
    with _builder(work, rung, needed) as chosen, secret_files(work.secrets) as secrets:
        output = _output(work, chosen)
        places = _places(work, chosen, output, secrets)
        if work.plan.options.check:
            _check(work, chosen, places)
        if chosen.limited or not chosen.named_contexts:
            _bring_bases(work)
        _build(work, chosen, places)
        return _taken(work, output, _metadata(places), layouts)


@contextmanager
def _builder(work: Work, rung: Buildx, needed: str) -> Iterator[Buildx]:
    if not needed:
        yield rung
        return
    with own_builder(
        work.docker,
        rung,
        needed,
        image=work.builder_image,
        host_network=any(map(_is_loopback, work.hosts)),
    ) as made:
        yield made


def _output(work: Work, rung: Buildx) -> Output:
    """Layers are moved once: handed over here and pushed from here, or pushed by a builder that is
    on another machine, if it can reach the registry as we do."""
    if rung.limited:
        return Output("engine", str(work.folder / "image-id"))
    loopback = _is_loopback(work.repository.partition("/")[0])
    if work.repository and rung.pushes(loopback=loopback) and not work.private:
        return Output("push", work.repository, plain=loopback or work.plain)
    return Output("layout", str(work.folder / "layout"))


def _places(
    work: Work, rung: Buildx, output: Output, secrets: tuple[tuple[str, str], ...]
) -> Places:
    context = work.folder / "context"
    generated = work.plan.generated is not None
    write_directory(work.context, work.plan.files, context / PROJECT if generated else context)
    # With an ignore file of its own, so that the rules, which were applied, are not once more.
    # It must have a line: an empty one is taken for none.
    name = "Dockerfile" if generated else Path(work.plan.dockerfile.path).name
    dockerfile = work.folder / "dockerfile" / name
    dockerfile.parent.mkdir()
    dockerfile.write_bytes(work.text)
    dockerfile.with_name(f"{name}.dockerignore").write_text("# was applied\n")
    pins = [(base.name, base.pinned) for base in work.bases if base.pinned and not generated]
    return Places(
        context=str(context),
        dockerfile=str(dockerfile),
        metadata=str(work.folder / "metadata.json"),
        output=output,
        secrets=secrets,
        pins=tuple(pins) if rung.named_contexts and not rung.limited else (),
        repository=work.repository,
        actions=all(name in work.docker.environment for name in CACHE_VARIABLES[:2]),
    )


def _check(work: Work, rung: Buildx, places: Places) -> None:
    asked = work.docker.ask(*check_arguments(work.plan, rung, places))
    if asked is None:
        return
    for finding in read_findings(asked.text):
        work.reporter.warning(finding.text, file=work.place, line=finding.line)
    if asked.code != 0 and not asked.text.lstrip().startswith("{"):
        work.reporter.warning(f"the Dockerfile was not checked: {asked.complaint[-300:]}")


def _bring_bases(work: Work) -> None:
    """Have the engine hold the bases as they are pinned: it takes them before any registry's."""
    for base in work.bases:
        if not base.pinned or "@" in base.name:
            continue
        platform = f"--platform={work.plan.platforms[0]}"
        code, said = work.docker.run(["pull", "--quiet", platform, base.pinned])
        if code == 0:
            code, said = work.docker.run(["tag", base.pinned, base.name])
        if code != 0:
            raise BuildError(
                f"the engine cannot pull the base image {base.name}",
                hint="see that the engine reaches its registry, and is logged in there",
                context=said,
            )


def _build(work: Work, rung: Buildx, places: Places) -> None:
    plan = work.plan
    variables = {"SOURCE_DATE_EPOCH": str(work.epoch)}
    if any(cache_is(c, "gha") for c in (*plan.options.cache_to, *plan.options.cache_from)):
        variables["ACTIONS_CACHE_SERVICE_V2"] = "true"
    for number in range(1, _TRIES + 1):
        code, said = work.docker.run(build_arguments(plan, rung, places), **variables)
        if code == 0:
            return
        reason = failure(said, work.text.decode("utf-8", "replace"), work.place)
        lost = bool(_LOST.search(reason))
        passing = (lost or _TRANSIENT.search(reason)) and not _STEP.search(reason)
        if not passing or number == _TRIES:
            raise _failed(reason, said, places.output)
        if lost:  # it would be looked for again
            plan = replace(plan, options=replace(plan.options, no_cache=True))
        wait = random.uniform(0, _WAIT * 2.0**number)  # noqa: S311  spreads load
        work.docker.say(f"{reason}; try {number + 1} of {_TRIES} in {wait:.1f} s")
        time.sleep(wait)


def _failed(reason: str, said: str, output: Output) -> LaunchError:
    if _STEP.search(reason) or not _DENIED.search(reason):
        return BuildError(
            reason,
            hint="the builder's words are above; `docker build` fails the same",
            context=said,
        )
    hint = "docker login HOST, or --registry-username and --registry-password"
    if "ghcr.io" in reason:
        hint = "grant `permissions: packages: write`, and this repository access to the package"
    kind = RegistryError if output.kind == "push" else BuildError
    return kind(reason, hint=hint, context=said)


def _metadata(places: Places) -> str:
    document = json.loads(Path(places.metadata).read_bytes())
    return str(document.get("containerimage.digest") or "")


def _taken(work: Work, output: Output, digest: str, open_layout: OpenLayout) -> tuple[Taken, ...]:
    match output.kind:
        case "layout":
            layout = open_layout(output.place)
            return work.taking.layout(layout, _required(layout, digest))
        case "push":
            target = work.taking.target
            return work.taking.there(_required(target, digest))
        case "engine":
            image = Path(output.place).read_text().strip()
            return (_saved(work, image),)


def _saved(work: Work, image: str) -> Taken:
    folder = work.folder / "saved"
    folder.mkdir()
    try:
        return work.taking.saved(
            read_saved_image(work.docker.stream("image", "save", image), folder)
        )
    finally:
        _remove(work, image)


def _remove(work: Work, image: str) -> None:
    """Remove what was loaded for us alone; its steps stay in the build cache."""
    asked = work.docker.ask("image", "inspect", "--format={{len .RepoTags}}", image)
    if asked and asked.text.strip() == "0":
        work.docker.ask("image", "rm", image)


def _required(content: Content, digest: str) -> Manifest:
    found = content.get_manifest(Digest(digest)) if digest else None
    if found is None:
        raise BuildError(
            f"the builder did not hand over the image {digest!r}",
            hint="run the same command again; if it stays, use another builder",
        )
    return found


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
