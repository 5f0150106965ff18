"""The one way to OpenJPH: HTJ2K codestreams out of frames and back (ITU-T T.814).

The promise: the codec is ready before a thread can call it. OpenJPH fills its tables of functions when it is first used
and does not guard them: two threads that come first together encode or decode wrongly, one fresh process in eight. They
are filled while this module is imported, which Python lets one thread do.
"""
import imagecodecs
import numpy as np

encode = imagecodecs.htj2k_encode
decode = imagecodecs.htj2k_decode


def _fill_tables() -> None:
    for frame in (np.zeros((8, 8), np.int16), np.zeros((8, 8, 3), np.uint8)):
        for reversible in (True, False):
            decode(encode(frame, reversible=reversible))


_fill_tables()
