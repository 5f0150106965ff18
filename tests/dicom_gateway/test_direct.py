"""The direct path against senders that write their PDUs by hand, rightly, strangely and wrongly."""
import random
import struct
import threading
import time
from collections import Counter
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000, generate_uid
from pynetdicom.dsutils import create_file_meta, decode
from pynetdicom.sop_class import Verification

from dicom_gateway import direct, resting
from dicom_gateway.command import (
    IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, StoreRequest, file_header, store_request, store_response,
)
from dicom_gateway.server import MAXIMUM_PDU
from tests.dicom_gateway.running import SENDER, as_file, body, slice_of_ct
from tests.dicom_gateway.wire import (
    A_ABORT, A_ASSOCIATE_AC, A_RELEASE_RP, CT, Wire, associate_rq, command, pdu, pdv,
)


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34", generate_uid()])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000])
def test_the_file_header_is_the_one_that_pydicom_writes(instance, syntax):
    theirs = BytesIO()
    theirs.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(theirs, create_file_meta(
        sop_class_uid=CTImageStorage, sop_instance_uid=instance, transfer_syntax=syntax,
        implementation_uid=IMPLEMENTATION_UID, implementation_version=IMPLEMENTATION_VERSION))
    assert file_header(CTImageStorage.encode(), instance.encode(), syntax) == theirs.getvalue()


def test_the_response_is_read_by_pynetdicom_as_it_was_meant():
    request = StoreRequest(513, b"1.2.840.10008.5.1.4.1.1.2", b"1.2.3", True)
    for status, comment in ((0x0000, ""), (0xA700, "no room"), (0xC000, "x" * 99)):
        response = store_response(5, request, status, comment)
        kind, length, item, context, flags = struct.unpack_from(">BxLLBB", response)
        assert (kind, length, item, context, flags) == (4, len(response) - 6, len(response) - 10, 5, 3)
        read = decode(BytesIO(response[12:]), True, True)
        assert (read.CommandField, read.MessageIDBeingRespondedTo, read.Status, read.CommandDataSetType) == (0x8001, 513, status, 0x0101)
        assert read.AffectedSOPClassUID == CTImageStorage and read.AffectedSOPInstanceUID == "1.2.3"
        assert read.get("ErrorComment", "") == comment[:64]
        assert read.CommandGroupLength == len(response) - 12 - 12


def test_a_command_that_is_cut_off_is_refused_and_another_command_is_none():
    whole = command(CT, "1.2.3")
    assert store_request(whole) == StoreRequest(1, CT.encode(), b"1.2.3", True)
    assert store_request(whole.replace(struct.pack("<HHLH", 0, 0x0100, 2, 1), struct.pack("<HHLH", 0, 0x0100, 2, 0x30))) is None
    for cut in (3, 9, len(whole) - 1):
        with pytest.raises(ValueError):
            store_request(whole[:cut])


@pytest.fixture
def wire(gateway):
    with Wire(gateway.port) as connected:
        assert connected.associate(SENDER, contexts=((1, CT, ExplicitVRLittleEndian), (3, str(Verification), "1.2.840.10008.1.2"))) == A_ASSOCIATE_AC
        yield connected


def test_fragments_may_be_cut_anywhere(gateway, wire):
    """One byte to a PDU, several fragments to a PDU, the command in pieces, all in one TCP segment or many."""
    ds = slice_of_ct(side=4)
    sent, request = body(as_file(ds)), command(CT, ds.SOPInstanceUID)
    for byte in request[:-1]:
        wire.pdata(pdv(1, 0x01, bytes([byte])))
    wire.pdata(pdv(1, 0x03, request[-1:]) + pdv(1, 0x00, sent[:1]) + pdv(1, 0x00, b"") + pdv(1, 0x00, sent[1:9]))
    for byte in sent[9:60]:
        wire.socket.sendall(pdu(4, pdv(1, 0x00, bytes([byte])))[:7])
        wire.socket.sendall(pdu(4, pdv(1, 0x00, bytes([byte])))[7:])
    wire.pdata(pdv(1, 0x00, sent[60:]) + pdv(1, 0x02, b""))
    assert wire.status() == 0x0000
    assert body(gateway.kept(ds.SOPInstanceUID)) == sent
    assert wire.release() == A_RELEASE_RP


