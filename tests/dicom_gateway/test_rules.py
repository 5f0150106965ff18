"""A device's own rules at the door: refused by the standard's reasons, counted, and everybody else served as before."""
import subprocess
import time
from threading import Event

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, Verification
from sqlalchemy import select

from dicom_gateway.callers import Callers
from hub.flow import device_changes, devices, doors
from hub.model.access import SYSTEM
from hub.storage.tables import device_visit
from tests.dicom_gateway.running import SENDER, as_file, peer, running, slice_of_ct

ECHO = (Verification, "1.2.840.10008.1.2")


def ruled(gateway, ae_title: str, **rules) -> int:
    device_id, _ = devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name=ae_title, ae_title=ae_title)
    device_changes.set_rules(gateway.hub, SYSTEM, device_id, rules)
    return device_id


def counted(gateway, device_id: int) -> dict[str, int]:
    gateway.server.ledger.write()
    return {reason: times for reason, of, times in doors.totals(gateway.hub) if of == device_id}


def rejected(association) -> tuple[int, int, int]:
    assert association.is_rejected
    said = association.acceptor.primitive
    return said.result, said.result_source, said.diagnostic


def test_a_device_that_calls_another_title_than_it_may_is_told_so(gateway):
    device_id = ruled(gateway, "TITLED", called_titles="HUB")
    assert rejected(gateway.associate(ECHO, calling="TITLED", called="OTHER")) == (1, 1, 7)
    association = gateway.associate(ECHO, calling="TITLED", called="HUB")
    assert association.send_c_echo().Status == 0
    association.release()
    assert counted(gateway, device_id) == {"called_title": 1}


def test_a_device_has_no_more_associations_than_its_rule_and_others_are_not_touched(gateway):
    device_id = ruled(gateway, "NARROW", associations="1")
    first = gateway.associate(ECHO, calling="NARROW")
    assert rejected(gateway.associate(ECHO, calling="NARROW")) == (2, 3, 2)
    assert gateway.send(slice_of_ct()) == [0]
    first.release()
    until = time.monotonic() + 120
    while not (again := gateway.associate(ECHO, calling="NARROW")).is_established:
        assert time.monotonic() < until
    again.release()
    assert counted(gateway, device_id)["device_associations"] >= 1


def test_a_device_that_associates_too_often_is_put_off(gateway):
    device_id = ruled(gateway, "BUSY", associations_a_minute="3")
    for _ in range(3):
        association = gateway.associate(ECHO, calling="BUSY")
        assert association.is_established
        association.release()
    assert rejected(gateway.associate(ECHO, calling="BUSY")) == (2, 3, 1)
    assert counted(gateway, device_id) == {"device_pace": 1}


def test_classes_that_a_device_may_not_store_are_not_negotiated_and_its_other_services_are(gateway):
    ruled(gateway, "CTONLY", sop_classes=CTImageStorage)
    association = gateway.associate((CTImageStorage, ExplicitVRLittleEndian), (MRImageStorage, ExplicitVRLittleEndian), ECHO, calling="CTONLY")
    assert {context.abstract_syntax for context in association.accepted_contexts} == {CTImageStorage, Verification}
    assert {context.result for context in association.rejected_contexts} == {0x03}
    assert association.send_c_store(slice_of_ct()).Status == 0
    assert association.send_c_echo().Status == 0
    association.release()


def test_an_object_of_another_class_than_its_context_is_refused_by_the_rule_too(gateway):
    from tests.dicom_gateway.wire import Wire
    device_id = ruled(gateway, "LIAR", sop_classes=CTImageStorage)
    with Wire(gateway.port) as wire:
        wire.associate("LIAR")
        wire.c_store_begins("2.25.99", sop_class=MRImageStorage)
        wire.data(b"\x08\0\x60\0CS\2\0MR", last=True)
        assert wire.status() == 0x0122
    assert gateway.instance("2.25.99") is None and counted(gateway, device_id) == {"sop_class": 1}


def test_a_device_that_sends_faster_than_it_may_is_asked_to_come_again(gateway):
    device_id = ruled(gateway, "FLOOD", objects_a_minute="5")
    objects = [slice_of_ct(n, "2.25.555", "2.25.555.1") for n in range(1, 9)]
    assert gateway.send(*objects, calling="FLOOD") == [0] * 5 + [0xA700] * 3
    assert gateway.send(slice_of_ct()) == [0]
    assert counted(gateway, device_id) == {"object_pace": 3}


def test_rules_hold_from_the_next_association_on(gateway):
    device_id = ruled(gateway, "CHANGES")
    device_changes.set_rules(gateway.hub, SYSTEM, device_id, {"address": "10.0.0.0/8"})
    assert rejected(gateway.associate(ECHO, calling="CHANGES")) == (1, 1, 3)
    device_changes.set_rules(gateway.hub, SYSTEM, device_id, {"address": "127.0.0.0/8"})
    association = gateway.associate(ECHO, calling="CHANGES")
    assert association.is_established
    association.release()


