"""Build the two extension modules; everything else is in pyproject.toml.

`luagauge._native` comes from the cffi recipe csrc/build_native.py. `luagauge._fast` is a plain C extension whose
sources and flags the same recipe names, so that both are always built alike (sanitizers, coverage).

Where LUAGAUGE_LUPA_SDIST names lupa's sdist, the Lua modules that the package carries are built too, into
luagauge/_luas; without it the package carries none, and uses lupa's own. tools/carried says how they are built.
"""

from __future__ import annotations

import logging
import os
import runpy
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import ExecError

# An isolated build does not have the source tree on sys.path.
sys.path.insert(0, str(Path("tools").resolve()))

from carried import modules, sdist, targets
from carried.errors import CarriedError

# By path, for it is no module's name. The recipe names paths relative to the root.
RECIPE = runpy.run_path("csrc/build_native.py", run_name="luagauge_recipe")

# The free-threaded ABI is not the stable one. Py_GIL_DISABLED is 1 there, 0 or None elsewhere.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")
LIMITED_API = [("Py_LIMITED_API", "0x030A0000")] if STABLE_ABI else []

# A module that calls nothing of libc itself would not name it as needed, and auditwheel tells glibc from musl by that.
NAME_LIBC = ["-Wl,--no-as-needed"] if sys.platform == "linux" else []


class FreshBuildExt(build_ext):
    """Compile everything anew, every time.

    setuptools reuses a finished module when its sources are not newer, and knows nothing of headers and flags: after a
    build with sanitizers an ordinary one would leave the sanitized module in place, and the other way round.
    """

    def finalize_options(self) -> None:
        """Set `force` once the ordinary options are known."""
        super().finalize_options()
        self.force = True

    def run(self) -> None:
        """Build the Luas that the package carries, where lupa's sdist is given, then the extension modules."""
        in_place = self.inplace or getattr(self, "editable_mode", False)
        folder = Path("src" if in_place else self.build_lib, "luagauge", "_luas")
        if not in_place:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier build, which may have been told otherwise
        if os.environ.get(sdist.VARIABLE):
            self.build_luas(folder)
        super().run()

    def build_luas(self, folder: Path) -> None:
        """Build the Luas into a directory."""
        try:
            target = targets.of_wheel(sysconfig.get_platform())
            if target is None:
                self.warn(f"no Lua modules are built for {sysconfig.get_platform()}: the package will use lupa's")
            else:
                modules.build(target, sdist.named(), folder, say=lambda text: self.announce(text, logging.INFO))
        except CarriedError as error:
            raise ExecError(str(error)) from error


fast = Extension(
    "luagauge._fast",
    sources=list(RECIPE["FAST_SOURCES"]),
    include_dirs=["csrc"],
    define_macros=[*RECIPE["FAST_MACROS"], *LIMITED_API],
    extra_compile_args=list(RECIPE["COMPILE_ARGS"]),
    extra_link_args=[*RECIPE["LINK_ARGS"], *NAME_LIBC],
    depends=sorted(str(path.as_posix()) for path in Path("csrc").rglob("*.h")),
    py_limited_api=STABLE_ABI,
)

# Without this option the wheel would be tagged for the one CPython that built it.
options: dict[str, dict[str, Any]] = {"bdist_wheel": {"py_limited_api": "cp310"}} if STABLE_ABI else {}

setup(
    cffi_modules=["csrc/build_native.py:ffibuilder"],
    ext_modules=[fast],
    cmdclass={"build_ext": FreshBuildExt},
    options=options,
)
