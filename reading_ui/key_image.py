"""The key image as the reader saw it: decoded from the original, windowed, rendered to PNG."""
from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_gateway.prepare.encode import rendered
from dicom_gateway.prepare.frames import decode
from dicom_gateway.prepare.hounsfield import rescale_of, to_modality_values
from dicom_gateway.prepare.instance import shown_frame
from dicom_gateway.prepare.window import apply_window, is_inverted
from hub.errors import Invalid


@dataclass(frozen=True)
class Wanted:
    """What a reader marked. ``frame`` counts from 1, as in DICOMweb; ``center`` and ``width`` in modality values (HU for CT), or
    None for the window that the dataset brings; ``invert``: whether the screen
    shows low values bright (so it does for MONOCHROME1 unless the reader turned it)."""

    sop_uid: str
    frame: int
    center: float | None
    width: float | None
    invert: bool
    caption: str


def draw(content: bytes, wanted: Wanted) -> bytes:
    """The PNG of one frame of a DICOM file. Invalid for a frame that is not there; UndecodablePixels (see prepare)."""
    try:
        dataset = dcmread(BytesIO(content), force=True)
    except (InvalidDicomError, EOFError, ValueError) as error:
        raise Invalid("bad_image", "该图像无法解析，不能作为关键图像。", "this image cannot be parsed.") from error
    frames = decode(dataset)
    if not 1 <= wanted.frame <= len(frames):
        raise Invalid("bad_frame", "该图像没有这一帧。", "the image has no such frame.")
    return rendered(_shown(dataset, frames[wanted.frame - 1], wanted), "png")


def _shown(dataset, frame: np.ndarray, wanted: Wanted) -> np.ndarray:
    if frame.ndim != 3 and wanted.center is not None and wanted.width is not None and wanted.width >= 1:
        values = to_modality_values(frame, rescale_of(dataset, wanted.frame - 1)).values
        shown, inverted = apply_window(values, wanted.center, wanted.width), False
    else:
        shown = shown_frame(dataset, frame, wanted.frame - 1)
        inverted = frame.ndim != 3 and is_inverted(dataset)
    return 255 - shown if wanted.invert != inverted else shown
