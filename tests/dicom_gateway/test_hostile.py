"""Slow and hostile callers: bounded threads and memory, everybody else served, every one counted by name."""
import random
import socket
import struct
import threading
import time
import tracemalloc
from contextlib import suppress
from types import SimpleNamespace

import pytest
from pydicom.dataset import Dataset
from pynetdicom.sop_class import (
    CTImageStorage, StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet, Verification,
)

from dicom_gateway import callers
from dicom_gateway import lobby as lobby_room
from dicom_gateway.lobby import Lobby
from hub.flow import devices, doors
from hub.model.access import SYSTEM
from tests.dicom_gateway.running import SENDER, running, slice_of_ct
from tests.dicom_gateway.wire import A_ABORT, CT, EXPLICIT, Wire, associate_rq, command, pdu, pdv

ECHO = (Verification, "1.2.840.10008.1.2")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A gateway that lets 40 connections in, 30 from one address."""
    with running(tmp_path_factory.mktemp("small") / "data", dicom_connections=40, dicom_connections_per_address=30, dicom_associations=40) as started:
        yield started


@pytest.fixture
def tiny(tmp_path):
    """A gateway that lets five connections of one address in."""
    with running(tmp_path / "data", dicom_connections=10, dicom_connections_per_address=5) as started:
        yield started


def counted(gateway) -> dict[str, int]:
    gateway.server.ledger.write()
    totals: dict[str, int] = {}
    for reason, _, times in doors.totals(gateway.hub):
        totals[reason] = totals.get(reason, 0) + times
    return totals


def wait_until(holds, most_s: float = 120.0) -> None:
    until = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.02)


def test_silent_connections_cost_no_thread_and_keep_nobody_out(small):
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", small.port)) for _ in range(200)]
    assert small.send(slice_of_ct()) == [0x0000]
    assert threading.active_count() <= before + 4
    silent[0].settimeout(60)
    assert silent[0].recv(1) == b""                   # the oldest made room
    wait_until(lambda: counted(small).get("crowded_out", 0) >= 200 - 30)
    for one in silent:
        one.close()
    assert small.send(slice_of_ct()) == [0x0000]


def test_one_that_says_nothing_is_closed_in_time(small, monkeypatch):
    monkeypatch.setattr(lobby_room, "PATIENCE_S", 0.3)
    with socket.create_connection(("127.0.0.1", small.port), timeout=120) as silent:
        assert silent.recv(1) == b""
    wait_until(lambda: counted(small).get("silent", 0) >= 1)


def test_a_connection_that_comes_and_goes_is_nobody(small):
    before = counted(small)
    threads = threading.active_count()
    for _ in range(100):
        socket.create_connection(("127.0.0.1", small.port)).close()
    assert small.send(slice_of_ct()) == [0x0000]
    wait_until(lambda: threading.active_count() <= threads + 4)
    assert counted(small) == before


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x00" * 500, b"\xff" * 500, b"SSH-2.0-x\r\n"], ids=repr)
def test_who_does_not_speak_dicom_is_turned_away_at_the_first_byte_and_counted(tiny, garbage):
    with Wire(tiny.port) as wire:
        wire.socket.sendall(garbage)
        assert wire.answer()[0] == 0
    wait_until(lambda: counted(tiny) == {"broken_protocol": 1})


def test_who_never_ends_introducing_itself_makes_room_for_the_next(tiny):
    """Half-finished requests fill their address: the longest waiting makes room, a device is served all the same."""
    stalled = []
    for _ in range(20):
        one = socket.create_connection(("127.0.0.1", tiny.port), timeout=120)
        one.sendall(b"\x01\x00\x00\x00")                # a request begun
        stalled.append(one)
    assert tiny.send(slice_of_ct()) == [0x0000]
    wait_until(lambda: counted(tiny).get("crowded_out", 0) >= 15)
    for one in stalled:
        one.close()


def test_a_request_that_is_begun_costs_no_thread_and_the_devices_behind_the_same_address_are_all_served(tiny):
    """A crowd that begins requests as fast as it can and never ends one, and a device that goes on sending beside it. Until it has
    asked it is one of them: where five came between its connection and its request, it connects once more."""
    stop, stalled, associations, threads = threading.Event(), [], [], threading.active_count()

    def crowd() -> None:
        while not stop.is_set():
            try:
                stalled.append(socket.create_connection(("127.0.0.1", tiny.port), timeout=120))
                stalled[-1].sendall(b"\x01\x00\x00\x00\x10\x00" + bytes(100))
            except OSError:
                pass                                    # it has made room already
            if len(stalled) > 200:
                stalled.pop(0).close()

    hostile = threading.Thread(target=crowd)
    hostile.start()
    try:
        wait_until(lambda: len(stalled) > 50)
        assert threading.active_count() <= threads + 5
        for _ in range(10):
            wait_until(lambda: (asking := tiny.associate((CTImageStorage, EXPLICIT))).is_established and associations.append(asking) is None)
            assert associations[-1].send_c_store(slice_of_ct()).Status == 0x0000
            associations[-1].release()
    finally:
        stop.set()
        hostile.join()
        for one in stalled:
            one.close()
    assert counted(tiny)["crowded_out"] >= 40


@pytest.mark.parametrize("pieces", [1, 3, 7, 200])
def test_a_request_that_comes_in_pieces_is_answered_when_it_is_whole(tiny, pieces):
    request = associate_rq(SENDER, "HUB", ((1, CT, EXPLICIT),), 16384)
    with Wire(tiny.port) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request) - 1, pieces):
            wire.socket.sendall(request[start:min(start + pieces, len(request) - 1)])
        assert tiny.send(slice_of_ct()) == [0x0000]       # meanwhile others are served
        wire.socket.sendall(request[-1:])
        assert wire.answer()[0] == 0x02                   # A-ASSOCIATE-AC


def test_a_request_that_is_never_ended_is_closed_in_time_and_named(tiny, monkeypatch):
    with Wire(tiny.port) as stalled:
        stalled.socket.sendall(b"\x01\x00\x00\x00\x10")
        wait_until(lambda: any(one.awaits > 1 for one in list(tiny.server.lobby._silent.values())))      # it was seen to begin
        monkeypatch.setattr(lobby_room, "PATIENCE_S", 0.0)
        assert stalled.answer()[0] == 0           # closed, or reset: nobody has read what it said
    wait_until(lambda: counted(tiny).get("out_of_patience", 0) >= 1)


def test_a_request_whose_sender_goes_leaves_nothing_behind(tiny):
    threads = threading.active_count()
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", tiny.port), timeout=120) as one:
            one.sendall(b"\x01\x00\x00\x00\x10\x00")
    assert tiny.send(slice_of_ct()) == [0x0000]
    wait_until(lambda: threading.active_count() <= threads + 4 and not tiny.server.lobby._silent)


def test_a_device_that_is_being_looked_up_makes_no_room_for_requests_that_are_only_begun():
    """The device's request is whole and its admission takes a while; the crowd of its address comes meanwhile."""
    turned_away, asked, pairs = [], [], []
    lobby = Lobby(10, 5, lambda reason, address: turned_away.append(reason))
    listener = socket.create_server(("127.0.0.1", 0))

    def enter(said: bytes) -> socket.socket:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        pairs.append((ours, theirs))
        theirs.sendall(said)
        lobby.enter(ours, ("10.0.0.1", 1), 0x01, lambda line, at: asked.append(line))
        return theirs
    try:
        device = enter(associate_rq(SENDER, "HUB", ((1, CT, EXPLICIT),), 16384))
        wait_until(lambda: len(asked) == 1)
        for _ in range(50):
            enter(b"\x01\x00\x00\x00")
        assert turned_away == ["crowded_out"] * 45 and len(asked) == 1
        device.setblocking(False)
        with pytest.raises(BlockingIOError):
            device.recv(1)                                # its line is open
        enter(associate_rq(SENDER, "HUB", ((1, CT, EXPLICIT),), 16384))
        wait_until(lambda: len(asked) == 2)               # and the next of the same address gets in, too
    finally:
        lobby.close()
        listener.close()
        for pair in pairs:
            for one in pair:
                one.close()


