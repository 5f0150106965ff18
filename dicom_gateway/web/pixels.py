"""One frame out of a stored file, without reading the others: as it was sent, or decoded.

The promise: what is given as stored is the sender's bytes; what is decoded is complete or refused by name
(see prepare). A file of two gigabytes costs the memory of one frame. Source: PS3.5 8.2 and Annex A.4.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicom_gateway.dataset import read_header
from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.frames import decode, floating
from dicom_gateway.prepare.layout import pixel_layout
from dicom_gateway.prepare.native import values_per_frame

_PIXEL_DATA = 0x7FE00010
_FLOATING = (0x7FE00008, 0x7FE00009)
# What says how pixels lie and how they are shown; everything else in a header costs time and is not read.
NEEDED = [
    "SOPClassUID", "SOPInstanceUID", "Modality", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth",
    "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence", "RescaleIntercept", "RescaleSlope", "RescaleType", "ModalityLUTSequence",
    "PresentationLUTShape", "PresentationLUTSequence", "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "AlphaPaletteColorLookupTableDescriptor", "PaletteColorLookupTableUID", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData", "AlphaPaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData", "SegmentedAlphaPaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]


@dataclass(frozen=True)
class OneFrame:
    """A frame as stored: ``header`` is the data set without pixels, ``stored`` the frame's own bytes,
    encapsulated or native as ``syntax`` says; "" where a frame cannot be cut out (packed bits)."""

    header: Dataset
    syntax: UID
    stored: bytes


def one_frame(path: str | Path, index: int) -> OneFrame:
    """Frame ``index`` (from 0) of a file. UndecodablePixels where there is none such."""
    with open(path, "rb") as file:
        is_deflated = str(DeflatedExplicitVRLittleEndian).encode() in file.read(4096)
        file.seek(0)
        if is_deflated:
            read_header(path)                  # refuses what would inflate beyond all bounds
            whole = dcmread(file, force=True)
            return _cut(whole, DeflatedExplicitVRLittleEndian, index, whole.get("PixelData") or b"")
        header = _header(file)
        syntax = UID(str(header.file_meta.get("TransferSyntaxUID") or "1.2.840.10008.1.2"))
        layout = pixel_layout(header)
        if not 0 <= index < layout.frames:
            raise no_such_frame()
        length = _at_pixel_value(file, syntax)
        if syntax.is_encapsulated:
            try:
                return OneFrame(header, syntax, get_frame(file, index, number_of_frames=layout.frames, extended_offsets=_extended(header)))
            except (ValueError, EOFError, IndexError, struct.error, OverflowError) as error:
                raise _damaged() from error
        if layout.bits_allocated == 1:
            return _cut(dcmread(path, force=True), syntax, index, None)
        size = values_per_frame(layout) * layout.bits_allocated // 8
        if (index + 1) * size > length:
            raise _damaged()
        file.seek(index * size, 1)
        stored = file.read(size)
        if len(stored) < size:
            raise _damaged()
        return OneFrame(header, syntax, stored)


def little_endian(frame: OneFrame, index: int) -> bytes:
    """The frame as Explicit VR Little Endian holds it: the stored bytes where they are that already, else decoded.

    Colours of compressed frames come as RGB, interleaved; bits as the data set allocates them.
    """
    native = not frame.syntax.is_encapsulated and frame.syntax != ExplicitVRBigEndian
    if native and frame.stored:
        return frame.stored
    layout = pixel_layout(frame.header)
    pixels = decoded(frame, index)
    if layout.bits_allocated == 1:
        return np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    if pixels.ndim == 3 and layout.samples == 1:        # a palette has been applied, which native frames do not
        raise UndecodablePixels("palette", "调色板图像不能以未压缩方式提供。", "palette colours are only given rendered or as stored.")
    kind = "i" if layout.signed and pixels.ndim == 2 else "u"
    return np.ascontiguousarray(pixels.astype(f"<{kind}{layout.bits_allocated // 8}")).tobytes()


def decoded(frame: OneFrame, index: int) -> np.ndarray:
    """The frame's pixels, as prepare.frames gives them."""
    single = Dataset()
    single.update(frame.header)
    single.file_meta = frame.header.file_meta
    if not frame.stored:
        return decode(single)[index]
    single.NumberOfFrames = 1
    single.PixelData = encapsulate([frame.stored]) if frame.syntax.is_encapsulated else frame.stored
    single["PixelData"].VR = "OW" if frame.header.get("BitsAllocated", 16) > 8 or frame.syntax == ExplicitVRBigEndian else "OB"
    return decode(single)[0]


def is_native(syntax: str) -> bool:
    return not UID(syntax).is_encapsulated


def no_such_frame() -> UndecodablePixels:
    return UndecodablePixels("no_frame", "没有这一帧。", "there is no such frame.")


def _header(file) -> Dataset:
    """The data set up to its pixels; the file stands at their element. Invalid for what is no DICOM file."""
    try:
        return dcmread(file, stop_before_pixels=True, force=True, specific_tags=NEEDED)
    except Exception:          # a damaged file fails in any way; one that knows them all says it in words
        read_header(file.name)
        raise


def _cut(whole: Dataset, syntax: UID, index: int, data: bytes | None) -> OneFrame:
    layout = pixel_layout(whole)
    if not 0 <= index < layout.frames:
        raise no_such_frame()
    if data is None or layout.bits_allocated == 1:
        return OneFrame(whole, syntax, b"")
    size = values_per_frame(layout) * layout.bits_allocated // 8
    stored = data[index * size:(index + 1) * size]
    if len(stored) < size:
        raise _damaged()
    return OneFrame(whole, ExplicitVRLittleEndian, stored)


def _at_pixel_value(file, syntax: UID) -> int:
    """Moves to the first byte of the pixel data's value and returns its length as written."""
    order = "<" if syntax.is_little_endian else ">"
    head = file.read(8)
    if len(head) < 8:
        raise UndecodablePixels("no_pixels", "该对象不含可显示的像素数据。", "this object holds no integer pixel data to show")
    group, element = struct.unpack(f"{order}HH", head[:4])
    if (group << 16 | element) in _FLOATING:
        raise floating()
    if (group << 16 | element) != _PIXEL_DATA:
        raise UndecodablePixels("no_pixels", "该对象不含可显示的像素数据。", "this object holds no integer pixel data to show")
    if syntax.is_implicit_VR:
        return struct.unpack("<I", head[4:])[0]
    return struct.unpack(f"{order}I", file.read(4))[0]


def _extended(header: Dataset):
    offsets, lengths = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if offsets and lengths else None


def _damaged() -> UndecodablePixels:
    return UndecodablePixels("truncated", "像素数据不完整，请让设备重新发送。", "the pixel data is not complete; have this image sent again.")
