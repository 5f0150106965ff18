"""What comes over an HTTP connection: when a request is whole, and how long its body is waited for."""
from __future__ import annotations

import re
import socket
from collections.abc import Callable
from time import monotonic
from typing import BinaryIO

from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader

PATIENCE_S = 30.0               # without a byte; and for a request's head and short body in all
SLOWEST_BYTES_PER_S = 1000      # of a long body, beyond PATIENCE_S: a tenth of the slowest mobile line
SHORT_BODY = 64 * 1024          # bytes that are waited for without a thread
LONGEST_HEAD = 64 * 1024
LONGEST_ADDRESS = 45            # of IPv6

SILENT, SHORT, WHOLE, LONG, TOO_LONG, NOT_HTTP = "silent", "short", "whole", "long", "too_long", "not_http"

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?=\r\n)")
_FORWARDED = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)")
_HEX = re.compile(rb"[0-9a-fA-F]{1,15}")
_FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def judged(said: bytearray) -> str:
    """What the bytes of a connection amount to: SILENT, SHORT (more must come), WHOLE (head and a short body), LONG (a head whose
    body is long, of unknown length, or sent only when asked for), TOO_LONG (a head without end), NOT_HTTP."""
    if not said:
        return SILENT
    if said[0] not in _FIRST:
        return NOT_HTTP
    end = said.find(b"\r\n\r\n")
    if end < 0:
        return TOO_LONG if len(said) > LONGEST_HEAD else SHORT
    head = bytes(said[:end + 2]).lower()
    if b"\r\ntransfer-encoding:" in head or b"\r\nexpect:" in head:
        return LONG
    length = _LENGTH.search(head)
    if length is None:
        return WHOLE
    if int(length[1]) > SHORT_BODY:
        return LONG
    return WHOLE if len(said) >= end + 4 + int(length[1]) else SHORT


def forwarded(said: bytearray, hops: int) -> str:
    """The address for which the ``hops``-th proxy in front asks, "" where the head does not say: as the pages read X-Forwarded-For."""
    head = bytes(said[:said.find(b"\r\n\r\n") + 2]).lower()
    passed = [one.strip() for one in b",".join(_FORWARDED.findall(head)).split(b",")]
    return passed[-hops].decode("latin-1")[:LONGEST_ADDRESS] if hops and len(passed) >= hops else ""


class Ending:
    """Where the body ends that follows a head, as far as that can be said without judging it: a guess when to give it a thread, never what
    the request is. A body of unknown length ends where its chunks say so (RFC 9112 7.1), or make no sense."""

    def __init__(self, head: bytes):
        head = head.lower()
        length = _LENGTH.search(head)
        self._is_chunked = b"\r\ntransfer-encoding:" in head
        self._left = int(length[1]) if length and not self._is_chunked else 0      # bytes of the body, or of the chunk
        self._line, self._in_trailer = bytearray(), False
        self.is_there = not self._left and not self._is_chunked

    @property
    def most(self) -> int | None:
        """How many bytes belong to the body yet at most; None where nobody knows."""
        return None if self._is_chunked else self._left

    def hear(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self.is_there:
            if self._left:
                step = min(self._left, len(data) - at)
                at, self._left = at + step, self._left - step
                self.is_there = not self._left and not self._is_chunked
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if self._line.endswith(b"\n"):
                self._read(bytes(self._line).strip())
                self._line.clear()
            elif len(self._line) > LONGEST_HEAD:
                self.is_there = True

    def _read(self, line: bytes) -> None:
        if self._in_trailer:
            self.is_there = not line
        elif line:                                       # else the end of the chunk before
            size = line.partition(b";")[0].strip()
            self.is_there = not _HEX.fullmatch(size)
            self._left = 0 if self.is_there else int(size, 16)
            self._in_trailer = not self._left


class BodyAwaited(BaseException):
    """The application would like to read the body of a request that was only shown to it (``Unsent``). Not an Exception: no door is to
    take it for a broken line."""


class Unsent:
    """The body of a request of which only the head is there."""

    def read(self, *size) -> bytes:
        raise BodyAwaited

    readline = read


class Patient(SocketUnreader):
    """Reads what came before a request got its thread, then the line, with patience that ends: then it is as if the peer had hung up.
    ``before``: of the body, in a file."""

    def __init__(self, line: socket.socket, before: BinaryIO | None = None):
        super().__init__(line)
        self._before, self.gave_up = before, False
        self._began, self._count = monotonic(), 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self._before is not None and (data := self._before.read(min(size_hint or self.mxchunk, self.max_body_chunk))):
            return data
        if self.gave_up or monotonic() - self._began > PATIENCE_S + self._count / SLOWEST_BYTES_PER_S:
            self.gave_up = True
            return b""
        try:
            data = super().chunk(size_hint)
        except BlockingIOError:               # SO_RCVTIMEO
            self.gave_up = True
            return b""
        self._count += len(data)
        return data

    def take_buffered(self) -> bytes:
        """What came after the request: of the next one."""
        return super().take_buffered() + (self._before.read() if self._before is not None else b"")


class Body:
    """The body of a request. What the server says of one that breaks off within a chunk is an OSError here, as of any other that ends
    too soon."""

    def __init__(self, body):
        self._body = body

    def read(self, *size) -> bytes:
        return _read(self._body.read, size)

    def readline(self, *size) -> bytes:
        return _read(self._body.readline, size)


def _read(read: Callable[..., bytes], size: tuple) -> bytes:
    try:
        return read(*size)
    except ParseException as error:
        raise ConnectionAbortedError(str(error)) from error


def with_named_ends(application):
    """The WSGI application, whose requests have a ``Body``."""
    def called(environ, start_response):
        environ["wsgi.input"] = Body(environ["wsgi.input"])
        return application(environ, start_response)
    return called
