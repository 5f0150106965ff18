"""Where long bodies arrive: a file each, without a name, and one thread for all of them.

A door has been shown the head of such a request and would read its body (``reading_ui.lobby``); once that is here, a thread takes
both up. Nothing is acknowledged for what lies here: it is as far from the blob store as what waits in the network. One body may have
``MOST_OF_ONE`` bytes here and all together ``MOST_IN_ALL``, no more than the disk keeps free beyond its floor; what is longer, or finds no
room, is read by a thread from there on. Bodies are limited in number, too, in all and per address: the slowest makes room, where each
is lent ``LENT`` bytes at its beginning. The thread is one of its own, so that a disk that takes its time delays uploads and nothing else.
"""
from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock, Thread
from time import monotonic
from typing import BinaryIO

from reading_ui.incoming import PATIENCE_S, SLOWEST_BYTES_PER_S, Ending

MOST_OF_ONE = 68_000_000        # bytes: the largest ECG upload of the default settings, and what a form adds to it
MOST_IN_ALL = 512_000_000
MOST_BODIES = 256
MOST_OF_ADDRESS = 64
LENT = 64 * 1024
PIECE = 256 * 1024
LOOK_EVERY_S = 0.5

log = logging.getLogger("hub.web")


@dataclass(eq=False)
class Arriving:
    """A body on its way in. Only the spool's thread touches it and its line until that says that it is ``ready``."""

    line: socket.socket
    address: str
    ending: Ending
    ready: Callable[[Arriving], None]
    file: BinaryIO | None = None
    count: int = 0                      # bytes in the file
    tail: bytes = b""                   # what the disk would not take any more
    is_late: bool = False               # it stopped, or dribbled: no more is waited for
    is_cut: bool = False                # it may have no more room here: its thread reads the rest
    is_crowded_out: bool = False        # it makes room
    since: float = field(default_factory=monotonic)
    heard_at: float = field(default_factory=monotonic)

    def read(self, size: int = -1) -> bytes:
        """The next bytes of what came, for the thread that goes on; b"" at their end."""
        if self.file is not None and (data := self.file.read(size)):
            return data
        data, self.tail = self.tail, b""
        return data

    def is_slow(self, now: float) -> bool:
        return now - self.heard_at > PATIENCE_S or now - self.since > PATIENCE_S + self.count / SLOWEST_BYTES_PER_S


class Spool:
    """All long bodies that arrive. ``folder``: where their files lie, on the disk of the blobs."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = Lock()             # nobody holds it while the disk is written to
        self._arriving: dict[Arriving, None] = {}
        self._total = 0
        self._selector = selectors.DefaultSelector()
        self._thread: Thread | None = None

    def enter(self, line: socket.socket, address: str, ending: Ending, ready: Callable[[Arriving], None]) -> None:
        """A body that now arrives. ``ready`` is called in the spool's thread when it leaves: it is all there, it ``is_late``, ``is_cut`` or
        ``is_crowded_out``, or its sender has gone."""
        with self._lock:
            staying = [one for one in self._arriving if not one.is_crowded_out]
            of_one = [one for one in staying if one.address == address]
            if len(of_one) >= MOST_OF_ADDRESS or len(staying) >= MOST_BODIES:
                _slowest(of_one if len(of_one) >= MOST_OF_ADDRESS else staying).is_crowded_out = True
            line.setblocking(False)
            one = Arriving(line, address, ending, ready)
            self._arriving[one] = None
            self._selector.register(line, selectors.EVENT_READ, one)
            if self._thread is None:
                self._thread = Thread(target=self._attend, name="spool", daemon=True)
                self._thread.start()

    def close(self, one: Arriving) -> None:
        """Its request is over."""
        with self._lock:
            self._total -= one.count
        if one.file is not None:
            one.file.close()

    def _attend(self) -> None:
        while True:
            leaving = [key.data for key, _ in self._selector.select(LOOK_EVERY_S) if self._heard(key.data)]
            now = monotonic()
            with self._lock:
                for one in [one for one in self._arriving if one not in leaving]:
                    one.is_late = one.is_slow(now)
                    if one.is_late or one.is_crowded_out:
                        leaving.append(one)
                for one in leaving:
                    del self._arriving[one]
                    self._selector.unregister(one.line)
            for one in leaving:
                if one.file is not None:
                    one.file.seek(0)
                one.ready(one)

    def _heard(self, one: Arriving) -> bool:
        try:
            return self._hear(one)
        except Exception:                                # a fault over one body ends that body alone
            log.exception("a body of %s ended in a fault of the server", one.address)
            one.is_late = True
            return True

    def _hear(self, one: Arriving) -> bool:
        """Takes what came; whether a thread is to go on. The line is read no further than its body is known to go."""
        known = () if one.ending.most is None else (one.ending.most,)
        most = min(PIECE, MOST_OF_ONE - one.count, MOST_IN_ALL - self._total, *known)
        try:
            if one.file is None and most > 0:
                one.file = TemporaryFile(buffering=0, dir=self._folder)
        except OSError as error:
            log.warning("a long body cannot be spooled: %s", error)
            most = 0
        if most <= 0:
            one.is_cut = True
            return True
        try:
            data = one.line.recv(most, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            return True                                  # it has gone: the thread sees that, too
        one.heard_at = monotonic()
        one.ending.hear(data)
        try:
            written = one.file.write(data)
        except OSError as error:
            log.warning("a long body cannot be spooled any further: %s", error)
            written = 0
        one.count, one.tail, one.is_cut = one.count + written, data[written:], written < len(data)
        with self._lock:
            self._total += written
        return one.ending.is_there or one.is_cut


def _slowest(arriving: list[Arriving]) -> Arriving:
    """The one with the fewest bytes a second, what each is lent included: one that has just begun is not slow, and one that stalls soon is."""
    now = monotonic()
    return min(arriving, key=lambda one: (one.count + LENT) / (now - one.since + 1))
