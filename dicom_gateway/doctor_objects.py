"""What a device's objects say about it: text, clock, attributes, pixel size, slices, UIDs. Values in, findings out."""
from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway.charset import declared_sets, patient_attributes
from dicom_gateway.prepare.decoders import DECODERS
from hub.model.checkup import Book, Finding, judge_clock

SHOWABLE = frozenset(str(uid) for uid in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, *DECODERS))
MOMENTS = (("InstanceCreationDate", "InstanceCreationTime"), ("ContentDate", "ContentTime"), ("AcquisitionDate", "AcquisitionTime"),
           ("SeriesDate", "SeriesTime"), ("StudyDate", "StudyTime"))
SLICED = ("CT", "MR", "PT")
CLASS_OF = {"CT": ".1.2", "MR": ".1.4", "CR": ".1.1", "DX": ".1.1.1", "US": ".1.6.1"}     # below 1.2.840.10008.5.1.4.1.1
STORAGE_ROOT = "1.2.840.10008.5.1.4.1"


@dataclass(frozen=True)
class Look:
    """One object as the doctor sees it. ``empty``, ``present``: keywords of its attributes;
    ``late_s``: seconds from the latest moment that it names to its arrival, None where it names none; ``used``: the
    encoding that its texts turned out to be in, "" where they are plain ASCII."""

    modality: str
    sop_class: str
    syntax: str
    declared: str
    used: str
    is_wrong: bool
    is_unsure: bool
    has_id: bool
    has_name: bool
    late_s: float | None
    empty: frozenset[str]
    present: frozenset[str]
    spacing_mm: tuple[tuple[str, float, float], ...]
    size: tuple[int, int]
    has_place: bool
    place: tuple
    is_localizer: bool
    uids: tuple[str, str, str]
    study_id: int
    model: str
    software: str


def look_at(header: Dataset, syntax: str, received_at: datetime, zone: ZoneInfo, study_id: int) -> Look:
    """Reads what matters of one header; junk values count as empty."""
    texts = patient_attributes(header)
    chinese = [one for one in texts.values() if not one.text.isascii()]
    said = {name: _said(header, name) for name in ("Modality", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "ImageType",
                                                     "Manufacturer", "ManufacturerModelName", "SoftwareVersions")}
    position, orientation = _numbers(header, "ImagePositionPatient", 3), _numbers(header, "ImageOrientationPatient", 6)
    names = {keyword_for_tag(tag) for tag in header.keys()} - {""}
    spacing = tuple((name, *pair) for name in ("PixelSpacing", "ImagerPixelSpacing") if (pair := _numbers(header, name, 2)) is not None)
    rows, columns = (int((_numbers(header, name, 1) or (0,))[0]) for name in ("Rows", "Columns"))
    return Look(
        said["Modality"], said["SOPClassUID"], syntax, "\\".join(declared_sets(header)), chinese[0].encoding_used if chinese else "",
        any(one.declared_wrong for one in chinese), any(one.unsure for one in chinese),
        bool(texts.get("PatientID") and texts["PatientID"].text.strip()), bool(texts.get("PatientName") and texts["PatientName"].text.strip(" ^=")),
        _late_s(header, received_at, zone), frozenset(name for name in names if not _said(header, name)), frozenset(names), spacing, (rows, columns),
        position is not None and orientation is not None,
        (said["SeriesInstanceUID"], _said(header, "AcquisitionNumber"), _said(header, "TemporalPositionIdentifier"), orientation, position),
        "LOCALIZER" in said["ImageType"].upper(), (said["StudyInstanceUID"], said["SeriesInstanceUID"], said["SOPInstanceUID"]), study_id,
        f"{said['Manufacturer']} {said['ManufacturerModelName']}".strip(), said["SoftwareVersions"])


def judge_objects(looks: list[Look], rules: Book, watched: bool) -> list[Finding]:
    """``watched``: the objects were taken and sent while somebody looks, so that they should be minutes old."""
    images = [one for one in looks if one.size[0] and one.size[1]]
    return [*_text(looks, rules), judge_clock([one.late_s for one in looks if one.late_s is not None], rules, watched), *_patient(looks, rules), *_uids(looks, rules),
            *(_tags(images, rules) + _spacing(images, rules) + _slices(images, rules) + _coding(images, rules) if images else [])]


def _text(looks: list[Look], rules: Book) -> list[Finding]:
    written = [one for one in looks if one.used]
    wrong, unsure = [one for one in written if one.is_wrong], [one for one in written if one.is_unsure]
    if not written:
        return [rules.say("text.ascii")]
    found = []
    if wrong:
        first = wrong[-1]
        right = {"utf_8": "ISO_IR 192", "iso2022": "\\ISO 2022 IR 58"}.get(first.used, "GB18030")
        found.append(rules.say("text.wrong", times=len(wrong), objects=len(looks), declared=first.declared or "—", used=first.used.upper().replace("_", "-"), right=right))
    if unsure:
        found.append(rules.say("text.unsure", times=len(unsure), objects=len(looks)))
    return found or [rules.say("text.ok", declared=written[-1].declared or "—")]


def _patient(looks: list[Look], rules: Book) -> list[Finding]:
    found = [rules.say(code, times=times, objects=len(looks)) for code, times in (
        ("patient.no_id", sum(not one.has_id for one in looks)), ("patient.no_name", sum(not one.has_name for one in looks))) if times]
    return found or [rules.say("patient.ok")]


