"""Modules for annotations. They import slowly, so each is loaded when somebody evaluates one (`get_type_hints`)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime as dt
    import typing

__all__ = ["TYPE_CHECKING", "dt", "typing"]


class _Module:
    """Stands for a module."""

    def __init__(self, name: str) -> None:
        """Take its name."""
        self._name = name

    def __getattr__(self, name: str) -> typing.Any:
        """Return what the module has by that name."""
        return getattr(__import__(self._name), name)


if not TYPE_CHECKING:
    dt, typing = _Module("datetime"), _Module("typing")
