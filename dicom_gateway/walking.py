"""The elements of a data set, one after another, without decoding a value: much faster than pydicom, for what is plain.

The promise: what comes is where pydicom finds it, or Odd is raised: for an unknown VR, elements out of order or cut off,
sequences that do not end. Sources: PS3.5 7.1 (elements), 7.5 (sequences), A.1 to A.4 (syntaxes). Bytes in, places out.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

ITEM, ITEM_END, SEQUENCE_END, UNDEFINED = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFFFFFF
DEEPEST = 16                        # sequences in each other
_SHORT = {vr.encode(): vr for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()}      # PS3.5 7.1.2
_LONG = {vr.encode(): vr for vr in "OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}
_LENGTH_OF_TWO = frozenset(_SHORT.values())

Walked = tuple[int, str | None, int, int, int]      # tag, VR (None where it is not told), length as told, where the value begins and ends
_Next = Callable[[bytes, int], tuple[int, str | None, int, int]]


class Odd(Exception):
    """Not for this reader: pydicom knows what to do."""


def walk(content: bytes, place: int, implicit: bool, big: bool = False, stop: frozenset[int] = frozenset()) -> Iterator[Walked]:
    """Each element of the data set from ``place`` on. A value of undefined length ends where its delimiter begins. The walk ends
    with the content, or with the header of an element in ``stop``, whose value is not looked at."""
    head = (_IMPLICIT if implicit else _EXPLICIT)[big]
    last, end = -1, len(content)
    while place < end:
        tag, vr, length, begin = head(content, place)
        if tag <= last or tag >= ITEM:
            raise Odd
        last = tag
        if tag in stop:
            yield tag, vr, length, begin, begin
            return
        if length == UNDEFINED:
            ends, place = _past_items(content, begin, head, _IMPLICIT[big], 0)
        else:
            place = ends = begin + length
            if place > end:
                raise Odd
        yield tag, vr, length, begin, ends


def length_bytes(vr: str | None) -> int:
    """How many bytes tell the length of an element, right before its value."""
    return 2 if vr in _LENGTH_OF_TWO else 4


def _past_items(content: bytes, place: int, head: _Next, plain: _Next, depth: int) -> tuple[int, int]:
    """Where the delimiter of a sequence, or of pixels in fragments, begins, and where it ends (PS3.5 7.5.2, A.4)."""
    if depth > DEEPEST:
        raise Odd
    while True:
        tag, _, length, begin = plain(content, place)
        if tag == SEQUENCE_END:
            return place, begin
        if tag != ITEM:
            raise Odd
        place = _past_item(content, begin, head, plain, depth + 1) if length == UNDEFINED else begin + length


def _past_item(content: bytes, place: int, head: _Next, plain: _Next, depth: int) -> int:
    last = -1
    while True:
        tag, vr, length, begin = head(content, place)
        if tag == ITEM_END:
            return begin
        if tag <= last or tag >= ITEM:
            raise Odd
        last = tag
        if length != UNDEFINED:
            place = begin + length
        elif vr in (None, "SQ"):
            _, place = _past_items(content, begin, head, plain, depth)
        else:
            raise Odd


def _heads(order: str) -> tuple[_Next, _Next]:
    """How the header of an element is read, explicit and implicit; it raises Odd where the content ends."""
    told, plain, long = struct.Struct(order + "HH2sH").unpack_from, struct.Struct(order + "HHL").unpack_from, struct.Struct(order + "L").unpack_from

    def explicit(content: bytes, place: int) -> tuple[int, str | None, int, int]:
        try:
            group, element, said, length = told(content, place)
            if (vr := _SHORT.get(said)) is not None:
                return group << 16 | element, vr, length, place + 8
            if (vr := _LONG.get(said)) is not None:
                return group << 16 | element, vr, long(content, place + 8)[0], place + 12
            if group == 0xFFFE:
                return group << 16 | element, None, long(content, place + 4)[0], place + 8
        except struct.error:
            pass
        raise Odd

    def implicit(content: bytes, place: int) -> tuple[int, str | None, int, int]:
        try:
            group, element, length = plain(content, place)
        except struct.error:
            raise Odd from None
        return group << 16 | element, None, length, place + 8

    return explicit, implicit


_EXPLICIT, _IMPLICIT = zip(_heads("<"), _heads(">"))      # by whether the byte order is big endian
