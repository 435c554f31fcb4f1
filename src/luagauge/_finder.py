"""Finds the Lua of each version: the wheel's own module, or lupa's; makes states of it."""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys
import threading
from functools import cache

from luagauge import _binding
from luagauge._annotations import TYPE_CHECKING, typing
from luagauge._values import dataclass
from luagauge.config import LUA_VERSIONS, ScriptConfig, aliases_of
from luagauge.errors import EngineBusyError, PlatformUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from luagauge._fast import Run, State

MODULES = {
    version: ("" if version.startswith("luajit") else "lua") + version.replace(".", "") for version in LUA_VERSIONS
}
"""What the modules of the versions are called, lupa's and, with `luagauge_` in front, the wheel's own."""

OLDEST_LUPA = "2.8"  # as pyproject.toml has it, which says why
_REMEDY = f"pip install 'lupa>={OLDEST_LUPA}'"
_OTHER_LUA = (
    "install a luagauge wheel that carries it, build luagauge with LUAGAUGE_LUPA_SDIST (CONTRIBUTING.md), or use "
    "another Lua (`luagauge doctor` shows which there are)"
)


@dataclass(frozen=True, slots=True)
class FoundLua:
    """The Lua that serves a version.

    Attributes:
        address: Of the core's calls for it, for `_binding.new_state`.
        release: What it calls itself, such as `"Lua 5.4.8"`.
        module: Whose module it is: the wheel's own, or lupa's.
        path: The module's file.
    """

    address: int
    release: str
    module: typing.Literal["luagauge", "lupa"]
    path: str


# --- the wheel's own modules ------------------------------------------------------------------------------------------

_CARRIED = os.path.join(os.path.dirname(__file__), "_luas")
_RELEASES = os.path.join(_CARRIED, "RELEASES")
_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
_REPAIR = "pip install --force-reinstall luagauge"
_ELF_HEADERS = {1: ("I", 28, "HH", 42, "I", 4, 16), 2: ("Q", 32, "HH", 54, "Q", 8, 32)}  # by EI_CLASS: elf(5)
_PT_LOAD = 1


def _damaged(path: str, what: str) -> PlatformUnavailableError:
    """Return the error for an installation of luagauge that is not whole."""
    return PlatformUnavailableError(f"this installation of luagauge is damaged: {path} {what}; {_REPAIR}")


@cache
def carried_releases() -> dict[str, str]:
    """Return the release of each Lua that this wheel carries, by the module's name; empty where it carries none.

    Raises:
        PlatformUnavailableError: The list is missing, or is no such list.
    """
    try:
        with open(_RELEASES, encoding="ascii") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        if any(name.startswith("luagauge_") for name in _names_in(_CARRIED)):
            raise _damaged(_RELEASES, "is missing") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(_RELEASES, f"cannot be read ({error})") from error
    versions = {name: version for version, name in MODULES.items()}
    releases: dict[str, str] = {}
    for line in lines:
        name, _, release = line.partition(" ")
        version = versions.get(name)
        if version is None or name in releases or not _is_of(release, version):
            raise _damaged(_RELEASES, f"has the line {line!r}, which names no Lua and its release")
        releases[name] = release
    if not releases:
        raise _damaged(_RELEASES, "is empty")
    for file_name in _names_in(_CARRIED):
        if file_name.startswith("luagauge_") and file_name[9:].removesuffix(_SUFFIX) not in releases:
            raise _damaged(_RELEASES, f"does not list {file_name}")
    return releases


def _is_of(release: str, version: str) -> bool:
    """Return whether a release, such as `"Lua 5.4.8"`, is one of a Lua version."""
    start = f"LuaJIT {version[6:]}" if version.startswith("luajit") else f"Lua {version}"
    rest = release.removeprefix(start)
    return rest != release and rest[:1] in {".", "-"} and rest[1:].split() == [rest[1:]]


