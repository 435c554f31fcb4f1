"""Find and run Microsoft's compiler, as its documentation says: vswhere knows where it is, vcvarsall.bat what it needs.

A header that is forced into each file of a Lua puts its code into a section of its own.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import CarriedError
from .targets import Target
from .toolchain import ADDED, peobj_vm, run

NAMES = {"x86_64": "x64", "aarch64": "arm64"}
COMPONENTS = {"x86_64": "x86.x64", "aarch64": "ARM64"}


def environment(machine: str) -> dict[str, str]:
    """Return the environment in which cl makes code for a processor.

    A developer command prompt for that processor is taken as it is.

    Raises:
        CarriedError: The compiler is not installed.
    """
    name = NAMES[machine]
    if os.environ.get("VSCMD_ARG_TGT_ARCH") == name:
        return dict(os.environ)
    programs = os.environ.get("PROGRAMFILES(X86)") or os.environ.get("PROGRAMFILES", "")
    vswhere = Path(programs, "Microsoft Visual Studio", "Installer", "vswhere.exe")
    missing = "no C compiler: install the C++ build tools of Visual Studio, or name another compiler with CC"
    if not vswhere.is_file():
        raise CarriedError(missing)
    component = f"Microsoft.VisualStudio.Component.VC.Tools.{COMPONENTS[machine]}"
    query = ["-latest", "-prerelease", "-products", "*", "-requires", component, "-property", "installationPath"]
    found = subprocess.run([vswhere, *query, "-utf8"], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    if not found:
        raise CarriedError(missing)
    own = NAMES["aarch64" if platform.machine().lower() == "arm64" else "x86_64"]
    script = Path(found, "VC", "Auxiliary", "Build", "vcvarsall.bat")
    argument = name if own == name else f"{own}_{name}"
    # With /u the shell writes UTF-16.
    shell = f'cmd /u /s /c ""{script}" {argument} >nul && set"'
    done = subprocess.run(shell, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise CarriedError(f"{script} {argument}: exit code {done.returncode}")
    pairs = (line.partition("=") for line in done.stdout.decode("utf-16-le").splitlines())
    return {variable.upper(): value for variable, separator, value in pairs if separator}


@dataclass(frozen=True, slots=True)
class Msvc:
    """Microsoft's cl and link."""

    target: Target
    environment: Mapping[str, str] = field(default_factory=dict)

    def _run(self, words: Sequence[str | Path], folder: Path) -> str:
        """Run one of its programs, found on the PATH of its own environment."""
        program = shutil.which(str(words[0]), path=self.environment.get("PATH"))
        if program is None:
            raise CarriedError(f"{words[0]} is not on PATH: install the C++ build tools of Visual Studio")
        return run([program, "/nologo", *words[1:]], folder, self.environment)

    def _compiled(self, source: str, folder: Path, options: Sequence[str]) -> Path:
        """Compile one file."""
        result = folder / f"{Path(source).stem}.obj"
        common = ["/O2", "/w", "/MD", "/Brepro", "/D_CRT_SECURE_NO_DEPRECATE"]
        self._run(["cl", "/c", *common, *options, f"/Fo{result.name}", source], folder)
        return result

    def preprocess(self, source: Path, includes: Sequence[str], defines: Sequence[str]) -> str:
        """Return a file after preprocessing."""
        options = [*(f"/I{name}" for name in includes), *(f"/D{name}" for name in defines)]
        return self._run(["cl", "/EP", *options, source.name], source.parent)

    def compile_lua(self, source: str, folder: Path, includes: Sequence[str], defines: Sequence[str]) -> Path:
        """Compile a file of a Lua, in its directory; return the object file, whose code is in the named section."""
        shutil.copyfile(ADDED / "luatext.h", folder / "luagauge_luatext.h")
        options = ["/FIluagauge_luatext.h", *(f"/I{name}" for name in includes), *(f"/D{name}" for name in defines)]
        return self._compiled(source, folder, options)

    def compile_added(self, source: Path, folder: Path, defines: Sequence[str]) -> Path:
        """Compile a file of ours in the same place; its code stays in the ordinary section."""
        shutil.copy(source, folder / f"luagauge_{source.name}")
        return self._compiled(f"luagauge_{source.name}", folder, ["/I.", *(f"/D{name}" for name in defines)])

    def assemble_vm(self, buildvm: Path, folder: Path) -> Path:
        """Have LuaJIT's buildvm write its interpreter; return the object file."""
        return peobj_vm(buildvm, folder)

    def program(self, sources: Sequence[str], folder: Path, name: str, flags: Sequence[str]) -> Path:
        """Make a program that runs here; return its path. Only for the host."""
        words = [*(flag.replace("-", "/", 1) for flag in flags), *sources]
        objects = folder / f"{name}-objects"
        objects.mkdir()
        result = folder / f"{name}.exe"
        self._run(["cl", "/O2", "/w", "/D_CRT_SECURE_NO_DEPRECATE", *words, f"/Fo{objects}\\", f"/Fe{result}"], folder)
        return result

    def link(self, objects: Sequence[Path], result: Path) -> None:
        """Link the module; folding would make equal functions one, and a C function's address tells it from others."""
        folder = objects[0].parent
        options = ["/DLL", "/Brepro", "/INCREMENTAL:NO", "/OPT:REF,NOICF", f"/OUT:{result.name}"]
        self._run(["link", *options, *(path.name for path in objects)], folder)
        shutil.copyfile(folder / result.name, result)
