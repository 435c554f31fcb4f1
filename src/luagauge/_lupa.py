"""Finds lupa's Lua modules, and the Lua C API inside them; chooses what an engine stands on."""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from luagauge import _binding
from luagauge.config import LUA_VERSIONS, ScriptConfig
from luagauge.errors import ConfigurationError, EngineBusyError, PlatformUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge._fast import State
    from luagauge._lupa_state import LupaState

_MODULES = {
    "5.1": "lua51",
    "5.2": "lua52",
    "5.3": "lua53",
    "5.4": "lua54",
    "5.5": "lua55",
    "luajit2.0": "luajit20",
    "luajit2.1": "luajit21",
}


OLDEST_LUPA = "2.8"  # as pyproject.toml has it, which says why
_REMEDY = f"pip install 'lupa>={OLDEST_LUPA}'"


def lupa_version() -> str | None:
    """Return the version of the lupa that is there, None where there is none; `""` where it does not say.

    Raises:
        PlatformUnavailableError: It cannot be imported.
    """
    try:
        lupa = importlib.import_module("lupa")
    except ModuleNotFoundError as error:
        if error.name == "lupa":
            return None
        raise PlatformUnavailableError(f"the installed lupa cannot be imported ({error}); {_REMEDY}") from error
    except ImportError as error:
        raise PlatformUnavailableError(f"the installed lupa cannot be imported ({error}); {_REMEDY}") from error
    if getattr(lupa, "__file__", None) is None:  # a directory that an uninstalled one left behind
        return None
    # Not the metadata of the distribution: reading it takes 20 times as long as making an engine.
    return str(getattr(lupa, "__version__", ""))


def check_version(version: str | None) -> None:
    """Refuse a version of lupa that cannot do.

    Raises:
        PlatformUnavailableError: There is none, or it is too old.
    """
    if version is None:
        raise PlatformUnavailableError(f"lupa is not installed, and the Lua that scripts run in is lupa's; {_REMEDY}")
    if _numbers(version) < _numbers(OLDEST_LUPA):
        raise PlatformUnavailableError(
            f"the installed lupa is {version or 'of no known version'}, and luagauge needs {OLDEST_LUPA} or later; "
            f"{_REMEDY}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: `2.10.1rc2` is (2, 10, 1)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


@cache
def _check_lupa() -> None:
    """Refuse the lupa that is there, if it cannot do; what could do once is not looked at again."""
    check_version(lupa_version())


def _import_lua(version: str) -> str:
    """Import lupa's module for a Lua version, and return its name within lupa.

    Raises:
        ConfigurationError: This lupa has no such Lua, or its module cannot be imported here.
        PlatformUnavailableError: There is no lupa, or one that is too old.
    """
    _check_lupa()
    name = _MODULES[version]
    try:
        module = importlib.import_module(f"lupa.{name}")
    except ModuleNotFoundError as error:
        raise ConfigurationError("lua", version, f"the installed lupa has no such Lua ({error})") from error
    except ImportError as error:  # in a second interpreter of the process, say
        raise ConfigurationError("lua", version, f"lupa's {name} module cannot be imported here ({error})") from error
    # The core's calls are compiled for one version each: in another's library they would read what is not there.
    spoken = ".".join(str(part) for part in module.LUA_VERSION)
    if spoken != version and not (spoken == "5.1" and version.startswith("luajit")):
        raise ConfigurationError("lua", version, f"the installed lupa's {name} module holds Lua {spoken}")
    return name


@cache
def find_lua(version: str) -> int:
    """Return the address of the core's calls for a Lua version, for `_binding.new_state`.

    Raises:
        ConfigurationError: This lupa has no such Lua.
        PlatformUnavailableError: There is no lupa, it is too old, or its module does not export the Lua C API.
    """
    name = _import_lua(version)
    path = sys.modules[f"lupa.{name}"].__file__
    address, missing = _binding.resolve_lua(name, str(path))
    if address == 0:
        raise PlatformUnavailableError(f"lupa's {name} module does not offer the Lua C API here: {missing} is missing")
    return address


def strategy(version: str) -> Literal["allocator", "lupa"]:
    """Return what the engines of a Lua version stand on: the C core, or lupa's Python API where it cannot be reached.

    The environment variable LUAGAUGE_STRATEGY=lupa asks for the second, for tests.

    Raises:
        ConfigurationError: This lupa has no such Lua.
        PlatformUnavailableError: There is no lupa, it is too old, or nothing here can hold its Lua to a memory limit.
    """
    if os.environ.get("LUAGAUGE_STRATEGY") != "lupa":
        try:
            find_lua(version)
        except PlatformUnavailableError:
            pass
        else:
            return "allocator"
    name = _import_lua(version)
    if name == "luajit20" and sys.maxsize > 1 << 32:
        raise PlatformUnavailableError(
            f"lupa's {name} module does not offer the Lua C API here, and a 64-bit LuaJIT 2.0 takes no memory limit "
            "from lupa; use luajit2.1"
        )
    return "lupa"


def open_state(
    config: ScriptConfig,
) -> tuple[State | LupaState, Literal["allocator", "lupa"], Callable[..., Any]]:
    """Make the Lua state of an engine; say what it stands on, and what runs scripts in it.

    Raises:
        ConfigurationError: This lupa has no such Lua.
        PlatformUnavailableError: There is no lupa, it is too old, or nothing here can hold its Lua to a memory limit.
        MemoryError: There is not enough for a Lua state.
    """
    main_thread = threading.main_thread().ident or 0
    if strategy(config.lua) == "allocator":
        if config.allow_filesystem:
            return _open_with_files(config, main_thread)
        state = _binding.new_state(find_lua(config.lua), config, main_thread)
        return state, "allocator", state.run
    if config.allow_filesystem:
        raise ConfigurationError("allow_filesystem", True, "file access needs the Lua C API, which is not offered here")
    from luagauge._lupa_state import LupaState  # noqa: PLC0415 - threads and Lua text that most platforms never need

    fallback = LupaState(_MODULES[config.lua], config)
    return fallback, "lupa", fallback.run


def _open_with_files(config: ScriptConfig, main_thread: int) -> tuple[State, Literal["allocator"], Callable[..., Any]]:
    """Make a state whose scripts may use files; what a run leaves open is closed after it."""
    from luagauge import _filesystem  # noqa: PLC0415 - most engines have no file access

    limit = config.memory_limit_mb
    access = _filesystem.Filesystem(
        [str(directory) for directory in config.filesystem_directories], int((limit or 1024) * 1048576), config.lua
    )
    prelude = _filesystem.prelude(config.lua, config.max_output_size)
    state = _binding.new_state(find_lua(config.lua), config, main_thread, access.functions(), prelude)

    def run(*arguments: Any) -> Any:
        try:
            result = state.run(*arguments)
        except EngineBusyError:
            raise  # the run in progress is another one, and the open files are its
        except BaseException:
            access.close_all()
            raise
        access.close_all()
        return result

    return state, "allocator", run


def available() -> dict[str, str | None]:
    """Return, for every Lua version, None where it can be used, else why not."""
    found: dict[str, str | None] = {}
    for version in LUA_VERSIONS:
        try:
            strategy(version)
        except (ConfigurationError, PlatformUnavailableError) as error:
            found[version] = str(error)
        else:
            found[version] = None
    return found
