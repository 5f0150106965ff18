"""A file's data set as pydicom reads it, its values undecoded, at a tenth of the time: for files that are plain.

The promise: what is given is what ``dcmread`` gives, or None is: anything odd (big endian, deflated, an unknown VR, elements out
of order or cut off, a syntax that is not what it says) is left to it. Sources: PS3.5 7.1 (elements), 7.5 (sequences), A.1 to
A.4 (syntaxes), PS3.10 7.1. Bytes in, values out.
"""
from __future__ import annotations

import struct

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

LARGEST = 32_000_000                # bytes of a file: what is larger is read piece by piece
DEEPEST = 16                        # sequences in each other
UNDEFINED, ITEM, ITEM_END, SEQUENCE_END = 0xFFFFFFFF, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS, CHARSET, SYNTAX = 0x7FE00010, 0x00080005, 0x00020010

_SHORT = {vr.encode(): vr for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()}      # PS3.5 7.1.2
_LONG = {vr.encode(): vr for vr in "OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}
_HEAD, _PLAIN_HEAD, _LENGTH, _GROUP = struct.Struct("<HH2sH"), struct.Struct("<HHL"), struct.Struct("<L"), struct.Struct("<H")


class _Odd(Exception):
    """Not for this reader."""


def undecoded(content: bytes) -> Dataset | None:
    """The data set of a whole file, pixels included; None where pydicom has to read it."""
    if len(content) > LARGEST or content[128:132] != b"DICM":
        return None
    try:
        meta, start = _elements(content, 132, False, 0, group=0x0002)
        syntax = UID(meta[SYNTAX].value.rstrip(b"\0 ").decode("ascii"))
        if syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian) or not syntax.is_transfer_syntax:
            return None
        implicit = syntax == ImplicitVRLittleEndian
        if implicit and content[start + 4:start + 6].isalpha():
            return None
        found, _ = _elements(content, start, implicit, 0)
    except (_Odd, KeyError, UnicodeDecodeError, struct.error):
        return None
    dataset, sets = Dataset(found), found.get(CHARSET)
    dataset.set_original_encoding(implicit, True, convert_encodings(convert_raw_data_element(sets).value) if sets else default_encoding)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _elements(content: bytes, place: int, implicit: bool, depth: int, group: int | None = None) -> tuple[dict, int]:
    """The elements from ``place`` on, to the end of the file or of the item that they stand in, or as long as they are of one
    ``group``; and where that is."""
    found, last, end = {}, -1, len(content)
    while place < end:
        if group is not None and _GROUP.unpack_from(content, place)[0] != group:
            return found, place
        tag, vr, length, begin = _head(content, place, implicit)
        if tag == ITEM_END and depth:
            return found, place + 8
        if tag <= last or tag >= ITEM:
            raise _Odd
        last = tag
        if length == UNDEFINED:
            place, ends = _past_items(content, begin, implicit, depth)
            if tag == PIXELS and vr in ("OB", "OW") and not depth:
                length = UNDEFINED
            elif vr == "SQ" or vr is None and content[begin:begin + 4] == b"\xfe\xff\x00\xe0":
                vr, length = "SQ", ends - begin
            else:
                raise _Odd
        else:
            place = ends = begin + length
            if place > end:
                raise _Odd
        if not depth:
            one = BaseTag(tag)
            found[one] = RawDataElement(one, vr, length, content[begin:ends], begin, implicit, True)
    if depth:
        raise _Odd
    return found, place


def _past_items(content: bytes, place: int, implicit: bool, depth: int) -> tuple[int, int]:
    """Where what follows a sequence, or pixels in fragments, begins, and where its delimiter does."""
    if depth > DEEPEST:
        raise _Odd
    while True:
        group, element, length = _PLAIN_HEAD.unpack_from(content, place)
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            return place + 8, place
        if tag != ITEM:
            raise _Odd
        place = _elements(content, place + 8, implicit, depth + 1)[1] if length == UNDEFINED else place + 8 + length
        if place > len(content):
            raise _Odd


def _head(content: bytes, place: int, implicit: bool) -> tuple[int, str | None, int, int]:
    """Tag, VR, length and place of the value."""
    if implicit:
        group, element, length = _PLAIN_HEAD.unpack_from(content, place)
        return group << 16 | element, None, length, place + 8
    group, element, said, length = _HEAD.unpack_from(content, place)
    if (vr := _SHORT.get(said)) is not None:
        return group << 16 | element, vr, length, place + 8
    if (vr := _LONG.get(said)) is not None:
        return group << 16 | element, vr, _LENGTH.unpack_from(content, place + 8)[0], place + 12
    if group == 0xFFFE:
        return group << 16 | element, None, _LENGTH.unpack_from(content, place + 4)[0], place + 8
    raise _Odd
