"""Signal files of WFDB: bytes in, counts out, one function per storage format of signal(5).

Each unpacks to int64 in file order (signals interleaved within a frame) and states the count that means
"no sample here". FLAC (formats 508, 516, 524) is decoded by libsndfile through soundfile.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import soundfile

from ecg.readers.given import check_values, malformed, truncated

FORMAT_NAME = "WFDB"


@dataclass(frozen=True)
class _Storage:
    """How a format packs counts; ``invalid`` is its "no sample" value, None where it has none."""

    unpack: Callable[[bytes], np.ndarray]
    invalid: int | None
    group: int = 1          # counts come in groups of this many; the last may be incomplete


def _plain(dtype: str, offset: int = 0) -> Callable[[bytes], np.ndarray]:
    size = np.dtype(dtype).itemsize

    def unpack(content: bytes) -> np.ndarray:
        return np.frombuffer(content[:len(content) // size * size], dtype).astype(np.int64) - offset
    return unpack


def _unpack_24(content: bytes) -> np.ndarray:
    raw = np.frombuffer(content[:len(content) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int64)
    return _signed(raw[:, 0] | raw[:, 1] << 8 | raw[:, 2] << 16, 24)


def _unpack_212(content: bytes) -> np.ndarray:
    """Pairs of 12-bit counts in three bytes: low byte, high nibbles of both, low byte."""
    odd = len(content) % 3 == 2                       # a last count without its partner takes two bytes
    raw = np.frombuffer(content + b"\x00" if odd else content[:len(content) // 3 * 3], np.uint8)
    raw = raw.reshape(-1, 3).astype(np.int64)
    pairs = np.stack([raw[:, 0] | (raw[:, 1] & 0x0F) << 8, raw[:, 2] | (raw[:, 1] & 0xF0) << 4], axis=1).ravel()
    return _signed(pairs[:-1] if odd else pairs, 12)


def _unpack_310(content: bytes) -> np.ndarray:
    """Three 10-bit counts in two 16-bit words: bits 1-11 of each, and the top five bits of both."""
    words = np.frombuffer(content[:len(content) // 4 * 4], "<u2").reshape(-1, 2).astype(np.int64)
    third = words[:, 0] >> 11 | (words[:, 1] >> 11) << 5
    return _signed(np.stack([words[:, 0] >> 1 & 0x3FF, words[:, 1] >> 1 & 0x3FF, third], axis=1).ravel(), 10)


def _unpack_311(content: bytes) -> np.ndarray:
    """Three 10-bit counts in the low thirty bits of a 32-bit word."""
    word = np.frombuffer(content[:len(content) // 4 * 4], "<u4").astype(np.int64)
    return _signed(np.stack([word & 0x3FF, word >> 10 & 0x3FF, word >> 20 & 0x3FF], axis=1).ravel(), 10)


def _unpack_flac(content: bytes) -> np.ndarray:
    try:
        with soundfile.SoundFile(BytesIO(content)) as flac:
            if flac.format != "FLAC":
                raise malformed(FORMAT_NAME)
            bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}.get(flac.subtype)
            if bits is None:
                raise malformed(FORMAT_NAME)
            check_values(flac.channels, flac.frames)
            return (flac.read(dtype="int32", always_2d=True) >> (32 - bits)).astype(np.int64).ravel()
    except (soundfile.SoundFileError, RuntimeError, MemoryError):
        raise malformed(FORMAT_NAME) from None


def _signed(counts: np.ndarray, bits: int) -> np.ndarray:
    return counts - ((counts >> (bits - 1)) << bits)


_STORAGE = {
    "16": _Storage(_plain("<i2"), -32768),
    "24": _Storage(_unpack_24, -(2**23)),
    "32": _Storage(_plain("<i4"), -(2**31)),
    "61": _Storage(_plain(">i2"), -32768),
    "80": _Storage(_plain("u1", 128), -128),
    "160": _Storage(_plain("<u2", 32768), -32768),
    "212": _Storage(_unpack_212, -2048, 2),
    "310": _Storage(_unpack_310, -512, 3),
    "311": _Storage(_unpack_311, -512, 3),
    "508": _Storage(_unpack_flac, -128),
    "516": _Storage(_unpack_flac, -32768),
    "524": _Storage(_unpack_flac, -(2**23)),
}
FORMATS = frozenset(_STORAGE)


def counts_of(content: bytes, storage: str, per_frame: Sequence[int], samples: int,
              skews: Sequence[int]) -> tuple[list[np.ndarray], list[int]]:
    """The counts of each signal of one file, float64 with NaN for "no sample", and each checksum mod 65536.

    ``samples`` is the frames the header declares; 0 means as many as the file holds. Fewer than declared is
    ``truncated``. A signal with skew k starts k frames later in the file; its end is then NaN.
    """
    kind = _STORAGE[storage]
    check_values(1, max(1, len(content) * 8 // 10 if not storage.startswith("5") else 1))
    unpacked = kind.unpack(content)
    frame = sum(per_frame)
    held = unpacked.size // frame
    if samples and held < samples:
        raise truncated()
    frames = samples or held
    table = unpacked[:frames * frame].reshape(frames, frame)
    rows, checksums = [], []
    first = 0
    for width, skew in zip(per_frame, skews):
        counts = table[:, first:first + width].ravel()
        first += width
        checksums.append(int(counts.sum()) % 65536)
        values = np.where(counts == kind.invalid, np.nan, counts.astype(np.float64))
        if skew:
            shift = min(skew * width, values.size)
            values = np.concatenate([values[shift:], np.full(shift, np.nan)])
        rows.append(values)
    return rows, checksums
