"""A program: make a directory a link that leads out, and a directory again, until somebody ends it.

python swap_directory.py PLACE AWAY TARGET: PLACE is the directory, AWAY where it is meanwhile, TARGET what the link
leads to. In a process of its own, for no lock keeps it waiting.
"""

from __future__ import annotations

import os
import sys
from functools import partial

place, away, target = sys.argv[1:]
if sys.platform == "win32":
    import _winapi

    link, unlink = partial(_winapi.CreateJunction, target, place), partial(os.rmdir, place)
else:
    link, unlink = partial(os.symlink, target, place), partial(os.unlink, place)

while True:
    for step in (partial(os.rename, place, away), link, unlink, partial(os.rename, away, place)):
        try:
            step()
        except OSError:  # where another program is in the way, as on Windows: the next round puts it right
            continue
