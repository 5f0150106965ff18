"""What was decided about objects of a study goes with the study, and not a byte of it before or for anybody else."""
from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update

from hub.errors import Conflict
from hub.flow import decisions, discarded, fixity, intake, retention
from hub.flow.jobs import perform
from hub.model.access import SYSTEM
from hub.storage.tables import audit, damage, held, held_removal, instance, job, reading, report, study
from tests.hub.arrivals import PATIENT, rows, send, slice_facts
from tests.hub.flow.test_retention import THIRTY, finished, remove, shown

WORDS = "已与机构核实"
STRANGER = replace(PATIENT, patient_id="QS0777", name="另一人", name_as_sent="另一人")
SECOND = b"second version"


def second_version(hub, county, number=2) -> int:
    return send(hub, county.ct, slice_facts(number, expected=3), SECOND).held_id


def keep_first(hub, county) -> int:
    case = second_version(hub, county)
    decisions.keep_first(hub, county.administrator, case, WORDS)
    return case


def use_second(hub, county) -> int:
    """After thinking better of it: one decision of two stands."""
    case = keep_first(hub, county)
    decisions.undo(hub, county.administrator, case)
    decisions.use_second(hub, county.administrator, case, WORDS)
    return case


def release(hub, county) -> int:
    """An object that could not be read, until its reader was mended."""
    facts = slice_facts(8)
    case = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(SECOND, "x.dcm"),), "unparsable").held_id
    decisions.release(hub, county.administrator, case, facts, WORDS)
    return case


def supply(hub, county) -> int:
    facts = slice_facts(8)
    case = intake.quarantine(hub, county.ct, "dicom", (hub.blobs.keep(SECOND, "x.dcm"),), "missing_uid").held_id
    decisions.supply(hub, county.administrator, case, facts, {"SOPInstanceUID": ("00080018", "", facts.sop_uid)}, WORDS)
    return case


WAYS = (keep_first, use_second, release, supply)


def settled(hub, clock) -> None:
    """What a decision set going has ended, the study is reported again, and thirty years have passed."""
    with hub.writing() as connection:
        connection.execute(update(job).values(state="done"))
        connection.execute(update(study).values(state="ready"))
        connection.execute(update(reading).values(state="final"))
        connection.execute(update(report).values(pdf_sha256="0" * 64))
    clock.forward(days=THIRTY)


def everything_goes(hub) -> None:
    for one in rows(hub, job, job.c.kind.in_(("remove_bytes", "remove_held_bytes")), job.c.state == "due"):
        assert perform(hub, one.id) == "done"


def of(hub, case):
    [row] = rows(hub, held, held.c.id == case)
    return row


def blobs_of(hub) -> set[str]:
    return {one.name for one in hub.blobs.folder.glob("??/*") if one.is_file() and len(one.name) == 64}


@pytest.mark.parametrize("decide", WAYS, ids=lambda way: way.__name__)
def test_an_object_that_was_decided_upon_goes_with_its_study_and_leaves_a_tombstone(hub, county, clock, decide):
    before = blobs_of(hub)
    study_id = finished(hub, county, clock)
    case = decide(hub, county)
    sha256, files = of(hub, case).sha256, of(hub, case).files
    settled(hub, clock)
    [listed] = retention.dry_run(hub, county.administrator).listed
    assert listed.verdict.stays == "" and listed.set_aside == 1 and listed.set_aside_size == (len(SECOND) if decide is keep_first else 0)
    assert rows(hub, held_removal) == [] and of(hub, case).state == "resolved", "a dry run changes nothing"
    assert remove(hub, county, study_id) == ""
    assert hub.blobs.fixity(sha256)[0] == "intact", "the rows first"
    everything_goes(hub)
    assert hub.blobs.fixity(sha256)[0] == "missing"
    assert blobs_of(hub) <= before, "nothing of the study is left, neither version"
    [stone] = rows(hub, held_removal)
    assert (stone.held_id, stone.sha256, stone.files, stone.rule, stone.who) == (case, sha256, files, "image", "管理员") and stone.ended_at is not None
    assert of(hub, case).state == "removed" and of(hub, case).resolution == WORDS
    assert decisions.history(hub, county.administrator, case)[0].choice == decide.__name__
    assert [row.object_id for row in rows(hub, audit, audit.c.action == "held.removed")] == [str(case)]
    assert [row.held_id for row in discarded.removals(hub, county.administrator)] == [case]
    fixity.check_everything(hub, lambda done, of: None)
    assert sha256 not in [one.sha256 for one in fixity.damaged(hub, SYSTEM)], "what was removed by rule is not damaged"


@pytest.mark.parametrize("decide", WAYS, ids=lambda way: way.__name__)
def test_its_decision_cannot_be_taken_back_afterwards(hub, county, clock, decide):
    study_id = finished(hub, county, clock)
    case = decide(hub, county)
    settled(hub, clock)
    assert remove(hub, county, study_id) == ""
    with pytest.raises(Conflict):
        decisions.undo(hub, county.administrator, case)


