#!/usr/bin/env python3
"""Fetch the pinned sdist of lupa, or look whether lupa has a newer release than the pinned one.

    python tools/fetch_lupa.py FILE          fetch to that file, unless it is there; LUAGAUGE_LUPA_SDIST may name it
    python tools/fetch_lupa.py --newest      fail when a newer release is out

tools/lupa_sdist.txt holds version and SHA-256. unearth (the `lupa` group of pyproject.toml) asks the package index: it
downloads an sdist without building it, which pip does to read the metadata, and which takes minutes for lupa.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from carried import sdist
from carried.errors import CarriedError


def unearth(*arguments: str | Path) -> str:
    """Run unearth and return what it prints.

    Raises:
        CarriedError: It is not installed, or finds nothing.
    """
    words = [sys.executable, "-m", "unearth", "--no-binary", *map(str, arguments)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if "No module named unearth" in done.stderr:
        raise CarriedError(
            "unearth is not installed: pip install unearth, or `pip install --group lupa` with pip 25.1 or later"
        )
    if done.returncode != 0:
        raise CarriedError(f"unearth found no sdist: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def is_pinned(path: Path) -> bool:
    """Return whether a file is there and is the pinned sdist."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sdist.pin().sha256


def fetch(target: Path) -> None:
    """Make sure that a file is the pinned sdist.

    Raises:
        CarriedError: What the index has is another file than the pinned one.
    """
    if is_pinned(target):
        return
    version = sdist.pin().version
    with tempfile.TemporaryDirectory() as folder:
        unearth("--download", folder, f"lupa=={version}")
        (found,) = Path(folder).glob("lupa-*.tar.gz")
        if not is_pinned(found):
            digest = hashlib.sha256(found.read_bytes()).hexdigest()
            raise CarriedError(f"the index has another lupa {version} than the pinned one: its SHA-256 is {digest}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target)


def check_newest() -> None:
    """Compare the pin with the newest release.

    Raises:
        CarriedError: They differ.
    """
    pinned = sdist.pin().version
    newest = json.loads(unearth("lupa"))["version"]
    if newest != pinned:
        raise CarriedError(
            f"lupa {newest} is out, and wheels carry the Luas of {pinned}. Read what its Luas fixed, put its version"
            f" and SHA-256 into {sdist.PIN_FILE.name}, and publish a release: wheels that are out do not change."
        )
    print(f"lupa {pinned} is pinned, and is the newest release")


def main() -> int:
    """Do what is asked for.

    Returns:
        0 when the file is there, or the pin is up to date; 1 otherwise.
    """
    parser = argparse.ArgumentParser(description="Fetch the pinned sdist of lupa, or look for a newer release.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", type=Path, help="where the sdist goes")
    what.add_argument("--newest", action="store_true", help="compare the pin with lupa's newest release instead")
    options = parser.parse_args()
    try:
        if options.newest:
            check_newest()
        else:
            fetch(options.file)
            print(options.file)
    except CarriedError as error:
        print(f"fetch_lupa.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
