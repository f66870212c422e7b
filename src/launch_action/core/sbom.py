"""What an image holds, as an SPDX document: its wheels, its base, and where they come from.

Source: SPDX specification 2.3 (document creation, package and relationship information). The same
image of the same commit gives the same document: no clock, nothing random.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from launch_action.core.base import BaseRecord
from launch_action.core.dataclass import dataclass
from launch_action.core.image import UNKNOWN_PLATFORM, Descriptor, fingerprint
from launch_action.core.job import CodeSource, GitSource, artifact_name
from launch_action.core.materials import InstalledWheel
from launch_action.core.purl import deb_purl, oci_purl, pypi_purl

NAMESPACE = "https://launch-action.dev/spdx/"
_NOT_SAID = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE, _SOURCE, _BASE = "SPDXRef-Image", "SPDXRef-Source", "SPDXRef-Base"
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9.]")
_SCP = re.compile(r"(?P<login>[^/@]+@[^/:]+|[^/:@]+):(?P<path>[^/].*|/.*)")

Source = GitSource | CodeSource


@dataclass(frozen=True, slots=True)
class Contents:
    """An image and what is in it. `created` is the commit's time, RFC 3339 in UTC.

    `bases` are the images that it was built from; a Dockerfile may name several, or none.
    """

    job_name: str
    source: Source
    created: str
    image: Descriptor
    bases: tuple[BaseRecord, ...]
    wheels: tuple[InstalledWheel, ...]


def spdx_document(contents: Contents, tool: str) -> dict[str, Any]:
    """The document of an image, made by `tool` (name and version)."""
    packages = [
        _image(contents),
        _source(contents.source),
        *(_base(number, base, contents) for number, base in enumerate(contents.bases)),
        *(_wheel(one, contents.source) for one in contents.wheels),
        *(package for base in contents.bases for package in _system(base)),
    ]
    relationships = list(_relationships(contents))
    found = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{contents.job_name} ({contents.image.platform})",
        "creationInfo": {"created": contents.created, "creators": [f"Tool: {tool}"]},
        "packages": packages,
        "relationships": relationships,
    }
    # Another content must have another namespace, and the same the same.
    return {**found, "documentNamespace": NAMESPACE + fingerprint(found)}


def source_version(source: Source) -> str:
    """The commit, or the digest of the archive that the code was recorded as."""
    if isinstance(source, GitSource):
        return source.commit
    return source.artifact.partition("@")[2]


def git_location(source: Source, path: str = "") -> str:
    """A commit, or a file of it, as a download location (SPDX 2.3, 7.7); empty for a local one.

    >>> git_location(GitSource("git@github.com:acme/mono.git", "0" * 4), "a.whl")
    'git+ssh://git@github.com/acme/mono.git@0000#a.whl'
    """
    if isinstance(source, CodeSource):
        return ""  # it lies beside the image, under no address of its own
    remote, scp = source.remote, _SCP.fullmatch(source.remote)
    if "://" not in remote:
        if not scp:
            return ""
        remote = f"ssh://{scp['login']}/{scp['path'].lstrip('/')}"
    scheme = "" if urlsplit(remote).scheme == "git" else "git+"
    return f"{scheme}{remote}@{source.commit}" + (f"#{path}" if path else "")


def wheel_location(wheel: InstalledWheel, source: Source) -> str:
    """Where a wheel came from: its address, or its file in the commit; empty when not known."""
    return _in_commit(wheel.path, source) if wheel.path else wheel.url


def built_from(wheel: InstalledWheel, source: Source) -> str:
    """What a wheel was built from: an address, or a place in the commit; else empty."""
    if not wheel.built or "://" in wheel.built:
        return wheel.built
    return _in_commit(wheel.built, source)


def _in_commit(path: str, source: Source) -> str:
    inside = posixpath.normpath(posixpath.join(source.build_context, path))
    return git_location(source, "" if inside == "." else inside)


def unique_wheels(wheels: Sequence[InstalledWheel]) -> tuple[InstalledWheel, ...]:
    """One wheel per name, sorted by name."""
    return tuple(dict(sorted((one.name, one) for one in wheels)).values())


def _image(contents: Contents) -> dict[str, Any]:
    return _package(
        _IMAGE,
        contents.job_name,
        version=source_version(contents.source),
        sha256=contents.image.digest.hex,
        purpose="CONTAINER",
    )


def _source(source: Source) -> dict[str, Any]:
    version = source_version(source)
    if isinstance(source, GitSource):
        name = re.split(r"[/:]", source.remote.rstrip("/"))[-1].removesuffix(".git")
    else:
        name = artifact_name(source.artifact)
    return _package(
        _SOURCE,
        name or version,
        version=version,
        location=git_location(source),
        purpose="SOURCE",
    )


def _base(number: int, base: BaseRecord, contents: Contents) -> dict[str, Any]:
    platform = base.platform or contents.image.platform or UNKNOWN_PLATFORM
    return _package(
        _base_id(number),
        base.name,
        version=base.identity,
        sha256=base.sha256,
        purl=oci_purl(base.name, base.identity, platform) if base.sha256 else "",
        # A distribution's packages have no manifest: their list is what the digest is of.
        purpose="OPERATING_SYSTEM" if base.system else "CONTAINER",
    )


def _wheel(wheel: InstalledWheel, source: Source) -> dict[str, Any]:
    found = _package(
        _wheel_id(wheel),
        wheel.name,
        version=wheel.version,
        sha256=wheel.sha256,
        location=wheel_location(wheel, source),
        filename=wheel.filename,
        purl=pypi_purl(wheel.name, wheel.version),
        purpose="LIBRARY",
    )
    built = built_from(wheel, source)
    return found | ({"sourceInfo": f"built from {built}"} if built else {})


def _system(base: BaseRecord) -> Iterator[dict[str, Any]]:
    if base.system is None:
        return
    vendor, suite = base.system.vendor, base.system.suite
    for name, version, architecture, sha256 in base.system.packages:
        yield _package(
            _system_id(name, architecture),
            name,
            version=version,
            sha256=sha256,
            purl=deb_purl(vendor, suite, name, version, architecture),
        )


def _relationships(contents: Contents) -> Iterator[dict[str, str]]:
    yield _related(_DOCUMENT, "DESCRIBES", _IMAGE)
    yield _related(_IMAGE, "GENERATED_FROM", _SOURCE)
    for number, _ in enumerate(contents.bases):
        yield _related(_IMAGE, "DESCENDANT_OF", _base_id(number))
    for wheel in contents.wheels:
        yield _related(_IMAGE, "CONTAINS", _wheel_id(wheel))
    for number, base in enumerate(contents.bases):
        for name, _, architecture, _ in base.system.packages if base.system else ():
            yield _related(_base_id(number), "CONTAINS", _system_id(name, architecture))


def _related(one: str, how: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}


def _package(
    spdx_id: str,
    name: str,
    *,
    version: str = "",
    sha256: str = "",
    location: str = "",
    filename: str = "",
    purl: str = "",
    purpose: str = "",
) -> dict[str, Any]:
    found: dict[str, Any] = {"SPDXID": spdx_id, "name": name}
    found |= {"versionInfo": version} if version else {}
    found |= {"packageFileName": filename} if filename else {}
    found |= {"primaryPackagePurpose": purpose} if purpose else {}
    found |= {"downloadLocation": location or _NOT_SAID, "filesAnalyzed": False}
    if sha256:
        found["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    if purl:
        reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl"}
        found["externalRefs"] = [{**reference, "referenceLocator": purl}]
    return found


def _base_id(number: int) -> str:
    return f"{_BASE}-{number + 1}" if number else _BASE


def _wheel_id(wheel: InstalledWheel) -> str:
    return f"SPDXRef-Wheel-{_in_id(wheel.name)}"


def _system_id(name: str, architecture: str) -> str:
    return f"SPDXRef-Deb-{_in_id(name)}-{architecture}"


def _in_id(text: str) -> str:
    """A name in an identifier: `-` stands for itself, and before the code of every other sign."""
    return _NOT_IN_AN_ID.sub(lambda m: "-" if m[0] == "-" else f"-{ord(m[0]):x}-", text)
