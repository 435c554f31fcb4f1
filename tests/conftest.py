"""What every test shares: the switch for the long ones, the mark that every leak test carries, and engines."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from luagauge import LUA_VERSIONS, LuaEngine, ScriptConfig, ScriptTimeoutError, _finder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAKS = Path(__file__).parent / "leaks"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --soak and --lua."""
    parser.addoption("--soak", action="store_true", help="also run the tests marked slow (leak and endurance soaks)")
    parser.addoption("--per-lua", action="store_true", help="leave out the tests that are not run once for each Lua")
    parser.addoption(
        "--lua", action="append", choices=LUA_VERSIONS, help="of the tests run once for each Lua, these alone; repeat"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach child processes.

    A shell's background jobs ignore SIGINT, and what is ignored is inherited.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave_out(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    """Deselect some of the tests."""
    config.hook.pytest_deselected(items=left_out)
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]


def _luas_of(item: pytest.Item) -> set[str]:
    """Return the Luas that are among a test's parameters, whatever they are called there: "5.4", or a module's "lua54"."""
    parameters = getattr(item, "callspec", None)
    values = parameters.params.values() if parameters else ()
    names = {value if isinstance(value, str) else getattr(value, "name", None) for value in values}
    return {version for version in LUA_VERSIONS if {version, _finder.MODULES[version]} & names}


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the leak tests as needing the real malloc; leave out what --soak does not ask for."""
    for item in items:
        if LEAKS in item.path.parents:
            item.add_marker("real_malloc")
    if not config.getoption("--soak"):
        _leave_out(config, items, [item for item in items if item.get_closest_marker("slow")])
    if config.getoption("--per-lua"):
        _leave_out(config, items, [item for item in items if not _luas_of(item)])
    chosen = config.getoption("--lua")
    if chosen:
        _leave_out(config, items, [item for item in items if _luas_of(item) - set(chosen)])


@pytest.fixture(scope="session", params=LUA_VERSIONS)
def lua(request: pytest.FixtureRequest) -> str:
    """Return each Lua version in turn."""
    version = str(request.param)
    why_not = _finder.available()[version]
    if why_not is not None:
        pytest.skip(why_not)  # lupa's wheels for musl and macOS hold fewer Luas, and there is no LuaJIT 2.0 for Windows
    return version


@pytest.fixture
def make_engine() -> Iterator[Callable[..., LuaEngine]]:
    """Return a function that makes an engine from the settings of ScriptConfig; all are closed afterwards."""
    engines: list[LuaEngine] = []

    def make(lua: str = "5.4", **settings: Any) -> LuaEngine:
        engines.append(LuaEngine(ScriptConfig(lua=lua, **settings)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: Callable[..., LuaEngine], lua: str) -> LuaEngine:
    """Return an engine with the default limits, for each Lua version in turn."""
    return make_engine(lua)


@pytest.fixture
def assert_usable() -> Callable[[LuaEngine], None]:
    """Return a check that an engine runs the next script right: data in, log, data out, nothing left behind."""

    def check(engine: LuaEngine) -> None:
        source = "print('next') return {context.request.a, leak == nil, result == nil, #('x'):rep(1000)}"
        for _ in range(5):
            result = engine.execute_script(source, {"request": {"a": 1}})
            # A busy machine can cost it its own time, where a test gave the engine little; what an earlier run left
            # behind would end it at once.
            if not isinstance(result.error, ScriptTimeoutError) or result.duration_ms < result.error.timeout_ms:
                break
        assert result.error is None
        assert result.output == [1, True, True, 1000]
        assert [entry.message for entry in result.logs] == ["next"]

    return check
