"""The value types are dataclasses in all that a user can do with one, and made without loading `dataclasses`.

The oracle is `dataclasses` itself: both make classes of the same source, and must agree.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import inspect
import pickle
import pprint
import typing
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from rich.pretty import pretty_repr

from luagauge import (
    EngineStats,
    LogEntry,
    MemoryDelta,
    MemorySnapshot,
    MemoryTrackingConfig,
    ScriptConfig,
    ScriptContext,
    ScriptMemory,
    ScriptResult,
    _values,
)

# One of each, with what it becomes in a pickle of the version that used `dataclasses` itself.
VALUES: dict[str, Any] = {
    "MemorySnapshot": MemorySnapshot(1, 2, 0.5),
    "MemoryDelta": MemoryDelta(1, -2, 0.5),
    "LogEntry": LogEntry("info", "text", 1.5),
    "ScriptMemory": ScriptMemory(
        1000, 1500, 3000, 9000, 12, 1, 8192, MemoryDelta(1, -2, 0.5), process_shared=False, source="allocator"
    ),
    "ScriptResult": ScriptResult(
        success=True, output={"a": [1]}, logs=(LogEntry("info", "text", 1.5),), duration_ms=2.5, memory_used_mb=0.5,
        error=None, memory=None, logs_dropped=3,
    ),
    "EngineStats": EngineStats("5.4", 1, 2, 3, 4, "allocator", 5, None, "Lua 5.4.8", "lupa"),
    "MemoryTrackingConfig": MemoryTrackingConfig(on_error="ignore", min_delta_mb=0.5),
    "ScriptContext": ScriptContext(request={"a": 1}),
    "ScriptConfig": ScriptConfig(timeout_ms=7, functions={"f": len}, environment_variables={"A": "b"}),
}  # fmt: skip
PICKLES = {
    "MemorySnapshot": ("fCQC1000000001t5Nvf}XJK_`WiE1Mb9HQVbCiq@O=WFwa(Pp3VQ_P3Z*-KClqrFfU6d$G0ZRf$Ki~iW00000WnwM"),
    "MemoryDelta": ("fCQC1000000001t5Nvf}XJK_`WiE1Mb9HQVbCiq=O=WFwa(P5$Y;<9ilawielwFi4O94v$|Ns9-Ki~iW00000WnwM"),
    "LogEntry": ("fCQC5000000001t5Nvf}XJK_`WiE1Mb9HQVbCiq-OmAmJZgg^al#`Sxfs|d8D2xPYZf0+kj0ALLcyyFUKllIu00000WnwM"),
    "ScriptMemory": (
        "fCQCy000000001t5Nvf}XJK_`WiE1Mb9HQVbCiq>Q)6;zaCA*&ZEtdUl#`Sxfs|d8C{5@CP22@dxC>1vBTEcR0ZjlPXaI~0O=WFw"
        "a(P5$Y;<9ilawielwFi4O94v$|Ns9-Ki~iW00000Wnzhp31Mt(Z)0I}Z*r7nVlD"
    ),
    "ScriptResult": (
        "fCQC-000000001t5Nvf}XJK_`WiE1Mb9HQVbCiq>Q)6;zaCA~-b9HQVl#`Sxfs|d8D2RQOi~(VkU6e}!VRL8zj0j9`XGLywa(R@K"
        "lqrFfU6d${1Zi$&Z<LG#bY*ySlt(}K00000003oTg_K7?1ONa40000-Ki~iW00000PEJb$PKjk=E&"
    ),
    "EngineStats": (
        "fCQCW000000001t4{UW|XJK_`WiDlIXK8L_l#B~SZf9w3Wm9xvbaRxGlqrFfU6d${12rx*luH3i0!sr+1dIt`Y;131VRUbDluHFp"
        "j0sG2VIVawG%h%lj09|TaAA~XVlD"
    ),
    "MemoryTrackingConfig": (
        "fCQCC000000001t4{UW|XJK_`WiDfHZf0p`l#CQjWo>VAc~o*?V{2({XG3ppW@%@XlawielwFi4h>QklXKrtDWt2xh-~a#s0001GVlD"
    ),
    "ScriptContext": ("fCQB~000000001t4{UW|XJK_`WiDfHZf0p`l#C5iV{&P5bVF}$bY*ySl#`Sxfs|d8D1DTS0b!I&0dswneUxQlE&"),
    "ScriptConfig": (
        "fCQDd0RR910001t4{UW|XJK_`WiDfHZf0p`l#B;oa%F8{WM!0-lxP5q3{zurX>fEyZ*FF3XOxqaeUvDS18j9+l#By4E;N*k3Uq00"
        "Wp8zKUu|=gO9zY#V{mm}bZKp6Uu|=gPK*$3VR&C@ZgX^Ubz^jCZ*FsxPK+C5WnpA&X>Mg-X>Ma|b!268Ut?ixY+_+!Yjc!{j0tFA"
        "a%5j~bZ>B!h>Q<yWo>VAd0%X4ZE190ZDN#5WQ-4OVR&C}b#!obbYF96dS#SK000mGj1O&LcwcO9XJ2J*baH8BbCgZ!1B?u9VR&C`"
        "Z)aa~X?kUpN&o;50E`e}Y;13LUuJ1+WpjCRbY*RniHsIzX>4V4d2@7SZC_+*a%E$5Z*pm6bCfBJ6=iOAX>xCFZDnqBUv^<~X<=e)"
        "Wpk8$l#BsEl#Bsllyi&;W_503bZKvHbCi9Qi~(kpj0j?NX>4?9ZgZ5318ik(l#`Tmj1O&PZEtdUUvzR|V{2({XOw6Fj1)~}ZEtdU"
        "RB~ZsYiVw0LvL<oX=jv^lqrFfU6d$@j0S0EZf|mBlt%yn00000003oTb%vBulr8"
    ),
}


def define(dataclass: Any, field: Any) -> tuple[Any, Any]:
    """Return a class of each kind that there is, made by the one or the other."""

    @dataclass(frozen=True, slots=True)
    class Point:
        """A point."""

        x: int
        y: int | None = 5
        tags: Any = field(default_factory=list, hash=False)
        where: typing.Literal["here", "there"] = "here"

        def __post_init__(self) -> None:
            if self.x is None:
                raise ValueError("x is None")

        @property
        def double(self) -> int:
            return 2 * self.x

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        """By name only."""

        first: int = 1
        second: str  # type: ignore[misc]  # mypy does not see kw_only here
        third: Any = field(default_factory=dict)

    return Point, Named


OURS, THEIRS = define(_values.dataclass, _values.field), define(dataclasses.dataclass, dataclasses.field)
PAIRS = pytest.mark.parametrize("ours, theirs", list(zip(OURS, THEIRS, strict=True)), ids=["positional", "by name"])


def made(kind: Any, first: object = 1) -> Any:
    """Return an object of one of the two kinds."""
    return kind(first, 2, ["a"]) if kind.__name__ == "Point" else kind(first=first, second="b")


def failure(call: Any) -> tuple[type[BaseException], str]:
    """Return how a call fails."""
    with pytest.raises(Exception) as caught:
        call()
    return caught.type, str(caught.value)


@PAIRS
def test_values_are_made_as_dataclasses_are(ours: Any, theirs: Any) -> None:
    """One signature, one set of refusals, defaults that are made anew for each object, and `__post_init__`."""
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert ours.__init__.__annotations__ == theirs.__init__.__annotations__
    assert (ours.__init__.__qualname__, ours.__init__.__module__) == (theirs.__init__.__qualname__, __name__)
    for call in (
        lambda kind: kind(*()), lambda kind: kind(1, 2, 3, 4, 5), lambda kind: kind(unknown=1),
        lambda kind: kind(1, x=1), lambda kind: kind(None),
    ):  # fmt: skip
        assert failure(lambda call=call: call(ours)) == failure(lambda call=call: call(theirs))
    assert dataclasses.astuple(made(ours)) == dataclasses.astuple(made(theirs))
    first, second = (ours(1), ours(1)) if ours is OURS[0] else (ours(second="b"), ours(second="b"))
    assert first == second
    assert getattr(first, dataclasses.fields(first)[2].name) is not getattr(second, dataclasses.fields(first)[2].name)


@PAIRS
def test_values_describe_their_fields_as_dataclasses_do(ours: Any, theirs: Any) -> None:
    """What `dataclasses` and `typing` say of the class, and what pattern matching uses."""
    assert all(map(dataclasses.is_dataclass, [ours, made(ours)]))
    assert str(ours.__dataclass_params__) == str(theirs.__dataclass_params__)
    assert ours.__dataclass_fields__ is ours.__dataclass_fields__
    shown = [[str(one).replace("<factory>", "") for one in dataclasses.fields(kind)] for kind in (ours, theirs)]
    for field, same in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        for name in ("name", "type", "default", "default_factory", "init", "repr", "hash", "compare", "kw_only"):
            assert getattr(field, name) == getattr(same, name), (shown, name)
    assert typing.get_type_hints(ours) == typing.get_type_hints(theirs)
    assert (ours.__match_args__, ours.__slots__) == (theirs.__match_args__, theirs.__slots__)
    assert (ours.__doc__, ours.__module__, ours.__qualname__) == (
        theirs.__doc__,
        theirs.__module__,
        theirs.__qualname__,
    )


@PAIRS
def test_values_compare_hash_and_show_as_dataclasses_do(ours: Any, theirs: Any) -> None:
    """Equal by class and fields, one hash, one text, in `pprint` and rich too; recursion ends."""
    mine, same = made(ours), made(theirs)
    assert mine == made(ours)
    assert mine != made(ours, 3)
    assert mine != same
    assert mine.__eq__(same) is NotImplemented
    if ours is OURS[0]:
        assert hash(mine) == hash(same)
    else:
        assert failure(lambda: hash(mine)) == failure(lambda: hash(same))
    assert repr(mine) == repr(same)
    assert pprint.pformat(made(ours, "x" * 90)) == pprint.pformat(made(theirs, "x" * 90))
    assert pretty_repr(mine, max_width=20) == pretty_repr(same, max_width=20)
    loops: list[Any] = [[], []]
    for loop, kind in zip(loops, (ours, theirs), strict=True):
        loop.append(made(kind, loop))
    assert repr(loops[0]) == repr(loops[1])
    assert repr(loops[0][0]) == repr(loops[1][0])


@PAIRS
def test_values_are_frozen_as_dataclasses_are(ours: Any, theirs: Any) -> None:
    """No field is changed or deleted, no attribute added; there is neither a `__dict__` nor a weak reference."""
    mine, same = made(ours), made(theirs)
    name = ours.__slots__[0]
    changes: list[Callable[[Any], object]] = [
        lambda one: setattr(one, name, 1), lambda one: delattr(one, name), lambda one: vars(one)["x"],
    ]  # fmt: skip
    for change in changes:
        assert failure(lambda change=change: change(mine)) == failure(lambda change=change: change(same))
    with pytest.raises(dataclasses.FrozenInstanceError):  # where dataclasses of 3.11 make a TypeError of it
        mine.other = 1
    plain_kind: Any = type("Plain", (ours,), {})
    plain = plain_kind.__new__(plain_kind)
    plain.other = 3
    assert plain.other == 3
    del plain.other
    assert not hasattr(plain, "other")
    assert issubclass(dataclasses.FrozenInstanceError, AttributeError)
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(mine)
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(same)


@PAIRS
def test_values_are_copied_as_dataclasses_are(ours: Any, theirs: Any) -> None:
    """By `copy`, by `replace`, as a dict and as a tuple."""
    mine, same = made(ours), made(theirs)
    name = ours.__slots__[0]
    assert copy.copy(mine) == copy.deepcopy(mine) == mine
    assert dataclasses.asdict(mine) == dataclasses.asdict(same)
    assert dataclasses.replace(mine, **{name: 9}) == made(ours, 9)
    assert mine.__replace__(**{name: 9}) == made(ours, 9)
    if hasattr(copy, "replace"):
        assert copy.replace(mine, **{name: 9}) == made(ours, 9)
    assert failure(lambda: dataclasses.replace(mine, unknown=1)) == failure(
        lambda: dataclasses.replace(same, unknown=1)
    )


def subclass_facts(base: Any, **options: Any) -> list[Any]:
    """Return what subclasses of a class do, one that is a dataclass and a plain one."""
    kind: Any = dataclasses.make_dataclass(
        "More", [("more", int, 7)], bases=(base,), frozen=True, kw_only=True, **options
    )
    plain_kind: Any = type("Plain", (base,), {})
    one, plain = (sub(1, 2, ["a"]) if base.__name__ == "Point" else sub(second="b") for sub in (kind, plain_kind))
    return [
        repr(one), one == copy.copy(one), copy.copy(one).more, [field.name for field in dataclasses.fields(kind)],
        str(inspect.signature(kind)), str(inspect.signature(plain_kind)), repr(plain), plain == copy.copy(plain),
        failure(lambda: setattr(one, "more", 1)), failure(lambda: setattr(plain, base.__slots__[0], 1)),
        dataclasses.fields(plain_kind)[0].name, plain == made(base), made(base) == plain,
        plain_kind.__init__ is base.__init__,
    ]  # fmt: skip


@PAIRS
@pytest.mark.parametrize("options", [{}, {"slots": True}], ids=["with a dict", "with slots"])
def test_values_have_subclasses_as_dataclasses_have(ours: Any, theirs: Any, options: dict[str, bool]) -> None:
    """A subclass that is a dataclass has both sets of fields; a plain one may have attributes of its own."""
    assert subclass_facts(ours, **options) == subclass_facts(theirs, **options)


@PAIRS
def test_fields_of_the_class_are_no_part_of_a_copy(ours: Any, theirs: Any) -> None:
    """Nor what is given to __init__ only."""
    for base in (ours, theirs):
        more: list[Any] = [("shared", typing.ClassVar[int], 3), ("more", int, 7)]
        given: dict[str, Any] = {"more": 5}
        if not hasattr(base, "__post_init__"):  # which would get it
            more.append(("given", dataclasses.InitVar[int]))
            given["given"] = 4
        kind: Any = dataclasses.make_dataclass("More", more, bases=(base,), frozen=True, kw_only=True)
        one = kind(1, 2, ["a"], **given) if base.__name__ == "Point" else kind(second="b", **given)
        for again in (copy.copy(one), copy.deepcopy(one)):
            assert again == one
            assert again.more == 5
            assert vars(again) == vars(one)


def test_dataclass_makes_no_other_kind() -> None:
    """What it does not do, it refuses."""
    with pytest.raises(TypeError, match="frozen and have slots"):
        _values.dataclass(frozen=False, slots=True)
    with pytest.raises(TypeError, match="frozen and have slots"):
        _values.dataclass(frozen=True, slots=False)


@pytest.mark.parametrize("name", VALUES)
def test_pickles_of_an_older_version_are_read(name: str) -> None:
    """A pickle names the class and lists its fields; both are as they were."""
    again = pickle.loads(base64.b85decode(PICKLES[name]))  # noqa: S301 - our own bytes
    assert type(again) is type(VALUES[name])
    assert again == VALUES[name]


def test_pickles_with_fewer_fields_are_read() -> None:
    """Fields that came later have their defaults, each object its own."""
    state = VALUES["ScriptResult"].__getstate__()
    result = ScriptResult.__new__(ScriptResult)
    result.__setstate__(state[:7])  # type: ignore[attr-defined]  # as pickle does
    assert result == dataclasses.replace(VALUES["ScriptResult"], logs_dropped=0)
    first, second = ScriptContext.__new__(ScriptContext), ScriptContext.__new__(ScriptContext)
    for context in (first, second):
        context.__setstate__([{"a": 1}])  # type: ignore[attr-defined]  # as above
    assert first == VALUES["ScriptContext"]
    assert first.metadata is not second.metadata


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_those_of_an_older_version(name: str, protocol: int) -> None:
    """So that an older version reads them: the state is the list of the fields."""
    value = VALUES[name]
    if name != "ScriptConfig":
        assert value.__reduce_ex__(protocol)[2] == [getattr(value, field.name) for field in dataclasses.fields(value)]
    assert pickle.loads(pickle.dumps(value, protocol)) == value  # noqa: S301 - our own bytes


@pytest.mark.parametrize("name", VALUES)
def test_annotations_of_public_values_can_be_evaluated(name: str) -> None:
    """Libraries that build forms and parsers from types read them so."""
    kind = type(VALUES[name])
    hints = typing.get_type_hints(kind)
    assert list(hints) == [field.name for field in dataclasses.fields(VALUES[name])]
    assert typing.get_type_hints(kind.__init__) == {**hints, "return": type(None)}
    assert [one.annotation for one in inspect.signature(kind, eval_str=True).parameters.values()] == [*hints.values()]
    assert not any(isinstance(hint, (str, typing.ForwardRef)) for hint in hints.values())


def test_values_match_patterns() -> None:
    """By position and by name."""
    match VALUES["LogEntry"]:
        case LogEntry(level, message, time=1.5):
            assert (level, message) == ("info", "text")
        case _:
            pytest.fail("no match")
