"""A job of a step as a report shows it: one row, which is stored and read back as JSON.

What is read back was stored by other processes, in a registry or in a comment that people can edit:
it is taken as outside text, and what is not as it should be is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, get_args

from launch_action.core.comparison import Change
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError

State = Literal[
    "pending", "building", "running", "done", "failed", "timeout", "cancelled", "skipped"
]
Scalar = str | float | bool | None

FINAL: frozenset[State] = frozenset({"done", "failed", "timeout", "cancelled", "skipped"})
BAD: frozenset[State] = frozenset({"failed", "timeout", "cancelled"})
_STATES = frozenset(get_args(State))

# Titles of rows that are of no job but of a commit: what failed before there was a job, and what
# found that there is nothing to do.
NOT_BEGUN = "no job of this commit was begun"
UNCHANGED = "no job of this commit changed"

# What a row holds at most; characters, and members of lists.
_LONG, _TEXT, _WORD, MEMBERS = 4000, 1000, 300, 200


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the run, and of the base version's run where that has one of this name."""

    name: str
    value: Scalar
    before: Scalar = None

    @property
    def change(self) -> float | None:
        """By how much it grew; None unless both are finite numbers."""
        return self.value - self.before if _number(self.value) and _number(self.before) else None  # type: ignore[operator]  # both were checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The version that a row is compared with: that of the base branch.

    `name` is its alias, `image` the digest of its image, `size` the bytes of its layers.
    """

    name: str = ""
    commit: str = ""
    image: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of a leg. Texts are empty and the rest None where it is not known (yet).

    `key` tells the legs of a workflow apart, `title` names the job for people, and `variant` the
    leg where several have one title. `run`, `attempt` and `at` (milliseconds since 1970) say when:
    of two rows of a key the later one is true. `image` and `job` are `repository@digest`, `size` is
    the bytes of the image's layers. `changes` are those of the installed packages against the base,
    `reused` says what was not built anew. `store` is the repository in which the row is kept as
    well. Seconds are wall time.
    """

    key: str
    title: str
    run: int
    variant: str = ""
    attempt: int = 1
    at: int = 0
    state: State = "pending"
    commit: str = ""
    job_name: str = ""
    job: str = ""
    image: str = ""
    size: int | None = None
    tags: tuple[str, ...] = ()
    base: Base | None = None
    changes: tuple[Change, ...] | None = None
    build_seconds: float | None = None
    reused: str = ""
    run_status: str = ""
    run_exit_code: int | None = None
    run_seconds: float | None = None
    run_url: str = ""
    metrics: tuple[Metric, ...] = ()
    reproduce: str = ""
    error: str = ""
    hint: str = ""
    store: str = ""

    @property
    def moment(self) -> tuple[int, int, int]:
        """What rows of one key are ordered by."""
        return self.run, self.attempt, self.at

    def ends(self, other: Row) -> bool:
        """Whether this row says that the other, of no job but of a commit, is over."""
        later = (self.run, self.attempt) > (other.run, other.attempt)
        return other.title in (NOT_BEGUN, UNCHANGED) and later

    @property
    def image_digest(self) -> str:
        return self.image.rpartition("@")[2]

    def document(self) -> dict[str, Any]:
        """The row as JSON, without what is not known."""
        found = {name: getattr(self, name) for name in Row.__annotations__}
        if self.base is not None:
            found["base"] = {name: getattr(self.base, name) for name in Base.__annotations__}
        if self.changes is not None:
            found["changes"] = [[one.name, one.before, one.after] for one in self.changes]
        found["metrics"] = [[one.name, one.value, one.before] for one in self.metrics]
        found["tags"] = list(self.tags)
        return {
            name: value
            for name, value in found.items()
            if value not in (None, "") and (value != [] or name == "changes")
        }

    def brief(self) -> Row:
        """The row with what its table shows alone: no lists of what changed, no commands."""
        few = self.changes is not None and len(self.changes) <= 3
        return replace(
            self,
            job="",
            job_name="",
            tags=(),
            changes=self.changes if few else None,
            metrics=self.metrics[:3],
            reproduce="",
            error=self.error[:200],
            hint="",
        )

    def bare(self) -> Row:
        """The row with what tells how it ended and of which image."""
        return replace(
            self.brief(), base=None, changes=None, reused="", metrics=(), run_url="", error="",
            store="",
        )  # fmt: skip


