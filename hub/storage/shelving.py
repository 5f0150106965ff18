"""Slices of a study that is being received, entered with hand-written SQL: the one hot place of the database.

What it promises is what ``hub.flow.intake`` promises; whatever is not plain (a new study or series, another patient,
a study that has closed, an instance that is known) is left to it, row by row. Three statements for all who wait, on
SQLite and PostgreSQL alike. No state is changed here: a slice that arrives at a receiving study leaves it receiving.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from hub.errors import Conflict
from hub.storage.driver import cursor_of, writers
from hub.storage.fitting import fitted
from hub.storage.tables import instance, study

_COLUMNS = tuple(column.name for column in instance.columns if column.name not in ("id", "copies"))


@dataclass(frozen=True)
class Shelf:
    """A series that is there, with what its study says of itself. ``patient``: ID, name, sex, birth date."""

    study_id: int
    series_id: int
    state: str
    site_id: int
    expected: int | None
    patient: tuple[str, str, str, str]


def shelves(connection: Connection, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Shelf]:
    """The series that are there, by (study UID, series UID), of studies that hold DICOM objects."""
    studies, series = list({study for study, _ in pairs}), list({series for _, series in pairs})
    mark = _mark(connection)
    sql = ("SELECT s.study_uid, r.series_uid, s.id, r.id, s.state, s.site_id, r.expected, p.patient_id, p.name, p.sex, p.birth_date"
           " FROM study s JOIN patient p ON p.id = COALESCE(s.sent_patient_id, s.patient_id) JOIN series r ON r.study_id = s.id"
           f" WHERE s.study_uid IN ({_marks(mark, studies)}) AND r.series_uid IN ({_marks(mark, series)}) AND s.holds_dicom")
    with cursor_of(connection, sql) as cursor:
        cursor.execute(sql, (*studies, *series))
        return {(row[0], row[1]): Shelf(*row[2:7], tuple(row[7:])) for row in cursor.fetchall()}


def enter(connection: Connection, rows: Sequence[dict]) -> list[int | None]:
    """Inserts instance rows, each a dict with every column but ``id`` and ``copies``; returns their ids, None for a known SOP UID."""
    write = writers(instance, connection.dialect)
    values = [tuple([write[name](row[name]) if name in write else row[name] for name in _COLUMNS]) for row in (fitted(instance, one) for one in rows)]
    mark = _mark(connection)
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    sql = f"INSERT INTO instance ({names}) VALUES ({_marks(mark, _COLUMNS)}) ON CONFLICT (sop_uid) DO NOTHING RETURNING id"
    with cursor_of(connection, sql) as cursor:
        if connection.dialect.name != "sqlite":
            cursor.executemany(sql, values, returning=True)
            ids = [cursor.fetchone()]
            while cursor.nextset():
                ids.append(cursor.fetchone())
        else:
            ids = [cursor.execute(sql, one).fetchone() for one in values]
    return [row and row[0] for row in ids]


def count(connection: Connection, shelf_of_each: Sequence[Shelf], first_state: str, now: datetime) -> None:
    """Adds the slices that were entered to their studies, as late where a study has left the ``first_state``. Conflict where a study
    is no longer in the state in which it was found."""
    mark, at = _mark(connection), writers(study, connection.dialect)["last_received_at"](now)
    sql = f"UPDATE study SET instances = instances + {mark}, late = late + {mark}, last_received_at = {mark} WHERE id = {mark} AND state = {mark}"
    with cursor_of(connection, sql) as cursor:
        for (study_id, state), more in Counter((shelf.study_id, shelf.state) for shelf in shelf_of_each).items():
            cursor.execute(sql, (more, 0 if state == first_state else more, at, study_id, state))
            if cursor.rowcount != 1:
                raise Conflict("somebody_was_first", "已被他人抢先处理，请刷新后再试。", "somebody else changed this study at the same moment; send again.")


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def _marks(mark: str, values: Sequence) -> str:
    return ", ".join([mark] * len(values))
