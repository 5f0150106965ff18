"""Patients of several institutions become one person by rule or by decision, and never by mistake."""
from dataclasses import replace

import pytest

from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import cautions, completion, identity, jobs, persons, studies, tray, worklist
from hub.model.access import SYSTEM
from hub.model.arrival import PatientFacts
from hub.model.identifiers import PHONE, Said
from hub.storage import search
from hub.storage.tables import audit, job, patient, patient_identifier, patient_pair, patient_warning, person_link, study_assignment
from tests.hub.arrivals import ecg_facts, queued_ct, rows, send, send_ct, slice_facts, study_row

CARD = "11010519491231002X"
OTHER_CARD = "53010019490101001X"
LIU = PatientFacts(CARD, "刘桂兰", "刘桂兰", False, "F", "1949-12-31", "076Y")


def arrived(hub, device, uid, facts=LIU, said=()) -> int:
    """A study comes in and its patient is identified; returns the patient's row."""
    study_id = send_ct(hub, device, uid, 1, patient=facts)
    identity.identify(hub, study_id, tuple(said))
    return study_row(hub, study_id).patient_id


def linked(hub, one, other) -> bool:
    return other in [row.patient.id for row in persons.look(hub, SYSTEM, one).rows]


def test_the_same_card_at_two_institutions_is_one_person_with_who_what_and_why(hub, county):
    one = arrived(hub, county.ct, "1.1")
    other = arrived(hub, county.other_ct, "1.2", replace(LIU, patient_id="BH-77", name="LIU GUILAN"), [Said(CARD, "OtherPatientIDs")])
    assert one != other and linked(hub, one, other)
    links = rows(hub, person_link)
    assert [(link.linked_by, link.ended_at) for link in links] == [("system", None)] * 2
    assert links[0].why == identity.RULE_WHY and links[0].score > 24 and ["resident_id", 24.0] in links[0].reasons
    assert "person.link" in [row.action for row in rows(hub, audit)]


def test_identification_is_a_job_that_closing_orders_and_runs_twice_without_harm(hub, county, clock):
    send_ct(hub, county.ct, "1.1", 2, patient=LIU)
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    [ordered] = [row for row in rows(hub, job) if row.kind.startswith("identify")]
    assert ordered.kind == "identify_dicom" and rows(hub, patient_identifier) == []
    assert jobs.perform(hub, ordered.id) == "done"
    assert [row.value for row in rows(hub, patient_identifier)] == [CARD]
    identity.identify(hub, ordered.args["study_id"])
    assert len(rows(hub, patient_identifier)) == 1


def test_an_ecg_takes_the_same_road(hub, county, clock):
    one = arrived(hub, county.other_ct, "1.2")
    study_id = send(hub, county.ecg, ecg_facts(patient=LIU)).study_id
    completion.close_quiet_studies(hub)
    [ordered] = [row for row in rows(hub, job) if row.kind == "identify"]
    assert jobs.perform(hub, ordered.id) == "done"
    assert linked(hub, study_row(hub, study_id).patient_id, one)


def test_rows_older_than_the_room_are_caught_up(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, patient=LIU)
    with hub.writing() as connection:
        connection.execute(job.delete().where(job.c.kind == "identify_dicom"))
    last = identity.catch_up(hub, 0)
    assert [row.kind for row in rows(hub, job)].count("identify_dicom") == 1 and reading_id
    assert identity.catch_up(hub, last) == last


@pytest.mark.parametrize("change", [{"name": "王芳"}, {"birth_date": "1950-03-02"}, {"sex": "M"}, {"name": ""}])
def test_a_contradiction_is_never_linked_by_itself_but_put_before_a_person(hub, county, change):
    one = arrived(hub, county.ct, "1.1")
    other = arrived(hub, county.other_ct, "1.2", replace(LIU, **change))
    assert not linked(hub, one, other)
    [pair] = persons.suggestions(hub, county.reviewer)[0]
    assert {pair.one_id, pair.other_id} == {one, other}


def test_a_declared_sex_that_contradicts_the_card_is_a_warning_not_a_repair(hub, county):
    one = arrived(hub, county.ct, "1.1", replace(LIU, sex="M", birth_date="1951-01-02"))
    assert [c.code for c in cautions.of_patients(hub, county.reader, [one])[one]] == ["id_sex", "id_birth_date"]
    assert rows(hub, patient, patient.c.id == one)[0].sex == "M"


def test_an_age_that_contradicts_the_card_is_enough_to_ask(hub, county):
    """Somebody's card under a namesake of another age: carts often know the age only."""
    one = arrived(hub, county.ct, "1.1")
    other = arrived(hub, county.other_ct, "1.2", replace(LIU, birth_date="", age="041Y"))
    assert not linked(hub, one, other) and persons.suggestions(hub, county.reader)[1] == 1
    third = arrived(hub, county.ct, "1.3", replace(LIU, birth_date="", age="075Y"))
    assert linked(hub, one, third)


