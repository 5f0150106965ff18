"""A stored DICOM file made smaller, and its own bytes again: the header deflated, each native frame as lossless JPEG-LS.

The promise: what ``unpack`` gives are the bytes of the file, or its caller sees by their hash that they are not; nothing
here decides that an original may go. Only native pixels of 8 or 16 bits are packed; a stream that a device compressed
itself could not be given back bit for bit and is refused. JPEG-LS (ITU-T T.87) was chosen by measuring it beside HTJ2K:
docs/benchmarks.md.

The file: magic; the length of a JSON head (u32); the JSON; the deflated header; of each frame the length of its stream
(u32), what was taken from every value (u16), and the stream; the deflated rest. Little endian.
"""
from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hub.errors import Invalid

MAGIC = b"HUBPACK1"
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
PIXEL_DATA = 0x7FE00010
LARGEST_PART = 64 << 20          # of what stands around the pixels
WORTH = 0.95                     # of its size; what stays bigger than that is left as it came
_COUNT, _FRAME = struct.Struct("<L"), struct.Struct("<LH")


@dataclass(frozen=True)
class _Pixels:
    """Where the frames lie in a file, and how one of them is read. ``signed``: the values are two's complement."""

    at: int
    frames: int
    shape: tuple[int, ...]
    dtype: str
    signed: bool

    @property
    def frame_bytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


def pack(source: Path, target: BinaryIO) -> None:
    """Writes the packed form of a DICOM file. Invalid, with the reason, for one that is left as it came."""
    pixels, size = _pixels_of(source), source.stat().st_size
    after = pixels.at + pixels.frames * pixels.frame_bytes
    if size < after or max(pixels.at, size - after) > LARGEST_PART:
        raise _left("odd_pixels", "像素数据的长度与标签不符", "its pixel data is not as long as its attributes say")
    with source.open("rb") as file:
        head = zlib.compress(file.read(pixels.at), 9)
        about = json.dumps({"frames": pixels.frames, "shape": pixels.shape, "dtype": pixels.dtype, "signed": pixels.signed, "head": len(head)}).encode()
        target.write(MAGIC + _COUNT.pack(len(about)) + about + head)
        for _ in range(pixels.frames):
            lowest, stream = _encoded(np.frombuffer(file.read(pixels.frame_bytes), pixels.dtype).reshape(pixels.shape), pixels.signed)
            target.write(_FRAME.pack(len(stream), lowest) + stream)
        target.write(zlib.compress(file.read(), 9))
    if target.tell() > size * WORTH:
        raise _left("no_gain", "压缩后不会变小", "it would not become smaller")


def unpack(source: BinaryIO) -> Iterator[bytes]:
    """The bytes of the file that was packed, piece by piece. ValueError or another fault of the codec for a damaged one."""
    if source.read(len(MAGIC)) != MAGIC:
        raise ValueError("not a packed file")
    about = json.loads(source.read(_COUNT.unpack(source.read(_COUNT.size))[0]))
    dtype, shape = np.dtype(about["dtype"]), tuple(about["shape"])
    yield zlib.decompress(source.read(about["head"]))
    for _ in range(about["frames"]):
        length, lowest = _FRAME.unpack(source.read(_FRAME.size))
        frame = imagecodecs.jpegls_decode(source.read(length)).reshape(shape)
        yield _restored(frame, lowest, dtype, about["signed"]).tobytes()
    yield zlib.decompress(source.read())


def _encoded(frame: np.ndarray, signed: bool) -> tuple[int, bytes]:
    """The lowest value of a frame, as it stands in 16 bits, and the stream of what lies above it."""
    values = frame.astype(frame.dtype.newbyteorder("="), copy=False)
    if values.dtype.itemsize == 1:
        lowest, above = 0, values
    else:
        lowest = int((values.view(np.int16) if signed else values).min())
        above = values - np.uint16(lowest & 0xFFFF)
    try:
        return lowest & 0xFFFF, imagecodecs.jpegls_encode(np.ascontiguousarray(above))
    except (RuntimeError, ValueError) as error:
        raise _left("not_encoded", "编码器不支持该图像", f"the codec refuses it ({error})") from error


def _restored(above: np.ndarray, lowest: int, dtype: np.dtype, signed: bool) -> np.ndarray:
    if dtype.itemsize == 1:
        return above.astype(np.uint8, copy=False)
    return (above.astype(np.uint16, copy=False) + np.uint16(lowest)).astype(dtype, copy=False)


def _pixels_of(source: Path) -> _Pixels:
    try:
        dataset = dcmread(source, force=True, defer_size="64 KB")
        syntax, element = dataset.file_meta.TransferSyntaxUID, dataset.get_item(PIXEL_DATA, keep_deferred=True)
        if syntax not in NATIVE:
            raise _left("compressed", "设备已压缩，无法逐位还原", "its device compressed it, so that its bytes could not be made again")
        if element is None:
            raise _left("no_pixels", "不含像素数据", "it holds no pixels")
        bits, samples = int(dataset.BitsAllocated), int(dataset.get("SamplesPerPixel") or 1)
        rows, columns, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
        planar, signed = int(dataset.get("PlanarConfiguration") or 0), int(dataset.get("PixelRepresentation") or 0) == 1
        at = element.value_tell
    except (InvalidDicomError, AttributeError, ValueError, TypeError, KeyError, EOFError, OSError, struct.error, NotImplementedError) as error:
        raise _left("unreadable", "文件头无法读取", f"its header cannot be read ({type(error).__name__})") from error
    if bits not in (8, 16) or samples not in (1, 3) or min(rows, columns, frames) < 1 or (samples == 3 and bits == 16):
        raise _left("pixel_type", "不支持这种像素类型", "pixels of this type are not packed")
    shape = (rows, columns) if samples == 1 else (samples * rows, columns) if planar else (rows, columns, samples)
    order = ">" if syntax == ExplicitVRBigEndian and bits == 16 else "<"
    return _Pixels(at, frames, shape, "|u1" if bits == 8 else f"{order}u2", signed)


def _left(code: str, zh: str, en: str) -> Invalid:
    return Invalid(code, f"未压缩归档：{zh}。", f"not packed: {en}.")
