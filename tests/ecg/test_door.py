"""POST /api/ecg: what was answered with a receipt is on disk, and what cannot be read is kept and explained."""
import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from dicom_gateway.services.store import take_in
from ecg.export import TWELVE_LEAD, dicom_waveform
from ecg.files import open_recording
from ecg.recording import STANDARD_LEADS, SourceFile
from hub.errors import OutOfSpace
from hub.flow import devices, intake
from hub.model.access import SYSTEM
from hub.storage.blobs import Blobs
from hub.storage.tables import patient, study
from tests.conftest import PASSWORD, with_settings
from tests.ecg.built_signals import built
from tests.ecg.cart import DECLARED, Cart, csv_of, half_written, holdings, instances, kept_blobs, resting, sha256, wfdb_pair, zipped
from tests.ecg.readers.samples import TWELVE, edf, wfdb_16
from reading_ui.wsgi import whole

FORMATS = {
    "HL7 aECG": ("formats/aecg_cn_fda/1/1.xml", {}), "SCP-ECG": ("formats/ecgtoolkit/Example.scp", {}),
    "DICOM": ("formats/ecgtoolkit/Example.dcm", {}), "EDF": ("formats/contec/tools/0000050.ECG.edf", {}),
    "CSV": ("formats/contec/tools/0000050.ECG.csv", {"rate_hz": "800", "unit": "uV", "leads": TWELVE}),
}


def dicom_ecg() -> SourceFile:
    """A 12-lead ECG object with UIDs of its own."""
    made = dicom_waveform(built(), study_uid="1.2.3", series_uid="1.2.3.1", sop_uid="1.2.3.1.1", received=datetime(2026, 5, 4, 8, 30))
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return SourceFile("ecg.dcm", file.getvalue())


def studies(hub) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(study.c.id, study.c.study_uid, study.c.patient_id, study.c.description, patient.c.name,
                                              patient.c.patient_id.label("number"), patient.c.identity_key)
                                       .join(patient, patient.c.id == study.c.patient_id).order_by(study.c.id)))


