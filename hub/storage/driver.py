"""Statements by the database's driver itself, for what happens with every object, every frame and every row of a long list: there
SQLAlchemy's way costs several times the statement. The texts are SQLAlchemy's, made once for each statement and database.
"""
from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache, lru_cache, partial
from typing import NamedTuple

from sqlalchemy import JSON, ColumnElement, Connection, Dialect, Engine, Float, Insert, Select, Table, Update, bindparam, insert
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.types import TypeEngine

from hub.storage.faults import named

IDS_AT_ONCE = (1, 10, 25, 60, 120, 300, 600)      # in small steps: parameters to spare cost PostgreSQL dearly
NOBODY = -1           # an id that no row has
STATEMENTS = 500      # whose text is kept
_scan = json.JSONDecoder().scan_once      # without the layers of json.loads


def loads(text: object) -> object:
    """JSON that the hub wrote, from a row: most of it is empty, in lists of many rows. NULL, and a number, which SQLite keeps as one, is what it is."""
    return [] if text == "[]" else {} if text == "{}" else _scan(text, 0)[0] if isinstance(text, str) else text


def first_row(engine: Engine, statement: Select, values: dict) -> tuple | None:
    """The first row of one statement by the driver itself, its columns as the database keeps them: for what is asked with
    every frame, where SQLAlchemy's way costs several times the statement."""
    written, dbapi = _written(statement, engine.dialect), engine.dialect.loaded_dbapi
    try:
        with closing(engine.raw_connection()) as held, closing(held.cursor()) as cursor:
            cursor.execute(written.sql, written.given(values))
            return cursor.fetchone()
    except dbapi.Error as error:
        fault = DBAPIError.instance(written.sql, None, error, dbapi.Error, dialect=engine.dialect)
        raise (named(fault) if isinstance(fault, (OperationalError, DataError)) else fault) from error


def first(engine: Engine, statement: Select, values: dict) -> NamedTuple | None:
    """The first row of one statement by the driver itself, as ``first_row``; named, its values as SQLAlchemy gives them."""
    found = first_row(engine, statement, values)
    return None if found is None else _shaped_row(statement, engine.dialect, found)


def one_or_none(connection: Connection, statement: Select, values: dict) -> NamedTuple | None:
    """As ``first``, of a statement that finds one row at most, in the transaction of ``connection``."""
    found = fetched(connection, statement, values)
    return _shaped_row(statement, connection.dialect, found[0]) if found else None


def _shaped_row(statement: Select, dialect: Dialect, found: tuple) -> NamedTuple:
    row, readers = _shaped(statement, dialect)
    return row(*[value if read is None else read(value) for read, value in zip(readers, found, strict=True)])


@lru_cache(maxsize=64)
def _shaped(statement: Select, dialect: Dialect) -> tuple[type, list]:
    """A class for the rows of a statement, and what turns each column from the driver's form into SQLAlchemy's."""
    columns = list(statement.selected_columns)
    return namedtuple("Row", [one.key for one in columns]), [_reader(one.type, dialect) for one in columns]


def _reader(kind: TypeEngine, dialect: Dialect) -> Callable | None:
    if isinstance(kind, JSON) and dialect.name == "sqlite":
        return loads                # SQLAlchemy's own has two layers more
    return None if isinstance(kind, Float) else kind.dialect_impl(dialect).result_processor(dialect, None)


def fetched(connection: Connection, statement: Select | Insert | Update, values: dict) -> list[tuple]:
    """All rows that one statement finds, or returns of what it wrote, by the driver itself, their columns as the database keeps them,
    in the transaction of ``connection``; by SQLAlchemy where the statement has lists among its parameters."""
    written = _written(statement, connection.dialect)
    if not written.is_fixed:
        return list(connection.execute(statement, values))
    with cursor_of(connection, written.sql) as cursor:
        cursor.execute(written.sql, written.given(values))
        return cursor.fetchall()


@contextmanager
def cursor_of(connection: Connection, sql: str) -> Iterator:
    """A cursor of the driver for a statement, in the transaction of ``connection``; faults come out as SQLAlchemy names them."""
    dialect = connection.dialect
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(sql, None, error, dialect.loaded_dbapi.Error, dialect=dialect) from error
    finally:
        cursor.close()


