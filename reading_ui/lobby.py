"""Where HTTP connections wait until they have asked: a file descriptor each, no thread.

gunicorn's threaded worker gives each connection a thread from its first byte on, and the thread waits for whatever
comes next as long as it takes: two dozen carts whose modem died in mid-upload, or browsers that open a line ahead of
need, stop the web for everybody. The worker here, which ``hub web`` starts, changes only when a thread is given:

- a request gets one when its head and a short body are whole;
- one with a long body is shown to its door as soon as its head is there: a door that refuses does so at once, and where it would
  read, the body arrives in a file (``reading_ui.spool``) and the request gets its thread when all of it is there. Only what finds no room
  there is read by a thread as it comes: at most half of the threads do so, a quarter for one address; the next wait, and beyond
  ``MOST_QUEUED`` they are told to come again (503);
- requests that are whole wait for a thread in turns of their addresses, so that a crowd of them delays itself;
- an answer leaves as fast as its reader takes it; no thread waits for that (``reading_ui.outgoing``);
- a line on which nothing moves, or less than a trickle of a body, is given up (``reading_ui.incoming``). So is one whose peer no longer
  acknowledges what is sent to it.

Connections that wait, and those of slow readers, are limited in all and per address, behind ``trusted_proxies`` by the address for which the
proxy asks; the one that waits for the longest makes room for the newest. What was turned away is counted by name with the other doors'
refusals. Sources: RFC 9112 (HTTP/1.1), RFC 9110 10.1.1 (100-continue), 15.6.4 (503), RFC 6585 5 (431).
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
from pathlib import Path
from time import monotonic

from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from hub.flow.doors import Ledger
from reading_ui.incoming import LONG, NOT_HTTP, PATIENCE_S, SHORT, SILENT, TOO_LONG, BodyAwaited, Ending, Unsent, forwarded, judged, with_named_ends
from reading_ui.outgoing import DRAIN_S, Answer, Outgoing
from reading_ui.spool import Arriving, Spool
from reading_ui.turns import Line, Turns

MOST_WAITING = 400              # that have not asked, or not again
MOST_OF_ONE = 128               # of them from one address: all the browsers of a hospital behind one router
MOST_SLOW = 128                 # readers that have not taken their answer yet
MOST_SLOW_OF_ONE = 64
MOST_QUEUED = 64                # long bodies that wait for a thread
LINGER_S = 5.0                  # for a peer to close after its answer
MOST_LEAVING = 100
LOOK_EVERY_S = 0.25
PIECE = 16 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

log = logging.getLogger("hub.web")


class LobbyWorker(ThreadWorker):
    """gunicorn's threaded worker with the lobby before its threads."""

    def __init__(self, *words, **named):
        super().__init__(*words, **named)
        self._waiting: dict[Line, None] = {}           # the longest waiting first
        self._leaving: dict[Line, None] = {}           # answered for the last time
        self._slow: dict[Line, None] = {}              # being answered; whose reader has taken nothing for the longest first
        self._places = (self._waiting, self._leaving, self._slow)
        self._queued: deque[Line] = deque()            # long bodies for which no thread is to be had yet
        self._ready, self._busy = Turns(MOST_OF_ONE), 0
        self._reading: Counter[str] = Counter()        # long bodies that threads read as they come, by address
        self._most_long = max(1, self.cfg.threads // 2)
        self._looks_at = 0.0

    def load_wsgi(self) -> None:
        super().load_wsgi()
        hub = self.wsgi.extensions["hub"]
        self.wsgi = with_named_ends(self.wsgi)
        self._ledger = Ledger(hub)
        self._folder = Path(hub.settings.folder)
        self._spool = Spool(self._folder)
        self._hops = hub.settings.trusted_proxies
        self._most_of_one = MOST_WAITING if self._hops else MOST_OF_ONE      # of those that have not said for whom they ask

    def accept(self, listener: socket.socket) -> None:
        try:
            own, client = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        own = Outgoing(own)
        try:
            _fit(own)
        except OSError:
            own.close()                                  # gone already
            return
        self.nr_conns += 1
        line = Line(self.cfg, own, client, listener.getsockname())
        self._wait(line)
        self._make_room(self._waiting, line.address, MOST_WAITING, self._most_of_one)

    def handle_request(self, req: Request, conn: Line) -> bool:
        """Called by a thread: asks the application and begins to give its answer. False where the line is not to be used again, or not
        yet: the door would read a body that has not come, or the reader is slow."""
        expects, req._expected_100_continue = req._expected_100_continue, False      # gunicorn would say so before the door has looked
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        if conn.is_shown:
            environ["wsgi.input"] = Unsent()
        if conn.is_shown or not self.alive or not self.cfg.keepalive:
            response.force_close()
        try:
            pieces = self.wsgi(environ, response.start_response)
        except BodyAwaited:
            conn.awaits_body = True
            if expects:
                conn.sock.sendall(CONTINUE)
            return False
        conn.answer = Answer(response, pieces, conn.sock, self._folder)
        return self._give(conn)

    def _give(self, line: Line) -> bool:
        answer, is_over = line.answer, True
        try:
            answer.give()
            is_over = answer.is_given
            return is_over and not answer.is_the_last
        except Exception as error:
            if isinstance(error, OSError) or not answer.has_begun:
                raise
            log.exception("an answer broke off")
            return False
        finally:
            if is_over:
                line.answer = None
                answer.close()

    def _give_more(self, line: Line) -> bool:
        """Called by a thread: what was given of an answer has left, and the next of it may."""
        try:
            line.sock.setblocking(True)
            return self._keepalive_after(line, self._give(line))
        except OSError:
            return False                                 # the peer has gone

    def finish_request(self, conn: Line, fs: Future) -> None:
        """Called in the loop once a thread has done with a line for now: the line waits for its body, its reader or its next request, or
        goes."""
        self._busy -= 1
        if conn.is_live:
            conn.is_live = False
            self._reading[conn.address] -= 1
        if conn.awaits_body:
            conn.awaits_body = conn.is_shown = False
            self._spool.enter(conn.sock, conn.address, conn.ending, partial(self.method_queue.defer, self._arrived, conn))
        else:
            fault = None if fs.cancelled() else fs.exception()
            if fault is not None:
                log.error("a request ended in a fault of the server", exc_info=fault)
            self._told(conn, fault is None and not fs.cancelled() and bool(fs.result()))
        for _ in range(len(self._queued)):
            self._read_or_queue(self._queued.popleft())
        self._give_threads()

    def _arrived(self, line: Line, body: Arriving) -> None:
        """Called in the loop: the spool is done with a body."""
        line.body = body
        if body.is_crowded_out and not body.ending.is_there:
            self._send_away(line)
        elif body.is_cut:
            self._read_or_queue(line)
        else:
            self._serve(line)

    def _told(self, line: Line, stays: bool) -> None:
        if line.answer is None:                          # its request is over
            if line.parser.unreader.gave_up:
                self._count("web_patience", line)
            line.said[:] = line.parser.unreader.take_buffered() if stays else b""      # the next one came along with the last one's body
            self._let_go(line)
        if line.sock.owes or line.answer is not None:
            line.sock.setblocking(False)
            line.until = monotonic() + DRAIN_S
            self._slow[line] = None
            self.poller.register(line.sock, selectors.EVENT_WRITE, partial(self._turn, line, partial(self._drain, stays)))
            self._make_room(self._slow, line.address, MOST_SLOW, MOST_SLOW_OF_ONE)
        else:
            self._go_on(line, stays)

    def _drain(self, stays: bool, line: Line) -> None:
        """What is kept of an answer leaves as fast as its reader takes it."""
        try:
            gone = line.sock.drain()
        except OSError:
            self._close(line)
            return
        if gone:
            line.until = monotonic() + DRAIN_S
            del self._slow[line]
            self._slow[line] = None
        if not line.sock.owes:
            self._leave(line)
            if line.answer is not None:
                self._serve(line)
            else:
                self._go_on(line, stays)

    def _go_on(self, line: Line, stays: bool) -> None:
        if stays:
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
            if not self.alive and line not in self._slow:
                line.until = min(line.until, now + STOP_KEEPALIVE_LINGER)
            if now > line.until:
                if line.said:
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
        line.sock.setblocking(False)
        line.address = line.peer
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
            return
        line.address = forwarded(line.said, self._hops) or line.peer
        if said == LONG:
            start = line.said.find(b"\r\n\r\n") + 4
            line.ending = Ending(bytes(line.said[:start]))
            line.ending.hear(bytes(line.said[start:]))
            line.is_shown = not line.ending.is_there
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
        if line.answer is None:
            line.begin()
        work = self.tpool.submit(self.handle if line.answer is None else self._give_more, line)
        work.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, line, done))

    def _read_or_queue(self, line: Line) -> None:
        if self._reading.total() < self._most_long and self._reading[line.address] < max(1, self._most_long // 2):
            line.is_live = True
            self._reading[line.address] += 1
            self._serve(line)
        elif len(self._queued) < MOST_QUEUED:
            self._queued.append(line)
        else:
            self._send_away(line)

    def _send_away(self, line: Line) -> None:
        if line.is_live:
            line.is_live = False
            self._reading[line.address] -= 1
        self._count("web_busy", line)
        self._let_go(line)
        self._see_off(line, _answer("503 Service Unavailable", "Retry-After: 30"))

    def _make_room(self, place: dict[Line, None], address: str, most: int, most_of_one: int) -> None:
        """For the one that came last."""
        of_one = [line for line in place if line.address == address]
        if len(of_one) > most_of_one or len(place) > most:
            line = of_one[0] if len(of_one) > most_of_one else next(iter(place))
            self._count("web_crowded_out", line)
            self._close(line)

    def _let_go(self, line: Line) -> None:
        """Of what had come of its body."""
        if line.body is not None:
            self._spool.close(line.body)
            line.body = None

    def _see_off(self, line: Line, words: bytes = b"") -> None:
        """Says the last words and waits for the peer to go: bytes that nobody has read when a line is closed would reset
        it, and take back what was said (RFC 9112 9.6). gunicorn waits for that in its loop, up to two seconds each."""
        line.said.clear()
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
        self._let_go(line)
        if line.answer is not None:
            line.answer.close()
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
