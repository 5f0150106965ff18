"""Headers: what the hub's index keeps of a DICOM object, read without its pixels.

The promise: junk values never raise; a bad value is left empty and said in ``notes``. Texts are decoded
from their raw bytes (see charset), dates come as local ISO text without a zone, and the dataset is not
changed. Source: PS3.5 6.2 (value representations), PS3.3 C.7, C.8.
"""
import re
import struct
import zlib
from datetime import date, time
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag

from dicom_gateway.charset import declared_sets, element_text, patient_attributes
from dicom_gateway.prepare.geometry import slice_of, slice_position
from hub.errors import Invalid
from hub.model.person_name import name_shown

REQUIRED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
MAX_INFLATED = 1024 * 1024 * 1024
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_ASCII_VRS = frozenset(("UI", "DA", "TM", "DT", "CS", "IS", "DS", "AS", "AE", "LO", "SH"))
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")


def read_header(source: str | Path | bytes) -> Dataset:
    """The dataset of a DICOM file or its bytes up to, not including, the pixel data.

    Files without the 128-byte preamble are read too where they hold a class or instance UID. Invalid("not_dicom") for anything that is not
    DICOM, Invalid("too_large") for a deflated file that would inflate beyond 1 GiB.
    """
    try:
        if isinstance(source, bytes):
            head = source[:4096]
            _require_bounded(head, source)
            dataset = dcmread(BytesIO(source), stop_before_pixels=True, force=True)
        else:
            with open(source, "rb") as file:
                head = file.read(4096)
                if _DEFLATED in head:
                    _require_bounded(head, head + file.read())
            dataset = dcmread(source, stop_before_pixels=True, force=True, defer_size="1 MB")
    except (InvalidDicomError, EOFError, struct.error, zlib.error, ValueError, KeyError, OverflowError,
            NotImplementedError, AttributeError, TypeError, BytesLengthException, RecursionError) as error:
        raise _not_dicom() from error
    if head[128:132] != b"DICM" and "SOPClassUID" not in dataset and "SOPInstanceUID" not in dataset:
        raise _not_dicom()
    return dataset


def missing_uids(dataset: Dataset) -> list[str]:
    """The keywords among study, series, instance and class UID that are absent or are no UID (PS3.5 9.1)."""
    return [keyword for keyword in REQUIRED_UIDS if not is_uid(_plain(dataset, keyword))]


def is_uid(text: str) -> bool:
    """Whether a text is a UID: digits and dots, no leading zeros, 64 characters at most."""
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None