def test_the_receipt_is_the_hash_of_what_was_stored_and_the_bytes_are_those_sent(cart, hub):
    sent = resting()
    answer = cart.send(sent, **DECLARED)
    assert answer.status_code == 201
    (receipt,) = answer.json["receipt"]
    assert receipt == {"name": "ecg.csv", "sha256": sha256(sent), "size": len(sent.content)}
    assert hub.blobs.read(receipt["sha256"]) == sent.content
    (row,) = instances(hub)
    assert row.sha256 == receipt["sha256"] and row.study_id == answer.json["study"] and row.declared == DECLARED
    assert answer.json["quality"]["verdict"] == "good" and "心率 60" in answer.json["summary"] and answer.json["unconfirmed"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_the_first_issue_is_taken_in(name, cart, hub, real_data):
    path, declared = FORMATS[name]
    sent = SourceFile(Path(path).name, (real_data / "ecg" / path).read_bytes())
    answer = cart.send(sent, **declared)
    assert answer.status_code == 201, answer.json
    assert len(answer.json["leads"]) == 12 and answer.json["receipt"][0]["sha256"] == sha256(sent)
    assert hub.blobs.read(sha256(sent)) == sent.content


@pytest.mark.parametrize("as_zip", [False, True], ids=["pair", "zip"])
def test_a_wfdb_record_is_taken_in_as_a_pair_and_as_a_zip(as_zip, cart, hub, real_data):
    pair = wfdb_pair(real_data)
    sent = [zipped(pair)] if as_zip else pair
    answer = cart.send(*sent)
    assert answer.status_code == 201 and answer.json["rate_hz"] == 500
    assert {one["sha256"] for one in answer.json["receipt"]} == {sha256(file) for file in sent}
    assert {one["sha256"] for one in instances(hub)[0].files} == {sha256(file) for file in sent}


def test_the_same_recording_sent_twice_is_kept_once_in_whatever_order_its_files_come(cart, hub, real_data):
    pair = wfdb_pair(real_data)
    first, again, turned = cart.send(*pair), cart.send(*pair), cart.send(*reversed(pair))
    assert [a.status_code for a in (first, again, turned)] == [201, 200, 200]
    assert again.json["outcome"] == turned.json["outcome"] == "duplicate" and again.json["study"] == first.json["study"]
    assert len(instances(hub)) == 1


def test_a_file_as_the_whole_body_is_taken_in_as_curl_sends_it(cart, hub):
    sent = resting()
    answer = cart.send_body(sent.content, "rate_hz=500&unit=uV&patient_id=P7",
                            **{"Content-Type": "application/x-www-form-urlencoded", "X-Filename": "../a/b.csv"})
    assert answer.status_code == 201
    assert answer.json["receipt"][0] == {"name": "b.csv", "sha256": sha256(sent), "size": len(sent.content)}
    assert studies(hub)[0].number == "P7"


def test_a_dicom_ecg_is_one_instance_whichever_door_it_takes(cart, hub, county):
    sent = dicom_ecg()
    by_http = cart.send(sent)
    by_store = take_in(hub, county.ct, hub.blobs.keep(sent.content))
    assert by_http.status_code == 201 and (by_store.outcome, by_store.study_id) == ("duplicate", by_http.json["study"])
    (row,) = instances(hub)
    assert (row.format, row.sop_class, row.transfer_syntax) == ("dicom", TWELVE_LEAD, ExplicitVRLittleEndian)


def test_a_uid_that_is_none_is_read_at_the_ecg_door(cart, hub, county, real_data):
    """The example ends its UIDs in a dot. A person can read it here; by C-STORE it is held."""
    content = (real_data / "ecg/formats/ecgtoolkit/Example.dcm").read_bytes()
    answer = cart.send(SourceFile("ecg.dcm", content))
    assert answer.status_code == 201 and instances(hub)[0].sop_uid.startswith("1.2.826.0.1.34471.2.44.6.20021122091000.")
    assert take_in(hub, county.ct, hub.blobs.keep(content)).reason == "missing_uid"


def test_a_dicom_ecg_in_a_zip_is_read_and_not_taken_for_a_dicom_file(cart, hub, real_data):
    sent = SourceFile("ecg.dcm", (real_data / "ecg/formats/ecgtoolkit/Example.dcm").read_bytes())
    assert cart.send(zipped([sent])).status_code == 201
    assert instances(hub)[0].format != "dicom"


def test_another_version_under_the_same_uid_is_kept_beside_the_first(cart, hub, real_data):
    content = (real_data / "ecg/formats/ecgtoolkit/Example.dcm").read_bytes()
    other = SourceFile("b.dcm", content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    assert cart.send(SourceFile("a.dcm", content)).status_code == 201
    answer = cart.send(other)
    assert answer.status_code == 409 and answer.json["error"] == "same_uid_other_bytes" and answer.json["held"]
    assert len(instances(hub)) == 1 and {sha256(other)} <= kept_blobs(hub)
    assert holdings(hub)[0].sha256 == answer.json["receipt"][0]["sha256"] == sha256(other)


@pytest.mark.parametrize("token", ["", "wrong", "Ünsinn"])
def test_without_a_valid_token_nothing_is_taken_in(token, cart, hub):
    answer = cart.send(resting(), token=token, **DECLARED)
    assert answer.status_code == 401 and answer.json["error"] == "bad_token" and "令牌" in answer.json["zh"] and answer.json["en"]
    assert "Bearer" in answer.headers["WWW-Authenticate"] and kept_blobs(hub) == set()


def test_a_device_that_was_switched_off_is_turned_away(cart, hub, county):
    devices.set_active(hub, SYSTEM, county.ecg.id, False)
    assert cart.send(resting(), **DECLARED).status_code == 401 and not instances(hub)


def test_the_cookies_of_a_signed_in_person_do_not_open_the_door(cart, hub):
    page = cart.client.get("/sign-in").text
    token = page.partition('name="csrf-token" content="')[2].partition('"')[0]
    entered = cart.client.post("/sign-in", data={"csrf_token": token, "username": "admin", "password": PASSWORD})
    assert entered.status_code == 302
    assert cart.send(resting(), token="", **DECLARED).status_code == 401 and not instances(hub)


UNREADABLE = {
    "not an ECG": b"dear doctor, this is a letter",
    "empty": b"",
    "a truncated EDF": edf()[0].content[:300],
    "entities that multiply": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
                              b'<AnnotatedECG xmlns="urn:hl7-org:v3">&c;</AnnotatedECG>',
    "an entity from outside": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
                              b'<AnnotatedECG xmlns="urn:hl7-org:v3">&b;</AnnotatedECG>',
    "a zip bomb": zipped([SourceFile("a.csv", bytes(200_000_000))]).content,
    "a zip in a zip": zipped([zipped([SourceFile("a.csv", b"I\n1\n")])]).content,
    "a zip that breaks off": zipped([SourceFile("a.csv", b"I\n1\n" * 900)]).content[:-30],
    "a WFDB header alone": wfdb_16()[0].content,
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_explained_and_kept_with_its_bytes(what, cart, hub):
    sent = SourceFile("sent", UNREADABLE[what])
    answer = cart.send(sent)
    assert answer.status_code == 422 and answer.json["zh"] and answer.json["en"] and answer.json["error"]
    (row,) = holdings(hub)
    assert (row.id, row.reason, row.sha256) == (answer.json["held"], "unreadable_ecg", sha256(sent))
    assert hub.blobs.read(answer.json["receipt"][0]["sha256"]) == sent.content
    assert "root:" not in answer.text and not instances(hub)


def test_a_name_that_is_a_path_is_only_a_name(cart, hub):
    sent = resting()
    answer = cart.send(SourceFile("../../../etc/cron.d/x\x01.csv", sent.content), **DECLARED)
    assert answer.status_code == 201 and answer.json["receipt"][0]["name"] == "x.csv"
    assert instances(hub)[0].files[0]["name"] == "x.csv"


def test_too_much_is_refused_and_leaves_nothing(hub, county):
    cart = Cart(whole(with_settings(hub, largest_ecg_mb=1)), county.ecg_token)
    for answer in (cart.send(SourceFile("a", bytes(2_000_000))), cart.send_body(bytes(2_000_000))):
        assert answer.status_code == 413 and answer.json["error"] == "too_large" and "1 MB" in answer.json["zh"]
    assert kept_blobs(hub) == set() and half_written(hub) == []


def test_a_transfer_that_breaks_off_is_not_acknowledged(cart, hub):
    whole_body = resting().content
    answer = cart.client.post("/api/ecg?rate_hz=500&unit=uV", input_stream=io.BytesIO(whole_body), headers=cart.headers(),
                              environ_overrides={"CONTENT_LENGTH": str(len(whole_body) + 1000)}, content_type="text/csv")
    assert answer.status_code == 400 and answer.json["error"] == "broken_off"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    answer = cart.client.post("/api/ecg", data=form, headers=cart.headers(), content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400 and answer.json["error"] in ("no_file", "broken_off")
    assert kept_blobs(hub) == set() and half_written(hub) == []


def test_a_form_that_names_another_patient_than_the_file_is_held_and_not_mixed(cart, hub, real_data):
    content = (real_data / "ecg/formats/ecgtoolkit/Example.dcm").read_bytes()
    written = open_recording([SourceFile("a.dcm", content)]).patient
    assert written.patient_id, "the sample names its patient"
    answer = cart.send(SourceFile("a.dcm", content), patient_id="SOMEBODY-ELSE")
    assert answer.status_code == 409 and answer.json["error"] == "patient_mismatch" and "患者" in answer.json["zh"]
    (row,) = holdings(hub)
    assert row.reason == "other_patient" and row.facts["patient_id"] == "SOMEBODY-ELSE" and hub.blobs.read(row.sha256) == content
    assert not instances(hub)


def test_a_form_fills_in_the_patient_where_the_file_is_silent(cart, hub):
    cart.send(resting(), patient_id="P1", patient_name="张三", sex="M", birth_date="1960-01-02", **DECLARED)
    assert (studies(hub)[0].number, studies(hub)[0].name) == ("P1", "张三")


def test_recordings_without_a_patient_are_never_joined(cart, hub):
    for seed in (1, 2):
        assert cart.send(resting(seed), **DECLARED).status_code == 201
    first, second = studies(hub)
    assert first.patient_id != second.patient_id and first.identity_key.startswith("unidentified|") and first.name == ""


def test_a_full_disk_is_said_and_leaves_nothing_half_written(cart, hub, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("hub.storage.blobs.os.fsync", full)
        answer = cart.send(resting(), **DECLARED)
    assert answer.status_code == 507 and answer.json["error"] == "out_of_space" and "磁盘" in answer.json["zh"]
    assert not instances(hub) and kept_blobs(hub) == set() and half_written(hub) == []
    assert cart.send(resting(), **DECLARED).status_code == 201


def test_below_the_floor_of_free_space_nothing_is_taken_in(hub, county):
    tight = replace(hub, blobs=Blobs(hub.blobs.folder, floor_mb=10**9))
    assert Cart(whole(tight), county.ecg_token).send(resting(), **DECLARED).status_code == 507


@pytest.mark.parametrize("error", [OutOfSpace("out_of_space", "磁盘空间不足。", "no disk space"),
                                   OperationalError("INSERT", {}, Exception("unforeseen"))])
def test_when_the_row_cannot_be_written_nothing_is_acknowledged(error, cart, hub, monkeypatch):
    def fails(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(intake.together, "write_all", fails)
        answer = cart.send(resting(), **DECLARED)
    assert answer.status_code in (500, 507) and "receipt" in answer.json and answer.json["receipt"] == []
    assert cart.send(resting(), **DECLARED).json["outcome"] == "stored", "the sender's next try is the first that counts"


def test_a_busy_database_asks_to_try_again(cart, hub, monkeypatch):
    def busy(*_):
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    monkeypatch.setattr(intake.together, "write_all", lambda *_: _inside(hub, busy))
    answer = cart.send(resting(), **DECLARED)
    assert answer.status_code == 503 and answer.json["error"] == "database_busy" and answer.headers["Retry-After"]
    assert answer.json["receipt"] == [] and not instances(hub)


def _inside(hub, fails):
    with hub.writing():
        fails()


def test_a_crash_between_blob_and_row_leaves_nothing_acknowledged_missing(cart, hub, monkeypatch):
    class PowerCut(BaseException):
        pass

    def dies(*_):
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(intake, "take", dies)
        with pytest.raises(PowerCut):
            cart.send(resting(), **DECLARED)
    assert sha256(resting()) in kept_blobs(hub) and not instances(hub), "the blob is safe, nobody was told so"
    assert cart.send(resting(), **DECLARED).json["outcome"] == "stored"
    assert instances(hub)[0].sha256 == sha256(resting())


def test_a_fault_of_the_analysis_does_not_deny_what_was_taken_in(cart, hub, monkeypatch):
    monkeypatch.setattr("ecg.web.analyse", lambda _: 1 / 0)
    answer = cart.send(resting(), **DECLARED)
    assert answer.status_code == 201 and answer.json["quality"]["verdict"] == "unknown" and len(instances(hub)) == 1


def arms_swapped(recording):
    """What the cart records with the arm electrodes exchanged: I is upside down, II and III, aVR and aVL change places."""
    rows = dict(zip(recording.leads, recording.samples_uv))
    swapped = rows | {"I": -rows["I"], "II": rows["III"], "III": rows["II"], "aVR": rows["aVL"], "aVL": rows["aVR"]}
    return [swapped[name] for name in recording.leads]


def test_exchanged_arms_are_said_while_the_patient_is_still_there(cart, real_data):
    recording = open_recording(wfdb_pair(real_data, "ludb/data/10"))
    right = cart.send(*wfdb_pair(real_data, "ludb/data/10"))
    assert "接反" not in right.json["zh"]
    answer = cart.send(csv_of(replace(recording, samples_uv=np.vstack(arms_swapped(recording)))), rate_hz="500", unit="uV")
    assert answer.status_code == 201 and answer.json["quality"]["verdict"] == "repeat"
    assert "左右手电极可能接反，请检查后重做" in answer.json["zh"]


def test_a_lead_that_is_off_is_named(cart):
    made = built()
    made.samples_uv[STANDARD_LEADS.index("V3")] = 0.0
    answer = cart.send(csv_of(made), **DECLARED)
    assert answer.json["quality"]["verdict"] != "good" and "V3" in answer.json["zh"]
    assert ["V3"] in [finding["leads"] for finding in answer.json["quality"]["findings"]]


def test_of_a_long_recording_the_first_minute_is_checked_and_the_answer_says_so(cart, hub):
    made = built(rate=250.0, seconds=130.0, leads=("V1", "V5"))
    answer = cart.send(csv_of(made), rate_hz="250", unit="uV")
    assert answer.json["duration_s"] == 130.0 and answer.json["quality"]["checked_s"] == 60.0
    assert "仅检查了前 60 秒" in answer.json["zh"] and studies(hub)[0].description == "动态心电图"
