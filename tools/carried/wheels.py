"""What a wheel has to carry, and how large it may be."""

from __future__ import annotations

import zipfile
from pathlib import Path

from .sdist import VARIABLE
from .targets import Target, of_wheel

FOLDER = "luagauge/_luas/"
LARGEST_BYTES = 4 * 1024 * 1024


def target_of(wheel: Path) -> Target | None:
    """Return the platform that a wheel's file name ends with; the first, where it has several tags."""
    tag = wheel.stem.rpartition("-")[2].partition(".")[0]
    for system, name in (("manylinux", "linux"), ("musllinux", "linux"), ("macosx", "macosx"), ("win", "win")):
        if tag.startswith(system):
            machines = [machine for machine in ("x86_64", "amd64", "aarch64", "arm64") if tag.endswith(machine)]
            return of_wheel(f"{name}-{machines[0]}") if machines else None
    return of_wheel(tag.replace("_", "-", 1))


def problems(wheel: Path, *, carries: bool = True) -> list[str]:
    """Compare what a wheel carries with what it should.

    Args:
        wheel: The file.
        carries: It was built with lupa's sdist.
    """
    found = []
    size = wheel.stat().st_size
    if size > LARGEST_BYTES:
        found.append(f"{wheel.name} has {size:,} bytes, more than {LARGEST_BYTES:,}")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith(FOLDER)}
        target = target_of(wheel)
        luas = target.luas if target and carries else ()
        wanted = {FOLDER + target.file_name(lua) for lua in luas} if target else set()
        wanted |= {FOLDER + "RELEASES", FOLDER + "LICENSES"} if luas else set()
        found += [f"{wheel.name} lacks {name}: set {VARIABLE}" for name in sorted(wanted - names)]
        found += [f"{wheel.name} holds {name}, which it should not" for name in sorted(names - wanted)]
        if luas and FOLDER + "RELEASES" in names:
            listed = [line.split(" ", 1)[0] for line in archive.read(FOLDER + "RELEASES").decode("ascii").splitlines()]
            if sorted(listed) != sorted(luas):
                found.append(f"{wheel.name}: RELEASES lists {', '.join(listed)}")
    return found
