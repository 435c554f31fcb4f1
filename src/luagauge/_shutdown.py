"""Calls that come while Python takes its modules apart: they fail with an error of this package, or not at all.

Then a module's names are None one after the other, at last the built-in ones. What sys or a codec holds is finalized
only after that. So nothing here may look a name up when it is called: what it needs is bound beforehand.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from luagauge._annotations import TYPE_CHECKING
from luagauge.errors import EngineClosedError, LuaGaugeError

if TYPE_CHECKING:
    from typing import ParamSpec, TypeVar

    _P = ParamSpec("_P")
    _R = TypeVar("_R")


def at_exit(
    error: Exception,
    *,
    is_finalizing: Callable[[], bool] = sys.is_finalizing,
    is_instance: Callable[..., bool] = isinstance,
    own: type[Exception] = LuaGaugeError,
    closed: type[EngineClosedError] = EngineClosedError,
) -> None:
    """Take what a call failed with, and raise what it is to fail with instead where Python is shutting down.

    Args:
        error: Whatever was raised.
        is_finalizing: Bound here, as are the others.
        is_instance: The built-in function.
        own: The errors that stay as they are.
        closed: What the others become.

    Raises:
        EngineClosedError: Python is shutting down, and the error is none of this package's.
    """
    if is_finalizing() and not is_instance(error, own):
        raise closed("Python is shutting down and has taken luagauge apart; call it earlier") from error


def until_exit(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function fail with EngineClosedError where Python is shutting down."""
    told, failure = at_exit, Exception

    @functools.wraps(call)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return call(*args, **kwargs)
        except failure as error:
            told(error)
            raise

    return guarded
