"""The schema's history leads to the schema that the code believes in."""
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from hub.context import open_hub
from hub.flow import commitments, studies, worklist
from hub.flow.studies import Match
from hub.flow.worklist import Filters
from hub.model.access import Actor
from hub.settings import Settings
from hub.storage import migration
from hub.storage.tables import metadata


@pytest.fixture
def bare(tmp_path, databases):
    """A hub on a database without any table."""
    url = databases.new(tmp_path / "bare")
    hub = open_hub(Settings(data_dir=str(tmp_path / "bare"), database_url=url))
    yield hub
    hub.close()
    databases.drop(url)


def test_from_nothing_to_the_newest_step_there_is_no_difference_to_the_tables(bare):
    migration.migrate(bare.engine)
    with bare.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []


def test_a_second_migration_does_nothing(bare):
    assert migration.current(bare.engine)[0] is None
    migration.migrate(bare.engine)
    at, newest = migration.current(bare.engine)
    assert at == newest is not None
    migration.migrate(bare.engine)
    assert migration.current(bare.engine) == (at, newest)


def test_all_tables_are_made(bare):
    migration.migrate(bare.engine)
    assert set(inspect(bare.engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_the_engine_is_set_to_survive_a_power_cut(bare):
    if bare.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL is configured by its administrator")
    with bare.engine.connect() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}      # 2: FULL


def _put(connection, table: str, **values) -> None:
    connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(':' + name for name in values)})"), values)


def test_what_followed_the_first_late_object_is_late_too(bare):
    """0017 marked that one alone."""
    command.upgrade(migration.configuration(bare.engine), "0017")

    def at(minute: int) -> str:
        return f"2026-05-04 00:{minute}:00.000000" if bare.engine.dialect.name == "sqlite" else f"2026-05-04T00:{minute}:00+00:00"
    with bare.writing() as connection:
        _put(connection, "site", id=1, code="QS", name="青山", level="", phone="", language="zh", active=True, created_at=at(10))
        _put(connection, "patient", id=7, site_id=1, identity_key="P1", patient_id="P1", name="王小明", name_as_sent="王^小明", name_unsure=False, sex="M", birth_date="", age="",
             created_at=at(10))
        for study_id, lates in ((3, (False, True, False)), (4, (False, False))):
            _put(connection, "study", id=study_id, study_uid=f"1.2.{study_id}", kind="image", site_id=1, patient_id=7, modality="CT", body_part="", description="", accession_number="",
                 study_at="", institution="", device_model="", state="ready", urgency="routine", summary="", instances=len(lates), late=int(any(lates)), association_open=False,
                 proof="{}", problems="[]", flags="{}", generation=1, received_at=at(10), last_received_at=at(19))
            _put(connection, "series", id=study_id, study_id=study_id, series_uid=f"1.2.{study_id}.1", modality="CT", description="", body_part="")
            for number, late in enumerate(lates):
                _put(connection, "instance", series_id=study_id, study_id=study_id, sop_uid=f"1.2.{study_id}.1.{number}", sop_class="1.2", transfer_syntax="1.2", format="dicom",
                     sha256=f"{study_id}{number}", size=1, files="[]", declared="{}", frames=1, orientation="", late=late, calling="", notes="[]", received_at=at(10 + number))
    migration.migrate(bare.engine)
    with bare.reading() as connection:
        assert [tuple(row) for row in connection.execute(text("SELECT study_id, late FROM instance ORDER BY sop_uid"))] == [(3, False), (3, True), (3, True), (4, False), (4, False)]
        assert [tuple(row) for row in connection.execute(text("SELECT late, resent FROM study ORDER BY id"))] == [(2, 0), (0, 0)]


def test_what_was_there_before_searches_had_an_index_is_found_after_it(bare):
    """0007 knew neither forms of names nor what a reading repeats of its study."""
    command.upgrade(migration.configuration(bare.engine), "0007")
    now = "2026-05-04 00:30:00.000000" if bare.engine.dialect.name == "sqlite" else "2026-05-04T00:30:00+00:00"
    rows = {
        "site": dict(id=1, code="QS", name="青山", level="", phone="", language="zh", active=True, created_at=now),
        "patient": dict(id=7, site_id=1, identity_key="P1", patient_id="P1", name="王小明", name_as_sent="王^小明", name_unsure=False, sex="M", birth_date="", age="", created_at=now),
        "study": dict(id=3, study_uid="1.2.3", kind="image", site_id=1, patient_id=7, modality="CT", body_part="", description="", accession_number="", study_at="", institution="",
                      device_model="", state="ready", urgency="routine", summary="", instances=1, late=0, association_open=False, proof="{}", problems="[]", flags="{}", generation=1,
                      received_at=now, last_received_at=now),
        "reading": dict(id=5, study_id=3, state="queued", rank=2, deadline_at=now, queued_at=now, bounce_reason="", amend_reason="", late_images=False, version=0, changed_at=now)}
    with bare.writing() as connection:
        for table, values in rows.items():
            _put(connection, table, **values)
    migration.migrate(bare.engine)
    reader = Actor(1, "陈", "reader")
    for typed in ("小明", "wangxiao", "wxm"):
        assert [row.id for row in worklist.listed(bare, reader, Filters(text=typed))[0]] == [5], typed
    (row,) = worklist.listed(bare, reader, Filters(modality="CT", site_id=1))[0]
    assert (row.patient_id, row.site_id, row.modality, row.patient_name) == (7, 1, "CT", "王小明")
    assert [row.id for row in studies.matching(bare, reader, "study", [Match("patient_name", ("王*",))], 10)] == [3]
    with bare.reading() as connection:
        assert [tuple(row) for row in connection.execute(text(
            "SELECT patient.head, patient.sound, study.head, reading.head, reading.sound FROM patient, study, reading"))] == [("王", "wang", "王", "王", "wang")]


def test_a_storage_commitment_that_was_given_up_before_there_was_a_desk_is_on_it(bare):
    """0020 knew neither who held one nor when it was asked, and kept nothing of what was given up."""
    command.upgrade(migration.configuration(bare.engine), "0020")
    now = "2026-05-04 00:30:00.000000" if bare.engine.dialect.name == "sqlite" else "2026-05-04T00:30:00+00:00"
    with bare.writing() as connection:
        _put(connection, "site", id=1, code="QS", name="青山", level="", phone="", language="zh", active=True, created_at=now)
        _put(connection, "commitment", id=4, transaction_uid="1.2.3", site_id=1, device_name="CT", address="", ae_title="QS_CT", named="{}", count=312, state="overdue",
             attempts=49, error="", created_at=now, due_at=now)
    migration.migrate(bare.engine)
    ([row], total) = commitments.listed(bare, Actor(1, "管理员", "administrator"), commitments.OPEN)
    assert (row.id, row.count, row.asked_at, row.created_at, bool(row.may_call), total) == (4, 312, datetime(2026, 5, 4, 0, 30, tzinfo=UTC), row.asked_at, False, 1)
