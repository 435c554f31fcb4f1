"""The steps of tools/check.py. Each needs the environment and the installed wheel, and leaves the checkout alone."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carried import wheels

from checks.installed import (
    FREE_THREADED,
    build_wheel,
    lua_sources,
    need,
    one_processor,
    source_tree,
    the_file,
)
from checks.programs import BIN, PYTHON, ROOT, WORK, CheckFailedError, beside, output, pip, run, say

C_LINE_COVERAGE_PERCENT = 90
# One of PUC's Luas and LuaJIT: between them they compile nearly all lines of the C.
FEW_LUAS = ("5.4", "luajit2.1")
EVERY_LUA = "import luagauge; print(*luagauge.LUA_VERSIONS)"
IN_PARALLEL = ("--numprocesses=auto", "--dist=worksteal")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of the steps.

    Attributes:
        pytest: Arguments for pytest, in the steps that run it.
        whole: Sweeps and samples are whole.
        newest_lupa: The tests of all Luas run with lupa's newest release.
    """

    pytest: Sequence[str] = ()
    whole: bool = False
    newest_lupa: bool = False


# What compiles whole Luas anew is a part of `package`.
NO_BUILDS = ("-m", "not builds")


def of_luas(luas: Sequence[str]) -> list[str]:
    """Return pytest's arguments that choose the tests of some Luas."""
    return [f"--lua={lua}" for lua in luas]


def step_test(options: Options) -> None:
    """Run the Python tests on the installed wheel, on one of PUC's Luas and on LuaJIT."""
    chosen = [*NO_BUILDS, *of_luas(FEW_LUAS), *options.pytest]
    run(PYTHON, "-m", "pytest", "--quiet", *IN_PARALLEL, *chosen, extra=lua_sources())


def step_luas(options: Options) -> None:
    """Run the tests that are run once for each Lua on the others, on the installed wheel."""
    others = [version for version in output(PYTHON, "-c", EVERY_LUA).split() if version not in FEW_LUAS]
    chosen = ["--per-lua", *NO_BUILDS, *of_luas(others), *options.pytest]
    run(PYTHON, "-m", "pytest", "--quiet", *IN_PARALLEL, *chosen, extra=lua_sources())


def step_python(options: Options) -> None:
    """Run all Python tests on the installed wheel, on every Lua."""
    if options.newest_lupa:
        pip("install", "--upgrade", "lupa")
    run(PYTHON, "-m", "pytest", *IN_PARALLEL, *options.pytest, extra=lua_sources())


def step_package(_options: Options) -> None:
    """Build, and look at what would be published. cibuildwheel, which names the wheels, needs CPython 3.11."""
    need("wheels")
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
    run(PYTHON, "-m", "pytest", "--quiet", *IN_PARALLEL, "-m", "builds", "tests/contract", extra=lua_sources())
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


def step_lint(_options: Options) -> None:
    """Run every linter; all of them are pinned in pyproject.toml."""
    need("lint", "native")
    workflows = sorted(str(path) for path in (ROOT / ".github/workflows").glob("*.yml"))
    schema = (PYTHON, "-m", "check_jsonschema", "--builtin-schema")
    beside(
        (PYTHON, "tools/lint_c.py"),
        (PYTHON, "-m", "mypy"),
        (
            PYTHON,
            "-m",
            "mypy",
            "--platform=win32",
            "--cache-dir",
            WORK / "mypy-windows",
            "src",
        ),  # what only Windows runs
        (BIN / "basedpyright", "--pythonpath", PYTHON),
        (PYTHON, "-m", "ruff", "check", "."),
        (PYTHON, "-m", "ruff", "format", "--check", "."),
        (PYTHON, "-m", "codespell_lib"),
        (*schema, "vendor.github-workflows", *workflows),
        (*schema, "vendor.dependabot", ".github/dependabot.yml"),
        (BIN / "zizmor", "--offline", "--no-progress", "--quiet", ".github"),
    )


def step_cross(_options: Options) -> None:
    """Compile the C for every other platform that there are headers for."""
    need("lint", "cross", "native")
    run(PYTHON, "tools/lint_c.py", "--cross")


def step_c(options: Options) -> None:
    """Run the plain-C tests, which build themselves with the sanitizers."""
    whole = ["--whole"] if options.whole else []
    run(PYTHON, "tests/c/run.py", *whole, extra=lua_sources())


def step_coverage(options: Options) -> None:
    """Run the C and the Python tests on code built for gcov, and hold both languages' coverage against their floors."""
    need("native")
    tree = source_tree("coverage")
    switch = {"LUAGAUGE_COVERAGE": "1", **lua_sources(), **one_processor()}
    run(PYTHON, "setup.py", "--quiet", "build_ext", "--inplace", cwd=tree, extra=switch)
    c_programs = tree / "build" / "c-tests"
    c_programs.mkdir()
    counted = "--coverage -fprofile-update=atomic"  # as in csrc/build_native.py, which says why
    c_switch = {"CFLAGS": counted, "LUAGAUGE_C_TEST_DIR": str(c_programs)}
    # Without the sources of Lua: the sweep and the audit have run, under sanitizers, and add no line to the sum.
    run(PYTHON, "tests/c/run.py", "--plain", cwd=tree, extra=c_switch)
    # What the Python tests compile of the C by themselves (tests/c) counts too.
    compiler = f"{os.environ.get('CC', 'gcc')} {counted}"
    py_switch = {**switch, "CC": compiler, "LUAGAUGE_C_TEST_DIR": str(c_programs), "PYTHONPATH": str(tree / "src")}
    # The leak tests repeat what the others do once, and what they measure is not what is installed.
    floor = ["--cov", "--cov-report=term", *(["--cov-fail-under=0"] if options.pytest else [])]
    chosen = ["--ignore=tests/leaks", *NO_BUILDS, *floor, *of_luas(FEW_LUAS), *options.pytest]
    run(PYTHON, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *IN_PARALLEL, *chosen, cwd=tree, extra=py_switch)
    # A line of a header that is compiled for seven Luas counts once. A function may stand twice in a file, once for
    # each kind of Lua: both are counted.
    limit = str(C_LINE_COVERAGE_PERCENT)
    sums = ["--merge-mode-functions=separate", "--print-summary", "--fail-under-line", limit]
    run(PYTHON, "-m", "gcovr", "--root", tree, "--filter", "csrc/", *sums, tree, cwd=tree)


def step_sanitized(options: Options) -> None:
    """Run the Python tests on modules with AddressSanitizer and UBSan in them."""
    need("native")
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


def step_bench(_options: Options) -> None:
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


STEPS: dict[str, Callable[[Options], None]] = {
    "test": step_test,
    "package": step_package,
    "lint": step_lint,
    "cross": step_cross,
    "c": step_c,
    "luas": step_luas,
    "coverage": step_coverage,
    "bench": step_bench,
    "python": step_python,
    "sanitized": step_sanitized,
}
# What .ci/run runs after the first.
REST = ("package", "lint", "cross", "c", "luas", "coverage", "bench")
