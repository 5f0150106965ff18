"""The direct path: P-DATA of a C-STORE goes from the socket to its blob, past pynetdicom's queues.

pynetdicom negotiates, releases, aborts and speaks every other service. This module stands in for the one method
of its upper layer that reads a PDU (``DULServiceProvider._read_pdu_data``). A PDU that begins a C-STORE is
served here to the end, in the upper layer's own thread, and so is the next one that follows it; everything else
is handed to pynetdicom as it came.

Promises: no PDU is read that is longer than was negotiated (PS3.8 D.1); memory is one buffer per association,
whatever the object's size; a peer that falls silent, dribbles or speaks nonsense is cut off within
``PATIENCE_S``, named in the log, and leaves nothing behind.

Sources: PS3.8 9.3.1 (PDU), 9.3.5 (P-DATA-TF), 9.3.8 (A-ABORT), E.2 (message control header), PS3.7 9.3.1.
"""
from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable, Iterator
from threading import Lock
from time import monotonic
from typing import Protocol

from pynetdicom.association import Association

from dicom_gateway.command import P_DATA_TF, StoreRequest, store_request, store_response
from dicom_gateway.incoming import PATIENCE_S, Broken, Gone, Incoming
from dicom_gateway.resting import Doorbell, Rest, RingingQueue

log = logging.getLogger("hub.gateway")

A_ASSOCIATE_RQ, A_ABORT = 0x01, 0x07
LONGEST_ASSOCIATE = 1 << 20       # 128 contexts with 60 transfer syntaxes each are half of this
LONGEST_OTHER = 1024              # release and abort have 4 bytes
LONGEST_COMMAND = 1 << 16
IS_COMMAND, IS_LAST = 0x01, 0x02  # PS3.8 E.2

RESTING = ("Sta2", "Sta3", "Sta6", "Sta8")      # PS3.8 9.2: nothing is to be done before either side speaks
INTRODUCTION_S = 15.0             # for the association request, once it has begun
SLOWEST_BYTES_PER_S = 500         # of an object, beyond PATIENCE_S: slower is an attack or a broken line

QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)   # devices leave Nagle on: an acknowledgement held back costs 40 ms an object

_HEAD = struct.Struct(">BxL")
TITLES = slice(10, 42)             # of an A-ASSOCIATE-RQ: the called and the calling one (PS3.8 9.3.2)
_ITEM = struct.Struct(">LBB")
_ABORT_BY_PROVIDER = struct.pack(">BxLxxBB", A_ABORT, 4, 2, 0)


class Arrival(Protocol):
    """An object on its way in. Nothing here raises for want of room on the disk: the answer tells of it.
    ``room`` is memory into which the next ``count`` bytes may be received; ``filled`` says that they were. ``end``
    returns at once; its argument is called once the object is safe or refused, perhaps in another thread."""

    def room(self, count: int) -> memoryview: ...
    def filled(self, count: int) -> None: ...
    def end(self, answer: Callable[[int, str], None]) -> None: ...
    def discard(self) -> None: ...


Begin = Callable[[Association, StoreRequest, str], Arrival]   # the last is the negotiated transfer syntax


class _HandedOver(Exception):
    """An abort came in mid-object and was given to pynetdicom, which ends the association."""


