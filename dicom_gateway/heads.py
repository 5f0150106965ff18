"""The few dozen elements that intake needs, straight from the first bytes of an arriving data set.

The promise: what is found here is what pydicom finds, or nothing is: anything odd (an unknown VR, elements out of
order, a header longer than the bytes at hand, functional groups, deflated) gives None, and the file is read the long
way. What the objects of a series share is decoded once: the next one with the same bytes differs in its own values
only. Sources: PS3.5 7.1 (elements), 7.5 (sequences), A.1 to A.3 (syntaxes), PS3.10 7.1.
"""
from __future__ import annotations

import re
import struct
from dataclasses import replace

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_gateway.dataset import is_uid, missing_uids, summary
from dicom_gateway.facts import facts_from
from dicom_gateway.prepare.geometry import slice_normal
from hub.model.arrival import InstanceFacts

KEYWORDS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "AcquisitionDate", "ContentDate",
    "StudyTime", "AcquisitionTime", "ContentTime", "AccessionNumber", "Modality", "Manufacturer", "InstitutionName",
    "ReferringPhysicianName", "StationName", "StudyDescription", "SeriesDescription", "InstitutionalDepartmentName",
    "ManufacturerModelName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientAddress",
    "BodyPartExamined", "SliceThickness", "SpacingBetweenSlices", "DeviceSerialNumber", "ProtocolName", "StudyInstanceUID",
    "SeriesInstanceUID", "StudyID", "SeriesNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "ImagesInAcquisition", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances", "NumberOfFrames", "Rows",
    "Columns", "WindowCenter", "WindowWidth", "RequestedProcedureDescription",
)
WANTED = frozenset(tag_for_keyword(keyword) for keyword in KEYWORDS)
GROUPS = (0x52009229, 0x52009230)                           # shared and per-frame functional groups: geometry lies inside
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)               # where pydicom stops, too
ITEM, ITEM_END, SEQUENCE_END, UNDEFINED = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFFFFFF
DEEPEST = 16

_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())      # PS3.5 7.1.2
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_EXPLICIT = {"<": struct.Struct("<HH2sH"), ">": struct.Struct(">HH2sH")}
_IMPLICIT = {"<": struct.Struct("<HHL"), ">": struct.Struct(">HHL")}
_LENGTH = {"<": struct.Struct("<L"), ">": struct.Struct(">L")}
_SHORT_LENGTH = {"<": struct.Struct("<H"), ">": struct.Struct(">H")}

# What differs between the objects of a series, and the form in which it says nothing that would need a note.
_DECIMAL = rb" *[+-]?\d{1,12}(?:\.\d{0,12})? *"
_TIME = rb"(?:(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\.\d{1,6})?)? *"
_OWN = {tag_for_keyword(keyword): (vr, re.compile(form)) for keyword, vr, form in (
    ("SOPInstanceUID", b"UI", rb"[0-9.]{1,64}\0?"), ("InstanceNumber", b"IS", rb" *[+-]?\d{1,9} *"),
    ("ImagePositionPatient", b"DS", _DECIMAL + rb"\\" + _DECIMAL + rb"\\" + _DECIMAL),
    ("AcquisitionTime", b"TM", _TIME), ("ContentTime", b"TM", _TIME),
    ("WindowCenter", b"DS", _DECIMAL), ("WindowWidth", b"DS", _DECIMAL))}
