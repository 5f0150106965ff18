"""Who is certain to be refused gets its ten bytes and no thread; whoever is registered passes, from the first second on."""
import socket
import struct
import subprocess
import threading

import pytest
from pynetdicom.sop_class import Verification

from dicom_gateway import callers as callers_room
from dicom_gateway import lobby as lobby_room
from dicom_gateway import threshold as threshold_room
from dicom_gateway.threshold import caller_in
from hub.errors import Retryable
from hub.flow import devices
from hub.flow.devices import Caller
from hub.model.access import SYSTEM
from hub.storage.tables import audit
from tests.dicom_gateway.running import SENDER, peer, running, slice_of_ct
from tests.dicom_gateway.test_hostile import counted, wait_until
from tests.dicom_gateway.wire import CT, EXPLICIT, Wire, associate_rq

ECHO = (Verification, "1.2.840.10008.1.2")
NOT_RECOGNISED = bytes.fromhex("03 00 00 00 00 04 00 01 01 03")        # PS3.8 9.3.4: permanent, service user, calling AE title not recognised
LIMIT_EXCEEDED = bytes.fromhex("03 00 00 00 00 04 00 02 03 02")        # transient, service provider (presentation), local limit exceeded
CONGESTION = bytes.fromhex("03 00 00 00 00 04 00 02 03 01")            # transient, service provider (presentation), temporary congestion


@pytest.fixture
def own(tmp_path):
    with running(tmp_path / "data") as started:
        yield started


def request_of(calling: str) -> bytes:
    return associate_rq(calling, "HUB", ((1, CT, EXPLICIT),), 16384)


def all_of(line: socket.socket) -> bytes:
    """Everything until the other side closes."""
    said = b""
    while part := line.recv(4096):
        said += part
    return said


def connected(gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=120)


@pytest.fixture
def no_association(own, monkeypatch):
    """Whoever is given a thread from here on is written down here."""
    begun = []
    let_in = type(own.server)._let_in
    monkeypatch.setattr(type(own.server), "_let_in", lambda self, line, address: (begun.append(address), let_in(self, line, address)))
    return begun


def test_a_stranger_is_answered_with_the_ten_bytes_of_the_standard_and_nothing_else(own, no_association):
    with connected(own) as line:
        line.sendall(request_of("STRANGER"))
        assert all_of(line) == NOT_RECOGNISED
    assert no_association == []
    assert counted(own) == {"unknown_caller": 1}
    (row,) = devices.unknown_callers(own.hub, SYSTEM)
    assert (row.ae_title, row.address, row.called, row.times) == ("STRANGER", "127.0.0.1", "HUB", 1)


def test_the_refusal_reaches_whoever_goes_on_talking(own, monkeypatch):
    """Bytes that nobody has read when the line is closed would reset it, and take the refusal back (RFC 1122 4.2.2.13)."""
    monkeypatch.setattr(lobby_room, "LINGER_S", 600)
    with connected(own) as line:
        line.sendall(request_of("CHATTERER") + bytes(100_000))
        assert line.recv(10, socket.MSG_WAITALL) == NOT_RECOGNISED
        wait_until(lambda: own.server.lobby._leaving)
        for _ in range(20):
            line.sendall(bytes(10_000))
        assert line.recv(1) == b""
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    wait_until(lambda: not own.server.lobby._leaving)


def test_pynetdicom_is_refused_as_before(own, no_association):
    association = own.associate(ECHO, calling="STRANGER")
    answer = association.acceptor.primitive
    assert association.is_rejected and (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 3)
    assert no_association == []


