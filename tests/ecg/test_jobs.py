"""The worker's part: an ECG study always reaches its reader, with its analysis or with the reason why there is none."""
import json
from dataclasses import replace

import numpy as np
import pytest

from ecg import jobs
from ecg.recording import SourceFile
from hub.errors import Retryable
from hub.flow import completion
from hub.flow.jobs import perform
from hub.storage.tables import artifact, critical
from tests.ecg.built_signals import built, recording
from tests.ecg.cart import DECLARED, csv_of, resting, wfdb_pair
from tests.ecg.interpret import constructed
from tests.hub.arrivals import ecg_facts, reading_of, rows, send, study_row
from tests.hub.arrivals import jobs as job_rows


@pytest.fixture
def closed(hub, cart, clock):
    """Sends recordings and lets the study close; returns its id."""
    def arrive(*files: SourceFile, **words) -> int:
        answer = cart.send(*files, **(words or DECLARED))
        assert answer.status_code == 201, answer.json
        clock.forward(seconds=61)
        completion.close_quiet_studies(hub)
        return answer.json["study"]
    return arrive


def prepare(hub, study_id: int) -> None:
    jobs.prepare_study(hub, study_id, study_row(hub, study_id).generation)


def analysis_of(hub, study_id: int) -> dict:
    (row,) = rows(hub, artifact, artifact.c.study_id == study_id, artifact.c.kind == "ecg_analysis")
    return json.loads(hub.blobs.read(row.sha256))


def test_an_ecg_that_arrived_is_analysed_drawn_and_waits_in_the_queue(hub, closed):
    study_id = closed(resting())
    (job,) = job_rows(hub, "prepare_ecg")
    assert perform(hub, job.id) == "done"
    row = study_row(hub, study_id)
    assert (row.state, row.problems, row.flags["quality"]) == ("ready", [], "good")
    assert "心率 60" in row.summary and "PR 1" in row.summary and "QTc" in row.summary
    assert reading_of(hub, study_id).state == "queued"
    assert analysis_of(hub, study_id)["measurements"]["heart_rate"]["value"] == pytest.approx(60, abs=1)
    (sheet,) = rows(hub, artifact, artifact.c.kind == "ecg_sheet")
    assert hub.blobs.read(sheet.sha256).startswith(b"<svg") or b"<svg" in hub.blobs.read(sheet.sha256)[:200]


def test_a_job_that_runs_again_makes_nothing_twice(hub, closed, monkeypatch):
    study_id = closed(csv_of(constructed.ventricular_tachycardia()))
    real, fault = jobs.preparation.finish, [True]

    def dies_once(*args, **more):
        if fault.pop() if fault else False:
            raise Retryable("database_busy", "忙", "busy")
        return real(*args, **more)

    monkeypatch.setattr(jobs.preparation, "finish", dies_once)
    with pytest.raises(Retryable):
        prepare(hub, study_id)
    prepare(hub, study_id)
    prepare(hub, study_id)
    assert len(rows(hub, artifact, artifact.c.kind == "ecg_analysis")) == 1
    rules = [row.rule for row in rows(hub, critical)]
    assert rules and len(rules) == len(set(rules))


def test_a_preparation_that_a_later_arrival_overtook_changes_nothing(hub, closed, county):
    study_id = closed(resting())
    generation, uid = study_row(hub, study_id).generation, study_row(hub, study_id).study_uid
    file = resting(2)
    facts = replace(ecg_facts(uid), sop_uid="1.9.9", patient=replace(ecg_facts().patient, patient_id="", name="", sex="", birth_date=""),
                    format="CSV", declared=DECLARED)
    send(hub, county.ecg, facts, file.content)
    jobs.prepare_study(hub, study_id, generation)
    assert study_row(hub, study_id).state == "reopened" and rows(hub, artifact) == [] and reading_of(hub, study_id) is None


def test_a_recording_that_cannot_be_read_is_shown_as_a_problem_and_the_study_goes_on(hub, county, clock):
    taken = send(hub, county.ecg, ecg_facts(), b"no ECG at all")
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    prepare(hub, taken.study_id)
    row = study_row(hub, taken.study_id)
    assert row.state == "ready" and reading_of(hub, taken.study_id).state == "queued"
    assert row.problems[0]["code"] == "not_recognised" and row.problems[0]["zh"] and row.problems[0]["instance_id"] == taken.instance_id
    assert row.flags == {"quality": "unreadable"}


