"""The auditor's desk: newest first, filters, pages, and a chain that shows where somebody broke it."""
import html
import re
from contextlib import contextmanager

import pytest
from sqlalchemy import delete, insert, select, text, update

from hub.flow import administration
from hub.model.access import SYSTEM
from hub.storage import audit
from hub.storage.tables import audit as entries
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("audit")) as made:
        yield made


@contextmanager
def _intruder(house, seq, fault):
    """Somebody with the database in hand: past the triggers that keep the audit append-only. Put right at the end."""
    with house.hub.writing() as connection:
        kept = dict(connection.execute(select(entries).where(entries.c.seq == seq)).one()._mapping)
        guards = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")).all()
        assert guards
        for name, _sql in guards:
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(fault(seq))
    yield
    with house.hub.writing() as connection:
        connection.execute(delete(entries).where(entries.c.seq == seq))
        connection.execute(insert(entries).values(**kept))
        for _name, sql in guards:
            connection.execute(text(sql))


def _numbers(page):
    return [int(n) for n in re.findall(r'<td class="number top">(\d+)</td>', page)]


def _write(house, count):
    with house.hub.writing() as connection:
        for number in range(count):
            audit.append(connection, house.hub.now(), house.county.actor("zhou"), "study.view", "study", number, patient_id=7, note=f"<i>{number}</i>")


def test_the_newest_entries_come_first_and_older_ones_by_page(house):
    _write(house, 150)
    first = house.auditor.get("/audit")
    numbers = _numbers(first.text)
    assert numbers == list(range(numbers[0], numbers[0] - 100, -1))
    older = html.unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1])
    assert _numbers(house.auditor.get(older).text)[0] == numbers[-1] - 1
    assert "<i>149</i>" not in first.text and "&lt;i&gt;149&lt;/i&gt;" in first.text


def test_entries_are_found_by_action_area_and_person(house):
    with house.hub.writing() as connection:
        for _ in range(3):
            audit.append(connection, house.hub.now(), house.county.actor("wu"), "study.urgency", "study", 5, patient_id=7)
    by_action = house.auditor.get("/audit?action=study.urgency").text
    assert len(_numbers(by_action)) == 3 and "患者 #7" in by_action
    assert len(_numbers(house.auditor.get("/audit?person=吴主任").text)) == 3
    area = administration.audit_entries(house.hub, house.county.actor("audit"), action="site")
    assert _numbers(house.auditor.get("/audit?action=site").text) == [e.seq for e in area] != []
    assert "没有符合条件的记录" in house.auditor.get("/audit?person=没有此人").text
    assert _numbers(house.auditor.get("/audit?before=%00&action=%25").text) == []


def test_an_unbroken_chain_is_said_to_hold(house):
    answer = house.auditor.post("/audit/verify")
    count = administration.verify_audit(house.hub).entries
    assert f"审计链完整：{count} 条记录全部相符" in answer.text


@pytest.mark.parametrize("fault, words", [
    (lambda seq: update(entries).where(entries.c.seq == seq).values(actor="别人"), "内容被改动"),
    (lambda seq: delete(entries).where(entries.c.seq == seq), "记录缺失"),
])
def test_a_broken_chain_names_the_number_of_the_first_broken_entry(house, fault, words):
    with _intruder(house, 9, fault):
        answer = house.auditor.post("/audit/verify")
        assert f"审计链在第 9 条断开：{words}。之前的 8 条相符" in answer.text
        there = html.unescape(re.search(r'href="([^"]*before=10[^"]*)"', answer.text)[1])
        assert _numbers(house.auditor.get(there).text)[0] <= 9
    assert "审计链完整" in house.auditor.post("/audit/verify").text


def test_a_chain_cut_at_its_end_shows(house):
    last = administration.audit_entries(house.hub, house.county.actor("audit"))[0].seq
    with _intruder(house, last, lambda seq: delete(entries).where(entries.c.seq == seq)):
        assert f"审计链在第 {last} 条断开：末尾的记录缺失" in house.auditor.post("/audit/verify").text


def test_what_the_system_did_is_told_from_what_people_did(house):
    with house.hub.writing() as connection:
        audit.append(connection, house.hub.now(), SYSTEM, "critical.escalate", "critical", 1)
    assert "危急值升级" in house.auditor.get("/audit?person=system").text
