#!/usr/bin/env python3
"""Check the tree: set up an environment, build, test, lint.

Needs Python 3.10 or newer with its headers, a C compiler and a package index; nothing else. Everything it makes is in
`.venv-test` (or what LUAGAUGE_CHECK_DIR names) at the top of the tree.

    python3 tools/check.py              the Python tests on the wheel, on one of PUC's Luas and LuaJIT: minutes
    python3 tools/check.py rest         all that CI runs besides, in the order below: twenty minutes
    python3 tools/check.py STEP...      some of them:

    package      the sdist and the wheel built from it: contents, tags, ABI; the list of wheels
    lint         ruff, mypy, pyright, clang-format, clang-tidy, codespell, the workflow files
    cross        the C compiled and linked for macOS, Windows, musl, arm64, 32-bit and FreeBSD
    c            the plain-C tests under AddressSanitizer and UBSan, and the threads' under ThreadSanitizer
    luas         the Python tests that are run once for each Lua, on the other Luas
    coverage     the line coverage of the C, at least 90 %, and of Python, at least 95 %, from the tests of both
    bench        the measured ratios against generous bounds (Linux; few rounds)

and two that are no part of the rest:

    python       all Python tests on every Lua
    sanitized    all Python tests on modules built with the sanitizers (Linux)

The environment and the wheel are kept between calls as long as nothing that they are made of changes; --fresh makes
them anew. Arguments after `--` go to pytest in the steps that run it, for instance
`python3 tools/check.py python -- -k meter -x`. The step coverage then only reports Python's coverage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from checks import installed
from checks.programs import CheckFailedError, say
from checks.steps import REST, STEPS, Options


def main(arguments: Sequence[str]) -> int:
    """Run the steps asked for; stop at the first that fails.

    Returns:
        0 when every check passed, 1 when one failed, 2 for a wrong command line.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", nargs="*", help=f"rest, or some of {', '.join(STEPS)}; without any: test")
    parser.add_argument("--fresh", action="store_true", help="make the environment anew")
    parser.add_argument("--whole", action="store_true", help="sweeps that CI samples, in whole")
    parser.add_argument("--newest-lupa", action="store_true", help="python: with lupa's newest release")
    # argparse would not take options both before and after a positional list.
    split = arguments.index("--") if "--" in arguments else len(arguments)
    given = parser.parse_args(arguments[:split])
    options = Options(arguments[split + 1 :], whole=given.whole, newest_lupa=given.newest_lupa)
    if unknown := [step for step in given.step if step not in {"rest", *STEPS}]:
        parser.error(f"no such step: {', '.join(unknown)}; there are rest, {', '.join(STEPS)}")
    names = [name for step in given.step or ["test"] for name in (REST if step == "rest" else (step,))]
    taken: dict[str, float] = {}
    try:
        for name in ("environment", *names):
            say(f"== {name} ({sum(taken.values()):.0f} s so far)")
            start = time.monotonic()
            if name == "environment":
                installed.prepare(fresh=given.fresh)
                installed.build_wheel()
            else:
                STEPS[name](options)
            taken[name] = time.monotonic() - start
    except CheckFailedError as error:
        say(f"check.py: FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if len(names) > 1:  # else what pytest says at its end is the last line
            say(", ".join(f"{name} {seconds:.0f} s" for name, seconds in taken.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
