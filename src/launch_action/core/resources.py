"""What a job's container may use: W&B's resource args, read by an allow-list.

Source: W&B SDK 0.31, `sdk/launch/utils.py` (`validate_local_container_resource_args`), for the
names; Docker's reference of `docker run`, for the values. `volume` is ours: only the user's own
command line gives one, never a document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

LOCAL_CONTAINER = "local-container"
# Of W&B Launch: what a document may hold for another place is passed over.
_RESOURCES = (LOCAL_CONTAINER, "local-process", "kubernetes", "sagemaker", "gcp-vertex")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_ULIMIT = re.compile(r"([a-z]+)=(-?\d+)(?::(-?\d+))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_ALIASES = {"e": "env", "m": "memory", "w": "workdir", "v": "volume", "volumes": "volume",
            "cpu": "cpus"}  # fmt: skip
_REPEATABLE = frozenset(("env", "ulimit", "volume"))


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs: `count` of them (-1: all), or those named by `devices`; what they are used for."""

    count: int = 0
    devices: tuple[str, ...] = ()
    driver: str = ""
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A limit of the processes; -1 is none."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Volume:
    """What of the engine's machine the container sees: a path or a volume's name, and where."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerResources:
    """The limits of a container; None and empty are the engine's defaults.

    Sizes are in bytes, `nano_cpus` in 10^-9 CPUs, periods and quotas in microseconds; -1 is
    without limit. `environment` are pairs.
    """

    nano_cpus: int | None = None
    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    shm_size: int | None = None
    pids_limit: int | None = None
    gpus: Gpus | None = None
    ulimits: tuple[Ulimit, ...] = ()
    name: str = ""
    platform: str = ""
    workdir: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    volumes: tuple[Volume, ...] = ()


def container_options(found: Any, where: str, *, volumes: bool = False) -> dict[str, Any]:
    """The options for `local-container` in resource args, each under its one name.

    `found` is `{"local-container": {"cpus": 2, ...}}`; options of other resources are passed over.
    `volumes` tells whether they may hold volumes. Raises InputError naming `where`.
    """
    if not isinstance(found, Mapping) or set(found) - set(_RESOURCES):
        # Names alone: a value may be one of the job's environment.
        shown = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise InputError(
            f"{where}: not options by resource: {shown}",
            hint='such as {"local-container": {"cpus": 2, "memory": "4g"}}',
        )
    options = found.get(LOCAL_CONTAINER)
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise InputError(
            f"{where}: local-container is not an object but {type(options).__name__}",
            hint='such as {"local-container": {"cpus": 2}}',
        )
    named = {_option(str(name), where, volumes=volumes): value for name, value in options.items()}
    read_resources(named, where)
    return named


def read_resources(options: Mapping[str, Any], where: str) -> ContainerResources:
    """Read options that `container_options` has named. Raises InputError naming option and value.

    >>> read_resources({"cpus": 1.5, "memory": "1g"}, "-R").memory
    1073741824
    """
    read: dict[str, Any] = {}
    for name, value in options.items():
        field, parse = _OPTIONS[name]
        read[field] = _values(name, value, parse, where)
    return ContainerResources(**read)


def _option(text: str, where: str, *, volumes: bool) -> str:
    name = text.strip().lstrip("-").replace("_", "-").lower()
    name = _ALIASES.get(name, name)
    if name == "volume" and not volumes:
        raise InputError(
            f"{where}: a volume is taken from the command line alone: {text!r}",
            hint="give it with --resource-args",
        )
    if name not in _OPTIONS:
        raise InputError(
            f"{where}: a job's container has no option {text!r}",
            hint=f"allowed: {', '.join(sorted(_OPTIONS))}; arguments of the job follow --",
        )
    return name


def _values(name: str, value: Any, parse: Callable[[str], Any], where: str) -> Any:
    if name not in _REPEATABLE:
        return _value(name, value, parse, where)
    many = value if isinstance(value, list | tuple) else [value]
    return tuple(_value(name, one, parse, where) for one in many)


def _value(name: str, value: Any, parse: Callable[[str], Any], where: str) -> Any:
    # YAML's and JSON's true is no value of any of these options.
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return parse(str(value).strip())
        except ValueError as error:
            raise InputError(
                f"{where}: {name} cannot be {value!r}", hint=f"write {error}"
            ) from error
    raise InputError(
        f"{where}: {name} is one text or number, not {value!r}", hint="as on Docker's command line"
    )


def _cpus(text: str) -> int:
    expected = "a number of CPUs above 0, such as 1.5"
    try:
        count = float(text)
    except ValueError:
        raise ValueError(expected) from None
    if not math.isfinite(count) or count <= 0:
        raise ValueError(expected)
    return round(count * 1e9)


def _count(text: str) -> int:
    if not re.fullmatch(r"-1|[0-9]{1,18}", text):
        raise ValueError("a whole number")
    return int(text)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError("a size in bytes, or such as 512m or 2g")
    return int(float(found[1]) * 1024 ** _POWERS[found[2].lower()])


def _size_or_none(text: str) -> int:
    return -1 if text == "-1" else _size(text)


def _cpuset(text: str) -> str:
    if not re.fullmatch(r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*", text):
        raise ValueError("CPUs by number, such as 0-2,7")
    return text


def _gpus(text: str) -> Gpus:
    """`all`, a number, or Docker's list of fields: `count=2`, `"device=0,1"`, `capabilities=...`"""
    import csv

    expected = 'all, a number, or "device=0,1" with its own quotation marks'
    given: dict[str, str] = {}
    for field in next(csv.reader([text]), []):
        name, equals, value = field.partition("=")
        given[name if equals else "count"] = value if equals else name
    count = given.pop("count", "")
    known = {
        "devices": _words(given.pop("device", "")),
        "driver": given.pop("driver", ""),
        "capabilities": _words(given.pop("capabilities", "")),
    }
    if given or not re.fullmatch(r"all|-1|[0-9]*", count) or bool(count) == bool(known["devices"]):
        raise ValueError(expected)
    return Gpus(-1 if count == "all" else int(count or 0), **known)  # type: ignore[arg-type]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _ulimit(text: str) -> Ulimit:
    found = _ULIMIT.fullmatch(text)
    if not found:
        raise ValueError("a limit such as nofile=1024:2048")
    return Ulimit(found[1], int(found[2]), int(found[3] or found[2]))


