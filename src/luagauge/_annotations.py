"""`typing` for annotations. It takes long to import, so it is loaded when somebody evaluates one (`get_type_hints`)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing

__all__ = ["TYPE_CHECKING", "typing"]


class _Typing:
    """Stands for the module `typing`."""

    def __getattr__(self, name: str) -> typing.Any:
        """Return what `typing` has by that name."""
        import typing  # noqa: PLC0415 - see above

        return getattr(typing, name)


if not TYPE_CHECKING:
    typing = _Typing()
