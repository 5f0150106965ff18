"""Frames turned into bytes for screens: lossless HTJ2K for reading, JPEG and PNG for pages.

The promise: no HTJ2K stream leaves this file before it was decoded again and found equal, pixel for
pixel, in value, shape and sign. Arrays in, bytes out. Source: ITU-T T.814; DICOM transfer syntax
1.2.840.10008.1.2.4.201 (HTJ2K lossless).
"""
import hashlib
import io
from collections.abc import Callable

import imagecodecs
import numpy as np
from PIL import Image

from dicom_gateway.prepare import htj2k
from dicom_gateway.prepare.errors import NotReproduced

HTJ2K_LOSSLESS_UID = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL_UID = "1.2.840.10008.1.2.4.202"
BY_RESOLUTION = 1      # a tile-part for each resolution level, the coarsest first (T.814, RPCL), their lengths in TLM
THUMBNAIL_EDGE = 192


def htj2k_lossless(
    frame: np.ndarray,
    encoder: Callable[..., bytes] = htj2k.encode,
    decoder: Callable[..., np.ndarray] = htj2k.decode,
) -> bytes:
    """One frame as a lossless HTJ2K codestream that is proved to decode to the same pixels.

    Resolution levels follow each other, so that a range of its first bytes is a whole image of fewer pixels: where each
    ends stands in its TLM segment (T.800 A.7.1). It is RPCL, and so of both transfer syntaxes 201 and 202.

    ``frame``: (rows, columns) or (rows, columns, 3) of u1, i1, u2 or i2. Refused with NotReproduced:
    another dtype or shape, or a stream that does not decode to equal pixels.
    """
    grey_or_rgb = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
    if frame.dtype.kind not in "iu" or frame.dtype.itemsize > 2 or not grey_or_rgb or frame.size == 0:
        raise NotReproduced(
            "unsupported_pixels",
            "该像素类型(如 32 位剂量图)不能无损转换为阅片格式，请使用原始图像。",
            f"{frame.dtype} pixels of shape {frame.shape} cannot be held in lossless HTJ2K; use the original",
        )
    native = np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("="))
    try:
        stream = bytes(encoder(native, reversible=True, tlm=True, tilepart=BY_RESOLUTION))
        again = decoder(stream)
    except (RuntimeError, ValueError, TypeError) as error:
        raise _not_reproduced() from error
    if again.dtype != native.dtype or not np.array_equal(again, native):
        raise _not_reproduced()
    return stream


def pixel_sha256(frame: np.ndarray) -> str:
    """SHA-256 (hex) of the pixels in row order, little-endian, channels interleaved."""
    return hashlib.sha256(np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("<")).data).hexdigest()


def rendered(shown: np.ndarray, kind: str = "jpeg", quality: int = 90) -> bytes:
    """Grey levels or RGB (uint8) as a "jpeg" or "png" file; ValueError for anything else."""
    if shown.dtype != np.uint8:
        raise ValueError("only uint8 grey levels or RGB are rendered; apply a window first")
    pixels = np.ascontiguousarray(shown)
    if kind == "jpeg":
        return bytes(imagecodecs.jpeg8_encode(pixels, level=quality))
    if kind == "png":
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=3)
        return file.getvalue()
    raise ValueError(f"{kind!r} is neither jpeg nor png")


def shrunk(frame: np.ndarray, edge: int = THUMBNAIL_EDGE) -> np.ndarray:
    """A frame with its longer side at most twice ``edge``, by averaging whole blocks; dtype kept.

    Averaging before the window is applied saves work: the rest is done on grey levels.
    """
    step = max(frame.shape[0], frame.shape[1]) // edge
    if step < 2:
        return frame
    rows, columns = frame.shape[0] // step, frame.shape[1] // step
    if rows == 0 or columns == 0:
        return frame
    blocks = frame[: rows * step, : columns * step]
    total = blocks[:, 0::step].astype(np.int32)
    for offset in range(1, step):
        total += blocks[:, offset::step]
    sums = total[0::step].copy()
    for offset in range(1, step):
        sums += total[offset::step]
    return (sums // (step * step)).astype(frame.dtype)


def thumbnail(shown: np.ndarray, edge: int = THUMBNAIL_EDGE) -> bytes:
    """Grey levels or RGB (uint8) as a JPEG whose longer side is at most ``edge`` pixels."""
    image = Image.fromarray(np.ascontiguousarray(shown))
    if max(image.size) > edge:
        image.thumbnail((edge, edge), Image.Resampling.BILINEAR, reducing_gap=None)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


def _not_reproduced() -> NotReproduced:
    return NotReproduced(
        "not_reproduced",
        "无损压缩后的图像与原图不一致，已拒绝使用，请使用原始图像。",
        "the encoded frame does not decode to the same pixels and was not used; use the original",
    )
