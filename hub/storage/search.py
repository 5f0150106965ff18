"""Searching the index of studies, series and instances: each key of a query as SQL, the rarest of them first.

The promise: a search costs as much as it has hits, or as far as the newest ones lie apart, never the whole index:
where a key has few hits in its own index, they are looked up first and everything else is asked of them alone.
Planners guess that number, each in its own way; here it is counted, up to ``FEW``.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt

from sqlalchemy import ColumnElement, Connection, String, bindparam, func, or_, select, union
from sqlalchemy.sql.selectable import GenerativeSelect
from sqlalchemy.sql.util import ClauseAdapter

from hub.model.name_search import LITERAL
from hub.storage import names
from hub.storage.tables import instance, patient, series, study

FEW = 300
GATHERED = 3      # times the root of all studies: the studies of more patients are met one after the other


@dataclass(frozen=True)
class Match:
    """One key of a DICOM query (PS3.4 C.2.2.2): any of ``values``, in which ``*`` and ``?`` are wildcards, or a
    range from ``low`` to ``high`` ("" is open). ``field``: a name of FIELDS. Dates 2026-03-01, times 08:15:00.
    ``likeness``: of names, how they may fit (hub.model.name_search)."""

    field: str
    values: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    likeness: str = LITERAL


FIELDS = {
    "study_uid": study.c.study_uid, "accession_number": study.c.accession_number, "description": study.c.description,
    "institution": study.c.institution, "study_date": study.c.study_at, "study_time": func.substr(study.c.study_at, 12, 8),
    "patient_id": patient.c.patient_id, "patient_name": patient.c.name, "birth_date": patient.c.birth_date, "sex": patient.c.sex,
    "modalities_in_study": series.c.modality, "series_uid": series.c.series_uid, "modality": series.c.modality,
    "series_number": series.c.number, "series_description": series.c.description, "body_part": series.c.body_part,
    "sop_uid": instance.c.sop_uid, "sop_class": instance.c.sop_class, "instance_number": instance.c.number,
}
_OF_PATIENT = ("patient_id", "patient_name", "birth_date", "sex")
_OF_SERIES = ("series_uid", "modality", "series_number", "series_description", "body_part")
_OF_INSTANCE = ("sop_uid", "sop_class", "instance_number")
_NUMBERS = ("series_number", "instance_number")
# Keys with an index of their own, those that are rarest first.
_INDEXED = ("study_uid", "sop_uid", "series_uid", "accession_number", "patient_id", "patient_name", "study_date", "modalities_in_study", "modality")


@dataclass(frozen=True)
class Rare:
    """A key with few hits, and the ids of the studies that fit it, in order; those of other sites may be among them."""

    match: Match | None
    studies: list[int]


@dataclass(frozen=True)
class Found:
    """What restricts a list of rows to those of some studies. ``is_gathered``: their ids are looked up first, so that the list
    must not be read in its order from end to end to find them."""

    condition: ColumnElement
    is_gathered: bool


def conditions(connection: Connection, level: str, matches: list[Match], site_id: int | None, rare: Rare) -> list[ColumnElement]:
    """All ``matches`` as conditions on study, patient, series and instance, of one site or of all (None).

    ``level``: "patient", "study", "series" or "instance"; keys of a level below it are looked for there. ``rare``: as ``rarest``
    found it.
    """
    key, few = rare.match, rare.studies
    is_settled = key is not None and (level in ("patient", "study") or key.field not in _OF_SERIES + _OF_INSTANCE)
    asked = [_condition(level, match, site_id) for match in matches if not (match is key and is_settled)]
    if key is not None:
        asked.append(study.c.id.in_(few))
    for match in matches if key is None else ():
        if match.field == "patient_name":
            whose = _fits(match, site_id)
            asked += [study.c.patient_id.in_(whose.patients())] if _are_gathered(connection, whose) else []
    if site_id is not None:
        asked.append(study.c.site_id == site_id)
    return asked


def few_of(connection: Connection, ids: GenerativeSelect, most: int = FEW, values: dict | None = None) -> list[int] | None:
    """The ids that a select with these values gives, in order, or None where there are more than ``most``."""
    found = connection.scalars(ids.limit(most + 1), values or {}).all()
    return sorted(set(found)) if len(found) <= most else None


def beginning(connection: Connection, text: str, study_id: ColumnElement, patient_id: ColumnElement, site_id: int | None = None) -> Found:
    """That the columns name a study and patient whose name, patient number or accession number begins with ``text`` (of names:
    with any part of it, see hub.model.name_search)."""
    written = text.strip()
    whose, cased = names.beginning(written, site_id), {"text": written, "upper": written.upper(), "lower": written.lower()}
    named, numbered = few_of(connection, whose.studies()), few_of(connection, _numbered(), FEW, cased)
    if named is not None and numbered is not None:
        return Found(study_id.in_(sorted({*named, *numbered})), True)
    if numbered is None:
        of_one, of_patient = study.alias(), patient.alias()
        own_number = or_(*(names.begins(number, one) for number in (of_patient.c.patient_id, of_one.c.accession_number) for one in set(cased.values())))
        also = names.some(study_id, of_one.c.id == study_id, of_patient.c.id == of_one.c.patient_id, own_number)
        return Found(or_(whose.fits(patient_id), also), False)
    is_gathered = _are_gathered(connection, whose)
    fits = patient_id.in_(whose.patients()) if is_gathered else whose.fits(patient_id)
    return Found(or_(fits, study_id.in_(numbered)) if numbered else fits, is_gathered)


def _are_gathered(connection: Connection, whose: names.Looks) -> bool:
    """Whether these patients' studies are sooner looked up than met one after the other among the newest: of h hits among n
    studies, the first costs h looks, the second about n/h for each row shown."""
    most = int(GATHERED * sqrt(connection.scalar(_NEWEST) or 0))
    return connection.scalar(select(func.count()).select_from(whose.patients().limit(most + 1).subquery())) <= most


@cache
def _numbered() -> GenerativeSelect:
    """The ids of studies whose patient number or accession number begins with ``text``, ``upper`` or ``lower``."""
    cased = [bindparam(name, type_=String) for name in ("text", "upper", "lower")]
    numbered = select(patient.c.id).where(or_(*(names.begins(patient.c.patient_id, one) for one in cased)))
    ordered = or_(*(names.begins(study.c.accession_number, one) for one in cased))
    return union(select(study.c.id).where(study.c.patient_id.in_(numbered)), select(study.c.id).where(ordered))


def rarest(connection: Connection, matches: list[Match], site_id: int | None) -> Rare:
    """The first key with few hits; None where every key has many."""
    for match in sorted((m for m in matches if m.field in _INDEXED), key=lambda m: _INDEXED.index(m.field)):
        fits, column = _fits(match, site_id), FIELDS[match.field]
        if match.field in _OF_PATIENT:
            own = [study.c.site_id == site_id] if site_id is not None else []
            ids = fits.studies() if match.field == "patient_name" else select(study.c.id).where(study.c.patient_id.in_(select(patient.c.id).where(fits)), *own)
        elif column.table is study:
            own = [study.c.site_id == site_id] if site_id is not None else []
            ids = select(study.c.id).where(fits, *own)
        else:
            ids = select(column.table.c.study_id).where(fits)
        found = few_of(connection, ids)
        if found is not None:
            return Rare(match, found)
    return Rare(None, [])


def _condition(level: str, match: Match, site_id: int | None) -> ColumnElement:
    """A match as SQL. What belongs to a level below the one asked for is looked for there."""
    fits, name = _fits(match, site_id), match.field
    if name == "patient_name":
        return fits.fits(study.c.patient_id)
    if name in _OF_PATIENT:
        return _some(patient, patient.alias(), fits, "id", study.c.patient_id)
    if name == "modalities_in_study" or (level in ("patient", "study") and name in _OF_SERIES):
        return _some(series, series.alias(), fits, "study_id", study.c.id)
    if level in ("patient", "study") and name in _OF_INSTANCE:
        return _some(instance, instance.alias(), fits, "study_id", study.c.id)
    if level == "series" and name in _OF_INSTANCE:
        return _some(instance, instance.alias(), fits, "series_id", series.c.id)
    return fits


def _some(table, inner, fits: ColumnElement, reference: str, owner) -> ColumnElement:
    """That one of the owner's rows below fits."""
    return names.some(owner, inner.c[reference] == owner, ClauseAdapter(inner).traverse(fits))


def _fits(match: Match, site_id: int | None):
    """What one key asks of its own column; of names, the looks into their index."""
    column, name = FIELDS[match.field], match.field
    if name == "patient_name":
        return names.like_one_of(match.values, site_id, match.likeness)
    if match.values and name in _NUMBERS:
        return column.in_([int(value) for value in match.values])
    if match.values:
        wanted = [part for value in match.values for part in value.split("\\")]
        plain = [part for part in wanted if "*" not in part and "?" not in part]
        fits = [column.in_(plain)] if plain else []
        return or_(*fits, *(names.like(column, part) for part in wanted if part not in plain))
    low = column >= match.low if match.low else column != ""
    if not match.high:
        return low
    return low & (column <= match.high + names.LAST if name == "study_date" else column <= match.high)


_NEWEST = select(func.max(study.c.id))
