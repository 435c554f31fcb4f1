"""What can go wrong in a build of the carried modules."""

from __future__ import annotations


class CarriedError(Exception):
    """The modules cannot be built; the message says why, and what to do."""
