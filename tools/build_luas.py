#!/usr/bin/env python3
"""Build the Lua modules that a wheel carries, from lupa's sdist.

    python tools/build_luas.py DIRECTORY                            for this machine
    python tools/build_luas.py --target windows-x86_64 DIRECTORY    with mingw's gcc, or with zig
    python tools/build_luas.py --cc 'zig' DIRECTORY                 with the compiler named

LUAGAUGE_LUPA_SDIST names lupa's sdist, an archive or the directory it unpacks to; tools/fetch_lupa.py fetches it. The
directory then holds the modules, RELEASES and LICENSES, as the wheel has them in luagauge/_luas.

CC is the compiler for this machine; on Windows MSVC is found by itself. LuaJIT's build runs programs of its own on
this machine: --host-cc names the compiler for them where it is not CC or cc.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from carried import modules, sdist, targets
from carried.errors import CarriedError


def main() -> int:
    """Build what is asked for.

    Returns:
        0 when it was built, 1 otherwise.
    """
    parser = argparse.ArgumentParser(description="Build the Lua modules that a wheel carries.")
    parser.add_argument("directory", type=Path, help="where they go")
    parser.add_argument("--target", help="system and processor, windows-x86_64 for instance; this machine's otherwise")
    parser.add_argument("--cc", help='the compiler\'s command; "zig" is that of the package ziglang')
    parser.add_argument("--host-cc", help="the compiler for programs that run here")
    parser.add_argument("--lua", action="append", help="a module to build, luajit21 for instance; all of the target's")
    options = parser.parse_args()
    try:
        target = targets.parse(options.target) if options.target else targets.host()
        modules.build(
            target,
            sdist.named(),
            options.directory,
            luas=options.lua,
            compiler=options.cc,
            host_compiler=options.host_cc,
            say=print,
        )
    except CarriedError as error:
        print(f"build_luas.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
