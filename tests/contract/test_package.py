"""What the installed package promises as a package: its names, its weight at import, its metadata, its build."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import _cffi_backend
import pytest

import luagauge

# The names that documentation and users' code rely on. Adding one is a feature; losing one is a breaking change.
PUBLIC_NAMES = frozenset(
    {
        "InvalidDataError",
        "LogEntry",
        "LuaEngine",
        "LuaGaugeError",
        "LuaScript",
        "MeasurementFailedError",
        "MemoryDelta",
        "MemoryLimitExceeded",
        "MemorySnapshot",
        "MemoryTracker",
        "MemoryTrackingConfig",
        "MemoryTrackingError",
        "OutputLimitExceeded",
        "PlatformUnavailableError",
        "ScriptConfig",
        "ScriptContext",
        "ScriptError",
        "ScriptInterruptedError",
        "ScriptMemory",
        "ScriptResult",
        "ScriptRuntimeError",
        "ScriptSerializationError",
        "ScriptSyntaxError",
        "ScriptTimeoutError",
        "SecurityManager",
        "SecurityViolation",
        "snapshot",
    }
)

# Each takes a good part of the time that luagauge takes to import, or more than all of it.
SLOW_MODULES = (
    "ast",
    "asyncio",
    "click",
    "concurrent.futures",
    "dataclasses",
    "dis",
    "importlib.metadata",
    "inspect",
    "logging",
    "lupa",
    "multiprocessing",
    "numpy",
    "pathlib",
    "psutil",
    "re",
    "rich",
    "typing",
    "urllib",
    "weakref",
)

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def run_child(code: str, *options: str) -> str:
    """Run code in a fresh interpreter that nothing of this test run has touched, and return what it prints.

    Coverage starts itself in child processes when its variables are set, and imports much; so they are taken out.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, *options, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_loaded_by(code: str) -> set[str]:
    """Return which modules some code loads in a Python that has loaded none yet, those of its installation included."""
    paths = [str(Path(luagauge.__file__).parents[1]), str(Path(_cffi_backend.__file__).parent)]
    setting = f"import sys; sys.path += {paths!r}; before = set(sys.modules)"
    report = "print(*sorted(set(sys.modules) - before))"
    return set(run_child(f"{setting}\n{code}\n{report}", "-I", "-S").split())


def test_import_loads_nothing_else() -> None:
    """A name of luagauge is loaded when it is used; `import luagauge` alone loads no more than the package itself."""
    assert modules_loaded_by("import luagauge") == {"__future__", "luagauge"}


@pytest.mark.parametrize(
    "code",
    [
        "from luagauge import LuaEngine",
        "from luagauge import *",
        "import luagauge; assert luagauge.snapshot().rss_bytes > 0",
        "import luagauge; luagauge.ScriptConfig(timeout_ms=1); repr(luagauge.ScriptContext())",
    ],
)
def test_use_loads_no_slow_module(code: str) -> None:
    """Nor do the first uses load what takes longer to import than luagauge does."""
    loaded = modules_loaded_by(code)
    assert "luagauge" in loaded
    assert loaded & set(SLOW_MODULES) == set()


def test_first_engine_loads_no_slow_module() -> None:
    """But lupa, which brings the Lua."""
    loaded = modules_loaded_by("import luagauge; luagauge.LuaEngine().execute_script('return 1').raise_for_error()")
    assert loaded & {"dataclasses", "inspect", "typing", "asyncio"} == set()


def test_modules_are_attributes_of_the_package() -> None:
    """As they were when `import luagauge` loaded them all: `luagauge.errors.ScriptError` needs no other import."""
    names = ("config", "engine", "errors", "results", "security", "tracker")
    code = f"import luagauge; print(all(getattr(luagauge, name).__name__ == 'luagauge.' + name for name in {names!r}))"
    assert run_child(code).strip() == "True"
    assert {*names, "__version__", *luagauge.__all__} <= set(dir(luagauge))


def test_stub_names_what_the_package_has() -> None:
    """Type checkers read the stub, Python the module: both have the same names, from the same modules."""
    tree = ast.parse(importlib.resources.files("luagauge").joinpath("__init__.pyi").read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "luagauge"]
    homes = {alias.name: str(node.module) for node in imports for alias in node.names}
    assert homes == {name: f"luagauge.{home}" for name, home in vars(luagauge)["_HOMES"].items()}
    (names,) = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    assert names == luagauge.__all__


