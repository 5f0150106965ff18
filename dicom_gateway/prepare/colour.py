"""Colours as stored by devices turned into RGB.

The promise: full-range YBR follows PS3.3 C.7.6.3.1.2 to the nearest integer; palettes are looked up
and never interpolated. Arrays in, arrays out.
"""
import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from dicom_gateway.prepare.errors import UndecodablePixels


def ybr_to_rgb(pixels: np.ndarray) -> np.ndarray:
    """YBR_FULL (rows, columns, 3) uint8 as RGB of the same shape (PS3.3 C.7.6.3.1.2, CCIR 601-2)."""
    luma = pixels[..., 0].astype(np.float32)
    blue_difference = pixels[..., 1].astype(np.float32) - 128
    red_difference = pixels[..., 2].astype(np.float32) - 128
    rgb = np.empty(pixels.shape, dtype=np.float32)
    rgb[..., 0] = luma + 1.402 * red_difference
    rgb[..., 1] = luma - 0.344136 * blue_difference - 0.714136 * red_difference
    rgb[..., 2] = luma + 1.772 * blue_difference
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def spread_422(packed: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Native YBR_FULL_422, stored Y Y Cb Cr for every two pixels of a row, as (rows, columns, 3).

    ``packed`` holds rows * columns * 2 values; an odd number of columns is refused by the caller.
    """
    quads = packed.reshape(rows, columns // 2, 4)
    full = np.empty((rows, columns, 3), dtype=packed.dtype)
    full[:, 0::2, 0] = quads[..., 0]
    full[:, 1::2, 0] = quads[..., 1]
    full[:, 0::2, 1:] = quads[..., 2:]
    full[:, 1::2, 1:] = quads[..., 2:]
    return full


def palette_to_rgb(indices: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Palette colour (rows, columns) as RGB uint8 (rows, columns, 3) (PS3.3 C.7.6.3.1.5).

    Sixteen-bit palettes keep their upper eight bits. Refused with UndecodablePixels: no usable palette.
    """
    try:
        rgb = apply_color_lut(indices, dataset)
    except (ValueError, KeyError, AttributeError, TypeError, IndexError, OverflowError) as error:
        raise UndecodablePixels(
            "palette",
            "调色板图像缺少有效的颜色表，请联系设备厂家。",
            "the image is palette colour but its colour table is missing or not usable",
        ) from error
    rgb = rgb[..., :3]
    if rgb.dtype == np.uint16:
        rgb = (rgb >> 8).astype(np.uint8)
    return np.ascontiguousarray(rgb)
