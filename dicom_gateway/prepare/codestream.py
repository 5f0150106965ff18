"""What a compressed frame says about itself, read from its markers before any decoder is let near it.

The promise: a frame whose own size differs from the dataset's, or whose end is missing, is refused
here, before memory is taken. Decoders are forgiving (a cut HTJ2K stream decodes without an error);
a diagnosis cannot be. Sources: ITU-T T.81 B.2 (JPEG), T.87 C.2 (JPEG-LS), T.800 A.4-A.5 (JPEG 2000).
"""
import struct
from dataclasses import dataclass

from dicom_gateway.prepare.errors import UndecodablePixels


@dataclass(frozen=True)
class StreamHeader:
    """Size and kind of one compressed frame as its own markers state it.

    ``colour`` is "RGB" or "YBR" where the stream itself says so, else None.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool
    colour: str | None
    offset: int


_SOF_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def truncated(what: str) -> UndecodablePixels:
    """The refusal of a frame whose end is missing."""
    return UndecodablePixels(
        "truncated",
        f"影像像素数据不完整({what})，请让设备重新发送该图像。",
        f"the pixel data is cut short ({what}); have the device send this image again",
    )


def jpeg_header(stream: bytes) -> StreamHeader:
    """The frame header of a JPEG or JPEG-LS stream, with a check that its end is there.

    Refused with UndecodablePixels: no frame header, a segment running past the end, no EOI marker.
    """
    start = stream.find(b"\xff\xd8")
    if start < 0:
        raise _not_a_stream("JPEG")
    position = start + 2
    colour = None
    while position + 4 <= len(stream):
        if stream[position] != 0xFF:
            raise _not_a_stream("JPEG")
        marker = stream[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            position += 2
            continue
        length = struct.unpack_from(">H", stream, position + 2)[0]
        body = stream[position + 4 : position + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise truncated("JPEG marker")
        if marker == 0xE0 and body.startswith(b"JFIF") and colour is None:
            colour = "YBR"
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            colour = "YBR" if body[11] == 1 else "RGB"
        elif marker in _SOF_MARKERS:
            if len(body) < 6 or len(body) < 6 + 3 * body[5]:
                raise truncated("JPEG frame header")
            precision, rows, columns, samples = struct.unpack_from(">BHHB", body)
            names = bytes(body[6 + 3 * n] for n in range(samples))
            if names in (b"RGB", b"rgb"):
                colour = "RGB"
            if b"\xff\xd9" not in stream[-16:]:
                raise truncated("JPEG")
            return StreamHeader(rows, columns, samples, precision, False, colour, start)
        elif marker == 0xDA:
            break
        position += 2 + length
    raise _not_a_stream("JPEG")


def jpeg2000_header(stream: bytes) -> StreamHeader:
    """The SIZ segment of a JPEG 2000 or HTJ2K codestream (bare or inside a JP2 file).

    Every tile-part must be there as long as its own header says: refused with UndecodablePixels else.
    """
    start = stream.find(b"\xff\x4f\xff\x51")
    if start < 0 or start + 42 > len(stream):
        raise _not_a_stream("JPEG 2000")
    right, bottom, left, top = struct.unpack_from(">IIII", stream, start + 8)
    samples = struct.unpack_from(">H", stream, start + 40)[0]
    if start + 42 + 3 * samples > len(stream) or samples == 0:
        raise truncated("JPEG 2000 SIZ")
    parts = [stream[start + 42 + 3 * n : start + 45 + 3 * n] for n in range(samples)]
    if len({part[0] for part in parts}) != 1 or any(part[1:] != b"\x01\x01" for part in parts):
        raise UndecodablePixels(
            "unsupported_layout",
            "JPEG 2000 各分量的位深或采样不同，暂不支持。",
            "the JPEG 2000 components differ in depth or sampling, which is not supported",
        )
    _require_all_tile_parts(stream, start)
    return StreamHeader(
        bottom - top, right - left, samples, (parts[0][0] & 0x7F) + 1, bool(parts[0][0] & 0x80), None, start
    )


def _require_all_tile_parts(stream: bytes, start: int) -> None:
    position = start + 2
    while position + 4 <= len(stream) and stream[position : position + 2] != b"\xff\x90":
        if stream[position] != 0xFF:
            raise _not_a_stream("JPEG 2000")
        position += 2 + struct.unpack_from(">H", stream, position + 2)[0]
    seen = 0
    while position + 12 <= len(stream) and stream[position : position + 2] == b"\xff\x90":
        seen += 1
        length = struct.unpack_from(">I", stream, position + 6)[0]
        if length == 0:
            if b"\xff\xd9" not in stream[-16:]:
                raise truncated("JPEG 2000")
            return
        if length < 14:
            raise _not_a_stream("JPEG 2000")
        position += length
    if seen == 0 or position > len(stream):
        raise truncated("JPEG 2000")
    if stream[position : position + 2] != b"\xff\xd9":
        raise truncated("JPEG 2000")


def _not_a_stream(kind: str) -> UndecodablePixels:
    return UndecodablePixels(
        "not_a_stream",
        f"像素数据不是有效的 {kind} 码流，请检查设备的压缩设置。",
        f"the pixel data is not a valid {kind} stream; check the device's compression setting",
    )
