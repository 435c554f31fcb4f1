"""The Lua modules that a wheel carries: what is built from lupa's sdist, what is refused, and what a wheel must hold."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import fetch_lupa
import pytest
from carried import checks, compilers, gnu, luajit, modules, objects, sdist, targets, wheels
from carried.errors import CarriedError

ROOT = Path(__file__).resolve().parents[2]
HOST = targets.host()
WINDOWS = targets.Target("windows", "x86_64")
MINGW = pytest.mark.skipif(shutil.which("x86_64-w64-mingw32-gcc") is None, reason="mingw's gcc is not installed")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it builds with options of gcc and clang")


@pytest.fixture(scope="module")
def archive() -> Path:
    """Return lupa's sdist."""
    named = os.environ.get(sdist.VARIABLE)
    if not named:
        pytest.skip(f"{sdist.VARIABLE} is not set")
    return ROOT / named


@pytest.fixture(autouse=True)
def ordinary_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build with the platform's compiler, whatever the C of luagauge is built with."""
    monkeypatch.delenv("CC", raising=False)


@pytest.fixture(scope="module")
def here(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build this platform's modules; return their directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CC", raising=False)
        folder = tmp_path_factory.mktemp("here")
        modules.build(HOST, archive, folder)
        return folder


@pytest.fixture(scope="module")
def builder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that builds a module for Windows, once, and returns its directory."""

    @functools.cache
    def build(lua: str) -> Path:
        folder = tmp_path_factory.mktemp("windows")
        modules.build(WINDOWS, archive, folder, luas=[lua])
        return folder

    return build


@pytest.fixture(params=WINDOWS.luas)
def for_windows(request: pytest.FixtureRequest, builder: Callable[[str], Path]) -> Path:
    """Return the directory of one of the modules for Windows."""
    return builder(request.param)


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
    modules.build(HOST, tree, tmp_path / "out")
    for path in here.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


@MINGW
@pytest.mark.parametrize("for_windows", ["lua54", "luajit21"], indirect=True)
def test_two_builds_for_windows_give_the_same_bytes(archive: Path, for_windows: Path, tmp_path: Path) -> None:
    """No time stamp is in them."""
    (lua,) = luas_in(for_windows)
    (module,) = modules.build(WINDOWS, archive, tmp_path / "out", luas=[lua])
    assert module.read_bytes() == (for_windows / module.name).read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="zig is not installed")
def test_two_builds_by_zig_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    """A linker that writes the time unless it is told not to; the seconds have gone on between the two."""
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


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tools/build_luas.py."""
    names = {**os.environ, **environment}
    clean = {name: value for name, value in names.items() if value}
    words = [sys.executable, str(ROOT / "tools" / "build_luas.py"), *arguments]
    return subprocess.run(words, env=clean, capture_output=True, text=True, check=False, timeout=300)


def test_the_command_says_that_the_variable_is_missing(tmp_path: Path) -> None:
    """And what to do."""
    done = command(str(tmp_path / "out"), LUAGAUGE_LUPA_SDIST="")
    assert done.returncode == 1
    assert "LUAGAUGE_LUPA_SDIST is not set" in done.stderr
    assert "tools/fetch_lupa.py" in done.stderr


def test_the_command_says_that_there_is_no_compiler(archive: Path, tmp_path: Path) -> None:
    """By the name that was looked for; nothing is written."""
    done = command("--cc", "no-such-compiler", str(tmp_path / "out"), LUAGAUGE_LUPA_SDIST=str(archive))
    assert done.returncode == 1
    assert "no C compiler: 'no-such-compiler' is not on PATH" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_failing_compiler_is_quoted(archive: Path, tmp_path: Path) -> None:
    """What it said is what helps."""
    compiler = f'"{sys.executable}"'.replace("\\", "/")
    done = command("--cc", compiler, str(tmp_path / "out"), LUAGAUGE_LUPA_SDIST=str(archive))
    assert done.returncode == 1
    assert re.search(r"exit code \d+\n.*unknown option", done.stderr, re.IGNORECASE)


def test_other_sources_are_refused(tmp_path: Path) -> None:
    """What is no lupa, and what is another lupa than the pinned one."""
    with pytest.raises(CarriedError, match="does not exist"):
        sdist.unpacked(tmp_path / "absent", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CarriedError, match="is no unpacked sdist of lupa"):
        sdist.unpacked(tmp_path / "empty", tmp_path)
    (tmp_path / "other.tar.gz").write_bytes(b"something else")
    with pytest.raises(CarriedError, match=r"is not the pinned sdist, lupa \d[\d.]*: its SHA-256 is [0-9a-f]{64}"):
        sdist.unpacked(tmp_path / "other.tar.gz", tmp_path)
    (tmp_path / "old" / "third-party").mkdir(parents=True)
    for name, version in (("lupa", "2.5"), ("other", sdist.pin().version)):
        (tmp_path / "old" / "PKG-INFO").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
        with pytest.raises(CarriedError, match=rf"is {name} {version}, not lupa {sdist.pin().version}"):
            sdist.unpacked(tmp_path / "old", tmp_path)


def test_the_pinned_lupa_is_one_that_the_package_takes() -> None:
    """Or its scripts would run on a Lua that lupa's range excludes."""
    requirement = re.search(r'"lupa>=([\d.]+),<(\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert requirement is not None
    pinned = [int(part) for part in sdist.pin().version.split(".")]
    assert [int(part) for part in requirement[1].split(".")] <= pinned < [int(requirement[2])]


@pytest.mark.parametrize("name", ["solaris-x86_64", "linux-i686", "windows", ""])
def test_other_platforms_are_refused_by_name(name: str) -> None:
    """The message lists those that there are."""
    with pytest.raises(CarriedError, match=r"the targets are linux-x86_64, .*windows-aarch64"):
        targets.parse(name)


def test_a_wheel_is_for_one_processor() -> None:
    """Its platform's name, as Python has it, tells which."""
    assert targets.of_wheel("macosx-11.0-arm64") == targets.Target("macos", "aarch64")
    assert targets.of_wheel("win-amd64") == WINDOWS
    assert targets.of_wheel("linux-riscv64") is None
    assert targets.of_wheel("win32") is None
    with pytest.raises(CarriedError, match="a universal2 wheel cannot carry LuaJIT"):
        targets.of_wheel("macosx-10.13-universal2")


def test_zig_is_refused_for_macos() -> None:
    """Its linker would not keep the section."""
    with pytest.raises(CarriedError, match="use the platform's clang"):
        compilers.choose(targets.Target("macos", "aarch64"), "zig")


@pytest.mark.skipif(HOST.system == "macos", reason="the platform's clang is chosen here")
def test_zig_is_not_chosen_for_macos() -> None:
    """Where no compiler is named, the message is that for zig."""
    with pytest.raises(CarriedError, match="use the platform's clang"):
        compilers.choose(targets.Target("macos", "aarch64"), None)


@pytest.mark.parametrize("name", ["luajit20", "lua56", "5.4"])
def test_a_lua_that_is_not_there_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """Before anything is unpacked or compiled; the message lists those that there are."""
    message = f"^no Lua module '{name}'; there are lua51, lua52, lua53, lua54, lua55, luajit21$"
    with pytest.raises(CarriedError, match=message):
        modules.build(HOST, tmp_path / "no.tar.gz", tmp_path / "built", luas=["lua54", name])
    assert not (tmp_path / "built").exists()


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


def make_wheel(folder: Path, tag: str, names: Sequence[str], *, releases: str = "", filler: int = 0) -> Path:
    """Make a file that looks like a wheel."""
    path = folder / f"luagauge-1.0-cp310-abi3-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(f"luagauge/_luas/{name}", releases if name == "RELEASES" else "")
        wheel.writestr("luagauge/_native.abi3.so", bytes(filler))
    return path


ALL_DLLS = [*(f"luagauge_{lua}.dll" for lua in WINDOWS.luas), "RELEASES", "LICENSES"]
ALL_RELEASES = "".join(f"{lua} Lua 1.0\n" for lua in WINDOWS.luas)


@pytest.mark.parametrize(
    "tag, names",
    [
        ("win_amd64", ALL_DLLS),
        ("win_arm64", ALL_DLLS),
        ("manylinux_2_28_x86_64.manylinux_2_27_x86_64", ["luagauge_luajit21.so", "RELEASES", "LICENSES"]),
        ("musllinux_1_2_aarch64", ["luagauge_luajit21.so", "RELEASES", "LICENSES"]),
        ("linux_x86_64", ["luagauge_luajit21.so", "RELEASES", "LICENSES"]),
        ("macosx_11_0_arm64", ["luagauge_luajit21.dylib", "RELEASES", "LICENSES"]),
        ("linux_riscv64", []),
    ],
)
def test_a_wheel_holds_its_platforms_modules(tmp_path: Path, tag: str, names: list[str]) -> None:
    """Each that is missing is named."""
    luas = WINDOWS.luas if tag.startswith("win") else ("luajit21",)
    releases = "".join(f"{lua} Lua 1.0\n" for lua in luas)
    assert wheels.problems(make_wheel(tmp_path, tag, names, releases=releases)) == []
    for name in names:
        left = [other for other in names if other != name]
        (problem,) = wheels.problems(make_wheel(tmp_path, tag, left, releases=releases))
        assert f"lacks luagauge/_luas/{name}" in problem


def test_a_wheel_holds_nothing_else_and_is_small(tmp_path: Path) -> None:
    """Nor does it list what it lacks."""
    stray = make_wheel(tmp_path, "win_amd64", [*ALL_DLLS, "luagauge_lua54.so"], releases=ALL_RELEASES)
    assert [problem.partition(" holds ")[2] for problem in wheels.problems(stray)] == [
        "luagauge/_luas/luagauge_lua54.so, which it should not"
    ]
    short = make_wheel(tmp_path, "win_amd64", ALL_DLLS, releases="lua54 Lua 5.4.8\n")
    assert [problem.partition(": ")[2] for problem in wheels.problems(short)] == ["RELEASES lists lua54"]
    large = make_wheel(tmp_path, "win_amd64", ALL_DLLS, releases=ALL_RELEASES, filler=4 * 1024 * 1024)
    (problem,) = wheels.problems(large)
    assert "more than 4,194,304" in problem
    carried = make_wheel(tmp_path, "linux_x86_64", ["luagauge_luajit21.so"])
    assert len(wheels.problems(carried, carries=False)) == 1


def test_a_newer_lupa_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do, and by an exit code that fails the scheduled workflow."""
    pinned = sdist.pin().version
    monkeypatch.setattr(sys, "argv", ["fetch_lupa.py", "--newest"])
    monkeypatch.setattr(fetch_lupa, "unearth", lambda *_words: f'{{"name": "lupa", "version": "{pinned}"}}')
    assert fetch_lupa.main() == 0
    monkeypatch.setattr(fetch_lupa, "unearth", lambda *_words: '{"name": "lupa", "version": "2.99"}')
    assert fetch_lupa.main() == 1
    assert f"lupa 2.99 is out, and wheels carry the Luas of {pinned}" in capsys.readouterr().err


def test_unearth_that_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that a pip without --group can follow too."""
    said = subprocess.CompletedProcess([], 1, "", "python: No module named unearth")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: said)
    with pytest.raises(CarriedError, match=r"pip install unearth, or `pip install --group lupa` with pip 25\.1"):
        fetch_lupa.unearth("lupa")


def test_another_file_than_the_pinned_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the index says that it is."""

    def serve(_option: str, folder: str, _requirement: str) -> str:
        Path(folder, "lupa-1.0.tar.gz").write_bytes(b"not lupa")
        return ""

    target = tmp_path / "new" / "lupa.tar.gz"
    monkeypatch.setattr(fetch_lupa, "unearth", serve)
    monkeypatch.setattr(sys, "argv", ["fetch_lupa.py", str(target)])
    assert fetch_lupa.main() == 1
    assert "than the pinned one: its SHA-256 is" in capsys.readouterr().err
    assert not target.exists()
