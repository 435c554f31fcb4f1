#!/usr/bin/env python3
"""Check the whole tree: set up an environment, lint, build, and run every test.

Needs Python 3.10 or newer with its headers, a C compiler and a package index; nothing else. Everything it makes is in
`.venv-test` (or what LUAGAUGE_CHECK_DIR names) at the top of the tree.

    python3 tools/check.py              everything, from a fresh environment, in the order below
    python3 tools/check.py lint         ruff, mypy, pyright, clang-format, clang-tidy, the workflow files
    python3 tools/check.py cross        the C compiled and linked for macOS, Windows, musl, arm64, 32-bit and FreeBSD
    python3 tools/check.py c            the plain-C tests under AddressSanitizer and UBSan
    python3 tools/check.py package      the sdist and the wheel built from it: contents, tags, ABI; the list of wheels
    python3 tools/check.py ccov         the line coverage of the C, from all tests, at least 90 %
    python3 tools/check.py bench        the measured ratios against generous bounds (Linux; few rounds)
    python3 tools/check.py python       the Python tests on the installed wheel, coverage at least 95 %
    python3 tools/check.py sanitized    the Python tests on modules built with the sanitizers (Linux; not part of `all`)

Arguments after `--` go to pytest in the steps that run it, for instance `python3 tools/check.py python -- -k meter -x`;
the Python coverage is then reported and not required.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from carried import wheels

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("LUAGAUGE_CHECK_DIR", ROOT / ".venv-test")).resolve()
VENV = WORK / "venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
DIST = WORK / "dist"

C_LINE_COVERAGE_PERCENT = 90
# Those that compile between them nearly all lines of the C; the `python` step runs the tests of every Lua.
COUNTED_LUAS = ("5.4", "luajit2.1")
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
MINIMUM_PYTHON = (3, 10)


class CheckFailedError(Exception):
    """A check found something, or cannot run here; the message says what and what to do."""


def say(text: str) -> None:
    """Print a line at once, so that it stands before what the next program prints."""
    print(text, flush=True)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the environment of every program started here.

    What would let another Python installation leak in is taken out; what would only make noise is turned off.
    """
    leaks = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    env = {name: value for name, value in os.environ.items() if name not in leaks}
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["VIRTUAL_ENV"] = str(VENV)
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["PIP_ROOT_USER_ACTION"] = "ignore"
    env["PIP_NO_INPUT"] = "1"
    env.update(extra or {})
    return env


