"""The device doctor for carts: each fault is planted once and found by its name, through the real door."""
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from ecg import doctor
from ecg.export import dicom_bytes, dicom_waveform
from ecg.jobs import prepare_study
from ecg.recording import PatientAsWritten, SourceFile
from hub.flow import checkups, completion, device_changes, studies
from hub.model.access import SYSTEM
from tests.conftest import MORNING
from tests.ecg.built_signals import built
from tests.ecg.cart import DECLARED, csv_of

START = MORNING.replace(tzinfo=None) + timedelta(hours=8)      # the county's clock at the moment of the tests


def recorded(number: int = 1, start: datetime = START, patient: PatientAsWritten = PatientAsWritten("QS1", "张建国", "M"), **more) -> SourceFile:
    """A DICOM ECG as a good cart writes it."""
    made = replace(built(seed=number, **more), patient=patient, start=start.isoformat())
    uid = f"2.25.88{number}"
    return SourceFile("ecg.dcm", dicom_bytes(dicom_waveform(made, study_uid=uid, series_uid=f"{uid}.1", sop_uid=f"{uid}.1.1", received=start)))


def examined(hub, county, **how) -> dict:
    return {one.code: one for one in doctor.examine(hub, SYSTEM, county.ecg.id, **how).findings}


def test_a_cart_that_sent_nothing_is_told_how_to_begin(hub, county):
    found = doctor.examine(hub, SYSTEM, county.ecg.id)
    assert "arrival.nothing" in {one.code for one in found.findings} and found.verdict == "none"


def test_a_good_cart_has_nothing_that_must_be_mended(cart, hub, county):
    assert cart.send(recorded()).status_code == 201
    result = doctor.examine(hub, SYSTEM, county.ecg.id)
    assert {one.level for one in result.findings} <= {"good", "info"}, result.findings
    assert {"format.ok", "format.rate_ok", "format.leads_ok", "format.duration_ok", "clock.ok", "patient.ok", "text.ok", "calibration.ok"} <= {one.code for one in result.findings}


FAULTS = {
    "format.rate_low": recorded(rate=200.0), "format.rate_below": recorded(rate=250.0), "format.short": recorded(seconds=5.0),
    "format.leads_missing": recorded(leads=("I", "II", "III", "aVR", "aVL", "aVF")),
    "clock.ahead": recorded(start=START + timedelta(minutes=20)), "clock.zone": recorded(start=START + timedelta(hours=8)),
    "clock.behind": recorded(start=START - timedelta(days=40)),
    "patient.no_id": recorded(patient=PatientAsWritten("", "张建国")), "patient.no_name": recorded(patient=PatientAsWritten("QS1", "")),
    "calibration.small": recorded(qrs_uv=1.0, t_uv=0.3, p_uv=0.1, noise_uv=0.2),
    "calibration.large": recorded(qrs_uv=40_000.0, t_uv=9000.0),
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_is_found_by_its_name(cart, hub, county, code):
    assert cart.send(FAULTS[code]).status_code == 201
    found = examined(hub, county)
    assert code in found and found[code].level in ("bad", "warn") and found[code].todo_zh


def test_a_garbled_name_is_noticed(cart, hub, county):
    assert cart.send(csv_of(built()), **DECLARED, patient_id="QS1", patient_name="张建国").status_code == 201
    found = examined(hub, county)
    assert "text.ok" in found and "patient.ok" in found and "format.no_unit" in found      # the sender named the patient beside the file
    garbled = "张建国".encode("gb18030").decode("latin-1")
    assert doctor._is_garbled(garbled) and doctor._is_garbled("李\ufffd") and not doctor._is_garbled("张建国") and not doctor._is_garbled("José Núñez")


def test_files_that_cannot_be_read_are_counted(cart, hub, county):
    assert cart.send(SourceFile("x.bin", b"\x00" * 500)).status_code == 422
    assert "1" in examined(hub, county)["arrival.unreadable"].zh


def test_the_share_of_recordings_that_should_be_repeated_is_judged_from_their_analysis(cart, hub, county, clock):
    flat = replace(built(seed=3), samples_uv=np.zeros_like(built(seed=3).samples_uv))
    made = [cart.send(csv_of(recording, f"{number}.csv"), **DECLARED, patient_id=f"QS{number}").json["study"] for number, recording in enumerate((built(seed=1), flat))]
    assert "quality.unknown" in examined(hub, county)
    clock.forward(minutes=5)
    completion.close_quiet_studies(hub)
    for study_id in made:
        prepare_study(hub, study_id, studies.find(hub, SYSTEM, study_id).generation)
    assert examined(hub, county)["quality.repeat"].level == "bad"


def test_a_sample_looks_at_what_comes_after_its_beginning_only(cart, hub, county, clock):
    assert cart.send(recorded(1, rate=200.0)).status_code == 201
    clock.forward(minutes=1)
    checkups.begin_sample(hub, SYSTEM, county.ecg.id)
    after = checkups.open_sample(hub, SYSTEM, county.ecg.id).after_instance
    assert doctor.examine(hub, SYSTEM, county.ecg.id, after=after).objects == 0
    assert cart.send(recorded(2)).status_code == 201
    found = examined(hub, county, after=after)
    assert "format.rate_ok" in found and "format.rate_low" not in found


def test_a_cart_is_held_to_its_rules_at_the_door(cart, hub, county):
    device_changes.set_rules(hub, SYSTEM, county.ecg.id, {"objects_a_minute": "1"})
    assert cart.send(recorded(1)).status_code == 201
    refused = cart.send(recorded(2))
    assert refused.status_code == 503 and refused.json["error"] == "object_pace" and refused.headers["Retry-After"]
    device_changes.set_rules(hub, SYSTEM, county.ecg.id, {"address": "10.9.9.9"})
    refused = cart.send(recorded(3))
    assert refused.status_code == 401 and refused.json["error"] == "other_address"
