"""A storage commitment that was taken on reaches its device, whatever becomes of the association, the gateway and the worker."""
import json
import logging
from datetime import timedelta

import pytest
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom.sop_class import StorageCommitmentPushModel as PUSH
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE
from sqlalchemy import select

from dicom_gateway.services import commitment
from hub.context import open_hub
from hub.errors import Conflict, Invalid, Refused, Retryable
from hub.flow import administration, commitments, devices, jobs, schedule
from hub.model.access import SYSTEM, Actor
from hub.settings import Settings
from hub.storage import audit, tables
from tests.conftest import TestClock
from tests.dicom_gateway import faults
from tests.dicom_gateway.running import SENDER, Gateway, running
from tests.dicom_gateway.test_commitment import WAIT_S, Modality, Node, action, calls, commitments_of, named, stored, until, work
from tests.dicom_gateway.test_tls import free_port

# A gateway that answers N-ACTION and comes no further: reading the files takes for ever.
SLOW = "import threading; from dicom_gateway.services import commitment; commitment.verdict = lambda *_: threading.Event().wait(); "


def later(hub, **duration):
    """The same hub, seen so much later."""
    return hub.at(lambda: hub.now() + timedelta(**duration))


def left_over(gateway, *uids: str) -> str:
    """What a device asked whose association is gone; returns the transaction's UID."""
    actor = Actor(None, "青山 CT", "device", 1, "127.0.0.1")
    asked = commitments.take_on(gateway.hub, actor, SENDER, generate_uid(), [(CTImageStorage, uid) for uid in uids])
    commitments.leave(gateway.hub, [asked.commitment_id])
    return asked.transaction_uid


def entries(hub, action_name: str) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(tables.audit).where(tables.audit.c.action == action_name)))


@pytest.mark.processes
def test_a_gateway_that_is_killed_between_success_and_report_keeps_its_promise(tmp_path, databases):
    settings = Settings(data_dir=str(tmp_path), database_url=databases.new(tmp_path), free_space_floor_mb=0)
    process = faults.prepared(settings, prelude=SLOW)
    process.start()
    hub = open_hub(settings)
    gateway, called = Gateway(hub, process.port, None), Modality()
    try:
        (uid,) = stored(gateway)
        with Node(gateway, called):
            association = Modality().associate(gateway)
            asked = action((CTImageStorage, uid))
            assert association.send_n_action(asked, 1, PUSH, INSTANCE)[0].Status == 0x0000
            process.kill()
            process.prelude = ""
            assert [row.state for row in commitments_of(hub)] == ["asked"] and calls(hub) == []
            process.start()
            until(lambda: calls(hub))          # the gateway that follows leaves at once what the killed one held
            assert work(hub) == ["done"]
            kind, report = called.reports.get(timeout=WAIT_S)
        assert kind == 1 and report.TransactionUID == asked.TransactionUID and named(report.ReferencedSOPSequence) == [(uid, None)]
        (row,) = commitments_of(hub)
        assert (row.state, row.attempts, row.named) == ("delivered", 1, {})
    finally:
        process.stop()
        hub.close()


@pytest.mark.processes
def test_what_a_gateway_elsewhere_holds_is_not_taken_from_it_by_one_that_starts(tmp_path, databases):
    """Two gateways on one database, as on two machines; both are killed, one is followed by another."""
    settings = Settings(data_dir=str(tmp_path), database_url=databases.new(tmp_path), free_space_floor_mb=0)
    here = faults.prepared(settings, prelude=SLOW)
    elsewhere = faults.Gateway(settings, free_port(), prelude=SLOW)
    hub = open_hub(settings)
    try:
        for process in (here, elsewhere):
            process.start()
            association = Modality().associate(Gateway(hub, process.port, None))
            assert association.send_n_action(action((CTImageStorage, "1.2.3")), 1, PUSH, INSTANCE)[0].Status == 0x0000
        here.kill()
        here.start()
        until(lambda: calls(hub))
        assert [row.state for row in commitments_of(hub)] == ["due", "asked"] and len(calls(hub)) == 1
        elsewhere.kill()
        assert commitments.leave_forgotten(hub) == 0, "until its time is up"
        sweep = {name: run for _, name, run in schedule.sweeps(later(hub, seconds=121))}
        assert sweep["call back for gateways that ended"]() == 1
        assert [row.state for row in commitments_of(hub)] == ["due", "due"]
    finally:
        for process in (here, elsewhere):
            process.kill()
        hub.close()


