"""The index of patients' names: rows of (site, form, kind, patient) that a search begins with.

The promise: whoever enters a patient calls ``enter`` in the same transaction (hub.storage.patients), so that a name is found
from the moment it stands. A pattern that begins with a literal costs as much as it has hits.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, false, insert, literal_column, or_, select
from sqlalchemy.sql.selectable import GenerativeSelect
from sqlalchemy.sql.util import ClauseAdapter

from hub import rulebook
from hub.model import name_search
from hub.model.name_search import FUZZY, INITIALS, LITERAL, SOUNDED, SOUNDED_LATER, WRITTEN, WRITTEN_LATER
from hub.model.names import NameRules, is_hanzi
from hub.storage.tables import patient_name, site, study

LAST = "\U0010ffff"      # sorts after every other character
_FORM, _KIND = patient_name.c.form, patient_name.c.kind


def enter(connection: Connection, patient_id: int, site_id: int, *names: str) -> None:
    """Makes a patient findable under these names, and under no others."""
    connection.execute(delete(patient_name).where(patient_name.c.patient_id == patient_id))
    rows = [{"site_id": site_id, "form": form, "kind": kind, "patient_id": patient_id} for form, kind in name_search.forms(names, _rules())]
    if rows:
        connection.execute(insert(patient_name), rows)


@dataclass(frozen=True)
class Looks:
    """What is asked of names: of one of ``values`` every component group must fit in one of its ways, each a condition on one
    row of the index. ``site_id``: whose patients (None: every site's)."""

    values: list[list[list[ColumnElement]]]
    site_id: int | None

    def patients(self) -> GenerativeSelect:
        """The ids of those who fit, one look for each way: of ways joined by OR, SQLite would read a site's names from end to end."""
        return _all([select(patient_name.c.patient_id).where(*asked) for asked in self._asked()])

    def studies(self) -> GenerativeSelect:
        """The ids of their studies, found one after the other, some perhaps more than once."""
        return _all([select(study.c.id).join_from(patient_name, study, study.c.patient_id == patient_name.c.patient_id).where(*asked) for asked in self._asked()])

    def _asked(self) -> Iterator[list[ColumnElement]]:
        sites = patient_name.c.site_id.in_(select(site.c.id)) if self.site_id is None else patient_name.c.site_id == self.site_id
        for groups in self.values:
            others = [self._has(ways, patient_name.c.patient_id) for ways in groups[1:]]
            yield from ([sites, way, *others] for way in groups[0])

    def fits(self, owner: ColumnElement) -> ColumnElement:
        """That the patient in the column ``owner`` fits: where that is asked of one patient after the other."""
        return or_(*(and_(*(self._has(ways, owner) for ways in groups)) for groups in self.values))

    @staticmethod
    def _has(ways: list[ColumnElement], owner: ColumnElement) -> ColumnElement:
        # Another name for the table, for a look into the same index beside it.
        other = patient_name.alias()
        return some(owner, other.c.patient_id == owner, ClauseAdapter(other).traverse(or_(*ways)))


def like_one_of(values: tuple[str, ...], site_id: int | None, likeness: str) -> Looks:
    """Names that fit one of some DICOM patterns (``*`` and ``?``; PS3.4 C.2.2.2). ``likeness``: one of hub.model.name_search."""
    return Looks([[_ways(group, likeness) for group in name_search.groups(value)] or [[_FORM >= ""]] for value in values], site_id)


def beginning(text: str, site_id: int | None) -> Looks:
    """Names that begin so, from any of their characters, syllables or words on, written, sounded or in initials."""
    groups = [_begun(plain) for group in name_search.groups(text) if (plain := group.replace("*", "").replace("?", ""))]
    return Looks([groups or [[false()]]], site_id)


def some(owner: ColumnElement, *asked: ColumnElement) -> ColumnElement:
    """That a row is there for the owner's row: looked for row by row. The offset keeps PostgreSQL from gathering all such rows first."""
    return exists(select(literal_column("1")).where(*asked).offset(0).correlate(owner.table))


def _all(looks: list[Select]) -> GenerativeSelect:
    return looks[0].union_all(*looks[1:]) if len(looks) > 1 else looks[0]


def begins(column: ColumnElement, text: str) -> ColumnElement:
    """That a text begins with another, as a range that an index answers (columns sorted by their bytes)."""
    return and_(column >= text, column < text + LAST)


def like(column: ColumnElement, pattern: str) -> ColumnElement:
    """That a text fits a DICOM pattern, whose letters stand for themselves but for ``*`` and ``?``."""
    if "*" not in pattern and "?" not in pattern:
        return column == pattern
    head = pattern[:min(at for at in (pattern.find("*"), pattern.find("?")) if at >= 0)]
    if head and pattern == f"{head}*":
        return begins(column, head)
    fits = column.ilike(_as_like(pattern), escape="\\")
    return begins(column, head) & fits if head else fits


def _ways(group: str, likeness: str) -> list[ColumnElement]:
    if likeness == FUZZY and "*" not in group and "?" not in group:
        return _begun(group)
    ways = [_like(name_search.folded(group, _rules()), WRITTEN, WRITTEN_LATER)]
    if likeness != LITERAL:
        ways += [_like(sound, SOUNDED, SOUNDED_LATER) for sound in name_search.sounds(group, _rules()) if sound.strip("*?")]
        ways += [like(_FORM, sound) & (_KIND == INITIALS) for sound in name_search.sounds(group, _rules())[:1] if sound.strip("*?")]
    return ways


def _begun(text: str) -> list[ColumnElement]:
    written = name_search.folded(text, _rules())
    ways = [begins(_FORM, written) & _KIND.in_((WRITTEN, WRITTEN_LATER))] if written else []
    ways += [begins(_FORM, sound) & _KIND.in_((SOUNDED, SOUNDED_LATER, INITIALS)) for sound in name_search.sounds(text, _rules())]
    return ways or [false()]


def _like(pattern: str, whole: int, later: int) -> ColumnElement:
    """A pattern that begins with ``*`` and a Chinese character is answered by the forms that begin there."""
    inside = pattern.lstrip("*")
    if inside != pattern and inside and is_hanzi(inside[0]):
        return like(_FORM, inside) & _KIND.in_((whole, later))
    return like(_FORM, pattern) & (_KIND == whole)


def _as_like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _rules() -> NameRules:
    return rulebook.load().identity.names
