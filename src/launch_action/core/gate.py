"""The metrics gate: conditions on a run's metrics that make it a failure, `accuracy < 0.9`.

A condition says when the run fails. A metric that is not there, or is no number, fails it too:
a gate that nobody can look at is not passed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, LaunchError
from launch_action.core.inputs import Inputs

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
# The same the other way round: what the metric has to be.
_PASSES = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MEANT = {
    "=": "==", "===": "==", "=<": "<=", "=>": ">=", "<>": "!=", "!": "!=", "!==": "!=", "≤": "<=",
    "≥": ">=", "≠": "!=", "is": "==", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==",
    "ne": "!=", "below": "<", "under": "<", "above": ">", "over": ">", "not": "!=",
}  # fmt: skip
_QUOTED = r'"(?:[^"\\]|\\["\\])*"'
_PLAIN = r"""[^\s"'<>=!≤≥≠.]+"""
_NAME = re.compile(rf"(?:{_QUOTED}|{_PLAIN})(?:\.(?:{_QUOTED}|{_PLAIN}))*")
_PART = re.compile(rf"{_QUOTED}|{_PLAIN}")
_OPERATOR = re.compile(r"[<>=!≤≥≠]+|[a-z]+\b", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_LONGEST = 80
_EXAMPLE = "write it as `accuracy < 0.9`, one condition a line"
# As core.metrics writes what JSON has no number for.
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class GateError(LaunchError):
    """The run went well, and its metrics are not what was asked for."""

    exit_code = 1
    code = "gate"


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of `fail-if`: the run fails where it holds.

    `parts` are the names of the nested objects and the metric, `text` is the line; `bound` is the
    number as it was written.
    """

    text: str
    parts: tuple[str, ...]
    operator: str
    bound: str

    @property
    def name(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a condition. `problem` is empty where it did not hold: the metric is good."""

    condition: Condition
    value: Any
    problem: str

    def document(self) -> dict[str, Any]:
        """The verdict as a JSON object, which the output `metadata` has as its `gate`."""
        return {
            "condition": self.condition.text,
            "metric": self.condition.name,
            "value": self.value,
            "failed": bool(self.problem),
        }


def read_conditions(lines: Iterable[str]) -> tuple[Condition, ...]:
    """The conditions of `fail-if`, one a line. Raises InputError for a line that is none.

    >>> read_conditions(["eval.loss >= 2"])[0].parts
    ('eval', 'loss')
    """
    return tuple(_condition(line) for line in lines)


def check_conditions(inputs: Inputs, *, run: bool) -> None:
    """Raise InputError for a `fail-if` that cannot be read, or that nobody could hold."""
    read_conditions(inputs.fail_if)
    if run and inputs.detach and inputs.fail_if:
        raise InputError(
            f"nobody waits for the metrics of a detached run: {inputs.fail_if[0]!r}",
            hint="leave --fail-if or --async away",
        )


def judge(conditions: Iterable[Condition], metrics: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Hold the metrics of a run, nested objects of scalars, against the conditions."""
    return tuple(_verdict(one, metrics) for one in conditions)


def missed(verdicts: Sequence[Verdict]) -> GateError | None:
    """The error that tells which conditions failed the run; None where all metrics are good."""
    problems = [one.problem for one in verdicts if one.problem]
    if not problems:
        return None
    several = f" ({len(problems)} of {len(verdicts)} conditions)" if len(verdicts) > 1 else ""
    return GateError(
        f"the metrics gate failed: {'; '.join(problems)}{several}",
        hint="the run itself went well; what it left is in the output metrics",
    )


def hold(
    lines: Iterable[str],
    metrics: Mapping[str, Any],
    announce: Callable[[Mapping[str, Any]], None],
) -> None:
    """Tell what became of each condition, and raise GateError where one failed the run."""
    verdicts = judge(read_conditions(lines), metrics)
    announce({"metadata": {"gate": [one.document() for one in verdicts]}})
    error = missed(verdicts)
    if error:
        raise error


def _condition(line: str) -> Condition:
    text = line.strip()
    named = _NAME.match(text)
    if named is None:
        raise _unreadable(text, "it begins with no name of a metric", _EXAMPLE)
    rest = text[named.end() :].lstrip()
    found = _OPERATOR.match(rest)
    sign = found[0] if found else ""
    bound = rest[len(sign) :].strip()
    if _NUMBER.fullmatch(named[0]):
        raise _number_first(text, bound, sign, named[0])
    if sign not in _OPERATORS:
        raise _no_operator(text, sign)
    if not _NUMBER.fullmatch(bound):
        raise _unreadable(text, f"{bound!r} is no number", _EXAMPLE)
    parts = tuple(_unquoted(part) for part in _PART.findall(named[0]))
    return Condition(text, parts, sign, bound)


def _unquoted(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part[1:-1]) if part.startswith('"') else part


def _no_operator(text: str, sign: str) -> InputError:
    if not sign:
        return _unreadable(text, "no operator follows the name", f"{_EXAMPLE}; quote an odd name")
    near = _MEANT.get(sign.lower(), "")
    guess = f"did you mean {near!r}? " if near else ""
    return _unreadable(text, f"{sign!r} is no operator", f"{guess}valid: {', '.join(_OPERATORS)}")


def _number_first(text: str, name: str, sign: str, number: str) -> InputError:
    turned = sign.translate(str.maketrans("<>", "><"))
    example = f"write it as `{name} {turned} {number}`" if name and sign in _OPERATORS else _EXAMPLE
    return _unreadable(text, "the number comes first", example)


def _unreadable(text: str, why: str, hint: str) -> InputError:
    return InputError(f"input 'fail-if' is no condition: {text!r}: {why}", hint=hint)


def _verdict(condition: Condition, metrics: Mapping[str, Any]) -> Verdict:
    found = next(_found(condition.parts, metrics), None)
    if found is None:
        absent = f"{condition.name!r} is not among the metrics{_nearest(condition.name, metrics)}"
        return Verdict(condition, None, absent)
    value = found[0]
    number = _number(value)
    if number is None:
        return Verdict(condition, value, f"{condition.name!r} is no number: {_shown(repr(value))}")
    # Nothing compares with NaN, and a diverged run must not pass for that.
    fails = math.isnan(number) or _OPERATORS[condition.operator](number, float(condition.bound))
    return Verdict(condition, value, _problem(condition, value) if fails else "")


def _problem(condition: Condition, value: Any) -> str:
    wanted = f"{_PASSES[condition.operator]} {condition.bound}"
    return f"{condition.name!r} is {_shown(str(value))}, and must be {wanted}"


def _shown(text: str) -> str:
    """A value of the job's as an error has it: it may be of any length."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _nearest(name: str, metrics: Mapping[str, Any]) -> str:
    from launch_action.core.preview_row import flat
    from launch_action.core.spelling import nearest

    near = nearest(name, list(flat(metrics))[:1000])  # a job may leave any number
    return f"; the nearest is {_shown(near[0])!r}" if near else ""


def _found(parts: Sequence[str], metrics: Mapping[str, Any]) -> Iterator[tuple[Any]]:
    """The values of this name, nested ones first: a key may hold the dots itself (`eval.loss`)."""
    for end in range(1, len(parts) + 1):
        key, rest = ".".join(parts[:end]), parts[end:]
        if key not in metrics:
            continue
        value = metrics[key]
        if isinstance(value, Mapping):
            yield from _found(rest, value) if rest else ()
        elif not rest:
            yield (value,)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return _SPECIAL.get(value)
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # an integer of hundreds of digits
        return math.inf if value > 0 else -math.inf
