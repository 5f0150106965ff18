"""What every association needs that this side opens, given to pynetdicom as event handlers.

- No Nagle: it holds each object back for the peer's delayed acknowledgement (40 ms).
- A pause that holds. pynetdicom pauses its own thread of an association before it sends a request and reads the answer
  itself; but that thread can have passed the pause a moment before, takes the answer off the queue and drops it, and the
  caller waits for it until its time is up. On a busy machine that befell one request in fifty.
- No second, endless wait for that pause: a flag says whether the thread rests there, and another thread, which serves a report of
  the peer, can say for good that it does not.
"""
from __future__ import annotations

import socket

from pynetdicom import evt
from pynetdicom.association import Association

from dicom_gateway.resting import Pause


class _Requesting(Association):
    """An association whose pause holds by itself: ``Pause.clear`` has waited."""

    _is_paused = property(lambda self: True, lambda self, value: None)


def _opened(event: evt.Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    event.assoc._reactor_checkpoint = Pause()
    event.assoc.__class__ = _Requesting


REQUESTING = [(evt.EVT_CONN_OPEN, _opened)]
