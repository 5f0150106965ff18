"""What comes over an HTTP connection: when a request is whole, and how long its body is waited for."""
from __future__ import annotations

import re
import socket
from time import monotonic

from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader

PATIENCE_S = 30.0               # without a byte; and for a request's head and short body in all
SLOWEST_BYTES_PER_S = 1000      # of a long body, beyond PATIENCE_S: a tenth of the slowest mobile line
SHORT_BODY = 64 * 1024          # bytes that are waited for without a thread
LONGEST_HEAD = 64 * 1024

SILENT, SHORT, WHOLE, LONG, TOO_LONG, NOT_HTTP = "silent", "short", "whole", "long", "too_long", "not_http"

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?=\r\n)")
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


class Patient(SocketUnreader):
    """Reads a body with patience that ends: then it is as if the peer had hung up."""

    def __init__(self, line: socket.socket):
        super().__init__(line)
        self.gave_up = False
        self.begin()

    def begin(self) -> None:
        """The next request's time begins."""
        self._began, self._count = monotonic(), 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        if monotonic() - self._began > PATIENCE_S + self._count / SLOWEST_BYTES_PER_S:
            self.gave_up = True
            return b""
        try:
            data = super().chunk(size_hint)
        except BlockingIOError:               # SO_RCVTIMEO
            self.gave_up = True
            return b""
        self._count += len(data)
        return data


class Body:
    """The body of a request. What the server says of one that breaks off within a chunk is an OSError here, as of any other that ends
    too soon."""

    def __init__(self, body):
        self._body = body

    def read(self, *size) -> bytes:
        try:
            return self._body.read(*size)
        except ParseException as error:
            raise ConnectionAbortedError(str(error)) from error

    def readline(self, *size) -> bytes:
        try:
            return self._body.readline(*size)
        except ParseException as error:
            raise ConnectionAbortedError(str(error)) from error


def with_named_ends(application):
    """The WSGI application, whose requests have a ``Body``."""
    def called(environ, start_response):
        environ["wsgi.input"] = Body(environ["wsgi.input"])
        return application(environ, start_response)
    return called
