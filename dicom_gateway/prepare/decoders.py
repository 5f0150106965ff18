"""One compressed frame in, one array out: a function for each family of transfer syntaxes.

The promise: the stream's own header is read first and must agree with the dataset in rows, columns
and samples, so no decoder is asked for more memory than the dataset's size; what comes back has
exactly the promised shape. Colours come back as RGB wherever the stream or the attributes say YBR.
"""
from collections.abc import Callable

import imagecodecs
import numpy as np
import openjpeg
from pydicom import uid
from rle.rle import decode_frame as decode_rle_planes

from dicom_gateway.prepare.codestream import StreamHeader, jpeg2000_header, jpeg_header, truncated
from dicom_gateway.prepare.colour import ybr_to_rgb
from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.layout import PixelLayout

MAX_RLE_GAIN = 64


def decode_jpeg(stream: bytes, layout: PixelLayout) -> np.ndarray:
    """JPEG baseline, extended (8 and 12 bit) and lossless (2 to 16 bit), any predictor."""
    header = jpeg_header(stream)
    _require_same_size(header, layout)
    stream = stream[header.offset :] if header.offset else stream
    if layout.samples == 1:
        return _called(imagecodecs.jpeg8_decode, stream)
    stored_as_ybr = header.colour == "YBR" or (header.colour is None and layout.photometric.startswith("YBR"))
    stored = "YCBCR" if stored_as_ybr else "RGB"
    return _called(imagecodecs.jpeg8_decode, stream, colorspace=stored, outcolorspace="RGB")


def decode_jpeg_ls(stream: bytes, layout: PixelLayout) -> np.ndarray:
    """JPEG-LS lossless and near-lossless, any interleave mode."""
    header = jpeg_header(stream)
    _require_same_size(header, layout)
    frame = _called(imagecodecs.jpegls_decode, stream[header.offset :])
    if frame.ndim == 3 and frame.shape == (layout.samples, layout.rows, layout.columns) != layout.shape:
        frame = np.moveaxis(frame, 0, -1)
    frame = _with_sign_of_dataset(frame, header, layout)
    if layout.samples == 3 and layout.photometric.startswith("YBR"):
        return ybr_to_rgb(frame)
    return frame


def decode_jpeg2000(stream: bytes, layout: PixelLayout) -> np.ndarray:
    """JPEG 2000, reversible and irreversible; YBR_RCT and YBR_ICT are undone by the codec itself."""
    header = jpeg2000_header(stream)
    _require_same_size(header, layout)
    codestream = stream[header.offset :] if header.offset else stream
    try:
        frame = imagecodecs.jpeg2k_decode(codestream, planar=False)
    except (RuntimeError, ValueError):
        frame = _called(openjpeg.decode, codestream)
    return _finished_wavelet(frame, header, layout)


def decode_htj2k(stream: bytes, layout: PixelLayout) -> np.ndarray:
    """High-throughput JPEG 2000, lossless and lossy."""
    header = jpeg2000_header(stream)
    _require_same_size(header, layout)
    codestream = stream[header.offset :] if header.offset else stream
    return _finished_wavelet(_called(imagecodecs.htj2k_decode, codestream), header, layout)


def decode_rle(stream: bytes, layout: PixelLayout) -> np.ndarray:
    """RLE (PS3.5 Annex G): byte planes, most significant first, each packed by itself."""
    if layout.bits_allocated % 8:
        raise UndecodablePixels(
            "unsupported_layout",
            "RLE 图像的位分配不是 8 的倍数。",
            "an RLE image whose bits allocated are not a multiple of eight",
        )
    expected = layout.frame_bytes
    if expected > MAX_RLE_GAIN * len(stream):
        raise truncated("RLE")
    raw = _called(decode_rle_planes, stream, layout.rows * layout.columns, layout.bits_allocated, "<")
    if len(raw) != expected:
        raise truncated("RLE")
    planes = np.frombuffer(raw, dtype=f"<u{layout.bits_allocated // 8}")
    planes = planes.reshape(layout.samples, layout.rows, layout.columns)
    frame = planes[0] if layout.samples == 1 else np.moveaxis(planes, 0, -1)
    if layout.samples == 3 and layout.photometric.startswith("YBR"):
        return ybr_to_rgb(frame)
    return frame


DECODERS: dict[str, Callable[[bytes, PixelLayout], np.ndarray]] = {
    uid.JPEGBaseline8Bit: decode_jpeg,
    uid.JPEGExtended12Bit: decode_jpeg,
    uid.JPEGLossless: decode_jpeg,
    uid.JPEGLosslessSV1: decode_jpeg,
    uid.JPEGLSLossless: decode_jpeg_ls,
    uid.JPEGLSNearLossless: decode_jpeg_ls,
    uid.JPEG2000Lossless: decode_jpeg2000,
    uid.JPEG2000: decode_jpeg2000,
    uid.HTJ2KLossless: decode_htj2k,
    uid.HTJ2KLosslessRPCL: decode_htj2k,
    uid.HTJ2K: decode_htj2k,
    uid.RLELossless: decode_rle,
}


def _require_same_size(header: StreamHeader, layout: PixelLayout) -> None:
    found = (header.rows, header.columns, header.samples)
    if found != (layout.rows, layout.columns, layout.samples) or header.precision > 32:
        raise UndecodablePixels(
            "size_disagrees",
            "压缩码流中的图像尺寸与 DICOM 标签不一致，请让设备重新发送。",
            "the compressed frame's own size is not the one the dataset states; have it sent again",
        )


def _called(decoder: Callable, *args, **options):
    """What the codec gives; whatever it raises becomes one named refusal."""
    try:
        return decoder(*args, **options)
    except MemoryError:
        raise
    except Exception as error:  # codecs raise their own, undocumented types
        raise UndecodablePixels(
            "corrupt",
            "压缩像素数据已损坏，无法解码，请让设备重新发送该图像。",
            "the compressed pixel data is damaged and cannot be decoded; have this image sent again",
        ) from error


def _finished_wavelet(frame: np.ndarray, header: StreamHeader, layout: PixelLayout) -> np.ndarray:
    frame = _with_sign_of_dataset(frame, header, layout)
    if layout.samples == 3 and layout.photometric in ("YBR_FULL", "YBR_FULL_422"):
        return ybr_to_rgb(frame)
    return frame


def _with_sign_of_dataset(frame: np.ndarray, header: StreamHeader, layout: PixelLayout) -> np.ndarray:
    """Bits read with the other signedness than the dataset's, taken as the dataset states."""
    if layout.signed == header.signed or layout.samples != 1:
        return frame
    width = 8 * frame.dtype.itemsize
    spare = width - header.precision
    same_bits = frame.view(f"u{frame.dtype.itemsize}") << spare
    return same_bits.view(f"{'i' if layout.signed else 'u'}{frame.dtype.itemsize}") >> spare
