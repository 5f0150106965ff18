"""Reports that go back by C-STORE: right by an outside validator, and kept by an outside archive."""
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from pydicom import dcmread

from dicom_gateway import returns, sender
from hub.delivery.parcel import Parcel
from hub.errors import Retryable
from hub.settings import Settings
from tests.dicom_gateway.running import SENDER, as_file, body, peer, slice_of_ct
from tests.ports import free_port

ZONE = ZoneInfo("Asia/Shanghai")
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 5 + b"\n%%EOF"
PARCEL = Parcel(
    idempotency_key="R20260504-0001-0123456789abcdef", pdf=PDF, pdf_sha256="0" * 64, address={}, report_id=1,
    report_number="R20260504-0001", version=1, signed_at=datetime(2026, 5, 4, 3, 15, 9, tzinfo=UTC), study_uid="1.2.826.0.1.3680043.8.498.1",
    accession_number="A1", modality="CT", study_at="2026-05-04T08:30:00", patient_id="P1", patient_name="张三", patient_sex="M",
    patient_birth_date="1960-02-29", site_code="QS", site_name="青山镇卫生院", institution="云岭县远程影像与心电诊断中心", impression="肺结节",
    positive=True, critical=False, reader_name="王报告", reviewer_name="李审核")


@pytest.mark.peers
@pytest.mark.parametrize("changed", [
    {}, {"modality": "ECG"}, {"patient_birth_date": "", "patient_sex": "", "accession_number": "", "study_at": ""},
    {"pdf": PDF + b"x"}, {"study_at": "2026-05-04"}, {"patient_sex": "男"}], ids=str)
def test_dciodvfy_finds_no_error_in_the_encapsulated_pdf(tmp_path, changed):
    (tmp_path / "report.dcm").write_bytes(returns.part10(returns.encapsulated(replace(PARCEL, **changed), ZONE)))
    done = subprocess.run([peer("dciodvfy"), tmp_path / "report.dcm"], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert "EncapsulatedPDF" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_the_pdf_inside_is_the_signed_one_and_times_are_local():
    ds = returns.encapsulated(PARCEL, ZONE)
    assert ds.EncapsulatedDocument[:ds.EncapsulatedDocumentLength] == PDF
    assert (ds.ContentDate, ds.ContentTime) == ("20260504", "111509")
    assert ds.StudyInstanceUID == PARCEL.study_uid and ds.PatientName == "张三"


def test_every_attempt_carries_the_same_uid_and_every_version_another():
    one, again = (returns.encapsulated(PARCEL, ZONE) for _ in range(2))
    other = returns.encapsulated(replace(PARCEL, idempotency_key="R20260504-0001-fedcba9876543210", version=2), ZONE)
    assert one.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID == other.SeriesInstanceUID
    assert as_file(one) == as_file(again)


@pytest.mark.peers
def test_the_report_arrives_at_the_clinics_storescp(tmp_path):
    with _storescp(tmp_path) as port:
        address = {"ae_title": "CLINIC", "host": "127.0.0.1", "port": port}
        hub = SimpleNamespace(settings=Settings())
        assert returns.deliver(hub, replace(PARCEL, address=address)) == "C-STORE to CLINIC"
        returns.deliver(hub, replace(PARCEL, address=address))
    kept = list((tmp_path / "kept").iterdir())
    assert len(kept) == 1
    read = dcmread(kept[0])
    assert read.EncapsulatedDocument[:read.EncapsulatedDocumentLength] == PDF and read.PatientName == "张三"


def test_a_clinic_that_does_not_answer_is_tried_again():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = {"ae_title": "CLINIC", "host": "127.0.0.1", "port": nobody.getsockname()[1]}
        with pytest.raises(Retryable):
            returns.deliver(SimpleNamespace(settings=Settings()), replace(PARCEL, address=address))


@pytest.mark.peers
def test_files_are_sent_as_they_are_to_storescp_and_bad_ones_are_named(tmp_path):
    sent = []
    for number in range(1, 4):
        slice_of_ct(number).save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        sent.append(tmp_path / f"{number}.dcm")
    (tmp_path / "note.txt").write_text("no DICOM")
    with _storescp(tmp_path) as port:
        answers = dict(sender.store([*sent, tmp_path / "note.txt"], "127.0.0.1", port, called="CLINIC", calling="HUB"))
    assert [answers[path] for path in sent] == ["", "", ""]
    assert answers[tmp_path / "note.txt"] == "not a readable DICOM file"
    assert {body(p.read_bytes()) for p in (tmp_path / "kept").iterdir()} == {body(p.read_bytes()) for p in sent}


def test_more_kinds_of_object_than_one_association_can_hold_are_all_sent(gateway, tmp_path):
    paths = []
    for number in range(140):
        ds = slice_of_ct(side=2, SOPClassUID=f"1.2.826.0.1.3680043.8.498.77.{number}")
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        paths.append(tmp_path / f"{number}.dcm")
    answers = dict(sender.store(paths, "127.0.0.1", gateway.port, called="HUB", calling=SENDER))
    assert len(answers) == 140 and not any(answers.values())


def test_a_sender_that_is_refused_says_so_for_every_file(gateway, tmp_path):
    slice_of_ct().save_as(tmp_path / "a.dcm", enforce_file_format=True)
    answers = dict(sender.store([tmp_path / "a.dcm"], "127.0.0.1", gateway.port, called="HUB", calling="STRANGER_2"))
    assert "no association" in answers[tmp_path / "a.dcm"]


@contextmanager
def _storescp(folder):
    (folder / "kept").mkdir()
    port = free_port()
    process = subprocess.Popen([peer("storescp"), "+xa", "-aet", "CLINIC", "-od", folder / "kept", "--promiscuous", str(port)],
                               env=dict(os.environ, TCP_NODELAY="1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until and process.poll() is None, "storescp did not start"
                time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
