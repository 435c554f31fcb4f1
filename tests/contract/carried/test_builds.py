"""The Lua modules that a wheel carries: what is in those that are built, and which builds are refused."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from carried import cache, checks, compilers, gnu, luajit, modules, objects, targets
from carried.errors import CarriedError

ROOT = Path(__file__).resolve().parents[3]
HOST = targets.host()
WINDOWS = targets.Target("windows", "x86_64")
MINGW = pytest.mark.skipif(shutil.which("x86_64-w64-mingw32-gcc") is None, reason="mingw's gcc is not installed")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it builds with options of gcc and clang")


def asked_for(lua: str, folder: Path) -> set[str]:
    """Return the functions that the core looks up in a Lua: those that csrc/lua/lua_api.h lists for its version."""
    source = (ROOT / "csrc" / "lua" / f"{lua}.c").read_text(encoding="utf-8")
    defines = ["=".join(pair) for pair in re.findall(r"#define (LG_\w+) (\w+)", source)]
    probe = folder / "probe.c"
    probe.write_text('#include "lua/lua_api.h"\n')
    said = compilers.choose(HOST, None).preprocess(probe, [str(ROOT / "csrc")], defines)
    return set(re.findall(r'\{"(lua\w+)",', said))


def luas_in(folder: Path) -> dict[str, str]:
    """Return the releases that stand in RELEASES, by Lua."""
    lines = (folder / "RELEASES").read_text(encoding="ascii").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def check_folder(folder: Path, target: targets.Target, scratch: Path) -> None:
    """Make sure that all is there: modules with the core's functions, releases, and licences."""
    releases = luas_in(folder)
    names = {target.file_name(lua) for lua in releases} | {"RELEASES", "LICENSES"}
    assert {path.name for path in folder.iterdir()} == names
    licences = (folder / "LICENSES").read_text(encoding="utf-8")
    for lua in releases:
        module = objects.read(folder / target.file_name(lua))
        asked = asked_for(lua, scratch)
        assert "lua_gettop" in asked
        assert asked - module.exports.keys() == set()
        assert module.text(module.exports["luagauge_release"]) == releases[lua]
        _, _, licence = licences.partition(f"{target.file_name(lua)}: {releases[lua]}\n")
        assert "Permission is hereby granted, free of charge" in licence
        assert re.search(r"Copyright \(C\) [\d-]+", licence.split("Permission")[0])


def test_this_platforms_modules_have_all_that_the_core_asks_for(here: Path, tmp_path: Path) -> None:
    """On this platform: what csrc/lua/lua_api.h lists is exported."""
    check_folder(here, HOST, tmp_path)
    assert list(luas_in(here)) == list(HOST.luas)


@MINGW
def test_the_modules_for_windows_have_all_that_the_core_asks_for(for_windows: Path, tmp_path: Path) -> None:
    """And Lua's code, which is in a section of its own, by far outweighs what the compiler's runtime adds."""
    check_folder(for_windows, WINDOWS, tmp_path)
    (lua,) = luas_in(for_windows)
    sections = {part.name: part for part in objects.read(for_windows / WINDOWS.file_name(lua)).sections}
    assert sections[".luatext"].size > 100_000 * (1 if lua != "luajit21" else 4)
    assert sections[".text"].size < 60_000


@MINGW
def test_other_tools_see_the_same_exports_and_libraries(for_windows: Path) -> None:
    """The oracle for what objects.py reads is binutils."""
    (path,) = for_windows.glob("*.dll")
    words = ["x86_64-w64-mingw32-objdump", "-p", str(path)]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    module = objects.read(path)
    assert set(re.findall(r"^\t\[ *\d+\] (\w+)$", said, re.MULTILINE)) == set(module.exports)
    assert re.findall(r"DLL Name: (\S+)", said) == module.libraries


@LINUX
def test_other_tools_see_the_same_symbols_on_elf(here: Path) -> None:
    """The oracle for what objects.py reads is nm."""
    path = here / HOST.file_name("luajit21")
    words = ["nm", "-D", str(path)]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    module = objects.read(path)
    assert set(re.findall(r" [TDRB] (\w+)", said)) == set(module.exports)
    assert set(re.findall(r" [Uw] (\w+)", said)) == module.undefined


@pytest.mark.skipif(os.name == "nt", reason="on Windows the section headers tell")
def test_a_loaded_module_tells_where_its_text_is(here: Path) -> None:
    """Where it says that Lua's text is, all API functions are, and nothing of the platform's."""
    module = ctypes.CDLL(str(here / HOST.file_name("luajit21")))
    begin, end = (ctypes.c_void_p * 2).in_dll(module, "luagauge_text")
    assert begin is not None
    assert end is not None
    names = [name for name in objects.read(here / HOST.file_name("luajit21")).exports if name not in checks.DATA]
    places = [ctypes.cast(getattr(module, name), ctypes.c_void_p).value or 0 for name in names]
    assert len(places) > 100
    assert all(begin <= place < end for place in places)
    release = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(module, "luagauge_release")))
    assert f"luajit21 {release.decode()}\n" == (here / "RELEASES").read_text(encoding="ascii")


