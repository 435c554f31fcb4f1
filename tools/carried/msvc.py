"""Find Microsoft's compiler as its documentation says: vswhere knows where it is, vcvarsall.bat what it needs."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from .errors import CarriedError

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
