"""The ways in which pixels or positions are refused: each with a stable code, Chinese and English.

All are permanent: the same bytes will be refused again. What was received stays stored as it came.
"""
from hub.errors import Permanent


class UndecodablePixels(Permanent):
    """Pixel data that does not hold what its attributes promise, or that no decoder here can read."""


class UnusableTable(UndecodablePixels):
    """A VOI or presentation table that is none: the pixels are whole, and a window shows them."""


class UnusableGeometry(Permanent):
    """Positions or orientations from which no ordered stack of parallel slices can be made."""


class NotReproduced(Permanent):
    """Encoded pixels that did not decode to exactly the pixels that went in; they are never handed out."""