def put(connection: Connection, table: Table, row: dict) -> int:
    """Inserts one row by the driver itself, in the transaction of ``connection``, and returns its id: for what is written with every
    arrival. Columns that ``row`` does not name get their defaults, as SQLAlchemy would give them."""
    entry = _entry(table, tuple(row), connection.dialect)
    found, = fetched(connection, entry.statement, entry.values(row))
    return found[0]


def put_all(connection: Connection, table: Table, rows: Sequence[dict]) -> None:
    """As ``put`` for rows that name the same columns."""
    for row in rows:
        put(connection, table, row)


def fetched_of(connection: Connection, statement: Callable[[int], Select], ids: Sequence[int]) -> list[tuple]:
    """As ``fetched``, about some ids. ``statement``: makes, and keeps, the statement that asks for as many as it is told with
    ``some_ids``; for few numbers of them only: what is missing is filled up with the last one."""
    found = []
    for start in range(0, len(ids), IDS_AT_ONCE[-1]):
        most, values = given_ids(ids[start:start + IDS_AT_ONCE[-1]])
        found += fetched(connection, statement(most), values)
    return found


def rows_of(connection: Connection, statement: Callable[[int], Select], ids: Sequence[int]) -> list[NamedTuple]:
    """The rows of ``fetched_of``, whose first column is the id, in the order of the ids; named, their values as SQLAlchemy gives them."""
    found = fetched_of(connection, statement, ids)
    row, readers = _shaped(statement(IDS_AT_ONCE[0]), connection.dialect)
    columns = [column if read is None else map(read, column) for read, column in zip(readers, zip(*found))]      # one after the other: a loop over rows costs more
    rows = {one[0]: one for one in map(partial(tuple.__new__, row), zip(*columns))}
    return [rows[one] for one in ids if one in rows]


def given_ids(ids: Sequence[int]) -> tuple[int, dict]:
    """How many ``some_ids`` has to be told for these, of few such numbers, and the values of its parameters. At most the last of ``IDS_AT_ONCE``."""
    most = next(number for number in IDS_AT_ONCE if number >= len(ids))
    return most, dict(zip(_names(most), [*ids, *(ids[-1:] or [NOBODY]) * (most - len(ids))], strict=True))


def some_ids(column: ColumnElement, most: int) -> ColumnElement:
    """That a column is one of the ids of ``given_ids``."""
    return column.in_([bindparam(name, type_=column.type) for name in _names(most)])


@cache
def _names(most: int) -> list[str]:
    return [f"id{place}" for place in range(most)]


class _Entry(NamedTuple):
    """How rows are put into a table. ``defaults``: of the columns that they do not name; ``writers``: what turns a column's value into
    the driver's form, where that is anything."""

    statement: Insert
    defaults: dict
    writers: dict

    def values(self, row: dict) -> dict:
        whole = {**self.defaults, **row}
        for name, write in self.writers.items():
            whole[name] = write(whole[name])
        return whole


@lru_cache(maxsize=STATEMENTS)
def writers(table: Table, dialect: Dialect) -> dict[str, Callable]:
    """What turns a column's value into the driver's form, by the column's name, where that is anything."""
    return {one.name: write for one in table.columns if (write := one.type.dialect_impl(dialect).bind_processor(dialect)) is not None}


@lru_cache(maxsize=STATEMENTS)
def _entry(table: Table, names: tuple[str, ...], dialect: Dialect) -> _Entry:
    defaults = {one.name: one.default.arg for one in table.columns if one.name not in names and one.default is not None and one.default.is_scalar}
    chosen = [table.c[name] for name in (*names, *defaults)]
    known = writers(table, dialect)
    statement = insert(table).values({one.name: bindparam(one.name, type_=one.type) for one in chosen}).returning(*table.primary_key)
    return _Entry(statement, defaults, {one.name: known[one.name] for one in chosen if one.name in known})


class _Written(NamedTuple):
    """A statement as the driver takes it. ``names``: of its parameters in order, where the driver takes them by place;
    ``own``: those whose values are part of the statement; ``is_fixed``: whether the text is the same for all values."""

    sql: str
    names: list[str] | None
    own: dict
    is_fixed: bool

    def given(self, values: dict) -> dict | list:
        named = self.own | values
        return named if self.names is None else list(map(named.__getitem__, self.names))


@lru_cache(maxsize=STATEMENTS)
def _written(statement: Select | Insert | Update, dialect: Dialect) -> _Written:
    compiled = statement.compile(dialect=dialect)
    return _Written(str(compiled), compiled.positiontup if compiled.positional else None, dict(compiled.params), not compiled.post_compile_params)