def test_reserved_bits_of_the_control_header_are_not_looked_at(gateway, wire):
    ds = slice_of_ct()
    wire.pdata(pdv(1, 0xFF, command(CT, ds.SOPInstanceUID)))
    wire.pdata(pdv(1, 0xFE, body(as_file(ds))))
    assert wire.status() == 0x0000


def test_a_pdu_of_the_negotiated_length_is_taken_and_a_longer_one_is_not(gateway, wire, caplog):
    ds = slice_of_ct(side=400)
    sent = body(as_file(ds))
    wire.c_store_begins(ds.SOPInstanceUID)
    wire.data(sent[:MAXIMUM_PDU - 6], last=False)
    wire.data(sent[MAXIMUM_PDU - 6:2 * MAXIMUM_PDU - 12], last=False)
    wire.data(sent[2 * MAXIMUM_PDU - 12:], last=True)
    assert wire.status() == 0x0000 and body(gateway.kept(ds.SOPInstanceUID)) == sent
    wire.c_store_begins(generate_uid())
    wire.data(bytes(MAXIMUM_PDU - 5), last=False)
    assert wire.answer()[0] in (A_ABORT, 0)
    assert "more than 131072" in caplog.text and SENDER in caplog.text


def test_echo_and_store_take_turns_on_one_association(gateway):
    ds, other = slice_of_ct(), slice_of_ct()
    association = gateway.associate((Verification, "1.2.840.10008.1.2"), (ds.SOPClassUID, ExplicitVRLittleEndian))
    for one in (ds, other):
        assert association.send_c_echo().Status == 0
        assert association.send_c_store(one).Status == 0
        assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released


def test_an_association_that_stored_and_then_rests_is_still_served(gateway):
    ds, other = slice_of_ct(), slice_of_ct()
    association = gateway.associate((ds.SOPClassUID, ExplicitVRLittleEndian))
    assert association.send_c_store(ds).Status == 0
    time.sleep(3 * resting.TICK_S)
    assert association.send_c_store(other).Status == 0
    association.release()


def test_what_came_in_one_piece_is_taken_apart_in_its_order(gateway, wire):
    """Objects, an echo between them and a release at their end, sent as one stream whatever its pieces are."""
    uids = [generate_uid() for _ in range(3)]
    stores = [pdu(4, pdv(1, 0x03, command(CT, uid))) + pdu(4, pdv(1, 0x00, body(content)[:700])) + pdu(4, pdv(1, 0x02, body(content)[700:]))
              for uid in uids for content in [as_file(slice_of_ct(SOPInstanceUID=uid))]]
    asked = struct.pack("<HHLH", 0, 0x0100, 2, 0x30) + struct.pack("<HHLH", 0, 0x0110, 2, 9) + struct.pack("<HHLH", 0, 0x0800, 2, 0x0101)
    echo = pdu(4, pdv(3, 0x03, struct.pack("<HHLL", 0, 0, 4, len(asked) + 26) + struct.pack("<HHL18s", 0, 0x0002, 18, b"1.2.840.10008.1.1\0") + asked))
    wire.socket.sendall(stores[0] + stores[1] + echo + stores[2] + pdu(5, bytes(4)))
    assert [wire.status() for _ in range(4)] == [0, 0, 0, 0]
    assert wire.answer()[0] == A_RELEASE_RP
    assert all(gateway.instance(uid) is not None for uid in uids)


