"""Warnings where two people might be mixed up, for every list and page that names a patient.

A clinic is told of its own institution's rows only; the county's readers of all.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import or_, select

from hub.context import Hub
from hub.model.access import Actor
from hub.model.lifecycle import PAIR
from hub.model.matching import WARNINGS
from hub.storage.tables import patient, patient_index, patient_pair, patient_warning, site

MOST_OTHERS = 5
OWN = {
    "id_birth_date": ("出生日期或年龄与身份证号不符", "birth date or age contradicts the resident number"),
    "id_sex": ("性别与身份证号不符", "sex contradicts the resident number"),
    "id_mistyped": ("身份证号校验不符", "resident number fails its check"),
    "two_ids": ("同一患者下有两个身份证号", "two resident numbers under one patient"),
    "unidentified": ("身份未识别", "not identified"),
}
MAYBE = ("可能与其他记录是同一人，待确认", "may be one person with another row, to be decided")
ORDER = ("unidentified", "two_ids", "twin", "same_name", "shared_phone", "id_sex", "id_birth_date", "id_mistyped", "maybe_same")


@dataclass(frozen=True)
class Other:
    """The row that might be taken for this one."""

    patient_id: int
    name: str
    number: str
    sex: str
    birth_date: str
    site_name: str


@dataclass(frozen=True)
class Caution:
    """``code``: of ORDER. ``others``: at most MOST_OTHERS rows, of ``count`` in all."""

    code: str
    zh: str
    en: str
    others: tuple[Other, ...] = ()
    count: int = 0


def of_patients(hub: Hub, actor: Actor, patient_ids: Iterable[int]) -> dict[int, tuple[Caution, ...]]:
    """The cautions on each of these rows, the gravest first; rows without any are left out."""
    ids = list(set(patient_ids))
    if not ids:
        return {}
    others: dict[tuple[int, str], list[Other]] = defaultdict(list)
    found: dict[int, list[Caution]] = defaultdict(list)
    with hub.reading() as connection:
        for row in connection.execute(select(patient_index.c.patient_id, patient_index.c.is_usable, patient_index.c.warnings)
                                      .where(patient_index.c.patient_id.in_(ids))):
            codes = [*row.warnings, *(() if row.is_usable else ("unidentified",))]
            found[row.patient_id] += [Caution(code, *OWN[code]) for code in codes if code in OWN]
        named = select(patient.c.id, patient.c.name, patient.c.patient_id.label("number"), patient.c.sex, patient.c.birth_date, patient.c.site_id,
                       site.c.name.label("site_name")).join(site, site.c.id == patient.c.site_id)
        told = named.add_columns(patient_warning.c.patient_id.label("mine"), patient_warning.c.kind).join(
            patient_warning, patient_warning.c.other_id == patient.c.id).where(patient_warning.c.patient_id.in_(ids))
        rows = list(connection.execute(told.order_by(patient.c.id)))
        if actor.may("identity.view"):
            pair = patient_pair.c
            asked = select(pair.one_id, pair.other_id).where(or_(pair.one_id.in_(ids), pair.other_id.in_(ids)), pair.state == PAIR.initial)
            pairs = connection.execute(asked).all()
            people = {row.id: row for row in connection.execute(named.where(patient.c.id.in_({each for two in pairs for each in two})))}
            for mine, other in [*pairs, *((b, a) for a, b in pairs)]:
                if mine in ids:
                    others[mine, "maybe_same"].append(_other(people[other]))
    for row in rows:
        if actor.site_id is None or row.site_id == actor.site_id:
            others[row.mine, row.kind].append(_other(row))
    for (mine, code), rows_of in others.items():
        zh, en = MAYBE if code == "maybe_same" else WARNINGS[code]
        found[mine].append(Caution(code, zh, en, tuple(rows_of[:MOST_OTHERS]), len(rows_of)))
    return {mine: tuple(sorted(some, key=lambda one: ORDER.index(one.code))) for mine, some in found.items() if some}


def of_patient(hub: Hub, actor: Actor, patient_id: int) -> tuple[Caution, ...]:
    """The cautions on one row."""
    return of_patients(hub, actor, [patient_id]).get(patient_id, ())


def _other(row) -> Other:
    return Other(row.id, row.name, row.number, row.sex, row.birth_date, row.site_name)
