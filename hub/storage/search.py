"""Searching the index of studies, series and instances: each key of a query as SQL, the rarest of them first.

The promise: a search costs as much as it has hits, or as far as the newest ones lie apart, never the whole index:
where a key has few hits in its own index, they are looked up first and everything else is asked of them alone.
Planners guess that number, each in its own way; here it is counted, up to ``FEW``. Questions of one shape are one
statement: texts and numbers are parameters, so that a statement is built once.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, String, and_, bindparam, func, literal_column, or_, select, true, tuple_, union, union_all
from sqlalchemy.sql.selectable import GenerativeSelect
from sqlalchemy.sql.util import ClauseAdapter

from hub.model.name_search import BESIDE, FUZZY, IN_LATIN
from hub.storage import driver, names, referrers
from hub.storage.names import Looks
from hub.storage.question import FIELDS, INDEXED, NUMBERS, OF_INSTANCE, OF_PATIENT, OF_SERIES, Key, Match, Question
from hub.storage.tables import IS_REFERRED, instance, patient, series, study

FEW, AT_SIGHT = 300, 60      # twice FEW ids are given at once (driver.IDS_AT_ONCE)
GATHERED = 6      # times the root of all studies: of more patients the entries of a list are met one after the other
LOOKED_UP, LOOKED_UP_HEADED = 1.7, 0.5      # the same of studies; and where they are met among those alone whose name begins with the same character
NOTED = 15        # the same: so many patients are noted before, and only looked for among them with each study that is met
NEAR, NEAR_A_HIT = 20_000, 20      # studies that are met one after the other before their patients are gathered
HEADED = 10       # times as many, where those of other first characters are passed over
SHAPES = 500      # statements kept
_DAY = len("2026-03-01")


@dataclass(frozen=True)
class Found:
    """Rows of some studies, as a shape. ``how``: "gathered": they are looked up before all else; "met": a list is read in its order,
    and each row asked. ``listed``: with how many parameters those are given that are among them by their ids (hub.storage.driver.given_ids), 0: none are. ``looks``: those of these patients. ``numbers``: how
    many ways to write a number are asked of each row that is met."""

    how: str
    looks: Looks | None = None
    listed: int = 0
    numbers: int = 0

    def conditions(self, study_id: ColumnElement, patient_id: ColumnElement) -> list[ColumnElement]:
        """That the columns name a study and a patient that were found: in one of these ways."""
        asked = []
        if self.looks is not None:
            asked.append(patient_id.in_(self.looks.patients()) if self.how == "gathered" else self.looks.fits(patient_id))
        if self.listed:
            asked.append(driver.some_ids(study_id, self.listed))
        if self.numbers:
            of_one, of_patient = study.alias(), patient.alias()
            number = or_(*(_begins(column, name) for column in (of_patient.c.patient_id, of_one.c.accession_number) for name in _WRITTEN[:self.numbers]))
            asked.append(names.some(study_id, of_one.c.id == study_id, of_patient.c.id == of_one.c.patient_id, number))
        return asked


class Sought(NamedTuple):
    """What is looked for, and the values of its parameters."""

    found: Found
    values: dict


def question(connection: Connection, matches: list[Match], site_id: int | None, of_studies: bool = False) -> tuple[Question, dict, list[int] | None]:
    """What is asked of studies, patients, series and instances of one site or of all (None): its shape, the values of its parameters,
    and the ids of the few studies that fit its rarest key, in order, or None. Those of other sites may be among them.
    ``of_studies``: which studies fit is asked, not what lies below them."""
    keys, values = [], {} if site_id is None else {"site": site_id}
    for number, match in enumerate(matches):
        key, told = _key(match, site_id is not None, f"k{number}_")
        keys.append(key)
        values |= told
    asked = Question(tuple(keys), site_id is not None)
    if of_studies:
        asked, values = _headed(connection, asked, values)
        if len(keys) == 1 and (asked.is_whole or asked.leader is not None):      # however many they are, the newest of them are there
            return asked, values, None
    few = None
    for key in sorted((key for key in keys if key.field in INDEXED), key=lambda key: INDEXED.index(key.field)):
        if key.physicians is None:
            few = few_of(connection, _few(key, asked.at_site), values)
        elif key == asked.physician:
            asked, values, few = _referred(connection, asked, values)
        if few is not None:
            given, ids = driver.given_ids(few)
            return replace(asked, settled=keys.index(key), given=given, referred=0, headed=None, is_whole=False), values | ids, few
    if asked.referred:
        return asked, values, None
    root = sqrt(connection.scalar(_NEWEST) or 0)
    gathered, noted = [], []
    for place in asked.names:
        if place == asked.headed and asked.is_whole:
            continue
        few, most = (int(times * root) for times in (NOTED if not of_studies else LOOKED_UP if asked.headed is None else LOOKED_UP_HEADED, NOTED))
        borne_by = _counted(connection, keys[place].looks, values, most) if most > FEW else most + 1      # more studies than FEW were met already
        (gathered if borne_by <= few else noted if borne_by <= most else []).append(place)
    if asked.headed in gathered:
        asked = replace(asked, headed=None)
    return replace(asked, gathered=tuple(gathered), noted=tuple(noted)), values, None


def _referred(connection: Connection, asked: Question, values: dict) -> tuple[Question, dict, list[int] | None]:
    """The question with its physicians one by one, where they are not too many; and the ids of their studies where those are few."""
    found = driver.fetched(connection, _physicians(asked.physician), values | {"most": referrers.GIVEN[-1] + 1})
    if len(found) > referrers.GIVEN[-1]:
        return asked, values, None
    most, told = referrers.given(found)
    values |= told
    some = driver.fetched(connection, _few_referred(most, asked.dates), values | {"most": AT_SIGHT + 1, "start": 0}) if found else []
    return replace(asked, referred=most), values, sorted({one for one, in some}) if len(some) <= min(AT_SIGHT, FEW) else None      # more are merged as soon as looked up


@lru_cache(SHAPES)
def _physicians(key: Key) -> Select:
    return select(*key.physicians.physicians().subquery().c).distinct().limit(bindparam("most"))


def _headed(connection: Connection, asked: Question, values: dict) -> tuple[Question, dict]:
    """The question led by the first character of a name, where that leads to all studies that fit: no name that fits stands under
    another character, and no study under none."""
    place = asked.names[0] if len(asked.names) == 1 and not asked.at_site and not asked.by_date else None
    way = asked.keys[place].looks.plain if place is not None else None
    if way is None:
        return asked, values
    begins = values[way.name]
    headed = values | {"head": begins[0]}
    if driver.fetched(connection, _stands_elsewhere(asked.keys[place].looks), headed):
        return asked, values
    return replace(asked, headed=place, is_whole=way.how == "begins" and len(begins) == 1), headed


@lru_cache(SHAPES)
def _stands_elsewhere(looks: Looks) -> Select:
    """Somebody who fits under another character, or a study that does not say under which it stands or whether it holds DICOM objects."""
    beside = replace(looks, values=(((replace(looks.plain, kinds=(BESIDE,)),),),)).patients()
    untold = (study.c.head.is_(None), and_(study.c.head == bindparam("head"), study.c.holds_dicom.is_(None)))
    return union_all(*(found.limit(1).subquery().select() for found in (beside, *(select(study.c.id).where(one) for one in untold))))


def conditions(level: str, asked: Question) -> list[ColumnElement]:
    """A question as conditions on study, patient, series and instance. ``level``: "patient", "study", "series" or "instance"; keys of
    a level below it are looked for there."""
    told = []
    for place, key in enumerate(asked.keys):
        if level == "study" and key == asked.leader:
            told.append(_fits(key))
            continue
        if place == asked.headed and level == "study":
            told += [study.c.head == bindparam("head"), study.c.holds_dicom.is_(True)]
            if asked.is_whole:
                continue
        if place == asked.settled and (level in ("patient", "study") or key.field not in OF_SERIES + OF_INSTANCE):
            continue
        if level == "study" and asked.referred and key == asked.physician:      # see hub.storage.referrers.each
            continue
        theirs = study.c.patient_id.in_(key.looks.patients()) if place in (*asked.gathered, *asked.noted) else None
        told.append(_condition(level, key) if theirs is None else theirs if place in asked.gathered else theirs.is_(true()))      # so worded, it does not lead
    if asked.settled is not None:
        told.append(driver.some_ids(study.c.id, asked.given))
    if asked.at_site:
        told.append(study.c.site_id == bindparam("site"))
    if asked.is_near:
        told.append((study.c.study_at if asked.by_date else study.c.id) > bindparam("floor"))
    return told


def in_latin(connection: Connection, matches: list[Match], site_id: int | None) -> list[Match] | None:
    """The same matches, where a Chinese name asked for with FUZZY stands for those known in Latin letters only that read so; None
    where there is no such name, or nobody has one."""
    for place, match in enumerate(matches):
        if match.field == "patient_name" and match.likeness == FUZZY:
            read = replace(match, likeness=IN_LATIN)
            key, values = _key(read, site_id is not None, "k0_")
            if any(way.kinds for groups in key.looks.values for ways in groups for way in ways) and few_of(connection, _few(key, site_id is not None), values | {"site": site_id}) != []:
                return [*matches[:place], read, *matches[place + 1:]]
    return None


def floor(connection: Connection, most: int, asked: Question) -> int | str:
    """Where the newest studies begin, among which as many hits of a frequent name should lie: below it they are looked up."""
    if asked.by_date:
        return next((at for at, in driver.fetched(connection, _DATES_IN_ORDER, {"most": 1, "start": max(referrers.NEAR, NEAR_A_HIT * most)})), "")
    return (connection.scalar(_NEWEST) or 0) - max(NEAR, NEAR_A_HIT * most) * (1 if asked.headed is None else HEADED)


def few_of(connection: Connection, ids: Select, values: dict) -> list[int] | None:
    """The ids that a select with ``most`` and ``start`` gives, in order, or None where there are more than FEW."""
    at_sight = min(AT_SIGHT, FEW)
    found = driver.fetched(connection, ids, values | {"most": at_sight + 1, "start": 0})
    if len(found) > at_sight:
        if driver.fetched(connection, ids, values | {"most": 1, "start": FEW}):      # passing rows over costs a fraction of reading them
            return None
        found = driver.fetched(connection, ids, values | {"most": FEW, "start": 0})
    return sorted({one for one, in found})


def beginning(connection: Connection, text: str, site_id: int | None) -> tuple[Sought, Sought | None]:
    """Whose name, patient number or accession number begins with ``text`` (of names: with any part of it, see
    hub.model.name_search); and whose name is known in Latin letters only and reads so, where there is somebody."""
    written = text.strip()
    whose, named = names.beginning(written, site_id is not None)
    latin, read = names.beginning_in_latin(written, site_id is not None) or (None, {})
    cased = list(dict.fromkeys((written, written.upper(), written.lower())))
    values = named | read | ({} if site_id is None else {"site": site_id})
    for name, one in zip(_WRITTEN, cased):
        values |= {name: one, f"{name}_end": one + names.LAST}
    told: tuple[list, ...] = ([], [], [])
    for which, one in driver.fetched(connection, _begun(whose, latin, len(cased)), values | {"most": FEW + 1}):
        told[which].append(one)
    by_name, by_number, by_sound = (sorted(set(ids)) if len(ids) <= FEW else None for ids in told)
    also = None
    if by_sound != []:
        listed, ids = driver.given_ids(by_sound) if by_sound is not None else (0, {})
        also = Sought(Found("gathered", None if by_sound is not None else latin, listed), values | ids)
    listed, ids = driver.given_ids(sorted({*(by_name or []), *(by_number or [])})) if by_number is not None else (0, {})
    if by_name is not None and by_number is not None:
        return Sought(Found("gathered", None, listed), values | ids), also
    how = "gathered" if by_number is not None and _are_gathered(connection, whose, values) else "met"
    return Sought(Found(how, whose, listed if by_number else 0, len(cased) if by_number is None else 0), values | ids), also


_WRITTEN = ("typed", "upper", "lower")      # parameters: a number as typed, and otherwise cased


def _are_gathered(connection: Connection, whose: Looks, values: dict) -> bool:
    """Whether these patients' studies are sooner looked up than met one after the other among the newest: of h hits among n
    studies, the first costs h looks, the second about n/h for each row shown."""
    most = int(GATHERED * sqrt(connection.scalar(_NEWEST) or 0))
    return _counted(connection, whose, values, most) <= most


def _counted(connection: Connection, whose: Looks, values: dict, most: int) -> int:
    """How many these patients are, up to one more than ``most``."""
    return connection.scalar(_some_patients(whose), values | {"most": most + 1})


@lru_cache(SHAPES)
def _some_patients(whose: Looks) -> Select:
    return select(func.count()).select_from(whose.patients().limit(bindparam("most")).subquery())


@lru_cache(SHAPES)
def _begun(whose: Looks, latin: Looks | None, cased: int) -> Select:
    """(0, id) of studies by their patient's name, (1, id) by a number, (2, id) by a name in Latin letters; some of each."""
    own = _WRITTEN[:cased]
    numbered = select(patient.c.id).where(or_(*(_begins(patient.c.patient_id, name) for name in own)))
    ordered = or_(*(_begins(study.c.accession_number, name) for name in own))
    numbers = union(select(study.c.id).where(study.c.patient_id.in_(numbered)), select(study.c.id).where(ordered))
    asked = [whose.studies(), numbers, *([latin.studies()] if latin is not None else [])]
    return union_all(*(select(literal_column(str(which)), ids.limit(bindparam("most")).subquery().c[0]) for which, ids in enumerate(asked)))