@pytest.mark.processes
def test_a_gateway_that_is_stopped_gives_what_it_held_to_a_worker_at_once(tmp_path, databases):
    settings = Settings(data_dir=str(tmp_path), database_url=databases.new(tmp_path), free_space_floor_mb=0)
    process = faults.prepared(settings, prelude=SLOW)
    process.start()
    hub = open_hub(settings)
    try:
        association = Modality().associate(Gateway(hub, process.port, None))
        assert association.send_n_action(action((CTImageStorage, "1.2.3")), 1, PUSH, INSTANCE)[0].Status == 0x0000
        assert [row.state for row in commitments_of(hub)] == ["asked"] and calls(hub) == []
        process.stop()
        assert [row.state for row in commitments_of(hub)] == ["due"] and len(calls(hub)) == 1
    finally:
        process.kill()
        hub.close()


def test_what_cannot_be_written_down_is_not_promised(own_gateway, monkeypatch):
    def fails(*_):
        raise OSError("the database is away")
    monkeypatch.setattr(commitments, "take_on", fails)
    association = Modality().associate(own_gateway)
    assert association.send_n_action(action((CTImageStorage, "1.2.3")), 1, PUSH, INSTANCE)[0].Status == 0x0110
    association.release()
    assert commitments_of(own_gateway.hub) == []


def test_a_device_that_is_away_is_called_again_and_told_what_is_true_then(own_gateway):
    hub, called, port = own_gateway.hub, Modality(), free_port()
    clock = TestClock(hub.now())
    later_hub = hub.at(clock)
    good, damaged = stored(own_gateway, 2)
    administration.add_destination(hub, SYSTEM, 1, "dicom", {"ae_title": SENDER, "host": "127.0.0.1", "port": port})
    transaction = left_over(own_gateway, good, damaged)
    for attempt in range(1, 4):
        clock.forward(hours=1)
        assert work(later_hub) == ["done"] and calls(later_hub) == [], "not before the pause is over"
        (row,) = commitments_of(hub)
        assert (row.state, row.attempts) == ("due", attempt) and SENDER in row.error
    assert entries(hub, "study.committed") == [], "nothing is read for a device that is away"
    path = hub.blobs.path(own_gateway.instance(damaged).sha256)
    path.write_bytes(path.read_bytes()[:-1])
    with Node(own_gateway, called, port=port):
        clock.forward(hours=1)
        work(later_hub)
        kind, report = called.reports.get(timeout=WAIT_S)
    assert kind == 2 and report.TransactionUID == transaction
    assert (named(report.ReferencedSOPSequence), named(report.FailedSOPSequence)) == ([(good, None)], [(damaged, 0x0110)])
    clock.forward(hours=12)
    assert commitments_of(hub)[0].state == "delivered" and calls(later_hub) == [] and commitments.CALLS.mark_overdue(later(hub, days=2)) == 0


def test_a_device_that_cannot_take_it_now_is_called_again(own_gateway):
    (uid,) = stored(own_gateway)
    called = Modality(0x0110)
    with Node(own_gateway, called):
        left_over(own_gateway, uid)
        work(own_gateway.hub)
        assert called.reports.get(timeout=WAIT_S)[0] == 1
        (row,) = commitments_of(own_gateway.hub)
        assert row.state == "due" and "0110" in row.error
        called.answer = 0x0000
        work(later(own_gateway.hub, minutes=1))
    assert commitments_of(own_gateway.hub)[0].state == "delivered"


