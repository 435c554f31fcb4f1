"""Find lupa's sdist, hold it against the pin, and copy Lua's sources out of it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .errors import CarriedError

VARIABLE = "LUAGAUGE_LUPA_SDIST"
PIN_FILE = Path(__file__).resolve().parent.parent / "lupa_sdist.txt"
REMEDY = f"`python tools/fetch_lupa.py FILE` fetches the right one; set {VARIABLE} to that file"


@dataclass(frozen=True, slots=True)
class Pin:
    """The sdist that modules are built from."""

    version: str
    sha256: str


def pin() -> Pin:
    """Read the pin, a requirement as pip takes it.

    Raises:
        CarriedError: The file is not of that form.
    """
    text = PIN_FILE.read_text(encoding="ascii")
    match = re.search(r"^lupa==(\S+) --hash=sha256:([0-9a-f]{64})$", text, re.MULTILINE)
    if match is None:
        raise CarriedError(f"{PIN_FILE.name} holds no line `lupa==VERSION --hash=sha256:DIGEST`")
    return Pin(match[1], match[2])


def named() -> Path:
    """Return the path that the environment gives.

    Raises:
        CarriedError: It gives none.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        raise CarriedError(f"{VARIABLE} is not set; it names lupa's sdist. {REMEDY}")
    return Path(path).absolute()


def unpacked(path: Path, work: Path) -> Path:
    """Return the directory of the sdist, which is unpacked into `work` when it is an archive.

    Raises:
        CarriedError: It is not lupa's sdist, or not the pinned one.
    """
    wanted = pin()
    if path.is_file():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != wanted.sha256:
            raise CarriedError(
                f"{path} is not the pinned sdist, lupa {wanted.version}: its SHA-256 is {digest},"
                f" not {wanted.sha256}. {REMEDY}"
            )
        return _extract(path, work)
    if not path.is_dir():
        raise CarriedError(f"{path} does not exist. {REMEDY}")
    information = path / "PKG-INFO"
    if not information.is_file() or not (path / "third-party").is_dir():
        raise CarriedError(f"{path} is no unpacked sdist of lupa: it lacks PKG-INFO or third-party. {REMEDY}")
    text = information.read_text(encoding="utf-8")
    fields = dict(re.findall(r"^(Name|Version): (\S+)$", text, re.MULTILINE))
    if fields.get("Name") != "lupa" or fields.get("Version") != wanted.version:
        found = f"{fields.get('Name', 'a package without a name')} {fields.get('Version', '')}".strip()
        raise CarriedError(f"{path} is {found}, not lupa {wanted.version}, which is pinned. {REMEDY}")
    return path


def _extract(archive_path: Path, work: Path) -> Path:
    """Unpack an archive whose digest is known to be right."""
    target = work / "sdist"
    with tarfile.open(archive_path) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(target, filter="data")
        else:  # a 3.10 or 3.11 older than the filter; the archive is the pinned one, byte for byte
            archive.extractall(target)  # noqa: S202
    (tree,) = target.iterdir()
    return tree


def copy_sources(tree: Path, lua: str, work: Path) -> Path:
    """Copy a Lua into a directory that may be written to; return the directory of its C files.

    Raises:
        CarriedError: The sdist lacks it.
    """
    source = tree / "third-party" / lua
    if not source.is_dir():
        raise CarriedError(f"{tree} holds no third-party/{lua}")
    copy = work / lua
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.o", "*.a", "doc", "testes", "manual"))
    return copy / "src" if (copy / "src").is_dir() else copy
