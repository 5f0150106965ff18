"""The bytes around a stored data set: the C-STORE request, its response, and the header of the kept file.

Pure functions, without pydicom, because they run once per object. Command sets are implicit VR little endian
(PS3.7 6.3.1); the file header is explicit VR little endian (PS3.10 7.1).
"""
from __future__ import annotations

import struct
from dataclasses import dataclass

IMPLEMENTATION_UID = "2.25.147859726870030653109970758313609687566"   # PS3.5 B.2: derived from a UUID
IMPLEMENTATION_VERSION = "DIAGNOSIS_HUB_1"

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
NO_DATA_SET = 0x0101
LONGEST_UID = 64

_ELEMENT = struct.Struct("<HHL")
_PDU_AND_ITEM = struct.Struct(">BxLLBB")
P_DATA_TF = 0x04
LAST_COMMAND_FRAGMENT = 0x03


@dataclass(frozen=True)
class StoreRequest:
    """A C-STORE-RQ (PS3.7 9.3.1.1). The UIDs are as sent, without padding; empty where the sender left them out."""

    message_id: int
    sop_class: bytes
    sop_instance: bytes
    has_data_set: bool


def store_request(encoded: bytes) -> StoreRequest | None:
    """The request in a whole command set, or None for any other command. ValueError for one that cannot be read."""
    found: dict[int, bytes] = {}
    place = 0
    while place < len(encoded):
        if len(encoded) - place < 8:
            raise ValueError("a command element is cut off")
        group, element, length = _ELEMENT.unpack_from(encoded, place)
        place += 8
        if group != 0 or length > len(encoded) - place:
            raise ValueError("a command element is not one of group 0000 or is longer than the command")
        found[element] = encoded[place:place + length]
        place += length
    if _number(found, 0x0100) != C_STORE_RQ:
        return None
    return StoreRequest(_number(found, 0x0110), _uid(found, 0x0002), _uid(found, 0x1000), _number(found, 0x0800) != NO_DATA_SET)


def store_response(context_id: int, request: StoreRequest, status: int, comment: str = "") -> bytes:
    """A whole P-DATA-TF PDU (PS3.8 9.3.5) with the C-STORE-RSP (PS3.7 9.3.1.2). ``comment``: ASCII, cut at 64."""
    parts = [
        _encoded(0x0002, _padded(request.sop_class)) if request.sop_class else b"",
        _encoded(0x0100, struct.pack("<H", C_STORE_RSP)),
        _encoded(0x0120, struct.pack("<H", request.message_id)),
        _encoded(0x0800, struct.pack("<H", NO_DATA_SET)),
        _encoded(0x0900, struct.pack("<H", status)),
        _encoded(0x0902, _padded(comment.encode("ascii", "replace")[:64], b" ")) if comment else b"",
        _encoded(0x1000, _padded(request.sop_instance)) if request.sop_instance else b"",
    ]
    elements = b"".join(parts)
    command = _encoded(0x0000, struct.pack("<L", len(elements))) + elements
    length = len(command) + 2
    return _PDU_AND_ITEM.pack(P_DATA_TF, length + 4, length, context_id, LAST_COMMAND_FRAGMENT) + command


def file_header(sop_class: bytes, sop_instance: bytes, transfer_syntax: str) -> bytes:
    """Preamble, prefix and group 0002. The same for the same arguments whichever version of the program wrote it."""
    elements = b"".join((
        b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01",
        _meta(0x0002, b"UI", _padded(sop_class)),
        _meta(0x0003, b"UI", _padded(sop_instance)),
        _meta(0x0010, b"UI", _padded(transfer_syntax.encode("ascii"))),
        _meta(0x0012, b"UI", _padded(IMPLEMENTATION_UID.encode("ascii"))),
        _meta(0x0013, b"SH", _padded(IMPLEMENTATION_VERSION.encode("ascii"), b" ")),
    ))
    return b"\0" * 128 + b"DICM" + _meta(0x0000, b"UL", struct.pack("<L", len(elements))) + elements


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    return int.from_bytes(value[:2], "little")


def _uid(found: dict[int, bytes], element: int) -> bytes:
    return found.get(element, b"").strip(b"\0 ")[:LONGEST_UID]


def _padded(value: bytes, pad: bytes = b"\0") -> bytes:
    return value + pad * (len(value) % 2)


def _encoded(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


def _meta(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
