"""Taking in: the same bytes once, other bytes kept beside, another patient kept apart, nothing lost."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hub.flow import administration, intake
from hub.flow.administration import verify_audit
from hub.model.arrival import PatientFacts, facts_from
from hub.storage.tables import audit, held, instance, patient, series, study
from tests.hub.arrivals import PATIENT, ecg_facts, rows, send, send_ct, slice_facts, study_row


def test_the_first_slice_makes_patient_study_series_and_says_so(hub, county):
    taken = send(hub, county.ct, slice_facts())
    assert taken.outcome == "stored"
    row = study_row(hub, taken.study_id)
    assert (row.state, row.instances, row.site_id, row.modality) == ("receiving", 1, county.qingshan, "CT")
    assert rows(hub, patient)[0].name == "测试甲" and len(rows(hub, series)) == 1
    assert rows(hub, audit)[-1].action == "study.arrived"


def test_how_the_name_is_written_is_told_once_a_study(hub, county):
    """Whether its objects come one by one or together."""
    patient = replace(PATIENT, name_encoding="gb18030")
    assert [send(hub, county.ct, slice_facts(n, patient=patient)).name_encoding for n in (1, 2, 3)] == ["gb18030", "", ""]
    together = [intake.Arrival(county.ct, (hub.blobs.keep(b"%d" % n),), slice_facts(n, "1.2.4", patient=patient)) for n in (1, 2, 3)]
    assert [one.name_encoding for one in intake.take_all(hub, together)] == ["gb18030", "", ""]


def test_a_held_object_keeps_the_other_readings_of_its_name(hub, county):
    send(hub, county.ct, slice_facts())
    other = replace(PATIENT, name="揣秋", name_unsure=True, other_names=("ﾚﾔｺ6ﾝ",))
    assert send(hub, county.ct, slice_facts(2, patient=other)).outcome == "conflict"
    assert facts_from(rows(hub, held)[0].facts["whole"]).patient == other


def test_a_slice_sent_twice_is_kept_once(hub, county):
    first, second = send(hub, county.ct, slice_facts()), send(hub, county.ct, slice_facts())
    assert (first.outcome, second.outcome) == ("stored", "duplicate")
    assert second.instance_id == first.instance_id
    row = study_row(hub, first.study_id)
    assert len(rows(hub, instance)) == 1 and (row.instances, row.resent) == (1, 1)


def test_the_same_uid_with_other_bytes_keeps_both_and_calls_a_person(hub, county):
    first = send(hub, county.ct, slice_facts(), b"version one")
    second = send(hub, county.ct, slice_facts(), b"version two")
    assert (second.outcome, second.reason, second.instance_id) == ("conflict", "same_uid_other_bytes", first.instance_id)
    kept, case = rows(hub, instance)[0], rows(hub, held)[0]
    assert hub.blobs.read(kept.sha256) == b"version one" and hub.blobs.read(case.sha256) == b"version two"
    assert (case.state, case.instance_id, case.site_id) == ("open", first.instance_id, county.qingshan)
    assert administration.held_objects(hub, county.administrator)[0].id == second.held_id


def test_a_conflict_sent_again_is_held_once(hub, county):
    send(hub, county.ct, slice_facts(), b"version one")
    again = {send(hub, county.ct, slice_facts(), b"version two").held_id for _ in range(3)}
    assert len(again) == 1 == len(rows(hub, held))


@pytest.mark.parametrize("change, differs", [
    ({"patient_id": "QS0002"}, "patient_id"), ({"name": "别人"}, "name"), ({"birth_date": "1990-01-01"}, "birth_date"), ({"sex": "F"}, "sex"),
])
def test_another_patient_inside_a_study_is_kept_apart(hub, county, change, differs):
    first = send(hub, county.ct, slice_facts(1))
    second = send(hub, county.ct, slice_facts(2, patient=replace(PATIENT, **change)))
    assert (second.outcome, second.reason) == ("conflict", "other_patient")
    assert rows(hub, held)[0].facts["differs"] == [differs]
    assert len(rows(hub, instance)) == 1 and study_row(hub, first.study_id).instances == 1


def test_a_slice_that_is_silent_about_the_patient_joins_its_study(hub, county):
    send(hub, county.ct, slice_facts(1))
    assert send(hub, county.ct, slice_facts(2, patient=PatientFacts())).outcome == "stored"


def test_two_people_with_one_reused_identifier_stay_two(hub, county):
    send(hub, county.ct, slice_facts(study_uid="1.1"))
    send(hub, county.ct, slice_facts(study_uid="1.2", patient=replace(PATIENT, name="别人", birth_date="1990-01-01")))
    assert len(rows(hub, patient)) == 2


def test_one_person_with_two_studies_is_one(hub, county):
    send(hub, county.ct, slice_facts(study_uid="1.1"))
    send(hub, county.ct, slice_facts(study_uid="1.2"))
    assert len(rows(hub, patient)) == 1 and len(rows(hub, study)) == 2


def test_the_same_identifier_at_two_clinics_is_two_people(hub, county):
    send(hub, county.ct, slice_facts(study_uid="1.1"))
    send(hub, county.other_ct, slice_facts(study_uid="1.2"))
    assert {row.site_id for row in rows(hub, patient)} == {county.qingshan, county.baihe}


def test_nobodys_studies_do_not_become_one_persons(hub, county):
    for uid in ("1.1", "1.2"):
        send(hub, county.ct, slice_facts(study_uid=uid, patient=PatientFacts()))
    assert len(rows(hub, patient)) == 2


@pytest.mark.parametrize("round_", range(3))
def test_sixteen_senders_of_one_new_study_make_one_study(hub, county, round_):
    facts = [slice_facts(number, f"1.2.{round_}") for number in range(1, 17)]
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda one: send(hub, county.ct, one), facts))
    assert {one.outcome for one in taken} == {"stored"} and len({one.study_id for one in taken}) == 1
    assert study_row(hub, taken[0].study_id).instances == 16 == len(rows(hub, instance))
    assert (len(rows(hub, study)), len(rows(hub, series)), len(rows(hub, patient))) == (1, 1, 1)
    assert verify_audit(hub).broken_at is None


def test_sixteen_senders_of_the_same_slice_keep_it_once(hub, county):
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: send(hub, county.ct, slice_facts()).outcome, range(16)))
    assert sorted(outcomes) == ["duplicate"] * 15 + ["stored"]


def test_what_no_column_holds_is_fitted_and_the_bytes_are_whole(hub, county):
    wild = slice_facts(
        2**40, modality="M" * 99, body_part="B" * 99, study_description="描" * 999, series_description="\0" + "述" * 999, rows=2**40,
        frames=2**40, position_mm=float("nan"), orientation="1," * 200, accession_number="A" * 99, study_at="T" * 99, series_number=-2**40,
        transfer_syntax="1." * 99, sop_class="2." * 99, sop_uid="1.2.3.1.9", institution="院" * 300, device_model="型" * 300, expected=2**40,
        patient=PatientFacts("P" * 300, "名" * 900, "ï" * 900, True, "MALE-ISH-AND", "1963-02-11-and-more", "063Y-and-very-much-more"))
    taken = send(hub, county.ct, wild, b"wild")
    assert taken.outcome == "stored"
    row = rows(hub, instance)[0]
    assert (row.number, row.rows, row.position_mm) == (None, None, None) and hub.blobs.read(row.sha256) == b"wild"
    assert rows(hub, patient)[0].name == "名" * 200


@pytest.mark.parametrize("uid", ["study_uid", "series_uid", "sop_uid"])
def test_a_uid_that_no_column_holds_is_held_and_never_cut(hub, county, uid):
    taken = send(hub, county.ct, slice_facts(**{uid: "1." * 65}) if uid != "study_uid" else slice_facts(1, "1." * 65), b"long")
    assert (taken.outcome, taken.reason) == ("quarantined", "long_uid")
    assert hub.blobs.read(rows(hub, held)[0].sha256) == b"long" and not rows(hub, study)


@pytest.mark.parametrize("reason", sorted(intake.REASONS))
def test_what_cannot_be_entered_is_held_with_bytes_and_reason(hub, county, reason):
    file = hub.blobs.keep(b"not a DICOM file", "x.dcm")
    first = intake.quarantine(hub, county.ct, "dicom", (file,), reason)
    second = intake.quarantine(hub, county.ct, "dicom", (file,), reason)
    assert first.outcome == "quarantined" and first.held_id == second.held_id
    row = rows(hub, held)[0]
    assert (row.zh, row.en) == intake.REASONS[reason] and hub.blobs.read(row.sha256) == b"not a DICOM file"


def test_what_came_from_nobody_known_is_held_once_too(hub):
    file = hub.blobs.keep(b"stray", "x.dcm")
    assert len({intake.quarantine(hub, None, "dicom", (file,), "unparsable").held_id for _ in range(3)}) == 1


def test_two_pairs_that_share_one_file_are_held_as_two(hub, county):
    shared, one, other = (hub.blobs.keep(content) for content in (b"header", b"first signal", b"second signal"))
    first = intake.quarantine(hub, county.ecg, "ecg", (shared, one), "unreadable_ecg")
    second = intake.quarantine(hub, county.ecg, "ecg", (shared, other), "unreadable_ecg")
    again = intake.quarantine(hub, county.ecg, "ecg", (one, shared), "unreadable_ecg")
    assert first.held_id != second.held_id and again.held_id == first.held_id


def test_a_held_case_is_closed_with_a_word_and_its_bytes_stay(hub, county):
    taken = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(b"stray"),), "unparsable")
    administration.resolve_held(hub, county.administrator, taken.held_id, "厂家已确认，丢弃")
    row = rows(hub, held)[0]
    assert (row.state, row.resolution, row.resolved_by) == ("resolved", "厂家已确认，丢弃", "管理员")
    assert hub.blobs.read(row.sha256) == b"stray"


def test_an_ecg_enters_by_the_same_verb(hub, county):
    taken = send(hub, county.ecg, ecg_facts())
    assert study_row(hub, taken.study_id).kind == "ecg"


def test_how_much_was_taken_in_is_counted(hub, county):
    send_ct(hub, county.ct, slices=3)
    assert intake.counts(hub) == {"studies": 1, "instances": 3, "held": 0}
