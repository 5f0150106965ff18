"""What the conflict desk must know of held DICOM files: how they read now, what they lack, in what two of them differ."""
from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import dictionary_description, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from dicom_gateway.charset import fill_silent_set
from dicom_gateway.dataset import is_uid, missing_uids, read_header, summary
from dicom_gateway.facts import facts_of
from dicom_gateway.web.attributes import to_json
from hub.context import Hub
from hub.errors import Invalid
from hub.flow import devices
from hub.model.arrival import InstanceFacts, StoredFile
from hub.model.naming import NOTHING_KNOWN, Naming
from hub.model.part10 import HEAD_BYTES, data_set_at

LONGEST_VALUE = 200
PIXELS = "7FE00010"
_NAMESPACE = uuid.UUID("5a0e3a49-4b43-5b1b-8d29-0a8f2f1a3d10")


@dataclass(frozen=True)
class Difference:
    """One attribute in which two files differ; "" where one has none of it, None where it has one without a value."""

    tag: str
    name: str
    first: str | None
    second: str | None


def facts_now(hub: Hub, file: StoredFile, device_id: int | None = None) -> InstanceFacts:
    """The facts of a held file as it reads now, as one of the device that sent it. Invalid where it still cannot be read or lacks
    a UID."""
    header, habit = _read(hub, file, device_id)
    if missing := missing_uids(header):
        raise Invalid("missing_uid", f"仍缺少必需的标识：{'、'.join(missing)}。请选择“补上缺少的标识”。", f"still missing: {', '.join(missing)}; supply them.")
    return facts_of(header, habit)


def as_it_reads(hub: Hub, file: StoredFile, device_id: int | None = None) -> dict[str, str]:
    """Whose and what a held file says it is; {} for one that cannot be read."""
    try:
        told = summary(*_read(hub, file, device_id))
    except Invalid:
        return {}
    names = {"patient_name": "patient_name", "patient_id": "patient_id", "sex": "sex", "birth_date": "birth_date", "modality": "modality",
             "study_time": "study_at", "study_description": "description", "accession_number": "accession_number"}
    return {shown: told[name] for name, shown in names.items() if told[name]} | ({"rows": "1"} if told["rows"] else {})


def lacking(hub: Hub, file: StoredFile) -> dict[str, tuple[str, str]]:
    """The UIDs that a file lacks: keyword to what it says in their place and what may be supplied. Series and object get
    UIDs that follow from the file's bytes, so that deciding twice makes one; a class cannot be made up."""
    try:
        header = read_header(hub.blobs.path(file.sha256))
    except Invalid:
        return {}
    meta = getattr(header, "file_meta", None) or {}
    known = {"SOPClassUID": str(meta.get("MediaStorageSOPClassUID") or ""), "SOPInstanceUID": str(meta.get("MediaStorageSOPInstanceUID") or "")}
    return {keyword: (str(header.get(keyword) or "")[:64], known[keyword] if is_uid(known.get(keyword, "")) else _made(keyword, file, header))
            for keyword in missing_uids(header)}


def facts_with(hub: Hub, file: StoredFile, uids: dict[str, str], device_id: int | None = None) -> tuple[InstanceFacts, dict[str, tuple[str, str, str]]]:
    """The facts of a file under supplied UIDs, and for the ledger: keyword to tag, what was sent and what is supplied.
    Invalid for what is no UID, and where one is still missing."""
    header, habit = _read(hub, file, device_id)
    told = {}
    for keyword in missing_uids(header):
        supplied = uids.get(keyword, "").strip()
        if not is_uid(supplied):
            raise Invalid("bad_uid", f"{keyword} 不是有效的唯一标识（数字和点，最多 64 个字符）。", f"{keyword} is no UID (digits and dots, at most 64 characters).")
        told[keyword] = (f"{tag_for_keyword(keyword):08X}", str(header.get(keyword) or "")[:64], supplied)
        setattr(header, keyword, supplied)
    return facts_of(header, habit), told


def differences(one: Path, other: Path, naming: Naming = NOTHING_KNOWN) -> list[Difference]:
    """In which attributes two stored files differ, by tag; of the pixels only whether they do. [] where one of them
    cannot be read. ``naming``: how the study of the first names its patient."""
    try:
        first, second = _told(one, naming), _told(other, naming)
    except Invalid:
        return []
    found = [Difference(tag, _name(tag), shown_value(first.get(tag)), shown_value(second.get(tag)))
             for tag in sorted(first.keys() | second.keys()) if first.get(tag) != second.get(tag)]
    if not found and not _same_data_set(one, other):
        found.append(Difference("", "", "…", "…"))       # other bytes for the same values
    return found


def _read(hub: Hub, file: StoredFile, device_id: int | None) -> tuple[Dataset, str]:
    """A header as at the door, with the charset of its device where it declares none; and the device's habit."""
    header = read_header(hub.blobs.path(file.sha256))
    charset, habit = devices.texts_of(hub, device_id)
    fill_silent_set(header, charset)
    return header, habit


def _told(path: Path, naming: Naming) -> dict:
    header = read_header(path)
    told = {tag: value for tag, value in to_json(header, naming=naming).items() if not tag.endswith("0000")}
    pixels = dcmread(path, force=True).get("PixelData")
    return told | ({PIXELS: {"vr": "OW", "sha256": sha256(pixels).hexdigest(), "bytes": len(pixels)}} if pixels else {})


def shown_value(value: dict | None) -> str | None:
    """A DICOM JSON attribute as one line; "" where there is none, None for one without a value."""
    if value is None:
        return ""
    if "sha256" in value:
        return f"{value['bytes']} B · {value['sha256'][:12]}…"
    values = value.get("Value")
    if values is None:
        return "…" if "InlineBinary" in value or "BulkDataURI" in value else None
    text = "\\".join(_name_of(one) if isinstance(one, dict) and value["vr"] == "PN" else json.dumps(one, ensure_ascii=False)
                     if isinstance(one, (dict, list)) else "" if one is None else str(one) for one in values)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _name_of(groups: dict[str, str]) -> str:
    return "=".join(groups.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def _name(tag: str) -> str:
    number = int(tag, 16)
    return dictionary_description(number) if keyword_for_tag(number) else ""


def _same_data_set(one: Path, other: Path) -> bool:
    bodies = []
    for path in (one, other):
        content = path.read_bytes()
        bodies.append(content[data_set_at(content[:HEAD_BYTES]):])
    return bodies[0] == bodies[1]


def _made(keyword: str, file: StoredFile, header) -> str:
    """A UID from the bytes; the study's from the patient and the day, so that slices without one come together."""
    if keyword == "SOPClassUID":
        return ""
    words = file.sha256 if keyword == "SOPInstanceUID" else "|".join(
        str(header.get(name) or "") for name in ("PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyID")
    ) + (f"|{header.get('SeriesNumber') or ''}" if keyword == "SeriesInstanceUID" else "")
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{keyword}|{words}').int}"
