"""Where HTTP connections wait until they have asked: a file descriptor each, no thread.

gunicorn's threaded worker gives each connection a thread from its first byte on, and the thread waits for whatever
comes next as long as it takes: two dozen carts whose modem died in mid-upload, or browsers that open a line ahead of
need, stop the web for everybody. The worker here, which ``hub web`` starts, changes only when a thread is given:

- a request gets one when its head and a short body are whole;
- a long body is read by a thread, for only that can stream it to the disk, but at most half of the threads do so, a
  quarter for one address; the next such requests wait, and beyond ``MOST_QUEUED`` they are told to come again (503);
- requests that are whole wait for a thread in turns of their addresses, so that a crowd of them delays itself;
- an answer of up to some megabytes leaves as fast as its reader takes it, without a thread (``reading_ui.outgoing``);
- a line on which nothing moves, or less than a trickle of a body, is given up (``reading_ui.incoming``). So is one whose peer no longer
  acknowledges what is sent to it.

Connections that wait are limited in all and per address; the one that waits for the longest makes room for the newest.
What was turned away is counted by name with the other doors' refusals. Sources: RFC 9112 (HTTP/1.1), RFC 9110 15.6.4 (503), RFC 6585 5 (431).
"""
from __future__ import annotations

import errno
import logging
import selectors
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from time import monotonic

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from hub.flow.doors import Ledger
from reading_ui.incoming import LONG, NOT_HTTP, PATIENCE_S, SHORT, SILENT, TOO_LONG, Patient, judged, with_named_ends
from reading_ui.outgoing import DRAIN_S, Outgoing, Purse

MOST_WAITING = 400              # that have not asked, or not again
MOST_OF_ONE = 128               # of them from one address: all the browsers of a hospital behind one router
MOST_QUEUED = 64                # long bodies that wait for a thread
LINGER_S = 5.0                  # for a peer to close after its answer
MOST_LEAVING = 100
LOOK_EVERY_S = 0.25
PIECE = 16 * 1024

log = logging.getLogger("hub.web")


class Line(TConn):
    """One connection: what it has said of its next request, and until when that must be whole."""

    def __init__(self, *words):
        super().__init__(*words)
        self.said = bytearray()
        self.until = 0.0
        self.is_long = False
        self.is_over = False

    @property
    def address(self) -> str:
        return self.client[0] if isinstance(self.client, tuple) else ""

    def init(self) -> None:
        fresh = not self.initialized
        super().init()
        if fresh:
            self.parser.unreader = Patient(self.sock)


class Turns:
    """Lines that wait for a thread: addresses take turns, so that a crowd from one of them delays itself."""

    def __init__(self, most_of_one: int):
        self._most_of_one = most_of_one
        self._lines: dict[str, deque[Line]] = {}        # whose turn is next first

    def put(self, line: Line) -> bool:
        """False where as many of its address wait as may."""
        own = self._lines.setdefault(line.address, deque())
        if len(own) >= self._most_of_one:
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


