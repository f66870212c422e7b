"""The options of a Dockerfile build, read from the inputs: what docker build calls by these names.

Source: the docker buildx build reference (docs.docker.com/reference/cli/docker/buildx/build).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError
from launch_action.core.input_table import INPUTS
from launch_action.core.inputs import Inputs

SecretKind = Literal["value", "file", "env"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BYTES = re.compile(r"\d+(?:\.\d+)?\s*[bkmgBKMG]?[bB]?")
_ULIMIT = re.compile(r"[a-z]+=-?\d+(?::-?\d+)?")
_WANDB_KEY = "WANDB_API_KEY"
_SHORTEST_KEY = 8
_HOST = re.compile(r"[^\s:=]+[:=]\S+")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of the build: `text` is its value, the file it is in, or the variable it is in."""

    id: str
    kind: SecretKind
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What decides a Dockerfile build besides Dockerfile and context. Pairs are name and value."""

    build_args: tuple[tuple[str, str], ...] = ()
    secrets: tuple[Secret, ...] = ()
    ssh: tuple[str, ...] = ()
    target: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    add_hosts: tuple[str, ...] = ()
    network: str = ""
    shm_size: str = ""
    ulimits: tuple[str, ...] = ()
    no_cache: bool = False
    pull: bool = False
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    check: bool = False

    def used(self) -> tuple[str, ...]:
        """The inputs that are not at their default, by name."""
        found = {
            "build-arg": self.build_args,
            "secret": self.secrets,
            "ssh": self.ssh,
            "target": self.target,
            "label": self.labels,
            "annotation": self.annotations,
            "add-host": self.add_hosts,
            "network": self.network,
            "shm-size": self.shm_size,
            "ulimit": self.ulimits,
            "no-cache": self.no_cache,
            "pull": self.pull,
            "cache-from": self.cache_from,
            "cache-to": self.cache_to,
            "check": self.check,
        }
        return tuple(name for name, value in found.items() if value)


def read_build_options(inputs: Inputs, environment: Mapping[str, str]) -> BuildOptions:
    """Read the options of a Dockerfile build. Raises InputError naming the input and the value.

    `environment` gives the values of build arguments that are named alone (`--build-arg NAME`); a
    variable that is not set leaves the Dockerfile's default, as in Docker. What everybody can read
    in an image, and on the builder's command line, is not a key or token that is given to us.
    """
    found = BuildOptions(
        build_args=tuple(sorted(_build_args(inputs, environment))),
        secrets=_secrets(inputs, environment),
        ssh=inputs.ssh,
        target=inputs.target,
        labels=_pairs("label", inputs.label),
        annotations=_pairs("annotation", inputs.annotation),
        add_hosts=_each("add-host", inputs.add_host, _HOST, "host.example:192.0.2.7"),
        network=inputs.network,
        shm_size=_one("shm-size", inputs.shm_size, _BYTES, "64m or 2g"),
        ulimits=_each("ulimit", inputs.ulimit, _ULIMIT, "nofile=1024:4096"),
        no_cache=inputs.no_cache,
        pull=inputs.pull,
        cache_from=inputs.cache_from,
        cache_to=inputs.cache_to,
        check=inputs.check,
    )
    _refuse_keys(found, _keys(inputs, environment))
    return found


def _keys(inputs: Inputs, environment: Mapping[str, str]) -> frozenset[str]:
    """The keys, tokens and passwords that this run has; what is shorter may be any word."""
    rows = (row.field for row in INPUTS if row.secret and row.kind == "text")
    given = {field: str(getattr(inputs, field)) for field in rows}
    if not given["ssh_key"].lstrip().startswith("-----BEGIN "):
        del given["ssh_key"]  # the name of its file
    texts = (*given.values(), environment.get(_WANDB_KEY, ""))
    return frozenset(text.strip() for text in texts if len(text.strip()) >= _SHORTEST_KEY)


def _refuse_keys(options: BuildOptions, keys: frozenset[str]) -> None:
    seen = {
        "build-arg": options.build_args,
        "label": options.labels,
        "annotation": options.annotations,
    }
    for name, pairs in seen.items():
        for key, value in pairs:
            if any(one in value for one in keys):
                raise InputError(
                    f"input {name!r} has a key or token as {key!r}, which the image would show",
                    hint=f"give it with --secret id={key},env={key}, and take it in the Dockerfile "
                    f"with RUN --mount=type=secret,id={key}",
                )


def _build_args(inputs: Inputs, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    named: dict[str, str] = {}
    for line in inputs.build_arg:
        name, equals, value = line.partition("=")
        if not name.strip() or name != name.strip():
            raise InputError(
                f"input 'build-arg' cannot be {line!r}", hint="write NAME=VALUE, or NAME alone"
            )
        if equals or name in environment:
            named[name] = value if equals else environment[name]
    yield from named.items()


def _pairs(name: str, lines: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not key.strip() or not equals:
            raise InputError(f"input {name!r} cannot be {line!r}", hint="write NAME=VALUE")
        found[key.strip()] = value
    return tuple(sorted(found.items()))


def _each(
    name: str, values: tuple[str, ...], form: re.Pattern[str], example: str
) -> tuple[str, ...]:
    return tuple(_one(name, value, form, example) for value in values)


def _one(name: str, value: str, form: re.Pattern[str], example: str) -> str:
    if value and not form.fullmatch(value):
        raise InputError(f"input {name!r} cannot be {value!r}", hint=f"write it as {example}")
    return value


def _secrets(inputs: Inputs, environment: Mapping[str, str]) -> tuple[Secret, ...]:
    found: dict[str, Secret] = {}
    for line in inputs.secret:
        secret = _secret(line)
        if not _NAME.fullmatch(secret.id):
            raise InputError(
                f"input 'secret' has no usable id: {secret.id[:40]!r}",
                hint="write id=NAME,src=FILE or id=NAME,env=VARIABLE or NAME=VALUE",
            )
        if secret.id in found:
            raise InputError(
                f"input 'secret' has the id {secret.id!r} twice", hint="give each secret one id"
            )
        if secret.kind == "env" and secret.text not in environment:
            raise InputError(
                f"secret {secret.id!r}: no variable {secret.text!r} in the environment",
                hint="set it in the step's `env:`, or name a file with src=FILE",
            )
        found[secret.id] = secret
    return tuple(found[name] for name in sorted(found))


def _secret(line: str) -> Secret:
    """`id=NAME[,src=FILE|,env=VARIABLE]` as Docker has it, else `NAME=VALUE`."""
    if not line.startswith(("id=", "type=")):
        name, _, value = line.partition("=")
        return Secret(name.strip(), "value", value)
    options = dict(option.partition("=")[::2] for option in line.split(","))
    unknown = sorted(set(options) - {"id", "src", "source", "env", "type"})
    if unknown:
        raise InputError(
            f"input 'secret' has no option {unknown[0]!r}", hint="there are id, src and env"
        )
    name = options.get("id", "")
    file = options.get("src") or options.get("source")
    if file and options.get("type") != "env":
        return Secret(name, "file", file)
    return Secret(name, "env", options.get("env") or file or name)