@pytest.mark.peers
@pytest.mark.parametrize("program", ["echoscu", "storescu"])
def test_dcmtk_is_told_why(own, no_association, tmp_path, program):
    slice_of_ct().save_as(tmp_path / "slice.dcm", enforce_file_format=True)
    files = [str(tmp_path / "slice.dcm")] if program == "storescu" else []
    done = subprocess.run([peer(program), "-aet", "STRANGER", "-aec", "HUB", "127.0.0.1", str(own.port), *files], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "Result: Rejected Permanent, Source: Service User" in said and "Reason: Calling AE Title Not Recognized" in said
    assert no_association == []


def test_three_hundred_strangers_cost_no_thread_and_a_device_is_served_meanwhile(own, monkeypatch):
    lines, started, start = [], [], threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (started.append(self.name), start(self)))
    for number in range(300):
        lines.append(connected(own))
        lines[-1].sendall(request_of(f"FLOOD{number}"))
        if number % 50 == 0:
            assert own.send(slice_of_ct()) == [0]
    refused = [all_of(line) for line in lines[-30:]]
    assert refused == [NOT_RECOGNISED] * 30
    for line in lines:
        line.close()
    # One that made room for the next while it was looked up is both.
    wait_until(lambda: sum(counted(own).get(reason, 0) for reason in ("unknown_caller", "crowded_out", "too_many_connections")) >= 300)
    assert counted(own)["unknown_caller"] >= 30 and len(devices.unknown_callers(own.hub, SYSTEM)) >= 30
    assert len(started) < 100, "the device's, a few for each of six objects"


def test_strangers_who_keep_their_lines_open_are_closed_in_time_and_keep_nobody_out(own, monkeypatch):
    monkeypatch.setattr(lobby_room, "LINGER_S", 0.3)
    lines = [connected(own) for _ in range(40)]
    for line in lines:
        line.sendall(request_of("LINGERER"))
    assert [all_of(line) for line in lines] == [NOT_RECOGNISED] * 40
    wait_until(lambda: not own.server.lobby._leaving)
    for line in lines:
        with pytest.raises(OSError):          # this side may say nothing more: the other has closed
            for _ in range(1000):
                line.sendall(b"\0" * 1000)
        line.close()


def test_of_those_who_keep_their_lines_open_only_some_are_waited_for(own, monkeypatch):
    monkeypatch.setattr(lobby_room, "MOST_LEAVING", 3)
    lines = [connected(own) for _ in range(20)]
    for line in lines:
        line.sendall(request_of("LINGERER"))
    assert [all_of(line) for line in lines] == [NOT_RECOGNISED] * 20
    with own.server.lobby._lock:              # one that comes is in before the oldest is out
        assert len(own.server.lobby._leaving) <= 3
    for line in lines:
        line.close()
    wait_until(lambda: not own.server.lobby._leaving)


def test_a_device_that_was_registered_this_moment_gets_in(own):
    for number in range(10):
        assert own.associate(ECHO, calling=f"NEW{number}").is_rejected
        devices.register(own.hub, SYSTEM, site_id=1, kind="dicom", name=f"新设备 {number}", ae_title=f"NEW{number}")
        association = own.associate(ECHO, calling=f"NEW{number}")
        assert association.is_established
        association.release()
    assert devices.unknown_callers(own.hub, SYSTEM) == []


def test_a_device_that_was_shut_out_this_moment_is_refused(own, no_association):
    device_id, _ = devices.register(own.hub, SYSTEM, site_id=1, kind="dicom", name="停用", ae_title="ON_OFF")
    assert own.send(slice_of_ct(), calling="ON_OFF") == [0]
    devices.set_active(own.hub, SYSTEM, device_id, False)
    no_association.clear()
    assert own.associate(ECHO, calling="ON_OFF").is_rejected
    assert no_association == []


def test_a_registered_title_at_another_address_is_refused_here_too(own, no_association):
    devices.register(own.hub, SYSTEM, site_id=1, kind="dicom", name="定址", ae_title="FIXED_AT", address="10.9.8.7")
    assert own.associate(ECHO, calling="FIXED_AT").is_rejected
    assert no_association == [] and counted(own) == {"unknown_caller": 1}


def test_in_a_flood_strangers_are_counted_in_full_and_written_down_in_part(own, no_association, monkeypatch):
    monkeypatch.setattr(callers_room, "STRANGERS_A_MINUTE", 5)
    for number in range(30):
        with connected(own) as line:
            line.sendall(request_of(f"FLOOD{number}"))
            assert all_of(line) == NOT_RECOGNISED
    assert counted(own) == {"unknown_caller": 30} and no_association == []
    assert len(devices.unknown_callers(own.hub, SYSTEM)) <= 5
    with own.hub.reading() as connection:
        written = [row for row in connection.execute(audit.select()) if row.action == "device.unknown"]
    assert len(written) == len(devices.unknown_callers(own.hub, SYSTEM))


