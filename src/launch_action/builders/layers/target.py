"""What wheels must fit: a Python, a platform and a C library; their tags and marker environment.

Platform tags: PEP 600 (manylinux), PEP 656 (musllinux). Markers: PEP 508.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# The glibc levels that uv knows as target platforms, besides 2.17.
_UV_LEVELS = (17, 28, *range(31, 41))
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_X86_ONLY = 17  # manylinux2010 and manylinux1 were never defined for aarch64


@dataclass(frozen=True)
class Target:
    """Where the job will run.

    `python` is `X.Y`, or better `X.Y.Z`: with `X.Y` alone, `X.Y.0` is assumed, which rules out
    packages that want a later patch release. `libc_version` is the lowest that is sure (`2.28`).
    """

    python: str
    platform: Platform
    libc: Literal["glibc", "musl"] = "glibc"
    libc_version: str = "2.28"

    @property
    def minor(self) -> str:
        """The Python version as `X.Y`."""
        return ".".join(self.python.split(".")[:2])

    @property
    def full_python(self) -> str:
        return self.python if self.python.count(".") > 1 else f"{self.python}.0"

    @property
    def machine(self) -> str:
        """The architecture as wheels and markers name it. Raises BuildError for others."""
        found = _MACHINES.get(self.platform.architecture)
        if found and self.platform.os == "linux":
            return found
        raise BuildError(
            f"no wheels are chosen for {str(self.platform)!r}",
            hint="choose linux/amd64 or linux/arm64, or build with --builder buildkit",
        )

    @property
    def uv_platform(self) -> str:
        """The value of uv's `--python-platform`: at or below our level. Raises BuildError."""
        if self.libc == "musl":
            return f"{self.machine}-unknown-linux-musl"
        levels = [level for level in _UV_LEVELS if level <= self._level]
        if not levels:
            raise BuildError(
                f"glibc {self.libc_version} is too old for today's wheels",
                hint="choose a base image with glibc 2.17 or later",
            )
        return f"{self.machine}-manylinux_2_{levels[-1]}"

    @property
    def _level(self) -> int:
        return int(self.libc_version.split(".")[1])

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Every wheel tag that fits, as `cp312-cp312-manylinux_2_28_x86_64`, best (0) first."""
        from packaging.tags import compatible_tags, cpython_tags

        version = tuple(map(int, self.minor.split(".")))
        abi = f"cp{self.minor.replace('.', '')}"
        platforms = list(self._platforms())
        tags = [
            *cpython_tags(version, [abi], platforms),
            *compatible_tags(version, abi, platforms),
        ]
        found: dict[str, int] = {}
        for tag in tags:
            found.setdefault(str(tag), len(found))
        return found

    def rank(self, filename: str) -> int | None:
        """How well a wheel of this file name fits, best (0) first; None when it does not."""
        tags = filename.removesuffix(".whl").split("-")[-3:]
        if len(tags) < 3:
            return None
        pythons, abis, platforms = (part.split(".") for part in tags)
        ranks = self.ranks
        found = (f"{one}-{abi}-{place}" for one in pythons for abi in abis for place in platforms)
        return min((ranks[tag] for tag in found if tag in ranks), default=None)

    def fits(self, filename: str) -> bool:
        """Whether a wheel of this file name may be installed."""
        return self.rank(filename) is not None

    def _platforms(self) -> Iterator[str]:
        if self.libc == "musl":
            for level in range(self._level, -1, -1):
                yield f"musllinux_1_{level}_{self.machine}"
        else:
            lowest = 5 if self.machine == "x86_64" else _X86_ONLY
            for level in range(self._level, lowest - 1, -1):
                yield f"manylinux_2_{level}_{self.machine}"
                if level in _LEGACY:
                    yield f"{_LEGACY[level]}_{self.machine}"
        yield f"linux_{self.machine}"

    @property
    def markers(self) -> dict[str, str]:
        """The environment that markers are evaluated in."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_python,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_python,
            "python_version": self.minor,
            "sys_platform": "linux",
        }

    def __str__(self) -> str:
        libc = f"{self.libc} {self.libc_version}"
        return f"CPython {self.python} on {self.platform} ({libc})"
