"""Critical values: heard, read back in one's own words, closed; red when nobody answers."""
from dataclasses import replace

import pytest

from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import critical, reporting
from hub.flow.preparation import CriticalFinding
from hub.storage.tables import audit
from hub.storage.tables import critical as table
from tests.hub.arrivals import WORDS, drafted, queued_ct, rows, signed_report

PNEUMOTHORAX = replace(WORDS, critical=True, critical_finding="右侧张力性气胸", positive=True)


@pytest.fixture
def raised(hub, county, clock) -> int:
    signed_report(hub, county, clock, PNEUMOTHORAX)
    return rows(hub, table)[0].id


def state(hub) -> str:
    return rows(hub, table)[0].state


def test_it_is_raised_when_the_report_is_submitted_not_when_it_is_signed(hub, county, clock):
    reading_id = queued_ct(hub, county, clock)
    drafted(hub, county.reader, reading_id, PNEUMOTHORAX)
    reporting.submit(hub, county.reader, reading_id)
    (row,) = rows(hub, table)
    assert (row.state, row.finding, row.raised_by, row.site_id) == ("raised", "右侧张力性气胸", "王报告", county.qingshan)
    assert (row.due_at - row.raised_at).total_seconds() == 600


def test_the_clinics_page_counts_as_notification_once(hub, county, raised):
    assert [row.finding for row in critical.for_clinic(hub, county.clinic)] == ["右侧张力性气胸"]
    assert state(hub) == "notified"
    critical.for_clinic(hub, county.clinic)
    assert [row.action for row in rows(hub, audit)].count("critical.notified") == 1


def test_a_neighbour_neither_sees_nor_answers_it(hub, county, raised):
    assert critical.for_clinic(hub, county.neighbour) == [] and state(hub) == "raised"
    with pytest.raises(NotFound):
        critical.read_back(hub, county.neighbour, raised, "张力性气胸")


def test_read_back_in_words_then_closed_by_the_centre(hub, county, raised):
    with pytest.raises(Conflict):
        critical.close(hub, county.reader, raised)
    with pytest.raises(Invalid):
        critical.read_back(hub, county.clinic, raised, " ")
    critical.read_back(hub, county.clinic, raised, "右侧张力性气胸，已准备穿刺")
    with pytest.raises(Refused):
        critical.close(hub, county.clinic, raised)
    critical.close(hub, county.reader, raised)
    row = rows(hub, table)[0]
    assert (row.state, row.read_back_by, row.closed_by) == ("closed", "青山卫生院", "王报告")
    assert critical.for_readers(hub, county.reader) == []


def test_nobody_answering_in_ten_minutes_is_escalated_once(hub, county, clock, raised):
    clock.forward(minutes=9, seconds=59)
    assert critical.escalate_unanswered(hub) == 0
    clock.forward(seconds=2)
    assert (critical.escalate_unanswered(hub), critical.escalate_unanswered(hub)) == (1, 0)
    assert state(hub) == "escalated"


def test_looking_does_not_quiet_an_escalated_value_and_read_back_does(hub, county, clock, raised):
    clock.forward(minutes=11)
    critical.escalate_unanswered(hub)
    critical.for_clinic(hub, county.clinic)
    assert state(hub) == "escalated" and rows(hub, table)[0].notified_at == clock.now
    assert critical.escalate_unanswered(hub) == 0, "no endless list of the same alarm"
    critical.read_back(hub, county.clinic, raised, "张力性气胸")
    assert state(hub) == "read_back"


def test_what_was_read_back_is_not_escalated(hub, county, clock, raised):
    critical.read_back(hub, county.clinic, raised, "张力性气胸")
    clock.forward(hours=5)
    assert critical.escalate_unanswered(hub) == 0


def test_a_machines_suspicion_is_for_readers_and_is_closed_with_a_reason(hub, county, clock):
    queued_ct(hub, county, clock, criticals=[CriticalFinding("疑似气胸", "ct.pneumothorax")])
    suspicion = rows(hub, table)[0].id
    assert critical.for_clinic(hub, county.clinic) == []
    assert [row.id for row in critical.for_readers(hub, county.reader)] == [suspicion]
    with pytest.raises(Invalid):
        critical.close(hub, county.reader, suspicion)
    critical.close(hub, county.reader, suspicion, "皮肤皱褶，非气胸")
    assert state(hub) == "closed"