def test_where_the_administrators_list_cannot_be_written_the_caller_is_told_to_try_again(own, monkeypatch):
    def busy(hub, callers):
        raise Retryable("database_busy", "数据库暂时忙，请稍后重试。", "the database is busy.")
    monkeypatch.setattr(devices, "note_strangers", busy)
    with connected(own) as line:
        line.sendall(request_of("STRANGER"))
        assert all_of(line) == CONGESTION
    assert counted(own) == {"busy": 1}


def test_where_callers_cannot_be_looked_up_together_each_is_asked_for_by_its_own_association(own, no_association, monkeypatch):
    def broken(hub, callers):
        raise RuntimeError("no database")
    monkeypatch.setattr(devices, "strangers", broken)
    assert own.send(slice_of_ct()) == [0]
    assert own.associate(ECHO, calling="STRANGER").is_rejected
    assert len(no_association) == 2


def test_a_look_up_that_stands_still_keeps_neither_the_lobby_nor_more_callers_than_it_may(own, monkeypatch):
    monkeypatch.setattr(threshold_room, "MOST_WAITING", 4)
    asked, go_on, look_up = threading.Event(), threading.Event(), devices.strangers

    def slow(hub, callers):
        asked.set()
        assert go_on.wait(120)
        return look_up(hub, callers)
    monkeypatch.setattr(devices, "strangers", slow)
    with connected(own) as first:
        first.sendall(request_of("STRANGER"))
        assert asked.wait(120)
        lines = [connected(own) for _ in range(10)]
        for line in lines:
            line.sendall(request_of("STRANGER"))
        with connected(own) as line:                         # the lobby goes on
            line.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert all_of_or_reset(line) == b""
        wait_until(lambda: counted(own).get("busy", 0) == 6)
        monkeypatch.setattr(threshold_room, "MOST_WAITING", 1000)
        go_on.set()
        answers = [all_of(line) for line in [first, *lines]]
    assert answers.count(CONGESTION) == 6 and answers.count(NOT_RECOGNISED) == 5
    for line in lines:
        line.close()
    assert own.send(slice_of_ct()) == [0]


def test_a_registered_device_whose_association_is_about_to_begin_makes_room_for_no_crowd_of_its_own_address(tmp_path, monkeypatch):
    """Others who introduce themselves fill the address behind it: it has been at that for the longest."""
    begun = []
    with running(tmp_path / "data", dicom_connections=10, dicom_connections_per_address=5) as own:
        let_in = own.server._let_in
        monkeypatch.setattr(type(own.server), "_let_in", lambda self, line, address: begun.append((line, address)))
        with Wire(own.port) as device:
            device.socket.sendall(request_of(SENDER))
            wait_until(lambda: begun)
            crowd = [connected(own) for _ in range(20)]
            for line in crowd:
                try:
                    line.sendall(request_of("NO\\TITLE"))     # which is its own association's to judge
                except OSError:
                    pass                                     # it has made room already
            wait_until(lambda: counted(own).get("crowded_out", 0) + counted(own).get("too_many_connections", 0) >= 16)
            let_in(*begun[0])
            assert device.answer()[0] == 0x02                # A-ASSOCIATE-AC
            for line in crowd:
                line.close()


def test_strangers_who_wait_for_their_answer_take_no_room_of_a_device_behind_their_address(tmp_path, monkeypatch):
    """It has connected before them and asks after them; they wait to be written down."""
    go_on, write_down = threading.Event(), devices.note_strangers

    def slow(hub, callers):
        assert go_on.wait(120)
        write_down(hub, callers)
    with running(tmp_path / "data", dicom_connections=10, dicom_connections_per_address=5) as own:
        monkeypatch.setattr(devices, "note_strangers", slow)
        asking = own.server.lobby._speaking
        with Wire(own.port) as device:
            crowd = []
            for number in range(20):
                crowd.append(connected(own))
                crowd[-1].sendall(request_of("STRANGER"))
                wait_until(lambda: len(asking) == number + 1)
            device.socket.sendall(request_of(SENDER))
            assert device.answer()[0] == 0x02                # A-ASSOCIATE-AC
            go_on.set()
            assert [all_of(line) for line in crowd] == [NOT_RECOGNISED] * 20
            for line in crowd:
                line.close()
        assert set(counted(own)) <= {"unknown_caller"}


