"""Retention: nothing goes before its term, nothing unfinished goes at all, and what went is said to whoever asks."""
import pytest
from sqlalchemy import insert, update

from hub.errors import Conflict, Gone, Invalid, Refused, Retryable
from hub.flow import fixity, reporting, repairs, retention, studies
from hub.flow.jobs import perform
from hub.model.access import SYSTEM
from hub.model.arrival import PatientFacts
from hub.storage import packing
from hub.storage.tables import artifact, audit, critical, damage, delivery, held, instance, job, removal, report, tombstone
from tests.conftest import with_settings
from tests.hub.arrivals import queued_ct, reading_of, rows, send, send_ct, signed_report, slice_facts, study_row

THIRTY = 30 * 366


def finished(hub, county, clock, study_uid="1.2.3", **more) -> int:
    """A study whose report was signed and delivered; returns its id."""
    report_id = signed_report(hub, county, clock, study_uid=study_uid, **more)
    with hub.writing() as connection:
        connection.execute(update(report).where(report.c.id == report_id).values(pdf_sha256="0" * 64))
        connection.execute(update(job).values(state="done"))
    [row] = rows(hub, report, report.c.id == report_id)
    return row.study_id


def shown(hub, county) -> dict[int, str]:
    return {one.verdict.row.id: one.verdict.stays for one in retention.dry_run(hub, county.administrator).listed}


def remove(hub, county, study_id) -> str:
    return retention.remove(hub, county.administrator, [study_id], hub.rules.retention.version)[study_id]


def bytes_go(hub) -> None:
    for one in rows(hub, job, job.c.kind == "remove_bytes", job.c.state == "due"):
        assert perform(hub, one.id) == "done"


