"""Package URLs: one name for a package of any kind.

Source: the package-url specification and its types `pypi`, `deb` and `oci`.
"""

from __future__ import annotations

from urllib.parse import quote

from launch_action.core.errors import InputError
from launch_action.core.image import Platform
from launch_action.core.python_name import normal
from launch_action.core.reference import Reference

# How bases are named that have no repository: `deb:bookworm`, `oci@sha256:...`.
_NOT_OF_A_REGISTRY = ("deb:", "oci@", "oci:")


def pypi_purl(name: str, version: str) -> str:
    """A Python distribution.

    >>> pypi_purl("Typing_Extensions", "4.1+cpu")
    'pkg:pypi/typing-extensions@4.1%2Bcpu'
    """
    return f"pkg:pypi/{_part(normal(name))}" + (f"@{_part(version)}" if version else "")


def deb_purl(vendor: str, suite: str, name: str, version: str, architecture: str) -> str:
    """A package of a distribution."""
    where = f"arch={_part(architecture)}&distro={_part(suite)}"
    return f"pkg:deb/{_part(vendor)}/{_part(name.lower())}@{_part(version)}?{where}"


def oci_purl(name: str, digest: str, platform: Platform) -> str:
    """An image of a registry by its digest; empty where the name is none of a registry's."""
    if name.startswith(_NOT_OF_A_REGISTRY):
        return ""
    try:
        reference = Reference.parse(name)
    except InputError:
        return ""
    repository = str(reference.repository)
    tag = "" if reference.selector.startswith("sha256:") else f"&tag={_part(reference.selector)}"
    where = f"arch={_part(platform.architecture)}&repository_url={quote(repository, safe='/')}"
    return f"pkg:oci/{_part(repository.rpartition('/')[2])}@{_part(digest)}?{where}{tag}"


def _part(text: str) -> str:
    return quote(text, safe="")
