"""Keep what a compiler made of a file, where LUAGAUGE_BUILD_CACHE names a directory for it; nothing is kept without.

A build of LuaJIT compiles some seventy files, and a check of the tree builds it several times. What is kept goes by
content: the compiler's version, the command, and the file after preprocessing, with all headers in it. So a hit is what
the compiler would make. Files are put into place whole, and several processes may share the directory.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import toolchain

VARIABLE = "LUAGAUGE_BUILD_CACHE"


@functools.cache
def _version_of(compiler: tuple[str, ...]) -> str:
    """Return what a compiler says of itself."""
    return toolchain.run([*compiler, "--version"], Path.cwd())


def compile_once(
    result: Path, compiler: Sequence[str], command: Sequence[str], preprocessed: Callable[[], str]
) -> None:
    """Run a compiler's command in the directory of its result, or take what it made of the same before.

    Args:
        result: The file that the command makes.
        compiler: The command's beginning, which tells its version.
        command: All of it.
        preprocessed: Returns the source after preprocessing; called only where something is kept.

    Raises:
        CarriedError: The compiler failed, or is not there.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        toolchain.run(command, result.parent)
        return
    parts = (_version_of(tuple(compiler)), *command, preprocessed())
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
    kept = Path(named).absolute() / digest[:2] / digest
    if kept.is_file():
        shutil.copyfile(kept, result)
        return
    toolchain.run(command, result.parent)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as beside:
        beside.write(result.read_bytes())
    Path(beside.name).replace(kept)