def test_a_device_that_has_asked_but_was_not_yet_taken_up_makes_no_room_either():
    """The lobby's own thread is kept busy while the crowd comes in: the whole request waits among the silent ones, the oldest of all."""
    busy, go_on, asked, turned_away, pairs = threading.Event(), threading.Event(), [], [], []
    lobby = Lobby(10, 5, lambda reason, address: turned_away.append(reason))
    listener = socket.create_server(("127.0.0.1", 0))

    def receive(line, at) -> None:
        asked.append(at[1])
        if at[1] == 0:
            busy.set()
            go_on.wait(120)

    def enter(said: bytes, number: int) -> None:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        pairs.append((ours, theirs))
        theirs.sendall(said)
        lobby.enter(ours, ("10.0.0.1", number), 0x01, receive)
    request = associate_rq(SENDER, "HUB", ((1, CT, EXPLICIT),), 16384)
    try:
        enter(request, 0)
        assert busy.wait(120)
        lobby.introduced(pairs[0][0])
        enter(request, 1)
        for number in range(2, 40):
            enter(b"\x01\x00\x00\x00", number)
        assert turned_away == ["crowded_out"] * 33
        go_on.set()
        wait_until(lambda: asked == [0, 1])
    finally:
        go_on.set()
        lobby.close()
        listener.close()
        for pair in pairs:
            for one in pair:
                one.close()