def run(*command: str | Path, cwd: Path = ROOT, extra: Mapping[str, str] | None = None) -> None:
    """Run a program with no standard input, and time it.

    Raises:
        CheckFailedError: It could not be started or did not exit with 0.
    """
    words = [str(word) for word in command]
    shown = " ".join(word.replace(str(ROOT) + os.sep, "") for word in words)
    say(f"$ {shown}")
    start = time.monotonic()
    try:
        code = subprocess.run(words, cwd=cwd, env=environment(extra), stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        raise CheckFailedError(f"cannot run {words[0]}: {error}") from error
    if code != 0:
        raise CheckFailedError(f"{shown}: exit code {code} after {time.monotonic() - start:.1f} s")


def output(*command: str | Path) -> str:
    """Run a program and return what it prints, without the white space around it."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


def pip(*arguments: str | Path, extra: Mapping[str, str] | None = None) -> None:
    """Run the environment's pip, which says nothing but errors."""
    run(PYTHON, "-m", "pip", "-qq", *arguments, extra=extra)


def require_toolchain() -> None:
    """Find out early, and say clearly, what this machine lacks.

    Raises:
        CheckFailedError: Python is too old, or its headers, its venv module or a C compiler are missing.
    """
    if sys.version_info < MINIMUM_PYTHON:
        raise CheckFailedError(f"Python {sys.version.split()[0]} is too old: 3.10 or newer is needed")
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian splits it off, and venv reports that badly
    except ImportError:
        raise CheckFailedError("this Python lacks venv: install its venv package (python3-venv)") from None
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        raise CheckFailedError("Python.h is missing: install this Python's headers (python3-dev)")
    compiler = os.environ.get("CC", "cc").split()[0]
    if os.name != "nt" and shutil.which(compiler) is None:
        raise CheckFailedError(f"no C compiler: {compiler!r} is not on PATH; install gcc or clang, or set CC")


def prepare(*, fresh: bool) -> None:
    """Make the environment with the tools in it, or keep the one that is there when nothing it depends on changed."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    stamp = WORK / "environment.sha256"
    if not fresh and stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
        return
    require_toolchain()
    if WORK.exists():
        shutil.rmtree(WORK)
    WORK.mkdir(parents=True)
    run(sys.executable, "-m", "venv", VENV)
    # 25.1 is the first pip that installs the groups of pyproject.toml.
    pip("install", "--upgrade", "pip>=25.1")
    # The linters have no wheels for every platform and interpreter; they run on ordinary Linux and macOS ones.
    few = os.name == "nt" or FREE_THREADED
    groups = ("lupa", "package") if few else ("lint", "cross", "lupa", "native", "package", "wheels")
    pip("install", *(f"--group={name}" for name in groups))
    stamp.write_text(wanted, encoding="ascii")


def build_wheel() -> Path:
    """Make the sdist, then the wheel from the sdist alone, and install the wheel with all that the tests need."""
    if DIST.exists():
        shutil.rmtree(DIST)
    run(PYTHON, "-m", "build", "--quiet", "--sdist", "--outdir", DIST, ROOT)
    pip("wheel", "--no-deps", "--wheel-dir", DIST, the_file("*.tar.gz"), extra={**lua_sources(), **one_processor()})
    wheel = the_file("*.whl")
    pip("install", f"luagauge[cli,test] @ {wheel.as_uri()}")
    # A rebuilt wheel of the same version counts as installed already.
    pip("install", "--no-deps", "--force-reinstall", wheel)
    return wheel


def the_file(pattern: str) -> Path:
    """Find the one file of that kind among what was built.

    Raises:
        CheckFailedError: There is none, or more than one.
    """
    found = sorted(DIST.glob(pattern))
    if len(found) != 1:
        raise CheckFailedError(f"{DIST} holds {len(found)} files {pattern}, not one")
    return found[0]


def source_tree(name: str) -> Path:
    """Unpack the sdist into a directory of its own: what is built there leaves the checkout alone."""
    target = WORK / name
    if target.exists():
        shutil.rmtree(target)
    with tarfile.open(the_file("*.tar.gz")) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(target, filter="data")
        else:  # a 3.10 or 3.11 older than the filter; the archive was made here a moment ago
            archive.extractall(target)  # noqa: S202
    (tree,) = target.iterdir()
    return tree


def lua_sources() -> dict[str, str]:
    """Fetch lupa's sdist: the wheel carries Luas built from it, and the plain-C tests compile them too."""
    sdist = WORK / "lupa" / "lupa.tar.gz"
    run(PYTHON, "tools/fetch_lupa.py", sdist)
    return {"LUAGAUGE_LUPA_SDIST": str(sdist)}


def one_processor() -> dict[str, str]:
    """Return what makes a universal2 Python of macOS build for the processor that it runs on."""
    if not sysconfig.get_platform().endswith("universal2"):
        return {}
    machine = platform.machine()
    oldest = "11.0" if machine == "arm64" else "10.13"
    return {"_PYTHON_HOST_PLATFORM": f"macosx-{oldest}-{machine}", "ARCHFLAGS": f"-arch {machine}"}


def pytest(*arguments: str | Path, extra: Mapping[str, str] | None = None) -> None:
    """Run the Python tests from the top of the tree."""
    run(PYTHON, "-m", "pytest", *arguments, extra=extra)


def step_package(_options: argparse.Namespace) -> None:
    """Build, and look at what would be published. cibuildwheel, which names the wheels, needs CPython 3.11."""
    wheel = build_wheel()
    names = zipfile.ZipFile(wheel).namelist()
    stray = [name for name in names if not name.startswith(("luagauge/", "luagauge-")) or name.endswith((".c", ".h"))]
    if stray:
        raise CheckFailedError(f"{wheel.name} holds files that are no part of the package: {stray}")
    if wrong := wheels.problems(wheel):
        raise CheckFailedError("\n".join(wrong))
    if "luagauge/py.typed" not in names:
        raise CheckFailedError(f"{wheel.name} lacks luagauge/py.typed")
    if not FREE_THREADED:
        if "-cp310-abi3-" not in wheel.name:
            raise CheckFailedError(f"{wheel.name} is not tagged cp310-abi3")
        run(PYTHON, "-m", "abi3audit", "--strict", "--summary", wheel)
    if shutil.which("cibuildwheel", path=str(BIN)):
        run(PYTHON, "tools/wheel_set.py", "identifiers")
    check_without_luas()


def check_without_luas() -> None:
    """Build the wheel again without lupa's sdist, as anybody may, and run engines on lupa's own modules."""
    folder = WORK / "plain"
    if folder.exists():
        shutil.rmtree(folder)
    pip("wheel", "--no-deps", "--wheel-dir", folder, the_file("*.tar.gz"), extra={"LUAGAUGE_LUPA_SDIST": ""})
    (wheel,) = folder.glob("*.whl")
    if wrong := wheels.problems(wheel, carries=False):
        raise CheckFailedError("\n".join(wrong))
    pip("install", "--no-deps", "--target", folder / "site", wheel)
    run(PYTHON, "tools/without_luas.py", folder / "site")


def step_lint(_options: argparse.Namespace) -> None:
    """Run every linter; all of them are pinned in pyproject.toml."""
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    run(PYTHON, "-m", "mypy")
    run(PYTHON, "-m", "mypy", "--platform=win32", "src")  # or what only Windows runs would not be looked at
    run(BIN / "basedpyright", "--pythonpath", PYTHON)
    run(PYTHON, "tools/lint_c.py")
    workflows = sorted(str(path) for path in (ROOT / ".github/workflows").glob("*.yml"))
    run(PYTHON, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    run(PYTHON, "-m", "check_jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    run(BIN / "zizmor", "--offline", "--no-progress", "--quiet", ".github")


def step_cross(_options: argparse.Namespace) -> None:
    """Compile the C for every other platform that there are headers for."""
    run(PYTHON, "tools/lint_c.py", "--cross")


def step_c(_options: argparse.Namespace) -> None:
    """Run the plain-C tests, which build themselves with the sanitizers."""
    run(PYTHON, "tests/c/run.py", extra=lua_sources())


def step_ccov(options: argparse.Namespace) -> None:
    """Run the C and the Python tests on code built for gcov, and hold the sum against the floor."""
    tree = source_tree("ccov")
    switch = {"LUAGAUGE_COVERAGE": "1", **lua_sources(), **one_processor()}
    run(PYTHON, "setup.py", "--quiet", "build_ext", "--inplace", cwd=tree, extra=switch)
    c_programs = tree / "build" / "c-tests"
    c_programs.mkdir()
    counted = "--coverage -fprofile-update=atomic"  # as in csrc/build_native.py, which says why
    c_switch = {"CFLAGS": counted, "LUAGAUGE_C_TEST_DIR": str(c_programs)}
    # Without the sources of Lua: the sweep and the audit have run, under sanitizers, and add no line to the sum.
    run(PYTHON, "tests/c/run.py", cwd=tree, extra=c_switch)
    # What the Python tests compile of the C by themselves (tests/c) counts too.
    compiler = f"{os.environ.get('CC', 'gcc')} {counted}"
    py_switch = {**switch, "CC": compiler, "LUAGAUGE_C_TEST_DIR": str(c_programs), "PYTHONPATH": str(tree / "src")}
    # The leak tests repeat what the others do once, and what they measure is not what is installed.
    chosen = ["--ignore=tests/leaks", *(f"--lua={lua}" for lua in COUNTED_LUAS), *options.pytest]
    run(PYTHON, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *chosen, cwd=tree, extra=py_switch)
    # A line of a header that is compiled for seven Luas counts once. A function may stand twice in a file, once for
    # each kind of Lua: both are counted.
    limit = str(C_LINE_COVERAGE_PERCENT)
    sums = ["--merge-mode-functions=separate", "--print-summary", "--fail-under-line", limit]
    run(PYTHON, "-m", "gcovr", "--root", tree, "--filter", "csrc/", *sums, tree, cwd=tree)


def step_sanitized(options: argparse.Namespace) -> None:
    """Run the Python tests on modules with AddressSanitizer and UBSan in them."""
    tree = source_tree("sanitized")
    switch = {"LUAGAUGE_SANITIZE": "1", **lua_sources()}
    run(PYTHON, "setup.py", "--quiet", "build_ext", "--inplace", cwd=tree, extra=switch)
    modules = sorted((tree / "src/luagauge").glob("*.so"))
    if not modules or not all(b"__asan_init" in module.read_bytes() for module in modules):
        raise CheckFailedError("the modules hold no sanitizer: the switch did not reach the compiler")
    compiler = os.environ.get("CC", "cc").split()[0]
    libraries = [output(compiler, f"-print-file-name={name}") for name in ("libasan.so", "libubsan.so")]
    extra = {
        **switch,
        "PYTHONPATH": str(tree / "src"),
        "LD_PRELOAD": " ".join(libraries),
        # CPython and lupa leave much behind at exit; what this looks for is misuse of memory.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    chosen = ["-m", "not real_malloc", *options.pytest]
    run(PYTHON, "-m", "pytest", "-p", "no:cacheprovider", *chosen, cwd=tree, extra=extra)


def step_bench(_options: argparse.Namespace) -> None:
    """Hold the ratios that README promises against bounds that a busy machine keeps, and try the benchmarks' own tests.

    In an environment of its own: pytest-benchmark and the peers must not be there when the Python tests run.
    """
    if sys.platform != "linux" or FREE_THREADED:
        say("the benchmarks need /proc and their peers' wheels: left out here")
        return
    venv = WORK / "bench"
    python = venv / "bin" / "python"
    if not python.is_file():
        run(sys.executable, "-m", "venv", venv)
    wheel = the_file("*.whl")
    run(python, "-m", "pip", "-qq", "install", f"luagauge[bench] @ {wheel.as_uri()}")
    run(python, "-m", "pip", "-qq", "install", "--no-deps", "--force-reinstall", wheel)
    if shutil.which("valgrind") is None:
        say("valgrind is not installed: instruction counts are left out, and compute-only programs held by time alone")
    run(python, "-m", "benchmarks", "--check")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-disable", "benchmarks")


def step_python(options: argparse.Namespace) -> None:
    """Run the Python tests against the installed wheel; pytest's closing line is the last thing said."""
    for old in (ROOT / ".coverage", *ROOT.glob(".coverage.*")):
        old.unlink(missing_ok=True)
    floor = ["--cov-fail-under=0"] if options.no_floor or options.pytest else []
    pytest("--cov", "--cov-report=term", *floor, *options.pytest, extra=lua_sources())


STEPS: dict[str, Callable[[argparse.Namespace], None]] = {
    "package": step_package,
    "lint": step_lint,
    "cross": step_cross,
    "c": step_c,
    "ccov": step_ccov,
    "bench": step_bench,
    "python": step_python,
    "sanitized": step_sanitized,
}
ALL = ("package", "lint", "cross", "c", "ccov", "bench", "python")
# Steps that work on the installed wheel or the sdist, and so build both first when run alone.
NEED_WHEEL = frozenset({"lint", "cross", "c", "ccov", "bench", "python", "sanitized"})


def main(arguments: Sequence[str]) -> int:
    """Run the steps asked for; stop at the first that fails.

    Returns:
        0 when every check passed, 1 when one failed, 2 for a wrong command line.
    """
    parser = argparse.ArgumentParser(description="Check the whole tree.", epilog="What follows -- goes to pytest.")
    parser.add_argument("step", nargs="?", default="all", choices=["all", *STEPS])
    parser.add_argument("--no-floor", action="store_true", help="report the Python coverage without requiring it")
    # argparse would not take options both before and after a positional list.
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    options.pytest = list(arguments[split + 1 :])
    names = ALL if options.step == "all" else (options.step,)
    try:
        say("== environment")
        start = time.monotonic()
        prepare(fresh=options.step == "all")
        if NEED_WHEEL.issuperset(names):
            build_wheel()
        for name in names:
            say(f"== {name} (the steps before took {time.monotonic() - start:.0f} s)")
            STEPS[name](options)
    except CheckFailedError as error:
        say(f"check.py: FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
