"""Preparation while a study arrives: the same result as afterwards, nothing done twice, nothing hidden."""
import json
import os
from datetime import timedelta
from threading import get_native_id

import pytest

from dicom_gateway import jobs
from hub.flow import completion, preparation, studies
from hub.flow.jobs import perform
from hub.model.access import SYSTEM
from hub.queue import outbox
from tests.dicom_gateway.web.conftest import make_house
from tests.dicom_gateway.web.objects import file_of

SLICES = 20


@pytest.fixture
def house(tmp_path):
    made = make_house(tmp_path)
    yield made
    made.hub.close()


def arrive(house, numbers, study: str = "1.2.10", **attributes) -> int:
    for number in numbers:
        taken = house.send(file_of(study, f"{study}.1", f"{study}.1.{number}", InstanceNumber=str(number), PixelData=bytes(range(number, number + 32)),
                                   ImagePositionPatient=[0, 0, number * 5], ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1, 1], **attributes))
    return taken.study_id


def run_jobs(house) -> list[str]:
    """Runs every order of preparation that is due, as a worker does; the kinds and how they ended."""
    with house.hub.reading() as connection:
        due = outbox.due(connection, house.hub.now() + timedelta(hours=1))
    return [f"{job.kind} {perform(house.hub, job.id)}" for job in due if job.kind.startswith("prepare")]


def close(house) -> None:
    assert completion.close_quiet_studies(house.hub.at(lambda: house.hub.now() + timedelta(seconds=600))) == 1


def kinds(house, study_id: int) -> dict[str, int]:
    told: dict[str, int] = {}
    for one in studies.artifacts_of(house.hub, study_id):
        told[one.kind] = told.get(one.kind, 0) + 1
    return told


def manifest(house, study_id: int) -> dict:
    (made,) = studies.artifacts_of(house.hub, study_id, "manifest")
    return json.loads(house.hub.blobs.read(made.sha256))


def test_what_was_prepared_ahead_is_not_prepared_again_and_the_result_is_the_same(house, monkeypatch):
    study_id = arrive(house, range(1, SLICES + 1))
    assert preparation.order_ahead(house.hub) == 1
    assert run_jobs(house) == ["prepare_ahead done"]
    assert kinds(house, study_id) == {"htj2k": SLICES, "prepared": SLICES, "thumbnail": SLICES, "metadata_part": 2, "profiles_part": 2}
    close(house)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "dcmread", lambda *a, **k: pytest.fail("read again"))
        assert run_jobs(house) == ["prepare_images done"]
    assert kinds(house, study_id) == {"htj2k": SLICES, "prepared": SLICES, "thumbnail": SLICES, "metadata": 1, "manifest": 1, "profiles": 1, "plane": 3}
    other = arrive(house, range(1, SLICES + 1), "1.2.20")
    close(house)
    assert run_jobs(house) == ["prepare_images done"]
    ahead, after = (json.dumps(manifest(house, one)).replace("1.2.20", "1.2.10") for one in (study_id, other))
    assert ahead == after
    told, afterwards = (house.get(f"/studies/{uid}/metadata").data.decode().replace("1.2.20", "1.2.10") for uid in ("1.2.10", "1.2.20"))
    assert told == afterwards and len(json.loads(told)) == SLICES


def test_an_order_is_given_once_for_what_waits_and_again_when_enough_more_has_arrived(house):
    study_id = arrive(house, range(1, 16))
    assert preparation.order_ahead(house.hub) == 0
    arrive(house, [16])
    assert preparation.order_ahead(house.hub) == 1 and preparation.order_ahead(house.hub) == 0
    run_jobs(house)
    arrive(house, range(17, 30))
    assert preparation.order_ahead(house.hub) == 0
    arrive(house, range(30, 40))
    assert preparation.order_ahead(house.hub) == 1
    run_jobs(house)
    assert kinds(house, study_id)["prepared"] == 39
    close(house)
    assert preparation.order_ahead(house.hub) == 0
    run_jobs(house)
    assert studies.find(house.hub, SYSTEM, study_id).state == "ready"


def test_an_image_that_cannot_be_decoded_is_ordered_once_and_named_in_the_end(house):
    study_id = arrive(house, range(1, SLICES))
    house.send(file_of("1.2.10", "1.2.10.1", "1.2.10.1.99", InstanceNumber="99", Rows=4000))
    arrive(house, range(SLICES, SLICES + 16), PhotometricInterpretation="NONSENSE")
    assert preparation.order_ahead(house.hub) == 1
    assert run_jobs(house) == ["prepare_ahead done"]
    assert preparation.order_ahead(house.hub) == 1 and run_jobs(house) == ["prepare_ahead done"]      # 17 still wait
    assert preparation.order_ahead(house.hub) == 0
    close(house)
    assert run_jobs(house) == ["prepare_images done"]
    assert len(studies.find(house.hub, SYSTEM, study_id).problems) == 17


