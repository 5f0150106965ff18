"""Orders meet studies: by number, by points, by a person; and never over another patient."""
from dataclasses import replace

import pytest

from hub.errors import Conflict, NotFound, Refused
from hub.flow import completion, matching, ordering, orders, studies
from hub.model.arrival import PatientFacts
from hub.storage.tables import audit, order_match, study
from tests.hub.arrivals import PATIENT, close_and_prepare, reading_of, rows, send_ct, study_row
from tests.hub.orders import RESIDENT, matches, order_row, placed, wish

SAME_DAY = "2026-05-04T09:00:00"


def arrived(hub, county, clock, **more) -> int:
    """A CT that has closed and been prepared."""
    study_id = send_ct(hub, more.pop("device", county.ct), **more)
    close_and_prepare(hub, clock, study_id)
    return study_id


def outcome(hub, study_id: int) -> list[tuple]:
    return [(one.order_id, one.state) for one in matches(hub, study_id)]


def test_the_accession_number_joins_and_brings_urgency_and_deadline(hub, county, clock):
    order = placed(hub, county.clinic, urgency="emergency")
    study_id = arrived(hub, county, clock, accession_number=order.accession_number)
    assert outcome(hub, study_id) == [(order.id, "joined")]
    reading = reading_of(hub, study_id)
    assert study_row(hub, study_id).urgency == "emergency" and reading.rank == 0
    assert reading.deadline_at == hub.rules.deadlines.deadline("CT", "emergency", reading.queued_at)
    assert order_row(hub, order.id).state == "completed"
    assert [one.actor for one in rows(hub, audit, audit.c.action == "order.join")] == ["system"]


def test_the_study_uid_of_the_worklist_joins_where_the_number_was_lost(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, study_uid=order.study_uid, accession_number="")
    assert outcome(hub, study_id) == [(order.id, "joined")] and "study_uid" in matches(hub, study_id)[0].reasons


@pytest.mark.parametrize("person, asked", [
    (replace(PATIENT, name="别的人", name_as_sent="别的人", patient_id="QS0002"), {}), (replace(PATIENT, sex="F", birth_date="1990-01-01"), {}),
    (replace(PATIENT, name="测试乙", name_as_sent="测试乙", sex="F"), {}),
    (replace(PATIENT, patient_id="11010519491231002X", birth_date=""), {"resident_id": RESIDENT, "birth_date": ""}),
], ids=["other person", "other sex and birth date", "other name and sex", "other resident number"])
def test_an_equal_accession_number_never_joins_another_patient(hub, county, clock, person, asked):
    order = placed(hub, county.clinic, urgency="emergency", **asked)
    study_id = arrived(hub, county, clock, patient=person, accession_number=order.accession_number)
    assert outcome(hub, study_id) == [(order.id, "contradicted")]
    assert study_row(hub, study_id).urgency == "routine" and order_row(hub, order.id).state == "scheduled"
    match = matches(hub, study_id)[0]
    with pytest.raises(Exception) as refusal:
        matching.join(hub, county.reader, match.id)
    assert isinstance(refusal.value, (Refused, Conflict)) and outcome(hub, study_id) == [(order.id, "contradicted")]
    seen = orders.beside(hub, county.reader, studies.find(hub, county.reader, study_id))
    assert seen.order is None and [one.order_id for one in seen.contradicted] == [order.id]


def test_one_mistyped_field_beside_an_equal_number_is_asked(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, patient=replace(PATIENT, birth_date="1963-02-12"), accession_number=order.accession_number)
    assert outcome(hub, study_id) == [(order.id, "suggested")] and "apart_birth_date" in matches(hub, study_id)[0].reasons


def test_an_accession_number_alone_is_asked(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, patient=PatientFacts("X1", "", "", False, "M"), accession_number=order.accession_number)
    assert outcome(hub, study_id) == [(order.id, "suggested")]


def test_without_a_number_of_ours_number_and_name_join(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, accession_number="CT-778", study_at=SAME_DAY)
    assert outcome(hub, study_id) == [(order.id, "joined")]


def test_a_name_in_pinyin_and_a_birth_date_are_asked(hub, county, clock):
    order = placed(hub, county.clinic, patient_name="曾小明")
    person = replace(PATIENT, patient_id="7788", name="ZENG XIAO MING", name_as_sent="ZENG^XIAO MING")
    study_id = arrived(hub, county, clock, patient=person, accession_number="", study_at=SAME_DAY)
    assert outcome(hub, study_id) == [(order.id, "suggested")] and "name_latin" in matches(hub, study_id)[0].reasons


