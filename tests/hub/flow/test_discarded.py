"""Discarded objects: kept for their term, not a byte less while anybody may still want them, and a tombstone afterwards."""
from dataclasses import replace

import pytest
from sqlalchemy import insert

from hub.errors import Conflict, NotFound, Refused
from hub.flow import administration, decisions, discarded, fixity, intake, retention
from hub.flow.jobs import perform
from hub.model.access import SYSTEM
from hub.storage.tables import artifact, audit, damage, held, held_removal, instance, job
from tests.conftest import with_settings
from tests.hub.arrivals import PATIENT, rows, send, send_ct, slice_facts
from tests.hub.flow.test_retention import THIRTY, finished
from tests.hub.flow.test_retention import remove as remove_study

STRANGER = replace(PATIENT, patient_id="QS0777", name="另一人", name_as_sent="另一人")


def put_away(hub, county, content=b"other bytes") -> int:
    """A second version of the first slice, discarded; returns the case."""
    case = send(hub, county.ct, slice_facts(1), content).held_id
    decisions.discard(hub, county.administrator, case, "重复发送")
    return case


def shown(hub, county) -> dict[int, str]:
    return {one.row.id: one.stays for one in discarded.dry_run(hub, county.administrator).listed}


def remove(hub, county, case) -> str:
    return discarded.remove(hub, county.administrator, [case], hub.rules.retention.version)[case]


def bytes_go(hub) -> None:
    for one in rows(hub, job, job.c.kind == "remove_held_bytes", job.c.state == "due"):
        assert perform(hub, one.id) == "done"


def of(hub, case):
    [row] = rows(hub, held, held.c.id == case)
    return row


def test_a_discarded_object_goes_after_its_term_and_leaves_a_tombstone(hub, county, clock):
    finished(hub, county, clock)
    case = put_away(hub, county)
    sha256 = of(hub, case).sha256
    clock.now = clock.now.replace(year=2056, month=5, day=3)
    assert shown(hub, county) == {} and remove(hub, county, case) == "not_due"
    clock.forward(days=1)
    assert shown(hub, county) == {case: ""} and rows(hub, held_removal) == [], "a dry run changes nothing"
    assert remove(hub, county, case) == ""
    assert hub.blobs.fixity(sha256)[0] == "intact", "the rows first"
    bytes_go(hub)
    assert hub.blobs.fixity(sha256)[0] == "missing"
    [stone] = rows(hub, held_removal)
    assert (stone.held_id, stone.sha256, stone.rule, stone.kept_until, stone.who) == (case, sha256, "discarded", "2056-05-04", "管理员")
    assert stone.ended_at is not None and of(hub, case).state == "removed" and of(hub, case).resolution == "重复发送"
    assert len(rows(hub, audit, audit.c.action == "held.removed")) == 1 and shown(hub, county) == {}
    fixity.check_everything(hub, lambda done, of: None)
    assert sha256 not in [one.sha256 for one in fixity.damaged(hub, SYSTEM)], "what was removed by rule is not damaged"
    with pytest.raises(NotFound):
        remove(hub, county, case)
    with pytest.raises(Conflict):
        decisions.undo(hub, county.administrator, case)


def test_while_the_decision_can_be_taken_back_nothing_goes_and_afterwards_it_cannot(hub, county, clock):
    finished(hub, county, clock)
    case = put_away(hub, county)
    clock.now = clock.now.replace(year=2056, month=5, day=3)
    decisions.undo(hub, county.administrator, case)
    clock.forward(days=2)
    assert shown(hub, county) == {}, "an open case is nobody's to remove"
    with pytest.raises(NotFound):
        remove(hub, county, case)
    decisions.discard(hub, county.administrator, case, "确认弃用")
    assert remove(hub, county, case) == "not_due", "the term begins with the decision"
    clock.forward(days=THIRTY)
    with pytest.raises(Conflict) as told:
        decisions.undo(hub, county.administrator, case)
    assert told.value.code == "term_over" and "重新发送" in told.value.zh
    assert of(hub, case).state == "discarded"


def test_an_institution_without_beds_keeps_them_fifteen_years(hub, county, clock):
    case = put_away_alone(hub, county)
    clock.forward(days=15 * 366)
    assert shown(hub, county) == {} and shown(with_settings(hub, outpatient_sites="QS"), county) == {case: ""}


def put_away_alone(hub, county, content=b"no DICOM at all") -> int:
    """An object that belongs to no study, discarded."""
    case = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(content, "x.dcm"),), "unparsable").held_id
    decisions.discard(hub, county.administrator, case, "无法解析")
    return case