def test_an_order_that_comes_after_the_study_has_closed_does_nothing(house):
    study_id = arrive(house, range(1, SLICES + 1))
    assert preparation.order_ahead(house.hub) == 1
    close(house)
    assert run_jobs(house) == ["prepare_ahead done", "prepare_images done"]
    assert kinds(house, study_id)["prepared"] == SLICES and "metadata_part" not in kinds(house, study_id)


def test_a_slice_that_comes_late_is_prepared_with_what_stands_already(house):
    study_id = arrive(house, range(1, SLICES + 1))
    preparation.order_ahead(house.hub)
    run_jobs(house)
    close(house)
    run_jobs(house)
    arrive(house, [SLICES + 1])
    close(house)
    assert run_jobs(house) == ["prepare_images done"]
    (series,) = manifest(house, study_id)["series"]
    assert len(series["instances"]) == SLICES + 1 and len(house.get("/studies/1.2.10/metadata").json) == SLICES + 1


def test_what_another_worker_still_prepares_ahead_is_taken_over_and_not_done_twice(house, monkeypatch):
    study_id = arrive(house, range(1, 65))
    rows, done, entered, prepare = preparation.arrived(house.hub, study_id), [], jobs._entered, jobs.prepare_instance
    close(house)

    def counted(dataset, *headers):
        done.append(str(dataset.SOPInstanceUID))
        return prepare(dataset, *headers)

    def after_the_other(*batch):
        monkeypatch.setattr(jobs, "_entered", entered)
        assert len(list(jobs._prepare_all(house.hub, study_id, iter([rows[:10]]), {}))) == 10       # the slices that come last here
        return entered(*batch)

    monkeypatch.setattr(jobs, "prepare_instance", counted)
    monkeypatch.setattr(jobs, "_entered", after_the_other)
    assert run_jobs(house) == ["prepare_images done"]
    assert len(done) == len(set(done)) == 64 and kinds(house, study_id)["prepared"] == 64


def test_the_middle_of_a_study_is_prepared_first(house, monkeypatch):
    study_id, batches, entered = arrive(house, range(1, 41)), [], jobs._entered
    close(house)
    monkeypatch.setattr(jobs, "_entered", lambda hub, study, batch: (batches.append(sorted(one.row.number for one in batch)), entered(hub, study, batch))[1])
    assert run_jobs(house) == ["prepare_images done"] and kinds(house, study_id)["prepared"] == 40
    middle, half = next(batch for batch in batches if batch), jobs.BATCH // 2
    assert middle in (list(range(21 - half, 21 + half)), list(range(22 - half, 22 + half)))


def test_pictures_across_a_series_are_made_anew_when_a_slice_comes_late_and_go_when_one_leaves_a_gap(house):
    study_id = arrive(house, [*range(1, SLICES + 1)])
    close(house)
    run_jobs(house)
    assert kinds(house, study_id)["plane"] == 3 and [one["name"] for one in manifest(house, study_id)["series"][0]["across"]] == ["coronal", "sagittal", "mip"]
    arrive(house, [SLICES + 3])
    close(house)
    run_jobs(house)
    (series,) = manifest(house, study_id)["series"]
    assert "plane" not in kinds(house, study_id) and series["across"] == [] and "缺约 2 层" in series["no_pictures"]["zh"]
    arrive(house, [SLICES + 1, SLICES + 2])
    close(house)
    run_jobs(house)
    assert kinds(house, study_id)["plane"] == 3 and kinds(house, study_id)["profiles"] == 1


def test_preparing_ahead_lets_whoever_sends_go_first_and_leaves_its_own_process_as_it_was(house, monkeypatch):
    study_id, seen, prepare = arrive(house, range(1, SLICES + 1)), [], jobs.prepare_instance
    own = os.getpriority(os.PRIO_PROCESS, 0)

    def noted(*given):
        seen.append(os.getpriority(os.PRIO_PROCESS, get_native_id()) - own)
        return prepare(*given)

    monkeypatch.setattr(jobs, "prepare_instance", noted)
    jobs.prepare_ahead(house.hub, study_id)
    assert seen == [jobs.GENTLE] * SLICES and os.getpriority(os.PRIO_PROCESS, 0) == own
    close(house)
    run_jobs(house)
    late = arrive(house, range(1, SLICES + 1), "1.2.20")
    close(house)
    run_jobs(house)
    assert seen[SLICES:] == [0] * SLICES and studies.find(house.hub, SYSTEM, late).state == "ready"


def test_what_has_arrived_is_given_in_reading_order_and_as_many_as_asked_for(house):
    study_id = arrive(house, range(SLICES, 0, -1))
    everything = preparation.arrived(house.hub, study_id)
    assert [row.number for row in everything] == list(range(1, SLICES + 1))
    assert preparation.arrived(house.hub, study_id, {everything[0].id, everything[2].id}, 3) == [everything[place] for place in (1, 3, 4)]
    assert preparation.arrived(house.hub, study_id, {row.id for row in everything}, 3) == []
