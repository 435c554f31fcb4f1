"""The examples in public docstrings run and give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys
from types import ModuleType

import pytest

import luagauge

# The modules that users see, but for another system's; the command line's need its extra and hold no examples.
OTHER_SYSTEM = "_filesystem.posix" if sys.platform == "win32" else "_filesystem.windows"
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(luagauge.__path__, "luagauge.")
    if not module.name.endswith(("__main__", OTHER_SYSTEM))
)


@pytest.mark.real_malloc
@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    """Every example in the module's docstrings gives what stands below it."""
    module: ModuleType = importlib.import_module(name)
    names = {"luagauge": luagauge} | {public: getattr(luagauge, public) for public in luagauge.__all__}
    failed, _ = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_docstrings_hold_examples() -> None:
    """There is something for the test above to run."""
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name) for name in MODULES]
    examples = [test for module in modules for test in finder.find(module) if test.examples]
    assert len(examples) >= 3