def test_the_rule_never_makes_a_chain_over_two_numbers(hub, county):
    """A row without a number, merged by a person with one card, does not drag in the other card's rows."""
    card = arrived(hub, county.ct, "1.1")
    bare = arrived(hub, county.ct, "1.2", replace(LIU, patient_id="QS-5"))
    persons.merge(hub, county.reviewer, card, bare, "电话核实")
    with hub.writing() as connection:
        identity.learn(hub, connection, bare, [Said(OTHER_CARD, "OtherPatientIDs")])
    other = arrived(hub, county.other_ct, "1.3", replace(LIU, patient_id=OTHER_CARD, birth_date="1949-01-01", sex="M"))
    assert not linked(hub, card, other)
    assert "two_ids" in [c.code for c in cautions.of_patients(hub, county.reader, [card])[card]]


def test_a_merge_over_different_cards_needs_a_stated_reason(hub, county):
    one, other = arrived(hub, county.ct, "1.1"), arrived(hub, county.ct, "1.2", replace(LIU, patient_id=OTHER_CARD, birth_date="1949-01-01", sex="M"))
    with pytest.raises(Refused) as refusal:
        persons.merge(hub, county.reviewer, one, other, "看起来是一个人")
    assert refusal.value.code == "resident_ids_differ" and not linked(hub, one, other)
    persons.merge(hub, county.reviewer, one, other, "看起来是一个人", across="派出所证明：旧号登记错误")
    assert linked(hub, one, other) and "派出所证明" in rows(hub, person_link)[0].why
    assert "派出所证明" in rows(hub, audit, audit.c.action == "person.merge")[0].detail


def test_what_a_person_has_parted_the_rule_does_not_link_again(hub, county):
    one, other = arrived(hub, county.ct, "1.1"), arrived(hub, county.other_ct, "1.2")
    assert linked(hub, one, other)
    persons.split(hub, county.administrator, other, "冒用他人证件")
    assert not linked(hub, one, other)
    with hub.writing() as connection:
        identity.learn(hub, connection, other)
        identity.learn(hub, connection, one)
    assert not linked(hub, one, other)
    history = persons.look(hub, SYSTEM, other).history
    assert history[0].ended_why == "冒用他人证件" and history[0].ended_by == "管理员"
    with pytest.raises(Refused) as refusal:
        persons.merge(hub, county.reviewer, one, other, "同一人")
    assert refusal.value.code == "kept_apart_before"
    persons.merge(hub, county.reviewer, one, other, "同一人", across="本人持证到场")
    assert linked(hub, one, other) and rows(hub, patient_pair)[0].state == "one_person"


def test_the_middle_of_three_leaves_and_the_others_stay_one(hub, county):
    first, second = arrived(hub, county.ct, "1.1"), arrived(hub, county.other_ct, "1.2")
    third = arrived(hub, county.ct, "1.3", replace(LIU, name="LIU GUILAN"))
    persons.split(hub, county.reviewer, second, "误并")
    assert linked(hub, first, third) and not linked(hub, first, second)


def test_original_rows_never_change_or_vanish(hub, county):
    one, other = arrived(hub, county.ct, "1.1"), arrived(hub, county.other_ct, "1.2", replace(LIU, sex="M"))
    before = rows(hub, patient)
    persons.merge(hub, county.reviewer, one, other, "性别登记错误")
    persons.split(hub, county.reviewer, other, "再核对")
    assert rows(hub, patient) == before


def test_a_declined_pair_is_not_suggested_again(hub, county):
    arrived(hub, county.ct, "1.1", replace(LIU, patient_id="QS-1"))
    other = arrived(hub, county.other_ct, "1.2", replace(LIU, patient_id="BH-1"))
    [pair] = persons.suggestions(hub, county.reader)[0]
    persons.decline(hub, county.administrator, pair.id, "电话核实为两人")
    with hub.writing() as connection:
        identity.learn(hub, connection, other)
    assert persons.suggestions(hub, county.reader)[1] == 0
    with pytest.raises(Conflict):
        persons.decline(hub, county.administrator, pair.id, "再判")


