"""Build the modules of a target, and write what stands beside them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from . import luajit, puc, sdist
from .checks import check
from .compilers import choose
from .errors import CarriedError
from .targets import LUAJIT, PUC, Target, host
from .toolchain import ADDED, Toolchain

RELEASE_MACROS = {LUAJIT: ("luajit.h", "LUAJIT_VERSION")}
PUC_RELEASE = ("lua.h", "LUA_RELEASE")


def build(
    target: Target,
    source: Path,
    output: Path,
    *,
    luas: Sequence[str] | None = None,
    compiler: str | None = None,
    host_compiler: str | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Path]:
    """Build modules into a directory, with RELEASES and LICENSES beside them.

    Args:
        target: The platform that they are for.
        source: lupa's sdist, an archive or a directory.
        output: The directory; what modules, RELEASES and LICENSES it holds are replaced.
        luas: Which modules, by name; all of the target's when None.
        compiler: The compiler's command; see compilers.choose.
        host_compiler: The one for LuaJIT's own programs, which run here.
        say: Called with a line for each module.

    Returns:
        The modules.

    Raises:
        CarriedError: There is no such Lua, they cannot be built, or what was built is not right.
    """
    wanted = target.luas if luas is None else tuple(luas)
    known = (*PUC, LUAJIT)
    for lua in wanted:
        if lua not in known:
            raise CarriedError(f"no Lua module {lua!r}; there are {', '.join(known)}")
    toolchain = choose(target, compiler)
    here = toolchain if target == host() and host_compiler is None else choose(host(), host_compiler)
    built: dict[str, tuple[Path, str]] = {}
    licenses = []
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        work = Path(name)
        tree = sdist.unpacked(source, work)
        for lua in wanted:
            folder = sdist.copy_sources(tree, lua, work)
            built[lua] = _module(lua, toolchain, here, folder, pool)
            licenses.append((lua, built[lua][1], license_text(lua, folder)))
            say(f"{built[lua][0].name}: {built[lua][1]}, {built[lua][0].stat().st_size:,} bytes")
        output.mkdir(parents=True, exist_ok=True)
        for old in (*output.glob("luagauge_lua*"), output / "RELEASES", output / "LICENSES"):
            old.unlink(missing_ok=True)
        results = []
        for module, _release in built.values():
            results.append(output / module.name)
            results[-1].write_bytes(module.read_bytes())
    releases = "".join(f"{lua} {release}\n" for lua, (_module_path, release) in built.items())
    (output / "RELEASES").write_text(releases, encoding="ascii", newline="\n")
    texts = "\n".join(f"{target.file_name(lua)}: {release}\n\n{text}\n" for lua, release, text in licenses)
    (output / "LICENSES").write_text(texts, encoding="utf-8", newline="\n")
    return results


def _module(lua: str, toolchain: Toolchain, here: Toolchain, folder: Path, pool: Executor) -> tuple[Path, str]:
    """Build one module and look at it; return where it is, and its release."""
    jit = lua == LUAJIT
    own = luajit.build(toolchain, here, folder, pool) if jit else puc.build(toolchain, folder, pool)
    added = toolchain.compile_added(ADDED / "module.c", folder, [f"LG_CARRIED_JIT={int(jit)}"])
    result = folder / "linked" / toolchain.target.file_name(lua)
    result.parent.mkdir()
    toolchain.link([*own, added], result)
    release = release_of(lua, toolchain, folder)
    check(result, own, added, toolchain.target.format, release, jit=jit)
    return result, release


def release_of(lua: str, toolchain: Toolchain, folder: Path) -> str:
    """Return the release that a Lua's headers name.

    Raises:
        CarriedError: They name none.
    """
    header, macro = RELEASE_MACROS.get(lua, PUC_RELEASE)
    probe = folder / "luagauge_release.c"
    probe.write_text(f'#include "{header}"\nluagauge_said {macro} ;\n', encoding="ascii")
    said = toolchain.preprocess(probe, ["."], [])
    line = re.search(r"luagauge_said\s([^;]*);", said)
    release = "".join(re.findall(r'"([^"]*)"', line[1])) if line else ""
    if not re.fullmatch(r"Lua(JIT)? [0-9.]+", release):
        raise CarriedError(f"the headers of {lua} do not name its release: {release!r}")
    return release


def license_text(lua: str, folder: Path) -> str:
    """Return a Lua's licence: a file of LuaJIT's own, the notice that ends lua.h elsewhere.

    Raises:
        CarriedError: It is not where it should be.
    """
    if lua == LUAJIT:
        return (folder.parent / "COPYRIGHT").read_text(encoding="utf-8").strip()
    text = (folder / "lua.h").read_text(encoding="utf-8")
    notice = re.search(r"^/\*{20,}\n(\* Copyright \(C\).*?)\n\*{20,}/", text, re.MULTILINE | re.DOTALL)
    if notice is None:
        raise CarriedError(f"lua.h of {lua} holds no copyright notice")
    return "\n".join(line.removeprefix("*").strip() for line in notice[1].splitlines())
