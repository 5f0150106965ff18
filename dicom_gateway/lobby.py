"""Where connections wait until they have asked: a file descriptor each, no thread, no association.

The promise: however many connect and keep silent, or begin a request and never end it, the next device that asks is served.
A connection leaves the lobby when its whole A-ASSOCIATE-RQ (PS3.8 9.3.2) is there, over TLS its first record, the ClientHello. Connections are limited in all and per
address; where a limit is reached, the one of the same address, else of all, that has been waiting here for the longest makes
room for the newest, and where nobody waits here, the one that has been introducing itself for the longest. Whoever has asked and is
being looked up makes room for nobody and takes none of anybody's: that takes a moment, and there is a limit of its own. One that has not
asked within ``PATIENCE_S`` is closed, and so is one whose first byte begins nothing that the port speaks. Every one that is
turned away is counted and named; one that comes and goes without a word is nobody. Here, too, a connection that was refused
waits for its peer to read that and to go.
"""
from __future__ import annotations

import logging
import selectors
import socket
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic

log = logging.getLogger("hub.gateway")

PATIENCE_S = 30.0        # of a connection that has not asked: twice what a slow line needs
HEAD = 6                 # bytes of a PDU before what its length counts (PS3.8 9.3.1)
RECORD_HEAD = 5          # the same of a TLS record (RFC 8446 5.1)
MOST_AWAITED = 32_768    # bytes of a request that is waited for here; of a longer one its own thread sees whether it may be so long
A_ASSOCIATE_RQ = 0x01
LOOK_EVERY_S = 0.25
LINGER_S = 5.0           # for a peer to close after its refusal (the ARTIM timer of PS3.8 9.1.5)
MOST_LEAVING = 64        # of those at a time; beyond them the oldest is closed at once
MOST_ASKING = 800        # connections that have asked and are not answered yet, beyond the limits of all others

Receive = Callable[[socket.socket, tuple], None]
Note = Callable[[str, str], None]       # reason (hub.model.device_rules.REFUSALS), address


@dataclass(eq=False)
class _Silent:
    line: socket.socket
    address: tuple
    first: int
    receive: Receive
    since: float
    awaits: int = 1      # bytes without which it need not be looked at again


@dataclass
class _Speaker:
    address: str
    is_asking: bool = False          # it is being looked up, or written down
    is_introduced: bool = False      # its association was admitted: it makes room for nobody


