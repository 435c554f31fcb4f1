"""Which module serves a Lua version: the wheel's own, lupa's, or none; and what is said of an installation that is not whole.

Each test runs a copy of luagauge that carries what the test gives it: the LuaJIT 2.1 that is there, whoever brought it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from installations import SUFFIX, copy_of, hide_lua_api, hide_lupa, path_environment, with_luas, without_luas

from luagauge import LUA_VERSIONS, PlatformUnavailableError, _finder

try:
    JIT = _finder.find_lua("luajit2.1")
except PlatformUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)
MODULE = Path(JIT.path).read_bytes()
LINE = f"luajit21 {JIT.release}\n"
FILE = f"luagauge_luajit21{SUFFIX}"
REPAIR = "; pip install --force-reinstall luagauge"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="lupa's modules for Windows export no Lua API")
POSIX_NAMES = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
ELF = pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 1 << 32 or sys.byteorder != "little",
    reason="it edits 64-bit little-endian ELF files",
)

TRY = """
import json, sys
from luagauge import LuaEngine, PlatformUnavailableError, ScriptConfig, _finder
found = {}
for version in sys.argv[1:]:
    try:
        with LuaEngine(ScriptConfig(lua=version)) as engine:
            stats = engine.stats()
            output = engine.execute_script("return 6 * 7").output
            found[version] = [output, stats.module, stats.release, _finder.find_lua(version).path]
    except PlatformUnavailableError as error:
        found[version] = str(error)
found["imported"] = "lupa" in sys.modules
print(json.dumps(found))
"""


def child(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `path` in front of what is installed."""
    env = {**path_environment(path), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=env,
        input="return 1",
    )


def choices(path: Path, *versions: str, before: str = "") -> dict[str, Any]:
    """Return for each version what serves it, or why nothing does; `before` runs first."""
    done = child(path, "-c", textwrap.dedent(before) + TRY, *versions)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_wheels_own_module_comes_before_lupas(tmp_path: Path) -> None:
    """Where the wheel carries a Lua, that one runs, and lupa is not even imported."""
    folder = with_luas(tmp_path, LINE, {"luajit21": MODULE})
    found = choices(tmp_path, "luajit2.1")
    output, module, release, path = found["luajit2.1"]
    assert (output, module, release) == (42, "luagauge", JIT.release)
    assert Path(path).samefile(folder / FILE)
    assert found["imported"] is False


NAMES = ["with a space", "J\u00f6rg \u65e5\u672c", pytest.param("\udcff\udc80", marks=POSIX_NAMES)]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_wheels_own_module_is_found_in_any_folder(tmp_path: Path, name: str) -> None:
    """Also where the folder's name is no ASCII, or no text at all."""
    folder = tmp_path / name
    folder.mkdir()
    with_luas(folder, LINE, {"luajit21": MODULE})
    assert choices(folder, "luajit2.1")["luajit2.1"][:3] == [42, "luagauge", JIT.release]
    (folder / "luagauge" / "_luas" / FILE).unlink()
    assert f"{FILE} cannot be loaded (" in choices(folder, "luajit2.1")["luajit2.1"]


@POSIX
def test_lupas_module_serves_what_the_wheel_does_not_carry(tmp_path: Path) -> None:
    """Each version is chosen by itself."""
    with_luas(tmp_path, LINE, {"luajit21": MODULE})
    found = choices(tmp_path, "5.4", "luajit2.1")
    assert [found[version][1] for version in ("5.4", "luajit2.1")] == ["lupa", "luagauge"]
    assert found["5.4"][2].startswith("Lua 5.4.")
    without_luas(tmp_path / "bare")
    assert choices(tmp_path / "bare", "5.4")["5.4"][1] == "lupa"


