"""Where the data set of a DICOM file begins (PS3.10 7.1): what precedes it is a wrapping that each door makes anew."""
from __future__ import annotations

import struct

PREFIX_AT, GROUP = 128, 2
HEAD_BYTES = 65536                # more than any group 0002 that devices write
_WIDE = frozenset((b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"OD", b"OL", b"UC", b"UR", b"OV", b"SV", b"UV"))


def data_set_at(head: bytes) -> int:
    """The place of the first byte after preamble and group 0002, from the first bytes of a file; 0 where there are none."""
    if head[PREFIX_AT:PREFIX_AT + 4] != b"DICM":
        return 0
    place = PREFIX_AT + 4
    while len(head) - place >= 8:
        group, _, vr, length = struct.unpack_from("<HH2sH", head, place)
        if group != GROUP:
            return place
        place += 8
        if vr in _WIDE:
            if len(head) - place < 4:
                break
            length = struct.unpack_from("<L", head, place)[0]
            place += 4
        place += length
    return place