@pytest.mark.parametrize("who", ["reader", "clinic", "auditor", "neighbour"])
def test_only_registrars_decide(hub, county, who):
    one, other = arrived(hub, county.ct, "1.1"), arrived(hub, county.other_ct, "1.2", replace(LIU, sex="M"))
    actor = getattr(county, who)
    for act in (lambda: persons.merge(hub, actor, one, other, "是"), lambda: persons.split(hub, actor, one, "否"), lambda: persons.decline(hub, actor, 1, "否"),
                lambda: tray.assign(hub, actor, 1, one, "是"), lambda: tray.undo(hub, actor, 1, "否"),
                lambda: persons.add_identifier(hub, actor, one, PHONE, "13812345678")):
        with pytest.raises(Refused):
            act()
    if who != "reader":
        for look in (lambda: persons.look(hub, actor, one), lambda: persons.search(hub, actor, "刘"), lambda: tray.waiting(hub, actor)):
            with pytest.raises(Refused):
                look()


def test_a_decision_needs_its_reason(hub, county):
    one, other = arrived(hub, county.ct, "1.1"), arrived(hub, county.other_ct, "1.2", replace(LIU, sex="M"))
    with pytest.raises(Invalid):
        persons.merge(hub, county.reviewer, one, other, "  ")
    with pytest.raises(NotFound):
        persons.merge(hub, county.reviewer, one, 999, "是")


@pytest.mark.parametrize("typed", ["刘桂", "劉桂蘭", "liugui", "LIU GUILAN", "lgl", CARD, CARD.lower(), "13800138000"])
def test_a_patient_is_found_by_name_pinyin_initials_and_number(hub, county, typed):
    one = arrived(hub, county.ct, "1.1", LIU, [Said("138 0013 8000", "PatientTelephoneNumbers", "", PHONE)])
    arrived(hub, county.other_ct, "1.2", PatientFacts("BH-9", "王芳", "王芳", False, "F", "1980-01-02"))
    assert [row.id for row in persons.search(hub, county.reader, typed)] == [one]


def test_the_worklist_is_searched_by_pinyin_too(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, patient=LIU)
    identity.identify(hub, worklist.find(hub, reading_id).study_id)
    for typed in ("liuguil", "LGL", "刘桂"):
        assert [row.id for row in worklist.listed(hub, county.reader, worklist.Filters(text=typed))[0]] == [reading_id], typed
    assert worklist.listed(hub, county.reader, worklist.Filters(text="wang"))[1] == 0


def test_readers_see_the_priors_of_every_institution_and_a_clinic_its_own(hub, county):
    arrived(hub, county.ct, "1.1")
    arrived(hub, county.other_ct, "1.2")
    here, there = (studies.find(hub, SYSTEM, study_uid=uid) for uid in ("1.1", "1.2"))
    assert [row.id for row in studies.earlier_of_patient(hub, county.reader, here)] == [there.id]
    assert studies.earlier_of_patient(hub, county.clinic, here) == []
    assert studies.earlier_of_patient(hub, county.neighbour, there) == []


def test_two_nameless_studies_are_not_one_persons(hub, county):
    nobody = PatientFacts("000000", "无名氏", "无名氏")
    assert arrived(hub, county.ct, "1.1", nobody) == arrived(hub, county.ct, "1.2", nobody)
    row = studies.find(hub, SYSTEM, study_uid="1.1")
    assert studies.earlier_of_patient(hub, county.reader, row) == []
    assert [c.code for c in cautions.of_patients(hub, county.reader, [row.patient_id])[row.patient_id]] == ["unidentified"]
    assert rows(hub, patient_pair) == [] and rows(hub, patient_warning) == []


def test_twins_and_namesakes_are_warned_of_each_within_what_one_may_see(hub, county):
    phone = [Said("13800138000", "PatientTelephoneNumbers", "", PHONE)]
    one = arrived(hub, county.ct, "1.1", PatientFacts("1001", "周小龙", "周小龙", False, "M", "2015-03-02"), phone)
    twin = arrived(hub, county.other_ct, "1.2", PatientFacts("2001", "周大虎", "周大虎", False, "M", "2015-03-02"), phone)
    namesake = arrived(hub, county.ct, "1.3", PatientFacts("1002", "周小龙", "周小龙", False, "M", "1970-03-02"))
    told = {c.code: [other.patient_id for other in c.others] for c in cautions.of_patients(hub, county.reader, [one])[one]}
    assert told == {"twin": [twin], "shared_phone": [twin], "same_name": [namesake]}
    assert [c.code for c in cautions.of_patients(hub, county.clinic, [one])[one]] == ["same_name"]


NOBODY = PatientFacts("000000", "无名氏", "无名氏", False, "M")


def nameless(hub, county, uid="1.9") -> int:
    study_id = send_ct(hub, county.ct, uid, 2, patient=NOBODY)
    identity.identify(hub, study_id)
    return study_id