@pytest.mark.builds
def test_two_builds_give_the_same_bytes(
    archive: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another directory, from the unpacked sdist, in another time zone: names and times of a build leave no trace."""
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "a longer name", filter="data")
    (tree,) = (tmp_path / "a longer name").iterdir()
    (tmp_path / "temporary files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary files"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.delenv(cache.VARIABLE)
    modules.build(HOST, tree, tmp_path / "out")
    for path in here.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


@MINGW
@pytest.mark.parametrize("for_windows", ["lua54", pytest.param("luajit21", marks=pytest.mark.builds)], indirect=True)
def test_two_builds_for_windows_give_the_same_bytes(
    archive: Path, for_windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time stamp is in them."""
    monkeypatch.delenv(cache.VARIABLE)
    (lua,) = luas_in(for_windows)
    (module,) = modules.build(WINDOWS, archive, tmp_path / "out", luas=[lua])
    assert module.read_bytes() == (for_windows / module.name).read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="zig is not installed")
def test_two_builds_by_zig_give_the_same_bytes(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A linker that writes the time unless it is told not to; the seconds have gone on between the two."""
    monkeypatch.delenv(cache.VARIABLE)
    start = time.time()
    for name in ("one", "two"):
        modules.build(WINDOWS, archive, tmp_path / name, luas=["lua51"], compiler="zig")
        while time.time() < start + 1.1:
            time.sleep(0.1)
    module = WINDOWS.file_name("lua51")
    assert (tmp_path / "one" / module).read_bytes() == (tmp_path / "two" / module).read_bytes()


@LINUX
def test_code_outside_the_named_section_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that is not moved to the section is found in the object files."""
    rewrite = gnu.in_section

    def all_but_one(assembly: str, form: targets.Format) -> str:
        return assembly if "\nlua_gettop:" in assembly else rewrite(assembly, form)

    monkeypatch.setattr(gnu, "in_section", all_but_one)
    with pytest.raises(CarriedError, match=r"lapi\.o has \d+ bytes of code in \.text, not in luatext"):
        modules.build(HOST, archive, tmp_path, luas=["lua51"])


@LINUX
def test_other_code_in_the_named_section_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library's code there would be taken for Lua's."""
    link = gnu.GnuLike.link

    def link_more(self: gnu.GnuLike, given: Sequence[Path], result: Path) -> None:
        more = given[0].with_name("more.s")
        more.write_text('.section luatext,"ax",%progbits\n.zero 65536\n.section .note.GNU-stack,"",%progbits\n')
        subprocess.run([*self.command, "-c", more.name, "-o", "more.o"], cwd=more.parent, check=True)
        link(self, [*given, more.with_suffix(".o")], result)

    monkeypatch.setattr(gnu.GnuLike, "link", link_more)
    with pytest.raises(CarriedError, match=r"luatext has \d+ bytes, and Lua's own code is \d+"):
        modules.build(HOST, archive, tmp_path, luas=["lua51"])


@LINUX
def test_objects_of_another_luajit_do_not_link(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our file asks for the symbol that its header's release defines."""
    compile_added = gnu.GnuLike.compile_added

    def with_other_header(self: gnu.GnuLike, source: Path, folder: Path, defines: Sequence[str]) -> Path:
        header = folder / "luajit.h"
        header.write_text(re.sub(r"2([._])1([._])\d+", r"2\g<1>1\g<2>1700000000", header.read_text()))
        return compile_added(self, source, folder, defines)

    monkeypatch.setattr(gnu.GnuLike, "compile_added", with_other_header)
    with pytest.raises(CarriedError, match="luaJIT_version_2_1_1700000000"):
        modules.build(HOST, archive, tmp_path, luas=["luajit21"])


@LINUX
def test_luajit_without_gc64_is_refused(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a build takes no allocator of ours."""
    ordinary = luajit.defines
    monkeypatch.setattr(luajit, "defines", lambda toolchain: [*ordinary(toolchain), "LUAJIT_TARGET=LUAJIT_ARCH_X86"])
    with pytest.raises(CarriedError, match="would be no GC64 build"):
        modules.build(HOST, archive, tmp_path, luas=["luajit21"])


@pytest.mark.parametrize(
    "form, before, after",
    [
        ("elf", "\t.text\n", '\t.section luatext,"ax",%progbits\n'),
        ("elf", '\t.section\t.text.unlikely,"ax",@progbits\n', '\t.section luatext,"ax",@progbits\n'),
        ("elf", "\t.section .text.startup\n", '\t.section luatext,"ax",%progbits\n'),
        ("elf", '\t.section\t.rodata,"a"\n', '\t.section\t.rodata,"a"\n'),
        ("elf", '\t.string\t".text"\n', '\t.string\t".text"\n'),
        ("pe", '\t.section\t.text$puts,"x"\n', '\t.section .luatext,"x"\n'),
        ("pe", "\t.text\n", '\t.section .luatext,"xr"\n'),
        (
            "macho",
            "\t.section\t__TEXT,__text,regular,pure_instructions\n",
            "\t.section __TEXT,__luatext,regular,pure_instructions\n",
        ),
        ("macho", "\t.section\t__TEXT,__cstring,cstring_literals\n", "\t.section\t__TEXT,__cstring,cstring_literals\n"),
    ],
)
def test_text_directives_are_rewritten(form: targets.Format, before: str, after: str) -> None:
    """Those of code alone, in each format's form."""
    assert gnu.in_section(before, form) == after
