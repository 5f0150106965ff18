"""One compressed frame in, one array out: a function for each family of transfer syntaxes.

The promise: the stream's own header is read first and must agree with the dataset in rows, columns
and samples, so no decoder is asked for more memory than the dataset's size; what comes back has
exactly the promised shape. Colours come back as RGB wherever the stream or the attributes say YBR.
"""
import struct
from collections.abc import Callable

import imagecodecs
import numpy as np
import openjpeg
from pydicom import uid
from rle.rle import decode_segment

from dicom_gateway.prepare import htj2k
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
    """High-throughput JPEG 2000, lossless and lossy, believed where two decoders agree.

    OpenJPH's binding gives a half-filled image without an error when a stream is damaged inside, so
    OpenJPEG reads it too; lossy streams may differ by one from rounding.
    """
    header = jpeg2000_header(stream)
    _require_same_size(header, layout)
    codestream = stream[header.offset :] if header.offset else stream
    frame = _called(openjpeg.decode, codestream).reshape(layout.shape)
    other = _called(htj2k.decode, codestream)
    if other.shape != frame.shape or np.abs(np.subtract(frame, other, dtype=np.int64)).max() > 1:
        raise _damaged()
    return _finished_wavelet(frame, header, layout)


def decode_rle(stream: bytes, layout: PixelLayout) -> np.ndarray:
    """RLE (PS3.5 Annex G): byte planes, most significant first, each packed by itself."""
    if layout.bits_allocated % 8:
        raise UndecodablePixels(
            "unsupported_layout",
            "RLE 图像的位分配不是 8 的倍数。",
            "an RLE image whose bits allocated are not a multiple of eight",
        )
    width = layout.bits_allocated // 8
    count = layout.rows * layout.columns
    segments = _rle_segments(stream, layout.samples * width)
    planes = np.empty((layout.samples, count, width), np.uint8)
    for number, segment in enumerate(segments):
        if count > MAX_RLE_GAIN * len(segment):
            raise truncated("RLE")
        unpacked = _called(decode_segment, segment)
        if len(unpacked) < count:
            raise truncated("RLE")
        sample, significance = divmod(number, width)
        planes[sample, :, width - 1 - significance] = np.frombuffer(unpacked, np.uint8, count)
    values = planes.reshape(-1).view(f"<u{width}").reshape(layout.samples, layout.rows, layout.columns)
    frame = values[0] if layout.samples == 1 else np.moveaxis(values, 0, -1)
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


def _rle_segments(stream: bytes, expected: int) -> list[bytes]:
    """The byte segments of an RLE frame (PS3.5 G.5), which must be as many as samples times bytes."""
    if len(stream) < 64:
        raise truncated("RLE header")
    count, *offsets = struct.unpack("<16I", stream[:64])
    bounds = [*offsets[:expected], len(stream)] if count <= 15 else []
    if count != expected or bounds != sorted(bounds) or bounds[0] < 64:
        raise UndecodablePixels(
            "corrupt",
            "RLE 像素数据的分段表与图像不符，请让设备重新发送该图像。",
            "the segment table of the RLE pixel data does not fit the image; have this image sent again",
        )
    return [stream[first:last] for first, last in zip(bounds, bounds[1:])]


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
        raise _damaged() from error


def _damaged() -> UndecodablePixels:
    return UndecodablePixels(
        "corrupt",
        "压缩像素数据已损坏，无法解码，请让设备重新发送该图像。",
        "the compressed pixel data is damaged and cannot be decoded; have this image sent again",
    )


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