def test_what_could_not_be_brought_for_a_day_is_given_up_with_words(own_gateway, caplog):
    hub = own_gateway.hub
    clock = TestClock(hub.now())
    later_hub = hub.at(clock)
    transaction = left_over(own_gateway, "1.2.3", "1.2.4")
    attempts = 0
    while clock.now < hub.now() + timedelta(hours=23):
        clock.forward(minutes=31)
        attempts += len(work(later_hub))
    assert attempts > 40 and commitments.CALLS.mark_overdue(later_hub) == 0
    clock.forward(hours=2)
    with caplog.at_level(logging.WARNING, "hub.worker"):
        assert [commitments.CALLS.mark_overdue(later_hub) for _ in range(2)] == [1, 0]
    assert transaction in caplog.text and SENDER in caplog.text
    (row,) = commitments_of(hub)
    assert (row.state, row.attempts, row.named, row.count) == ("overdue", attempts, {CTImageStorage: ["1.2.3", "1.2.4"]}, 2)
    (entry,) = entries(hub, "delivery.overdue")
    told = json.loads(entry.detail)
    assert (entry.object_kind, entry.object_id, entry.site_id) == ("commitment", str(row.id), 1)
    assert (told["transaction_uid"], told["ae_title"], told["count"], told["attempts"]) == (transaction, SENDER, 2, attempts) and SENDER in told["error"]
    with hub.reading() as connection:
        assert audit.verify(connection).broken_at is None
    clock.forward(hours=1)
    work(later_hub)
    assert commitments_of(hub)[0].attempts == attempts


@pytest.fixture
def administrator() -> Actor:
    return Actor(None, "管理员", "administrator")


@pytest.fixture
def given_up(own_gateway):
    """A commitment of a stored object whose device was away for a day: the row's id."""
    (uid,) = stored(own_gateway)
    left_over(own_gateway, uid)
    work(own_gateway.hub)
    assert commitments.CALLS.mark_overdue(later(own_gateway.hub, days=2)) == 1
    return commitments_of(own_gateway.hub)[0].id


def test_what_was_given_up_is_brought_when_a_person_has_the_device_called_again(own_gateway, administrator, given_up):
    hub, called = own_gateway.hub, Modality()
    asked_at = commitments_of(hub)[0].asked_at
    now = later(hub, days=2)
    with Node(own_gateway, called):
        assert commitments.call_again(now, administrator, [given_up]) == 1
        assert commitments.call_again(now, administrator, [given_up]) == 0, "it is due already"
        (row,) = commitments_of(hub)
        assert row.state == "due" and row.asked_at == asked_at and commitments.CALLS.mark_overdue(now) == 0, "it has another day"
        assert work(later(hub, days=2, seconds=1)).count("done") >= 1
        kind, report = called.reports.get(timeout=WAIT_S)
    assert kind == 1 and report.TransactionUID == row.transaction_uid and commitments_of(hub)[0].state == "delivered"
    assert called.reports.empty()
    (entry,) = entries(hub, "delivery.resend")
    assert (entry.actor, entry.object_kind, entry.object_id, entry.site_id) == ("管理员", "commitment", str(given_up), 1)
    assert commitments.call_again(now, administrator, [given_up]) == 0, "what is delivered is not brought twice"


def test_one_that_waits_out_its_pause_is_called_at_once_when_asked(own_gateway, administrator):
    (uid,) = stored(own_gateway)
    left_over(own_gateway, uid)
    work(own_gateway.hub)
    (row,) = commitments_of(own_gateway.hub)
    assert row.state == "due" and row.due_at > own_gateway.hub.now() and calls(own_gateway.hub) == []
    assert commitments.call_again(own_gateway.hub, administrator, [row.id]) == 1
    called = Modality()
    with Node(own_gateway, called):
        assert work(own_gateway.hub) == ["done"]
        assert called.reports.get(timeout=WAIT_S)[0] == 1