class Lobby:
    """One for all ports of a gateway. ``most``: open connections in all; ``most_of_one``: from one address."""

    def __init__(self, most: int, most_of_one: int, note: Note):
        self._most, self._most_of_one, self._note = most, most_of_one, note
        self._lock = Lock()
        self._silent: dict[int, _Silent] = {}                       # by file descriptor, the longest waiting first
        self._speaking: weakref.WeakKeyDictionary[socket.socket, _Speaker] = weakref.WeakKeyDictionary()      # in the order of their first byte
        self._leaving: dict[socket.socket, float] = {}              # refused, and since when; the longest waiting first
        self._selector = selectors.DefaultSelector()
        self._closed = False
        self._thread = Thread(target=self._attend, name="lobby", daemon=True)
        self._thread.start()

    def enter(self, line: socket.socket, address: tuple, first: int, receive: Receive) -> None:
        """A connection that was just accepted; ``receive`` is called in the lobby's thread once what begins with ``first``, an A-ASSOCIATE-RQ or a TLS record, is whole."""
        host, leaves, stops = address[0], None, None
        with self._lock:
            there = [(other, one) for other, one in self._speaking.items() if other.fileno() >= 0]
            begun, silent = [(other, one) for other, one in there if not one.is_asking], list(self._silent.values())
            is_full = len(there) + len(silent) >= self._most + MOST_ASKING
            for most, of_one in ((self._most_of_one, True), (self._most, False)):
                speaking = [(other, one) for other, one in begun if not of_one or one.address == host]
                waiting = [one for one in silent if not of_one or one.address[0] == host]
                if len(speaking) + len(waiting) >= most:
                    waiting = [one for one in waiting if not _is_whole(one)]      # whoever has asked is just being taken up
                if len(speaking) + len(waiting) >= most:
                    leaves = next(iter(waiting), None)
                    stops = None if leaves is not None else next((other for other, one in speaking if not one.is_introduced), None)
                    is_full = is_full or leaves is None and stops is None
                    break
            if leaves is not None:
                self._forget(leaves)
            if stops is not None:
                left_by = self._speaking.pop(stops).address
            if not is_full and not self._closed:
                self._silent[line.fileno()] = _Silent(line, address, first, receive, monotonic())
                self._selector.register(line, selectors.EVENT_READ)
        if leaves is not None:
            was_there = _said(leaves.line) != b""
            hang_up(leaves.line)
            if was_there:                     # else it had gone by itself, and only had not been seen to
                self._note("crowded_out", leaves.address[0])
        if stops is not None:
            _end(stops)                       # its own thread sees the end and tidies up
            self._note("crowded_out", left_by)
        if is_full or self._closed:
            hang_up(line)
            self._note("too_many_connections", host)

    def see_out(self, line: socket.socket, words: bytes) -> None:
        """Ends a connection that has left the lobby with ``words``, and closes it once its peer has, in ``LINGER_S`` at most. To close
        before everything is read would take back what was said last (RFC 1122 4.2.2.13)."""
        try:
            line.setblocking(False)
            is_there = _heard_out(line)
            line.send(words)
            line.shutdown(socket.SHUT_WR)
        except OSError:
            is_there = False                  # it has gone
        with self._lock:
            self._speaking.pop(line, None)
            if is_there and not self._closed:
                self._leaving[line] = monotonic()
                self._selector.register(line, selectors.EVENT_READ)
                line = self._forget_leaving() if len(self._leaving) > MOST_LEAVING else None
        if line is not None:
            hang_up(line)

    def introduced(self, line: socket.socket) -> None:
        """A connection's association was admitted: from now on it makes room for nobody."""
        with self._lock:
            if line in self._speaking:
                self._speaking[line].is_introduced = True

    def let_in(self, line: socket.socket) -> bool:
        """A connection has been looked up, and would get its thread; False where as many as may have one."""
        with self._lock:
            own = self._speaking.get(line)
            if own is None:
                return False                  # it has gone meanwhile
            begun = [one.address for other, one in self._speaking.items() if other.fileno() >= 0 and not one.is_asking]
            if len(begun) >= self._most or begun.count(own.address) >= self._most_of_one:
                return False
            own.is_asking = False
            return True

    def speaks(self, line: socket.socket, address: tuple) -> None:
        """Counts a connection that has left the lobby, until it is closed."""
        with self._lock:
            self._speaking[line] = _Speaker(address[0])

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._thread.join(10)
        for line in [*self._leaving, *(one.line for one in self._silent.values())]:
            hang_up(line)
        self._selector.close()

    def _attend(self) -> None:
        while not self._closed:
            spoke, late, left = [], [], []
            for key, _ in self._selector.select(LOOK_EVERY_S):
                with self._lock:
                    if key.fileobj in self._leaving and not _heard_out(key.fileobj):
                        left.append(self._forget_leaving(key.fileobj))
                    one = self._silent.get(key.fd)
                    if one is not None and one.line is key.fileobj and _has_asked(one):
                        self._forget(one)
                        self._speaking[one.line] = _Speaker(one.address[0], one.first == A_ASSOCIATE_RQ)
                        spoke.append(one)
            with self._lock:
                for one in list(self._silent.values()):
                    if monotonic() - one.since < PATIENCE_S:
                        break
                    self._forget(one)
                    late.append(one)
                while self._leaving and monotonic() - next(iter(self._leaving.values())) > LINGER_S:
                    left.append(self._forget_leaving())
            for line in left:
                hang_up(line)
            for one in late:
                began = bool(_said(one.line))
                hang_up(one.line)
                self._note("out_of_patience" if began else "silent", one.address[0])
            for one in spoke:
                try:
                    self._receive(one)
                except Exception:
                    log.exception("a connection of %s could not be served", one.address[0])
                    hang_up(one.line)

    def _receive(self, one: _Silent) -> None:
        said = _said(one.line)
        if said == bytes((one.first,)):
            one.receive(one.line, one.address)
            return
        if said:
            self._note("broken_protocol", one.address[0])
        hang_up(one.line)

    def _forget_leaving(self, line: socket.socket | None = None) -> socket.socket:
        """One that was refused is not waited for any more: the longest waiting, unless it is named."""
        line = line or next(iter(self._leaving))
        del self._leaving[line]
        self._selector.unregister(line)
        return line

    def _forget(self, one: _Silent) -> None:
        fd = next((fd for fd, other in self._silent.items() if other is one), None)
        if fd is not None:
            del self._silent[fd]
            try:
                self._selector.unregister(one.line)
            except (KeyError, ValueError):
                pass                          # closed meanwhile


def _is_whole(one: _Silent) -> bool:
    """Whether a request that may be acted on is there with all its bytes; over TLS, whether the first record is."""
    try:
        needs, there = _progress(one)
    except OSError:
        return False                          # nothing has been said, or it has gone
    return there >= needs > 0


def _has_asked(one: _Silent) -> bool:
    """Whether there is something to act on: a whole request, one that this is not the place to wait for, or an end. Else the
    kernel is told how many bytes to wait for, so that one that trickles in costs nothing meanwhile."""
    try:
        needs, there = _progress(one)
        if there < needs and one.awaits != needs:
            one.awaits = needs
            one.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needs)
            return False
        if one.awaits > 1:                    # where it is still not there: it has ended, or the kernel will hold no more of it
            one.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    except BlockingIOError:
        return False
    except OSError:
        pass                                  # reset: whoever takes it up sees that
    return True


def _progress(one: _Silent) -> tuple[int, int]:
    """How many bytes make the request whole, and how many of them are there; (0, 0) for what is none or not waited for here.
    BlockingIOError where nothing has been said."""
    head = one.line.recv(HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    if not head or head[0] != one.first:
        return 0, 0
    if len(head) < HEAD:
        return HEAD, len(head)
    needs = HEAD + int.from_bytes(head[2:], "big") if one.first == A_ASSOCIATE_RQ else RECORD_HEAD + int.from_bytes(head[3:RECORD_HEAD], "big")
    if needs > MOST_AWAITED:
        return 0, 0
    return needs, len(one.line.recv(needs, socket.MSG_PEEK | socket.MSG_DONTWAIT))


def _said(line: socket.socket) -> bytes | None:
    """The first byte that waits, b"" where the peer has gone, None where it keeps silent."""
    try:
        return line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""                            # reset before it said anything


def _heard_out(line: socket.socket) -> bool:
    """Takes what waits, a whole request at least, and drops it; whether the peer is still there."""
    try:
        return line.recv(2 * MOST_AWAITED, socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def hang_up(line: socket.socket) -> None:
    """Closes a connection at once."""
    _end(line)
    line.close()


def _end(line: socket.socket) -> None:
    try:
        socket.socket.shutdown(line, socket.SHUT_RDWR)      # of the transport, also under TLS
    except OSError:
        pass                                  # it has ended by itself
