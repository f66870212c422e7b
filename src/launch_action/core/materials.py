"""What is installed in an image, wheel by wheel: a small document that stays with the versions.

It is written once per set of dependencies and named by every version that has the set, so that the
source of each wheel is known where nothing was resolved. It is named by the index and not by the
image: an index may serve one wheel from another address tomorrow, and the image must not change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from launch_action.core.credentials import without_credentials
from launch_action.core.errors import StoreError
from launch_action.core.image import canonical

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class InstalledWheel:
    """A wheel as it was installed. `name` is normalised (PEP 503), `sha256` hexadecimal.

    `url` is where it came from, without credentials and query; empty for a wheel of the build
    context, which is at `path`, and for one that was built here from `built`, a URL or a path of
    the build context.
    """

    name: str
    version: str
    filename: str = ""
    url: str = ""
    sha256: str = ""
    path: str = ""
    built: str = ""


def public_url(url: str) -> str:
    """A file's address without what may be a login: user, password, query, fragment.

    >>> public_url("https://me:pass@host/a.whl?X-Amz-Signature=1#sha256=2")
    'https://host/a.whl'
    """
    return urlsplit(without_credentials(url))._replace(query="", fragment="").geturl()


def render_wheels(wheels: Iterable[InstalledWheel]) -> bytes:
    """The document of these wheels: the same wheels give the same bytes."""
    ordered = sorted(wheels, key=lambda one: (one.name, one.version, one.filename))
    found = [
        {key: value for key, value in asdict(one).items() if value or key in ("name", "version")}
        for one in ordered
    ]
    return canonical({"version": _FORMAT, "wheels": found})


def built_names(data: bytes) -> str:
    """What of a list was built from source, as `name==version` with spaces between."""
    built = (one for one in read_wheels(data) if one.built)
    return " ".join(f"{one.name}=={one.version}" for one in built)


def read_wheels(data: bytes) -> tuple[InstalledWheel, ...]:
    """What `render_wheels` wrote. Raises StoreError for anything else."""
    try:
        return tuple(InstalledWheel(**one) for one in json.loads(data)["wheels"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"not a list of installed wheels: {data[:80]!r}",
            hint="it was written by another version of this program; update it",
        ) from error


def wheels_of_lines(lines: Iterable[str]) -> tuple[InstalledWheel, ...]:
    """What the lines of `requirements.frozen.txt` tell, where there is no list of wheels."""
    found = []
    for line in lines:
        name, _, version = line.partition("==")
        named, _, url = line.partition(" @ ")
        if url:
            found.append(InstalledWheel(named.strip(), "", url=public_url(url.strip())))
        elif name.strip():
            found.append(InstalledWheel(name.strip(), version.strip()))
    return tuple(found)