def _container_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("letters, digits, '_', '-' and '.', two at least")
    return text


def _platform(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?", text):
        raise ValueError("a platform such as linux/amd64")
    return text


def _directory(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("an absolute path of the image")
    return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError("NAME=VALUE; a value of your environment is given with --env NAME")
    return name, value


def _volume(text: str) -> Volume:
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source or not target.startswith("/") or mode not in ("", "ro", "rw"):
        raise ValueError("SOURCE:/TARGET, or SOURCE:/TARGET:ro")
    if "/" not in source and not source.startswith(".") and not _NAME.fullmatch(source):
        raise ValueError("a path, or the name of a volume")
    return Volume(source, target, mode == "ro")


_OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "cpus": ("nano_cpus", _cpus),
    "cpu-shares": ("cpu_shares", _count),
    "cpu-period": ("cpu_period", _count),
    "cpu-quota": ("cpu_quota", _count),
    "cpuset-cpus": ("cpuset_cpus", _cpuset),
    "cpuset-mems": ("cpuset_mems", _cpuset),
    "memory": ("memory", _size),
    "memory-reservation": ("memory_reservation", _size),
    "memory-swap": ("memory_swap", _size_or_none),
    "shm-size": ("shm_size", _size),
    "pids-limit": ("pids_limit", _count),
    "gpus": ("gpus", _gpus),
    "ulimit": ("ulimits", _ulimit),
    "name": ("name", _container_name),
    "platform": ("platform", _platform),
    "workdir": ("workdir", _directory),
    "env": ("environment", _pair),
    "volume": ("volumes", _volume),
}
