"""`requirements.frozen.txt`: what is installed in the images of a version, as pip reads it.

Where images differ, a line says by a marker (PEP 508) which machine it is for: one file serves all
platforms, and `pip install -r` of it gives on each what its image has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from launch_action.core.image import Platform

# As `platform_machine` says it, where OCI has another word.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}
_JOINT = " ; "


def freeze(installed: Mapping[Platform, Sequence[str]]) -> bytes:
    """The file of these requirement lines (`name==version`, `name @ url`) by platform.

    >>> freeze({Platform("linux", "amd64"): ["a==1"], Platform("linux", "arm64"): []})
    b'a==1 ; platform_machine == "x86_64"\\n'
    """
    machines: dict[str, set[str]] = {}
    for platform, lines in installed.items():
        for line in lines:
            machines.setdefault(line, set()).add(_machine(platform))
    everywhere = {_machine(platform) for platform in installed}
    return "".join(
        f"{line}{_marker(machines[line], everywhere)}\n"
        for line in sorted(machines, key=lambda line: (line.lower(), line))
    ).encode()


def parted(line: str) -> tuple[str, str]:
    """A line's requirement, and the marker of `freeze`; empty for one that is for all platforms."""
    requirement, _, marker = line.strip().partition(_JOINT)
    return requirement, marker


def lines_for(frozen: bytes, platform: Platform) -> list[str]:
    """The requirements of the file that are installed in the image of a platform."""
    found = map(parted, frozen.decode("utf-8", "replace").splitlines())
    machine = f'"{_machine(platform)}"'
    return [line for line, marker in found if line and (not marker or machine in marker)]


def _machine(platform: Platform) -> str:
    return _MACHINES.get(platform.architecture, platform.architecture)


def _marker(machines: set[str], everywhere: set[str]) -> str:
    if machines == everywhere:
        return ""
    return _JOINT + " or ".join(f'platform_machine == "{one}"' for one in sorted(machines))