def test_carried_lua_needs_no_lupa(tmp_path: Path) -> None:
    """Without lupa what the wheel carries runs, and doctor names lupa for the rest."""
    with_luas(tmp_path, LINE, {"luajit21": MODULE})
    hide_lupa(tmp_path)
    found = choices(tmp_path, "luajit2.1", "5.4")
    assert found["luajit2.1"][:3] == [42, "luagauge", JIT.release]
    assert found["5.4"].startswith("lupa is not installed")
    done = child(tmp_path, "-m", "luagauge", "doctor")
    assert done.returncode == 7
    assert f"{JIT.release} of luagauge's own module" in done.stdout
    assert done.stdout.count("lupa is not installed") == 1


@ELF
def test_no_lua_anywhere_is_said_with_the_remedy(tmp_path: Path) -> None:
    """A lupa whose modules export nothing, and a wheel without Luas."""
    without_luas(tmp_path)
    for module in copy_of("lupa", tmp_path).glob("lua*.so"):
        assert hide_lua_api(module) > 50
    there = [version for version, problem in _finder.available().items() if problem is None]
    found = choices(tmp_path, *there)
    for version in there:
        assert found[version].startswith(
            f"lupa's {_finder.MODULES[version]} module does not offer the Lua C API here (lua"
        )
        assert " is missing), and this installation of luagauge carries none of its own; " in found[version]
        assert found[version].endswith(f"; {_finder._OTHER_LUA}")
    done = child(tmp_path, "-m", "luagauge", "run", "-")
    assert (done.returncode, done.stdout, done.stderr) == (7, "", f"Error: {found['5.4']}\n")
    done = child(tmp_path, "-m", "luagauge", "doctor", "--json")
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["healthy"], facts["deadlines"]) == (1, False, {})
    assert "none: no Lua is usable" in child(tmp_path, "-m", "luagauge", "doctor").stdout


@POSIX
def test_lua_that_lupa_lacks_is_said_with_the_remedy(tmp_path: Path) -> None:
    """A lupa without the module, as its wheels for some platforms are."""
    without_luas(tmp_path)
    for module in copy_of("lupa", tmp_path).glob("lua54*"):
        module.unlink()
    found = choices(tmp_path, "5.4", "5.1")
    assert found["5.4"].startswith("the installed lupa has no such Lua as 5.4 (")
    assert found["5.4"].endswith(f"; {_finder._OTHER_LUA}")
    assert found["5.1"][0] == 42


@POSIX
def test_lupas_module_that_is_no_library_is_said_with_the_remedy(tmp_path: Path) -> None:
    """What can be imported, and the system loads no code of."""
    without_luas(tmp_path)
    folder = copy_of("lupa", tmp_path)
    for module in folder.glob("lua54*"):
        module.unlink()
    (folder / "lua54.py").write_text("LUA_VERSION = (5, 4)\n", encoding="ascii")
    found = choices(tmp_path, "5.4", "5.1")
    assert found["5.4"].startswith("lupa's lua54 module cannot be loaded (")
    assert found["5.4"].endswith("--force-reinstall")
    assert found["5.1"][0] == 42


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere lupa has one")
def test_luajit_20_is_not_for_windows() -> None:
    """No lupa helps, so none is asked for."""
    with pytest.raises(PlatformUnavailableError, match=r'no LuaJIT 2.0 for Windows.*; use "luajit2\.1"'):
        _finder.find_lua("luajit2.0")


def test_carried_module_of_another_release_is_refused(tmp_path: Path) -> None:
    """Both releases are named; lupa's module does not take its place."""
    listed = "LuaJIT 2.1.1000000000"
    with_luas(tmp_path, f"luajit21 {listed}\n", {"luajit21": MODULE})
    found = choices(tmp_path, "luajit2.1")
    assert f"holds {JIT.release}, and " in found["luajit2.1"]
    assert f"says {listed}{REPAIR}" in found["luajit2.1"]
    assert FILE in found["luajit2.1"]
    assert found["imported"] is False


