"""Copies of installed packages, changed as an installation that is not whole would be, for child processes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import struct
import sys
from pathlib import Path

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def copy_of(package: str, target: Path) -> Path:
    """Copy an installed package; return the copy."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    copied = target / package
    shutil.copytree(Path(spec.origin).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def without_luas(target: Path) -> Path:
    """Copy luagauge as a wheel that carries no Lua; return the folder where it would carry them."""
    folder = copy_of("luagauge", target) / "_luas"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def with_luas(target: Path, releases: str | None, modules: dict[str, bytes]) -> Path:
    """Copy luagauge as a wheel that carries these modules, by names such as `luajit21`, and lists these releases.

    Returns:
        The folder with the modules.
    """
    folder = without_luas(target)
    folder.mkdir()
    for name, content in modules.items():
        (folder / f"luagauge_{name}{SUFFIX}").write_bytes(content)
    if releases is not None:
        (folder / "RELEASES").write_text(releases, encoding="utf-8")
    return folder


def hide_lupa(target: Path) -> None:
    """Hide lupa as if it had never been installed."""
    (target / "lupa.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'lupa'\", name='lupa')", encoding="ascii"
    )


def path_environment(path: Path) -> dict[str, str]:
    """Return the environment of a child process that finds what is in `path` first."""
    return {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def hide_lua_api(module: Path) -> int:
    """Rename what an ELF file exports of Lua, so that nobody finds it by name; return how many names there were.

    "lu" becomes "mT", which GNU's symbol hash (h * 33 + c) takes for the same: the module's own references still meet.
    """
    content = bytearray(module.read_bytes())
    sections_at, entry, count, names_index = (
        struct.unpack_from("<Q", content, 40)[0],
        *struct.unpack_from("<HHH", content, 58),
    )
    headers = [struct.unpack_from("<IIQQQQ", content, sections_at + entry * number) for number in range(count)]
    names_at = headers[names_index][4]
    for name, _, _, _, offset, size in headers:
        if content[names_at + name : names_at + name + 8] == b".dynstr\0":
            table = content[offset : offset + size]
            hidden = table.replace(b"\0lua", b"\0mTa")
            content[offset : offset + size] = hidden
            module.write_bytes(content)
            return table.count(b"\0lua")
    raise AssertionError(f"{module} has no dynamic symbols")
