"""The two ways in: a writer queues, a looker sees one state, and a fault has a name."""
from threading import Event, Thread

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import OperationalError

from hub.errors import OutOfSpace, Retryable
from hub.storage import database
from hub.storage.fitting import fitted
from hub.storage.tables import instance, patient, site


def add_site(connection, hub, code: str) -> None:
    connection.execute(insert(site).values(code=code, name=code, level="", phone="", active=True, created_at=hub.now()))


def how_many(connection) -> int:
    return connection.scalar(select(func.count()).select_from(site))


def test_a_writer_waits_for_the_one_before_and_sees_what_it_wrote(empty_hub):
    inside, go_on, seen = Event(), Event(), []

    def first():
        with empty_hub.writing() as connection:
            inside.set()
            go_on.wait(120)
            add_site(connection, empty_hub, "A")

    def second():
        with empty_hub.writing() as connection:
            seen.append(how_many(connection))

    one, two = Thread(target=first), Thread(target=second)
    one.start()
    inside.wait(120)
    two.start()
    two.join(0.3)
    assert two.is_alive() and seen == [], "the second writer waits"
    go_on.set()
    one.join(120), two.join(120)
    assert seen == [1]


def test_a_looker_sees_one_state_from_beginning_to_end_and_holds_nobody_up(empty_hub):
    with empty_hub.reading() as looking:
        assert how_many(looking) == 0
        with empty_hub.writing() as connection:
            add_site(connection, empty_hub, "A")
        assert how_many(looking) == 0
    with empty_hub.reading() as looking:
        assert how_many(looking) == 1


def test_a_block_that_raises_writes_nothing(empty_hub):
    with pytest.raises(ZeroDivisionError), empty_hub.writing() as connection:
        add_site(connection, empty_hub, "A")
        1 / 0
    with empty_hub.reading() as connection:
        assert how_many(connection) == 0


@pytest.mark.parametrize("words, kind", [
    ("database or disk is full", OutOfSpace), ("could not extend file: No space left on device", OutOfSpace),
    ("database is locked", Retryable), ("canceling statement due to lock timeout", Retryable), ("deadlock detected", Retryable),
    ("server closed the connection unexpectedly", Retryable), ("connection failed: Connection refused", Retryable),
])
def test_a_fault_of_the_database_says_whether_trying_again_helps(empty_hub, words, kind):
    with pytest.raises(kind), database.writing(empty_hub.engine):
        raise OperationalError("INSERT", {}, Exception(words))


def test_another_fault_keeps_its_own_name(empty_hub):
    with pytest.raises(OperationalError), database.writing(empty_hub.engine):
        raise OperationalError("INSERT", {}, Exception("no such table: nonsense"))


def test_values_from_outside_are_fitted_to_what_every_database_holds():
    assert fitted(patient, {"sex": "M" * 20, "name": "王\0小明"}) == {"sex": "M" * 8, "name": "王小明"}
    assert fitted(instance, {"number": 2**40, "frames": 2**40, "position_mm": float("nan"), "rows": 512}) == {
        "number": None, "frames": 2**31 - 1, "position_mm": None, "rows": 512}


def test_statistics_are_taken_of_every_table_that_holds_rows(empty_hub):
    with empty_hub.writing() as connection:
        add_site(connection, empty_hub, "A")
    database.refresh_statistics(empty_hub.engine)
    if empty_hub.engine.dialect.name == "sqlite":
        with empty_hub.reading() as connection:
            assert "site" in {row.tbl for row in connection.exec_driver_sql("SELECT tbl FROM sqlite_stat1")}
