"""An SCP-ECG writer for tests, made from the standard's words and not from the reader: bit strings and loops."""
import struct

DEFAULT_CODES = {
    0: "0", 1: "100", -1: "101", 2: "1100", -2: "1101", 3: "11100", -3: "11101", 4: "111100", -4: "111101",
    5: "1111100", -5: "1111101", 6: "11111100", -6: "11111101", 7: "111111100", -7: "111111101",
    8: "1111111100", -8: "1111111101",
}


def crc_ccitt(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def pack(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def default_huffman(values) -> bytes:
    bits = ""
    for value in values:
        if value in DEFAULT_CODES:
            bits += DEFAULT_CODES[value]
        elif -128 <= value <= 127:
            bits += "1111111110" + format(value & 0xFF, "08b")
        else:
            bits += "1111111111" + format(value & 0xFFFF, "016b")
    return pack(bits)


def plain(values) -> bytes:
    return b"".join(struct.pack("<h", v) for v in values)


def differences(values, order):
    values = [int(v) for v in values]
    if order == 1:
        return values[:1] + [b - a for a, b in zip(values, values[1:])]
    if order == 2:
        return values[:2] + [c - 2 * b + a for a, b, c in zip(values, values[1:], values[2:])]
    return values


def section(number: int, body: bytes, version: int = 20) -> bytes:
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6s", number, 16 + len(body), version, version,
                       b"SCPECG" if number == 0 else b"") + body
    return struct.pack("<H", crc_ccitt(rest)) + rest


def record(bodies: dict[int, bytes], version: int = 20) -> bytes:
    numbers = list(range(12))
    size0 = 16 + 10 * len(numbers)
    pointers = struct.pack("<HII", 0, size0, 7)
    built, at = b"", 7 + size0
    for number in numbers[1:]:
        if number in bodies:
            made = section(number, bodies[number], version)
            pointers += struct.pack("<HII", number, len(made), at)
            built += made
            at += len(made)
        else:
            pointers += struct.pack("<HII", number, 0, 0)
    rest = struct.pack("<I", 6 + size0 + len(built)) + section(0, pointers, version) + built
    return struct.pack("<H", crc_ccitt(rest)) + rest


def leads_section(spans, flags: int) -> bytes:
    """``spans``: (first, last, code) of each lead."""
    return struct.pack("<BB", len(spans), flags) + b"".join(struct.pack("<IIB", *span) for span in spans)


def signal_section(nanovolts, interval_us, order, flag, pieces) -> bytes:
    return (struct.pack("<HHBB", nanovolts, interval_us, order, flag)
            + b"".join(struct.pack("<H", len(p)) for p in pieces) + b"".join(pieces))


def beats_section(length_ms, fiducial, beats, protected) -> bytes:
    """``beats``: (type, from, fiducial, to); ``protected``: (from, to)."""
    return (struct.pack("<HHH", length_ms, fiducial, len(beats))
            + b"".join(struct.pack("<HIII", *b) for b in beats)
            + b"".join(struct.pack("<II", *p) for p in protected))


def tag(number: int, value: bytes) -> bytes:
    return struct.pack("<BH", number, len(value)) + value


def text_tag(number: int, text: str, charset: str = "ascii") -> bytes:
    return tag(number, text.encode(charset) + b"\0")