LISTS = {
    "nothing": ("", "is empty"),
    "no line of the form": ("nonsense\n", "'nonsense'"),
    "no release": ("luajit21\n", "'luajit21'"),
    "another version's release": ("luajit21 Lua 5.4.8\n", "'luajit21 Lua 5.4.8'"),
    "another version's name": ("lua54 Lua 5.1.5\n", "'lua54 Lua 5.1.5'"),
    "an unknown Lua": ("lua99 Lua 9.9.1\n", "'lua99 Lua 9.9.1'"),
    "two lines for one": (LINE + LINE, f"{LINE.strip()!r}"),
    "no text": ("luajit21 LuaJIT 2.1.\u00e9\n", "cannot be read"),
    "no file": (None, "is missing"),
}


@pytest.mark.parametrize("name", LISTS)
def test_carried_list_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is guessed: no version is served, by lupa's modules either, until the installation is whole."""
    text, why = LISTS[name]
    folder = with_luas(tmp_path, text, {"luajit21": MODULE})
    found = choices(tmp_path, "luajit2.1", "5.4")
    for version in ("luajit2.1", "5.4"):
        assert found[version].startswith(f"this installation of luagauge is damaged: {folder / 'RELEASES'} ")
        assert why in found[version]
        assert found[version].endswith(REPAIR)
    assert found["imported"] is False
    done = child(tmp_path, "-m", "luagauge", "doctor")
    assert done.returncode == 1
    assert done.stdout.count("is damaged: ") == 1


@pytest.mark.parametrize("left", [0, 3, 40, 64, 1000, 20_000, 0.5, 0.9])
def test_carried_module_that_is_cut_off_is_refused(tmp_path: Path, left: float) -> None:
    """However little is left: mapped as it is, it would end the process with a bus error."""
    size = int(left if left >= 1 else left * len(MODULE))
    folder = with_luas(tmp_path, LINE, {"luajit21": MODULE[:size]})
    found = choices(tmp_path, "luajit2.1")
    assert found["luajit2.1"].startswith(f"this installation of luagauge is damaged: {folder / FILE} ")
    assert found["luajit2.1"].endswith(REPAIR)
    assert found["imported"] is False


@pytest.mark.parametrize("damage", ["missing", "a directory", "text", "another module"])
def test_carried_module_that_is_none_is_refused(tmp_path: Path, damage: str) -> None:
    """What is listed and cannot serve is named, and lupa's module does not take its place."""
    folder = with_luas(tmp_path, LINE, {"luajit21": b"nothing of the kind\n" * 1000})
    if damage != "text":
        (folder / FILE).unlink()
    if damage == "a directory":
        (folder / FILE).mkdir()
    if damage == "another module":
        (folder / FILE).write_bytes(Path(str(sys.modules["luagauge._fast"].__file__)).read_bytes())
    found = choices(tmp_path, "luajit2.1")
    assert found["luajit2.1"].startswith(f"this installation of luagauge is damaged: {folder / FILE} cannot be ")
    assert found["luajit2.1"].endswith(REPAIR)
    assert found["imported"] is False
    if damage == "another module":
        assert "(lua" in found["luajit2.1"]
        assert "is missing)" in found["luajit2.1"]


@POSIX
def test_doctor_is_not_content_with_a_damaged_module(tmp_path: Path) -> None:
    """The other Luas work, and still the installation is not whole."""
    with_luas(tmp_path, LINE, {})
    done = child(tmp_path, "-m", "luagauge", "doctor", "--json")
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["healthy"], facts["lupa_problem"], facts["carried_problem"]) == (
        1,
        False,
        None,
        None,
    )
    assert facts["carried"] == {"luajit21": JIT.release}
    assert facts["lua"]["5.4"]["ok"] is True
    assert FILE in facts["lua"]["luajit2.1"]["problem"]
    assert FILE in child(tmp_path, "-m", "luagauge", "doctor").stdout


