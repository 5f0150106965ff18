"""Statements by the driver itself: what SQLAlchemy would give, and nothing left open."""
from datetime import datetime

import pytest
from sqlalchemy import bindparam, func, insert, literal_column, select
from sqlalchemy.exc import DBAPIError, OperationalError

from hub import accounts
from hub.errors import OutOfSpace, Retryable
from hub.model.access import SYSTEM
from hub.storage import driver, shelving
from hub.storage.tables import account, instance, patient, patient_name, site, study
from tests.hub.arrivals import queued_ct, send, slice_facts
from tests.hub.storage.test_database import add_site


def test_the_first_row_by_the_driver_is_that_of_the_statement_and_leaves_nothing_open(empty_hub):
    with empty_hub.writing() as connection:
        for code in ("A", "B"):
            add_site(connection, empty_hub, code)
    wanted = select(site.c.id, func.coalesce(site.c.code, "none"), site.c.phone).where(site.c.code == bindparam("code"))
    with empty_hub.reading() as connection:
        assert tuple(driver.first_row(empty_hub.engine, wanted, {"code": "B"})) == tuple(connection.execute(wanted, {"code": "B"}).one())
    assert driver.first_row(empty_hub.engine, wanted, {"code": "C"}) is None
    assert empty_hub.engine.pool.checkedout() == 0
    with empty_hub.writing() as connection:
        add_site(connection, empty_hub, "C")
    assert driver.first_row(empty_hub.engine, wanted, {"code": "C"}) is not None, "the newest state is seen"


def test_a_row_by_the_driver_has_the_names_and_values_that_sqlalchemy_gives(empty_hub):
    accounts.create(empty_hub, SYSTEM, username="li", password="Right-horse-2026", display_name="李", role="reader")
    wanted = select(account, (account.c.id + 1).label("next")).where(account.c.username == bindparam("name"))
    with empty_hub.reading() as connection:
        truth = connection.execute(wanted, {"name": "li"}).one()
    found = driver.first(empty_hub.engine, wanted, {"name": "li"})
    assert found._asdict() == truth._asdict() and found.created_at.tzinfo is not None and found.active is True and found.locked_until is None
    assert driver.first(empty_hub.engine, wanted, {"name": "nobody"}) is None


def test_a_row_put_by_the_driver_is_the_row_that_sqlalchemy_inserts(empty_hub):
    now, shared = empty_hub.now(), {"kind": "image", "state": "receiving", "proof": {"心": [1, None]}, "problems": [], "flags": {}, "as_sent": None, "holds_dicom": True}
    with empty_hub.writing() as connection:
        add_site(connection, empty_hub, "A")
        site_id = connection.scalar(select(site.c.id))
        who = {"site_id": site_id, "identity_key": "k", "name": "王小明", "created_at": now}
        patient_id = driver.put(connection, patient, who)
        row = {**shared, "site_id": site_id, "patient_id": patient_id, "received_at": now, "last_received_at": now}
        own = driver.put(connection, study, {**row, "study_uid": "1.2.1"})
        other = connection.execute(insert(study).values(**row, study_uid="1.2.2")).inserted_primary_key[0]
        driver.put_all(connection, patient_name, [{"site_id": site_id, "form": form, "kind": 1, "patient_id": patient_id} for form in "ab"])
    with empty_hub.reading() as connection:
        mine, truth = (connection.execute(select(study).where(study.c.id == one)).one()._asdict() for one in (own, other))
        raw = [tuple(connection.exec_driver_sql(f"SELECT * FROM study WHERE study_uid = '{uid}'").one())[2:] for uid in ("1.2.1", "1.2.2")]
        found = driver.one_or_none(connection, select(study).where(study.c.study_uid == bindparam("uid")), {"uid": "1.2.1"})
        assert driver.one_or_none(connection, select(study.c.id).where(study.c.study_uid == bindparam("uid")), {"uid": "1.2.3"}) is None
        assert connection.scalar(select(func.count()).select_from(patient_name)) == 2
    assert found._asdict() == mine
    assert {**mine, "id": other, "study_uid": "1.2.2"} == truth and raw[0] == raw[1]


def test_a_slice_on_its_shelf_is_the_row_that_sqlalchemy_inserts(hub, county):
    study_id = send(hub, county.ct, slice_facts(1)).study_id
    with hub.writing() as connection:
        first = connection.execute(select(instance).where(instance.c.study_id == study_id)).one()._asdict()
        row = {name: value for name, value in first.items() if name not in ("id", "copies")} | {"notes": ["层", {"心": None}], "late": True, "position_mm": None}
        own, = shelving.enter(connection, [{**row, "sop_uid": "1.9.1"}])
        other = connection.execute(insert(instance).values({**row, "sop_uid": "1.9.2"})).inserted_primary_key[0]
        assert shelving.enter(connection, [{**row, "sop_uid": "1.9.1"}]) == [None]
    with hub.reading() as connection:
        mine, truth = (connection.execute(select(instance).where(instance.c.id == one)).one()._asdict() for one in (own, other))
        columns = ", ".join(f'"{name}"' for name in row if name != "sop_uid")
        raw = [tuple(connection.exec_driver_sql(f"SELECT {columns} FROM instance WHERE id = {one}").one()) for one in (own, other)]
    assert {**mine, "id": other, "sop_uid": "1.9.2"} == truth and raw[0] == raw[1]
    with pytest.raises(ValueError), hub.writing() as connection:
        shelving.enter(connection, [{**row, "sop_uid": "1.9.3", "received_at": datetime(2026, 5, 4)}])


def test_a_fault_of_the_driver_has_the_name_that_any_way_in_gives_it(empty_hub, monkeypatch):
    engine, faults = empty_hub.engine, empty_hub.engine.dialect.loaded_dbapi
    with pytest.raises(DBAPIError):
        driver.first_row(engine, select(literal_column("nothing_here").label("it")).select_from(site), {})
    assert engine.pool.checkedout() == 0
    for words, kind in (("database is locked", Retryable), ("disk I/O error", OutOfSpace), ("of another sort", OperationalError)):
        def refuse(words=words):
            raise faults.OperationalError(words)
        with monkeypatch.context() as patch, pytest.raises(kind):
            patch.setattr(engine, "raw_connection", refuse)
            driver.first_row(engine, select(site.c.id), {})


def test_rows_by_the_driver_are_those_that_sqlalchemy_gives_in_the_order_of_their_ids(hub, county, clock):
    for number in range(12):
        queued_ct(hub, county, clock, f"1.{number}")

    def of(most):
        return of_known.setdefault(most, select(instance, study.c.proof, study.c.ready_at, study.c.as_sent, study.c.association_open)
                                   .join(study, study.c.id == instance.c.study_id).where(driver.some_ids(instance.c.id, most)))
    of_known: dict = {}
    with hub.reading() as connection:
        wanted = {row.id: row for row in connection.execute(select(instance, study.c.proof, study.c.ready_at, study.c.as_sent, study.c.association_open)
                                                            .join(study, study.c.id == instance.c.study_id))}
        for ids in (list(wanted)[::-1], list(wanted)[3:5], [*wanted][:1], [], [10**9], [*wanted, 10**9]):
            found = driver.rows_of(connection, of, ids)
            assert [row._asdict() for row in found] == [wanted[one]._asdict() for one in ids if one in wanted]
            assert all(isinstance(row.received_at, datetime) and row.received_at.tzinfo and isinstance(row.late, bool) for row in found)
    assert len(wanted) >= 12