def test_admitted_associations_make_room_for_nobody(tiny):
    """Five devices at work behind one address: the next is turned away by name, and let in when one has ended."""
    at_work = [tiny.associate(ECHO) for _ in range(5)]
    assert all(one.is_established for one in at_work)
    with socket.create_connection(("127.0.0.1", tiny.port), timeout=120) as next_one:
        assert next_one.recv(1) == b""
    wait_until(lambda: counted(tiny).get("too_many_connections", 0) >= 1)
    assert all(one.send_c_echo().Status == 0 for one in at_work)
    for one in at_work:
        one.release()
    wait_until(lambda: tiny.associate(ECHO).is_established)


def test_a_flood_of_every_kind_leaves_a_sender_served_and_memory_and_threads_bounded(small):
    """Six hundred hostile connections while one device goes on sending; half of them stay open, a thousand threads if each had its own."""
    before = threading.active_count()
    dice, stop, failures, sent = random.Random(4), threading.Event(), [], []

    def device() -> None:
        while not stop.is_set():
            try:
                if small.send(slice_of_ct()) != [0]:
                    failures.append("refused")
                sent.append(1)
            except AssertionError as error:
                failures.append(str(error))

    kinds = (lambda: b"", lambda: b"\x01", lambda: struct.pack(">BxL", 1, 400_000_000) + bytes(100), lambda: b"GET / HTTP/1.0\r\n\r\n",
             lambda: associate_rq("STRANGER", "HUB", ((1, CT, EXPLICIT),), 16384), lambda: associate_rq(SENDER, "HUB", ((1, CT, EXPLICIT),), 0)[:-7],
             lambda: bytes(dice.randrange(256) for _ in range(200)))
    tracemalloc.start()
    sender = threading.Thread(target=device)
    sender.start()
    most, mine = 0, []
    try:
        for number in range(600):
            try:
                one = socket.create_connection(("127.0.0.1", small.port), timeout=120)
                one.sendall(kinds[number % len(kinds)]())
                mine.append(one)
            except OSError:
                pass                              # turned away while it spoke
            most = max(most, threading.active_count())
            if len(mine) > 300:
                mine.pop(0).close()
    finally:
        stop.set()
        sender.join(120)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for one in mine:
            one.close()
    assert not sender.is_alive() and len(sent) >= 1
    assert len([one for one in failures if one == "refused"]) == 0
    assert most < before + 300 and peak < 100_000_000
    wait_until(lambda: small.associate(ECHO).is_established)
    with Wire(small.port) as wire:          # in the flood, every stranger may have made room before it was read
        assert wire.associate("STRANGER") == 3
    wait_until(lambda: {"broken_protocol", "too_long", "unknown_caller"} <= set(counted(small)))


def _find_rq(identifier: bytes, message: int = 1, sop_class: str = StudyRootQueryRetrieveInformationModelFind, field: int = 0x0020) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value) + len(value) % 2) + value + b"\0" * (len(value) % 2)
    elements = (element(0x0002, sop_class.encode()) + element(0x0100, struct.pack("<H", field)) + element(0x0110, struct.pack("<H", message))
                + element(0x0700, struct.pack("<H", 2)) + element(0x0800, struct.pack("<H", 1)))
    return pdu(4, pdv(1, 0x03, element(0, struct.pack("<L", len(elements))) + elements)) + pdu(4, pdv(1, 0x02, identifier))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning", "ignore:Invalid value", "ignore:The value")
@pytest.mark.parametrize("sop_class, field", [(StudyRootQueryRetrieveInformationModelFind, 0x0020), (StudyRootQueryRetrieveInformationModelGet, 0x0010),
                                              (StorageCommitmentPushModel, 0x0130), (Verification, 0x0030)], ids=["find", "get", "commitment", "echo"])
