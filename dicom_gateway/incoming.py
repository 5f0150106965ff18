"""The bytes of one connection, in their order and in as few calls as they allow.

Every call gives the interpreter away and has to wait for it again, so a call brings what it can: the request of an object
and what follows it at once; the bytes of a fragment together with the head of the next. What came early waits here, never
more than AHEAD bytes of it.
"""
from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from time import monotonic

from dicom_gateway.resting import TICK_S, Doorbell

AHEAD = 1024                      # a C-STORE-RQ with its UIDs is a quarter of it
PATIENCE_S = 60.0                 # for the rest of a PDU, and for the next PDU of an object


class Broken(Exception):
    """The peer broke the protocol or our patience; the message names how."""


class Gone(Exception):
    """The connection ended, or pynetdicom wants to end it."""


class Incoming:
    """What one connection brings, read by one thread. ``is_wanted``: whether this side wants something else of it.
    ``until`` is of time.monotonic. Raises Gone, and Broken for a peer that falls silent."""

    def __init__(self, line: socket.socket, bell: Doorbell, is_wanted: Callable[[], bool]):
        self._line, self._bell, self._is_wanted = line, bell, is_wanted
        self._ahead = memoryview(bytearray(AHEAD))
        self._first = self._end = 0                 # of what waits in ``_ahead``
        self._keep_time()

    @property
    def waits(self) -> bool:
        """Whether bytes are here that nobody has asked for yet."""
        return self._end > self._first

    def forget(self) -> None:
        """What came after the end is nobody's."""
        self._first = self._end = 0

    def wait(self) -> None:
        """Rests until there are bytes, this side wants something, or TICK_S is over."""
        if not self.waits:
            self._bell.wait(self._line)

    def next(self, count: int, until: float, heed: bool = False) -> memoryview:
        """The next ``count`` bytes, AHEAD at most, valid until more is asked for. ``heed``: nothing has begun, so a wish
        of this side may end the wait."""
        waiting = self._end - self._first
        if waiting < count:
            self._ahead[:waiting] = self._ahead[self._first:self._end]
            self._first, self._end = 0, waiting
            while self._end < count:
                if heed and self._end == 0 and self._is_wanted():
                    raise Gone
                self._end += self._some(self._ahead[self._end:])
                if self._end < count:
                    _patiently(until, self._end)
        self._first += count
        return self._ahead[self._first - count:self._first]

    def fill(self, view: memoryview, until: float) -> None:
        """The next bytes into the whole of ``view``."""
        self._all(view[self._at_hand(view):], until)

    def fill_and_more(self, view: memoryview, more: int, until: float) -> None:
        """As ``fill``; the call that brings the end of it may bring ``more`` bytes of what follows, AHEAD at most."""
        rest = view[self._at_hand(view):]
        if not rest:
            return
        got = self._both(rest, self._ahead[:more])
        self._first, self._end = 0, max(got - len(rest), 0)
        self._all(rest[got:], until)

    def _at_hand(self, view: memoryview) -> int:
        """Moves what waits here into ``view``; how much that was."""
        count = min(len(view), self._end - self._first)
        if count:
            view[:count] = self._ahead[self._first:self._first + count]
            self._first += count
        return count

    def _all(self, view: memoryview, until: float) -> None:
        got = 0
        while got < len(view):
            got += self._some(view[got:], socket.MSG_WAITALL)
            if got < len(view):
                _patiently(until, got)

    def _keep_time(self) -> None:
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(TICK_S))
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(PATIENCE_S))

    def _some(self, view: memoryview, how: int = 0) -> int:
        """How many bytes came, 0 where none did for a tick."""
        try:
            count = self._line.recv_into(view, 0, how)
        except BlockingIOError:                     # SO_RCVTIMEO
            return 0
        if count == 0:
            raise Gone
        return count

    def _both(self, first: memoryview, second: memoryview) -> int:
        """Fills one after the other as far as bytes come within a tick; how many did."""
        try:
            count = self._line.recvmsg_into((first, second), 0, socket.MSG_WAITALL)[0]
        except BlockingIOError:                     # SO_RCVTIMEO
            return 0
        if count == 0:
            raise Gone
        return count


class EncryptedIncoming(Incoming):
    """Over TLS, where a connection has no MSG_WAITALL and keeps what it has deciphered to itself."""

    def wait(self) -> None:
        if not self._line.pending():
            super().wait()

    def _keep_time(self) -> None:
        self._line.settimeout(PATIENCE_S)           # TLS reads whole records and keeps time itself

    def _some(self, view: memoryview, how: int = 0) -> int:
        if not self._line.pending() and not self._bell.wait(self._line):
            return 0
        try:
            count = self._line.recv_into(view)
        except (TimeoutError, ssl.SSLWantReadError):
            return 0
        if count == 0:
            raise Gone
        return count

    def _both(self, first: memoryview, second: memoryview) -> int:
        return self._some(first)


def _patiently(until: float, got: int) -> None:
    if monotonic() > until:
        raise Broken("silence" if got == 0 else "a PDU that never ends")


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
