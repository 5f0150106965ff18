"""The one way to OpenJPH: HTJ2K codestreams out of frames and back (ITU-T T.814).

The promise: the codec is ready before a second thread calls it. OpenJPH fills its tables of functions when it is first
used and does not guard them: two threads that come first together encode or decode wrongly, one fresh process in eight.
"""
from threading import Lock

import imagecodecs
import numpy as np

_filling = Lock()
_filled: list[bool] = []


def encode(frame: np.ndarray, **options) -> bytes:
    """A frame, (rows, columns) or (rows, columns, 3), as a codestream; options and errors are those of imagecodecs."""
    _fill_tables()
    return imagecodecs.htj2k_encode(frame, **options)


def decode(codestream: bytes) -> np.ndarray:
    """The frame of a codestream; a damaged one may come back half-filled without an error."""
    _fill_tables()
    return imagecodecs.htj2k_decode(codestream)


def _fill_tables() -> None:
    """Encodes and decodes grey and colour, reversibly and not, while every other thread waits."""
    if _filled:
        return
    with _filling:
        if _filled:
            return
        for frame in (np.zeros((8, 8), np.int16), np.zeros((8, 8, 3), np.uint8)):
            for reversible in (True, False):
                imagecodecs.htj2k_decode(imagecodecs.htj2k_encode(frame, reversible=reversible))
        _filled.append(True)