@pytest.mark.parametrize("more", [
    {"modality": "MR"}, {"study_at": "2026-05-09T09:00:00"}, {"patient": replace(PATIENT, name="别的人", name_as_sent="别的人", patient_id="X")},
], ids=["other modality", "other week", "other person"])
def test_what_does_not_fit_is_a_study_without_an_order_and_that_is_normal(hub, county, clock, more):
    placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, **({"accession_number": "", "study_at": SAME_DAY} | more))
    assert outcome(hub, study_id) == []
    assert orders.beside(hub, county.reader, studies.find(hub, county.reader, study_id)).order is None


def test_two_orders_that_fit_alike_are_both_asked(hub, county, clock):
    first, second = placed(hub, county.clinic), placed(hub, county.clinic, procedure="腹部 CT 平扫", body_part="ABDOMEN")
    study_id = arrived(hub, county, clock, accession_number="", study_at=SAME_DAY)
    assert sorted(outcome(hub, study_id)) == [(first.id, "suggested"), (second.id, "suggested")]


def test_an_order_of_the_neighbour_is_no_candidate_even_with_its_number(hub, county, clock):
    order = placed(hub, county.neighbour)
    assert outcome(hub, arrived(hub, county, clock, accession_number=order.accession_number, study_at=SAME_DAY)) == []


def test_an_order_placed_after_the_images_finds_them(hub, county, clock):
    study_id = arrived(hub, county, clock, accession_number="", study_at=SAME_DAY)
    order = placed(hub, county.clinic, urgency="emergency")
    assert outcome(hub, study_id) == [(order.id, "joined")]
    assert reading_of(hub, study_id).rank == 0 and order_row(hub, order.id).state == "completed"


def test_a_person_confirms_and_the_order_is_beside_the_study(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, patient=replace(PATIENT, birth_date="1963-02-12"), accession_number=order.accession_number)
    assert matching.join(hub, county.reader, matches(hub, study_id)[0].id) == study_id
    seen = orders.beside(hub, county.reader, studies.find(hub, county.reader, study_id))
    assert seen.order.clinical_question == "咳嗽 3 周，痰中带血，除外肺癌" and not seen.suggested
    assert rows(hub, audit, audit.c.action == "order.join")[0].actor == "王报告"


def test_a_joining_is_undone_and_done_again_and_stays_undone_when_the_study_closes_again(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, accession_number=order.accession_number)
    match = matches(hub, study_id)[0]
    matching.part(hub, county.clinic, match.id)
    with hub.writing() as connection:
        matching.match_study(hub, connection, study_id)
    assert outcome(hub, study_id) == [(order.id, "dismissed")]
    matching.restore(hub, county.clinic, match.id)
    matching.join(hub, county.clinic, match.id)
    assert outcome(hub, study_id) == [(order.id, "joined")]


def test_a_study_has_one_order(hub, county, clock):
    first, second = placed(hub, county.clinic), placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, accession_number="", study_at=SAME_DAY)
    one, other = matches(hub, study_id)
    matching.join(hub, county.reader, one.id)
    with pytest.raises(Conflict):
        matching.join(hub, county.reader, other.id)
    assert {first.id, second.id} == {one.order_id, other.order_id}


def test_a_neighbour_decides_nothing(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, accession_number=order.accession_number)
    for act in (matching.join, matching.part, matching.dismiss, matching.restore):
        with pytest.raises(NotFound):
            act(hub, county.neighbour, matches(hub, study_id)[0].id)


def test_a_late_slice_closes_the_study_again_and_leaves_the_joining(hub, county, clock):
    order = placed(hub, county.clinic)
    study_id = arrived(hub, county, clock, accession_number=order.accession_number)
    send_ct(hub, county.ct, slices=4, accession_number=order.accession_number)
    clock.forward(seconds=61)
    assert completion.close_quiet_studies(hub) == 1
    assert outcome(hub, study_id) == [(order.id, "joined")]
    assert len(rows(hub, order_match)) == 1 and len(rows(hub, study)) == 1


def test_a_cancelled_order_that_was_performed_all_the_same_is_joined_by_its_number(hub, county, clock):
    order = placed(hub, county.clinic)
    ordering.cancel(hub, county.clinic, order.id, "患者未到")
    study_id = arrived(hub, county, clock, accession_number=order.accession_number)
    assert outcome(hub, study_id) == [(order.id, "joined")] and order_row(hub, order.id).state == "completed"


def test_changing_an_order_looks_again(hub, county, clock):
    order = placed(hub, county.clinic, patient_name="测试乙", patient_number="X", sex="F")
    study_id = arrived(hub, county, clock, accession_number="", study_at=SAME_DAY)
    assert outcome(hub, study_id) == []
    ordering.change(hub, county.clinic, order.id, wish(hub.now()))
    assert outcome(hub, study_id) == [(order.id, "joined")]
