"""Pixels out of a dataset, one frame at a time, whatever transfer syntax the device chose.

The promise: a frame comes back complete and of the stated size, or UndecodablePixels says why not;
grey values are the stored values (unused bits cleared, sign restored), colours are RGB. Only one
frame is unpacked at a time. Source: PS3.5 section 8 and Annex A, PS3.3 C.7.6.3.
"""
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragmented_frames
from pydicom.uid import UID, ExplicitVRBigEndian

from dicom_gateway.prepare.codestream import truncated
from dicom_gateway.prepare.colour import palette_to_rgb
from dicom_gateway.prepare.decoders import DECODERS
from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.layout import PixelLayout, pixel_layout
from dicom_gateway.prepare.native import native_frame, require_all_bytes


FLOATING = ("FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True)
class Frames:
    """The frames of one instance: iterate or index; each is decoded when asked for.

    A frame is (rows, columns) u1, i1, u2, i2, u4 or i4 for grey, (rows, columns, 3) u1 or u2 for RGB.
    """

    layout: PixelLayout
    photometric: str
    _dataset: Dataset
    _encoded: tuple[tuple[bytes, ...], ...] | None

    def __len__(self) -> int:
        return self.layout.frames

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        layout, dataset = self.layout, self._dataset
        if self._encoded is None:
            syntax = dataset.file_meta.TransferSyntaxUID
            element = dataset["PixelData"]
            big = syntax == ExplicitVRBigEndian
            frame = native_frame(element.value, index, layout, big, element.VR == "OW")
        else:
            stream = b"".join(self._encoded[index])
            frame = DECODERS[dataset.file_meta.TransferSyntaxUID](stream, layout)
        if frame.shape != layout.shape:
            raise UndecodablePixels(
                "size_disagrees",
                "解码后的图像尺寸与标签不一致，请让设备重新发送。",
                "the decoded frame is not of the size the dataset states; have it sent again",
            )
        if layout.photometric == "PALETTE COLOR":
            return palette_to_rgb(_stored_values(frame, layout), dataset)
        if layout.samples == 3:
            return np.ascontiguousarray(frame)
        return _stored_values(frame, layout)


def decode(dataset: Dataset, layout_of: Callable[[Dataset], PixelLayout] = pixel_layout) -> Frames:
    """The frames of a dataset read with pixel data, in their stored order. ``layout_of``: where somebody knows its layout
    already.

    Refused with UndecodablePixels: no pixel data, an unknown transfer syntax, attributes that make no
    image, fewer bytes or frames than stated. A damaged compressed frame is refused when it is asked for.
    """
    syntax = _transfer_syntax(dataset)
    if "PixelData" not in dataset and any(name in dataset for name in FLOATING):
        raise floating()
    if "PixelData" not in dataset:
        raise UndecodablePixels(
            "no_pixels",
            "该对象不含可显示的像素数据。",
            "this object holds no integer pixel data to show",
        )
    layout = layout_of(dataset)
    data = dataset.PixelData
    if not isinstance(data, (bytes, bytearray)):
        raise UndecodablePixels("no_pixels", "像素数据无法读取。", "the pixel data is not a string of bytes")
    if syntax in DECODERS:
        encoded = _encapsulated(data, layout)
    elif syntax.is_private or not syntax.is_transfer_syntax or syntax.is_encapsulated:
        raise UndecodablePixels(
            "transfer_syntax",
            f"不支持的传输语法 {syntax}，请在设备上改用未压缩或标准压缩格式。",
            f"transfer syntax {syntax} cannot be decoded; set the device to an uncompressed or standard one",
        )
    else:
        require_all_bytes(len(data), layout)
        encoded = None
    photometric = layout.photometric if layout.photometric.startswith("MONO") else "RGB"
    return Frames(layout, photometric, dataset, encoded)


def floating() -> UndecodablePixels:
    """The refusal of real numbers in place of grey values (parametric maps, PS3.3 C.7.6.24)."""
    return UndecodablePixels(
        "float_pixels",
        "该对象的像素是浮点数(如参数图)，不能作为灰度图像显示；原始对象完整保留，可下载后用专用软件打开。",
        "the pixels of this object are real numbers (a parametric map, for one) and are not shown as an image; the original is "
        "kept whole and can be opened with software made for it",
    )


def _transfer_syntax(dataset: Dataset) -> UID:
    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    if not syntax:
        raise UndecodablePixels(
            "transfer_syntax",
            "缺少传输语法，无法解释像素数据。",
            "the transfer syntax is missing, so the pixel data cannot be understood",
        )
    return UID(syntax)


def _encapsulated(data: bytes, layout: PixelLayout) -> tuple[tuple[bytes, ...], ...]:
    try:
        encoded = tuple(generate_fragmented_frames(data, number_of_frames=layout.frames))
    except (ValueError, EOFError, IndexError, OverflowError, struct.error) as error:
        raise UndecodablePixels(
            "encapsulation",
            "压缩像素数据的分片结构已损坏，请让设备重新发送。",
            "the fragments of the compressed pixel data are damaged; have this image sent again",
        ) from error
    if len(encoded) < layout.frames:
        raise truncated(f"{len(encoded)} < {layout.frames} frames")
    return encoded[: layout.frames]


def _stored_values(frame: np.ndarray, layout: PixelLayout) -> np.ndarray:
    """Grey values of the smallest fitting dtype: unused bits cleared, sign bit carried upwards."""
    width = frame.dtype.itemsize
    kind = "i" if layout.signed else "u"
    if layout.bits_allocated == 1:
        return np.ascontiguousarray(frame)
    spare = 8 * width - layout.bits_stored
    if spare < 0:
        raise UndecodablePixels(
            "bits",
            "码流位深低于标签所述位深，请联系设备厂家。",
            "the frame holds fewer bits than the dataset states",
        )
    if spare == 0 and layout.high_bit == layout.bits_stored - 1:
        return np.ascontiguousarray(frame).view(f"{kind}{width}")
    bits = np.ascontiguousarray(frame).view(f"u{width}")
    lower = layout.high_bit - layout.bits_stored + 1
    if lower == 0 and not layout.signed:
        values = bits & bits.dtype.type((1 << layout.bits_stored) - 1)
        return values.astype(f"u{_smallest(layout.bits_stored)}", copy=False)
    values = (bits << np.uint8(spare - lower)).view(f"{kind}{width}") >> np.uint8(spare)
    return values.astype(f"{kind}{_smallest(layout.bits_stored)}", copy=False)


def _smallest(bits: int) -> int:
    return 1 if bits <= 8 else 2 if bits <= 16 else 4
