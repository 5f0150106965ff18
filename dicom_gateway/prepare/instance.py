"""The one call that a worker makes for an instance: pixels in, everything a reading page needs out.

The promise: every frame in the result was decoded completely, encoded without loss and proved equal;
values for display come along as plain, JSON-ready attributes. No disk, no database, no clock.
"""
import hashlib
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_gateway.prepare.encode import htj2k_lossless, shrunk, thumbnail
from dicom_gateway.prepare.errors import UnusableTable
from dicom_gateway.prepare.frames import decode
from dicom_gateway.prepare.grey import grey_levels, path_of
from dicom_gateway.prepare.header import Headers, attributes
from dicom_gateway.prepare.hounsfield import rescale_of, to_modality_values
from dicom_gateway.prepare.planes import profile_of
from dicom_gateway.prepare.window import Window, full_range

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


def prepare_instance(dataset: Dataset, headers: Headers | None = None) -> PreparedInstance:
    """A dataset read with pixel data, prepared; one frame is unpacked at a time. ``headers``: those of its study.

    Refused with UndecodablePixels (the pixels cannot be had) or NotReproduced (32-bit pixels, or an
    encoder that failed its proof).
    """
    headers = headers or Headers()
    frames = decode(dataset, lambda one: headers.of(one).layout)
    header = headers.of(dataset)
    told = attributes(dataset, header)
    digest = hashlib.sha256()
    streams: list[bytes] = []
    picture = b""
    lowest, highest, kind = None, None, ""
    is_quick = len(frames) == 1 and frames.layout.frame_bytes <= QUICK_BYTES and told["native_at"] is not None and header.has_window
    left = None
    for index, frame in enumerate(frames):
        streams.append(htj2k_lossless(frame))
        digest.update(np.ascontiguousarray(frame).data)
        low, high = int(frame.min()), int(frame.max())
        lowest = low if lowest is None else min(lowest, low)
        highest = high if highest is None else max(highest, high)
        kind = frame.dtype.name
        if len(frames) == 1 and frame.ndim == 2 and header.rescale is not None:
            left = profile_of(frame, header.rescale)
        if index == len(frames) // 2 and not is_quick:
            picture = thumbnail(_glimpse(dataset, shrunk(frame), index))
    told |= {"dtype": kind, "lowest": lowest, "highest": highest}
    return PreparedInstance(streams, digest.hexdigest(), picture, left, told)


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
