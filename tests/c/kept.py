"""Build results that are kept: each is made once, whoever asks for it at the same time, and again when what it is made of changes.

Beside a result lies NAME.made-of, the digest of all that went into it: the compiler's command and version, and the bytes
of every source and header. Times of files say nothing: a checkout has new ones.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path


@functools.cache
def version_of(compiler: tuple[str, ...]) -> str:
    """Return what a compiler says of itself; its own name where it says nothing."""
    try:
        done = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    except OSError:  # the build will say so
        return compiler[0]
    return done.stdout or compiler[0]


def digest_of(command: Sequence[str], compiler: Sequence[str], inputs: Iterable[Path]) -> str:
    """Return the digest of a command, its compiler's version, where there is a compiler, and the files that it reads."""
    version = version_of(tuple(compiler)) if compiler else ""
    digest = hashlib.sha256("\0".join([*command, version]).encode())
    for path in sorted(inputs):
        digest.update(f"\0{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@contextlib.contextmanager
def alone_with(result: Path) -> Iterator[None]:
    """Keep other processes from making the same result meanwhile; on Windows, where the tests run one by one, nothing does."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with result.with_name(f"{result.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keep(result: Path, digest: str, make: Callable[[], object]) -> Path:
    """Return `result`, after `make` has made it where it is not there or was made of something else."""
    made_of = result.with_name(f"{result.name}.made-of")
    with alone_with(result):
        if not (result.exists() and made_of.is_file() and made_of.read_text(encoding="ascii") == digest):
            made_of.unlink(missing_ok=True)
            make()
            made_of.write_text(digest, encoding="ascii")
    return result
