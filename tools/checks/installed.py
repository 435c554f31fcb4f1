"""The environment of the checks, and what is built and installed in it: the sdist, the wheel, trees of the sdist."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import sysconfig
import tarfile
from pathlib import Path

from checks.programs import PYTHON, ROOT, VENV, WORK, CheckFailedError, pip, run

DIST = WORK / "dist"
STAMP = WORK / "environment.txt"
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
MINIMUM_PYTHON = (3, 10)


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
    """Make the environment, or keep the one that is there when nothing it depends on changed."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    if not fresh and STAMP.is_file() and STAMP.read_text(encoding="ascii").startswith(wanted):
        return
    require_toolchain()
    if WORK.exists():
        shutil.rmtree(WORK)
    WORK.mkdir(parents=True)
    run(sys.executable, "-m", "venv", VENV)
    # 25.1 is the first pip that installs the groups of pyproject.toml.
    pip("install", "--upgrade", "pip>=25.1")
    STAMP.write_text(wanted + "\n", encoding="ascii")


def need(*groups: str) -> None:
    """Install groups of pyproject.toml, each once. Not all linters have wheels for every platform and interpreter."""
    there = STAMP.read_text(encoding="ascii").split()
    missing = [name for name in groups if name not in there]
    if not missing:
        return
    pip("install", *(f"--group={name}" for name in missing))
    STAMP.write_text("\n".join([*there, *missing, ""]), encoding="ascii")


def the_file(pattern: str) -> Path:
    """Find the one file of that kind among what was built.

    Raises:
        CheckFailedError: There is none, or more than one.
    """
    found = sorted(DIST.glob(pattern))
    if len(found) != 1:
        raise CheckFailedError(f"{DIST} holds {len(found)} files {pattern}, not one")
    return found[0]


def lua_sources() -> dict[str, str]:
    """Fetch lupa's sdist: the wheel carries Luas built from it, and the plain-C tests compile them too."""
    need("lupa")
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


def digest_of(sdist: Path) -> str:
    """Return a digest of what an sdist holds; the times in the archive are not in it."""
    digest = hashlib.sha256()
    with tarfile.open(sdist) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            content = archive.extractfile(member)
            digest.update(f"{member.name}\0{member.size}\0".encode() + (content.read() if content else b""))
    return digest.hexdigest()


def build_wheel() -> Path:
    """Make the sdist, then the wheel from the sdist alone, and install the wheel with all that the tests need.

    A wheel that was made of the same sources and is installed already stays.
    """
    need("package")
    for old in DIST.glob("*.tar.gz"):
        old.unlink()
    run(PYTHON, "-m", "build", "--quiet", "--sdist", "--outdir", DIST, ROOT)
    digest, made_of = digest_of(the_file("*.tar.gz")), DIST / "made_of.sha256"
    if made_of.is_file() and made_of.read_text(encoding="ascii") == digest:
        return the_file("*.whl")
    made_of.unlink(missing_ok=True)
    for old in DIST.glob("*.whl"):
        old.unlink()
    pip("wheel", "--no-deps", "--wheel-dir", DIST, the_file("*.tar.gz"), extra={**lua_sources(), **one_processor()})
    wheel = the_file("*.whl")
    pip("install", f"luagauge[cli,test] @ {wheel.as_uri()}")
    # A rebuilt wheel of the same version counts as installed already.
    pip("install", "--no-deps", "--force-reinstall", wheel)
    made_of.write_text(digest, encoding="ascii")
    return wheel


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