def _tags(images: list[Look], rules: Book) -> list[Finding]:
    found = []
    tables, names = rules.tables["attributes"], rules.tables["names"]
    for modality in sorted({one.modality for one in images}):
        own = [one for one in images if one.modality == modality and not one.is_localizer] or [one for one in images if one.modality == modality]
        needed = {kind: [*tables["*"][kind], *tables.get(modality, {}).get(kind, ())] for kind in ("type1", "type2")}
        missing = [name for name in needed["type1"] if any(name not in one.present or name in one.empty for one in own)]
        absent = [name for name in needed["type2"] if any(name not in one.present for one in own)]
        for code, which in (("tags.missing", missing), ("tags.absent", absent)):
            if which:
                found.append(rules.say(code, modality=modality or "—", which_zh="、".join(f"{names[n]} {n}" if n in names else n for n in which), which_en=", ".join(which)))
        if not missing and not absent:
            found.append(rules.say("tags.ok", modality=modality or "—"))
    return found


def _spacing(images: list[Look], rules: Book) -> list[Finding]:
    found, limits = [], rules.limits
    for modality in sorted({one.modality for one in images} & rules.tables["spacing"].keys()):
        own = [one for one in images if one.modality == modality]
        sizes = [next((pair for name in rules.tables["spacing"][modality] for pair in one.spacing_mm if pair[0] == name), None) for one in own]
        without = sizes.count(None)
        if without:
            found.append(rules.say("pixels.no_spacing", times=without, objects=len(own), modality=modality))
        odd, right = None, None
        for one, size in zip(own, sizes):
            if size is None:
                continue
            field = (size[1] * one.size[0], size[2] * one.size[1])
            fits = (all(limits["least_spacing_mm"] <= value <= limits["most_spacing_mm"] for value in size[1:])
                    and all(limits["least_field_mm"] <= value <= limits["most_field_mm"] for value in field))
            odd, right = (odd, size) if fits else ((size, field), right)
        if odd:
            found.append(rules.say("pixels.odd_spacing", spacing=f"{odd[0][1]:g}×{odd[0][2]:g}", field=f"{odd[1][0]:.0f}×{odd[1][1]:.0f}"))
        elif right and not without:
            found.append(rules.say("pixels.spacing_ok", spacing=f"{right[1]:g}×{right[2]:g}"))
    return found


def _slices(images: list[Look], rules: Book) -> list[Finding]:
    sliced = [one for one in images if one.modality in SLICED and not one.is_localizer]
    if not sliced:
        return []
    without = sum(not one.has_place for one in sliced)
    if without:
        return [rules.say("pixels.no_position", times=without, objects=len(sliced))]
    same = sum(count - 1 for count in Counter(one.place for one in sliced).values())
    return [rules.say("pixels.same_place", times=same) if same else rules.say("pixels.positions_ok")]


def _coding(images: list[Look], rules: Book) -> list[Finding]:
    hidden = sorted({one.syntax for one in images if one.syntax not in SHOWABLE})
    shown = sorted({one.syntax for one in images if one.syntax in SHOWABLE})
    found = [rules.say(code, syntaxes="、".join(UID(uid).name for uid in syntaxes))
             for code, syntaxes in (("pixels.undecodable", hidden), ("pixels.decodable", shown)) if syntaxes]
    odd = next((one for one in images if one.modality in CLASS_OF and not one.sop_class.startswith(STORAGE_ROOT + CLASS_OF[one.modality])), None)
    if odd is not None:
        found.append(rules.say("pixels.class_of_modality", sop_class=UID(odd.sop_class).name or "—", modality=odd.modality))
    return found


def _uids(looks: list[Look], rules: Book) -> list[Finding]:
    table, own = rules.tables["uids"], [uid for one in looks for uid in one.uids]
    if any(uid.startswith(tuple(table["reserved"])) for uid in own):
        return [rules.say("uid.reserved")]
    if any(len(set(one.uids)) < 3 for one in looks):
        return [rules.say("uid.same")]
    borrowed = next((root for root in table["borrowed"] for uid in own if uid.startswith(root)), None)
    return [rules.say("uid.borrowed", root=borrowed) if borrowed else rules.say("uid.ok")]


def _late_s(header: Dataset, received_at: datetime, zone: ZoneInfo) -> float | None:
    moments = []
    for day, time in MOMENTS:
        written = _said(header, day).replace(".", "").replace("-", "")[:8] + _said(header, time).replace(":", "").partition(".")[0].ljust(6, "0")[:6]
        try:
            moments.append(datetime.strptime(written, "%Y%m%d%H%M%S").replace(tzinfo=zone))
        except ValueError:
            continue                      # absent or unusable: another pair may say it
    return (received_at - max(moments)).total_seconds() if moments else None


def _said(header: Dataset, keyword: str) -> str:
    """An element as text; what pydicom cannot read at all counts as empty."""
    try:
        value = header.get(keyword)
        return "" if value is None else str(value).strip("\0 ")
    except Exception:                     # a value of a device can fail in any way; the doctor goes on
        return ""


def _numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    try:
        value = header.get(keyword)
        numbers = tuple(float(one) for one in (value if count > 1 else [value]))
    except Exception:
        return None
    return numbers if len(numbers) == count and all(math.isfinite(one) for one in numbers) else None
