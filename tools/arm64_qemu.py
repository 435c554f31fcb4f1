#!/usr/bin/env python3
"""Build for 64-bit Arm Linux and run the tests there, on an emulated CPU.

    python3 tools/arm64_qemu.py [--work DIR] [-- PYTEST-ARGUMENT ...]

Needs qemu's user-mode emulator and mmdebstrap (Debian: apt-get install qemu-user-static mmdebstrap), a compiler for
arm64: gcc (apt-get install gcc-aarch64-linux-gnu) or zig (pip install ziglang; it cannot link test_os_faults), and cffi
and pip in the Python that runs it. Fetches, each time anew unless it is there: Debian's arm64 CPython with its headers,
which is only unpacked, and the arm64 wheels of lupa, cffi and psutil beside what else the tests import. Installs
nothing: all of it lives in DIR (.venv-test/arm64 unless said otherwise).

Runs the plain-C tests, then the Python tests with the marker `emulated`; `-- -m ''` runs all of them, for hours.
What it cannot show: how fast anything is, and what a process alone holds, for the emulator's memory is in its figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE = "bookworm"
VERSION = "3.11"  # its CPython
DEBIAN_PACKAGES = ("python3", f"libpython{VERSION}-dev")
WHEELS = ("lupa", "cffi", "psutil", "pytest", "pytest-randomly", "hypothesis", "click", "rich")
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
FLAGS = ("-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")
LIMITED_API = "-DPy_LIMITED_API=0x030A0000"


class MissingError(Exception):
    """Something that has to be installed is not there; the message says how to get it."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def run(command: Sequence[str | Path], *, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    """Run a program; its failure is ours."""
    words = [str(word) for word in command]
    say(f"$ {' '.join(words[:12])}{' ...' if len(words) > 12 else ''}")  # noqa: PLR2004 - a screen's width
    subprocess.run(words, env=env, cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def program(*names: str, package: str) -> str:
    """Return the path of the first of these programs that is installed.

    Raises:
        MissingError: None is.
    """
    for name in names:
        if found := shutil.which(name):
            return found
    raise MissingError(f"no {names[0]}: apt-get install {package}")


def compiler() -> list[str]:
    """Return a C compiler for arm64, as a command.

    Raises:
        MissingError: There is none.
    """
    if found := shutil.which("aarch64-linux-gnu-gcc"):
        return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.28"]
    raise MissingError("no compiler for arm64: apt-get install gcc-aarch64-linux-gnu, or pip install ziglang")


def fetch_system(work: Path) -> Path:
    """Unpack Debian's arm64 packages without running any of their programs; return their root."""
    system = work / "system"
    if not (system / "usr/bin" / f"python{VERSION}").is_file():
        shutil.rmtree(system, ignore_errors=True)
        include = f"--include={','.join(DEBIAN_PACKAGES)}"
        tool = program("mmdebstrap", package="mmdebstrap")
        run([tool, "--quiet", "--variant=extract", "--architectures=arm64", include, SUITE, system])
    return system


def fetch_packages(work: Path) -> Path:
    """Unpack the wheels beside each other; return where."""
    site, wheels = work / "site", work / "wheels"
    if not wheels.is_dir():
        wanted = [f"--platform={name}" for name in PLATFORMS]
        wanted += [f"--python-version={VERSION}", "--only-binary=:all:"]
        run([sys.executable, "-m", "pip", "download", "-q", "-d", wheels, *wanted, *WHEELS])
    if site.exists():
        shutil.rmtree(site)
    for wheel in sorted(wheels.glob("*.whl")):
        zipfile.ZipFile(wheel).extractall(site)  # pip would unpack it too
    return site


