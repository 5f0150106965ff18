"""HTTP connections, and whose turn it is for a thread."""
from __future__ import annotations

from collections import deque

from gunicorn.http import get_parser
from gunicorn.workers.gthread import TConn

from reading_ui.incoming import Ending, Patient
from reading_ui.outgoing import Answer
from reading_ui.spool import Arriving


class Line(TConn):
    """One connection: what it has said of its next request, and until when that must be whole."""

    def __init__(self, *words):
        super().__init__(*words)
        self.peer = self.address = self.client[0] if isinstance(self.client, tuple) else ""      # address: for whom it asks
        self.said = bytearray()
        self.until = 0.0
        self.ending: Ending | None = None        # of a long body
        self.body: Arriving | None = None        # what has come of it
        self.is_shown = False                    # the head to its door, before the body
        self.awaits_body = False
        self.is_live = False                     # a thread reads the body as it comes
        self.answer: Answer | None = None        # while it is not with the line
        self.is_over = False

    def begin(self) -> None:
        """What was said becomes a request, from its first byte on."""
        self.initialized = self.data_ready = True
        self.parser = get_parser(self.cfg, self.sock, self.client)
        self.parser.unreader = Patient(self.sock, self.body)
        self.parser.unreader.gave_up = self.body is not None and self.body.is_late
        self.parser.unreader.unread(bytes(self.said))


class Turns:
    """Lines that wait for a thread: addresses take turns, so that a crowd from one of them delays itself."""

    def __init__(self, most_of_one: int):
        self._most_of_one = most_of_one
        self._lines: dict[str, deque[Line]] = {}        # whose turn is next first

    def put(self, line: Line) -> bool:
        """False where as many of its address wait as may, unless its answer has begun."""
        own = self._lines.setdefault(line.address, deque())
        if len(own) >= self._most_of_one and line.answer is None:
            return False
        own.append(line)
        return True

    def next(self) -> Line | None:
        for address in self._lines:
            own = self._lines.pop(address)
            line = own.popleft()
            if own:
                self._lines[address] = own
            return line
        return None