def test_an_object_beside_a_study_stays_as_long_as_the_study_is_kept_or_on_hold(hub, county, clock):
    study_id = finished(hub, county, clock)
    case, alone = put_away(hub, county), put_away_alone(hub, county)
    clock.forward(days=20 * 365)
    send(hub, county.ct, slice_facts(1, "1.2.4", study_at="2046-05-04T08:20:00"))          # the patient comes again
    clock.forward(days=12 * 365)
    assert shown(hub, county) == {alone: ""}
    clock.forward(days=20 * 365)
    hold_id = retention.hold(hub, county.administrator, study_id, "医疗纠纷")
    assert shown(hub, county) == {case: "on_hold", alone: ""} and remove(hub, county, case) == "on_hold"
    decisions.undo(hub, county.administrator, case)
    decisions.discard(hub, county.administrator, case, "仍然弃用")
    retention.release(hub, county.administrator, hold_id, "已结案")
    clock.forward(days=THIRTY)
    assert remove(hub, county, case) == ""


def test_an_object_of_a_removed_study_waits_for_its_own_term_only(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    assert remove_study(hub, county, study_id) == ""
    case = send(hub, county.ct, slice_facts(7)).held_id
    decisions.discard(hub, county.administrator, case, "检查已移除")
    assert remove(hub, county, case) == "not_due"
    clock.forward(days=THIRTY)
    assert remove(hub, county, case) == ""


@pytest.mark.parametrize("naming", ["a study", "another case", "an artifact"])
def test_bytes_that_anything_else_names_stay(hub, county, clock, naming):
    case = put_away_alone(hub, county)
    sha256 = of(hub, case).sha256
    if naming == "a study":
        send(hub, county.other_ct, slice_facts(1, "1.7"), b"no DICOM at all")
    elif naming == "another case":
        intake.quarantine(hub, county.other_ct, "dicom", (hub.blobs.keep(b"no DICOM at all"),), "unparsable")
    else:
        study_id = send_ct(hub, county.other_ct, "1.8", 1)
        with hub.writing() as connection:
            connection.execute(insert(artifact).values(study_id=study_id, kind="thumbnail", sha256=sha256, size=1, media_type="image/png", about={}, made_at=hub.now()))
    clock.forward(days=THIRTY)
    [one] = discarded.dry_run(hub, county.administrator).listed
    assert one.is_shared and remove(hub, county, case) == ""
    bytes_go(hub)
    assert hub.blobs.fixity(sha256)[0] == "intact"


def test_two_discarded_cases_of_the_same_bytes_keep_them_until_both_are_gone(hub, county, clock):
    first = put_away_alone(hub, county)
    second = intake.quarantine(hub, county.other_ct, "dicom", (hub.blobs.keep(b"no DICOM at all"),), "unparsable").held_id
    decisions.discard(hub, county.administrator, second, "无法解析")
    sha256 = of(hub, first).sha256
    clock.forward(days=THIRTY)
    assert [one.is_shared for one in discarded.dry_run(hub, county.administrator).listed] == [False, False]
    for case, state in ((first, "intact"), (second, "missing")):
        assert remove(hub, county, case) == ""
        bytes_go(hub)
        assert hub.blobs.fixity(sha256)[0] == state


def test_a_damaged_object_stays_until_somebody_has_looked(hub, county, clock):
    case = put_away_alone(hub, county)
    with hub.writing() as connection:
        connection.execute(insert(damage).values(sha256=of(hub, case).sha256, source="held", source_id=case, what="missing", found_at=hub.now()))
    clock.forward(days=THIRTY)
    assert shown(hub, county) == {case: "damaged"} and remove(hub, county, case) == "damaged"


def test_the_same_bytes_sent_again_are_a_new_case_and_safe(hub, county, clock):
    case = put_away_alone(hub, county)
    sha256 = of(hub, case).sha256
    clock.forward(days=THIRTY)
    assert remove(hub, county, case) == ""
    again = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(b"no DICOM at all"),), "unparsable").held_id      # before the bytes are gone
    assert again != case and of(hub, again).state == "open"
    bytes_go(hub)
    assert hub.blobs.fixity(sha256)[0] == "intact"


def test_what_was_resolved_otherwise_is_not_discarded(hub, county, clock):
    finished(hub, county, clock)
    case = send(hub, county.ct, slice_facts(1), b"other bytes").held_id
    decisions.keep_first(hub, county.administrator, case, "以先到的为准")
    clock.forward(days=THIRTY)
    assert shown(hub, county) == {}


def test_page_after_page_comes_to_every_object_once(hub, county, clock):
    cases = [put_away_alone(hub, county, f"no DICOM {number}".encode()) for number in range(5)]
    clock.forward(days=THIRTY)
    after, seen = 0, []
    for _ in range(3):
        page = discarded.dry_run(hub, county.administrator, after, 2)
        seen.append([one.row.id for one in page.listed])
        after = page.further
    assert seen == [cases[:2], cases[2:4], cases[4:]] and after == 0


def test_only_an_administrator_may_look_or_remove_and_only_under_the_rules_that_were_shown(hub, county, clock):
    for person in (county.reader, county.reviewer, county.clinic, county.auditor):
        for act in (lambda: discarded.dry_run(hub, person), lambda: discarded.remove(hub, person, [1], ""), lambda: discarded.removals(hub, person)):
            with pytest.raises(Refused):
                act()
    with pytest.raises(Conflict):
        discarded.remove(hub, county.administrator, [1], "2019.1")