def read_row(found: Any) -> Row | None:
    """A row of its JSON document; None where it does not even say which leg's it is."""
    if not isinstance(found, Mapping):
        return None
    key, state, run = found.get("key"), found.get("state"), found.get("run")
    if not (isinstance(key, str) and 0 < len(key) <= _WORD and _count(run)):
        return None
    texts = {name: _text(found, name) for name in _TEXTS}
    texts["reproduce"] = _text(found, "reproduce", _LONG)
    return Row(
        key=key,
        run=cast(int, run),
        attempt=_whole(found, "attempt") or 1,
        at=_whole(found, "at") or 0,
        state=cast(State, state) if isinstance(state, str) and state in _STATES else "failed",
        size=_whole(found, "size"),
        tags=tuple(_texts(found.get("tags"))),
        base=_base(found.get("base")),
        changes=_changes(found.get("changes")),
        build_seconds=_seconds(found, "build_seconds"),
        run_exit_code=_whole(found, "run_exit_code"),
        run_seconds=_seconds(found, "run_seconds"),
        metrics=tuple(_metrics(found.get("metrics"))),
        **texts,
    )


_TEXTS = (
    "title", "variant", "commit", "job_name", "job", "image", "reused", "run_status", "run_url",
    "error", "hint", "store",
)  # fmt: skip


def newest(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Of every leg the latest row, ordered by title; of what was shortened the full one.

    A job whose leg has another key in a later run (an input that has the commit) is the later one.
    What is of no job is left out as soon as anything is known of a later attempt.
    """
    found: dict[str, Row] = {}
    for row in rows:
        known = found.get(row.key)
        if known is None or (known.moment, _told(known)) < (row.moment, _told(row)):
            found[row.key] = row
    runs: dict[str, int] = {}
    for row in found.values():
        runs[row.title] = max(row.run, runs.get(row.title, 0))
    last = max(found.values(), key=lambda row: row.moment, default=None)
    kept = (
        row
        for row in found.values()
        if row.run == runs[row.title] and not (last and last.ends(row))
    )
    return tuple(sorted(kept, key=lambda row: (row.title, row.key)))


def told_apart(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows with titles that are not the same, as far as anything tells them apart."""
    found = tuple(rows)
    titles = [row.title for row in found]
    return tuple(
        replace(row, title=f"{row.title} ({row.variant or row.key[:6]})"[:_WORD])
        if titles.count(row.title) > 1
        else row
        for row in found
    )


def with_error(row: Row, error: LaunchError | None) -> Row:
    """The row of a leg that ended with this error, if with any."""
    if error is None:
        return row
    return replace(row, error=error.message[:_TEXT], hint=error.hint[:_TEXT])


def flat(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Nested metrics by dotted names.

    >>> flat({"eval": {"loss": 0.5}})
    {'eval.loss': 0.5}
    """
    found: dict[str, Scalar] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, str | int | float):
            found[f"{prefix}{name}"] = value
    return found


def compared(
    metrics: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> tuple[Metric, ...]:
    """The metrics of a run, each with the base's; as many as a row holds."""
    earlier = flat(before or {})
    return tuple(
        Metric(name[:_WORD], _short(value), _short(earlier.get(name)))
        for name, value in list(flat(metrics).items())[:MEMBERS]
    )


def dumped(rows: Iterable[Row]) -> str:
    """Rows as one JSON text."""
    return json.dumps(
        [row.document() for row in rows], separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _told(row: Row) -> int:
    return len(row.metrics) + len(row.changes or ()) + len(row.reproduce) + len(row.hint)


def _number(value: Scalar) -> bool:
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and math.isfinite(cast(float, value)) and abs(cast(float, value)) < 1e300


def _short(value: Scalar) -> Scalar:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return str(value)[:_WORD]  # no JSON reader of others takes it
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value[:_WORD] if isinstance(value, str) else value


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _whole(found: Mapping[str, Any], name: str) -> int | None:
    value = found.get(name)
    return value if _count(value) else None


def _seconds(found: Mapping[str, Any], name: str) -> float | None:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)


def _text(found: Mapping[str, Any], name: str, longest: int = _TEXT) -> str:
    value = found.get(name)
    return _plain(value)[:longest] if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """Without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _texts(found: Any) -> list[str]:
    if not isinstance(found, list):
        return []
    return [_plain(one)[:_WORD] for one in found[:MEMBERS] if isinstance(one, str)]


def _base(found: Any) -> Base | None:
    if not isinstance(found, Mapping):
        return None
    return Base(
        name=_text(found, "name", _WORD),
        commit=_text(found, "commit", _WORD),
        image=_text(found, "image", _WORD),
        size=_whole(found, "size"),
    )


def _changes(found: Any) -> tuple[Change, ...] | None:
    if not isinstance(found, list):
        return None
    read = [_texts(one) for one in found[:MEMBERS]]
    return tuple(Change(*one) for one in read if len(one) == 3)


def _metrics(found: Any) -> Iterable[Metric]:
    for one in found[:MEMBERS] if isinstance(found, list) else ():
        if isinstance(one, list) and len(one) == 3 and isinstance(one[0], str):
            yield Metric(_plain(one[0])[:_WORD], *(_read_scalar(value) for value in one[1:]))


def _read_scalar(value: Any) -> Scalar:
    if isinstance(value, str):
        return _short(_plain(value))
    return _short(value) if value is None or isinstance(value, bool | int | float) else None
