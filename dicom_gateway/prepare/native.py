"""Uncompressed pixel data: one frame's slice of bytes as an array, without copying the others.

The promise: the bytes must be as many as the layout needs; fewer are refused, never filled up.
Source: PS3.5 8.1.1, 8.2 and Annex A; bit-packed frames follow each other without a gap (PS3.5 8.1.1).
"""
import numpy as np

from dicom_gateway.prepare.codestream import truncated
from dicom_gateway.prepare.colour import spread_422, ybr_to_rgb
from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.layout import PixelLayout


def values_per_frame(layout: PixelLayout) -> int:
    """Stored values in one frame; a native YBR_FULL_422 frame holds two per pixel, not three."""
    per_pixel = 2 if layout.photometric == "YBR_FULL_422" else layout.samples
    return layout.rows * layout.columns * per_pixel


def required_bytes(layout: PixelLayout) -> int:
    """Bytes that all frames need, without the padding byte of an odd total."""
    return -(-values_per_frame(layout) * layout.frames * layout.bits_allocated // 8)


def require_all_bytes(length: int, layout: PixelLayout) -> None:
    """Refuses (UndecodablePixels) pixel data shorter than its attributes promise."""
    if layout.photometric in ("YBR_RCT", "YBR_ICT") or (
        layout.photometric == "YBR_FULL_422" and layout.columns % 2
    ):
        raise UndecodablePixels(
            "photometric",
            "未压缩图像的颜色类型不合法，请联系设备厂家。",
            "this photometric interpretation is not possible without compression",
        )
    if length < required_bytes(layout):
        raise truncated(f"{length} < {required_bytes(layout)} bytes")


def native_frame(data: bytes, index: int, layout: PixelLayout, big_endian: bool, words: bool) -> np.ndarray:
    """Frame ``index`` of native pixel data, colours as RGB.

    ``words`` is true where eight-bit pixels were sent as big-endian OW: their bytes are swapped in pairs.
    """
    count = values_per_frame(layout)
    if layout.bits_allocated == 1:
        return _bits(data, index * count, count).reshape(layout.rows, layout.columns)
    if big_endian and words and layout.bits_allocated == 8:
        flat = _swapped_bytes(data, index * count, count)
    else:
        width = layout.bits_allocated // 8
        order = ">" if big_endian else "<"
        flat = np.frombuffer(data, dtype=f"{order}u{width}", count=count, offset=index * count * width)
        if big_endian and width > 1:
            flat = flat.astype(f"<u{width}")
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    if layout.photometric == "YBR_FULL_422":
        return ybr_to_rgb(spread_422(flat, layout.rows, layout.columns))
    if layout.planar:
        frame = np.moveaxis(flat.reshape(layout.samples, layout.rows, layout.columns), 0, -1)
    else:
        frame = flat.reshape(layout.shape)
    return ybr_to_rgb(frame) if layout.photometric == "YBR_FULL" else frame


def _bits(data: bytes, first: int, count: int) -> np.ndarray:
    start, skip = divmod(first, 8)
    stop = -(-(first + count) // 8)
    packed = np.frombuffer(data, dtype=np.uint8, count=stop - start, offset=start)
    return np.unpackbits(packed, bitorder="little")[skip : skip + count]


def _swapped_bytes(data: bytes, first: int, count: int) -> np.ndarray:
    start = first & ~1
    stop = first + count + ((first + count) & 1)
    pairs = np.frombuffer(data, dtype=np.uint8, count=min(stop, len(data) & ~1) - start, offset=start)
    swapped = pairs.reshape(-1, 2)[:, ::-1].reshape(-1)
    return swapped[first - start : first - start + count]