def _begins(column: ColumnElement, name: str) -> ColumnElement:
    return names.test(column, "begins", name)


@lru_cache(SHAPES)
def _few(key: Key, at_site: bool) -> Select:
    """The ids of some studies that fit a key."""
    own, column = [study.c.site_id == bindparam("site")] if at_site else [], FIELDS[key.field]
    if key.looks is not None:
        return _some_of(key.looks.studies())
    if key.field in OF_PATIENT:      # the patient's site is its studies': asked here, it cannot mislead planners to all studies of a site
        ours = [patient.c.site_id == bindparam("site")] if at_site else []
        ids = select(study.c.id).where(study.c.patient_id.in_(select(patient.c.id).where(_fits(key), *ours)))
    elif column.table is study:
        ids = select(study.c.id).where(_fits(key), *own)
    else:
        ids = select(column.table.c.study_id).where(_fits(key))
    return _some_of(ids)


@lru_cache(SHAPES)
def _few_referred(most: int, dates: tuple[Key, ...]) -> Select:
    """The ids of some studies that the physicians sent whom ``hub.storage.referrers.given`` names, within these dates."""
    return _some_of(union_all(*(select(study.c.id).where(one, *map(_fits, dates)) for one in referrers.each(most))))


def _some_of(ids: GenerativeSelect) -> GenerativeSelect:
    return ids.limit(bindparam("most")).offset(bindparam("start"))