@pytest.fixture
def not_taken(hub, county, clock):
    """A finished study, and the case of an object of another patient that came under its UID and was not taken into it."""
    study_id = finished(hub, county, clock)
    case = send(hub, county.ct, slice_facts(9, patient=STRANGER), b"another's image").held_id
    decisions.keep_first(hub, county.administrator, case, "机构确认发错")
    return study_id, case


def test_an_object_of_another_patient_that_was_not_taken_goes_after_its_term_and_leaves_a_tombstone(hub, county, clock, not_taken):
    _, case = not_taken
    sha256 = of(hub, case).sha256
    clock.now = clock.now.replace(year=2056, month=5, day=3)
    assert shown(hub, county) == {} and remove(hub, county, case) == "not_due"
    clock.forward(days=1)
    [one] = discarded.dry_run(hub, county.administrator).listed
    assert (one.row.id, one.stays, one.rule.id) == (case, "", "closed") and rows(hub, held_removal) == [], "a dry run changes nothing"
    assert remove(hub, county, case) == ""
    bytes_go(hub)
    [stone] = rows(hub, held_removal)
    assert (stone.held_id, stone.sha256, stone.rule, stone.rules_version) == (case, sha256, "closed", hub.rules.retention.version)
    assert stone.ended_at is not None and hub.blobs.fixity(sha256)[0] == "missing" and of(hub, case).state == "removed"
    assert all(hub.blobs.fixity(row.sha256)[0] == "intact" for row in rows(hub, instance)), "the study beside it has its own term"
    assert [row.object_id for row in rows(hub, audit, audit.c.action == "held.removed")] == [str(case)] and shown(hub, county) == {}
    with pytest.raises(Conflict):
        decisions.undo(hub, county.administrator, case)


def test_what_was_not_taken_stays_while_the_study_beside_it_is_kept_or_on_hold_or_a_file_is_damaged(hub, county, clock, not_taken):
    study_id, case = not_taken
    clock.forward(days=20 * 365)
    send(hub, county.ct, slice_facts(1, "1.2.4", study_at="2046-05-04T08:20:00"))          # the patient of the study comes again
    clock.forward(days=12 * 365)
    assert shown(hub, county) == {} and remove(hub, county, case) == "not_due"
    clock.forward(days=THIRTY)
    hold_id = retention.hold(hub, county.administrator, study_id, "医疗纠纷：两名患者混淆")
    assert shown(hub, county) == {case: "on_hold"} and remove(hub, county, case) == "on_hold"
    retention.release(hub, county.administrator, hold_id, "已结案")
    with hub.writing() as connection:
        connection.execute(insert(damage).values(sha256=of(hub, case).sha256, source="held", source_id=case, what="missing", found_at=hub.now()))
    assert shown(hub, county) == {case: "damaged"} and remove(hub, county, case) == "damaged"


def test_what_was_not_taken_at_first_follows_the_decision_that_stands(hub, county, clock, not_taken):
    _, case = not_taken
    decisions.undo(hub, county.administrator, case)
    clock.forward(days=THIRTY)
    assert shown(hub, county) == {}, "an open case is nobody's to remove"
    own = decisions.separate(hub, county.administrator, case, "有自己的检查").study_id
    clock.forward(days=THIRTY)
    assert own is not None and shown(hub, county) == {}, "it goes with its own study"
    with pytest.raises(NotFound):
        remove(hub, county, case)


def test_the_decision_not_to_take_it_cannot_be_taken_back_once_its_term_is_over(hub, county, clock, not_taken):
    _, case = not_taken
    clock.forward(days=THIRTY)
    with pytest.raises(Conflict) as told:
        decisions.undo(hub, county.administrator, case)
    assert told.value.code == "term_over" and of(hub, case).state == "resolved" and hub.blobs.fixity(of(hub, case).sha256)[0] == "intact"


def test_an_institution_without_beds_keeps_what_was_not_taken_fifteen_years(hub, county, clock, not_taken):
    _, case = not_taken
    clock.forward(days=15 * 366)
    assert shown(hub, county) == {} and shown(with_settings(hub, outpatient_sites="QS"), county) == {case: ""}


def test_a_case_that_was_closed_with_nothing_but_a_word_has_the_same_term(hub, county, clock):
    case = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(b"no DICOM at all", "x.dcm"),), "unparsable").held_id
    administration.resolve_held(hub, county.administrator, case, "已请机构重新发送")
    assert shown(hub, county) == {} and remove(hub, county, case) == "not_due"
    sha256 = of(hub, case).sha256
    clock.forward(days=THIRTY)
    assert shown(hub, county) == {case: ""} and remove(hub, county, case) == ""
    bytes_go(hub)
    assert hub.blobs.fixity(sha256)[0] == "missing" and of(hub, case).resolution == "已请机构重新发送"
