"""File access for scripts, below configured directories."""

from __future__ import annotations

from luagauge._filesystem.access import Filesystem

__all__ = ["Filesystem"]