def _key(match: Match, at_site: bool, name: str) -> tuple[Key, dict]:
    """The shape of a match, and the values of its parameters."""
    if match.field == "patient_name":
        looks, values = names.like_one_of(match.values, at_site, match.likeness, name)
        return Key(match.field, (), looks, name), values
    if match.field == "referring_physician":
        looks, values = names.like_one_of(match.values, at_site, match.likeness, name)
        return Key(match.field, (), None, name, looks), values
    if not match.values:
        low, high = match.low, match.high + names.LAST if match.field in ("study_date", "study_moment") and match.high else match.high
        ends = {"from": low[:_DAY], "timed_from": low, "to": high} if match.field == "study_moment" else {"from": low, "to": high}
        return Key(match.field, tuple(which for which, value in ends.items() if value), None, name), {f"{name}{which}": value for which, value in ends.items() if value}
    if match.field in NUMBERS:
        return Key(match.field, ("in",), None, name), {f"{name}0": [int(value) for value in match.values]}
    wanted = [part for value in match.values for part in value.split("\\")]
    plain = [part for part in wanted if names.how_asked(part) == "is"]
    asked: list[tuple[str, object]] = [("in", plain)] if len(plain) > 1 else [("is", part) for part in plain]
    asked += [(names.how_asked(part), part) for part in wanted if part not in plain]
    values = {}
    for number, (how, part) in enumerate(asked):
        values |= {f"{name}{number}": part} if how == "in" else names.texts(part, how, f"{name}{number}")
    return Key(match.field, tuple(how for how, _ in asked), None, name), values