def test_a_study_stays_while_a_decision_about_it_is_fresh(hub, county, clock):
    study_id = finished(hub, county, clock)
    case = second_version(hub, county)
    settled(hub, clock)
    decisions.keep_first(hub, county.administrator, case, WORDS)
    assert shown(hub, county) == {study_id: "corrected"} and remove(hub, county, study_id) == "corrected"
    clock.forward(days=91)
    assert remove(hub, county, study_id) == ""


def test_an_object_that_was_discarded_in_the_end_has_its_own_term(hub, county, clock):
    study_id = finished(hub, county, clock)
    case = keep_first(hub, county)
    decisions.undo(hub, county.administrator, case)
    decisions.discard(hub, county.administrator, case, WORDS)
    clock.forward(days=366)
    settled(hub, clock)
    assert remove(hub, county, study_id) == ""
    everything_goes(hub)
    assert of(hub, case).state == "discarded" and rows(hub, held_removal) == []
    assert hub.blobs.fixity(of(hub, case).sha256)[0] == "intact"


@pytest.mark.parametrize("naming", ["another study", "another case"])
def test_bytes_that_another_row_names_stay(hub, county, clock, naming):
    study_id = finished(hub, county, clock)
    case = keep_first(hub, county)
    sha256 = of(hub, case).sha256
    if naming == "another study":
        send(hub, county.other_ct, slice_facts(1, "1.7", patient=STRANGER), SECOND)
    else:
        intake.quarantine(hub, county.other_ct, "dicom", (hub.blobs.keep(SECOND, "x.dcm"),), "unparsable")
    settled(hub, clock)
    assert remove(hub, county, study_id) == ""
    everything_goes(hub)
    assert of(hub, case).state == "removed" and hub.blobs.fixity(sha256)[0] == "intact"


@pytest.fixture
def separated(hub, county, clock):
    """An object of another patient that was sent under a study's UID, and got a study of its own: both studies, and the case."""
    first = finished(hub, county, clock)
    case = send(hub, county.ct, slice_facts(9, patient=STRANGER), SECOND).held_id
    own = decisions.separate(hub, county.administrator, case, WORDS).study_id
    with hub.writing() as connection:
        read = connection.execute(select(reading).where(reading.c.study_id == first)).one()._asdict()
        connection.execute(insert(reading).values({name: value for name, value in read.items() if name != "id"} | {"study_id": own}))      # read alike
    settled(hub, clock)
    return first, own, case


def test_an_object_that_got_a_study_of_its_own_goes_with_that_one_only(hub, county, clock, separated):
    first, own, case = separated
    sha256 = of(hub, case).sha256
    assert remove(hub, county, first) == ""
    everything_goes(hub)
    assert of(hub, case).state == "resolved" and hub.blobs.fixity(sha256)[0] == "intact"
    assert remove(hub, county, own) == ""
    everything_goes(hub)
    assert of(hub, case).state == "removed" and hub.blobs.fixity(sha256)[0] == "missing"


def test_it_stays_while_the_study_beside_which_it_was_kept_is_on_hold(hub, county, clock, separated):
    first, own, case = separated
    hold_id = retention.hold(hub, county.administrator, first, "医疗纠纷：两名患者混淆")
    assert shown(hub, county) == {first: "on_hold", own: "on_hold"} and remove(hub, county, own) == "on_hold"
    assert of(hub, case).state == "resolved" and hub.blobs.fixity(of(hub, case).sha256)[0] == "intact"
    retention.release(hub, county.administrator, hold_id, "已结案")
    assert remove(hub, county, own) == ""


def test_a_study_on_hold_keeps_what_was_not_chosen_for_it(hub, county, clock):
    study_id = finished(hub, county, clock)
    case = keep_first(hub, county)
    settled(hub, clock)
    retention.hold(hub, county.administrator, study_id, "医疗纠纷")
    assert remove(hub, county, study_id) == "on_hold" and of(hub, case).state == "resolved"


def test_a_damaged_object_keeps_its_study_until_somebody_has_looked(hub, county, clock):
    study_id = finished(hub, county, clock)
    case = keep_first(hub, county)
    settled(hub, clock)
    with hub.writing() as connection:
        connection.execute(insert(damage).values(sha256=of(hub, case).sha256, source="held", source_id=case, what="missing", found_at=hub.now()))
    assert shown(hub, county) == {study_id: "damaged"} and remove(hub, county, study_id) == "damaged"


def test_a_kill_between_the_rows_and_the_bytes_is_caught_up_with(hub, county, clock):
    """Whichever of the two jobs runs first, twice or after a failure, nothing is left and nothing else goes."""
    study_id = finished(hub, county, clock)
    case = use_second(hub, county)
    sha256 = of(hub, case).sha256
    first = {row.sha256 for row in rows(hub, instance)}
    settled(hub, clock)
    assert remove(hub, county, study_id) == ""
    [stone] = rows(hub, held_removal)
    discarded.remove_bytes(hub, stone.id)
    assert hub.blobs.fixity(sha256)[0] == "missing"
    everything_goes(hub)
    discarded.remove_bytes(hub, stone.id)
    assert all(hub.blobs.fixity(one)[0] == "missing" for one in {sha256, *first})