def summary(dataset: Dataset, habit: str = "") -> dict:
    """Plain values (str, int, float, bool, None, list of str) for the index; never raises for junk.

    "" and None mean absent or unusable; ``notes`` names in Chinese what was unusable. ``study_time`` is
    local ISO ("2026-03-01T08:15:00", or the date alone). ``patient_name`` is for people,
    ``patient_name_original`` as sent after decoding, ``patient_name_unsure`` asks for a look; ``patient_name_encoding`` is
    that of a sure name of more than ASCII. ``referring_physician`` is as sent after decoding. ``habit``: as of ``patient_attributes``.
    """
    notes: list[str] = []
    texts = patient_attributes(dataset, habit)
    told = {keyword: decoded.text.strip() for keyword, decoded in texts.items()}
    name, physician = texts.get("PatientName"), texts.get("ReferringPhysicianName")
    original = name.text if name else ""
    own = slice_of(dataset)
    meta = getattr(dataset, "file_meta", None)
    return {
        "study_uid": _plain(dataset, "StudyInstanceUID"),
        "series_uid": _plain(dataset, "SeriesInstanceUID"),
        "sop_instance_uid": _plain(dataset, "SOPInstanceUID"),
        "sop_class_uid": _plain(dataset, "SOPClassUID"),
        "transfer_syntax": str(meta.get("TransferSyntaxUID") or "") if meta is not None else "",
        "modality": _plain(dataset, "Modality"),
        "body_part": told.get("BodyPartExamined", ""),
        "study_description": told.get("StudyDescription", ""),
        "series_description": told.get("SeriesDescription", ""),
        "protocol": told.get("ProtocolName", ""),
        "study_id": _text(dataset, "StudyID"),
        "study_time": _moment(dataset, "StudyDate", "StudyTime", notes),
        "acquired_time": _moment(dataset, "AcquisitionDate", "AcquisitionTime", notes)
        or _moment(dataset, "ContentDate", "ContentTime", notes),
        "accession_number": _text(dataset, "AccessionNumber"),
        "patient_id": told.get("PatientID", ""),
        "patient_name": name_shown(original),
        "patient_name_original": original,
        "patient_name_unsure": bool(name and name.unsure),
        "patient_name_candidates": [name_shown(text) for _, text in name.candidates] if name and name.unsure else [],
        "patient_name_encoding": name.encoding_used if name and not name.unsure and not name.text.isascii() else "",
        "charset_declared": declared_sets(dataset),
        "charset_wrong": any(decoded.declared_wrong for decoded in texts.values()),
        "sex": _sex(dataset, notes),
        "birth_date": _day(dataset, "PatientBirthDate", notes),
        "age": _plain(dataset, "PatientAge"),
        "age_years": _age_years(dataset, notes),
        "institution": told.get("InstitutionName", ""),
        "referring_physician": physician.text.strip() if physician else "",
        "referring_physician_unsure": bool(physician and physician.unsure),
        "manufacturer": told.get("Manufacturer", ""),
        "model": _text(dataset, "ManufacturerModelName"),
        "station": told.get("StationName", ""),
        "device_serial": _text(dataset, "DeviceSerialNumber"),
        "series_number": _integer(dataset, "SeriesNumber", notes),
        "instance_number": _integer(dataset, "InstanceNumber", notes),
        "image_type": _plain(dataset, "ImageType"),
        "rows": _integer(dataset, "Rows", notes),
        "columns": _integer(dataset, "Columns", notes),
        "frames": _integer(dataset, "NumberOfFrames", notes),
        "slice_thickness_mm": _decimal(dataset, "SliceThickness", notes),
        "spacing_between_slices_mm": _decimal(dataset, "SpacingBetweenSlices", notes),
        "position_mm": slice_position(own.position, own.orientation) if own else None,
        "position": list(own.position) if own else None,
        "orientation": list(own.orientation) if own else None,
        "window_center": _decimal(dataset, "WindowCenter", notes),
        "window_width": _decimal(dataset, "WindowWidth", notes),
        "series_instances_stated": _integer(dataset, "NumberOfSeriesRelatedInstances", notes),
        "study_instances_stated": _integer(dataset, "NumberOfStudyRelatedInstances", notes),
        "images_in_acquisition": _integer(dataset, "ImagesInAcquisition", notes),
        "notes": notes,
    }


def _require_bounded(head: bytes, whole: bytes) -> None:
    """Refuses a deflated file that would fill the memory (pydicom inflates it in one go)."""
    if _DEFLATED not in head or head[128:132] != b"DICM":
        return
    length = struct.unpack_from("<I", head, 140)[0]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, total = whole[144 + length :], 0
    while rest and not inflater.eof:
        total += len(inflater.decompress(rest, 1 << 20))
        rest = inflater.unconsumed_tail
        if total > MAX_INFLATED:
            raise Invalid(
                "too_large",
                "压缩的 DICOM 文件解压后超过 1 GB，已拒绝。",
                "the deflated DICOM file would inflate beyond 1 GiB and was refused",
            )


def _not_dicom() -> Invalid:
    return Invalid(
        "not_dicom",
        "不是有效的 DICOM 文件，请确认导出的文件完整。",
        "this is not a usable DICOM file; check that the exported file is complete",
    )