def _names_in(directory: str) -> list[str]:
    """Return the names in a directory, none where there is no such directory."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _find_carried(name: str, release: str) -> FoundLua:
    """Find the wheel's own module.

    Lupa's module is no substitute where this one is damaged. It may hold another release of the same Lua, with other
    bugs and other figures, and nobody would see that the Lua had changed.

    Raises:
        PlatformUnavailableError: It is missing, damaged, or holds another release than the wheel says.
    """
    path = os.path.join(_CARRIED, f"luagauge_{name}{_SUFFIX}")
    try:
        if sys.platform != "win32" and not _is_whole(path):
            raise _damaged(path, "is cut off")
        address, why, found = _binding.resolve_lua(name, path)
    except OSError as error:
        raise _damaged(path, f"cannot be loaded ({error.strerror or error})") from error
    if address == 0:
        raise _damaged(path, f"cannot be used ({why})")
    if found != release:
        raise _damaged(path, f"holds {found}, and {_RELEASES} says {release}")
    return FoundLua(address, found, "luagauge", path)


def _is_whole(path: str) -> bool:
    """Return whether an ELF file reaches as far as it says, and True of any other file.

    The dynamic linker does not look: glibc 2.36 ends the process with SIGBUS when it maps what is not there. Windows
    and macOS look, and refuse.
    """
    import struct  # noqa: PLC0415 - most engines are of a Lua that lupa brings

    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(64)
        if head[:4] != b"\x7fELF" or len(head) < 64 or head[4] not in _ELF_HEADERS:  # noqa: PLR2004 - the header
            return True  # the dynamic linker refuses that by itself
        kind, table_at, counts, counts_at, part, offset_at, size_at = _ELF_HEADERS[head[4]]
        order = "<" if head[5] == 1 else ">"
        (table,) = struct.unpack_from(order + kind, head, table_at)
        entry, count = struct.unpack_from(order + counts, head, counts_at)
        file.seek(table)
        headers = file.read(entry * count)
    if len(headers) < entry * count or entry < size_at + struct.calcsize(part):
        return False
    for at in range(0, len(headers), entry):
        (of,) = struct.unpack_from(order + "I", headers, at)
        (start,) = struct.unpack_from(order + part, headers, at + offset_at)
        (length,) = struct.unpack_from(order + part, headers, at + size_at)
        if of == _PT_LOAD and start + length > size:
            return False
    return True


# --- lupa's modules ---------------------------------------------------------------------------------------------------


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
        raise PlatformUnavailableError(
            f"lupa is not installed, and this installation of luagauge does not carry every Lua itself; {_REMEDY}"
        )
    if _numbers(version) < _numbers(OLDEST_LUPA):
        raise PlatformUnavailableError(
            f"the installed lupa is {version or 'of no known version'}, and luagauge needs {OLDEST_LUPA} or later; "
            f"{_REMEDY}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: `2.10.1rc2` is (2, 10, 1)."""
    numbers: list[int] = []
    for part in version.split("."):
        rest = part.lstrip("0123456789")
        if rest != part:
            numbers.append(int(part.removesuffix(rest)))
        if rest or not part:
            break
    return tuple(numbers)


@cache
def _check_lupa() -> None:
    """Refuse the lupa that is there, if it cannot do; what could do once is not looked at again."""
    check_version(lupa_version())


def _has_lupas(version: str) -> bool:
    """Return whether lupa may have a Lua of a version that offers the Lua C API.

    Its modules for Windows hide the API. A wheel of luagauge has the other Luas there, but no LuaJIT 2.0.
    """
    return version != "luajit2.0" or sys.platform != "win32"


def lupa_is_needed() -> bool:
    """Return whether there is a Lua that this wheel does not carry and lupa may have.

    Raises:
        PlatformUnavailableError: What this wheel carries is not known, because it is damaged.
    """
    carried = carried_releases()
    return any(name not in carried and _has_lupas(version) for version, name in MODULES.items())


def _other_version(name: str, held: str, version: str) -> PlatformUnavailableError:
    """Return the error for a module of lupa's that is not what its name says."""
    return PlatformUnavailableError(
        f"the installed lupa's {name} module holds {held}, not {version}; {_REMEDY} --force-reinstall"
    )