def test_fuzzed_messages_of_every_service_end_their_own_association_at_most(gateway, sop_class, field):
    dice = random.Random(field)
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientName, identifier.StudyInstanceUID, identifier.StudyDate = "STUDY", "*", "1.2.3", "20260101-"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, identifier)
    good = _find_rq(buffer.getvalue(), sop_class=sop_class, field=field)
    bystander = gateway.associate(ECHO)
    for number in range(40):
        talk = bytearray(good)
        for _ in range(dice.randint(1, 8)):
            talk[dice.randrange(len(talk))] = dice.randrange(256)
        with Wire(gateway.port) as wire:
            assert wire.associate(SENDER, contexts=((1, sop_class, "1.2.840.10008.1.2"),)) == 2
            wire.throw(talk, and_half_close=True)
            with suppress(OSError):
                while wire.answer()[0] not in (0, A_ABORT):
                    pass
        if number % 8 == 0:
            assert bystander.send_c_echo().Status == 0      # so that it is never idle for too long either
    assert bystander.send_c_echo().Status == 0
    bystander.release()
    assert gateway.send(slice_of_ct()) == [0x0000]


def test_a_half_open_association_is_not_counted_as_present_for_ever(small):
    """A device's power is cut: no FIN, no abort. Its place is given up once the line is found broken."""
    with Wire(small.port) as wire:
        wire.associate(SENDER)
        wire.c_store_begins("2.25.31")
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))      # reset instead of a goodbye
    wait_until(lambda: small.half_written() == [])
    assert small.send(slice_of_ct()) == [0x0000]


def test_a_flood_of_strangers_is_counted_in_full_and_written_down_in_part(tiny, monkeypatch):
    monkeypatch.setattr(callers, "STRANGERS_A_MINUTE", 5)
    for number in range(30):
        with Wire(tiny.port) as wire:
            assert wire.associate(f"FLOOD{number}") == 3
    wait_until(lambda: counted(tiny)["unknown_caller"] == 30)
    assert len(devices.unknown_callers(tiny.hub, SYSTEM)) <= 5
    assert tiny.send(slice_of_ct()) == [0x0000]


def test_the_lobby_gives_room_to_a_stranger_when_one_address_fills_it():
    """Addresses are counted apart: who fills the house from one address does not shut out another."""
    turned_away, served = [], []
    lobby = Lobby(8, 4, lambda reason, address: turned_away.append((reason, address)))
    pairs = []

    def enter(address: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        pairs.append((ours, theirs))
        lobby.enter(ours, (address, 1), 0x01, lambda line, at: served.append(at[0]))
        return theirs
    try:
        for _ in range(20):
            enter("10.0.0.1")
        assert turned_away == [("crowded_out", "10.0.0.1")] * 16
        for number in range(6):
            enter(f"10.0.1.{number}")
        other = enter("10.0.0.2")
        other.sendall(b"\x01")
        wait_until(lambda: served == ["10.0.0.2"])
        assert {address for _, address in turned_away} >= {"10.0.0.1"}
    finally:
        lobby.close()
        for pair in pairs:
            for one in pair:
                one.close()


def test_a_crowd_from_one_address_makes_room_itself_not_the_device_of_another(gateway, monkeypatch):
    monkeypatch.setattr(callers, "MOST_WAITING", 8)
    ended = []
    monkeypatch.setattr(callers, "hang_up", lambda association: ended.append(association.requestor.address))
    desk = callers.Callers(gateway.hub, gateway.server.ledger)
    for address in ("10.0.0.2", *["10.0.0.1"] * 30):
        desk._connected(SimpleNamespace(assoc=_Caller(address)))
    assert ended == ["10.0.0.1"] * 23


class _Caller:
    """As much of an association as the desk looks at before it has introduced itself."""

    def __init__(self, address: str):
        self.requestor = SimpleNamespace(address=address)


def test_the_limit_in_mid_object_is_named_too(tiny):
    with Wire(tiny.port) as wire:
        wire.associate(SENDER)
        wire.pdata(pdv(1, 0x03, command(CTImageStorage, "2.25.77")))
        wire.socket.sendall(struct.pack(">BxL", 4, 0x7FFFFFFF))
        assert wire.answer()[0] in (A_ABORT, 0)
    wait_until(lambda: counted(tiny) == {"too_long": 1})
    assert tiny.send(slice_of_ct()) == [0]
