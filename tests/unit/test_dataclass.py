"""Our `dataclass` is the standard one, as far as it goes: both make the same of one class body."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from launch_action.core import dataclass as ours

Make = Callable[..., Any]
BOTH = pytest.mark.parametrize("module", [dataclasses, ours], ids=["standard", "ours"])


def point(module: Any, **options: bool) -> Any:
    @module.dataclass(**options)
    class Point:
        """A place."""

        x: int
        y: int = 2
        seen: list[int] = module.field(default_factory=list, repr=False)

        @property
        def total(self) -> int:
            return self.x + self.y

    return Point


@BOTH
@pytest.mark.parametrize("slots", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_values_by_place_by_name_and_by_default(module: Any, slots: bool, frozen: bool) -> None:
    made = point(module, slots=slots, frozen=frozen)

    assert (made(1).x, made(1).y, made(y=5, x=1).y, made(1, 3).total) == (1, 2, 5, 4)
    assert made(1).seen == []
    assert made(1).seen is not made(1).seen
    assert made(1) == made(1, 2)
    assert made(1) != made(1, 3)
    assert made(1) != (1, 2, [])
    assert repr(made(1)).endswith("Point(x=1, y=2)")
    assert made.__match_args__ == ("x", "y", "seen")
    assert made.__doc__ == "A place."


@BOTH
@pytest.mark.parametrize(
    ("args", "named"),
    [((), {}), ((1, 2, [], 4), {}), ((1,), {"x": 1}), ((1,), {"z": 1})],
    ids=["missing", "too many", "twice", "unknown"],
)
def test_wrong_values_are_a_type_error(module: Any, args: Any, named: Any) -> None:
    with pytest.raises(TypeError):
        point(module, slots=True)(*args, **named)


@BOTH
def test_a_frozen_one_refuses_changes_and_can_be_a_key(module: Any) -> None:
    @module.dataclass(frozen=True, slots=True)
    class Key:
        name: str

    made: Any = Key
    key = made("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del key.name
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        key.other = "b"
    assert {key: 1}[made("a")] == 1
    assert hash(key) == hash(("a",))


@BOTH
def test_one_that_is_not_frozen_takes_changes_and_is_no_key(module: Any) -> None:
    made = point(module, slots=True)(1)
    made.x = 7

    assert made.x == 7
    with pytest.raises(AttributeError):
        made.other = 1
    with pytest.raises(TypeError):
        hash(made)


@BOTH
def test_order_is_that_of_the_values_within_one_class(module: Any) -> None:
    @module.dataclass(frozen=True, slots=True, order=True)
    class Version:
        major: int
        minor: int

    made: Any = Version
    assert sorted([made(2, 1), made(1, 9)]) == [made(1, 9), made(2, 1)]
    assert made(1, 1) <= made(1, 1) < made(1, 2)
    with pytest.raises(TypeError):
        assert made(1, 1) < (1, 2)


@BOTH
def test_fields_by_name_only(module: Any) -> None:
    @module.dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        a: int = 1
        b: int

    made: Any = Named
    assert made(b=2).a == 1
    assert made.__match_args__ == ()
    with pytest.raises(TypeError):
        made(1, 2)


@BOTH
@pytest.mark.parametrize("slots", [True, False])
def test_an_init_of_the_class_s_own_stays(module: Any, slots: bool) -> None:
    @module.dataclass(slots=slots)
    class Kept:
        lines: list[str]

        def __init__(self) -> None:
            self.lines = ["made"]

    assert Kept().lines == ["made"]
    assert repr(Kept()).endswith("Kept(lines=['made'])")


@BOTH
def test_what_the_class_defines_itself_stays(module: Any) -> None:
    @module.dataclass(frozen=True, slots=True)
    class Secret:
        word: str

        def __repr__(self) -> str:
            return "***"

    made: Any = Secret
    assert repr(made("a")) == "***"


@BOTH
def test_post_init_sees_the_values(module: Any) -> None:
    @module.dataclass(frozen=True, slots=True)
    class Checked:
        size: int

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError(self.size)

    made: Any = Checked
    assert made(1).size == 1
    with pytest.raises(ValueError, match="-1"):
        made(-1)


@pytest.mark.parametrize("replace", [dataclasses.replace, ours.replace], ids=["standard", "ours"])
@pytest.mark.parametrize("kw_only", [True, False])
def test_replace_keeps_what_is_not_named(replace: Make, kw_only: bool) -> None:
    made = point(ours, slots=True, frozen=True, kw_only=kw_only)(x=1, y=5)

    assert replace(made, x=3) == type(made)(x=3, y=5)
    with pytest.raises(TypeError):
        replace(made, z=3)


def test_the_standard_functions_take_ours_for_their_own() -> None:
    made: Any = point(ours, slots=True, frozen=True)(1)

    assert dataclasses.is_dataclass(type(made))
    assert [one.name for one in dataclasses.fields(made)] == ["x", "y", "seen"]
    assert [one.default for one in dataclasses.fields(made)][1] == 2
    assert dataclasses.asdict(made) == {"x": 1, "y": 2, "seen": []}


def test_without_slots_an_instance_can_keep_what_it_worked_out() -> None:
    made = point(ours, frozen=True)(1)
    vars(made)["known"] = 1

    assert made.known == 1


def test_the_standard_module_is_not_imported_for_it() -> None:
    code = (
        "import sys, launch_action.core.dataclass as ours\n"
        "@ours.dataclass(frozen=True, slots=True)\n"
        "class A:\n"
        "    x: int\n"
        "A(1)\n"
        "sys.exit('dataclasses' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
