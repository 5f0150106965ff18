"""A file's data set as pydicom reads it, its values undecoded, at a tenth of the time: for files that are plain.

The promise: what is given is what ``dcmread`` gives, or None is: anything odd (big endian, deflated, an unknown VR, elements out
of order or cut off, a syntax that is not what it says) is left to it. Sources: PS3.5 7.1 (elements), 7.5 (sequences), A.1 to
A.4 (syntaxes), PS3.10 7.1. Bytes in, values out.
"""
from __future__ import annotations

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_gateway.walking import UNDEFINED, Odd, walk
from hub.model.part10 import data_set_at

LARGEST = 32_000_000                # bytes of a file: what is larger is read piece by piece
FILE_META_AT, FIRST_ITEM = 132, b"\xfe\xff\x00\xe0"
PIXELS, CHARSET, SYNTAX = 0x7FE00010, 0x00080005, 0x00020010


def undecoded(content: bytes) -> Dataset | None:
    """The data set of a whole file, pixels included; None where pydicom has to read it."""
    start = data_set_at(content)
    if len(content) > LARGEST or start == 0:
        return None
    try:
        meta = _raw(content[:start], FILE_META_AT, False)
        syntax = UID(meta[SYNTAX].value.rstrip(b"\0 ").decode("ascii"))
        implicit = syntax == ImplicitVRLittleEndian
        if syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian) or not syntax.is_transfer_syntax or implicit and content[start + 4:start + 6].isalpha():
            return None
        found = _raw(content, start, implicit)
    except (Odd, KeyError, UnicodeDecodeError):
        return None
    return dataset_of(found, syntax)


def dataset_of(raw: dict[BaseTag, RawDataElement], syntax: str) -> Dataset:
    """A data set of undecoded elements, as pydicom would have read it from a file of this transfer syntax."""
    dataset, sets = Dataset(raw), raw.get(CHARSET)
    dataset.set_original_encoding(syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian,
                                  convert_encodings(convert_raw_data_element(sets).value) if sets else default_encoding)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _raw(content: bytes, place: int, implicit: bool) -> dict[BaseTag, RawDataElement]:
    found = {}
    for tag, vr, length, begin, end in walk(content, place, implicit):
        if length == UNDEFINED and not (tag == PIXELS and vr in ("OB", "OW")):
            if vr != "SQ" and not (vr is None and content.startswith(FIRST_ITEM, begin)):
                raise Odd
            vr, length = "SQ", end - begin
        one = BaseTag(tag)
        found[one] = RawDataElement(one, vr, length, content[begin:end], begin, implicit, True)
    return found
