"""C-STORE: what is answered with success is kept, bit for bit, once."""
import hashlib
import subprocess
import time
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import AllStoragePresentationContexts

from dicom_gateway import sender
from hub.flow import completion, intake
from tests.dicom_gateway.running import SENDER, as_file, body, peer, running, slice_of_ct
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, A_RELEASE_RP, Wire


def _sendable() -> list[str]:
    """The files of pydicom and pydicom-data that name a class, an instance and a syntax in a group 0002 of right length."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(get_testdata_files("*.dcm")):
            try:
                meta = dcmread(path, stop_before_pixels=True).file_meta
                assert meta.MediaStorageSOPClassUID and meta.MediaStorageSOPInstanceUID and meta.TransferSyntaxUID
                with open(path, "rb") as file:
                    body(file.read())
                found.append(path)
            except Exception:
                continue
    return found


FILES = _sendable()


def test_pydicoms_files_cover_every_kind_of_encoding():
    syntaxes = {str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID) for path in FILES}
    assert {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
            "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"} <= syntaxes
    assert len(FILES) > 110, "pydicom-data is not installed"


def test_files_of_every_encoding_are_kept_bit_for_bit(own_gateway, tmp_path):
    """Implicit, explicit, big endian, deflated, encapsulated; odd lengths, private tags, missing UIDs: the bytes
    that were sent are the bytes that lie in the blob, wherever the object ended up."""
    answers = dict(sender.store([Path(p) for p in FILES], "127.0.0.1", own_gateway.port, called="HUB", calling=SENDER))
    kept = {body(p.read_bytes()) for p in own_gateway.hub.blobs.folder.glob("??/*")}
    missing = [path for path in FILES if body(Path(path).read_bytes()) not in kept]
    assert missing == []
    refused = {path: words for path, words in answers.items() if words and "quarantine" not in words}
    assert refused == {}
    assert own_gateway.half_written() == []


def test_the_file_header_is_right_and_says_what_was_negotiated(gateway):
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian):
        ds = slice_of_ct()
        ds.file_meta.TransferSyntaxUID = syntax
        assert gateway.send(ds) == [0x0000]
        row = gateway.instance(ds.SOPInstanceUID)
        file = gateway.hub.blobs.path(row.sha256)
        read = dcmread(file)
        assert row.transfer_syntax == read.file_meta.TransferSyntaxUID == syntax
        assert read.file_meta.MediaStorageSOPClassUID == ds.SOPClassUID
        assert read.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert read == ds
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256


def test_every_storage_class_and_private_ones_are_taken_in(gateway):
    classes = [cx.abstract_syntax for cx in AllStoragePresentationContexts] + ["1.3.12.2.1107.5.9.1", "2.25.999", "1.2.840.10008.5.1.4.1.1.999"]
    for start in range(0, len(classes), 120):
        objects = []
        for sop_class in classes[start:start + 120]:
            ds = slice_of_ct(side=2, SOPClassUID=sop_class)
            ds.file_meta.MediaStorageSOPClassUID = sop_class
            objects.append(ds)
        assert set(gateway.send(*objects)) == {0x0000}
        assert {gateway.instance(ds.SOPInstanceUID).sop_class for ds in objects} == set(classes[start:start + 120])


def test_a_slice_sent_twice_is_kept_once(gateway):
    ds = slice_of_ct()
    assert gateway.send(ds, ds) == [0x0000, 0x0000]
    assert gateway.send(ds) == [0x0000]
    assert gateway.study(ds.StudyInstanceUID).instances == 1


def test_the_same_uid_with_other_bytes_keeps_both_versions(gateway):
    ds = slice_of_ct()
    assert gateway.send(ds) == [0x0000]
    first = gateway.kept(ds.SOPInstanceUID)
    ds.PixelData = b"\xff\x0f" * (ds.Rows * ds.Columns)
    assert gateway.send(ds, ds) == [0xB000, 0xB000]
    assert gateway.kept(ds.SOPInstanceUID) == first
    held = [row for row in gateway.held("same_uid_other_bytes") if row.facts["sop_uid"] == ds.SOPInstanceUID]
    assert len(held) == 1
    assert body(gateway.hub.blobs.read(held[0].sha256)) == body(as_file(ds))


def test_another_patient_in_the_same_study_is_held_apart(gateway):
    one = slice_of_ct()
    other = slice_of_ct(study_uid=one.StudyInstanceUID, PatientName="Other^Person", PatientID="P-OTHER")
    assert gateway.send(one, other) == [0x0000, 0xB000]
    assert gateway.study(one.StudyInstanceUID).instances == 1
    assert gateway.instance(other.SOPInstanceUID) is None
    assert any(row.facts["sop_uid"] == other.SOPInstanceUID for row in gateway.held("other_patient"))


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_an_object_without_its_uids_is_kept_in_quarantine(gateway, keyword):
    ds = slice_of_ct()
    delattr(ds, keyword)
    assert gateway.send(ds) == [0xC000]
    row = gateway.held("missing_uid")[-1]
    assert keyword in row.zh and body(gateway.hub.blobs.read(row.sha256)) == body(as_file(ds))


def test_an_object_that_cannot_be_parsed_is_kept_in_quarantine(gateway):
    ds = slice_of_ct()
    garbage = bytes(range(256)) * 40
    association = gateway.associate((ds.SOPClassUID, ExplicitVRLittleEndian))
    status = _send_raw(association, ds, garbage)
    association.release()
    assert status == 0xC000
    assert garbage in [body(gateway.hub.blobs.read(row.sha256)) for row in gateway.held("unparsable") + gateway.held("missing_uid")]


def test_an_object_without_any_data_is_answered_and_the_association_lives_on(gateway):
    ds = slice_of_ct()
    with Wire(gateway.port) as wire:
        assert wire.associate(SENDER) == A_ASSOCIATE_AC
        wire.c_store_begins(ds.SOPInstanceUID)
        wire.data(b"", last=True)
        assert wire.status() == 0xC000
        wire.c_store_begins(ds.SOPInstanceUID)
        wire.data(body(as_file(ds)), last=True)
        assert wire.status() == 0x0000
        assert wire.release() == A_RELEASE_RP


def test_a_name_in_gbk_under_iso_ir_100_is_shown_right_and_kept_as_sent(gateway):
    ds = slice_of_ct(SpecificCharacterSet="ISO_IR 100", StudyDescription="x")
    raw = as_file(ds).replace(b"Test^Slice", "张三丰测试".encode("gbk"))
    association = gateway.associate((ds.SOPClassUID, ExplicitVRLittleEndian))
    assert _send_raw(association, ds, body(raw)) == 0x0000
    association.release()
    study = gateway.study(ds.StudyInstanceUID)
    assert study.name == "张三丰测试"
    assert "张三丰测试".encode("gbk") in gateway.kept(ds.SOPInstanceUID)


def test_the_end_of_the_association_lets_the_study_close_quickly(tmp_path):
    with running(tmp_path / "data", released_quiet_s=0.1, study_quiet_s=3600) as own:
        study_uid, series_uid = generate_uid(), generate_uid()
        first, second = (slice_of_ct(n, study_uid, series_uid, PatientID="P1") for n in (1, 2))
        association = own.associate((first.SOPClassUID, ExplicitVRLittleEndian))
        assert association.send_c_store(first).Status == 0
        assert own.study(study_uid).association_open
        time.sleep(0.15)
        assert completion.close_quiet_studies(own.hub) == 0
        assert association.send_c_store(second).Status == 0
        association.release()
        _wait_until(lambda: not own.study(study_uid).association_open)
        _wait_until(lambda: completion.close_quiet_studies(own.hub) == 1)
        assert own.study(study_uid).state == "complete"


def test_that_the_sender_stays_is_known_with_the_first_row_of_a_study(own_gateway, monkeypatch):
    told, tell = [], intake.association_opened
    monkeypatch.setattr(intake, "association_opened", lambda hub, study_ids: (told.extend(study_ids), tell(hub, study_ids)))
    plain, odd = slice_of_ct(1), slice_of_ct(2)
    association = own_gateway.associate((plain.SOPClassUID, ImplicitVRLittleEndian))
    assert _send_raw(association, plain, encode(plain, True, True)) == 0x0000
    assert own_gateway.study(plain.StudyInstanceUID).association_open and not told
    assert _send_raw(association, odd, body(as_file(odd))) == 0x0000, "says implicit and is explicit: goes the long way"
    kept = own_gateway.study(odd.StudyInstanceUID)
    assert kept.association_open and told == [kept.id]
    association.release()
    for one in (plain, odd):
        _wait_until(lambda one=one: not own_gateway.study(one.StudyInstanceUID).association_open)


def test_a_sender_that_vanishes_in_mid_object_leaves_nothing(own_gateway):
    ds = slice_of_ct(side=768)           # more than is gathered in memory
    sent = body(as_file(ds))
    for farewell in ("abort", "close"):
        with Wire(own_gateway.port) as wire:
            wire.associate(SENDER)
            wire.c_store_begins(ds.SOPInstanceUID)
            for place in range(0, 1_000_000, 100_000):
                wire.data(sent[place:place + 100_000], last=False)
            _wait_until(lambda: own_gateway.half_written())
            if farewell == "abort":
                wire.abort()
        _wait_until(lambda: own_gateway.half_written() == [])
        assert own_gateway.instance(ds.SOPInstanceUID) is None
    assert own_gateway.send(ds) == [0x0000]


@pytest.mark.peers
@pytest.mark.parametrize("more", [[], ["--propose-implicit"], ["--propose-big"], ["--max-send-pdu", "4096"]], ids=str)
def test_storescu_sends_a_slice(gateway, tmp_path, more):
    ds = slice_of_ct(side=128)
    ds.save_as(tmp_path / "slice.dcm", enforce_file_format=True)
    subprocess.run([peer("storescu"), "-aet", SENDER, "-aec", "HUB", *more, "127.0.0.1", str(gateway.port), tmp_path / "slice.dcm"],
                   check=True, timeout=120)
    assert dcmread(gateway.hub.blobs.path(gateway.instance(ds.SOPInstanceUID).sha256)).PixelData == ds.PixelData


@pytest.mark.peers
def test_dcmsend_sends_a_folder_and_reports_no_failure(gateway, tmp_path):
    study_uid, series_uid = generate_uid(), generate_uid()
    for number in range(1, 9):
        slice_of_ct(number, study_uid, series_uid).save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    done = subprocess.run([peer("dcmsend"), "-v", "-aet", SENDER, "-aec", "HUB", "+sd", "127.0.0.1", str(gateway.port), tmp_path],
                          check=True, capture_output=True, text=True, timeout=120)
    assert "status SUCCESS  : 8" in " ".join((done.stdout + done.stderr).split("\n")) or gateway.study(study_uid).instances == 8


@pytest.mark.peers
def test_a_real_chest_ct_arrives_whole_by_storescu(gateway, real_data):
    folder = real_data / "dicom" / "chest_ct"
    subprocess.run([peer("storescu"), "+sd", "+r", "-aet", SENDER, "-aec", "HUB", "127.0.0.1", str(gateway.port), folder],
                   check=True, timeout=300)
    files = [p for p in folder.rglob("*") if p.is_file() and p.read_bytes()[128:132] == b"DICM"]
    sent = {dcmread(p, specific_tags=["SOPInstanceUID"]).SOPInstanceUID: p for p in files}
    assert len(sent) == 64
    for sop_uid, path in sent.items():
        assert dcmread(gateway.hub.blobs.path(gateway.instance(sop_uid).sha256)).PixelData == dcmread(path).PixelData
    study = gateway.study(dcmread(files[0]).StudyInstanceUID)
    assert study.instances == 64


def test_a_real_chest_ct_is_kept_bit_for_bit(own_gateway, real_data):
    files = sorted(p for p in (real_data / "dicom" / "chest_ct").rglob("*.dcm"))
    answers = dict(sender.store(files, "127.0.0.1", own_gateway.port, called="HUB", calling=SENDER))
    assert len(answers) == 64 and not any(answers.values())
    for path in files:
        sop_uid = dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID
        assert body(own_gateway.kept(sop_uid)) == body(path.read_bytes())


def _send_raw(association, ds, encoded: bytes) -> int:
    """A C-STORE whose data set is exactly ``encoded``."""
    request = C_STORE()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    request.DataSet = BytesIO(encoded)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer.Status


def _wait_until(holds, most_s: float = 120.0) -> None:
    """Waits for another thread of this process."""
    until = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.02)
