"""The global `context`: what the host tells a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luagauge import LuaEngine, ScriptContext

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.emulated


def test_context_has_three_parts(engine: LuaEngine) -> None:
    """request, response and metadata, each as given."""
    context = ScriptContext(request={"path": "/a", "ids": [1, 2]}, response={"status": 200}, metadata={"who": "me"})
    source = "return context.request.path, context.request.ids[2], context.response.status, context.metadata.who"
    assert engine.execute_script(source, context).output == ("/a", 2, 200, "me")


def test_context_without_one_is_three_empty_tables(engine: LuaEngine) -> None:
    """A script may index it in any case; the same for an empty ScriptContext."""
    source = "return type(context.request), next(context.response), type(context.metadata)"
    assert engine.execute_script(source).output == ("table", None, "table")
    assert engine.execute_script(source, ScriptContext()).output == ("table", None, "table")


def test_context_of_a_dict_is_that_dict(engine: LuaEngine) -> None:
    """No part is added."""
    assert engine.execute_script("return context", {"a": {"b": 1}}).output == {"a": {"b": 1}}
    assert engine.execute_script("return context.request == nil", {"a": 1}).output is True
    assert engine.execute_script("return next(context) == nil", {}).output is True


def test_context_may_hold_any_plain_value(engine: LuaEngine) -> None:
    """The parts need not be dicts."""
    source = "return context.request, context.response[1], context.metadata == nil"
    context = ScriptContext(request="text", response=[5], metadata=None)
    assert engine.execute_script(source, context).output == ("text", 5, True)


def test_context_belongs_to_the_run(engine: LuaEngine) -> None:
    """What a script changes is neither the host's nor the next run's."""
    request = {"items": [1, 2, 3]}
    context = ScriptContext(request=request)
    source = "context.request.items[1] = 'changed' context.extra = 1 return #context.request.items"
    for _ in range(2):
        assert engine.execute_script(source, context).output == 3
        assert engine.execute_script("return context.extra == nil, context.request.items[1]", context).output == (
            True,
            1,
        )
    assert request == {"items": [1, 2, 3]}
    assert engine.execute_script("return context.request.items == nil").output is True


def test_context_reaches_precompiled_scripts(engine: LuaEngine) -> None:
    """Each run of one script has its own."""
    script = engine.precompile_script("return context.request.n * 2")
    assert [engine.execute_script(script, ScriptContext(request={"n": n})).output for n in range(3)] == [0, 2, 4]


def test_context_is_seen_through_loaded_code(engine: LuaEngine) -> None:
    """By name at run time, too."""
    assert engine.execute_script(
        "return (loadstring or load)('return context.a')(), _G.context.a", {"a": 1}
    ).output == (1, 1)


def test_context_is_not_needed_to_be_named(engine: LuaEngine) -> None:
    """A script that does not mention it runs the same."""
    assert engine.execute_script("return 1", {"a": 1}).output == 1


def test_context_response_can_be_the_output(engine: LuaEngine) -> None:
    """The way a request and response filter is written."""
    source = """
    local response = context.response
    response.headers['x-checked'] = 'yes'
    if #context.request.body > 3 then response.status = 413 end
    return response
    """
    context = ScriptContext(request={"body": "long"}, response={"status": 200, "headers": {}})
    assert engine.execute_script(source, context).output == {"status": 413, "headers": {"x-checked": "yes"}}


def test_large_contexts_arrive_whole(make_engine: Callable[..., LuaEngine], lua: str) -> None:
    """A hundred thousand values."""
    engine = make_engine(lua, memory_limit_mb=None)
    rows = [{"id": i, "name": f"name {i}"} for i in range(30_000)]
    source = "local n = 0 for _, row in ipairs(context.rows) do n = n + row.id + #row.name end return n"
    expected = sum(row_id + len(f"name {row_id}") for row_id in range(30_000))
    assert engine.execute_script(source, {"rows": rows}).output == expected