def write_launcher(work: Path, system: Path) -> Path:
    """Make a program that is the emulated Python, for child processes too: it is its own sys.executable."""
    emulator = program("qemu-aarch64-static", "qemu-aarch64", package="qemu-user-static")
    launcher = work / "bin" / "python3"
    launcher.parent.mkdir(exist_ok=True)
    interpreter = system / "usr/bin" / f"python{VERSION}"
    launcher.write_text(
        f'#!/bin/sh\nPYTHONHOME={system}/usr exec {emulator} -L {system} -0 {launcher} {interpreter} "$@"\n',
        encoding="utf-8",
    )
    launcher.chmod(0o755)
    return launcher


def build_modules(work: Path, system: Path) -> Path:
    """Compile both modules and put the package around them; return the folder that holds the package."""
    build, package = work / "build", work / "luagauge-src" / "luagauge"
    for folder in (build, package.parent):
        if folder.exists():
            shutil.rmtree(folder)
    build.mkdir(parents=True)
    shutil.copytree(ROOT / "src/luagauge", package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    os.chdir(ROOT)  # the recipe's paths are relative
    plan = runpy.run_path("csrc/build_native.py", run_name="luagauge_recipe")
    plan["ffibuilder"].emit_c_code(str(build / "_native.c"))
    headers = [system / f"usr/include/python{VERSION}", system / "usr/include"]
    includes = ["-Icsrc", "-I", str(headers[0]), "-idirafter", str(headers[1])]
    for module, sources in (
        ("_native", [str(build / "_native.c"), *plan["NATIVE_SOURCES"]]),
        ("_fast", plan["FAST_SOURCES"]),
    ):
        target = package / f"{module}.abi3.so"
        run([*compiler(), *FLAGS, LIMITED_API, *includes, "-shared", *sources, "-o", target, *plan["LINK_ARGS"]])
    # `luagauge doctor` asks for the version of what is installed.
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', settings, re.MULTILINE)
    metadata = package.parent / f"luagauge-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: luagauge\nVersion: {version}\n", encoding="ascii")
    return package.parent


def run_c_tests(system: Path) -> None:
    """Run the plain-C tests; gcc's sanitizers do not run under the emulator."""
    emulator = program("qemu-aarch64-static", "qemu-aarch64", package="qemu-user-static")
    settings = {
        "CC": " ".join(compiler()),
        "CFLAGS": "-DLG_TEST_EMULATED",
        "LUAGAUGE_C_TEST_RUNNER": f"{emulator} -L {system}",
    }
    if "ziglang" in settings["CC"]:
        settings["LUAGAUGE_C_TEST_NO_WRAP"] = "1"
    run([sys.executable, "tests/c/run.py", "--plain"], env={**os.environ, **settings})


def run_python_tests(launcher: Path, paths: Sequence[Path], arguments: Sequence[str]) -> None:
    """Run the marked Python tests, or what the arguments say."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    env["CC"] = " ".join(compiler())  # a test compiles something that it then preloads
    run([launcher, "-m", "luagauge", "doctor"], env=env)
    run([launcher, "-m", "pytest", "-p", "no:cacheprovider", "-m", "emulated", *arguments], env=env)


def main(arguments: Sequence[str]) -> int:
    """Build and test.

    Returns:
        0 when everything passed, 1 when something failed, 2 when something is not installed.
    """
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Build for arm64 Linux and test under qemu.")
    parser.add_argument("--work", type=Path, default=ROOT / ".venv-test" / "arm64", help="where everything goes")
    parser.add_argument("--no-c", action="store_true", help="leave the plain-C tests out")
    options = parser.parse_args(arguments[:split])
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        system = fetch_system(work)
        site = fetch_packages(work)
        launcher = write_launcher(work, system)
        package = build_modules(work, system)
        if not options.no_c:
            run_c_tests(system)
        run_python_tests(launcher, [package, site], arguments[split + 1 :])
    except MissingError as error:
        say(f"arm64_qemu.py: {error}")
        return 2
    except subprocess.CalledProcessError as error:
        say(f"arm64_qemu.py: FAILED: exit code {error.returncode}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
