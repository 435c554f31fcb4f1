"""`python -m luagauge` is the command `luagauge`."""

from __future__ import annotations

from luagauge.cli import main

if __name__ == "__main__":
    main()
