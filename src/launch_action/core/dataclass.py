"""`dataclasses`, as far as this package uses it, without its price at start-up.

The standard module writes and compiles source text for every class, and imports `inspect`: for the
hundred classes of a small run that takes longer than all the rest of it (docs/performance.md).
Here the methods are closures over the fields. A type checker sees the standard module, and the
functions of the standard module (`replace`, `fields`, `asdict`) take these classes as their own.

Not built, because not used: inheritance of fields, `ClassVar`, `InitVar`, `compare=` and `init=`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

_MISSING: Any = object()  # as a default: there is none
_OWN = ("__dict__", "__weakref__")  # what a class that is made again must not take over


class _Field:
    """One field: its name, and what stands in for a value that is not given."""

    __slots__ = ("default", "factory", "kw_only", "name", "shown")

    def __init__(self, default: Any, factory: Callable[[], Any] | None, shown: bool) -> None:
        self.name = ""
        self.default = default
        self.factory = factory
        self.shown = shown
        self.kw_only = False

    def absent(self, owner: str) -> Any:
        """The value where none is given. Raises TypeError where one must be."""
        if self.factory is not None:
            return self.factory()
        if self.default is _MISSING:
            raise TypeError(f"{owner}() needs a value for {self.name!r}")
        return self.default


class _StandardFields:
    """`__dataclass_fields__`, made when the standard module asks for it."""

    def __init__(self, fields: tuple[_Field, ...], annotations: dict[str, Any]) -> None:
        self._fields = fields
        self._annotations = annotations
        self._made: dict[str, Any] = {}

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        if not self._made:
            self._made = dict(self._make())
        return self._made

    def _make(self) -> Iterator[tuple[str, Any]]:
        import dataclasses

        for one in self._fields:
            default = dataclasses.MISSING if one.default is _MISSING else one.default
            factory: Any = one.factory or dataclasses.MISSING
            made: Any = dataclasses.Field(
                default, factory, True, one.shown, None, True, {}, one.kw_only
            )
            made.name, made.type = one.name, self._annotations[one.name]
            made._field_type = dataclasses._FIELD  # type: ignore[attr-defined]  # noqa: SLF001
            yield one.name, made


def _field(
    *,
    default: Any = _MISSING,
    default_factory: Callable[[], Any] | None = None,
    repr: bool = True,  # noqa: A002  the standard module's name
) -> Any:
    """A field whose default is made anew for each instance, or that `repr` keeps to itself."""
    return _Field(default, default_factory, repr)


def _dataclass(
    cls: type | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    kw_only: bool = False,
    order: bool = False,
) -> Any:
    """A class of its annotated names, as `dataclasses.dataclass` makes one."""

    def decorate(given: type) -> type:
        fields = tuple(_fields(given, kw_only))
        made = _with_slots(given, fields) if slots else _without_defaults(given, fields)
        _add_methods(made, fields, frozen=frozen, order=order)
        return made

    return decorate if cls is None else decorate(cls)


def _replace(instance: Any, /, **changes: Any) -> Any:
    """A copy of a frozen instance with other values for the named fields."""
    kept = {one.name: getattr(instance, one.name) for one in type(instance).__fields__}
    return type(instance)(**kept | changes)


def _fields(cls: type, kw_only: bool) -> Iterator[_Field]:
    for name in cls.__annotations__:
        given = cls.__dict__.get(name, _MISSING)
        one = given if isinstance(given, _Field) else _Field(given, None, True)
        one.name, one.kw_only = name, kw_only
        yield one


def _with_slots(cls: type, fields: tuple[_Field, ...]) -> type:
    """The class once more, for slots can only be given to a new one."""
    names = tuple(one.name for one in fields)
    left = {k: v for k, v in cls.__dict__.items() if k not in names and k not in _OWN}
    return type(cls)(cls.__name__, cls.__bases__, {**left, "__slots__": names})


def _without_defaults(cls: type, fields: tuple[_Field, ...]) -> type:
    for one in fields:
        if isinstance(cls.__dict__.get(one.name), _Field):
            delattr(cls, one.name)
    return cls


def _add_methods(cls: Any, fields: tuple[_Field, ...], *, frozen: bool, order: bool) -> None:
    values = _values(fields)
    cls.__fields__ = fields
    cls.__dataclass_fields__ = _StandardFields(fields, cls.__annotations__)
    cls.__match_args__ = tuple(one.name for one in fields if not one.kw_only)  # type: ignore[misc]
    own = vars(cls)  # what the class defines itself stays
    if "__init__" not in own:
        cls.__init__ = _initialiser(cls, fields)
    if "__repr__" not in own:
        cls.__repr__ = _shower(fields)
    if "__eq__" not in own:
        cls.__eq__ = _comparison(operator.eq, values)
        cls.__hash__ = (lambda self: hash(values(self))) if frozen else None
    if frozen:
        cls.__setattr__ = cls.__delattr__ = _refuse
    if order:
        for compare in (operator.lt, operator.le, operator.gt, operator.ge):
            setattr(cls, f"__{compare.__name__}__", _comparison(compare, values))


def _values(fields: tuple[_Field, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives the values of an instance, in order."""
    names = tuple(one.name for one in fields)
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _initialiser(cls: type, fields: tuple[_Field, ...]) -> Callable[..., None]:
    title = cls.__qualname__
    setters = tuple((one, _setter(cls, one.name)) for one in fields)
    most = 0 if fields and fields[0].kw_only else len(fields)
    finish = getattr(cls, "__post_init__", None)

    def __init__(self: Any, *args: Any, **named: Any) -> None:
        if len(args) > most:
            raise TypeError(f"{title}() takes {most} values by place, not {len(args)}")
        for (_, put), value in zip(setters, args, strict=False):
            put(self, value)
        for one, put in setters[len(args) :]:
            put(self, named.pop(one.name) if one.name in named else one.absent(title))
        if named:
            raise TypeError(f"{title}() has no field {min(named)!r}, or has it by place already")
        if finish is not None:
            finish(self)

    return __init__


def _setter(cls: type, name: str) -> Callable[[Any, Any], None]:
    """What sets a field, past a `__setattr__` that refuses to."""
    put: Callable[[Any, Any], None] | None = getattr(cls.__dict__.get(name), "__set__", None)
    return put or (lambda instance, value: object.__setattr__(instance, name, value))


def _shower(fields: tuple[_Field, ...]) -> Callable[[Any], str]:
    names = tuple(one.name for one in fields if one.shown)

    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _comparison(
    compare: Callable[[Any, Any], Any], values: Callable[[Any], tuple[Any, ...]]
) -> Callable[[Any, object], Any]:
    def method(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compare(values(self), values(other))

    return method


def _refuse(self: Any, name: str, *_: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change field {name!r} of {type(self).__qualname__}")


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    dataclass, field, replace = _dataclass, _field, _replace
