"""The threshold between the lobby and an association: who is certain to be refused is refused here, with ten bytes and no thread.

A request is whole when it comes here, so it says who calls. Two threads serve all callers, each takes whoever waits together:
one looks them up, so that the lobby never waits for the database; the other writes strangers down for the administrator
before they are answered, so that whoever sees the refusal can find the caller on the page. Whether somebody is known is decided by
``Callers`` alone, which asks once more when the association begins; what this place cannot judge, it lets pass.
"""
from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread

from dicom_gateway.callers import ANSWERS, Callers
from dicom_gateway.direct import A_ASSOCIATE_RQ
from dicom_gateway.lobby import HEAD, MOST_AWAITED, Lobby, hang_up
from hub.flow.devices import Caller

A_ASSOCIATE_RJ = 0x03
FIXED = 74               # bytes of a request before its items (PS3.8 9.3.2)
MOST_WAITING = 400       # callers for one of the two threads: beyond them the database must be standing still
AT_ONCE = 200

log = logging.getLogger("hub.gateway")


@dataclass(frozen=True)
class _Asking:
    line: socket.socket
    address: tuple
    caller: Caller
    let_in: Callable[[socket.socket, tuple], None]


class Threshold:
    """One for all ports of a gateway that do not encrypt."""

    def __init__(self, callers: Callers, lobby: Lobby):
        self._callers, self._lobby = callers, lobby
        self._porter = _Desk("porter", self._look_up)
        self._clerk = _Desk("clerk", self._write_down)

    def ask(self, line: socket.socket, address: tuple, let_in: Callable[[socket.socket, tuple], None]) -> None:
        """A connection that leaves the lobby with its request; ``let_in`` gives it a thread, or it gets its refusal."""
        caller = caller_in(_waiting(line), address[0])
        if caller is None:
            self._let_in(_Asking(line, address, Caller("", address[0], ""), let_in))
            return
        asking = _Asking(line, address, caller, let_in)
        if not self._porter.put(asking):
            self._refuse(asking, "busy")

    def close(self) -> None:
        self._porter.close()
        self._clerk.close()

    def _look_up(self, asking: list[_Asking]) -> None:
        for one, verdict in zip(asking, self._callers.verdicts([one.caller for one in asking]), strict=True):
            if verdict.is_known:
                self._lobby.introduced(one.line)      # makes room for no crowd of its own address, while its association begins
            if not verdict.reason:
                self._let_in(one)
            elif not verdict.is_written_down:
                self._refuse(one, verdict.reason)
            elif not self._clerk.put(one):
                self._refuse(one, "busy")

    def _write_down(self, asking: list[_Asking]) -> None:
        reason = self._callers.write_down([one.caller for one in asking])
        for one in asking:
            self._refuse(one, reason)

    def _let_in(self, one: _Asking) -> None:
        if not self._lobby.let_in(one.line):
            self._refuse(one, "too_many_connections")
            return
        try:
            one.let_in(one.line, one.address)
        except Exception:
            log.exception("a connection of %s could not be served", one.caller.address)
            hang_up(one.line)

    def _refuse(self, one: _Asking, reason: str) -> None:
        self._callers.tell(reason, one.caller.address, one.caller.ae_title)
        self._lobby.see_out(one.line, rejection(reason))


def rejection(reason: str) -> bytes:
    """The A-ASSOCIATE-RJ (PS3.8 9.3.4) for a code of ANSWERS."""
    return struct.pack(">BxLxBBB", A_ASSOCIATE_RJ, 4, *ANSWERS[reason])


def caller_in(request: bytes, address: str) -> Caller | None:
    """Who calls with a whole A-ASSOCIATE-RQ (PS3.8 9.3.2). None for one that is cut off, ill-formed or has other characters in a
    title than it may have (PS3.5 6.2, AE): that is not refused for who calls."""
    end = HEAD + int.from_bytes(request[2:HEAD], "big")
    if not FIXED <= end <= len(request) or request[0] != A_ASSOCIATE_RQ or not request[7] & 1:      # of the protocol versions, the first
        return None
    place = FIXED
    while place < end:
        place += 4 + int.from_bytes(request[place + 2:place + 4], "big")
    called, calling = (_title(request[start:start + 16]) for start in (10, 26))
    return Caller(calling, address, called) if place == end and called and calling else None


def _title(field: bytes) -> str:
    title = field.decode("ascii", "replace").replace("\0", " ").strip()      # as direct.Line hands it over
    return title if title.isascii() and title.isprintable() and "\\" not in title else ""


def _waiting(line: socket.socket) -> bytes:
    try:
        return line.recv(MOST_AWAITED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return b""                            # it has gone: its own thread finds out


class _Desk:
    """One thread, which serves whoever waits together, in their order."""

    def __init__(self, name: str, serve: Callable[[list[_Asking]], None]):
        self._serve, self._waits, self._closed = serve, Condition(), False
        self._waiting: list[_Asking] = []
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, one: _Asking) -> bool:
        """False where too many wait."""
        with self._waits:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(one)
            self._waits.notify()
            return True

    def close(self) -> None:
        with self._waits:
            self._closed = True
            self._waits.notify()
        self._thread.join(10)
        for one in self._waiting:
            hang_up(one.line)

    def _run(self) -> None:
        while True:
            with self._waits:
                self._waits.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                served, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                self._serve(served)
            except Exception:
                log.exception("callers could not be served")
                for one in served:
                    hang_up(one.line)
