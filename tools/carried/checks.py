"""Look at a module that was linked, before anybody loads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import CarriedError
from .objects import read
from .targets import Format
from .toolchain import SECTIONS

# Between two files' code a linker leaves at most this, for alignment.
PADDING_BYTES = 64
EXPORTED = re.compile(r"lua(L|open|JIT)?_\w+|luagauge_(release|text)")
DATA = {"luagauge_release", "luagauge_text", "lua_ident"}
# What a module may be linked with: the platform's C library, Windows itself, and libgcc's unwinder, which all of a
# process share.
LIBRARIES: dict[Format, str] = {
    "elf": r"lib(c|m|dl|pthread|gcc_s)\.so(\.\d+)?|ld-linux[\w-]*\.so\.\d+|(lib|ld-)c?\.?musl-\w+\.so(\.\d+)?",
    "macho": r"/usr/lib/libSystem\.B\.dylib",
    "pe": r"(?i:kernel32|ntdll|ucrtbase|vcruntime\d+(_\d+)?|api-ms-win-[\w-]+)\.dll",
}
RUNTIMES: dict[Format, str] = {
    "elf": r"libc\.(so|musl).*",
    "macho": r"/usr/lib/libSystem\.B\.dylib",
    "pe": r"(?i:ucrtbase|api-ms-win-crt-[\w-]+)\.dll",
}


def check(module: Path, own: Sequence[Path], added: Path, form: Format, release: str, *, jit: bool) -> None:
    """Make sure that a module is what luagauge takes it for.

    Args:
        module: What was linked.
        own: Lua's object files.
        added: Ours.
        form: The module's format.
        release: What the headers name.
        jit: It is LuaJIT, which unwinds by the platform's unwinder except on Windows.

    Raises:
        CarriedError: Code of Lua's is outside the named section, or other code in it; the module exports what it
            should not; its C runtime or unwinder is its own; or its release is not the headers'.
    """
    section = SECTIONS[form]
    code = _code_of_lua(own, section)
    if any(part.name == section for part in read(added).sections):
        raise CarriedError(f"{added.name} has code in {section}, which is for Lua's")
    linked = read(module)
    named = [part for part in linked.sections if part.name == section]
    if len(named) != 1 or not named[0].executable:
        raise CarriedError(f"{module.name} has {len(named)} sections {section} with code, not one")
    if named[0].size > code + PADDING_BYTES * len(own):
        raise CarriedError(f"{module.name}: {section} has {named[0].size} bytes, and Lua's own code is {code}")
    strange = sorted(name for name in linked.exports if not EXPORTED.fullmatch(name))
    if strange or "lua_gettop" not in linked.exports:
        raise CarriedError(f"{module.name} exports {', '.join(strange) or 'no lua_gettop'}")
    end = named[0].address + named[0].size
    outside = [name for name, at in linked.exports.items() if name not in DATA and not named[0].address <= at < end]
    if outside:
        raise CarriedError(f"{module.name}: outside {section} are {', '.join(outside)}")
    _check_libraries(module.name, linked.libraries, form)
    if jit and form != "pe" and "_Unwind_RaiseException" not in linked.undefined:
        raise CarriedError(f"{module.name} holds an unwinder of its own, which does not know the process's frames")
    said = linked.text(linked.exports["luagauge_release"])
    if said != release:
        raise CarriedError(f"{module.name} says that it is {said}, and its headers {release}")


def _code_of_lua(own: Sequence[Path], section: str) -> int:
    """Return how many bytes of code Lua's object files have, all of them in the named section.

    Raises:
        CarriedError: Some of it is elsewhere.
    """
    total = 0
    for path in own:
        for part in read(path).sections:
            if part.executable and part.name != section:
                raise CarriedError(f"{path.name} has {part.size} bytes of code in {part.name}, not in {section}")
            total += part.size if part.name == section else 0
    return total


def _check_libraries(name: str, libraries: Sequence[str], form: Format) -> None:
    """Make sure that a module is linked with the process's C runtime, and with nothing strange.

    Raises:
        CarriedError: It is not.
    """
    strange = [library for library in libraries if not re.fullmatch(LIBRARIES[form], library)]
    if strange:
        raise CarriedError(f"{name} is linked with {', '.join(strange)}")
    if not any(re.fullmatch(RUNTIMES[form], library) for library in libraries):
        raise CarriedError(f"{name} is not linked with the C runtime of the process: {', '.join(libraries)}")