def test_python_finds_no_fault_in_how_it_is_used() -> None:
    """With Python's own checks on, every warning an error: text and bytes of one source are never compared."""
    code = (
        "from luagauge import LuaEngine\n"
        "with LuaEngine() as engine:\n"
        "    engine.execute_script('return 1', {b'a': 1, 'b': b'c'})\n"
        "    print([engine.execute_script(source).output for source in ('return 1', b'return 1', 'return 1')])"
    )
    assert run_child(code, "-bb", "-X", "dev", "-W", "error").strip() == "[1, 1, 1]"


def test_all_is_sorted_and_without_duplicates() -> None:
    """`__all__` is sorted the way ruff sorts it (constants, then classes, then functions) and names nothing twice."""
    names = luagauge.__all__
    assert list(names) == sorted(set(names), key=lambda name: (not name.isupper(), name[0].islower(), name))


def test_all_keeps_the_documented_names() -> None:
    """No name that documentation and users' code rely on is lost."""
    assert set(luagauge.__all__) >= PUBLIC_NAMES


def test_all_names_resolve() -> None:
    """Every name in `__all__` can be had, whether it is imported eagerly or on first use."""
    missing = [name for name in luagauge.__all__ if not hasattr(luagauge, name)]
    assert missing == []


def test_all_lists_every_public_name() -> None:
    """Nothing public is reachable as an attribute without being listed."""
    unlisted = [
        name
        for name, value in vars(luagauge).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name not in luagauge.__all__
    ]
    assert [name for name in unlisted if name not in {"annotations", "TYPE_CHECKING"}] == []


def test_unknown_attribute_is_an_attribute_error() -> None:
    """A name that does not exist fails as it does in any module, naming module and attribute."""
    package: Any = luagauge
    with pytest.raises(AttributeError, match=r"luagauge.*no_such_name"):
        _ = package.no_such_name


def test_version_is_the_installed_one() -> None:
    """`__version__` is what the installed distribution says, so there is one place to change it."""
    assert luagauge.__version__ == importlib.metadata.version("luagauge")
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", luagauge.__version__)


def test_py_typed_is_shipped() -> None:
    """Type checkers take the package's own annotations, which PEP 561's marker file allows."""
    assert importlib.resources.files("luagauge").joinpath("py.typed").is_file()


def test_every_module_and_data_file_is_installed() -> None:
    """What the source tree holds is what is installed: no Python module, stub or Lua file is left behind."""
    source = Path(__file__).parents[2] / "src" / "luagauge"
    if not source.is_dir():
        pytest.skip("the tests are run without the source tree: there is nothing to compare with")
    installed = Path(luagauge.__file__).parent
    kinds = {".py", ".pyi", ".lua", ".typed"}
    expected = {path.relative_to(source) for path in source.rglob("*") if path.suffix in kinds}
    expected |= {Path("py.typed")}
    missing = sorted(str(path) for path in expected if not (installed / path).is_file())
    assert missing == []


def test_runtime_requirements_are_lupa_and_cffi_only() -> None:
    """Everything beyond lupa and cffi belongs to an extra."""
    requires = importlib.metadata.requires("luagauge") or []
    names = {re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in requires if "extra ==" not in line}
    assert names == {"lupa", "cffi"}


def test_extension_modules_use_the_stable_abi() -> None:
    """One wheel serves every CPython from 3.10 on, except on the free-threaded build, whose ABI is its own."""
    files = {
        entry.name: entry.name.split(".", 1)[1]
        for entry in importlib.resources.files("luagauge").iterdir()
        if entry.name.startswith(("_native.", "_fast.")) and not entry.name.endswith(".pyi")
    }
    assert len(files) == 2, files
    for suffix in files.values():
        if os.name == "nt":
            assert suffix == "pyd" or FREE_THREADED
        else:
            assert ("abi3" in suffix) != FREE_THREADED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork, and so no child that inherits a lock")
def test_fork_waits_for_what_is_being_loaded() -> None:
    """A child has no thread that would end the import, and would wait for it for ever."""
    code = """
        import os, signal, sys, threading, time
        import luagauge

        begun = threading.Event()

        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "luagauge.config" and not begun.is_set():
                    begun.set()
                    time.sleep(0.2)

        sys.meta_path.insert(0, Slow())
        thread = threading.Thread(target=lambda: luagauge.ScriptConfig)
        thread.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            luagauge.ScriptConfig()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        thread.join()
    """
    assert run_child(textwrap.dedent(code)) == "0\n"
