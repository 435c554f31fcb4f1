"""A program: make a directory a link that leads out, and a directory again, until somebody ends it.

python swap_directory.py PLACE AWAY TARGET: PLACE is the directory, AWAY where it is meanwhile, TARGET what the link
leads to. In a process of its own, for no lock keeps it waiting.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from links import link_directory, unlink_directory

if __name__ == "__main__":
    place, away, target = map(Path, sys.argv[1:])
    while True:
        # Each step fails where another program is in the way, as on Windows; the next round puts it right.
        with suppress(OSError):
            place.rename(away)
        with suppress(OSError):
            link_directory(place, target)
        with suppress(OSError):
            unlink_directory(place)
        with suppress(OSError):
            away.rename(place)