def test_a_fault_in_one_recording_is_named_and_leaves_the_study_to_its_reader(hub, closed, monkeypatch):
    study_id = closed(resting())
    monkeypatch.setattr(jobs, "analyse", lambda _: 1 / 0)
    prepare(hub, study_id)
    assert study_row(hub, study_id).state == "ready"
    assert [p["code"] for p in study_row(hub, study_id).problems] == ["not_analysed"]


def test_a_lost_original_is_named(hub, closed):
    study_id = closed(resting())
    for path in hub.blobs.folder.glob("??/*"):
        path.unlink()
    prepare(hub, study_id)
    assert study_row(hub, study_id).state == "ready" and study_row(hub, study_id).problems[0]["code"] == "no_blob"


def test_a_critical_statement_makes_the_case_urgent_and_opens_an_alert(hub, closed):
    study_id = closed(csv_of(constructed.ventricular_tachycardia()))
    prepare(hub, study_id)
    found = rows(hub, critical, critical.c.study_id == study_id)
    assert found and all(row.state == "raised" and row.finding for row in found)
    assert study_row(hub, study_id).urgency == "emergency" and reading_of(hub, study_id).rank == 0
    assert analysis_of(hub, study_id)["statements"][0]["zh"] in study_row(hub, study_id).summary


def test_a_quiet_ecg_is_routine_and_opens_no_alert(hub, closed):
    study_id = closed(resting())
    prepare(hub, study_id)
    assert rows(hub, critical) == [] and study_row(hub, study_id).urgency == "routine"


def test_a_signal_to_be_recorded_again_is_said_in_the_worklist_line(hub, closed):
    made = built()
    made.samples_uv[2:] = 0.0
    study_id = closed(csv_of(made))
    prepare(hub, study_id)
    row = study_row(hub, study_id)
    assert row.flags["quality"] == "repeat" and "建议重做" in row.summary and "V3" in row.flags["leads_off"]


def test_of_a_long_recording_the_first_minutes_are_analysed_and_the_reader_is_told(hub, closed, monkeypatch):
    monkeypatch.setattr(jobs, "LONGEST_S", 60.0)
    study_id = closed(csv_of(built(rate=250.0, seconds=120.0, leads=("V1", "V5"))), rate_hz="250", unit="uV")
    prepare(hub, study_id)
    assert [p["code"] for p in study_row(hub, study_id).problems] == ["only_the_beginning"]
    assert 55 <= len(analysis_of(hub, study_id)["beats"]) <= 61


def test_a_tachycardia_after_the_first_minutes_of_a_long_recording_opens_an_alert(hub, closed, monkeypatch):
    monkeypatch.setattr(jobs, "LONGEST_S", 60.0)
    minute = built(rate=250.0, seconds=60.0, leads=("II", "V1", "V5"), r_times=np.arange(0.5, 60.0, 1.0), noise_uv=5.0)
    rows_uv = np.tile(minute.samples_uv, 3)
    episode = constructed.ventricular_tachycardia()
    rows_uv[:, 31000:33500] = episode.samples_uv[[1, 6, 10]][:, ::2]
    study_id = closed(csv_of(recording(rows_uv, 250.0, minute.leads)), rate_hz="250", unit="uV")
    prepare(hub, study_id)
    assert rows(hub, critical, critical.c.study_id == study_id) and study_row(hub, study_id).urgency == "emergency"
    first = analysis_of(hub, study_id)["statements"][0]
    assert first["critical"] and "00:01:44" in first["evidence"]
    assert "only_the_beginning" in [p["code"] for p in study_row(hub, study_id).problems]


def test_the_beginning_of_a_recording_does_not_hold_the_rest_in_memory():
    whole = built(seconds=20.0)
    first = jobs.beginning_of(whole, 5.0)
    assert first.duration_s == 5.0 and first.samples_uv.base is None and np.array_equal(first.samples_uv, whole.samples_uv[:, :2500])
    assert jobs.beginning_of(whole, 20.0) is whole


def test_a_real_recording_goes_the_same_way(hub, closed, real_data):
    study_id = closed(*wfdb_pair(real_data), any="")
    prepare(hub, study_id)
    assert study_row(hub, study_id).state == "ready" and "心率" in study_row(hub, study_id).summary
