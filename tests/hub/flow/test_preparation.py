"""Preparing: repeatable, overtaken by a later arrival, and never a dead end."""
import pytest

from hub.flow import completion, preparation
from hub.flow.preparation import CriticalFinding, NewArtifact, Problem
from hub.storage.tables import artifact, critical
from tests.hub.arrivals import close_and_prepare, queued_ct, reading_of, reading_row, rows, send, send_ct, slice_facts, study_row


@pytest.fixture
def closed(hub, county, clock) -> int:
    study_id = send_ct(hub, county.ct)
    clock.forward(seconds=5)
    completion.close_quiet_studies(hub)
    return study_id


def made(hub, words: bytes, kind: str = "htj2k", place: int = 0, instance_id=None) -> NewArtifact:
    return NewArtifact(kind, hub.blobs.keep(words), "image/jphc", instance_id, place, {"words": words.decode()})


def test_the_instances_come_in_the_order_of_reading(hub, closed):
    assert [row.number for row in preparation.begin(hub, closed, 1)] == [1, 2, 3]
    assert study_row(hub, closed).state == "preparing"


def test_a_prepared_study_waits_in_the_queue_with_its_deadline(hub, closed, clock):
    preparation.begin(hub, closed, 1)
    assert preparation.finish(hub, closed, 1, [], [], summary="肺窗")
    row, reading = study_row(hub, closed), reading_of(hub, closed)
    assert (row.state, row.summary, reading.state) == ("ready", "肺窗", "queued")
    assert (reading.deadline_at - clock.now).total_seconds() == 1440 * 60


def test_a_repeated_job_changes_nothing_that_is_done(hub, closed):
    preparation.begin(hub, closed, 1)
    preparation.begin(hub, closed, 1)      # the first worker died
    assert preparation.finish(hub, closed, 1, [], [])
    assert preparation.begin(hub, closed, 1) is None
    assert preparation.finish(hub, closed, 1, [], []) is False
    assert study_row(hub, closed).state == "ready"


def test_the_same_artifact_made_again_replaces_the_first(hub, closed):
    rows_ = preparation.begin(hub, closed, 1)
    for words in (b"one", b"two"):
        preparation.add_artifacts(hub, closed, [made(hub, words, instance_id=rows_[0].id), made(hub, words, "manifest")])
    assert [row.about["words"] for row in rows(hub, artifact)] == ["two", "two"]


def test_a_later_arrival_overtakes_a_preparation_under_way(hub, county, clock, closed):
    preparation.begin(hub, closed, 1)
    send(hub, county.ct, slice_facts(4))
    assert preparation.finish(hub, closed, 1, [], []) is False, "it was made without the late slice"
    assert study_row(hub, closed).state == "reopened" and reading_of(hub, closed) is None
    assert preparation.begin(hub, closed, 1) is None
    close_and_prepare(hub, clock, closed)
    assert study_row(hub, closed).generation == 3


@pytest.mark.parametrize("begun", [True, False])
def test_a_study_that_cannot_be_prepared_reaches_its_reader_and_says_so(hub, closed, begun):
    if begun:
        preparation.begin(hub, closed, 1)
    preparation.give_up(hub, closed, 1)
    row = study_row(hub, closed)
    assert (row.state, row.problems[0]["code"], reading_of(hub, closed).state) == ("ready", "not_prepared", "queued")
    preparation.give_up(hub, closed, 1)
    assert study_row(hub, closed).state == "ready"


def test_problems_are_kept_in_both_languages(hub, closed):
    preparation.begin(hub, closed, 1)
    preparation.finish(hub, closed, 1, [], [Problem("undecodable", "第 2 幅无法解码。", "image 2 cannot be decoded.", 2)])
    assert study_row(hub, closed).problems == [
        {"code": "undecodable", "zh": "第 2 幅无法解码。", "en": "image 2 cannot be decoded.", "instance_id": 2}]


def test_a_machines_suspicion_makes_the_study_pressing_and_is_raised_once(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, urgency="emergency", criticals=[CriticalFinding("张力性气胸可能", "ct.tension")])
    study_id = reading_row(hub, reading_id).study_id
    assert (study_row(hub, study_id).urgency, reading_row(hub, reading_id).rank) == ("emergency", 0)
    send(hub, county.ct, slice_facts(4))
    close_and_prepare(hub, clock, study_id, urgency="emergency", criticals=[CriticalFinding("张力性气胸可能", "ct.tension")])
    assert [row.raised_by for row in rows(hub, critical)] == ["system"]


def test_an_urgency_is_raised_but_never_lowered_by_a_second_preparation(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    before = reading_row(hub, reading_id)
    send(hub, county.ct, slice_facts(4))
    close_and_prepare(hub, clock, before.study_id, urgency="emergency")
    raised = reading_row(hub, reading_id)
    assert raised.rank == 0 and (raised.deadline_at - before.queued_at).total_seconds() == 30 * 60
    send(hub, county.ct, slice_facts(5))
    close_and_prepare(hub, clock, before.study_id, urgency="routine")
    assert reading_row(hub, reading_id).rank == 0
