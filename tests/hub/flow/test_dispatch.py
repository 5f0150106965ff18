"""The report goes home: a receipt before every attempt, retries, and never two reports of one signature."""
import hashlib
import uuid
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.context import Hub
from hub.errors import Conflict, NotFound, Permanent, Refused, Retryable
from hub.flow import administration, dispatch, jobs, reporting
from hub.flow.errands import Errand
from hub.model.access import SYSTEM
from hub.queue import outbox
from hub.storage.tables import audit, delivery, receipt, report
from tests.conftest import with_settings
from tests.hub.arrivals import drafted, jobs as jobs_of, queued_ct, rows, signed_report


class Receiver:
    """Another system: keeps a report once per idempotency key, and fails as it is told to."""

    def __init__(self):
        self.kept, self.attempts, self.faults = {}, 0, []

    def deliver(self, hub, parcel) -> str:
        self.attempts += 1
        assert rows(hub, receipt)[-1].ended_at is None, "the receipt stands before the attempt"
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        self.kept.setdefault(parcel.idempotency_key, []).append(parcel.pdf)
        return "stored"


@pytest.fixture
def receiver(monkeypatch) -> Receiver:
    one = Receiver()
    monkeypatch.setattr(dispatch, "deliverer", lambda channel: one.deliver)
    return one


@pytest.fixture
def quick_letters(monkeypatch):
    """A letter that differs each time it is made: whoever makes two would be found out."""
    monkeypatch.setattr(dispatch, "compose_pdf", lambda hub, report_id: f"%PDF-1.7 {report_id} {uuid.uuid4()}".encode())


@pytest.fixture
def issued(hub, county, clock, quick_letters) -> int:
    report_id = signed_report(hub, county, clock)
    dispatch.issue_letter(hub, report_id)
    return report_id


def run_due(hub) -> int:
    """What a worker would do now: every due job of dispatch, once."""
    with hub.reading() as connection:
        due = [job.id for job in outbox.due(connection, hub.now())]
    for job_id in due:
        jobs.perform(hub, job_id)
    return len(due)


def the_delivery(hub):
    (row,) = rows(hub, delivery)
    return row


