"""Frozen, slotted dataclasses that cost little at import.

`dataclasses` and what it loads take longer to import than all the rest of this package. So a class here is made without
it, and is a dataclass all the same: what `dataclasses` needs to know is there as soon as somebody asks.
"""

from __future__ import annotations

import sys
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr

from luagauge._annotations import TYPE_CHECKING, typing
from luagauge._shutdown import until_exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field

__all__ = ["dataclass", "field"]


class _Default:
    """A default that is made anew for each object; what `field` returns."""

    def __init__(self, *, default_factory: Callable[[], object], hash: bool = True) -> None:  # noqa: A002 - as in dataclasses
        """Take what makes it, and whether the field is a part of the object's hash."""
        self.factory = default_factory
        self.hashed = hash

    def __repr__(self) -> str:
        """Show it in signatures."""
        return "<factory>"


class _Form:
    """What a class was made from."""

    def __init__(self, cls: type, defaults: dict[str, object], *, kw_only: bool) -> None:
        """Take the class, the defaults of its fields, and whether they are given by name only."""
        annotations: dict[str, str] = cls.__annotations__
        self.home = vars(sys.modules[cls.__module__])  # what the annotations name
        self.names = tuple(annotations)
        self.annotations = annotations
        self.defaults = defaults
        self.kw_only = kw_only
        unhashed = {name for name, value in defaults.items() if isinstance(value, _Default) and not value.hashed}
        self.compared = attrgetter(*annotations)
        self.hashed = attrgetter(*[name for name in annotations if name not in unhashed])


class _Later:
    """An attribute of a class that is made when somebody first asks for it, and then takes the place of this."""

    def __init__(self, make: Callable[[typing.Any], typing.Any]) -> None:
        """Take what makes it from the class."""
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        """Note whose it is; a subclass may ask."""
        self._owner, self._name = owner, name

    @until_exit
    def __get__(self, instance: object, owner: type) -> typing.Any:
        """Make it."""
        made = self._make(self._owner)
        setattr(self._owner, self._name, made)
        bind = getattr(made, "__get__", None)  # of a function
        return made if bind is None else bind(instance, owner)


def __create_fn__() -> Callable[[_Value], str]:  # noqa: N807 - pprint knows a dataclass's __repr__ by this name
    """Return what every class has as `__repr__`."""

    def __repr__(self: _Value) -> str:  # noqa: N807 - that is its name there
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__form__.names])
        return f"{type(self).__qualname__}({shown})"

    return __repr__


_shown = __create_fn__()