def test_a_study_is_kept_thirty_years_and_not_a_day_less(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.now = clock.now.replace(year=2056, month=5, day=3)
    assert shown(hub, county) == {} and remove(hub, county, study_id) == "not_due"
    clock.forward(days=1)
    assert shown(hub, county) == {study_id: ""}
    [one] = retention.dry_run(hub, county.administrator).listed
    assert (one.verdict.rule.id, one.verdict.kept_until.isoformat(), one.instances) == ("image", "2056-05-04", 3)
    assert rows(hub, removal) == [], "a dry run changes nothing"


def test_an_institution_without_beds_keeps_fifteen_years(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=15 * 366)
    assert shown(hub, county) == {}
    assert shown(with_settings(hub, outpatient_sites="BH QS"), county) == {study_id: ""}


def test_a_patient_who_came_again_keeps_all_that_went_before(hub, county, clock):
    first = finished(hub, county, clock)
    clock.forward(days=20 * 365)
    send(hub, county.ct, slice_facts(1, "1.2.4", study_at="2046-05-04T08:20:00"))
    clock.forward(days=12 * 365)
    assert shown(hub, county) == {} and remove(hub, county, first) == "not_due"


def test_what_is_removed_leaves_tombstones_its_report_and_an_audit_entry(hub, county, clock):
    study_id = finished(hub, county, clock)
    sent = rows(hub, instance, instance.c.study_id == study_id)
    clock.forward(days=THIRTY)
    assert remove(hub, county, study_id) == ""
    bytes_go(hub)
    [gone], stones = rows(hub, removal), rows(hub, tombstone)
    assert (gone.study_uid, gone.rule, gone.rules_version, gone.who, gone.instances) == ("1.2.3", "image", hub.rules.retention.version, "管理员", 3)
    assert gone.ended_at is not None
    assert [(one.sop_uid, one.sha256, one.series_uid) for one in stones] == [(one.sop_uid, one.sha256, "1.2.3.1") for one in sent]
    assert all(hub.blobs.fixity(one.sha256)[0] == "missing" for one in sent)
    assert len(rows(hub, report, report.c.study_id == study_id)) == 1
    assert len(rows(hub, audit, audit.c.action == "study.removed")) == 1
    assert shown(hub, county) == {} and remove(hub, county, study_id) == "removed"
    fixity.check_everything(hub, lambda done, of: None)
    assert fixity.damaged(hub, SYSTEM) == [], "what was removed by rule is not damaged"
    with pytest.raises(Gone) as told:
        retention.require_there(hub, study_id)
    assert f"{gone.at:%Y-%m-%d}" in told.value.zh and "image" in told.value.en
    [found] = studies.matching(hub, county.reader, "study", [], 10)
    assert found.removed_at is not None


def stays_because(hub, county, clock, study_id, code):
    assert shown(hub, county)[study_id] == code and remove(hub, county, study_id) == code
    assert rows(hub, removal) == []


def test_an_unreported_study_is_never_removed(hub, county, clock):
    study_id = queued_ct(hub, county, clock)
    clock.forward(days=THIRTY)
    stays_because(hub, county, clock, study_id, "unreported")


def test_a_study_whose_report_is_being_amended_is_never_removed(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    reporting.amend(hub, county.reviewer, reading_of(hub, study_id).id, "补充")
    stays_because(hub, county, clock, study_id, "unreported")


def test_a_study_on_hold_stays_until_the_hold_is_ended_with_a_reason(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    hold_id = retention.hold(hub, county.administrator, study_id, "医疗纠纷")
    stays_because(hub, county, clock, study_id, "on_hold")
    with pytest.raises(Conflict):
        retention.hold(hub, county.administrator, study_id, "又一次")
    with pytest.raises(Invalid):
        retention.release(hub, county.administrator, hold_id, " ")
    retention.release(hub, county.administrator, hold_id, "纠纷已结案")
    with pytest.raises(Conflict):
        retention.release(hub, county.administrator, hold_id, "再次")
    assert remove(hub, county, study_id) == ""
    assert [one.action for one in rows(hub, audit, audit.c.action.startswith("study.hold"))] == ["study.hold", "study.hold_ended"]


def test_a_study_with_an_open_conflict_stays(hub, county, clock):
    study_id = finished(hub, county, clock)
    send(hub, county.ct, slice_facts(1), b"other bytes")
    clock.forward(days=THIRTY)
    stays_because(hub, county, clock, study_id, "in_conflict")


def test_a_study_into_which_another_patient_was_sent_stays(hub, county, clock):
    study_id = finished(hub, county, clock)
    send(hub, county.ct, slice_facts(9, patient=PatientFacts("X9", "别人", sex="F")))
    clock.forward(days=THIRTY)
    stays_because(hub, county, clock, study_id, "in_conflict")


def test_a_study_with_a_damaged_file_stays(hub, county, clock):
    study_id = finished(hub, county, clock)
    with hub.writing() as connection:
        connection.execute(insert(damage).values(sha256="1" * 64, source="instance", source_id=1, study_id=study_id, what="missing", found_at=hub.now()))
    clock.forward(days=THIRTY)
    stays_because(hub, county, clock, study_id, "damaged")


def test_a_study_that_was_just_corrected_stays_for_a_while(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    name = hub.rules.repairs.offered["00100010"]
    repairs.correct(hub, county.administrator, study_id, repairs.Wanted(name, "测试乙", "与机构核实"), repairs.revision(hub, study_id))
    with hub.writing() as connection:
        connection.execute(update(job).values(state="done"))
    stays_because(hub, county, clock, study_id, "corrected")
    clock.forward(days=91)
    with hub.writing() as connection:
        connection.execute(update(report).values(pdf_sha256="0" * 64))
    assert remove(hub, county, study_id) == ""


@pytest.mark.parametrize("state", ["due", "sending", "refused", "overdue"])
def test_a_study_whose_report_has_not_arrived_stays(hub, county, clock, state):
    study_id = finished(hub, county, clock)
    [signed] = rows(hub, report)
    with hub.writing() as connection:
        connection.execute(insert(delivery).values(report_id=signed.id, site_id=county.qingshan, channel="portal", state=state, attempts=1,
                                                   created_at=hub.now(), due_at=hub.now()))
    clock.forward(days=THIRTY)
    stays_because(hub, county, clock, study_id, "unsent")


def test_a_study_with_an_open_critical_value_stays(hub, county, clock):
    study_id = finished(hub, county, clock)
    with hub.writing() as connection:
        connection.execute(insert(critical).values(study_id=study_id, site_id=county.qingshan, state="escalated", finding="张力性气胸", raised_at=hub.now(),
                                                   due_at=hub.now()))
    clock.forward(days=THIRTY)
    stays_because(hub, county, clock, study_id, "critical")


def test_what_changed_between_dry_run_and_confirmation_is_judged_again(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    assert shown(hub, county) == {study_id: ""}
    send(hub, county.ct, slice_facts(1), b"other bytes")
    assert remove(hub, county, study_id) == "in_conflict"
    with pytest.raises(Conflict):
        retention.remove(hub, county.administrator, [study_id], "2019.1")


@pytest.mark.parametrize("number", [1, 9])
def test_an_object_of_a_removed_study_is_kept_aside_and_said_and_nothing_reopens(hub, county, clock, number):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    remove(hub, county, study_id)
    bytes_go(hub)
    taken = send(hub, county.ct, slice_facts(number))
    assert (taken.outcome, taken.reason) == ("conflict", "removed_before")
    [kept] = rows(hub, held)
    assert hub.blobs.fixity(kept.sha256)[0] == "intact" and "保存期限" in kept.zh
    assert study_row(hub, study_id).state == "ready" and len(rows(hub, instance)) == 3


def test_a_file_that_comes_again_while_the_bytes_go_is_never_lost(hub, county, clock):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    remove(hub, county, study_id)
    [first, *_] = rows(hub, instance)
    hub.blobs.keep(hub.blobs.read(first.sha256))              # written, its row not yet committed
    assert hub.blobs.remove(first.sha256, hub.blobs.path(first.sha256).stat().st_mtime - 1) is False
    assert hub.blobs.fixity(first.sha256)[0] == "intact"
    send(hub, county.ct, slice_facts(first.number))
    bytes_go(hub)
    assert hub.blobs.fixity(first.sha256)[0] == "intact", "the held row names it"
    assert sum(hub.blobs.fixity(one.sha256)[0] == "missing" for one in rows(hub, instance)) == 2


def test_a_kill_while_a_file_is_out_of_the_way_is_caught_up_with(hub, county, clock, monkeypatch):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    remove(hub, county, study_id)
    [one] = rows(hub, removal)

    def killed(*_args, **_more):
        raise KeyboardInterrupt
    with monkeypatch.context() as planted:
        planted.setattr("pathlib.Path.unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            retention.remove_bytes(hub, one.id)
    retention.remove_bytes(hub, one.id)
    assert not [path for path in hub.blobs.folder.rglob("*") if path.is_file() and path.name[:64] in one.files]
    assert rows(hub, removal)[0].ended_at is not None


def test_a_file_that_is_just_arriving_again_puts_the_removal_off(hub, county, clock, monkeypatch):
    study_id = finished(hub, county, clock)
    clock.forward(days=THIRTY)
    remove(hub, county, study_id)
    [one] = rows(hub, removal)
    monkeypatch.setattr(retention, "YOUNG_S", 100 * 366 * 86400)
    with pytest.raises(Retryable):
        retention.remove_bytes(hub, one.id)
    assert all(hub.blobs.fixity(row.sha256)[0] == "intact" for row in rows(hub, instance)) and rows(hub, removal)[0].ended_at is None


def test_packed_originals_and_made_pictures_go_too_but_not_what_another_study_shares(hub, county, clock):
    study_id, other = finished(hub, county, clock), send_ct(hub, county.ct, "1.9", 1, PatientFacts("P2", "测试丙", sex="F"))
    shared, own = hub.blobs.keep(b"a black picture"), hub.blobs.keep(b"a picture of its own")
    with hub.writing() as connection:
        for of, file in ((study_id, shared), (study_id, own), (other, shared)):
            connection.execute(insert(artifact).values(study_id=of, kind="thumbnail", sha256=file.sha256, size=file.size, media_type="image/png", about={},
                                                       made_at=hub.now()))
    packed = packing.packed_place(hub.blobs.folder, rows(hub, instance)[0].sha256)
    packed.write_bytes(b"packed")
    clock.forward(days=THIRTY)
    assert remove(hub, county, study_id) == ""
    bytes_go(hub)
    assert not packed.exists()
    assert (hub.blobs.fixity(shared.sha256)[0], hub.blobs.fixity(own.sha256)[0]) == ("intact", "missing")


def test_only_an_administrator_may_look_remove_or_hold(hub, county, clock):
    for person in (county.reader, county.reviewer, county.clinic, county.auditor):
        for act in (lambda: retention.dry_run(hub, person), lambda: retention.remove(hub, person, [1], ""), lambda: retention.hold(hub, person, 1, "why"),
                    lambda: retention.release(hub, person, 1, "why"), lambda: retention.removals(hub, person), lambda: retention.holds(hub, person)):
            with pytest.raises(Refused):
                act()