def _find_lupas(version: str) -> FoundLua:
    """Find lupa's module.

    Raises:
        PlatformUnavailableError: There is no lupa, it is too old, it has no such Lua, or hides the Lua C API.
    """
    if not _has_lupas(version):
        raise PlatformUnavailableError(
            "there is no LuaJIT 2.0 for Windows: luagauge carries none, and lupa's module hides the Lua C API; "
            'use "luajit2.1"'
        )
    _check_lupa()
    name = MODULES[version]
    try:
        module = importlib.import_module(f"lupa.{name}")
    except ModuleNotFoundError as error:
        raise PlatformUnavailableError(
            f"the installed lupa has no such Lua as {version} ({error}); {_OTHER_LUA}"
        ) from error
    except ImportError as error:  # in a second interpreter of the process, say
        raise PlatformUnavailableError(
            f"lupa's {name} module cannot be imported here ({error}); {_REMEDY} --force-reinstall"
        ) from error
    # The core's calls are compiled for one version each: in another's library they would read what is not there.
    spoken = ".".join(str(part) for part in module.LUA_VERSION)
    if spoken != version and not (spoken == "5.1" and version.startswith("luajit")):
        raise _other_version(name, f"Lua {spoken}", version)
    path = str(module.__file__)
    try:
        address, why, release = _binding.resolve_lua(name, path)
    except OSError as error:
        raise PlatformUnavailableError(
            f"lupa's {name} module cannot be loaded ({error.strerror or error}); {_REMEDY} --force-reinstall"
        ) from error
    if address == 0:
        raise PlatformUnavailableError(
            f"lupa's {name} module does not offer the Lua C API here ({why}), and this installation of "
            f"luagauge carries none of its own; {_OTHER_LUA}"
        )
    if not _is_of(release, version):  # LUA_VERSION does not tell LuaJIT from 5.1
        raise _other_version(name, release or "a Lua that does not say which it is", version)
    return FoundLua(address, release, "lupa", path)


# --- the choice -------------------------------------------------------------------------------------------------------


@cache
def find_lua(version: str) -> FoundLua:
    """Return the Lua that serves a version: the wheel's own module where it carries one, else lupa's.

    Lupa is not looked for where the wheel carries the Lua.

    Raises:
        PlatformUnavailableError: There is no such Lua here; the text says why, and what to do.
    """
    name = MODULES[version]
    release = carried_releases().get(name)
    return _find_lupas(version) if release is None else _find_carried(name, release)


def open_state(config: ScriptConfig) -> tuple[State, FoundLua, Run, Callable[..., typing.Any]]:
    """Make the Lua state of an engine; say which Lua it is, what runs scripts in it, and what compiles them.

    Raises:
        PlatformUnavailableError: There is no such Lua here.
        MemoryError: There is not enough for a Lua state.
    """
    main_thread = threading.main_thread().ident or 0
    found = find_lua(config.lua)
    if config.allow_filesystem:
        state, run = _open_with_files(config, found, main_thread)
    else:
        state = _binding.new_state(found.address, config, main_thread)
        run = state.run
    if sys.platform == "win32" and config.lua.startswith("luajit"):
        return state, found, _without_faulthandler(run), _without_faulthandler(state.compile)
    return state, found, run, state.compile


def _without_faulthandler(call: Callable[..., typing.Any]) -> Callable[..., typing.Any]:
    """Refuse calls while Python's faulthandler is on, which LuaJIT's errors set off on Windows.

    Each is an exception of the system there (RaiseException), as a fault is. faulthandler answers by writing the stacks
    of all threads, without the GIL, which the run has given up: it reads frames that other threads change, and may end
    the process.
    """

    def checked(*arguments: typing.Any) -> typing.Any:
        if faulthandler.is_enabled():
            raise PlatformUnavailableError(
                "LuaJIT's errors are exceptions of Windows, and Python's faulthandler, which is on, answers each with "
                'the stacks of all threads and may end the process; call faulthandler.disable(), or use lua="5.4"'
            )
        return call(*arguments)

    return checked


def _open_with_files(config: ScriptConfig, found: FoundLua, main_thread: int) -> tuple[State, Run]:
    """Make a state whose scripts may use files; what a run leaves open is closed after it."""
    from luagauge import _filesystem  # noqa: PLC0415 - most engines have no file access

    limit = config.memory_limit_mb
    access = _filesystem.Filesystem(
        [str(directory) for directory in config.filesystem_directories],
        int((limit or 1024) * 1048576),
        config.lua,
        aliases_of(config),
    )
    state = _binding.new_state(found.address, config, main_thread, access.functions())

    run_in_state: Callable[..., typing.Any] = state.run

    def run(*arguments: typing.Any) -> typing.Any:
        try:
            result = run_in_state(*arguments)
        except EngineBusyError:
            raise  # the run in progress is another one, and the open files are its
        except BaseException:
            access.close_all()
            raise
        access.close_all()
        return result

    return state, run


def available() -> dict[str, str | None]:
    """Return, for every Lua version, None where it can be used, else why not."""
    found: dict[str, str | None] = {}
    for version in LUA_VERSIONS:
        try:
            find_lua(version)
        except PlatformUnavailableError as error:
            found[version] = str(error)
        else:
            found[version] = None
    return found