def _fits(key: Key) -> ColumnElement:
    """What one key asks of its own column."""
    column = FIELDS[key.field]
    if key.physicians is not None:
        return and_(tuple_(study.c.site_id, column).in_(key.physicians.physicians()), IS_REFERRED)
    if not set(key.asked) - {"from", "timed_from", "to"}:
        ends = {"from": column >= bindparam(f"{key.name}from", type_=String), "to": column <= bindparam(f"{key.name}to", type_=String),
                "timed_from": or_(column >= bindparam(f"{key.name}timed_from", type_=String), func.length(column) == _DAY)}
        return and_(*([] if "from" in key.asked else [column != ""]), *(ends[which] for which in key.asked))
    return or_(*(column.in_(bindparam(f"{key.name}{number}", expanding=True)) if how == "in" else names.test(column, how, f"{key.name}{number}")
                 for number, how in enumerate(key.asked)))


def _condition(level: str, key: Key) -> ColumnElement:
    """A key as SQL. What belongs to a level below the one asked for is looked for there."""
    name = key.field
    if key.looks is not None:
        return key.looks.fits(study.c.patient_id)
    if key.physicians is not None and level == "study":
        return key.physicians.fits_physician(study.c.site_id, study.c.referring_physician)
    fits = _fits(key)
    if name in OF_PATIENT:
        return _some(patient, patient.alias(), fits, "id", study.c.patient_id)
    if name == "modalities_in_study" or (level in ("patient", "study") and name in OF_SERIES):
        return _some(series, series.alias(), fits, "study_id", study.c.id)
    if level in ("patient", "study") and name in OF_INSTANCE:
        return _some(instance, instance.alias(), fits, "study_id", study.c.id)
    if level == "series" and name in OF_INSTANCE:
        return _some(instance, instance.alias(), fits, "series_id", series.c.id)
    return fits


def _some(table, inner, fits: ColumnElement, reference: str, owner) -> ColumnElement:
    """That one of the owner's rows below fits."""
    return names.some(owner, inner.c[reference] == owner, ClauseAdapter(inner).traverse(fits))


_NEWEST = select(func.max(study.c.id))
_DATES_IN_ORDER = _some_of(select(study.c.study_at).order_by(study.c.study_at.desc()))
