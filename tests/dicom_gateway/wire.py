"""A sender that writes its PDUs by hand (PS3.8 9.3), so that it can also write them wrong."""
import socket
import struct
from contextlib import suppress

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF, A_RELEASE_RP, A_ABORT = 0x02, 0x03, 0x04, 0x06, 0x07


class Wire:
    """One TCP connection to a gateway."""

    def __init__(self, port: int, timeout_s: float = 120):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def associate(self, calling: str, called: str = "HUB", contexts=((1, CT, EXPLICIT),), max_pdu: int = 16384) -> int:
        """Sends an A-ASSOCIATE-RQ (9.3.2) and returns the type of the answer."""
        self.socket.sendall(associate_rq(calling, called, contexts, max_pdu))
        return self.answer()[0]

    def answer(self) -> tuple[int, bytes]:
        """The next PDU: its type and what follows its length; (0, b"") when the peer has closed."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", head)
        return kind, self._exactly(length)

    def status(self) -> int:
        """The status of the next response (0000,0900)."""
        kind, rest = self.answer()
        assert kind == P_DATA_TF, kind
        return int.from_bytes(rest[rest.index(b"\0\0\0\x09\x02\0\0\0") + 8:][:2], "little")

    def c_store_begins(self, sop_uid: str, context: int = 1, sop_class: str = CT, message: int = 1) -> None:
        self.pdata(pdv(context, 0x03, command(sop_class, sop_uid, message)))

    def data(self, part: bytes, last: bool, context: int = 1) -> None:
        self.pdata(pdv(context, 0x02 if last else 0x00, part))

    def pdata(self, items: bytes) -> None:
        self.socket.sendall(pdu(P_DATA_TF, items))

    def throw(self, talk: bytes, and_half_close: bool) -> None:
        """Sends as much of `talk` as the peer takes before it hangs up, then perhaps closes this side (FIN)."""
        with suppress(OSError):
            self.socket.sendall(talk)
            if and_half_close:
                self.socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        self.socket.sendall(pdu(A_ABORT, bytes(4)))

    def release(self) -> int:
        self.socket.sendall(pdu(0x05, bytes(4)))
        return self.answer()[0]

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            try:
                part = self.socket.recv(count - len(got))
            except ConnectionResetError:
                return got
            if not part:
                return got
            got += part
        return got


def pdu(kind: int, rest: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(rest)) + rest


def pdv(context: int, flags: int, part: bytes) -> bytes:
    """A presentation data value item (9.3.5.1) with its message control header (E.2)."""
    return struct.pack(">LBB", len(part) + 2, context, flags) + part


def command(sop_class: str, sop_uid: str, message: int = 1) -> bytes:
    """A C-STORE-RQ command set (PS3.7 9.3.1.1)."""
    elements = b"".join((
        _element(0x0002, _uid(sop_class)), _element(0x0100, struct.pack("<H", 0x0001)), _element(0x0110, struct.pack("<H", message)),
        _element(0x0700, struct.pack("<H", 2)), _element(0x0800, struct.pack("<H", 1)), _element(0x1000, _uid(sop_uid))))
    return _element(0x0000, struct.pack("<L", len(elements))) + elements


def associate_rq(calling: str, called: str, contexts, max_pdu: int) -> bytes:
    items = _item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, abstract, syntax in contexts:
        items += _item(0x20, bytes((number, 0, 0, 0)) + _item(0x30, abstract.encode()) + _item(0x40, syntax.encode()))
    items += _item(0x50, _item(0x51, struct.pack(">L", max_pdu)) + _item(0x52, b"2.25.1"))
    return pdu(0x01, struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32) + items)


def _item(kind: int, rest: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(rest)) + rest


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)