@pytest.mark.parametrize("mode", ["RTLD_LOCAL", "RTLD_GLOBAL"])
def test_module_of_the_same_name_that_is_loaded_is_not_taken(tmp_path: Path, mode: str) -> None:
    """Somebody else's module with the same base name, another release of the same Lua, is left alone."""
    if mode == "RTLD_GLOBAL" and JIT.module == "lupa":
        pytest.skip("lupa's modules are not linked to keep to their own symbols; the wheel's own are")
    with_luas(tmp_path, LINE, {"luajit21": MODULE})
    number = JIT.release.rpartition(".")[2]
    assert MODULE.count(number.encode()) > 0
    other = tmp_path / "other" / FILE
    other.parent.mkdir()
    other.write_bytes(MODULE.replace(number.encode(), b"7" * len(number)))
    before = f"""
        import ctypes
        kept = ctypes.PyDLL({str(other)!r}, mode=ctypes.{mode})
        assert kept.lua_gettop
    """
    found = choices(tmp_path, "luajit2.1", before=before)
    assert found["luajit2.1"][:3] == [42, "luagauge", JIT.release]
    changed = f"luajit21 {JIT.release.removesuffix(number)}{'7' * len(number)}\n"
    (tmp_path / "luagauge" / "_luas" / "RELEASES").write_text(changed, encoding="ascii")
    assert f"holds {JIT.release}, and " in choices(tmp_path, "luajit2.1", before=before)["luajit2.1"]


@ELF
@pytest.mark.parametrize("version", ["5.1", "luajit2.0", "luajit2.1"])
def test_lua_that_stands_before_lupas_own_is_refused(tmp_path: Path, version: str) -> None:
    """The functions of one that was loaded with RTLD_GLOBAL would be called with another Lua's states.

    Lupa's other modules crash by themselves then, when they are imported.
    """
    if any(_finder.available()[each] is not None for each in ("5.4", version)):
        pytest.skip("lupa lacks one of the two here")
    without_luas(tmp_path)
    before = """
        import os, sys
        sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
        import lupa.lua54
        sys.setdlopenflags(os.RTLD_NOW)
    """
    found = choices(tmp_path, "5.4", version, before=before)
    assert found["5.4"][:2] == [42, "lupa"]
    assert "RTLD_GLOBAL" in found[version]


def test_carried_module_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    """Lupa's would take its place without a word otherwise."""
    folder = with_luas(tmp_path, LINE, {"luajit21": MODULE, "lua54": MODULE})
    found = choices(tmp_path, "luajit2.1")
    assert f"{folder / 'RELEASES'} does not list luagauge_lua54" in found["luajit2.1"]
    assert found["luajit2.1"].endswith(REPAIR)


@pytest.mark.skipif(sys.platform != "win32", reason="errors of LuaJIT are no exceptions of the system elsewhere")
def test_luajit_is_refused_while_faulthandler_is_on() -> None:
    """On Windows each of its errors would have faulthandler write the stacks of all threads, and may end the process."""
    program = """
        import faulthandler
        from luagauge import *
        for files in (False, True):
            settings = {"allow_filesystem": True, "filesystem_directories": ["."]} if files else {}
            engine = LuaEngine(ScriptConfig(lua="luajit2.1", **settings))
            faulthandler.enable()
            for call in (engine.execute_script, engine.validate_syntax, engine.precompile_script):
                try:
                    call("return pcall(error)")
                except PlatformUnavailableError as error:
                    print(str(error).partition(",")[0])
            faulthandler.disable()
            print(engine.execute_script("return pcall(error)").output)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    refusals = ["LuaJIT's errors are exceptions of Windows"] * 3
    assert done.stdout.splitlines() == [*refusals, "(False, None)", *refusals, "(False, None)"], done.stderr


def test_every_version_says_what_serves_it() -> None:
    """The release belongs to the version, the file is there, and what the wheel carries is what serves."""
    carried = _finder.carried_releases()
    for version in LUA_VERSIONS:
        name = _finder.MODULES[version]
        if _finder.available()[version] is not None:
            assert name not in carried
            continue
        served = _finder.find_lua(version)
        assert served.release.startswith(
            version.replace("luajit", "LuaJIT ") if "jit" in version else f"Lua {version}."
        )
        assert served.module == ("luagauge" if name in carried else "lupa")
        assert served.release == carried.get(name, served.release)
        assert os.path.isfile(served.path)  # noqa: PTH113 - it is a text
