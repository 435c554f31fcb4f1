"""The platforms that modules are built for."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import CarriedError

Format = Literal["elf", "macho", "pe"]
FORMATS: dict[str, Format] = {"linux": "elf", "macos": "macho", "windows": "pe"}
SUFFIXES: dict[Format, str] = {"elf": ".so", "macho": ".dylib", "pe": ".dll"}
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
PUC = tuple(sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "csrc" / "lua").glob("lua[0-9]*.c")))
"""PUC-Rio's Luas: each has a file there, which says what the core needs to know of it."""
LUAJIT = "luajit21"


@dataclass(frozen=True, slots=True)
class Target:
    """An OS and a processor."""

    system: str
    """linux, macos or windows."""
    machine: str
    """x86_64 or aarch64."""

    @property
    def name(self) -> str:
        """The name as the command line takes it."""
        return f"{self.system}-{self.machine}"

    @property
    def format(self) -> Format:
        """The format of its object files and modules."""
        return FORMATS[self.system]

    @property
    def luas(self) -> tuple[str, ...]:
        """The modules that a wheel for it carries: what lupa's own modules do not export there, and LuaJIT."""
        return (*PUC, LUAJIT) if self.system == "windows" else (LUAJIT,)

    def file_name(self, lua: str) -> str:
        """Return the base name of a module, which no other software's library has."""
        return f"luagauge_{lua}{SUFFIXES[self.format]}"


def parse(name: str) -> Target:
    """Return the target of that name, `linux-x86_64` for instance.

    Raises:
        CarriedError: There is none.
    """
    system, _, machine = name.partition("-")
    if system not in FORMATS or machine.lower() not in MACHINES:
        known = ", ".join(f"{system}-{machine}" for system in FORMATS for machine in ("x86_64", "aarch64"))
        raise CarriedError(f"no modules are carried on {name!r}; the targets are {known}")
    return Target(system, MACHINES[machine.lower()])


def host() -> Target:
    """Return this machine as a target.

    Raises:
        CarriedError: No modules are built for such a machine.
    """
    systems = {"linux": "linux", "darwin": "macos", "win32": "windows"}
    return parse(f"{systems.get(sys.platform, sys.platform)}-{platform.machine()}")


def of_wheel(platform_name: str) -> Target | None:
    """Return the target of a wheel.

    Args:
        platform_name: As sysconfig.get_platform() has it: linux-x86_64, macosx-11.0-arm64, win-amd64.

    Returns:
        None where no modules are carried: on another OS, and on a processor that LuaJIT is not built for here.

    Raises:
        CarriedError: It is for two processors at once.
    """
    system, _, rest = platform_name.lower().partition("-")
    machine = rest.rpartition("-")[2]
    if machine == "universal2":
        raise CarriedError(
            "a universal2 wheel cannot carry LuaJIT: set _PYTHON_HOST_PLATFORM (macosx-11.0-arm64) and ARCHFLAGS"
            " (-arch arm64) for one processor, or unset LUAGAUGE_LUPA_SDIST"
        )
    systems = {"linux": "linux", "macosx": "macos", "win": "windows"}
    if system not in systems or machine not in MACHINES:
        return None
    return Target(systems[system], MACHINES[machine])