def test_of_devices_that_were_looked_up_together_as_many_get_a_thread_as_may_have_one(tmp_path, monkeypatch):
    go_on, look_up = threading.Event(), devices.strangers

    def slow(hub, callers):
        assert go_on.wait(120)
        return look_up(hub, callers)
    with running(tmp_path / "data", dicom_connections=10, dicom_connections_per_address=5) as own:
        monkeypatch.setattr(devices, "strangers", slow)
        lines = []
        for number in range(8):
            lines.append(connected(own))
            lines[-1].sendall(request_of(SENDER))
            wait_until(lambda: len(own.server.lobby._speaking) == number + 1)
        go_on.set()
        wait_until(lambda: counted(own).get("too_many_connections") == 3)
        assert sorted(line.recv(10) == LIMIT_EXCEEDED for line in lines) == [False] * 5 + [True] * 3
        for line in lines:
            line.close()


def all_of_or_reset(line: socket.socket) -> bytes:
    try:
        return all_of(line)
    except ConnectionResetError:
        return b""


def test_when_the_hub_is_full_the_next_is_told_so_without_a_thread_and_let_in_when_one_has_ended(tmp_path):
    with running(tmp_path / "data", dicom_associations=2) as own:
        one, two = own.associate(ECHO), own.associate(ECHO)
        threads = threading.active_count()
        for calling in (SENDER, "STRANGER"):
            with connected(own) as line:
                line.sendall(request_of(calling))
                assert all_of(line) == LIMIT_EXCEEDED
        assert threading.active_count() <= threads
        assert counted(own) == {"hub_associations": 2} and devices.unknown_callers(own.hub, SYSTEM) == []
        one.release()
        wait_until(lambda: own.associate(ECHO).is_established)
        assert two.send_c_echo().Status == 0
        two.release()


def test_where_strangers_are_held_they_pass_the_threshold(tmp_path):
    with running(tmp_path / "data", unknown_callers="hold") as own:
        association = own.associate(ECHO, calling="STRANGER")
        assert association.is_established and association.send_c_echo().Status == 0
        association.release()


WHOLE = request_of("A_CT")


@pytest.mark.parametrize("request_rq, why", [
    (WHOLE[:-1], "cut off"), (WHOLE[:60], "without items"), (b"", "nothing"), (b"\x02" + WHOLE[1:], "another PDU"),
    (WHOLE[:7] + b"\0" + WHOLE[8:], "no version that is known"), (WHOLE[:26] + bytes(16) + WHOLE[42:], "zeros for a title"),
    (WHOLE[:26] + b" " * 16 + WHOLE[42:], "no calling title"), (WHOLE[:10] + b" " * 16 + WHOLE[26:], "no called title"),
    (WHOLE[:26] + b"A\\B".ljust(16) + WHOLE[42:], "a backslash"), (WHOLE[:26] + "青山".encode().ljust(16) + WHOLE[42:], "no ASCII"),
    (WHOLE[:76] + b"\xff\xff" + WHOLE[78:], "an item longer than the request"),
    (struct.pack(">BxL", 1, 68 + 2) + WHOLE[6:74] + b"\x10\x00", "half an item"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_whole_request_of_the_standard_is_left_to_the_association(request_rq, why):
    assert caller_in(request_rq, "10.0.0.1") is None


def test_the_caller_is_read_from_the_request_whatever_follows_it():
    expected = Caller("A_CT", "10.0.0.1", "HUB")
    assert caller_in(WHOLE, "10.0.0.1") == caller_in(WHOLE + bytes(100), "10.0.0.1") == expected
    assert caller_in(WHOLE[:26] + b"  A_CT".ljust(16) + WHOLE[42:], "10.0.0.1") == expected      # spaces before are not significant either
