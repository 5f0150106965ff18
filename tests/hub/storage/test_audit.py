"""The audit: append-only by the database itself, and every change to it is named."""
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DatabaseError

from hub.context import open_hub
from hub.flow.administration import verify_audit
from hub.model.access import Actor
from hub.storage import audit
from hub.storage.tables import audit as table
from hub.storage.tables import audit_head
from tests.conftest import MORNING

READER = Actor(7, "王报告", "reader", None, "10.0.0.7")
CHANGES = {
    "at": MORNING + timedelta(microseconds=1), "account_id": 8, "actor": "别人", "role": "reviewer", "address": "10.0.0.8",
    "action": "report.view", "object_kind": "report", "object_id": "2", "site_id": 5, "patient_id": 6, "detail": '{"how": "other"}',
    "previous": "1" * 64, "seal": "1" * 64,
}


def append(hub, number: int = 1) -> int:
    with hub.writing() as connection:
        return audit.append(connection, hub.now(), READER, "study.view", "study", number, 1, 2, how="页面", number=number)


def tamper(hub, *statements) -> None:
    """What somebody with the database's password could do: switch the guards off first."""
    with hub.writing() as connection:
        if connection.dialect.name == "sqlite":
            for name in ("audit_no_update", "audit_no_delete", "audit_no_replace"):
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def audited(empty_hub):
    for number in range(1, 11):
        append(empty_hub, number)
        empty_hub.clock.forward(seconds=1)
    assert verify_audit(empty_hub) == audit.AuditVerdict(10, None)
    return empty_hub


def test_entries_are_numbered_one_after_another_and_sealed_to_the_last(audited):
    with audited.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.seq)).all()
    assert [row.seq for row in rows] == list(range(1, 11))
    assert [row.previous for row in rows] == [audit.FIRST_SEAL, *(row.seal for row in rows[:-1])]
    assert (rows[0].actor, rows[0].action, rows[0].detail) == ("王报告", "study.view", '{"how": "页面", "number": 1}')


def test_no_column_is_forgotten_by_the_tampering_below():
    assert set(CHANGES) == set(table.c.keys()) - {"seq"}


@pytest.mark.parametrize("column", CHANGES)
def test_a_change_of_any_column_is_named_by_the_entrys_number(audited, column):
    tamper(audited, update(table).where(table.c.seq == 4).values({column: CHANGES[column]}))
    assert verify_audit(audited).broken_at == 4


def test_a_changed_number_is_named(audited):
    tamper(audited, update(table).where(table.c.seq == 10).values(seq=11))
    assert verify_audit(audited).broken_at == 10


@pytest.mark.parametrize("gone", [1, 5])
def test_a_removed_entry_is_named(audited, gone):
    tamper(audited, delete(table).where(table.c.seq == gone))
    verdict = verify_audit(audited)
    assert (verdict.broken_at, verdict.reason) == (gone, "missing")


def test_a_removed_end_is_named(audited):
    tamper(audited, delete(table).where(table.c.seq > 8))
    verdict = verify_audit(audited)
    assert (verdict.entries, verdict.broken_at) == (8, 9)


def test_an_entry_with_a_new_seal_of_its_own_is_betrayed_by_the_next(audited):
    with audited.reading() as connection:
        row = dict(connection.execute(select(table).where(table.c.seq == 4)).one()._mapping)
    row["actor"] = "别人"
    tamper(audited, update(table).where(table.c.seq == 4).values(actor="别人", seal=audit._seal(row)))
    assert verify_audit(audited).broken_at == 5


def test_a_lost_head_is_named(audited):
    tamper(audited, delete(audit_head))
    assert verify_audit(audited).broken_at == 11


@pytest.mark.parametrize("statement", [
    update(table).where(table.c.seq == 4).values(actor="别人"), delete(table).where(table.c.seq == 4), delete(table),
], ids=["update", "delete", "delete all"])
def test_the_database_refuses_to_change_an_entry(audited, statement):
    with pytest.raises(DatabaseError, match="append-only"), audited.writing() as connection:
        connection.execute(statement)
    assert verify_audit(audited).broken_at is None


def test_the_database_refuses_the_ways_round(audited):
    on_sqlite = audited.engine.dialect.name == "sqlite"
    way = "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 4" if on_sqlite else "TRUNCATE audit"
    with pytest.raises(DatabaseError, match="append-only"), audited.writing() as connection:
        connection.execute(text(way))


def test_an_entry_goes_with_the_transaction_that_it_tells_of(audited):
    with pytest.raises(ZeroDivisionError), audited.writing() as connection:
        audit.append(connection, audited.now(), READER, "study.view")
        1 / 0
    assert verify_audit(audited) == audit.AuditVerdict(10, None)
    assert append(audited) == 11


def test_odd_words_survive_the_seal(empty_hub):
    odd = Actor(None, "名" * 100, "system", None, "fe80::1%" + "x" * 100)
    with empty_hub.writing() as connection:
        audit.append(connection, empty_hub.now(), odd, "study.view", "study", "o" * 100, detail="引\"号\\ 与 \x00 与 𠮷", when=empty_hub.now())
    assert verify_audit(empty_hub) == audit.AuditVerdict(1, None)


def test_threads_append_at_once_without_breaking_the_chain(empty_hub):
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda n: append(empty_hub, n), range(80)))
    assert sorted(numbers) == list(range(1, 81))
    assert verify_audit(empty_hub) == audit.AuditVerdict(80, None)


def _append_many(settings, many: int) -> None:
    hub = open_hub(settings)
    for number in range(many):
        append(hub, number)
    hub.close()


def test_processes_append_at_once_without_breaking_the_chain(empty_hub):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_append_many, args=(empty_hub.settings, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    assert verify_audit(empty_hub) == audit.AuditVerdict(60, None)
    with empty_hub.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(table)) == 60
