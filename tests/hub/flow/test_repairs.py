"""The repair ledger: rows beside the bytes, an index that follows them, undo, and letters that do not change."""
from dataclasses import replace

import pytest

from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import administration, dispatch, repairs, reporting, studies, worklist
from hub.flow.heading import heading_of
from hub.flow.lettering import _letter
from hub.flow.repairs import Wanted
from hub.flow.studies import Match
from hub.model.access import SYSTEM
from hub.storage import search
from hub.storage.tables import audit, held, instance, patient, repair, report
from tests.hub.arrivals import PATIENT, drafted, queued_ct, reading_of, reading_row, rows, send, send_ct, signed_report, slice_facts, study_row

WHY = "与机构电话核实"


def put(hub, actor, study_id: int, tag: str, value: str, **more) -> int:
    wanted = Wanted(hub.rules.repairs.attribute(tag), value, more.pop("why", WHY), **more)
    return repairs.correct(hub, actor, study_id, wanted, repairs.revision(hub, study_id))


def named(hub, study_id: int):
    return studies.find(hub, SYSTEM, study_id)


def test_a_corrected_name_is_what_people_see_and_find_and_the_bytes_stay(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    study_id = reading_row(hub, reading_id).study_id
    before, bytes_before = rows(hub, instance), [hub.blobs.read(row.sha256) for row in rows(hub, instance)]
    clock.forward(seconds=5)
    put(hub, county.reviewer, study_id, "00100010", "Ce^Yi=测^乙")
    assert named(hub, study_id).patient_name == "测乙" == worklist.find(hub, reading_id).patient_name
    assert dispatch.for_clinic(hub, county.clinic)[0][0].patient_name == "测乙"
    assert worklist.listed(hub, county.reader, worklist.Filters(text="测乙"))[1] == 1 and worklist.listed(hub, county.reader, worklist.Filters(text="测试甲"))[1] == 0
    for name, found in (("测乙", 1), ("Ce^Yi", 1), ("测试甲", 0)):
        assert len(studies.matching(hub, SYSTEM, "study", [Match("patient_name", (name,))], 10)) == found, name
    assert rows(hub, instance) == before and [hub.blobs.read(row.sha256) for row in before] == bytes_before
    assert reading_row(hub, reading_id).changed_at == clock.now
    row = rows(hub, repair)[0]
    assert (row.old, row.new, row.who, row.role, row.why, row.at) == ("测试甲", "Ce^Yi=测^乙", "李审核", "reviewer", WHY, clock.now)
    assert [e.action for e in rows(hub, audit)][-1] == "study.repair"


def test_a_corrected_physician_and_study_id_are_told_and_found_and_come_back_when_undone(hub, county, clock):
    study_id = send_ct(hub, county.ct, referring_physician="佘^明", referring_unsure=True, study_number="7")

    def told() -> tuple:
        (row,) = studies.matching(hub, SYSTEM, "study", [], 10)
        return row.referring_physician, row.study_number, study_row(hub, study_id).referring_unsure

    def found(**keys) -> bool:
        return studies.matching(hub, SYSTEM, "study", [Match(field, (value,)) for field, value in keys.items()], 10) != []
    put(hub, county.reviewer, study_id, "00080090", "Ou^Ming=欧^明")
    put(hub, county.reviewer, study_id, "00200010", "S-8")
    assert told() == ("Ou^Ming=欧^明", "S-8", False)
    assert found(referring_physician="欧明") and found(referring_physician="ou ming") and found(study_number="S-8", referring_physician="欧*")
    assert not found(referring_physician="佘*") and not found(study_number="7")
    assert [(row.old, row.new) for row in rows(hub, repair)] == [("佘^明", "Ou^Ming=欧^明"), ("7", "S-8")]
    send(hub, county.ct, slice_facts(9, referring_physician="佘^明", study_number="7", series_uid="1.2.3.2"))      # the device goes on sending what it sent
    assert told() == ("Ou^Ming=欧^明", "S-8", False)
    for row in rows(hub, repair):
        repairs.undo(hub, county.reviewer, row.id)
    assert told() == ("佘^明", "7", True) and study_row(hub, study_id).as_sent is None
    assert found(referring_physician="佘明") and found(study_number="7") and not found(referring_physician="欧明")


def test_the_queue_is_filtered_and_searched_by_what_was_corrected(hub, county, clock, monkeypatch):
    reading_id = queued_ct(hub, county, clock)
    study_id = reading_row(hub, reading_id).study_id
    put(hub, county.reviewer, study_id, "00100010", "Ce^Yi=测^乙")
    repair_id = put(hub, county.reviewer, study_id, "00080060", "DX")

    def found(**filters) -> int:
        return worklist.listed(hub, county.reader, worklist.Filters(**filters))[1]
    monkeypatch.setattr(search, "GATHERED", 0)              # a name is looked for by the queue's own copy of its patient
    monkeypatch.setattr(search, "FEW", 0)
    assert (found(modality="DX"), found(modality="CT"), found(text="测乙"), found(text="测试甲")) == (1, 0, 1, 0)
    repairs.undo(hub, county.reviewer, repair_id, "误操作")
    assert (found(modality="DX"), found(modality="CT"), found(modality="CT", text="ceyi")) == (0, 1, 1)


def test_the_row_of_the_patient_who_was_sent_does_not_change_and_an_undo_brings_it_back(hub, county):
    study_id, other = send_ct(hub, county.ct), send_ct(hub, county.ct, "1.2.9")
    first = rows(hub, patient)
    repair_id = put(hub, county.administrator, study_id, "00100020", "QS0002")
    assert named(hub, study_id).patient_number == "QS0002" and named(hub, other).patient_number == "QS0001"
    assert [row for row in rows(hub, patient) if row.id == first[0].id] == first
    undo_id = repairs.undo(hub, county.reviewer, repair_id, "误操作")
    assert named(hub, study_id).patient_number == "QS0001" and study_row(hub, study_id).sent_patient_id is None
    assert [(r.id, r.undoes, r.old, r.new) for r in rows(hub, repair)] == [(repair_id, None, "QS0001", "QS0002"), (undo_id, repair_id, "QS0002", "QS0001")]
    with pytest.raises(Conflict):
        repairs.undo(hub, county.reviewer, repair_id)
    with pytest.raises(Conflict):
        repairs.undo(hub, county.reviewer, undo_id)


def test_corrections_stack_and_the_last_that_was_not_undone_stands(hub, county):
    study_id = send_ct(hub, county.ct)
    one, two, three = (put(hub, county.reviewer, study_id, "00081030", words) for words in ("甲", "乙", "丙"))
    assert named(hub, study_id).description == "丙"
    repairs.undo(hub, county.reviewer, two)
    assert named(hub, study_id).description == "丙"
    repairs.undo(hub, county.reviewer, three)
    assert named(hub, study_id).description == "甲"
    repairs.undo(hub, county.reviewer, one)
    assert named(hub, study_id).description == "胸部平扫" and study_row(hub, study_id).as_sent is None
    assert repairs.shown(hub, study_id) == ()


@pytest.mark.parametrize("tag, value, column, expected", [
    ("00100040", "F", "sex", "F"), ("00100030", "1965-03-01", "birth_date", "1965-03-01"), ("00101010", "050Y", "age", "050Y"),
    ("00080050", "A9", "accession_number", "A9"), ("00080060", "DX", "modality", "DX"), ("00180015", "knee", "body_part", "KNEE"),
    ("00080020", "2026-05-03", "study_at", "2026-05-03T08:20:00"), ("00080030", "0915", "study_at", "2026-05-04T09:15:00")])
def test_each_column_follows_its_correction_and_comes_back(hub, county, tag, value, column, expected):
    study_id = send_ct(hub, county.ct)
    before = getattr(named(hub, study_id), column)
    repair_id = put(hub, county.reviewer, study_id, tag, value)
    assert getattr(named(hub, study_id), column) == expected != before
    repairs.undo(hub, county.reviewer, repair_id)
    assert getattr(named(hub, study_id), column) == before


def test_a_corrected_birth_date_corrects_the_age_that_is_shown(hub, county):
    study_id = send_ct(hub, county.ct)
    put(hub, county.reviewer, study_id, "00100030", "1990-05-05")
    assert named(hub, study_id).age == "035Y"


def test_a_series_is_corrected_alone_and_a_new_one_like_its_study(hub, county):
    study_id = send_ct(hub, county.ct)
    send(hub, county.ct, replace(slice_facts(9), series_uid="1.2.3.2", sop_uid="1.2.3.2.1"))
    first, second = studies.series_of(hub, study_id)
    put(hub, county.reviewer, study_id, "00180015", "LUNG", level="series", part_id=second.id)
    assert [row.body_part for row in studies.series_of(hub, study_id)] == ["CHEST", "LUNG"] and named(hub, study_id).body_part == "CHEST"
    put(hub, county.reviewer, study_id, "00180015", "KNEE")
    send(hub, county.ct, replace(slice_facts(9), series_uid="1.2.3.3", sop_uid="1.2.3.3.1"))
    assert [row.body_part for row in studies.series_of(hub, study_id)] == ["KNEE"] * 3
    assert first.id and rows(hub, repair)[0].old == "CHEST"


def test_late_images_under_the_name_that_the_device_sends_join_the_corrected_study(hub, county):
    study_id = send_ct(hub, county.ct, slices=2)
    put(hub, county.reviewer, study_id, "00100010", "改过的名字")
    put(hub, county.reviewer, study_id, "00100020", "QS0009")
    corrected = replace(PATIENT, patient_id="QS0009", name="改过的名字", name_as_sent="改过的名字")
    for number, who, series_uid in ((3, PATIENT, "1.2.3.1"), (4, corrected, "1.2.3.1"), (5, PATIENT, "1.2.3.2")):
        taken = send(hub, county.ct, replace(slice_facts(number, patient=who), series_uid=series_uid))
        assert (taken.outcome, taken.study_id) == ("stored", study_id), number
    assert named(hub, study_id).patient_name == "改过的名字"
    taken = send(hub, county.ct, slice_facts(6, patient=replace(PATIENT, patient_id="QS0555", name="第三人")))
    assert taken.outcome == "conflict" and rows(hub, held)[0].facts["differs"]


def test_what_is_refused_changes_nothing(hub, county):
    study_id = send_ct(hub, county.ct)
    send_ct(hub, county.ct, "1.2.9")
    other_series = studies.series_of(hub, study_id + 1)[0].id
    for error, tag, value, more in ((Invalid, "00100010", "", {}), (Invalid, "00081030", "甲", {"why": " "}), (Invalid, "00081030", "胸部平扫", {}),
                                    (Invalid, "00100010", "乙", {"level": "series", "part_id": 1}), (NotFound, "00180015", "KNEE", {"level": "series", "part_id": other_series})):
        with pytest.raises(error):
            put(hub, county.reviewer, study_id, tag, value, **more)
    for actor in (county.reader, county.clinic, county.auditor):
        with pytest.raises(Refused):
            put(hub, actor, study_id, "00081030", "甲")
    with pytest.raises(NotFound):
        put(hub, county.reviewer, 999, "00081030", "甲")
    assert not rows(hub, repair)


def test_two_people_cannot_correct_past_each_other(hub, county):
    study_id = send_ct(hub, county.ct)
    seen = repairs.revision(hub, study_id)
    wanted = Wanted(hub.rules.repairs.attribute("00081030"), "甲", WHY)
    repairs.correct(hub, county.reviewer, study_id, wanted, seen)
    with pytest.raises(Conflict):
        repairs.correct(hub, county.colleague, study_id, replace(wanted, value="乙"), seen)


def test_a_signed_letter_keeps_the_heading_it_was_signed_under_and_the_page_can_say_so(hub, county, clock):
    report_id = signed_report(hub, county, clock)
    row = rows(hub, report)[0]
    put(hub, county.reviewer, row.study_id, "00100010", "改过的名字")
    with hub.reading() as connection:
        letter, _ = _letter(hub, connection, report_id)
        assert heading_of(connection, row.study_id)["patient_name"] == "改过的名字"
    assert letter.patient_name == "测试甲"
    assert repairs.since_signed(hub, row) == ({"name": "patient_name", "then": "测试甲", "now": "改过的名字"},)
    reporting.amend(hub, county.reader, row.reading_id, "患者姓名更正")
    reporting.submit(hub, county.reader, row.reading_id)
    amended = reporting.sign(hub, county.reviewer, row.reading_id)
    with hub.reading() as connection:
        assert _letter(hub, connection, amended)[0].patient_name == "改过的名字"
    assert repairs.since_signed(hub, rows(hub, report)[1]) == ()


def test_a_study_is_found_by_the_name_that_stands_and_by_the_one_that_was_sent(hub, county):
    study_id = send_ct(hub, county.ct)
    assert repairs.search(hub, county.administrator, "") == []
    put(hub, county.administrator, study_id, "00100010", "改过的名字")
    for text in ("改过", "测试甲", "QS0001", "A20260504001", "1.2.3", ""):
        assert [row.id for row in repairs.search(hub, county.administrator, text)] == [study_id], text
    assert repairs.search(hub, county.administrator, "没有这个人") == []
    with pytest.raises(Refused):
        repairs.search(hub, county.clinic, "改过")


def test_what_stands_is_shown_with_what_was_sent(hub, county):
    study_id = send_ct(hub, county.ct)
    put(hub, county.reviewer, study_id, "00100040", "F")
    put(hub, county.reviewer, study_id, "00100040", "O")
    assert [(one["keyword"], one["old"], one["new"]) for one in repairs.shown(hub, study_id)] == [("PatientSex", "M", "O")]
    overlays = repairs.overlays(hub, [study_id])
    assert [(one.tag, one.value) for one in overlays.of(study_id, 1, 1)] == [("00100040", "O")] and overlays.revision(study_id) == 2
    assert repairs.overlays(hub, [999]).of(999) == ()


def test_a_draft_goes_on_while_its_study_is_corrected(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    drafted(hub, county.reader, reading_id)
    put(hub, county.reviewer, reading_row(hub, reading_id).study_id, "00100040", "F")
    reporting.submit(hub, county.reader, reading_id)
    assert reading_of(hub, reading_row(hub, reading_id).study_id).state == "preliminary"
    assert administration.verify_audit(hub).broken_at is None
