"""The database: one engine for SQLite (WAL, synchronous=FULL) or PostgreSQL, and its two ways in.

A write takes the write lock at its beginning, so that two writers queue instead of failing half-way. On
PostgreSQL an advisory lock does what BEGIN IMMEDIATE does on SQLite (docs/decisions/0004).
"""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from hub.storage.driver import loads
from hub.storage.faults import named

BUSY_TIMEOUT_S = 30
WRITE_LOCK = 4204802      # pg_advisory_xact_lock; any number that nobody else uses in this database


def connect(url: str) -> Engine:
    """An engine for ``url``. SQLite is set to survive a power cut: WAL with full synchronisation."""
    if not url.startswith("sqlite"):
        if url.startswith("postgresql://"):
            url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
        engine = create_engine(url, pool_pre_ping=True, pool_use_lifo=True, pool_size=10, max_overflow=30)

        @event.listens_for(engine, "begin")
        def _queue(connection):
            if connection.get_execution_options().get("hub_writes", False):
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")

        return engine
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=10, max_overflow=60, pool_use_lifo=True, json_deserializer=loads,      # the fewest page caches
                           pool_reset_on_return=None,                                   # see _end
                           connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None, "check_same_thread": False})

    @event.listens_for(engine, "reset")
    def _end(connection, _record, state):
        """What is returned to the pool has no transaction open; nearly always it ended before."""
        if connection.in_transaction:
            connection.rollback()

    @event.listens_for(engine, "connect")
    def _prepare(connection, _record):
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection):
        """By the driver itself: SQLAlchemy's own way costs more than the statement, with every object that arrives."""
        sql = "BEGIN IMMEDIATE" if connection.get_execution_options().get("hub_writes", False) else "BEGIN"
        try:
            connection.connection.dbapi_connection.execute(sql)
        except sqlite3.Error as error:
            raise DBAPIError.instance(sql, None, error, sqlite3.Error, dialect=connection.dialect) from error

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: all of it is on disk when the block ends, or nothing is."""
    with writer(engine) as connection, writing_on(connection):
        yield connection


def writer(engine: Engine) -> Connection:
    """A connection for transactions that write."""
    try:
        return engine.connect().execution_options(hub_writes=True)
    except OperationalError as error:
        raise named(error) from error


@contextmanager
def writing_on(connection: Connection) -> Iterator[Connection]:
    """As ``writing``, on a connection of ``writer`` that is kept."""
    try:
        with connection.begin():
            yield connection
    except (OperationalError, DataError) as error:
        raise named(error) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only looks: one consistent state from beginning to end."""
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection
    except (OperationalError, DataError) as error:
        raise named(error) from error


def refresh_statistics(engine: Engine) -> None:
    """Lets SQLite look again at what its indexes hold, in a bounded time; PostgreSQL does it by itself."""
    if engine.dialect.name == "sqlite":
        with writing(engine) as connection:
            connection.exec_driver_sql("PRAGMA analysis_limit=400")
            connection.exec_driver_sql("ANALYZE")       # PRAGMA optimize would look at what this very connection has asked for only