def test_an_association_that_rests_costs_a_few_looks_a_second(gateway, monkeypatch):
    """Neither thread of it looks a thousand times a second, before its first object and after its last."""
    passed = []
    wait = resting.Rest.wait
    monkeypatch.setattr(resting.Rest, "wait", lambda pause: (passed.append(pause), wait(pause))[1])
    ds = slice_of_ct()
    association = gateway.associate((ds.SOPClassUID, ExplicitVRLittleEndian), (Verification, ExplicitVRLittleEndian))
    for act in (lambda: association.send_c_echo().Status, lambda: association.send_c_store(ds).Status):
        assert act() == 0
        before, began = len(passed), time.monotonic()
        time.sleep(4 * resting.TICK_S)
        looks = Counter(map(id, passed[before:]))
        assert max(looks.values(), default=0) < 40 * max(1, time.monotonic() - began), "of one association"
    association.release()


WRONG = {
    "a data set without a command": lambda uid: pdu(4, pdv(1, 0x02, b"abc")),
    "a context that was not accepted": lambda uid: pdu(4, pdv(99, 0x03, command(CT, uid))),
    "another context in mid-object": lambda uid: pdu(4, pdv(1, 0x03, command(CT, uid)) + pdv(3, 0x02, b"abcd")),
    "a command in mid-object": lambda uid: pdu(4, pdv(1, 0x03, command(CT, uid))) + pdu(4, pdv(1, 0x03, command(CT, uid))),
    "a release in mid-object": lambda uid: pdu(4, pdv(1, 0x03, command(CT, uid))) + pdu(5, bytes(4)),
    "a fragment after the last": lambda uid: pdu(4, pdv(1, 0x03, command(CT, uid)) + pdv(1, 0x02, b"ab") + pdv(1, 0x02, b"cd")),
    "an item longer than its PDU": lambda uid: pdu(4, struct.pack(">LBB", 5000, 1, 3) + b"x"),
    "an item without control header": lambda uid: pdu(4, struct.pack(">LB", 1, 1)),
    "an unknown PDU": lambda uid: pdu(9, b"abcd"),
    "a PDU of four gigabytes": lambda uid: struct.pack(">BxL", 4, 0xFFFFFFFF) + bytes(100),
    "a command that is cut off": lambda uid: pdu(4, pdv(1, 0x03, command(CT, uid)[:-3])),
    "a command without end": lambda uid: pdu(4, pdv(1, 0x01, bytes(60_000))) * 2,
    "a damaged echo": lambda uid: pdu(4, pdv(3, 0x03, struct.pack("<HHLH", 0, 0x0100, 2, 0x30) + b"\xff" * 9)),
}


@pytest.mark.parametrize("name", WRONG)
def test_nonsense_ends_its_own_association_only(gateway, wire, name):
    uid = generate_uid()
    bystander = gateway.associate((CTImageStorage, ExplicitVRLittleEndian))
    wire.socket.sendall(WRONG[name](uid))
    assert wire.answer()[0] in (A_ABORT, 0)
    assert bystander.send_c_store(slice_of_ct()).Status == 0x0000
    bystander.release()
    assert gateway.instance(uid) is None
    _wait_until(lambda: gateway.half_written() == [])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning", "ignore:Invalid value for VR")
def test_random_damage_to_a_conversation_never_stops_the_gateway(gateway):
    """Bytes flipped anywhere in association request, command and data set: the next sender is served."""
    dice = random.Random(20260504)
    ds = slice_of_ct()
    for _ in range(60):
        talk = bytearray(associate_rq(SENDER, "HUB", ((1, CT, str(ExplicitVRLittleEndian)),), 16384)
                         + pdu(4, pdv(1, 0x03, command(CT, generate_uid()))) + pdu(4, pdv(1, 0x02, body(as_file(ds)))))
        for _ in range(dice.randint(1, 6)):
            talk[dice.randrange(len(talk) if dice.random() < 0.3 else 300)] = dice.randrange(256)
        with Wire(gateway.port) as wire:
            wire.throw(talk, and_half_close=dice.random() < 0.5)
    assert gateway.send(slice_of_ct()) == [0x0000]
    _wait_until(lambda: gateway.half_written() == [])


def test_a_sender_that_falls_silent_in_mid_object_is_cut_off(gateway, wire, monkeypatch, caplog):
    monkeypatch.setattr(direct, "PATIENCE_S", 0.5)
    wire.c_store_begins(generate_uid())
    wire.data(b"abcd", last=False)
    assert wire.answer()[0] in (A_ABORT, 0)
    assert "silence" in caplog.text
    _wait_until(lambda: gateway.half_written() == [])


