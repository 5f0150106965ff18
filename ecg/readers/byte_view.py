"""Bytes read within their bounds: a read past the end is a refusal, never a crash or a short answer."""
from __future__ import annotations

from ecg.readers.refusals import refuse


class ByteView:
    """A window on bytes with checked reads at stated offsets; integers little-endian unless ``big``."""

    def __init__(self, content: bytes, start: int = 0, end: int | None = None, big: bool = False):
        end = len(content) if end is None else end
        if not 0 <= start <= end <= len(content):
            raise refuse("truncated")
        self._content = content
        self._start = start
        self._end = end
        self._order = "big" if big else "little"

    def __len__(self) -> int:
        return self._end - self._start

    def take(self, at: int, count: int) -> bytes:
        """``count`` bytes from offset ``at``; refused (``truncated``) where they are not all there."""
        if at < 0 or count < 0 or at + count > len(self):
            raise refuse("truncated")
        return self._content[self._start + at:self._start + at + count]

    def part(self, at: int, count: int) -> ByteView:
        """A view on ``count`` bytes from offset ``at``, without copying."""
        if at < 0 or count < 0 or at + count > len(self):
            raise refuse("truncated")
        return ByteView(self._content, self._start + at, self._start + at + count, self._order == "big")

    def unsigned(self, at: int, count: int) -> int:
        return int.from_bytes(self.take(at, count), self._order)

    def signed(self, at: int, count: int) -> int:
        return int.from_bytes(self.take(at, count), self._order, signed=True)

    def u8(self, at: int) -> int:
        return self.unsigned(at, 1)

    def u16(self, at: int) -> int:
        return self.unsigned(at, 2)

    def u32(self, at: int) -> int:
        return self.unsigned(at, 4)

    def i16(self, at: int) -> int:
        return self.signed(at, 2)
