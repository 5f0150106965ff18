"""What the header of an instance says for its preparation: how its pixels lie, how they are shown, where it lies in the patient.

The promise: what two instances say in the same bytes is worked out once, and from nothing but these bytes: whatever is not in
``SHARED`` cannot be seen there. No disk, no database, no clock.
"""
from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from pydicom.dataelem import RawDataElement
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from dicom_gateway.prepare.encode import HTJ2K_LOSSLESS_UID
from dicom_gateway.prepare.geometry import pixel_spacing, slice_of, slice_position
from dicom_gateway.prepare.hounsfield import Rescale, rescale_of
from dicom_gateway.prepare.layout import PixelLayout, pixel_layout
from dicom_gateway.prepare.plain import NOT_PLAIN, lies_at
from dicom_gateway.prepare.window import dataset_windows, is_inverted

MOST_KEPT = 256            # headers of one study; series are few, but windows and the like may change with every slice

SHARED = frozenset(tag_for_keyword(keyword) for keyword in (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "Modality", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "BodyPartExamined", "ProtocolName", "LossyImageCompression", "LossyImageCompressionRatio",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation", "PhotometricInterpretation",
    "PlanarConfiguration", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "RescaleType", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "WindowCenterWidthExplanation", "PresentationLUTShape", "PixelSpacing", "ImagerPixelSpacing",
))
_ALONE = frozenset(tag_for_keyword(keyword) for keyword in NOT_PLAIN)      # tables and groups: such a header is asked for itself


@dataclass(frozen=True)
class Header:
    """``rescale``: of the middle frame, None in colour. ``attributes``: plain values for index and manifest, those that belong
    to this instance alone left out. ``has_window``: whether it brings a window of its own."""

    layout: PixelLayout
    rescale: Rescale | None
    has_window: bool
    attributes: dict


class Headers:
    """The headers of one study. Safe to share between threads: what two work out at once is the same."""

    def __init__(self):
        self._known: dict[Hashable, Header] = {}

    def of(self, dataset: Dataset) -> Header:
        """Refused with UndecodablePixels as ``pixel_layout`` and ``rescale_of`` refuse."""
        said = {tag: element for tag, element in dataset.items() if tag in SHARED}
        key = None if any(tag in dataset for tag in _ALONE) else _key(dataset, said)
        if key is None:
            return _header(dataset)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            found = self._known[key] = _header(_only(dataset, said))
        return found


def attributes(dataset: Dataset, header: Header) -> dict:
    """The attributes of an instance: those of its header and its own."""
    own = slice_of(dataset)
    return header.attributes | {
        "sop_instance_uid": _text(dataset, "SOPInstanceUID"),
        "instance_number": _integer(dataset, "InstanceNumber"),
        "native_at": lies_at(dataset, header.layout),
        "position": list(own.position) if own else None,
        "orientation": list(own.orientation) if own else None,
        "position_mm": slice_position(own.position, own.orientation) if own else None,
        "frame_positions_mm": _frame_positions(dataset, header.layout.frames),
    }


def _key(dataset: Dataset, said: dict) -> Hashable | None:
    """The bytes that a header is made of; None where pydicom has decoded one of them already."""
    if not all(isinstance(element, RawDataElement) for element in said.values()):
        return None
    return (dataset.file_meta.TransferSyntaxUID, dataset.original_encoding, tuple(said), tuple([(one.VR, one.value) for one in said.values()]))


def _only(dataset: Dataset, said: dict) -> Dataset:
    bare = Dataset(said)
    bare.set_original_encoding(*dataset.original_encoding, dataset.original_character_set)
    bare.file_meta = dataset.file_meta
    return bare


def _header(dataset: Dataset) -> Header:
    layout = pixel_layout(dataset)
    is_grey = layout.photometric.startswith("MONO")
    rescale = rescale_of(dataset, layout.frames // 2) if is_grey else None
    spacing, windows = pixel_spacing(dataset), dataset_windows(dataset)
    image_type = _text(dataset, "ImageType").upper()
    return Header(layout, rescale, bool(windows), {
        "sop_class_uid": _text(dataset, "SOPClassUID"),
        "series_uid": _text(dataset, "SeriesInstanceUID"),
        "study_uid": _text(dataset, "StudyInstanceUID"),
        "modality": _text(dataset, "Modality"),
        "body_part": _text(dataset, "BodyPartExamined"),
        "protocol": _text(dataset, "ProtocolName"),
        "series_number": _integer(dataset, "SeriesNumber"),
        "localizer": "LOCALIZER" in image_type or "SCOUT" in image_type,
        "transfer_syntax": str(dataset.file_meta.TransferSyntaxUID),
        "prepared_syntax": HTJ2K_LOSSLESS_UID,
        "lossy_before": _text(dataset, "LossyImageCompression") == "01",
        "lossy_ratio": _text(dataset, "LossyImageCompressionRatio"),
        "rows": layout.rows,
        "columns": layout.columns,
        "frames": layout.frames,
        "samples": 1 if is_grey else 3,
        "photometric": layout.photometric if is_grey else "RGB",
        "stored_photometric": str(dataset.get("PhotometricInterpretation") or ""),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "signed": layout.signed,
        "inverted": is_grey and is_inverted(dataset),
        "rescale_slope": rescale.slope if rescale else None,
        "rescale_intercept": rescale.intercept if rescale else None,
        "modality_table": bool(rescale and rescale.table is not None),
        "unit": rescale.unit if rescale else None,
        "windows": [{"name": w.name, "center": w.center, "width": w.width, "function": w.function} for w in windows],
        "pixel_spacing_mm": list(spacing) if spacing else None,
    })


def _frame_positions(dataset: Dataset, frames: int) -> list[float | None] | None:
    if frames == 1 or "PerFrameFunctionalGroupsSequence" not in dataset:
        return None
    slices = (slice_of(dataset, index) for index in range(frames))
    return [slice_position(part.position, part.orientation) if part else None for part in slices]


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, NotImplementedError):
        return ""
    if value is None:
        return ""
    return str(value).strip() if isinstance(value, str) or not hasattr(value, "__iter__") else "\\".join(map(str, value))


def _integer(dataset: Dataset, keyword: str) -> int | None:
    try:
        value = dataset.get(keyword)
        return None if value in (None, "") else int(value)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return None