def test_an_unsigned_report_does_not_go_out(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    drafted(hub, county.reader, reading_id)
    report_id = reporting.submit(hub, county.reader, reading_id)
    with pytest.raises(Refused):
        dispatch.issue_letter(hub, report_id)
    assert rows(hub, delivery) == [] and rows(hub, report)[0].pdf_sha256 == ""


def test_the_real_letter_is_made_signed_and_opened_by_its_clinic_only(hub, county, clock, keys):
    hub.keys_folder.symlink_to(keys)
    report_id = signed_report(hub, county, clock)
    run_due(hub)
    run_due(hub)
    assert the_delivery(hub).state == "delivered"
    name, pdf = dispatch.signed_pdf(hub, county.clinic, report_id)
    assert name == "20260504000001-1.pdf" and pdf.startswith(b"%PDF") and b"/ByteRange" in pdf
    assert hashlib.sha256(pdf).hexdigest() == rows(hub, report)[0].pdf_sha256
    with pytest.raises(NotFound):
        dispatch.signed_pdf(hub, county.neighbour, report_id)
    with pytest.raises(Refused):
        dispatch.signed_pdf(hub, county.administrator, report_id)


def test_issuing_twice_makes_one_letter_and_one_delivery(hub, issued):
    before = rows(hub, report)[0].pdf_sha256
    dispatch.issue_letter(hub, issued)
    assert rows(hub, report)[0].pdf_sha256 == before and len(jobs_of(hub, "deliver")) == 1
    assert the_delivery(hub).pdf_sha256 == before


def test_two_workers_that_make_the_letter_at_once_send_the_same_one(hub, county, clock, quick_letters, monkeypatch):
    report_id, compose = signed_report(hub, county, clock), dispatch.compose_pdf

    def overtaken(hub, report_id):
        monkeypatch.setattr(dispatch, "compose_pdf", compose)
        dispatch.issue_letter(hub, report_id)      # another worker is faster
        return compose(hub, report_id)

    monkeypatch.setattr(dispatch, "compose_pdf", overtaken)
    dispatch.issue_letter(hub, report_id)
    assert the_delivery(hub).pdf_sha256 == rows(hub, report)[0].pdf_sha256
    assert [row.action for row in rows(hub, audit)].count("report.issue") == 1


def test_every_destination_of_the_site_gets_its_own_delivery_and_a_switched_off_one_none(hub, county, clock, quick_letters):
    url = {"url": "https://his.example/in", "secret": "0123456789abcdef"}
    administration.add_destination(hub, SYSTEM, county.qingshan, "webhook", url)
    off = administration.add_destination(hub, SYSTEM, county.qingshan, "dicom", {"ae_title": "PACS", "host": "10.0.0.9", "port": "104"})
    administration.set_destination_active(hub, SYSTEM, off, False)
    administration.add_destination(hub, SYSTEM, county.baihe, "webhook", url)
    report_id = signed_report(hub, county, clock)
    dispatch.issue_letter(hub, report_id)
    assert [row.channel for row in dispatch.of_report(hub, county.reader, report_id)] == ["portal", "webhook"]


def test_a_failed_attempt_is_tried_again_after_a_growing_pause(hub, clock, issued, receiver):
    receiver.faults = [Retryable("down", "对方离线", "the node is down")] * 3
    pauses = []
    for _ in range(4):
        waited = 0
        while not run_due(hub) or receiver.attempts == len(pauses):
            clock.forward(seconds=1)
            waited += 1
            assert waited < 60
        pauses.append(waited)
    assert pauses == [0, 2, 10, 30]
    attempts = rows(hub, receipt)
    assert [(row.attempt, row.outcome) for row in attempts] == [(1, "failed"), (2, "failed"), (3, "failed"), (4, "delivered")]
    assert "the node is down" in attempts[0].detail and the_delivery(hub).error == ""
    assert all(job.state == "done" for job in jobs_of(hub, "deliver"))


def test_a_node_that_is_off_over_the_weekend_gets_its_report_on_monday(hub, clock, issued, receiver):
    receiver.faults = [Retryable("down", "对方离线", "down")] * 60
    for _ in range(24 * 2 * 2):
        clock.forward(minutes=31)
        run_due(hub)
        dispatch.DELIVERIES.mark_overdue(hub)
    assert the_delivery(hub).state == "delivered" and len(receiver.kept) == 1


def test_after_three_days_it_is_shown_as_overdue_and_left_until_somebody_resends(hub, county, clock, issued, receiver):
    receiver.faults = [Retryable("down", "对方离线", "down")] * 1000
    for _ in range(24 * 2 * 3 + 4):
        clock.forward(minutes=31)
        run_due(hub)
        dispatch.DELIVERIES.mark_overdue(hub)
    assert the_delivery(hub).state == "overdue"
    attempts = receiver.attempts
    clock.forward(days=1)
    assert run_due(hub) == 0 and receiver.attempts == attempts
    receiver.faults = []
    dispatch.resend(hub, county.administrator, the_delivery(hub).id)
    run_due(hub)
    assert the_delivery(hub).state == "delivered"


def test_a_refusal_for_good_is_not_tried_again_by_itself(hub, county, clock, issued, receiver):
    receiver.faults = [Permanent("refused", "拒收", "unknown patient")]
    run_due(hub)
    clock.forward(days=2)
    assert run_due(hub) == 0
    row = the_delivery(hub)
    assert (row.state, "unknown patient" in row.error) == ("refused", True)
    with pytest.raises(Refused):
        dispatch.resend(hub, county.reader, row.id)
    dispatch.resend(hub, county.administrator, row.id)
    run_due(hub)
    assert the_delivery(hub).state == "delivered"


def test_a_fault_of_our_own_counts_as_a_failed_attempt(hub, clock, issued, receiver):
    receiver.faults = [RuntimeError("a bug")]
    run_due(hub)
    assert (the_delivery(hub).state, rows(hub, receipt)[0].outcome) == ("due", "failed")
    clock.forward(seconds=3)
    run_due(hub)
    assert the_delivery(hub).state == "delivered"


class PowerCut(BaseException):
    """The worker dies here: nothing below may catch it."""


class DyingHub(Hub):
    """A hub whose worker dies at the given boundary: before or after its n-th writing transaction."""

    @contextmanager
    def writing(self):
        boundary = self.boundary
        boundary["left"] -= 1
        if boundary["left"] == 0:
            raise PowerCut
        with super().writing() as connection:
            yield connection
        boundary["left"] -= 1
        if boundary["left"] == 0:
            raise PowerCut


def dying(hub: Hub, at: int) -> DyingHub:
    made = DyingHub(**{name: getattr(hub, name) for name in hub.__dataclass_fields__})
    object.__setattr__(made, "boundary", {"left": at})
    return made


@pytest.mark.parametrize("at", range(1, 20))
def test_a_worker_that_dies_between_any_two_steps_delivers_one_report_in_the_end(hub, county, clock, quick_letters, receiver, at):
    """From the signature to the receiver: die at boundary ``at``, let the lease run out, and go on."""
    signed_report(hub, county, clock)
    mortal = dying(hub, at)
    try:
        while run_due(mortal):
            pass
    except PowerCut:
        pass
    for _ in range(4):
        clock.forward(seconds=hub.settings.job_lease_s + 1)
        with hub.writing() as connection:
            outbox.recover(connection, clock.now)
        while run_due(hub):
            pass
    row = the_delivery(hub)
    assert row.state == "delivered" and row.pdf_sha256 == rows(hub, report)[0].pdf_sha256
    ((_, bodies),) = receiver.kept.items()
    assert len(set(bodies)) == 1, "whatever was sent was the same report, under the same key"
    assert [one.attempt for one in rows(hub, receipt)] == list(range(1, row.attempts + 1))
    assert rows(hub, receipt)[-1].outcome == "delivered"
    assert {job.state for job in jobs_of(hub)} - {"due"} == {"done"}


def test_an_attempt_that_nobody_ended_is_on_record_as_unknown(hub, clock, issued, receiver, monkeypatch):
    def die(*_):
        raise PowerCut

    monkeypatch.setattr(Errand, "end", die)
    with pytest.raises(PowerCut):
        run_due(hub)
    monkeypatch.undo()
    assert [(row.outcome, row.ended_at) for row in rows(hub, receipt)] == [("unknown", None)]
    assert the_delivery(hub).state == "sending"


def test_the_clinic_acknowledges_once_and_who_and_when_is_kept(hub, county, clock, issued):
    with pytest.raises(Conflict):
        dispatch.acknowledge(hub, county.clinic, issued)
    run_due(hub)
    with pytest.raises(NotFound):
        dispatch.acknowledge(hub, county.neighbour, issued)
    with pytest.raises(Refused):
        dispatch.acknowledge(hub, county.reader, issued)
    clock.forward(minutes=5)
    dispatch.acknowledge(hub, county.clinic, issued)
    row = the_delivery(hub)
    assert (row.state, row.acknowledged_by, row.acknowledged_at) == ("acknowledged", "青山卫生院", clock.now)
    with pytest.raises(Conflict):
        dispatch.acknowledge(hub, county.clinic, issued)


def test_the_second_signature_issues_the_same_report_again_with_both_names(hub, county, clock, quick_letters, receiver):
    reading_id = queued_ct(hub, county, clock, urgency="emergency")
    drafted(hub, county.reader, reading_id)
    report_id = reporting.sign_alone(hub, county.reader, reading_id)
    while run_due(hub):
        pass
    first = rows(hub, report)[0].pdf_sha256
    reporting.countersign(hub, county.reviewer, report_id)
    while run_due(hub):
        pass
    second = rows(hub, report)[0].pdf_sha256
    assert first != second and [row.pdf_sha256 for row in rows(hub, delivery)] == [first, second]
    assert len(receiver.kept) == 2 and len({key.rsplit("-", 1)[0] for key in receiver.kept}) == 1, "one number, two letters"


def test_the_check_code_tells_of_number_and_standing_and_no_word_of_the_patient(hub, county, clock, issued):
    code = rows(hub, report)[0].check_code
    row, newest = dispatch.by_check_code(hub, code)
    assert newest and row.site_name == "青山镇卫生院" and "测试甲" not in str(tuple(row))
    reporting.amend(hub, county.reader, row.reading_id, "补充")
    reporting.submit(hub, county.reader, row.reading_id)
    reporting.sign(hub, county.reviewer, row.reading_id)
    assert dispatch.by_check_code(hub, code)[1] is False, "there is a newer version"
    for wrong in ("", "x", "0" * 16):
        with pytest.raises(NotFound):
            dispatch.by_check_code(hub, wrong)


def test_the_clinic_lists_its_own_patients_with_the_newest_report(hub, county, clock, issued):
    queued_ct(hub, county, clock, "1.9", device=county.other_ct)
    (row,), total = dispatch.for_clinic(hub, county.clinic)
    assert total == 1
    assert (row.patient_name, row.report_id, row.delivery_state) == ("测试甲", issued, "due")
    run_due(hub)
    assert dispatch.for_clinic(hub, county.clinic, state="new")[1] == 1
    assert dispatch.for_clinic(hub, county.clinic, state="waiting") == ([], 0) == dispatch.for_clinic(hub, county.clinic, text="%")
    assert dispatch.for_clinic(hub, county.clinic, text="qs0001")[1] == 1
    assert [r.site_id for r in dispatch.for_clinic(hub, county.neighbour)[0]] == [county.baihe]


def test_the_clinic_sees_the_days_it_asks_for(hub, county, issued):
    (row,), _total = dispatch.for_clinic(hub, county.clinic)
    for since, until, found in ((row.received_at, None, 1), (None, row.received_at, 0), (row.received_at + timedelta(seconds=1), None, 0),
                                (row.received_at, row.received_at + timedelta(seconds=1), 1)):
        assert dispatch.for_clinic(hub, county.clinic, since=since, until=until)[1] == found


def test_settings_decide_when_a_delivery_is_given_up(hub, clock, issued, receiver):
    strict = with_settings(hub, delivery_give_up_hours=1)
    receiver.faults = [Retryable("down", "对方离线", "down")] * 100
    for _ in range(5):
        clock.forward(minutes=31)
        run_due(strict)
    dispatch.DELIVERIES.mark_overdue(strict)
    assert the_delivery(hub).state == "overdue" and run_due(replace(strict)) == 0


def test_a_one_signature_letter_that_has_not_left_yet_is_withdrawn_for_the_one_with_both(hub, county, clock, quick_letters, receiver):
    reading_id = queued_ct(hub, county, clock, urgency="emergency")
    drafted(hub, county.reader, reading_id)
    report_id = reporting.sign_alone(hub, county.reader, reading_id)
    receiver.faults = [Retryable("down", "对方离线", "the node is down")]
    while run_due(hub):
        pass
    reporting.countersign(hub, county.reviewer, report_id)
    for _ in range(20):
        clock.forward(seconds=5)
        run_due(hub)
    assert [row.state for row in rows(hub, delivery)] == ["withdrawn", "delivered"]
    assert len(receiver.kept) == 1, "the clinic's node got the letter with both names, and no other"