class Line:
    """One connection, read in the thread of its upper layer. ``told`` hears why it was cut off, where it was."""

    INCOMING = Incoming

    def __init__(self, association: Association, begin: Begin, longest_pdu: int, idle_s: float,
                 told: Callable[[Association, str], None] = lambda association, words: None):
        self._association, self._dul, self._begin, self._told = association, association.dul, begin, told
        self._longest, self._idle_s = longest_pdu, idle_s
        self._read_next = association.dul._is_transport_event
        self._bell, self._quiet = Doorbell(), Rest()
        self._socket: socket.socket = association.dul.socket.socket
        self._incoming = self.INCOMING(self._socket, self._bell, self._wanted_elsewhere)
        self._buffer = memoryview(b"")
        self._unanswered = Lock()                 # held while an object of this line is made to last
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def install(self) -> None:
        """Puts the direct path into an association that was just accepted (EVT_CONN_OPEN), before its first PDU."""
        self._dul._read_pdu_data = self.read
        self._dul._is_transport_event = self.wait_and_read
        self._dul.to_provider_queue = RingingQueue(self._bell)
        self._dul.run = self._run
        self._association._reactor_checkpoint = self._quiet

    def _run(self) -> None:
        """The upper layer's thread, from beginning to end."""
        try:
            type(self._dul).run(self._dul)
        finally:
            self._bell.close()
            self._quiet.ring()

    def wait_and_read(self) -> bool:
        """In place of the upper layer's poll: where it would look again and again for a PDU of the peer or a word of this
        side, it waits for either. What the last round brought is the association's thread's to do."""
        dul = self._dul
        self._quiet.ring()
        if dul.state_machine.current_state in RESTING and dul.event_queue.empty() and not self._wanted_elsewhere():
            try:
                self._incoming.wait()
            except (OSError, ValueError):
                pass                          # closed meanwhile: the upper layer finds out itself
            if dul.to_provider_queue.queue:
                dul._process_recv_primitive()
                return False
        if self._incoming.waits:
            self.read()
            return True
        return self._read_next()

    def read(self) -> None:
        """Reads one PDU for pynetdicom, or serves C-STORE requests until something else is asked for."""
        try:
            patience_s = PATIENCE_S if self._dul.state_machine.current_state == "Sta6" else INTRODUCTION_S
            kind, length = self._next_head(patience_s)
            if kind == P_DATA_TF and self._pynetdicom_holds_nothing():
                self._serve(length)
            else:
                self._hand_over(kind, self._rest(length, patience_s))
        except _HandedOver:
            pass
        except Broken as reason:
            self._cut_off(str(reason))
        except (Gone, OSError):
            self._closed()

    def _pynetdicom_holds_nothing(self) -> bool:
        dul = self._dul
        return dul.state_machine.current_state == "Sta6" and self._association.dimse.message is None and dul.event_queue.empty()

    def _serve(self, length: int) -> None:
        """One object after another. pynetdicom's association thread rests meanwhile: it would only poll."""
        self._quiet.shut()
        try:
            while self._message(length):
                try:
                    kind, length = self._next_head(self._idle_s)
                finally:
                    with self._unanswered:        # whatever comes next, the object was answered before
                        pass
                if kind != P_DATA_TF:
                    self._hand_over(kind, self._rest(length, PATIENCE_S))
                    return
        finally:
            self._dul._idle_timer.restart()
            self._quiet.set()

    def _message(self, length: int) -> bool:
        """Serves the message that begins in a P-DATA-TF of ``length``; False when it is handed to pynetdicom."""
        command, seen = b"", []
        while True:
            rest = self._rest(length, PATIENCE_S)
            items = _items(rest)
            for context_id, flags, part in items:
                if not flags & IS_COMMAND:
                    raise Broken("a data set without a command")
                command += part
                if len(command) > LONGEST_COMMAND:
                    raise Broken("a command without end")
                if flags & IS_LAST:
                    request = _request(command)
                    if request is not None:
                        self._object(context_id, request, items)
                        return True
                    for one in (*seen, rest):
                        self._hand_over(P_DATA_TF, one)
                    return False
            seen.append(bytes(rest))
            length = self._next_of_message()

    def _object(self, context_id: int, request: StoreRequest, items: Iterator[tuple[int, int, memoryview]]) -> None:
        """Receives the data set of a C-STORE-RQ and answers. ``items``: what is left of the PDU that ended the command."""
        context = self._association._accepted_cx.get(context_id)
        if context is None:
            raise Broken(f"the presentation context {context_id} was not accepted")
        arrival = self._begin(self._association, request, str(context.transfer_syntax[0]))
        began, size, whole = monotonic(), 0, not request.has_data_set
        try:
            for own_id, flags, part in items:
                if whole:
                    raise Broken("a fragment that does not belong to the object")
                whole = self._is_last(own_id, flags, context_id)
                arrival.room(len(part))[:] = part
                arrival.filled(len(part))
                size += len(part)
            while not whole:
                if monotonic() - began > PATIENCE_S + size / SLOWEST_BYTES_PER_S:
                    raise Broken(f"an object slower than {SLOWEST_BYTES_PER_S} bytes a second")
                length = self._next_of_message()
                whole = self._fragments(length, arrival, context_id)
                size += length
            self._unanswered.acquire()
            arrival.end(lambda status, comment: self._respond(store_response(context_id, request, status, comment)))
        finally:
            arrival.discard()
        self._after_object()

    def _after_object(self) -> None:
        """What the line's own thread does before it listens again."""

    def _respond(self, response: bytes) -> None:
        """Sends the answer, from whatever thread; one that finds no place in the socket ends the connection: its peer
        has not read the answers to a thousand objects."""
        try:
            if self._socket.send(response, socket.MSG_DONTWAIT) != len(response):
                raise BlockingIOError
        except OSError as error:
            log.warning("an answer to %s could not be sent: %s", self._who(), type(error).__name__)
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                              # gone already
        finally:
            self._unanswered.release()

    def _fragments(self, length: int, arrival: Arrival, context_id: int) -> bool:
        """Receives a P-DATA-TF of ``length`` to where the object is gathered; True when it ended the object.

        Most hold one fragment, which lies where it belongs as soon as it is received; several move up over the
        headers between them."""
        if length < 6:
            raise Broken("a presentation data value cut off")
        until = monotonic() + PATIENCE_S
        item = bytes(self._incoming.next(6, until))
        item_length, own_id, flags = _ITEM.unpack(item)
        room = arrival.room(length - 6)
        if item_length == length - 4:
            whole = self._is_last(own_id, flags, context_id)
            if whole:
                self._incoming.fill(room, until)
            else:
                self._incoming.fill_and_more(room, 12, until)      # the heads of the next PDU and of its first value
            arrival.filled(length - 6)
            return whole
        self._incoming.fill(room, until)
        whole, end = False, 0
        for own_id, flags, part in _items(memoryview(item + bytes(room))):
            if whole:
                raise Broken("a fragment that does not belong to the object")
            whole = self._is_last(own_id, flags, context_id)
            room[end:end + len(part)] = part
            end += len(part)
        arrival.filled(end)
        return whole

    @staticmethod
    def _is_last(own_id: int, flags: int, context_id: int) -> bool:
        if flags & IS_COMMAND or own_id != context_id:
            raise Broken("a fragment that does not belong to the object")
        return bool(flags & IS_LAST)

    def _next_of_message(self) -> int:
        """The length of the next P-DATA-TF; nothing else may come before the message is whole, save an abort."""
        kind, length = self._next_head(PATIENCE_S)
        if kind == P_DATA_TF:
            return length
        if kind == A_ABORT:
            log.warning("association with %s aborted in mid-object", self._who())
            self._hand_over(kind, self._rest(length, PATIENCE_S))
            raise _HandedOver
        raise Broken(f"a PDU of type {kind:02X}H in mid-object")

    def _next_head(self, patience_s: float) -> tuple[int, int]:
        """Type and length of the next PDU (PS3.8 9.3.1), checked before a byte of it is read."""
        if QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        kind, length = _HEAD.unpack(self._incoming.next(6, monotonic() + patience_s, heed=True))
        most = {P_DATA_TF: self._longest, A_ASSOCIATE_RQ: LONGEST_ASSOCIATE}.get(kind, LONGEST_OTHER)
        if not 1 <= kind <= 7:
            raise Broken(f"a PDU of unknown type {kind:02X}H")
        if length > most:
            raise Broken(f"a PDU of type {kind:02X}H with {length} bytes, more than {most}")
        return kind, length

    def _rest(self, length: int, patience_s: float) -> memoryview:
        """What follows the head, in the buffer of this line: valid until the next call."""
        if len(self._buffer) < length:
            established = self._dul.state_machine.current_state == "Sta6"
            self._buffer = memoryview(bytearray(max(length, self._longest) if established else length))
        rest = self._buffer[:length]
        self._incoming.fill(rest, monotonic() + patience_s)
        return rest

    def _wanted_elsewhere(self) -> bool:
        return bool(self._dul.to_provider_queue.queue) or self._dul._kill_thread

    def _hand_over(self, kind: int, rest: memoryview | bytes) -> None:
        """Gives pynetdicom a PDU as if it had read it. Some devices fill the sixteen characters of a title with NUL, which it refuses."""
        whole = _HEAD.pack(kind, len(rest)) + bytes(rest)
        if kind == A_ASSOCIATE_RQ:
            whole = whole[:TITLES.start] + whole[TITLES].replace(b"\0", b" ") + whole[TITLES.stop:]
        try:
            pdu, event = self._dul._decode_pdu(whole)
        except Exception as error:                # whatever a hostile PDU can do to a parser
            raise Broken(f"a PDU of type {kind:02X}H that cannot be read ({type(error).__name__})") from error
        self._dul._recv_pdu.put(pdu)
        self._dul.event_queue.put(event)

    def _cut_off(self, reason: str) -> None:
        log.warning("connection of %s cut off: %s", self._who(), reason)
        self._told(self._association, reason)
        try:
            self._socket.sendall(_ABORT_BY_PROVIDER)
        except OSError:
            pass
        self._closed()

    def _closed(self) -> None:
        if self._wanted_elsewhere():
            return                                # pynetdicom ends it, and says so to the peer
        dul = self._dul
        self._incoming.forget()
        unknown = dul.state_machine.current_state in ("Sta1", "Sta2")
        dul.socket.close()                        # Evt17 (PS3.8 9.2): transport connection closed
        if unknown:
            dul.to_user_queue.put(None)           # nobody will ever introduce themselves: end that wait, too

    def _who(self) -> str:
        requestor = self._association.requestor
        return f"{str(requestor.ae_title).strip() or 'a caller without name'} at {requestor.address}"


def _items(rest: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The presentation data values of a P-DATA-TF: context, message control header, fragment (PS3.8 9.3.5.1)."""
    place, end = 0, len(rest)
    while place < end:
        if end - place < 6:
            raise Broken("a presentation data value cut off")
        length, context_id, flags = _ITEM.unpack_from(rest, place)
        if length < 2 or length > end - place - 4:
            raise Broken("a presentation data value longer than its PDU")
        yield context_id, flags, rest[place + 6:place + 4 + length]
        place += 4 + length


def _request(command: bytes) -> StoreRequest | None:
    try:
        return store_request(command)
    except ValueError as error:
        raise Broken(str(error)) from error
