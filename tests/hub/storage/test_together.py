"""One transaction for all who wait: together where it goes well, alone where one of them fails."""
import threading
import time

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from hub.storage import database, together

metadata = MetaData()
numbers = Table("numbers", metadata, Column("n", Integer, primary_key=True))


@pytest.fixture
def engine(tmp_path):
    engine = database.connect(f"sqlite:///{tmp_path / 'one.sqlite3'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def _count(engine) -> int:
    with database.reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(numbers))


def _run_all(engine, acts, items) -> dict:
    """What became of each item when all were written at the same moment."""
    became = {}

    def one(item):
        try:
            became[item] = together.write(engine, acts, item)
        except Exception as error:
            became[item] = error

    threads = [threading.Thread(target=one, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return became


def _wait_until(holds) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.005)


def test_those_who_wait_share_a_transaction_and_each_gets_its_own_result(engine):
    rounds = []

    def acts(connection, items):
        rounds.append(len(items))
        _wait_until(lambda: sum(rounds) + len(together._rounds[engine]._waiting) == 30)       # the others have come and wait
        connection.execute(insert(numbers), [{"n": n} for n in items])
        return [n * 10 for n in items]

    assert _run_all(engine, acts, range(30)) == {n: n * 10 for n in range(30)}
    assert _count(engine) == 30 and sum(rounds) == 30 and len(rounds) <= 2


def test_one_that_fails_fails_alone(engine):
    def acts(connection, items):
        time.sleep(0.02)
        if 13 in items:
            connection.execute(insert(numbers), [{"n": 1000}])
            raise ValueError("thirteen")
        connection.execute(insert(numbers), [{"n": n} for n in items])
        return list(items)

    became = _run_all(engine, acts, range(20))
    assert isinstance(became.pop(13), ValueError)
    assert became == {n: n for n in range(20) if n != 13}
    assert _count(engine) == 19


def test_the_row_is_there_when_the_answer_is(engine):
    def acts(connection, items):
        connection.execute(insert(numbers), [{"n": n} for n in items])
        return list(items)

    for n in range(5):
        together.write(engine, acts, n)
        assert _count(engine) == n + 1
    with pytest.raises(IntegrityError):
        together.write(engine, acts, 3)
    together.write(engine, acts, 99)
    assert _count(engine) == 6


def test_a_failed_commit_is_told_to_everybody_and_nothing_stands(engine, monkeypatch):
    def acts(connection, items):
        connection.execute(insert(numbers), [{"n": n} for n in items])
        return list(items)

    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", lambda connection: (_ for _ in ()).throw(OSError("no power")))
        became = _run_all(engine, acts, range(4))
    assert all(isinstance(one, OSError) for one in became.values()) and len(became) == 4
    assert _count(engine) == 0
    assert _run_all(engine, acts, range(4)) == {n: n for n in range(4)}


def test_a_connection_that_broke_while_it_was_kept_is_nobodys_fault(engine):
    def acts(connection, items):
        connection.execute(insert(numbers), [{"n": n} for n in items])
        return items

    assert together.write(engine, acts, 1) == 1
    together._rounds[engine]._kept.connection.dbapi_connection.close()
    assert together.write(engine, acts, 2) == 2 and _count(engine) == 2


def test_an_engine_that_is_disposed_of_leaves_no_connection_open(engine):
    together.write(engine, lambda connection, items: items, 1)
    assert engine.pool.checkedout() == 1
    engine.dispose()
    assert together._rounds[engine]._kept is None
