"""How the two threads of a pynetdicom association rest until there is something to do.

By itself each of them looks a thousand times a second, and every look takes the interpreter from those who work: sixteen
devices that stay connected cost a fifth of a processor.

The upper layer's thread waits for bytes of the peer or for a word of this side (``Doorbell``); the association's own thread
waits until the upper layer has brought something (``Rest``). Both look by themselves after TICK_S, for timeouts.
"""
from __future__ import annotations

import os
import select
import socket
from queue import Queue
from threading import Condition, Lock, get_ident

TICK_S = 0.25
MUTE_S = 0.001              # where there is no bell
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
            self._rest()
            self._changed.wait_for(lambda: self._is_open)
            self._behind = get_ident()

    def _rest(self) -> None:
        """What else there is to wait for."""

    def shut(self) -> None:
        """As ``clear``, for who need not know that nobody is behind."""
        with self._changed:
            self._is_open = False

    def clear(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.wait_for(lambda: self._behind in (0, get_ident()), LONGEST_ROUND_S)

    def set(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


class Rest(Pause):
    """A pause at which the passing thread stays until it is rung for, for TICK_S at most."""

    def __init__(self):
        super().__init__()
        self._is_rung = True

    def _rest(self) -> None:
        self._changed.wait_for(lambda: self._is_rung, TICK_S)
        self._is_rung = False

    def ring(self) -> None:
        with self._changed:
            self._is_rung = True
            self._changed.notify_all()

    def set(self) -> None:
        """Whoever opens wants the thread to look (``Association.kill`` and ``abort`` do)."""
        with self._changed:
            self._is_open = self._is_rung = True
            self._changed.notify_all()


class Doorbell:
    """Rung from any thread; one thread waits for it and for a socket at the same time. Without eventfd (Linux) it is mute,
    and whoever waits looks every MUTE_S."""

    def __init__(self):
        self._lock = Lock()                       # no number is written to that was closed and given to another file
        self._handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) if hasattr(os, "eventfd") else -1

    def ring(self) -> None:
        with self._lock:
            if self._handle != -1:
                os.eventfd_write(self._handle, 1)

    def wait(self, line: socket.socket) -> bool:
        """Whether ``line`` has bytes or has ended, after TICK_S at most or when the bell rings."""
        waiting = select.poll()
        waiting.register(line, select.POLLIN)
        if self._handle != -1:
            waiting.register(self._handle, select.POLLIN)
        found = dict(waiting.poll(1000 * (TICK_S if self._handle != -1 else MUTE_S)))
        if found.pop(self._handle, 0):
            os.eventfd_read(self._handle)
        return bool(found)

    def close(self) -> None:
        """By the thread that waits, which waits no more."""
        with self._lock:
            handle, self._handle = self._handle, -1
            if handle != -1:
                os.close(handle)

    __del__ = close


class RingingQueue(Queue):
    """A queue whose reader waits at a bell."""

    def __init__(self, bell: Doorbell):
        super().__init__()
        self._bell = bell

    def put(self, item, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._bell.ring()
