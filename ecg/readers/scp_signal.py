"""The arithmetic of SCP-ECG signals (EN 1064, 5.5, 5.8, 5.9 and annex C): bits in, whole numbers out.

Huffman codes, first and second differences, bimodal expansion, reference beats. Pure; all arrays are
int64 counts. The work is bounded by the bits that are there: every code takes at least one.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecg.readers.byte_view import ByteView
from ecg.readers.refusals import refuse

DEFAULT_TABLE = 19999
_CODE = 9
_MOST_CODES = 65536


@dataclass(frozen=True)
class Code:
    """One line of a Huffman table: what follows its prefix, and what it stands for.

    ``extra_bits``: bits of a two's complement number after the prefix, added to ``value``; where
    ``switches`` the code stands for no sample and ``value`` is the table (from 1) to go on with.
    """

    length: int
    extra_bits: int
    value: int
    switches: bool


#: Codes of one table by prefix length, shortest first: (length, {prefix: code}).
Table = tuple[tuple[int, dict[int, Code]], ...]


@dataclass(frozen=True)
class Beat:
    """One QRS (EN 1064, 5.7): its type, and 1-based sample numbers, both ends included."""

    kind: int
    subtract_from: int
    fiducial: int
    subtract_to: int
    protect_from: int = 0
    protect_to: int = -1


def default_table() -> Table:
    """The table of EN 1064, annex C.3.7.6: k ones, a zero and a sign for 0 to 8; then 8 or 16 bits as they are."""
    codes = [(0b0, Code(1, 0, 0, False))]
    for size in range(1, 9):
        ones = (1 << size) - 1
        codes.append((ones << 2, Code(size + 2, 0, size, False)))
        codes.append((ones << 2 | 1, Code(size + 2, 0, -size, False)))
    codes.append((0b1111111110, Code(10, 8, 0, False)))
    codes.append((0b1111111111, Code(10, 16, 0, False)))
    return _by_length(codes)


def read_tables(body: ByteView) -> tuple[Table, ...]:
    """The tables of section 2 (5.5); the default one for 19999, none for 0."""
    count = body.u16(0)
    if count == DEFAULT_TABLE:
        return (default_table(),)
    tables, at, lines = [], 2, 0
    for _ in range(count):
        size = body.u16(at)
        lines += size
        if lines > _MOST_CODES:
            raise refuse("hostile")
        tables.append(_by_length([_read_code(body.part(at + 2 + i * _CODE, _CODE)) for i in range(size)]))
        at += 2 + size * _CODE
    return tuple(tables)


def _read_code(line: ByteView) -> tuple[int, Code]:
    length, total = line.u8(0), line.u8(1)
    if not 1 <= length <= 32 or not length <= total <= length + 32:
        raise refuse("damaged")
    written = line.u32(5) & ((1 << length) - 1)
    prefix = int(format(written, f"0{length}b")[::-1], 2)     # stored with its first bit lowest
    return prefix, Code(length, total - length, line.i16(3), line.u8(2) == 0)


def _by_length(codes: list[tuple[int, Code]]) -> Table:
    lengths: dict[int, dict[int, Code]] = {}
    for prefix, code in codes:
        lengths.setdefault(code.length, {}).setdefault(prefix, code)
    return tuple(sorted(lengths.items()))


def decode_huffman(raw: bytes, most: int, tables: tuple[Table, ...]) -> np.ndarray:
    """Up to ``most`` numbers from a bit stream, highest bit of each byte first; fewer where it ends early.

    Refuses (``damaged``) bits that no table explains and a switch to a table that does not exist.
    """
    out: list[int] = []
    bits, at = len(raw) * 8, 0
    padded = raw + bytes(9)
    table = tables[0]
    while len(out) < most and at < bits:
        byte, used = at >> 3, at & 7
        window = (int.from_bytes(padded[byte:byte + 9], "big") >> (8 - used)) & 0xFFFFFFFFFFFFFFFF
        for length, codes in table:
            code = codes.get(window >> (64 - length))
            if code is not None:
                break
        else:
            if bits - at < 32:      # the last bits of the last byte are filling
                break
            raise refuse("damaged")
        at += code.length + code.extra_bits
        if at > bits:
            break
        if code.switches:
            if not 1 <= code.value <= len(tables):
                raise refuse("damaged")
            table = tables[code.value - 1]
            continue
        value = code.value
        if code.extra_bits:
            extra = (window >> (64 - code.length - code.extra_bits)) & ((1 << code.extra_bits) - 1)
            if extra >> (code.extra_bits - 1):
                extra -= 1 << code.extra_bits
            value += extra
        out.append(value)
    return np.array(out, dtype=np.int64)


def undo_differences(values: np.ndarray, order: int) -> np.ndarray:
    """Amplitudes from amplitudes (0), first (1) or second differences (2), in 16-bit arithmetic (5.8.3)."""
    if order == 0 or values.size == 0:
        return values
    if order == 1:
        whole = np.cumsum(values)
    elif order == 2:
        slopes = values.copy()
        slopes[1:2] -= values[0]
        slopes[1:] = np.cumsum(slopes[1:])
        whole = np.cumsum(slopes)
    else:
        raise refuse("unsupported")
    return whole.astype(np.int16).astype(np.int64)


def zones(beats: tuple[Beat, ...], first: int, last: int) -> list[tuple[int, int]]:
    """The protected zones within samples ``first`` to ``last``, in order, merged where they touch."""
    found: list[tuple[int, int]] = []
    spans = ((max(b.protect_from, first), min(b.protect_to, last)) for b in beats)
    for start, end in sorted(span for span in spans if span[1] >= span[0]):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def open_spans(protected: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int, bool]]:
    """Samples ``first`` to ``last`` as spans (start, end, protected) in order."""
    spans, at = [], first
    for start, end in protected:
        if start > at:
            spans.append((at, start - 1, False))
        spans.append((start, end, True))
        at = end + 1
    if at <= last:
        spans.append((at, last, False))
    return spans


def stored_count(spans: list[tuple[int, int, bool]], factor: int) -> int:
    """How many numbers bimodal compression leaves of the spans: every sample of a protected one, else a
    mean of each ``factor`` samples and the rest as they are (annex C.3.4)."""
    total = 0
    for start, end, protected in spans:
        size = end - start + 1
        total += size if protected else size // factor + size % factor
    return total


def expand_bimodal(stored: np.ndarray, spans: list[tuple[int, int, bool]], factor: int) -> np.ndarray:
    """All samples of the spans from the stored ones (annex C.4): straight lines between the means, which
    stand in the middle of their samples; half a step at either end stays level."""
    parts, at = [], 0
    for start, end, protected in spans:
        size = end - start + 1
        means = 0 if protected else size // factor
        if means:
            values = stored[at:at + means]
            steps = np.diff(values)[:, None] * np.arange(factor)[None, :]
            lines = values[:-1, None] + _nearest(steps, factor)
            parts += [np.repeat(values[:1], factor // 2), lines.ravel(),
                      np.repeat(values[-1:], factor - factor // 2)]
            at += means
        rest = size - means * factor
        parts.append(stored[at:at + rest])
        at += rest
    return np.concatenate(parts) if parts else stored[:0]


def smooth_open_spans(values: np.ndarray, first: int, protected: list[tuple[int, int]],
                      beats: tuple[Beat, ...]) -> np.ndarray:
    """Means of three outside the protected zones (annex C.4), but not across the edge of a subtracted
    beat. ``first``: sample number of ``values[0]``."""
    if values.size < 3:
        return values
    keep = np.zeros(values.size, dtype=bool)
    keep[[0, -1]] = True
    for start, end in protected:
        keep[start - first:end - first + 1] = True
    for beat in beats:
        if beat.kind == 0:
            edges = np.array([beat.subtract_from - 1, beat.subtract_from, beat.subtract_to,
                              beat.subtract_to + 1]) - first
            keep[edges[(edges >= 0) & (edges < values.size)]] = True
    smooth = values.copy()
    smooth[1:-1] = _nearest(values[:-2] + values[1:-1] + values[2:], 3)
    return np.where(keep, values, smooth)


def _nearest(numerator: np.ndarray, divisor: int) -> np.ndarray:
    """Whole quotients, halves away from zero."""
    return np.sign(numerator) * ((2 * np.abs(numerator) + divisor) // (2 * divisor))


def add_reference_beats(signal: np.ndarray, first: int, beat_counts: np.ndarray, fiducial: int,
                        beats: tuple[Beat, ...]) -> np.ndarray:
    """The signal with the reference beat put back wherever a beat of type 0 had it subtracted (5.7, C.3.2).

    ``first``: sample number of ``signal[0]``; ``fiducial``: 1-based position of the fiducial point in the
    reference beat. Both arrays in the same unit.
    """
    out = signal.copy()
    for beat in beats:
        if beat.kind != 0:
            continue
        offset = beat.fiducial - fiducial + 1                # sample number of the reference beat's first sample
        start = max(beat.subtract_from, first, offset)
        end = min(beat.subtract_to, first + signal.size - 1, offset + beat_counts.size - 1)
        if end >= start:
            out[start - first:end - first + 1] += beat_counts[start - offset:end - offset + 1]
    return out
