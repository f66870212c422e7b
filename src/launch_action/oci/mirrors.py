"""Mirrors: where else a registry's content is read from, before the registry itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.reference import DOCKER_HUB, Repository, names_registry


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror of a registry: its address, and what stands before a repository's path there.

    `address` is `https://host[:port]`; `prefix` is empty or ends with `/`.
    """

    registry: str
    address: str
    prefix: str = ""

    @property
    def host(self) -> str:
        """The host that a login is for."""
        return self.address.partition("://")[2]


def parse_mirror(text: str) -> Mirror:
    """Read `[HOST=]URL`, without a host for Docker Hub. Raises InputError.

    The URL's path goes before the repository's: a project of Harbor, a prefix of ECR.

    >>> parse_mirror("ghcr.io=https://harbor.example/github")
    Mirror(registry='ghcr.io', address='https://harbor.example', prefix='github/')
    """
    name, equals, url = text.rpartition("=")
    url = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        port = f":{parts.port}" if parts.port else ""
        registry = Repository.parse(f"{name}/a/b").registry if equals else DOCKER_HUB
        Repository.parse(f"localhost/{prefix or 'a'}")
    except (InputError, ValueError) as error:
        raise _not_a_mirror(text) from error
    odd = parts.query or parts.fragment or parts.username is not None
    known = not equals or (names_registry(name) and "/" not in name)
    if parts.scheme not in ("http", "https") or not parts.hostname or odd or not known:
        raise _not_a_mirror(text)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Mirror(registry, f"{parts.scheme}://{host}{port}", f"{prefix}/" if prefix else "")


def _not_a_mirror(text: str) -> InputError:
    # What is before an `@` may be a password.
    shown = text.rpartition("@")[2]
    return InputError(
        f"not a registry mirror: {shown!r}",
        hint="write https://host[:port][/prefix] for Docker Hub's, or ghcr.io=https://... for "
        "another registry's; logins come from docker login",
    )