class _Value:
    """The methods of every class that `dataclass` makes. They do what those of `dataclasses` do."""

    __slots__ = ()
    if TYPE_CHECKING:
        __form__: _Form
        __dataclass_fields__: dict[str, typing.Any]

    if not TYPE_CHECKING:
        __repr__ = recursive_repr()(_shown)
        __repr__.__wrapped__ = _shown  # as Python 3.12 and later do themselves

    def __eq__(self, other: object) -> bool:
        """Compare the fields of two objects of one class."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        compared = self.__form__.compared
        return bool(compared(self) == compared(other))

    def __hash__(self) -> int:
        """Hash the fields."""
        return hash(self.__form__.hashed(self))

    @until_exit
    def __setattr__(self, name: str, value: object) -> None:
        """Refuse a field."""
        _refuse_change(self, name, "assign to")
        super().__setattr__(name, value)

    @until_exit
    def __delattr__(self, name: str) -> None:
        """Refuse a field."""
        _refuse_change(self, name, "delete")
        super().__delattr__(name)

    @until_exit
    def __getstate__(self) -> list[object]:
        """Return the fields, for copies and pickles."""
        return [getattr(self, name) for name in _all_names(self)]

    @until_exit
    def __setstate__(self, state: list[object]) -> None:
        """Set the fields; those that came after the version that wrote the pickle get their defaults."""
        names = _all_names(self)
        for name, value in zip(names, state, strict=False):
            object.__setattr__(self, name, value)
        for name in names[len(state) :]:
            default = self.__form__.defaults[name]
            object.__setattr__(self, name, default.factory() if isinstance(default, _Default) else default)

    @until_exit
    def __replace__(self, /, **changes: object) -> typing.Any:
        """Return a copy with other values, for `copy.replace`."""
        from dataclasses import replace  # noqa: PLC0415 - see above

        me: typing.Any = self  # a dataclass, which no type checker sees
        return replace(me, **changes)


def _is_own(value: _Value) -> bool:
    """Return whether a value is of a class that was made here, and not of a subclass of one."""
    return "__form__" in type(value).__dict__


def _all_names(value: _Value) -> tuple[str, ...]:
    """Return the names of all fields; a subclass that is a dataclass may have more."""
    if _is_own(value):
        return value.__form__.names
    from dataclasses import fields  # noqa: PLC0415 - see above

    me: typing.Any = value  # a dataclass, which no type checker sees
    return tuple([one.name for one in fields(me)])


def _refuse_change(value: _Value, name: str, what: str) -> None:
    """Raise FrozenInstanceError, unless it is another attribute of a subclass."""
    if _is_own(value) or name in value.__form__.names:
        from dataclasses import FrozenInstanceError  # noqa: PLC0415 - see above

        raise FrozenInstanceError(f"cannot {what} field {name!r}")


@cache
def _twin(owner: typing.Any) -> typing.Any:
    """Return the class as `dataclasses` would have made it, which describes its fields."""
    import dataclasses  # noqa: PLC0415 - see above

    form: _Form = owner.__form__
    fields: list[tuple[str, typing.Any, typing.Any]] = []
    for name, annotation in form.annotations.items():
        default = form.defaults.get(name, dataclasses.MISSING)
        if isinstance(default, _Default):
            made = dataclasses.field(default_factory=default.factory, hash=None if default.hashed else False)
        else:
            made = dataclasses.field(default=default)
        fields.append((name, annotation, made))
    return dataclasses.make_dataclass(owner.__name__, fields, frozen=True, slots=True, kw_only=form.kw_only)


def _make_init(owner: typing.Any) -> Callable[..., None]:
    """Write `__init__` and compile it: one that walks over the fields takes three times as long for each object."""
    form: _Form = owner.__form__
    scope: dict[str, typing.Any] = {}
    parameters = ["self", "*"] if form.kw_only else ["self"]
    body = []
    for name in form.names:
        scope[f"_set_{name}"] = owner.__dict__[name].__set__
        parameter = value = name
        if name in form.defaults:
            default = scope[f"_default_{name}"] = form.defaults[name]
            parameter = f"{name}=_default_{name}"
            if isinstance(default, _Default):
                scope[f"_make_{name}"] = default.factory
                value = f"_make_{name}() if {name} is _default_{name} else {name}"
        parameters.append(parameter)
        body.append(f"    _set_{name}(self, {value})\n")
    if hasattr(owner, "__post_init__"):
        body.append("    self.__post_init__()\n")
    # The function's globals are those of the class's module; all else that it uses is a variable of the one around it.
    source = f"def __init__({', '.join(parameters)}):\n{''.join(body)}".replace("\n", "\n    ")
    around: dict[str, typing.Any] = {}
    exec(f"def around({', '.join(scope)}):\n    {source}\n    return __init__", form.home, around)  # noqa: S102 - names of this package
    made: Callable[..., None] = around["around"](**scope)
    made.__qualname__ = f"{owner.__qualname__}.__init__"
    made.__annotations__ = {**form.annotations, "return": None}
    return made


def _dataclass(*, frozen: bool, slots: bool, kw_only: bool = False) -> Callable[[type], type]:
    """Make a class a dataclass, as `dataclasses.dataclass` does, of the only kind there is here.

    Its bases are no dataclasses. The C module may fill its slots by name, and runs no `__init__` then.
    """
    if not (frozen and slots):
        raise TypeError("the dataclasses of this package are frozen and have slots")

    def made(cls: type) -> type:
        space = {name: value for name, value in vars(cls).items() if name not in {"__dict__", "__weakref__"}}
        defaults = {name: space.pop(name) for name in cls.__annotations__ if name in space}
        form = _Form(cls, defaults, kw_only=kw_only)
        space |= {
            "__qualname__": cls.__qualname__,
            "__slots__": form.names,
            "__match_args__": () if kw_only else form.names,
            "__form__": form,
            "__init__": _Later(_make_init),
            "__dataclass_fields__": _Later(lambda owner: _twin(owner).__dataclass_fields__),
            "__dataclass_params__": _Later(lambda owner: _twin(owner).__dataclass_params__),
        }
        return type(cls.__name__, (_Value,), space)

    return made


if not TYPE_CHECKING:
    dataclass, field = _dataclass, _Default