_INSTANCE, _NUMBER, _POSITION = (tag_for_keyword(k) for k in ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient"))
_CHARSET = 0x00080005

Found = dict[int, tuple[bytes | None, bytes]]               # tag: VR (None where implicit) and value
Walked = list[tuple[int, bytes | None, int, int]]           # tag, VR, where the value begins and ends


class _Odd(Exception):
    """Not for this reader."""


class HeadReader:
    """Reads the heads of what one association sends. Not for two threads."""

    def __init__(self):
        self._shared: tuple | None = None
        self._facts: InstanceFacts | None = None
        self._normal: tuple[float, float, float] | None = None
        self._said, self._mould = ("", ""), None            # of objects like the last one

    def facts(self, head: bytes, start: int, size: int, syntax: str, charset: str = "") -> InstanceFacts | None:
        """The facts of an object of ``size`` bytes whose file begins with ``head`` and whose data set begins at
        ``start``; None where the file must be asked, be it for a header without its UIDs. ``charset``: what the texts of
        an object that declares nothing are taken to be."""
        if self._mould is not None and self._said == (syntax, charset) and (own := self._mould.own(head, start)) is not None:
            return self._with(own)
        walked: Walked = []
        found = elements(head, start, size, syntax, walked)
        if found is None:
            return None
        if charset and not found.get(_CHARSET, (b"", b""))[1].strip(b"\0 "):
            found[_CHARSET] = (b"CS" if syntax != ImplicitVRLittleEndian else None, charset.encode("ascii"))
        own = {tag: found.pop(tag) for tag in _OWN if tag in found}
        is_plain = all(vr in (None, _OWN[tag][0]) and _OWN[tag][1].fullmatch(value) for tag, (vr, value) in own.items())
        shared = (syntax, tuple(own), found)
        if is_plain and shared == self._shared:
            self._said, self._mould = (syntax, charset), Mould.of(head, start, syntax, walked, self._mould)
            return self._with(own)
        dataset = as_dataset(found | own, syntax)
        if missing_uids(dataset):
            return None
        told = summary(dataset)
        facts = facts_from(told)
        if is_plain and told["study_time"] and told["position"]:
            self._shared, self._facts, self._normal = shared, facts, slice_normal(told["orientation"])
            self._said, self._mould = (syntax, charset), Mould.of(head, start, syntax, walked, None)
        return facts

    def _with(self, own: Found) -> InstanceFacts | None:
        uid = own[_INSTANCE][1].rstrip(b"\0").decode("ascii")
        if not is_uid(uid):
            return None
        number = int(own[_NUMBER][1]) if _NUMBER in own else None
        position = [float(part) for part in own[_POSITION][1].split(b"\\")]
        return replace(self._facts, sop_uid=uid, instance_number=number,
                       position_mm=float(sum(a * b for a, b in zip(position, self._normal))))


class Mould:
    """The head of an object, cut where those of its series differ: what lies between is compared as it is, and only the
    values in the gaps are looked at. A gap is an element that every object has for itself (``_OWN``), or one that nobody
    asks for and that was seen to differ."""

    def __init__(self, gaps: list[tuple[bytes, struct.Struct, int | None, bytes | None]], end: bytes, values: dict[int, bytes], loose: frozenset[int]):
        self._gaps, self._end, self._values, self._loose = gaps, end, values, loose

    @classmethod
    def of(cls, head: bytes, start: int, syntax: str, walked: Walked, last: Mould | None) -> Mould | None:
        """From the elements that a walk has passed; ``last`` is of an object before with the same wanted elements. None
        where the walk did not end at pixels."""
        if walked[-1][0] not in PIXELS:
            return None
        *elements_before, (_, _, _, end_of_all) = walked
        values = {tag: head[begin:end] for tag, _, begin, end in elements_before if tag not in WANTED}
        loose = frozenset() if last is None else last._loose | {tag for tag, value in values.items() if last._values.get(tag, value) != value}
        order, gaps, place = ">" if syntax == ExplicitVRBigEndian else "<", [], start
        for tag, vr, begin, end in elements_before:
            if tag in _OWN or tag in loose:
                length = (_SHORT_LENGTH if vr in _SHORT else _LENGTH)[order]
                gaps.append((head[place:begin - length.size], length, tag if tag in _OWN else None, vr))
                place = end
        return cls(gaps, head[place:end_of_all], values, loose)

    def own(self, head: bytes, start: int) -> Found | None:
        """What this object has for itself, where it is like the mould otherwise and its own values are plain."""
        place, own = start, {}
        for fixed, length, tag, vr in self._gaps:
            begin = place + len(fixed) + length.size
            if not head.startswith(fixed, place) or begin > len(head):
                return None
            place = begin + length.unpack_from(head, begin - length.size)[0]
            if tag is not None:
                value = head[begin:place]
                if not _OWN[tag][1].fullmatch(value):
                    return None
                own[tag] = vr, value
        return own if head.startswith(self._end, place) else None


def elements(head: bytes, start: int, size: int, syntax: str, walked: Walked) -> Found | None:
    """The wanted elements of a data set up to its pixels, or None where ``head`` does not plainly hold them all. Adds to
    ``walked`` all whose length is told, and where the header of the pixels begins and its length."""
    if syntax == DeflatedExplicitVRLittleEndian:
        return None
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    try:
        if syntax == ImplicitVRLittleEndian:
            if head[start + 4:start + 6].isalpha():
                return None                                 # says implicit and is explicit: pydicom knows how
            found, _ = _walk(head, start, size, order, _implicit, 0, walked)
        else:
            found, _ = _walk(head, start, size, order, _explicit, 0, walked)
    except (_Odd, struct.error):
        return None
    return None if any(group in found for group in GROUPS) else found


def as_dataset(found: Found, syntax: str) -> Dataset:
    """The elements as pydicom would have read them, undecoded."""
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    raw = {BaseTag(tag): RawDataElement(BaseTag(tag), vr and vr.decode("ascii"), len(value), value, 0, implicit, little)
           for tag, (vr, value) in sorted(found.items())}
    dataset, sets = Dataset(raw), raw.get(BaseTag(_CHARSET))
    dataset.set_original_encoding(implicit, little, convert_encodings(convert_raw_data_element(sets).value) if sets else default_encoding)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _walk(head: bytes, place: int, size: int, order: str, next_element, depth: int, walked: Walked) -> tuple[Found, int]:
    """Elements from ``place`` to the pixels, the end of the object or the end of an item; and where that is."""
    found: Found = {}
    last, at_hand = -1, len(head)
    while place < at_hand:
        tag, vr, length, begin = next_element(head, place, order)
        if tag == ITEM_END and depth:
            return found, place + 8
        if depth == 0 and tag in PIXELS:
            walked.append((tag, vr, place, begin - (2 if vr in _SHORT else 4)))
            return found, place
        if tag <= last or tag >= ITEM:
            raise _Odd
        last = tag
        if length == UNDEFINED:
            if vr not in (None, b"SQ") or tag in WANTED:
                raise _Odd
            if tag in GROUPS:
                found[tag] = (vr, b"")
            place = _past_sequence(head, begin, size, order, next_element, depth)
            continue
        place = begin + length
        if place > at_hand:
            raise _Odd
        if depth == 0:
            walked.append((tag, vr, begin, place))
            if tag in WANTED or tag in GROUPS:
                found[tag] = (vr, bytes(head[begin:place]))
    if depth or at_hand != size:
        raise _Odd
    return found, place


def _past_sequence(head: bytes, place: int, size: int, order: str, next_element, depth: int) -> int:
    """Where a sequence of undefined length ends (PS3.5 7.5.2)."""
    if depth > DEEPEST:
        raise _Odd
    while True:
        tag, _, length, place = _implicit(head, place, order)
        if tag == SEQUENCE_END:
            return place
        if tag != ITEM:
            raise _Odd
        if length == UNDEFINED:
            _, place = _walk(head, place, size, order, next_element, depth + 1, [])
        else:
            place += length


def _explicit(head: bytes, place: int, order: str) -> tuple[int, bytes | None, int, int]:
    group, element, vr, length = _EXPLICIT[order].unpack_from(head, place)
    if vr in _SHORT:
        return group << 16 | element, vr, length, place + 8
    if vr in _LONG:
        return group << 16 | element, vr, _LENGTH[order].unpack_from(head, place + 8)[0], place + 12
    if group == 0xFFFE:
        return group << 16 | element, None, _LENGTH[order].unpack_from(head, place + 4)[0], place + 8
    raise _Odd


def _implicit(head: bytes, place: int, order: str) -> tuple[int, bytes | None, int, int]:
    group, element, length = _IMPLICIT[order].unpack_from(head, place)
    return group << 16 | element, None, length, place + 8
