"""Answers that have not left yet: a slow reader costs memory, not a thread.

The thread that makes an answer gives it to the line, which sends what the network takes at once and keeps the rest for the
loop of ``reading_ui.lobby`` to bring, up to ``MOST_OF_ONE`` bytes and ``MOST_IN_ALL`` of all lines together. What is more is waited
for by the thread, so that a study of gigabytes never stands in memory.
"""
from __future__ import annotations

import select
import socket
from collections import deque
from threading import Lock
from time import monotonic

MOST_OF_ONE = 8 << 20
MOST_IN_ALL = 64 << 20
DRAIN_S = 300.0           # for some of an answer to leave: a slow line takes hundreds of kilobytes at a time
LOOK_S = 1.0


class Purse:
    """Bytes that all lines together may keep. ``is_short``: somebody asked in vain since that was last looked at."""

    def __init__(self, most: int = MOST_IN_ALL):
        self._left, self._lock, self.is_short = most, Lock(), False

    def take(self, count: int) -> bool:
        with self._lock:
            if count > self._left:
                self.is_short = True
                return False
            self._left -= count
            return True

    def give(self, count: int) -> None:
        with self._lock:
            self._left += count


class Outgoing(socket.socket):
    """An accepted connection. ``sendall`` is called by the thread that answers, ``drain`` by the loop once that thread is done."""

    def __init__(self, accepted: socket.socket, purse: Purse):
        super().__init__(fileno=accepted.detach())
        self._purse = purse
        self._kept: deque[memoryview] = deque()
        self._owed = 0

    @property
    def owes(self) -> int:
        """Bytes of the answer that have not left."""
        return self._owed

    def sendall(self, data, flags: int = 0) -> None:
        """Sends what the line takes now and keeps the rest; waits only where there is no room for it. OSError where the peer has
        gone or takes nothing for DRAIN_S."""
        view, until = memoryview(data).cast("B"), monotonic() + DRAIN_S
        while True:
            sent = self.drain()
            if not self._owed and len(view):
                now = self._send_now(view)
                view, sent = view[now:], sent + now
            if not len(view) or self._keeps(view):
                return
            if sent:
                until = monotonic() + DRAIN_S
            elif monotonic() > until:
                raise TimeoutError("the peer reads no more of its answer")
            self._await_room()

    def drain(self) -> int:
        """Sends what the line takes of what was kept; how much that was."""
        gone = 0
        while self._kept:
            sent = self._send_now(self._kept[0])
            gone += sent
            if sent < len(self._kept[0]):
                self._kept[0] = self._kept[0][sent:]
                break
            self._kept.popleft()
        self._pay(gone)
        return gone

    def close(self) -> None:
        self._kept.clear()
        self._pay(self._owed)
        super().close()

    def _keeps(self, view: memoryview) -> bool:
        if self._owed + len(view) > MOST_OF_ONE or not self._purse.take(len(view)):
            return False
        self._kept.append(memoryview(bytes(view)))
        self._owed += len(view)
        return True

    def _pay(self, count: int) -> None:
        self._owed -= count
        self._purse.give(count)

    def _send_now(self, view: memoryview) -> int:
        try:
            return self.send(view, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _await_room(self) -> None:
        waiting = select.poll()
        waiting.register(self, select.POLLOUT)
        waiting.poll(LOOK_S * 1000)
