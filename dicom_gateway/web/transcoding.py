"""A stored instance in another transfer syntax, for clients that insist on one (PS3.18 8.7.3.5). The stored file stays.

The promise: nothing but the coding of the pixels changes, and it changes without loss: Explicit VR Little Endian for
everything that can be decoded, lossless HTJ2K for grey images, each frame proved equal before it goes out.
"""
from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicom_gateway.prepare.encode import HTJ2K_LOSSLESS_UID, HTJ2K_RPCL_UID, htj2k_lossless
from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.frames import Frames, decode
from dicom_gateway.web.attributes import to_little

TARGETS = (str(ExplicitVRLittleEndian), HTJ2K_LOSSLESS_UID, HTJ2K_RPCL_UID)
LARGEST = 1_000_000_000      # bytes of unpacked pixels: the whole instance is built in memory


def transcoded(file: Path | BinaryIO, syntax: str) -> bytes:
    """The file in one of ``TARGETS``. UndecodablePixels where its pixels cannot be had so."""
    dataset = dcmread(file, force=True)
    if "PixelData" in dataset:
        frames = decode(dataset)
        _require_possible(frames, syntax)
        unpacked = [_plain(frame, frames) for frame in frames]         # before anything in the data set changes
        if syntax == ExplicitVRLittleEndian:
            pixels = b"".join(frame.tobytes() for frame in unpacked)
            dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
            dataset["PixelData"].VR = "OB" if frames.layout.bits_allocated == 8 else "OW"
        else:
            dataset.PixelData = encapsulate([htj2k_lossless(frame) for frame in unpacked])
            dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = syntax != ExplicitVRLittleEndian
        _describe(dataset, frames)
    if dataset.file_meta.get("TransferSyntaxUID") == ExplicitVRBigEndian:
        for element in dataset.iterall():
            if isinstance(element.value, bytes) and element.keyword != "PixelData":
                element.value = to_little(element.value, element.VR, False)
        dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    if any(isinstance(one, RawDataElement) and one.VR is None for one in map(dataset.get_item, dataset.keys())):
        for _ in dataset.iterall():      # implicit VR under the name of an explicit one: told element by element
            pass
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def _require_possible(frames: Frames, syntax: str) -> None:
    if frames.layout.frame_bytes * len(frames) > LARGEST:
        raise UndecodablePixels("too_large", "图像过大，只按原传输语法提供。", "the image is too large to be given in another transfer syntax.")
    if frames.layout.photometric == "PALETTE COLOR" or frames.layout.bits_allocated == 1:
        raise UndecodablePixels("palette", "此类图像只按原传输语法提供。", "images with a palette or of single bits are given as they were received only.")
    if syntax != ExplicitVRLittleEndian and not frames.photometric.startswith("MONO"):
        raise UndecodablePixels("colour", "彩色图像不能以 HTJ2K 提供。", "colour images are not given in HTJ2K.")


def _plain(frame: np.ndarray, frames: Frames) -> np.ndarray:
    """A frame in the width that its attributes allocate."""
    kind = "i" if frames.layout.signed and frame.ndim == 2 else "u"
    return np.ascontiguousarray(frame.astype(f"<{kind}{frames.layout.bits_allocated // 8}"))


def _describe(dataset, frames: Frames) -> None:
    """The attributes that tell how the new pixels lie."""
    dataset.HighBit = frames.layout.bits_stored - 1
    if frames.photometric == "RGB":
        dataset.PhotometricInterpretation = "RGB"
        dataset.PlanarConfiguration = 0
    for offsets in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if offsets in dataset:
            del dataset[offsets]
