"""The one call that a worker makes for an instance: pixels in, everything a reading page needs out.

The promise: every frame in the result was decoded completely, encoded without loss and proved equal;
values for display come along as plain, JSON-ready attributes. No disk, no database, no clock.
"""
import hashlib
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_gateway.prepare.encode import HTJ2K_LOSSLESS_UID, htj2k_lossless, shrunk, thumbnail
from dicom_gateway.prepare.errors import UnusableTable
from dicom_gateway.prepare.frames import Frames, decode
from dicom_gateway.prepare.geometry import pixel_spacing, slice_of, slice_position
from dicom_gateway.prepare.grey import grey_levels, path_of
from dicom_gateway.prepare.hounsfield import Rescale, rescale_of, to_modality_values
from dicom_gateway.prepare.plain import lies_at
from dicom_gateway.prepare.planes import profile
from dicom_gateway.prepare.window import Window, dataset_windows, full_range, is_inverted

QUICK_BYTES = 600_000      # of a plain frame: its thumbnail is drawn when it is asked for


@dataclass(frozen=True)
class PreparedInstance:
    """An instance ready for reading.

    ``frames_htj2k``: one lossless HTJ2K stream per frame, in order. ``pixel_sha256``: hex digest of all
    decoded frames one after another (little-endian, rows first, channels interleaved).
    ``thumbnail_jpeg``: the middle frame as its dataset wants to be shown, 192 pixels at most; empty where it is drawn in
    no time when somebody asks (see plain). ``profile``: what a single grey frame leaves of itself for pictures across its
    series (see planes), else None.
    ``attributes``: plain values (str, int, float, bool, None, list, dict) for index and manifest.
    """

    frames_htj2k: list[bytes]
    pixel_sha256: str
    thumbnail_jpeg: bytes
    profile: np.ndarray | None
    attributes: dict


def prepare_instance(dataset: Dataset) -> PreparedInstance:
    """A dataset read with pixel data, prepared; one frame is unpacked at a time.

    Refused with UndecodablePixels (the pixels cannot be had) or NotReproduced (32-bit pixels, or an
    encoder that failed its proof).
    """
    frames = decode(dataset)
    digest = hashlib.sha256()
    streams: list[bytes] = []
    picture = b""
    lowest, highest, kind = None, None, ""
    rescale = _rescale(dataset, frames)
    is_quick = len(frames) == 1 and frames.layout.frame_bytes <= QUICK_BYTES and lies_at(dataset, frames.layout) is not None and dataset_windows(dataset)
    left = None
    for index, frame in enumerate(frames):
        streams.append(htj2k_lossless(frame))
        digest.update(np.ascontiguousarray(frame).data)
        low, high = int(frame.min()), int(frame.max())
        lowest = low if lowest is None else min(lowest, low)
        highest = high if highest is None else max(highest, high)
        kind = frame.dtype.name
        if len(frames) == 1 and frame.ndim == 2 and rescale is not None:
            left = profile(to_modality_values(frame, rescale).values)
        if index == len(frames) // 2 and not is_quick:
            picture = thumbnail(_glimpse(dataset, shrunk(frame), index))
    attributes = _attributes(dataset, frames, rescale)
    attributes.update(dtype=kind, lowest=lowest, highest=highest)
    return PreparedInstance(streams, digest.hexdigest(), picture, left, attributes)


def shown_frame(dataset: Dataset, frame: np.ndarray, index: int = 0, window: Window | None = None) -> np.ndarray:
    """A decoded frame as its dataset, or a reader's ``window``, wants it shown: uint8 grey levels or RGB."""
    if frame.ndim == 3:
        return frame if frame.dtype == np.uint8 else (frame >> (8 * frame.dtype.itemsize - 8)).astype(np.uint8)
    return grey_levels(frame, path_of(dataset, index, window))


def _glimpse(dataset: Dataset, frame: np.ndarray, index: int) -> np.ndarray:
    """A small frame as its dataset wants it shown, over its full range where its own table is none."""
    try:
        return shown_frame(dataset, frame, index)
    except UnusableTable:
        values = to_modality_values(frame, rescale_of(dataset, index)).values
        return shown_frame(dataset, frame, index, full_range(values))


def _rescale(dataset: Dataset, frames: Frames) -> Rescale | None:
    return rescale_of(dataset, len(frames) // 2) if frames.photometric.startswith("MONO") else None


def _attributes(dataset: Dataset, frames: Frames, rescale: Rescale | None) -> dict:
    layout = frames.layout
    own = slice_of(dataset)
    spacing = pixel_spacing(dataset)
    image_type = _text(dataset, "ImageType").upper()
    return {
        "sop_instance_uid": _text(dataset, "SOPInstanceUID"),
        "sop_class_uid": _text(dataset, "SOPClassUID"),
        "series_uid": _text(dataset, "SeriesInstanceUID"),
        "study_uid": _text(dataset, "StudyInstanceUID"),
        "modality": _text(dataset, "Modality"),
        "body_part": _text(dataset, "BodyPartExamined"),
        "protocol": _text(dataset, "ProtocolName"),
        "series_number": _integer(dataset, "SeriesNumber"),
        "instance_number": _integer(dataset, "InstanceNumber"),
        "localizer": "LOCALIZER" in image_type or "SCOUT" in image_type,
        "transfer_syntax": str(dataset.file_meta.TransferSyntaxUID),
        "prepared_syntax": HTJ2K_LOSSLESS_UID,
        "lossy_before": _text(dataset, "LossyImageCompression") == "01",
        "lossy_ratio": _text(dataset, "LossyImageCompressionRatio"),
        "rows": layout.rows,
        "columns": layout.columns,
        "frames": layout.frames,
        "samples": 3 if frames.photometric == "RGB" else 1,
        "photometric": frames.photometric,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "native_at": lies_at(dataset, layout),
        "signed": layout.signed,
        "inverted": frames.photometric != "RGB" and is_inverted(dataset),
        "rescale_slope": rescale.slope if rescale else None,
        "rescale_intercept": rescale.intercept if rescale else None,
        "modality_table": bool(rescale and rescale.table is not None),
        "unit": rescale.unit if rescale else None,
        "windows": [
            {"name": w.name, "center": w.center, "width": w.width, "function": w.function}
            for w in dataset_windows(dataset)
        ],
        "pixel_spacing_mm": list(spacing) if spacing else None,
        "position": list(own.position) if own else None,
        "orientation": list(own.orientation) if own else None,
        "position_mm": slice_position(own.position, own.orientation) if own else None,
        "frame_positions_mm": _frame_positions(dataset, layout.frames),
    }


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
