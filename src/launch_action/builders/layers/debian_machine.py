"""What this machine knows of package archives: its mirrors, proxies, keyrings, its own suite."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from launch_action import process
from launch_action.core.dataclass import dataclass
from launch_action.core.image import fingerprint

_APT = Path("/etc/apt")
_KEYRINGS = (Path("/usr/share/keyrings"), _APT / "trusted.gpg.d")
_TARGET = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ARCHITECTURE)|$(ORIGIN)"
# Ways to the network; never what switches a check off (Verify-Peer, AllowInsecure...).
_SETTING = re.compile(
    r"(Acquire::(?:https?|socks5h?|mirror)(?:::[\w.:-]+)?::(?:Proxy(?:-Auto-Detect|AutoDetect)?(?:::[\w.:-]+)?"
    r"|CaInfo|CaPath|SslCert|SslKey|Timeout|User-Agent|No-Cache)"
    r'|Acquire::(?:Retries|ForceIPv4|ForceIPv6)) "([^"\\\n]+)";'
)


@dataclass(frozen=True, slots=True)
class Source:
    """One component of one suite in one archive; `origin` is what its Release file says."""

    uri: str
    suite: str
    component: str = "main"
    architecture: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A Debian or Ubuntu machine. `settings` are apt's, names and values."""

    distribution: str
    suite: str
    sources: tuple[Source, ...]
    settings: tuple[tuple[str, str], ...] = ()
    keyrings: tuple[Path, ...] = _KEYRINGS


def missing_tool() -> str | None:
    """Why package bases cannot be made on this machine; None where they can."""
    for tool in ("apt-get", "apt-config", "dpkg-deb"):
        if process.which(tool) is None:
            return f"{tool} is not installed: deb: bases need a Debian or Ubuntu machine"
    return None


@functools.cache
def read_machine() -> Machine:
    """Ask apt for its sources and settings, once. Raises FileNotFoundError without apt."""
    release = _os_release()
    targets = process.run(["apt-get", "indextargets", "--format", _TARGET, "Created-By: Packages"])
    settings = process.run(["apt-config", "dump"])
    return Machine(
        distribution=release.get("ID", ""),
        suite=release.get("VERSION_CODENAME", ""),
        sources=tuple(dict.fromkeys(_sources(targets.text.splitlines()))),
        settings=tuple(_settings(settings.text.splitlines())),
    )


def machine_signature() -> str:
    """Changes when apt's configuration on this machine is edited; costs a few stat calls."""
    places = [_APT, *_APT.glob("sources.list*"), *_APT.glob("*.d/*"), *_APT.glob("auth.conf")]
    return fingerprint(*((str(place), place.stat().st_mtime_ns) for place in sorted(places)))


def readable_credentials() -> Iterator[tuple[str, str]]:
    """apt's own credential files, where this user may read them, as settings."""
    for key, name in (("Dir::Etc::netrc", "auth.conf"), ("Dir::Etc::netrcparts", "auth.conf.d")):
        if os.access(_APT / name, os.R_OK):
            yield key, str(_APT / name)


def _os_release() -> dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition("=")[::2] for line in text.splitlines())
    return {key: value.strip("\"'") for key, value in pairs}


def _sources(lines: Iterable[str]) -> Iterator[Source]:
    for line in lines:
        fields = line.split("|")
        if len(fields) == 5:
            # What apt does not know it leaves as it was written.
            uri, suite, component, architecture, origin = (
                "" if field.startswith("$(") else field for field in fields
            )
            yield Source(uri, suite, component, architecture, origin)


def _settings(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        found = _SETTING.fullmatch(line)
        if found:
            yield found[1], found[2]
