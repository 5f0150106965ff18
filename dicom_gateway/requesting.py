"""What every association needs that this side opens, given to pynetdicom as event handlers.

- No Nagle: it holds each object back for the peer's delayed acknowledgement (40 ms).
- A pause that holds. pynetdicom pauses its own thread of an association before it sends a request and reads the answer
  itself; but that thread can have passed the pause a moment before, takes the answer off the queue and drops it, and the
  caller waits for it until its time is up. On a busy machine that befell one request in fifty.
"""
from __future__ import annotations

import socket
from threading import Condition, get_ident

from pynetdicom import evt

LONGEST_ROUND_S = 5.0       # of pynetdicom's loop, between two passes; it takes a millisecond


class Pause:
    """In place of ``Association._reactor_checkpoint`` (a threading.Event): ``clear`` returns when the thread that passes
    ``wait`` again and again is there and not somewhere behind it."""

    def __init__(self):
        self._changed = Condition()
        self._is_open, self._behind = True, 0       # the thread that passed and has not come back

    def wait(self) -> None:
        with self._changed:
            self._behind = 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open)
            self._behind = get_ident()

    def clear(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.wait_for(lambda: self._behind in (0, get_ident()), LONGEST_ROUND_S)

    def set(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


def _opened(event: evt.Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    event.assoc._reactor_checkpoint = Pause()


REQUESTING = [(evt.EVT_CONN_OPEN, _opened)]
