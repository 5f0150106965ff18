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

from pydicom.dataelem import RawDataElement
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_gateway.dataset import is_uid, missing_uids, summary
from dicom_gateway.facts import facts_from
from dicom_gateway.prepare.geometry import slice_normal
from dicom_gateway.undecoded import dataset_of
from dicom_gateway.walking import UNDEFINED, Odd, Walked, length_bytes, walk
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
PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))    # where pydicom stops, too
_LENGTH = {(size, big): struct.Struct((">" if big else "<") + ("H" if size == 2 else "L")) for size in (2, 4) for big in (False, True)}

# What differs between the objects of a series, and the form in which it says nothing that would need a note.
_DECIMAL = rb" *[+-]?\d{1,12}(?:\.\d{0,12})?(?:[eE](?:-\d{1,3}|\+?0?[0-5]))? *"      # below 10**18, where notes begin
_DECIMALS = _DECIMAL + rb"(?:\\" + _DECIMAL + rb"){0,15}"
_TIME = rb"(?:(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\.\d{1,6})?)? *"
_OWN = {tag_for_keyword(keyword): (vr, re.compile(form)) for keyword, vr, form in (
    ("SOPInstanceUID", "UI", rb"[0-9.]{1,64}\0?"), ("InstanceNumber", "IS", rb" *[+-]?\d{1,9} *"),
    ("ImagePositionPatient", "DS", _DECIMAL + rb"\\" + _DECIMAL + rb"\\" + _DECIMAL),
    ("AcquisitionTime", "TM", _TIME), ("ContentTime", "TM", _TIME),
    ("WindowCenter", "DS", _DECIMALS), ("WindowWidth", "DS", _DECIMALS))}
_INSTANCE, _NUMBER, _POSITION = (tag_for_keyword(k) for k in ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient"))
_CHARSET = 0x00080005

Found = dict[int, tuple[str | None, bytes]]                 # tag: VR (None where implicit) and value


class HeadReader:
    """Reads the heads of what one association sends. Not for two threads."""

    def __init__(self):
        self._shared: tuple | None = None
        self._facts: InstanceFacts | None = None
        self._normal: tuple[float, float, float] | None = None
        self._said, self._mould = ("", "", ""), None            # of objects like the last one

    def facts(self, head: bytes, start: int, size: int, syntax: str, charset: str = "", habit: str = "") -> InstanceFacts | None:
        """The facts of an object of ``size`` bytes whose file begins with ``head`` and whose data set begins at
        ``start``; None where the file must be asked, be it for a header without its UIDs. ``charset``: what the texts of
        an object that declares nothing are taken to be; ``habit``: as of ``facts_of``."""
        if self._mould is not None and self._said == (syntax, charset, habit) and (own := self._mould.own(head, start)) is not None:
            return self._with(own)
        walked = walked_to_pixels(head, start, size, syntax)
        if walked is None:
            return None
        found: Found = {tag: (vr, head[begin:end]) for tag, vr, _, begin, end in walked if tag in WANTED}
        if charset and not found.get(_CHARSET, (b"", b""))[1].strip(b"\0 "):
            found[_CHARSET] = ("CS" if syntax != ImplicitVRLittleEndian else None, charset.encode("ascii"))
        own = {tag: found.pop(tag) for tag in _OWN if tag in found}
        is_plain = all(vr in (None, _OWN[tag][0]) and _OWN[tag][1].fullmatch(value) for tag, (vr, value) in own.items())
        shared = (syntax, habit, tuple(own), found)
        if is_plain and shared == self._shared:
            self._said, self._mould = (syntax, charset, habit), Mould.of(head, start, syntax, walked, self._mould)
            return self._with(own)
        dataset = as_dataset(found | own, syntax)
        if missing_uids(dataset):
            return None
        told = summary(dataset, habit)
        facts = facts_from(told)
        if is_plain and told["study_time"] and told["position"]:
            self._shared, self._facts, self._normal = shared, facts, slice_normal(told["orientation"])
            self._said, self._mould = (syntax, charset, habit), Mould.of(head, start, syntax, walked, None)
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

    def __init__(self, gaps: list[tuple[bytes, struct.Struct, int | None, str | None]], end: bytes, values: dict[int, bytes], loose: frozenset[int]):
        self._gaps, self._end, self._values, self._loose = gaps, end, values, loose

    @classmethod
    def of(cls, head: bytes, start: int, syntax: str, walked: list[Walked], last: Mould | None) -> Mould | None:
        """From the elements that a walk has passed; ``last`` is of an object before with the same wanted elements. None
        where the walk did not end at pixels."""
        if not walked or walked[-1][0] not in PIXELS:
            return None
        *before, (_, vr_of_pixels, _, pixels_at, _) = walked
        values = {tag: head[begin:end] for tag, _, length, begin, end in before if tag not in WANTED and length != UNDEFINED}
        loose = frozenset() if last is None else last._loose | {tag for tag, value in values.items() if last._values.get(tag, value) != value}
        gaps, place = [], start
        for tag, vr, _, begin, end in before:
            if tag in _OWN or tag in loose:
                length = _LENGTH[length_bytes(vr), syntax == ExplicitVRBigEndian]
                gaps.append((head[place:begin - length.size], length, tag if tag in _OWN else None, vr))
                place = end
        return cls(gaps, head[place:pixels_at - length_bytes(vr_of_pixels)], values, loose)

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


def walked_to_pixels(head: bytes, start: int, size: int, syntax: str) -> list[Walked] | None:
    """The elements of a data set up to the header of its pixels, or None where ``head`` does not plainly hold them all."""
    implicit = syntax == ImplicitVRLittleEndian
    if syntax == DeflatedExplicitVRLittleEndian or implicit and head[start + 4:start + 6].isalpha():
        return None                                         # says implicit and is explicit: pydicom knows how
    try:
        walked = list(walk(head, start, implicit, syntax == ExplicitVRBigEndian, PIXELS))
    except Odd:
        return None
    if any(tag in GROUPS or length == UNDEFINED and (tag in WANTED or vr not in (None, "SQ")) for tag, vr, length, _, _ in walked if tag not in PIXELS):
        return None
    return walked if walked and walked[-1][0] in PIXELS or len(head) == size else None


def as_dataset(found: Found, syntax: str) -> Dataset:
    """The elements as pydicom would have read them, undecoded."""
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    raw = {BaseTag(tag): RawDataElement(BaseTag(tag), vr, len(value), value, 0, implicit, little)
           for tag, (vr, value) in sorted(found.items())}
    return dataset_of(raw, syntax)
