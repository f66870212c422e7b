"""Inputs of the job itself: `--set KEY=VALUE` and W&B's launch config."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.entrypoint import parse_entrypoint
from launch_action.core.errors import InputError

# As deep as a configuration is nested, at most: far below what readers and writers of JSON take.
_DEEPEST = 100
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class LaunchConfig:
    """What we take of W&B's launch config (`wandb launch --config`).

    Its `overrides`, names, and where to run; `resource_args` as they stand there, by resource.
    `texts` is `run_config` with every scalar as YAML has it written; of JSON it is empty.
    `document` is all of it, of which a queue gets also what is nothing to us.
    """

    run_config: Mapping[str, Any] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    project: str = ""
    entity: str = ""
    name: str = ""
    resource: str = ""
    run_id: str = ""
    files: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    resource_args: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)


def parse_config(text: str, where: str) -> LaunchConfig:
    """Read a launch config, JSON or YAML. Raises InputError naming `where`."""
    found = read_object(text, where)
    overrides = _mapping(_said(found, "overrides"), where, "overrides")
    run_config = _mapping(_said(overrides, "run_config"), where, "overrides.run_config")
    entry = overrides.get("entry_point") or found.get("entry_point") or ()
    args = overrides.get("args") or ()
    return LaunchConfig(
        run_config=dict(run_config),
        args=_words(args, where, "overrides.args"),
        entrypoint=_words(entry, where, "overrides.entry_point"),
        project=_text(found, "project", where),
        entity=_text(found, "entity", where),
        name=_text(found, "name", where),
        resource=_text(found, "resource", where),
        run_id=_text(found, "run_id", where),
        files=_mapping(_said(overrides, "files"), where, "overrides.files"),
        artifacts=_mapping(_said(overrides, "artifacts"), where, "overrides.artifacts"),
        resource_args=_mapping(_said(found, "resource_args"), where, "resource_args"),
        texts=_texts(text) if run_config else {},
        document=found,
    )


def _said(found: Mapping[str, Any], name: str) -> Any:
    """What it has of this name: an empty object where that is nothing."""
    value = found.get(name)
    return {} if value is None else value


def _text(found: Mapping[str, Any], name: str, where: str) -> str:
    """A text, or a number that YAML takes a text of digits for."""
    value = found.get(name) or ""
    if not isinstance(value, str | int):
        raise InputError(
            f"{name!r} of {where} is no text: {value!r}",
            hint=f"leave {name!r} out of it, or name one",
        )
    return str(value)


def _texts(text: str) -> Mapping[str, Any]:
    """The scalars of `run_config` as YAML has them written; JSON says itself what is a text."""
    from launch_action.core.plain_yaml import read_yaml

    try:
        json.loads(text)
    except ValueError:
        found: Mapping[str, Any] = read_yaml(text, texts=True)["overrides"]["run_config"]
        return found
    return {}


def read_object(text: str, where: str) -> Mapping[str, Any]:
    """An object written in JSON or YAML. Raises InputError naming `where`."""
    return _mapping(_parse(text, where), where, "the content")


def parse_settings(lines: Sequence[str], *, texts: bool = False) -> dict[str, Any]:
    """Read `KEY=VALUE` lines: `a.b=1` nests, values are YAML scalars. Raises InputError.

    With `texts` every scalar is the text that it was written as.

    >>> parse_settings(["lr=0.1", "model.layers=2", "name=a=b"])
    {'lr': 0.1, 'model': {'layers': 2}, 'name': 'a=b'}
    """
    found: dict[str, Any] = {}
    for line in lines:
        key, equals, text = line.partition("=")
        if not equals or not all(key.split(".")):
            raise InputError(f"not KEY=VALUE: {line!r}", hint="write --set learning_rate=0.1")
        if key.count(".") >= _DEEPEST:
            raise _too_deep(f"--set {key[:80]!r}")
        _nest(found, key.split("."), _scalar(text, line, texts=texts), line)
    return found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`; where both hold an object, key by key.

    >>> merged({"a": {"x": 1}, "b": 1}, {"a": {"y": 2}})
    {'a': {'x': 1, 'y': 2}, 'b': 1}
    """
    found = dict(below)
    for key, value in above.items():
        known = found.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        found[key] = merged(known, value) if both else value  # type: ignore[arg-type]
    return found