def test_a_nameless_study_waits_is_assigned_and_given_back(hub, county):
    study_id, one = nameless(hub, county), arrived(hub, county.ct, "1.1")
    stranger = study_row(hub, study_id).patient_id
    assert [row.id for row in tray.waiting(hub, county.administrator)[0]] == [study_id]
    tray.assign(hub, county.administrator, study_id, one, "家属持身份证到院确认")
    assert study_row(hub, study_id).patient_id == one and tray.waiting(hub, county.reader)[1] == 0
    row = studies.find(hub, SYSTEM, study_uid="1.1")
    assert [prior.id for prior in studies.earlier_of_patient(hub, county.reader, row)] == [study_id]
    [standing] = rows(hub, study_assignment)
    tray.undo(hub, county.reviewer, standing.id, "认错人")
    assert study_row(hub, study_id).patient_id == stranger and tray.waiting(hub, county.reader)[1] == 1
    assert [row.action for row in rows(hub, audit)].count("study.assign") == [row.action for row in rows(hub, audit)].count("study.unassign") == 1
    with pytest.raises(Conflict):
        tray.undo(hub, county.reviewer, standing.id, "再撤")


def test_an_assigned_study_is_found_in_the_queue_under_its_patients_name(hub, county, clock, monkeypatch):
    one, reading_id = arrived(hub, county.ct, "1.1"), queued_ct(hub, county, clock, "1.9", patient=NOBODY)
    tray.assign(hub, county.administrator, worklist.find(hub, reading_id).study_id, one, "确认")
    monkeypatch.setattr(search, "GATHERED", 0)              # a name is looked for by the queue's own copy of its patient
    monkeypatch.setattr(search, "FEW", 0)
    assert reading_id in [row.id for row in worklist.listed(hub, county.reader, worklist.Filters(text="liugui"))[0]]
    assert worklist.find(hub, reading_id).patient_id == one


def test_a_late_slice_of_an_assigned_study_joins_it_and_another_patients_does_not(hub, county):
    study_id, one = nameless(hub, county), arrived(hub, county.ct, "1.1")
    tray.assign(hub, county.administrator, study_id, one, "确认")
    assert send(hub, county.ct, slice_facts(3, "1.9", patient=NOBODY)).outcome == "stored"
    assert send(hub, county.ct, slice_facts(4, "1.9", patient=PatientFacts("QS9", "李四", "李四", False, "M"))).outcome == "conflict"
    assert study_row(hub, study_id).patient_id == one


def test_a_patient_of_another_institution_gets_a_row_of_the_studys_own(hub, county):
    study_id, one = nameless(hub, county), arrived(hub, county.other_ct, "1.1")
    tray.assign(hub, county.administrator, study_id, one, "转诊，家属确认")
    own = study_row(hub, study_id).patient_id
    assert own != one and rows(hub, patient, patient.c.id == own)[0].site_id == county.qingshan and linked(hub, own, one)
    assert studies.find(hub, county.clinic, study_id).patient_name == "刘桂兰"


def test_a_new_patients_card_is_checked_and_tells_birth_and_sex(hub, county):
    study_id = nameless(hub, county)
    for number, code in (("110105194912310021", "bad_resident_id"), (CARD, "contradicts_id")):
        with pytest.raises(Invalid) as refusal:
            tray.assign_new(hub, county.administrator, study_id, PatientFacts("", "刘桂兰", sex="M"), number, "确认")
        assert refusal.value.code == code
    with pytest.raises(Invalid):
        tray.assign_new(hub, county.administrator, study_id, PatientFacts("", "无名氏2"), "", "确认")
    tray.assign_new(hub, county.administrator, study_id, PatientFacts("", "刘桂兰"), CARD, "家属带来身份证")
    row = studies.find(hub, SYSTEM, study_id)
    assert (row.patient_name, row.sex, row.birth_date) == ("刘桂兰", "F", "1949-12-31")


def test_a_study_with_identity_is_not_assigned_and_a_nameless_row_not_merged(hub, county):
    study_id, one = nameless(hub, county), arrived(hub, county.ct, "1.1")
    with pytest.raises(Refused):
        tray.assign(hub, county.administrator, studies.find(hub, SYSTEM, study_uid="1.1").id, one, "是")
    with pytest.raises(Refused):
        persons.merge(hub, county.reviewer, one, study_row(hub, study_id).patient_id, "是")
    with pytest.raises(Refused):
        tray.assign(hub, county.administrator, study_id, study_row(hub, study_id).patient_id, "是")


def test_the_worklist_shows_the_assigned_name(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, "1.9", patient=NOBODY)
    study_id = worklist.find(hub, reading_id).study_id
    identity.identify(hub, study_id)
    tray.assign_new(hub, county.reviewer, study_id, PatientFacts("", "刘桂兰"), CARD, "确认")
    assert worklist.find(hub, reading_id).patient_name == "刘桂兰"
