"""Answers that have not left yet: a slow reader costs some memory and a file, never a thread.

The thread that makes an answer gives it to the line, which sends what the network takes at once and keeps the rest for the
loop of ``reading_ui.lobby`` to bring. Once the line keeps ``ENOUGH`` bytes the thread goes on to somebody else, and some thread
takes the answer up again when they have left. So one slow reader of a study of gigabytes holds half a megabyte at most: what an
application hands over in one large piece lies in a file meanwhile.
"""
from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from gunicorn.http.wsgi import Response

ENOUGH = 256 * 1024       # bytes that a line keeps before its answer is put aside
SLICE = 256 * 1024        # bytes given to a line at a time
DRAIN_S = 300.0           # for some of an answer to leave: a slow line takes hundreds of kilobytes at a time

log = logging.getLogger("hub.web")


class Outgoing(socket.socket):
    """An accepted connection. ``sendall`` is called by the thread that answers, ``drain`` by the loop once that thread is done."""

    def __init__(self, accepted: socket.socket):
        super().__init__(fileno=accepted.detach())
        self._kept: deque[memoryview] = deque()
        self.owes = 0                                    # bytes of the answer that have not left

    def sendall(self, data, flags: int = 0) -> None:
        """Sends what the line takes now and keeps the rest; never waits. OSError where the peer has gone."""
        view = memoryview(data).cast("B")
        self.drain()
        if not self.owes and len(view):
            view = view[self._send_now(view):]
        if len(view):
            self._kept.append(memoryview(bytes(view)))
            self.owes += len(view)

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
        self.owes -= gone
        return gone

    def close(self) -> None:
        self._kept.clear()
        self.owes = 0
        super().close()

    def _send_now(self, view: memoryview) -> int:
        try:
            return self.send(view, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0


class Answer:
    """What an application answers, given to its line as fast as that takes it. ``pieces``: a WSGI iterable, which is closed with the
    answer; ``folder``: where a large piece lies while its reader is slow."""

    def __init__(self, response: Response, pieces: Iterable[bytes], line: Outgoing, folder: Path):
        self._response, self._pieces, self._line, self._folder = response, pieces, line, folder
        self._slices = self._cut()
        self.is_given = False

    @property
    def has_begun(self) -> bool:
        return self._response.headers_sent

    @property
    def is_the_last(self) -> bool:
        """Whether the line is to be closed after it."""
        return self._response.should_close()

    def give(self) -> None:
        """Gives more of it, in any thread, until the line keeps enough or all ``is_given``."""
        for piece in self._slices:
            self._response.write(piece)
            if self._line.owes >= ENOUGH:
                return
        self._response.close()
        self.is_given = True

    def close(self) -> None:
        self._slices.close()
        self._let_go()

    def _cut(self) -> Iterator[bytes]:
        """Slices of the pieces. What is left of a large one goes to a file once the line keeps some, and the next piece is asked for
        before that file is read: where there is none, all that the application holds for this answer is let go."""
        pieces = iter(self._pieces)
        piece = next(pieces, None)
        while piece is not None:
            at = 0
            while at < len(piece) and not (at and self._line.owes):
                yield piece[at:at + SLICE]
                at += SLICE
            rest = self._laid_down(piece[at:]) if at < len(piece) else None
            piece = next(pieces, None)
            if piece is None:
                self._let_go()
            if rest is not None:
                with rest:
                    while part := rest.read(SLICE):
                        yield part

    def _laid_down(self, rest: bytes) -> BinaryIO:
        try:
            file = TemporaryFile(dir=self._folder)       # without a name: nothing of it outlives the process
            file.write(rest)
            file.seek(0)
            return file
        except OSError as error:
            log.warning("an answer stays in memory while its reader is slow: %s", error)
            return BytesIO(rest)

    def _let_go(self) -> None:
        pieces, self._pieces = self._pieces, ()
        if hasattr(pieces, "close"):
            pieces.close()