def split_environment(
    lines: Sequence[str],
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """`NAME=VALUE` pairs, and the names whose values are the caller's."""
    pairs = [line.partition("=") for line in lines]
    given = tuple((name, value) for name, equals, value in pairs if equals)
    return given, tuple(name for name, equals, _ in pairs if not equals)


def _nest(found: dict[str, Any], path: Sequence[str], value: Any, line: str) -> None:
    for step in path[:-1]:
        found = found.setdefault(step, {})
        if not isinstance(found, dict):
            raise InputError(
                f"{line!r} nests in a value", hint=f"{step!r} was given a value before"
            )
    found[path[-1]] = value


def _scalar(text: str, line: str, *, texts: bool) -> Any:
    from launch_action.core.plain_yaml import YamlError, read_yaml

    try:
        value = read_yaml(text, texts=texts)
    except YamlError as error:
        if isinstance(error.__cause__, RecursionError):
            raise _too_deep(f"--set {line[:80]!r}") from error
        return text
    _check_size(value, f"--set {line[:80]!r}")
    if not _is_json(value):
        raise InputError(f"not a value that JSON has: {line!r}", hint="quote the value")
    return text if value is None and text not in ("", "null", "~") else value


def _parse(text: str, where: str) -> Any:
    try:
        found = _read(text)
    except RecursionError as error:
        raise _too_deep(where) from error
    except ValueError as error:
        raise InputError(
            f"{where} is neither JSON nor YAML: {' '.join(str(error).split())[:200]}",
            hint="check the file, or the quoting of the text",
        ) from error
    _check_size(found, where)
    if not _is_json(found):
        raise InputError(
            f"{where} holds what JSON cannot: a key that is an object, or a number that is none",
            hint="write names as texts, and no .nan or .inf",
        )
    return found


def _read(text: str) -> Any:
    """JSON as such: tabs and escapes of it are others in YAML, which also takes long to read.

    Raises ValueError, and RecursionError.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError:
        from launch_action.core.plain_yaml import YamlError, read_yaml
    try:
        return read_yaml(text)
    except YamlError as error:
        if isinstance(error.__cause__, RecursionError):
            raise error.__cause__ from None
        raise ValueError(str(error)) from error


def _no_number(text: str) -> Any:
    """What Python takes for JSON's and nobody else does."""
    raise ValueError(text)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _check_size(value: Any, where: str) -> None:
    """Raise InputError for what is too deep, or too much where anchors are written out."""
    if _is_deep(value):
        raise _too_deep(where)
    if _values(value, {}) > _MOST:
        raise InputError(f"{where} has more than {_MOST} values", hint="write it without anchors")


def _is_deep(value: Any) -> bool:
    """Whether something is nested more than _DEEPEST deep in it; of what JSON has."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        # Each once: an anchor of YAML may be named many times.
        level = list({id(inner): inner for one in level for inner in _inner(one)}.values())
        if not level:
            return False
    return True


def _values(value: Any, known: dict[int, int]) -> int:
    """How many values there are in it, each as often as it is named."""
    if id(value) not in known:
        known[id(value)] = 1 + sum(_values(inner, known) for inner in _inner(value))
    return known[id(value)]


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _too_deep(where: str) -> InputError:
    return InputError(
        f"{where} is nested more than {_DEEPEST} deep, which not every reader of JSON takes",
        hint="give the values flatter names, and no anchor inside itself",
    )


def _mapping(found: Any, where: str, what: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise InputError(
            f"{what} of {where} is not an object: {found!r}",
            hint='such as {"overrides": {"run_config": {"lr": 0.1}}}',
        )
    return found


def _words(found: Any, where: str, what: str) -> tuple[str, ...]:
    if isinstance(found, str):
        return parse_entrypoint(found)
    if isinstance(found, Mapping):
        return tuple(str(w) for pair in found.items() for w in pair)
    if isinstance(found, list | tuple) and all(isinstance(w, str | int | float) for w in found):
        return tuple(map(str, found))
    raise InputError(
        f"{what} of {where} is not a list of words: {found!r}", hint='such as ["--fast"]'
    )