def test_what_a_person_closed_no_longer_counts_and_who_said_why_is_kept(own_gateway, administrator, given_up):
    hub = own_gateway.hub
    assert administration.overview(hub, administrator)["commitments"] == {"overdue": 1}
    with pytest.raises(Invalid):
        commitments.close(hub, administrator, [given_up], " ")
    assert commitments.close(hub, administrator, [given_up], "已在设备上核对") == 1
    assert administration.overview(hub, administrator)["commitments"] == {}
    (row,) = commitments_of(hub)
    assert (row.state, row.named, row.error) == ("resolved", {}, "管理员：已在设备上核对")
    (entry,) = entries(hub, "delivery.closed")
    assert "已在设备上核对" in entry.detail and SENDER in entry.detail
    assert commitments.call_again(hub, administrator, [given_up]) == 0 and commitments.close(hub, administrator, [given_up], "又一次") == 0
    reader = Actor(None, "陈医生", "reader")
    for refused in (lambda: commitments.close(hub, reader, [given_up], "我也"), lambda: commitments.call_again(hub, reader, [given_up]),
                    lambda: commitments.listed(hub, reader, commitments.OPEN)):
        with pytest.raises(Refused):
            refused()


def test_a_closed_one_that_its_device_takes_after_all_is_delivered(own_gateway, administrator, given_up):
    commitments.close(own_gateway.hub, administrator, [given_up], "已在设备上核对")
    commitments.settle(own_gateway.hub, given_up)
    assert commitments_of(own_gateway.hub)[0].state == "delivered"


def test_after_a_month_only_the_count_of_what_was_given_up_is_kept_and_it_still_counts(own_gateway, administrator, given_up):
    hub = own_gateway.hub
    assert commitments.let_go(later(hub, days=29)) == 0
    sweep = {name: run for _, name, run in schedule.sweeps(later(hub, days=31))}["let go of what was given up long ago"]
    assert (sweep(), sweep()) == (1, 0)
    ([row], total) = commitments.listed(hub, administrator, commitments.OPEN)
    assert (row.state, row.count, bool(row.may_call), total) == ("overdue", 1, False, 1)
    with pytest.raises(Conflict):
        commitments.call_again(hub, administrator, [given_up])


def test_a_worker_that_died_while_it_called_is_followed_by_another(own_gateway):
    (uid,) = stored(own_gateway)
    called = Modality()
    with Node(own_gateway, called):
        transaction = left_over(own_gateway, uid)
        assert commitments.begin(own_gateway.hub, commitments_of(own_gateway.hub)[0].id) is not None
        assert work(own_gateway.hub) == ["done"]
        assert called.reports.get(timeout=WAIT_S)[1].TransactionUID == transaction
    assert commitments_of(own_gateway.hub)[0].state == "delivered"


def test_a_node_of_another_site_is_never_called(own_gateway):
    (uid,) = stored(own_gateway)
    other = administration.create_site(own_gateway.hub, SYSTEM, code="HS", name="黑水镇卫生院")
    called = Modality()
    with Node(own_gateway, called, site_id=other):
        left_over(own_gateway, uid)
        work(own_gateway.hub)
    (row,) = commitments_of(own_gateway.hub)
    assert called.reports.empty() and (row.state, row.attempts) == ("due", 1)


def test_what_was_given_to_a_worker_meanwhile_is_not_reported_on_the_association_too(own_gateway, monkeypatch):
    hub, judge = own_gateway.hub, commitment.verdict
    monkeypatch.setattr(commitment, "HOLD_EVERY_S", 0)

    def slowly(hub, asked, beat):
        assert commitments.leave_forgotten(later(hub, seconds=121)) == 1
        return judge(hub, asked, beat)
    monkeypatch.setattr(commitment, "verdict", slowly)
    (uid,) = stored(own_gateway)
    there, called = Modality(), Modality()
    with Node(own_gateway, called):
        association = there.associate(own_gateway)
        assert association.send_n_action(action((CTImageStorage, uid)), 1, PUSH, INSTANCE)[0].Status == 0x0000
        until(lambda: calls(later(hub, seconds=122)))
        assert association.send_n_action(action((CTImageStorage, uid)), 2, PUSH, INSTANCE)[0].Status == 0x0123      # it comes after the first in its turn
        work(later(hub, seconds=122))
        assert called.reports.get(timeout=WAIT_S)[0] == 1
        association.release()
    assert there.reports.empty()