def test_a_sender_that_dribbles_is_cut_off(gateway, wire, monkeypatch):
    """Byte after byte, never silent, never done: within one PDU, and PDU after PDU."""
    def dribble(send) -> None:
        for _ in range(2000):                     # a hundred seconds
            send()
            time.sleep(0.05)
    monkeypatch.setattr(direct, "PATIENCE_S", 0.5)
    with pytest.raises(OSError):
        wire.c_store_begins(generate_uid())
        dribble(lambda: wire.data(b"a", last=False))
    with Wire(gateway.port) as other:
        other.associate(SENDER)
        with pytest.raises(OSError):
            other.socket.sendall(pdu(4, bytes(10_000))[:6])
            dribble(lambda: other.socket.sendall(b"\0"))


def test_a_huge_association_request_is_refused_before_it_is_read(gateway):
    with Wire(gateway.port) as wire:
        wire.socket.sendall(struct.pack(">BxL", 1, 400_000_000) + bytes(1000))
        assert wire.answer()[0] in (A_ABORT, 0)


def test_a_web_browser_is_turned_away(gateway):
    with Wire(gateway.port) as wire:
        wire.socket.sendall(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert wire.answer()[0] in (A_ABORT, 0)


def test_a_big_object_does_not_grow_the_gateway(gateway, wire):
    """200 MB arrive; what Python holds grows by a few buffers."""
    import tracemalloc
    ds = slice_of_ct(side=2)
    del ds.PixelData
    head = body(as_file(ds)) + struct.pack("<HH2sxxL", 0x7FE0, 0x0010, b"OW", 200_000_000)
    block = bytes(100_000)
    tracemalloc.start()
    try:
        wire.c_store_begins(ds.SOPInstanceUID)
        wire.data(head, last=False)
        for _ in range(2000):
            wire.data(block, last=False)
        wire.data(b"", last=True)
        assert wire.status() == 0x0000
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert gateway.instance(ds.SOPInstanceUID).size > 200_000_000


def test_sixteen_associations_at_once_lose_and_mix_nothing(gateway):
    studies = [generate_uid() for _ in range(16)]
    sent, failures = {}, []

    def one(study_uid):
        series_uid = generate_uid()
        objects = [slice_of_ct(n, study_uid, series_uid, side=64) for n in range(1, 9)]
        sent.update({ds.SOPInstanceUID: body(as_file(ds)) for ds in objects})
        if set(gateway.send(*objects)) != {0}:
            failures.append(study_uid)

    senders = [threading.Thread(target=one, args=(uid,)) for uid in studies]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert failures == []
    assert all(gateway.study(uid).instances == 8 for uid in studies)
    assert all(body(gateway.kept(uid)) == encoded for uid, encoded in sent.items())


def test_the_header_is_found_in_the_first_bytes_or_in_the_file(gateway):
    """An object whose header is longer than what is kept in memory, and one with an icon image in its header."""
    icon = slice_of_ct(side=2)
    long = slice_of_ct(side=64, StudyDescription="long header")
    long.add_new(0x00291010, "OB", bytes(200_000))
    long.InstanceNumber = 77
    icon.IconImageSequence = [slice_of_ct(side=64)]
    icon.InstanceNumber = 78
    icon.PixelData = bytes(200_000)
    assert gateway.send(long, icon) == [0x0000, 0x0000]
    assert (gateway.instance(long.SOPInstanceUID).number, gateway.instance(long.SOPInstanceUID).rows) == (77, 64)
    assert (gateway.instance(icon.SOPInstanceUID).number, gateway.instance(icon.SOPInstanceUID).rows) == (78, 2)
    assert dcmread(gateway.hub.blobs.path(gateway.instance(icon.SOPInstanceUID).sha256)).IconImageSequence[0].Rows == 64


def _wait_until(holds, most_s: float = 120.0) -> None:
    until = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.02)
