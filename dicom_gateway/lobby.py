"""Where connections wait until they say something: a file descriptor each, no thread, no association.

The promise: however many connect and keep silent, the next device that speaks is served. Connections are limited in
all and per address; where a limit is reached, the longest silent of the same address, else of all, makes room for the
newest. One that says nothing within ``PATIENCE_S`` is closed, and so is one whose first byte begins nothing that the port
speaks. Every one that is turned away is counted and named; one that comes and goes without a word is nobody.
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

PATIENCE_S = 30.0        # of a connection that has not said a word: twice what a slow line needs
LOOK_EVERY_S = 0.25

Receive = Callable[[socket.socket, tuple], None]
Note = Callable[[str, str], None]       # reason (hub.model.device_rules.REFUSALS), address


@dataclass(frozen=True)
class _Silent:
    line: socket.socket
    address: tuple
    first: int
    receive: Receive
    since: float


class Lobby:
    """One for all ports of a gateway. ``most``: open connections in all; ``most_of_one``: from one address."""

    def __init__(self, most: int, most_of_one: int, note: Note):
        self._most, self._most_of_one, self._note = most, most_of_one, note
        self._lock = Lock()
        self._silent: dict[int, _Silent] = {}                       # by file descriptor, the longest waiting first
        self._speaking: weakref.WeakKeyDictionary[socket.socket, str] = weakref.WeakKeyDictionary()
        self._selector = selectors.DefaultSelector()
        self._closed = False
        self._thread = Thread(target=self._attend, name="lobby", daemon=True)
        self._thread.start()

    def enter(self, line: socket.socket, address: tuple, first: int, receive: Receive) -> None:
        """A connection that was just accepted; ``receive`` is called in the lobby's thread once it says ``first``."""
        host, leaves, reason = address[0], None, ""
        with self._lock:
            speaking = [at for other, at in self._speaking.items() if other.fileno() >= 0]
            of_this = [one for one in self._silent.values() if one.address[0] == host]
            if speaking.count(host) + len(of_this) >= self._most_of_one:
                leaves, reason = (of_this[0], "crowded_out") if of_this else (None, "too_many_connections")
            elif len(speaking) + len(self._silent) >= self._most:
                leaves, reason = (next(iter(self._silent.values())), "crowded_out") if self._silent else (None, "too_many_connections")
            if leaves is not None:
                self._forget(leaves)
            if reason != "too_many_connections" and not self._closed:
                self._silent[line.fileno()] = _Silent(line, address, first, receive, monotonic())
                self._selector.register(line, selectors.EVENT_READ)
        if leaves is not None:
            was_there = _said(leaves.line) != b""
            _hang_up(leaves.line)
            if was_there:                     # else it had gone by itself, and only had not been seen to
                self._note(reason, leaves.address[0])
        elif reason or self._closed:
            _hang_up(line)
            self._note(reason or "too_many_connections", host)

    def speaks(self, line: socket.socket, address: tuple) -> None:
        """Counts a connection that has left the lobby, until it is closed."""
        with self._lock:
            self._speaking[line] = address[0]

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._thread.join(10)
        for one in list(self._silent.values()):
            _hang_up(one.line)
        self._selector.close()

    def _attend(self) -> None:
        while not self._closed:
            spoke, late = [], []
            for key, _ in self._selector.select(LOOK_EVERY_S):
                with self._lock:
                    one = self._silent.get(key.fd)
                    if one is not None and one.line is key.fileobj:
                        self._forget(one)
                        self._speaking[one.line] = one.address[0]
                        spoke.append(one)
            with self._lock:
                for one in list(self._silent.values()):
                    if monotonic() - one.since < PATIENCE_S:
                        break
                    self._forget(one)
                    late.append(one)
            for one in late:
                _hang_up(one.line)
                self._note("silent", one.address[0])
            for one in spoke:
                try:
                    self._receive(one)
                except Exception:
                    log.exception("a connection of %s could not be served", one.address[0])
                    _hang_up(one.line)

    def _receive(self, one: _Silent) -> None:
        said = _said(one.line)
        if said == bytes((one.first,)):
            one.receive(one.line, one.address)
            return
        if said:
            self._note("broken_protocol", one.address[0])
        _hang_up(one.line)

    def _forget(self, one: _Silent) -> None:
        fd = next((fd for fd, other in self._silent.items() if other is one), None)
        if fd is not None:
            del self._silent[fd]
            try:
                self._selector.unregister(one.line)
            except (KeyError, ValueError):
                pass                          # closed meanwhile


def _said(line: socket.socket) -> bytes | None:
    """The first byte that waits, b"" where the peer has gone, None where it keeps silent."""
    try:
        return line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""                            # reset before it said anything


def _hang_up(line: socket.socket) -> None:
    try:
        socket.socket.shutdown(line, socket.SHUT_RDWR)
    except OSError:
        pass
    line.close()
