"""How an image came to be, as SLSA provenance: what was asked for, and what went in.

Source: SLSA 1.0, "Provenance" (predicate `https://slsa.dev/provenance/v1`). The build types are
described in docs/attestations.md. No times of the run: the same recording is to be the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, assert_never

from launch_action.core.attest import Attest
from launch_action.core.image import UNKNOWN_PLATFORM
from launch_action.core.job import CodeSource, GitSource
from launch_action.core.purl import deb_purl, oci_purl, pypi_purl
from launch_action.core.sbom import (
    Contents,
    Source,
    built_from,
    git_location,
    source_version,
    wheel_location,
)

if TYPE_CHECKING:
    from launch_action.core.dockerfile_plan import DockerfilePlan
    from launch_action.core.layers_plan import LayersPlan

    Build = LayersPlan | DockerfilePlan

BUILD_TYPE = "https://launch-action.dev/provenance/{builder}/v1"


def slsa_provenance(
    contents: Contents, plan: Build, build_key: str, attest: Attest, *, reused: bool
) -> dict[str, Any]:
    """The predicate. `reused` tells that the image was in the store before, under the same key."""
    metadata = {"metadata": {"invocationId": attest.invocation}} if attest.invocation else {}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE.format(builder=plan.builder),
            "externalParameters": _parameters(contents, plan, build_key),
            "internalParameters": {"tool": attest.tool, "reusedImage": reused},
            "resolvedDependencies": list(_dependencies(contents)),
        },
        "runDetails": {"builder": {"id": attest.builder}, **metadata},
    }


def _parameters(contents: Contents, plan: Build, build_key: str) -> dict[str, Any]:
    source = contents.source
    return {
        "source": {**_origin(source), "buildContext": source.build_context},
        "entryPoint": list(plan.entrypoint),
        "buildKey": build_key,
        "options": {"platform": str(contents.image.platform), **_options(contents, plan)},
    }


def _origin(source: Source) -> dict[str, str]:
    match source:
        case GitSource():
            return {"remote": source.remote, "commit": source.commit}
        case CodeSource():
            return {"artifact": source.artifact}
        case _:
            assert_never(source)


def _options(contents: Contents, plan: Build) -> dict[str, Any]:
    """What was asked of the builder; of build arguments the names, for a value may be a login."""
    match plan.builder:
        case "layers":
            return {
                "baseImage": contents.bases[0].name,
                "python": plan.python.version,
                "dependencies": plan.dependencies.main,
                "cutoff": plan.cutoff,
                "compile": plan.compile,
                "compression": str(plan.compression),
            }
        case "buildkit":
            return {
                "dockerfile": plan.dockerfile.path,
                "target": plan.options.target,
                "buildArguments": [name for name, _ in plan.options.build_args],
                "dependencies": plan.dependencies.main,
                "cutoff": plan.cutoff,
                "compression": str(plan.compression),
            }
        case _:
            assert_never(plan)


def _dependencies(contents: Contents) -> Iterator[dict[str, Any]]:
    source = contents.source
    yield _materials(source)
    for base in contents.bases:
        platform = base.platform or contents.image.platform or UNKNOWN_PLATFORM
        purl = oci_purl(base.name, base.identity, platform) if base.sha256 else ""
        yield _named("base", purl or base.name, base.sha256)
    for wheel in contents.wheels:
        uri = wheel_location(wheel, source) or pypi_purl(wheel.name, wheel.version)
        yield _named(wheel.filename or wheel.name, uri, wheel.sha256)
        if built := built_from(wheel, source):
            yield _named(f"source of {wheel.name}", built, "")
    for system in (base.system for base in contents.bases if base.system):
        for name, version, architecture, sha256 in system.packages:
            purl = deb_purl(system.vendor, system.suite, name, version, architecture)
            yield _named(name, purl, sha256)


def _materials(source: Source) -> dict[str, Any]:
    match source:
        case GitSource():
            location = git_location(source) or f"git+file:@{source.commit}"
            return {"name": "source", "uri": location, "digest": {"gitCommit": source.commit}}
        case CodeSource():
            digest = source_version(source).removeprefix("sha256:")
            return _named("source", source.artifact, digest)
        case _:
            assert_never(source)


def _named(name: str, uri: str, sha256: str) -> dict[str, Any]:
    return {"name": name, "uri": uri} | ({"digest": {"sha256": sha256}} if sha256 else {})
