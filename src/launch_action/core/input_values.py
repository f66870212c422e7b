"""Reads the inputs: texts by name become `Inputs`, or an error that says what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from launch_action.core.decoding import is_unicode
from launch_action.core.errors import InputError
from launch_action.core.input_table import BY_NAME, NOT_IN_ACTION, Input, Value
from launch_action.core.inputs import Inputs
from launch_action.core.spelling import nearest

_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
# What goes to services as text alone; other inputs may be paths, which are any bytes.
_PLAIN_TEXT = frozenset({"description"})
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def secret_texts(known: Input, text: str) -> tuple[str, ...]:
    """What of a secret input must not be seen: all of it, or of `NAME=VALUE` lines the values."""
    if known.kind != "lines":
        return (text,)
    return tuple(line.partition("=")[2].strip() for line in text.splitlines())


def read_inputs(
    values: Mapping[str, str | Iterable[str]], environment: Mapping[str, str]
) -> Inputs:
    """Read inputs given by name, empty meaning default; then what W&B's variables say.

    `values` holds texts, or lists for options that were repeated. Raises InputError for an unknown
    name or a value that is not of the input's kind.
    """
    found: dict[str, Value] = {}
    for name, value in values.items():
        known = BY_NAME.get(name)
        if known is None:
            raise InputError(f"unknown input: {name!r}", hint=_nearest(name, BY_NAME))
        read = _read(known, value)
        if read is not None:
            found[known.field] = read
    for field, variable in _FROM_ENVIRONMENT.items():
        if not found.get(field) and environment.get(variable):
            found[field] = environment[variable]
    return Inputs(**found)  # type: ignore[arg-type]  # each value is of its row's kind


def with_build_options(values: Mapping[str, str]) -> dict[str, str | tuple[str, ...]]:
    """The action's inputs with what `build-options` holds beside them.

    A list's option may come several times; a boolean's name alone means true. Raises InputError
    for a name that is none of the options, or that is an input of its own.
    """
    found: dict[str, str | tuple[str, ...]] = dict(values)
    lines = str(found.pop("build-options", "")).splitlines()
    given: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, lines)):
        name, equals, value = line.partition("=")
        known = _build_option(name.strip())
        given.setdefault(known.name, []).append(value if equals else _alone(known))
    for name, texts in given.items():
        repeats = BY_NAME[name].kind in ("list", "lines")
        if len(texts) > 1 and not repeats:
            raise InputError(f"option {name!r} takes one value", hint="give it once")
        found[name] = tuple(texts) if repeats else texts[0]
    return found


def _build_option(name: str) -> Input:
    """The option of this name that is not an input of the action itself."""
    known = BY_NAME.get(name)
    if known and name in NOT_IN_ACTION and "action" in known.commands:
        return known
    if known and "action" in known.commands:
        raise InputError(
            f"{name!r} in 'build-options' is an input of its own", hint=f"write it as `{name}: ...`"
        )
    raise InputError(f"unknown build option: {name!r}", hint=_nearest(name, NOT_IN_ACTION))


def _alone(known: Input) -> str:
    if known.kind in ("boolean", "tristate"):
        return "true"
    raise InputError(
        f"build option {known.name!r} needs a value", hint=f"write it as {known.name}=VALUE"
    )


_FROM_ENVIRONMENT = {
    "job_name": "WANDB_JOB_NAME",
    "name": "WANDB_NAME",
    "project": "WANDB_PROJECT",
    "entity": "WANDB_ENTITY",
    "store": "LAUNCH_ACTION_STORE",
    "git_username": "GIT_USERNAME",
    "git_token": "GIT_TOKEN",
    "ssh_key": "LAUNCH_ACTION_SSH_KEY",
    "registry_username": "LAUNCH_ACTION_REGISTRY_USERNAME",
    "registry_password": "LAUNCH_ACTION_REGISTRY_PASSWORD",
}


def _read(known: Input, value: str | Iterable[str]) -> Value:
    """The value as the input's kind reads it; None for the default."""
    value = value if isinstance(value, str) else tuple(value)
    if any("\0" in text for text in ((value,) if isinstance(value, str) else value)):
        # Only JSON can bring one here: no program takes it in an argument or a path.
        raise InputError(f"input {known.name!r} holds a NUL character", hint="leave it out")
    if known.name in _PLAIN_TEXT and not is_unicode(str(value)):
        raise InputError(
            f"input {known.name!r} is not UTF-8 text: {value!r}", hint="write it in UTF-8"
        )
    if known.kind in ("list", "lines"):
        texts = [value] if isinstance(value, str) else list(value)
        pattern = r"[,\n]" if known.kind == "list" else r"\n"
        parts = [part.strip() for text in texts for part in re.split(pattern, text)]
        return tuple(part for part in parts if part) or None
    if known.kind == "words":
        return (_words(known, value) if isinstance(value, str) else tuple(value)) or None
    if not isinstance(value, str):
        raise InputError(f"input {known.name!r} takes one value", hint="give it once")
    text = value.strip()
    return _read_one(known, text) if text else None


def _read_one(known: Input, text: str) -> Value:
    match known.kind:
        case "boolean":
            return _boolean(known, text)
        case "tristate":
            return None if text == "auto" else _boolean(known, text, "auto")
        case "choice":
            if text not in known.choices:
                raise InputError(
                    f"input {known.name!r} cannot be {text!r}", hint=_nearest(text, known.choices)
                )
            return text
        case "duration":
            return _duration(known, text)
        case _:
            return text


def _words(known: Input, text: str) -> tuple[str, ...]:
    from shlex import split

    try:
        return tuple(split(text))
    except ValueError as error:
        raise InputError(
            f"input {known.name!r} cannot be split into words: {text!r} ({error})",
            hint="close every quotation mark",
        ) from error


def _boolean(known: Input, text: str, *more: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InputError(
        f"input {known.name!r} cannot be {text!r}", hint=_nearest(text, ("true", "false", *more))
    )


def _duration(known: Input, text: str) -> float:
    match = _DURATION.fullmatch(text)
    hours, minutes, seconds = match.groups() if match else (None, None, None)
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    if total <= 0:
        raise InputError(
            f"input {known.name!r} cannot be {text!r}",
            hint="write a duration such as 90s, 30m or 1h30m",
        )
    return total


def _nearest(text: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = nearest(text, known)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}valid: {', '.join(known)}"
