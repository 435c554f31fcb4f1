"""The command `luagauge`. It needs the extra `cli`, and says so where click or rich is missing."""

from __future__ import annotations

from luagauge.cli.entry import main

__all__ = ["main"]