class LobbyWorker(ThreadWorker):
    """gunicorn's threaded worker with the lobby before its threads."""

    def __init__(self, *words, **named):
        super().__init__(*words, **named)
        self._waiting: dict[Line, None] = {}           # the longest waiting first
        self._leaving: dict[Line, None] = {}           # answered for the last time
        self._draining: dict[Line, None] = {}          # answered, and still being told
        self._places = (self._waiting, self._leaving, self._draining)
        self._purse = Purse()
        self._queued: deque[Line] = deque()            # long bodies for which no thread is to be had yet
        self._ready, self._busy = Turns(MOST_WAITING), 0
        self._reading: Counter[str] = Counter()        # long bodies that threads read, by address
        self._most_long = max(1, self.cfg.threads // 2)
        self._ledger: Ledger | None = None
        self._looks_at = 0.0

    def load_wsgi(self) -> None:
        super().load_wsgi()
        hub = self.wsgi.extensions["hub"]
        self.wsgi = with_named_ends(self.wsgi)
        self._ledger = Ledger(hub)
        behind_a_proxy = hub.settings.trusted_proxies > 0     # which has one address, and limits of its own
        self._most_of_one = MOST_WAITING if behind_a_proxy else MOST_OF_ONE
        self._ready = Turns(self._most_of_one)
        self._most_long_of_one = self._most_long if behind_a_proxy else max(1, self._most_long // 2)

    def accept(self, listener: socket.socket) -> None:
        try:
            own, client = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        own = Outgoing(own, self._purse)
        try:
            _fit(own)
        except OSError:
            own.close()                                  # gone already
            return
        self.nr_conns += 1
        line = Line(self.cfg, own, client, listener.getsockname())
        self._wait(line)
        self._make_room(line.address)

    def finish_request(self, conn: Line, fs: Future) -> None:
        """Called in the loop once a thread has answered: the line waits for its next request, or goes."""
        self._busy -= 1
        if conn.is_long:
            conn.is_long = False
            self._reading[conn.address] -= 1
        if conn.parser.unreader.gave_up:
            self._count("web_patience", conn)
        try:
            stays = not fs.cancelled() and bool(fs.result())
        except Exception:
            log.exception("a request ended in a fault of the server")
            stays = False
        if conn.sock.owes:
            conn.sock.setblocking(False)
            conn.until = monotonic() + DRAIN_S
            self._draining[conn] = None
            self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._turn, conn, partial(self._drain, stays)))
        else:
            self._go_on(conn, stays)
        for _ in range(len(self._queued)):
            self._read_or_queue(self._queued.popleft())
        self._give_threads()

    def _drain(self, stays: bool, line: Line) -> None:
        """The rest of an answer leaves as fast as its reader takes it."""
        try:
            if line.sock.drain():
                line.until = monotonic() + DRAIN_S
        except OSError:
            self._close(line)
            return
        if not line.sock.owes:
            self._leave(line)
            self._go_on(line, stays)

    def _go_on(self, line: Line, stays: bool) -> None:
        if stays:
            line.said += line.parser.unreader.take_buffered()      # the next one came along with the last one's body
            self._wait(line)
            self._judge(line)
        else:
            self._see_off(line)

    def murder_pending(self) -> None:
        """Run every second at least: who did not ask in time is closed; when the process ends, everybody within two seconds."""
        now = monotonic()
        if now < self._looks_at:
            return
        self._looks_at = now + LOOK_EVERY_S
        for line in [line for place in self._places for line in place]:
            if not self.alive and line not in self._draining:
                line.until = min(line.until, now + STOP_KEEPALIVE_LINGER)
            if now > line.until:
                if line.said:
                    self._count("web_patience", line)
                self._close(line)
        if self._purse.is_short and self._draining:      # the one that takes longest makes room
            self._purse.is_short = False
            line = next(iter(self._draining))
            self._count("web_patience", line)
            self._close(line)
        while not self.alive and self._queued:
            self._close(self._queued.popleft())

    def _turn(self, line: Line, step: Callable[[Line], None], _) -> None:
        """There is news of a line that waits, leaves or is told its answer; not of one that has made room since the loop looked. A
        fault ends that line alone."""
        if not any(line in place for place in self._places):
            return
        try:
            step(line)
        except Exception:
            log.exception("a connection of %s ended in a fault of the server", line.address)
            if not line.is_over:
                self._close(line)

    def _wait(self, line: Line) -> None:
        line.until = monotonic() + PATIENCE_S
        self._waiting[line] = None
        self.poller.register(line.sock, selectors.EVENT_READ, partial(self._turn, line, self._hear))

    def _hear(self, line: Line) -> None:
        try:
            more = line.sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            if b"\r\n\r\n" in line.said:               # the answer says that the body broke off
                self._leave(line)
                self._serve(line)
            else:
                self._close(line)
            return
        if not line.said:
            line.until = monotonic() + PATIENCE_S
            more = more.lstrip(b"\r\n")                  # RFC 9112 2.2
        line.said += more
        self._judge(line)

    def _judge(self, line: Line) -> None:
        said = judged(line.said)
        if said in (SILENT, SHORT):
            return
        if said == NOT_HTTP:
            self._count("web_not_http", line)
            self._close(line)
            return
        self._leave(line)
        if said == TOO_LONG:
            self._count("web_too_long", line)
            self._see_off(line, _answer("431 Request Header Fields Too Large"))
        elif said == LONG:
            self._read_or_queue(line)
        else:
            self._serve(line)

    def _serve(self, line: Line) -> None:
        """Gives a request its turn for a thread; the line stands in no list once it has one."""
        if self._ready.put(line):
            self._give_threads()
        else:
            self._send_away(line)

    def _give_threads(self) -> None:
        while self._busy < self.cfg.threads and (line := self._ready.next()) is not None:
            self._busy += 1
            self._begin(line)

    def _begin(self, line: Line) -> None:
        line.init()
        line.parser.unreader.unread(bytes(line.said))
        line.parser.unreader.begin()
        line.said.clear()
        line.data_ready = True
        self.enqueue_req(line)

    def _read_or_queue(self, line: Line) -> None:
        if self._reading.total() < self._most_long and self._reading[line.address] < self._most_long_of_one:
            line.is_long = True
            self._reading[line.address] += 1
            self._serve(line)
        elif len(self._queued) < MOST_QUEUED:
            self._queued.append(line)
        else:
            self._send_away(line)

    def _send_away(self, line: Line) -> None:
        if line.is_long:
            line.is_long = False
            self._reading[line.address] -= 1
        self._count("web_busy", line)
        self._see_off(line, _answer("503 Service Unavailable", "Retry-After: 30"))

    def _make_room(self, address: str) -> None:
        """For the one that came last."""
        of_one = [line for line in self._waiting if line.address == address]
        if len(of_one) > self._most_of_one or len(self._waiting) > MOST_WAITING:
            line = of_one[0] if len(of_one) > self._most_of_one else next(iter(self._waiting))
            self._count("web_crowded_out", line)
            self._close(line)

    def _see_off(self, line: Line, words: bytes = b"") -> None:
        """Says the last words and waits for the peer to go: bytes that nobody has read when a line is closed would reset
        it, and take back what was said (RFC 9112 9.6). gunicorn waits for that in its loop, up to two seconds each."""
        try:
            line.sock.setblocking(False)
            if words:
                line.sock.send(words)
            line.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(line)                            # gone already
            return
        line.until = monotonic() + LINGER_S
        self._leaving[line] = None
        self.poller.register(line.sock, selectors.EVENT_READ, partial(self._turn, line, self._see_going))
        if len(self._leaving) > MOST_LEAVING:
            self._close(next(iter(self._leaving)))

    def _see_going(self, line: Line) -> None:
        try:
            if line.sock.recv(PIECE):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(line)

    def _leave(self, line: Line) -> None:
        for place in self._places:
            if line in place:
                del place[line]
                self.poller.unregister(line.sock)

    def _close(self, line: Line) -> None:
        self._leave(line)
        line.is_over = True
        self.nr_conns -= 1
        line.close()

    def _count(self, reason: str, line: Line) -> None:
        if self._ledger.note(reason, address=line.address):
            log.warning("a connection of %s was closed: %s", line.address, reason)


def _fit(line: socket.socket) -> None:
    """What the system is to watch over while a thread waits for this line: no byte received in PATIENCE_S, none acknowledged in
    twice that."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(PATIENCE_S), int(PATIENCE_S % 1 * 1_000_000)))
    if hasattr(socket, "TCP_USER_TIMEOUT") and line.family in (socket.AF_INET, socket.AF_INET6):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2 * PATIENCE_S * 1000))


def _answer(status: str, *fields: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", "Connection: close", "Content-Length: 0", *fields, "", "")).encode()