def test_the_default_character_set_serves_objects_that_declare_none_and_leaves_their_bytes_alone(gateway):
    """C3 BC is ü in UTF-8 and 眉 in GB18030: the bytes do not decide, the device's rule does."""
    names = {}
    for title, charset in (("NOCHARSET", ""), ("CHARSET", "GB18030")):
        ruled(gateway, title, charset=charset)
        ds = slice_of_ct(PatientName=b"\xc3\xbc".decode("latin-1"))
        assert "SpecificCharacterSet" not in ds
        assert gateway.send(ds, calling=title) == [0]
        names[title] = gateway.study(ds.StudyInstanceUID).name
        kept = dcmread(gateway.hub.blobs.path(gateway.instance(ds.SOPInstanceUID).sha256))
        assert "SpecificCharacterSet" not in kept and kept.get_item("PatientName").value == b"\xc3\xbc"
    assert names == {"NOCHARSET": "ü", "CHARSET": "眉"}


def test_what_a_visit_was_like_is_noted(gateway):
    device_id = ruled(gateway, "VISITOR")
    assert gateway.send(slice_of_ct(), slice_of_ct(), calling="VISITOR", called="ELSEWHERE", max_pdu=8000) == [0, 0]
    until = time.monotonic() + 120
    while True:
        gateway.server.ledger.write()
        with gateway.hub.reading() as connection:
            visits = connection.execute(select(device_visit).where(device_visit.c.device_id == device_id)).all()
        if visits:
            break
        assert time.monotonic() < until
        time.sleep(0.05)
    (visit,) = visits
    assert (visit.called, visit.longest_pdu, visit.objects, visit.ending, visit.address) == ("ELSEWHERE", 8000, 2, "released", "127.0.0.1")
    assert visit.bytes > 1000 and visit.offered == [[CTImageStorage, [ExplicitVRLittleEndian]]] and "PYNETDICOM" in visit.implementation


def test_a_visit_that_was_released_was_not_lost_whichever_end_is_seen_first(tmp_path, monkeypatch):
    gone, closed = Callers._gone, Event()

    def late(self, event):
        if event.event is evt.EVT_RELEASED:
            assert closed.wait(120)
        gone(self, event)
        if event.event is evt.EVT_CONN_CLOSE:
            closed.set()
    monkeypatch.setattr(Callers, "_gone", late)
    with running(tmp_path / "data") as own:
        assert own.send(slice_of_ct()) == [0]
        assert closed.wait(120)
        own.server.ledger.write()
        with own.hub.reading() as connection:
            assert connection.scalars(select(device_visit.c.ending)).all() == ["released"]


def test_an_object_sent_again_is_counted(gateway):
    device_id = ruled(gateway, "AGAIN")
    ds = slice_of_ct()
    assert gateway.send(ds, ds, calling="AGAIN") == [0, 0]
    assert counted(gateway, device_id) == {"duplicate": 1}


@pytest.mark.peers
def test_storescu_and_dcmsend_say_why_they_are_refused(gateway, tmp_path):
    (tmp_path / "one.dcm").write_bytes(as_file(slice_of_ct()))
    ruled(gateway, "DCMTK", called_titles="COUNTY")
    for program, words in (("storescu", "Called AE Title Not Recognized"), ("dcmsend", "Association Rejected")):
        done = subprocess.run([peer(program), "-v", "-aet", "DCMTK", "-aec", "HUB", "127.0.0.1", str(gateway.port), str(tmp_path / "one.dcm")],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode != 0 and words in done.stdout + done.stderr


@pytest.mark.peers
def test_dcmsend_sends_a_folder_over_one_association(gateway, tmp_path):
    objects = [slice_of_ct(n, "2.25.321", "2.25.321.1") for n in range(1, 6)]
    for number, ds in enumerate(objects):
        (tmp_path / f"{number}.dcm").write_bytes(as_file(ds))
    done = subprocess.run([peer("dcmsend"), "-v", "+sd", "-aet", SENDER, "-aec", "HUB", "127.0.0.1", str(gateway.port), str(tmp_path)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(gateway.instance(ds.SOPInstanceUID) for ds in objects)


@pytest.mark.peers
@pytest.mark.parametrize("options", [["-xe"], ["-xb"], ["-xi"], ["-xd"], ["-xs"], ["-xy"], ["-xx"], ["-xv"], ["-xw"], ["-xt"], ["-xu"], ["-xr"], ["-R"]], ids=" ".join)
def test_storescu_with_every_syntax_that_it_can_propose_is_accepted(gateway, tmp_path, options):
    """What is proposed is compressed or not; the object is what the association agrees on."""
    (tmp_path / "one.dcm").write_bytes(as_file(slice_of_ct()))
    done = subprocess.run([peer("storescu"), "-v", *options, "-aet", SENDER, "-aec", "HUB", "127.0.0.1", str(gateway.port), str(tmp_path / "one.dcm")],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Received Store Response (Success)" in done.stdout + done.stderr