def _plain(dataset: Dataset, keyword: str) -> str:
    """The text of an element whose characters are ASCII by definition (UI, DA, TM, CS, IS, DS, AS)."""
    tag = Tag(keyword)
    if tag not in dataset:
        return ""
    try:
        element = dataset.get_item(tag)
        value = element.value
    except (OSError, ValueError, TypeError, NotImplementedError):
        return ""
    if value is None:
        return ""
    if isinstance(value, bytes):
        if (element.VR if element.VR not in (None, "UN") else dictionary_VR(tag)) not in _ASCII_VRS:
            return ""
        return value.decode("ascii", errors="replace").strip("\0 ")
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return str(value).strip("\0 ")
    return "\\".join(str(part) for part in value).strip("\0 ")


def _text(dataset: Dataset, keyword: str) -> str:
    return element_text(dataset, keyword).text.strip()


def _day(dataset: Dataset, keyword: str, notes: list[str]) -> str:
    said = _plain(dataset, keyword)
    if not said:
        return ""
    match = re.fullmatch(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})", said)
    try:
        found = date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        found = None
    if found is None:
        notes.append(f"{keyword}: 日期无效")
        return ""
    return found.isoformat()


def _moment(dataset: Dataset, day_keyword: str, time_keyword: str, notes: list[str]) -> str:
    day = _day(dataset, day_keyword, notes)
    said = _plain(dataset, time_keyword)
    if not day or not said:
        return day
    match = re.fullmatch(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.\d+)?", said)
    try:
        parts = [int(part or 0) for part in match.groups()] if match else []
        clock = time(parts[0], parts[1], min(parts[2], 59)) if parts else None
    except ValueError:
        clock = None
    if clock is None:
        notes.append(f"{time_keyword}: 时间无效")
        return day
    return f"{day}T{clock.isoformat()}"


def _sex(dataset: Dataset, notes: list[str]) -> str:
    said = _plain(dataset, "PatientSex").upper()
    if said in ("", "M", "F", "O"):
        return said
    notes.append("PatientSex: 性别代码无效")
    return ""


def _age_years(dataset: Dataset, notes: list[str]) -> float | None:
    """Age in years: as stated (058Y, 018M, 003W, 020D), else from birth date to study date."""
    said = _plain(dataset, "PatientAge").upper()
    match = re.fullmatch(r"(\d{1,3})([YMWD])", said)
    if match:
        return round(int(match[1]) / {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}[match[2]], 2)
    if said:
        notes.append("PatientAge: 年龄无效")
    ignored: list[str] = []
    born, studied = _day(dataset, "PatientBirthDate", ignored), _day(dataset, "StudyDate", ignored)
    if not born or not studied or studied < born:
        return None
    first, then = date.fromisoformat(born), date.fromisoformat(studied)
    years = then.year - first.year - ((then.month, then.day) < (first.month, first.day))
    return float(years) if years else round((then - first).days / 365.25, 2)


def _integer(dataset: Dataset, keyword: str, notes: list[str]) -> int | None:
    number = _number(dataset, keyword, notes)
    if number is None or number == int(number):
        return None if number is None else int(number)
    notes.append(f"{keyword}: 不是整数")
    return None


def _decimal(dataset: Dataset, keyword: str, notes: list[str]) -> float | None:
    return _number(dataset, keyword, notes)


def _number(dataset: Dataset, keyword: str, notes: list[str]) -> float | None:
    """The first value of a numeric element, or None; what is there but no finite number is noted."""
    if Tag(keyword) not in dataset:
        return None
    said = _plain(dataset, keyword).split("\\")[0].strip()
    try:
        if not said:
            value = dataset.get(keyword)
            if value is None or value == "":
                return None
            said = str(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
        number = float(said)
        if abs(number) < 1e18:
            return number
    except (ValueError, TypeError, IndexError, OverflowError, NotImplementedError, BytesLengthException):
        pass
    notes.append(f"{keyword}: 数值无效")
    return None
