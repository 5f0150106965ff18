"""What the hub knows of patient rows, in the shape that the matching compares, and which rows are worth comparing."""
from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import date

from sqlalchemy import Connection, bindparam, select

from hub.model import names, resident_id
from hub.model.identifiers import ADDRESS, CERTAIN, HOSPITAL, INSURANCE, MISTYPED, OLD, PHONE, RESIDENT_ID
from hub.model.matching import Known
from hub.rulebook import IdentityRules
from hub.storage.tables import patient, patient_identifier, patient_index, person_link

AT_ONCE = 1000        # ids in one statement
YEARS_BY_AGE = 2      # a declared age may be off, counted by another calendar or told with last year's study
MOST_ALIKE = 200      # rows that share one weak fact are compared: the newest, so that a name borne by thousands stays quick


_NUMBERS = select(patient_identifier).where(patient_identifier.c.patient_id.in_(bindparam("ids", expanding=True)))
_ROWS = select(patient).where(patient.c.id.in_(bindparam("ids", expanding=True)))
_PERSON_OF = select(person_link.c.person_id).where(person_link.c.patient_id == bindparam("patient_id"), person_link.c.ended_at.is_(None))
_MEMBERS = select(person_link.c.patient_id).where(
    person_link.c.person_id.in_(_PERSON_OF.scalar_subquery()), person_link.c.ended_at.is_(None)).order_by(person_link.c.patient_id)

_LINK, _OTHER = person_link.alias(), person_link.alias()
_MEMBERS_OF = select(_LINK.c.patient_id, _OTHER.c.patient_id).join(_OTHER, _OTHER.c.person_id == _LINK.c.person_id).where(
    _LINK.c.patient_id.in_(bindparam("ids", expanding=True)), _LINK.c.ended_at.is_(None), _OTHER.c.ended_at.is_(None))

_USABLE = select(patient_index.c.patient_id).where(patient_index.c.is_usable)
_NEWEST = _USABLE.order_by(patient_index.c.patient_id.desc()).limit(MOST_ALIKE)
_NUMBERED = _NEWEST.join(patient_identifier, patient_identifier.c.patient_id == patient_index.c.patient_id).where(
    patient_identifier.c.kind == bindparam("kind"), patient_identifier.c.value.in_(bindparam("values", expanding=True)))
_BORN = patient_index.c.birth_date == bindparam("birth_date")
_NAMED = patient_index.c.folded == bindparam("folded")
_SPELT = patient_index.c.pinyin.in_(bindparam("spellings", expanding=True))
_BORN_ALIKE = _NEWEST.where(_BORN, patient_index.c.pinyin.startswith(bindparam("begins")))


def load(connection: Connection, rules: IdentityRules, patient_ids: Iterable[int]) -> dict[int, Known]:
    """The rows with these ids, with all their identifiers."""
    wanted = {"ids": list(patient_ids)}
    numbers: dict[int, list] = defaultdict(list)
    for row in connection.execute(_NUMBERS, wanted):
        numbers[row.patient_id].append(row)
    return {row.id: _known(row, numbers[row.id], rules) for row in connection.execute(_ROWS, wanted)}


def members(connection: Connection, patient_id: int) -> list[int]:
    """The rows that are one person with this one, itself among them, in order."""
    return list(connection.scalars(_MEMBERS, {"patient_id": patient_id})) or [patient_id]


def members_of(connection: Connection, patient_ids: Collection[int]) -> dict[int, set[int]]:
    """By row, the rows that are one person with it, itself among them."""
    found = {patient_id: {patient_id} for patient_id in patient_ids}
    for ids in batched(found):
        for patient_id, member_id in connection.execute(_MEMBERS_OF, {"ids": ids}):
            found[patient_id].add(member_id)
    return found


def batched(ids: Iterable) -> Iterator[list]:
    """As many ids or rows at a time as one statement takes."""
    every = list(ids)
    return (every[start:start + AT_ONCE] for start in range(0, len(every), AT_ONCE))


def candidates(connection: Connection, one: Known) -> set[int]:
    """The usable rows that share something with this one: a number, the name, its spelling, or surname and birth date."""
    found: set[int] = set()
    for kind, values in ((RESIDENT_ID, one.resident_ids | one.old_ids | one.mistyped_ids), (INSURANCE, one.insurance), (PHONE, one.phones),
                         (ADDRESS, one.addresses), (HOSPITAL, one.hospital)):
        if values:
            found.update(connection.scalars(_NUMBERED, {"kind": kind, "values": list(values)}))
    for fits, value in ((_NAMED, {"folded": one.name.folded}), (_SPELT, {"spellings": list(one.name.spellings)})):
        found.update(connection.scalars(_NEWEST.where(fits), value))
        if one.birth_date:
            found.update(connection.scalars(_USABLE.where(fits, _BORN), value | {"birth_date": one.birth_date}))
    if one.birth_date and one.name.pinyin:
        found.update(connection.scalars(_BORN_ALIKE, {"birth_date": one.birth_date, "begins": one.name.pinyin[:2]}))
    return found - {one.patient_id}


def _known(row, numbers: list, rules: IdentityRules) -> Known:
    def of(kind: str, verdict: str = "") -> frozenset[str]:
        return frozenset(one.value for one in numbers if one.kind == kind and (not verdict or one.verdict == verdict))

    certain = of(RESIDENT_ID, CERTAIN)
    apart = frozenset()
    if len(certain) == 1:
        card = resident_id.parse(next(iter(certain)))
        apart = frozenset(resident_id.contradictions(card, row.birth_date, row.sex))
        if not row.birth_date and (age := re.fullmatch(r"(\d{1,3})Y", row.age)):
            by_age = row.created_at.year - int(age[1])
            apart |= {"birth_date"} if abs(by_age - int(card.birth_date[:4])) > YEARS_BY_AGE else set()
    return Known(row.id, row.site_id, names.forms(row.name, rules.names), _day(row.birth_date), row.sex, certain, of(RESIDENT_ID, OLD), of(RESIDENT_ID, MISTYPED),
                 of(INSURANCE), of(HOSPITAL), of(PHONE), of(ADDRESS), apart)


def _day(written: str) -> str:
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        return ""
