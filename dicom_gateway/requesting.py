"""What every association needs that this side opens, given to pynetdicom as event handlers.

- No Nagle: it holds each object back for the peer's delayed acknowledgement (40 ms).
- A pause that holds. pynetdicom pauses its own thread of an association before it sends a request and reads the answer
  itself; but that thread can have passed the pause a moment before, takes the answer off the queue and drops it, and the
  caller waits for it until its time is up. On a busy machine that befell one request in fifty.
"""
from __future__ import annotations

import socket

from pynetdicom import evt

from dicom_gateway.resting import Pause


def _opened(event: evt.Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    event.assoc._reactor_checkpoint = Pause()


REQUESTING = [(evt.EVT_CONN_OPEN, _opened)]
