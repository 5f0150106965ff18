"""The schema's history leads to the schema that the code believes in."""
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from hub.context import open_hub
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
