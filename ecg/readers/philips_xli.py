"""XLI, the lossless packing of Philips PageWriter and Sierra waveforms: LZW over second differences.

Each lead is a chunk: its length (4 bytes), 2 bytes unused, a first code (2 bytes), then LZW codes of ten
bits, highest bit first, that unpack to the high bytes and after them the low bytes of 16-bit words. The
first two words are samples; every later sample is twice the last minus the one before minus a code, the
codes running one word behind and 64 too high. What comes out is checked against what was declared, so a
small file cannot unpack to a large one.
"""
from __future__ import annotations

import numpy as np

from ecg.readers.byte_view import ByteView
from ecg.readers.refusals import refuse

_CHUNK_HEADER = 8
_LAST_CODE = 1022
_BITS = 10


def unpack_leads(raw: bytes, leads: int, most_samples: int) -> list[np.ndarray]:
    """Up to ``leads`` arrays of int64 counts, each of at most ``most_samples``.

    Refuses ``truncated`` where a chunk runs past the end, ``damaged`` where the codes make no sense, and
    ``hostile`` where a lead unpacks to more than was declared.
    """
    view, at, found = ByteView(raw), 0, []
    while at < len(view) and len(found) < leads:
        size, first = view.u32(at), view.signed(at + 6, 2)
        found.append(_samples(_lzw(view.take(at + _CHUNK_HEADER, size), 2 * most_samples), first))
        at += _CHUNK_HEADER + size
    return found


def _lzw(packed: bytes, most: int) -> bytes:
    """Bytes from ten-bit LZW codes; the table stops growing when it is full."""
    table = [bytes([i]) for i in range(256)]
    out, total = [], 0
    previous = b""
    buffer = bits = 0
    for byte in packed:
        buffer = (buffer << 8 | byte) & 0xFFFFF
        bits += 8
        if bits < _BITS:
            continue
        bits -= _BITS
        code = buffer >> bits & 0x3FF
        if code > _LAST_CODE:
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and previous:
            entry = previous + previous[:1]
        else:
            raise refuse("damaged")
        if previous and len(table) <= _LAST_CODE:
            table.append(previous + entry[:1])
        out.append(entry)
        total += len(entry)
        if total > most + 1:
            raise refuse("hostile")
        previous = entry
    return b"".join(out)


def _samples(unpacked: bytes, first: int) -> np.ndarray:
    """16-bit samples from the high and the low halves, second differences undone."""
    if len(unpacked) % 2:
        unpacked += b"\0"
    half = len(unpacked) // 2
    halves = np.frombuffer(unpacked, np.uint8).reshape(2, half).astype(np.int64)
    coded = (halves[0] << 8 | halves[1]).astype(np.int16).astype(np.int64)
    if half < 3:
        return coded
    seconds = -np.concatenate([[first], coded[2:-1] - 64])
    slopes = np.concatenate([[coded[1] - coded[0]], seconds]).cumsum()
    whole = np.concatenate([[coded[0]], coded[0] + slopes.cumsum()])
    return whole.astype(np.int16).astype(np.int64)


def restore_limb_leads(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The limb leads from what is stored in their place: how far each is from what I and II foretell.

    III = II - I - stored; aVR = -floor((I + II) / 2) - stored; aVL = floor((I - III) / 2) - stored;
    aVF = floor((II + III) / 2) - stored; all in counts.
    """
    if "I" not in rows or "II" not in rows:
        return rows
    out = dict(rows)
    size = min(row.size for name, row in rows.items() if name in ("I", "II", "III", "aVR", "aVL", "aVF"))
    one, two = rows["I"][:size], rows["II"][:size]
    if "III" in rows:
        out["III"] = two - one - rows["III"][:size]
    three = out.get("III", two - one)
    if "aVR" in rows:
        out["aVR"] = -((one + two) // 2) - rows["aVR"][:size]
    if "aVL" in rows:
        out["aVL"] = (one - three) // 2 - rows["aVL"][:size]
    if "aVF" in rows:
        out["aVF"] = (two + three) // 2 - rows["aVF"][:size]
    return out
