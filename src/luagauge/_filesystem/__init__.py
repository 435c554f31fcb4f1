"""File access for scripts, below configured directories."""

from __future__ import annotations

from luagauge._filesystem.access import Filesystem, prelude

__all__ = ["Filesystem", "prelude"]