def test_a_gateway_that_still_reads_holds_what_it_took_on(own_gateway, monkeypatch):
    judge, held = commitment.verdict, []
    monkeypatch.setattr(commitment, "HOLD_EVERY_S", 0)

    def noted(hub, asked, beat):
        (before,) = commitments_of(hub)
        report = judge(hub, asked, beat)
        held.append(commitments_of(hub)[0].due_at > before.due_at)
        return report
    monkeypatch.setattr(commitment, "verdict", noted)
    uids = stored(own_gateway, 3)
    assert Modality().ask(own_gateway, *((CTImageStorage, uid) for uid in uids))[0] == 1
    assert held == [True]


def test_a_report_that_is_taken_while_a_worker_is_on_its_way_is_settled(own_gateway):
    (uid,) = stored(own_gateway)
    left_over(own_gateway, uid)
    (row,) = commitments_of(own_gateway.hub)
    begun, _ = commitments.begin(own_gateway.hub, row.id)
    commitments.settle(own_gateway.hub, row.id)
    commitments.end(own_gateway.hub, begun, "retry", "away")
    assert commitments_of(own_gateway.hub)[0].state == "delivered"
    assert work(later(own_gateway.hub, hours=1)) and commitments_of(own_gateway.hub)[0].attempts == 1


def test_twenty_thousand_references_are_one_bounded_row_and_more_are_refused(own_gateway):
    uids = [f"1.2.826.0.1.3680043.8.498.{10**37 + n}" for n in range(commitment.MOST_REFERENCES)]
    assert {len(uid) for uid in uids} == {64}
    left_over(own_gateway, *uids)
    (row,) = commitments_of(own_gateway.hub)
    assert row.named == {CTImageStorage: uids} and len(json.dumps(row.named)) < 1_500_000
    association = Modality().associate(own_gateway)
    assert association.send_n_action(action(*((CTImageStorage, uid) for uid in [*uids, "1.2.3"])), 1, PUSH, INSTANCE)[0].Status == 0x0213
    assert association.send_n_action(action((CTImageStorage, "1" * 4_000_000)), 1, PUSH, INSTANCE)[0].Status == 0x0213
    association.release()
    assert len(commitments_of(own_gateway.hub)) == 1


def test_a_device_that_never_takes_its_reports_is_refused_in_the_end_and_its_neighbour_is_not(own_gateway, monkeypatch):
    monkeypatch.setattr(commitments, "MOST_WAITING", 3)
    devices.register(own_gateway.hub, SYSTEM, site_id=1, kind="dicom", name="青山 DR", ae_title="TOWNSHIP_DR")
    (uid,) = stored(own_gateway)
    for _ in range(3):
        left_over(own_gateway, uid)
    with pytest.raises(Retryable):
        left_over(own_gateway, uid)
    association = Modality().associate(own_gateway)
    assert association.send_n_action(action((CTImageStorage, uid)), 1, PUSH, INSTANCE)[0].Status == 0x0213
    association.release()
    assert Modality().ask(own_gateway, (CTImageStorage, uid), calling="TOWNSHIP_DR")[0] == 1


def test_a_stranger_whose_objects_are_held_is_promised_nothing(tmp_path):
    with running(tmp_path / "data", unknown_callers="hold") as gateway:
        association = Modality().associate(gateway, "STRANGER")
        assert association.send_n_action(action((CTImageStorage, "1.2.3")), 1, PUSH, INSTANCE)[0].Status == 0x0124
        association.release()
        assert commitments_of(gateway.hub) == []


def test_a_worker_knows_the_job_and_runs_it_twice_without_a_second_report(own_gateway):
    (uid,) = stored(own_gateway)
    called = Modality()
    with Node(own_gateway, called):
        left_over(own_gateway, uid)
        (job,) = calls(own_gateway.hub)
        assert jobs.perform(own_gateway.hub, job.id) == "done"
        called.reports.get(timeout=WAIT_S)
        jobs._handler("call_back")(own_gateway.hub, **job.args)
    assert called.reports.empty()
