"""multipart/related going out and coming in (RFC 2387, PS3.18 8.6.1.2): bytes are never held all at once."""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom_gateway.corrected import Corrected
from hub.errors import Invalid

CHUNK = 1 << 20
LONGEST_HEADER = 16 * 1024
BROKEN = "bad_multipart"
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,200})"|([^;,\s"]{1,200}))""", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One part to send: bytes, a file, or a corrected object, of ``size`` bytes."""

    content_type: str
    content: bytes | Path | Corrected
    size: int
    location: str = ""


def body(parts: list[Part], boundary: str) -> tuple[Iterator[bytes], int]:
    """The body in pieces and its length in bytes."""
    heads = [_head(part, boundary, "\r\n" if place else "") for place, part in enumerate(parts)]
    end = f"\r\n--{boundary}--\r\n".encode()
    total = sum(len(head) + part.size for head, part in zip(heads, parts)) + len(end)
    return _pieces(parts, heads, end), total


def streamed(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """The body of parts that hold bytes and are made one after the other: its length is not known before."""
    before = ""
    for part in parts:
        yield _head(part, boundary, before) + part.content
        before = "\r\n"
    yield f"\r\n--{boundary}--\r\n".encode()


def _head(part: Part, boundary: str, before: str) -> bytes:
    where = f"Content-Location: {part.location}\r\n" if part.location else ""
    return f"{before}--{boundary}\r\nContent-Type: {part.content_type}\r\n{where}Content-Length: {part.size}\r\n\r\n".encode()


def _pieces(parts: list[Part], heads: list[bytes], end: bytes) -> Iterator[bytes]:
    for head, part in zip(heads, parts):
        if isinstance(part.content, bytes):
            yield head + part.content
            continue
        yield head
        if isinstance(part.content, Corrected):
            yield from part.content.pieces()
            continue
        with part.content.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    yield end


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart content type; Invalid where there is none."""
    found = _BOUNDARY.search(content_type)
    text = (found[1] or found[2]) if found else ""
    if not text or not text.isascii():
        raise _broken()
    return text.encode()


def arriving(stream, boundary: bytes) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
    """(headers, pieces of content) of each part while it arrives; a piece is at most ``CHUNK`` bytes.

    Content that was not taken is skipped. Invalid when the message breaks off or a part's head is too long.
    """
    reader = _Reader(stream, b"\r\n--" + boundary)
    for _ in reader.until_mark():
        pass
    while reader.another():
        headers = reader.headers()
        content = reader.until_mark()
        yield headers, content
        for _ in content:
            pass


class _Reader:
    """The bytes of a multipart message, cut at its marks; holds one chunk and a mark's length more."""

    def __init__(self, stream, mark: bytes):
        self._stream, self._mark, self._held, self._over = stream, mark, b"\r\n", False

    def until_mark(self) -> Iterator[bytes]:
        keep = len(self._mark) - 1
        while (at := self._held.find(self._mark)) < 0:
            if len(self._held) > keep:
                yield self._held[:-keep]
                self._held = self._held[-keep:]
            self._more()
        piece, self._held = self._held[:at], self._held[at + len(self._mark):]
        if piece:
            yield piece

    def another(self) -> bool:
        """Whether a part follows the mark just passed; False after the closing mark."""
        while len(self._held) < 2:
            self._more()
        if self._held[:2] == b"--":
            return False
        while (at := self._held.find(b"\r\n")) < 0:
            if len(self._held) > LONGEST_HEADER:
                raise _broken()
            self._more()
        if self._held[:at].strip(b" \t"):
            raise _broken()
        self._held = self._held[at:]
        return True

    def headers(self) -> dict[str, str]:
        while (at := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > LONGEST_HEADER:
                raise _broken()
            self._more()
        lines = self._held[:at].decode("latin-1").split("\r\n")
        self._held = self._held[at + 2:] if self._held[at + 4:].startswith(self._mark[2:]) else self._held[at + 4:]
        return {name.strip().lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}

    def _more(self) -> None:
        try:
            chunk = self._stream.read(CHUNK // 4)
        except OSError as error:                # a web server's word for a body in chunks that ends too soon
            raise _broken() from error
        if not chunk:
            raise _broken()
        self._held += chunk


def _broken() -> Invalid:
    return Invalid(BROKEN, "上传内容不是完整的 multipart/related 消息。", "the upload is not a complete multipart/related message.")
