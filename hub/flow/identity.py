"""Who a study's patient is: identifiers are noted, the row is compared with the region's, links and warnings follow.

Runs as a job after a study has closed, never while a sender waits. The patient rows that the devices named never change.
"""
from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from hub.context import Hub
from hub.flow import known
from hub.model import identifiers, matching
from hub.model.access import SYSTEM, Actor
from hub.model.identifiers import Said
from hub.model.identity import usable_name
from hub.model.lifecycle import PAIR
from hub.model.matching import ASK, SAME, Known, Match
from hub.queue import outbox
from hub.storage import audit
from hub.storage.fitting import fitted
from hub.storage.states import advance
from hub.storage.tables import (
    instance, patient, patient_identifier, patient_index, patient_pair, patient_warning, person, person_link, study, study_assignment,
)

CHUNK = 500
RULE_WHY = "身份证号相同，姓名、性别、出生日期无矛盾"


def order(hub: Hub, connection: Connection, study_id: int) -> None:
    """Orders the identification of a study's patient, once a study."""
    from_dicom = connection.scalar(select(exists().where(instance.c.study_id == study_id, instance.c.format == "dicom")))
    outbox.enqueue(connection, hub.now(), "identify_dicom" if from_dicom else "identify", str(study_id), study_id=study_id)


def catch_up(hub: Hub, after: int) -> int:
    """Orders what was never identified among the next patients after an id: rows older than this room. Returns the last id seen."""
    with hub.reading() as connection:
        ids = list(connection.scalars(select(patient.c.id).where(patient.c.id > after).order_by(patient.c.id).limit(CHUNK)))
        missed = list(connection.scalars(
            select(func.min(study.c.id)).join(patient, patient.c.id == study.c.patient_id).outerjoin(patient_index, patient_index.c.patient_id == patient.c.id)
            .where(patient.c.id.in_(ids), patient_index.c.id.is_(None), study.c.state == "ready").group_by(patient.c.id))) if ids else []
    for study_id in missed:
        with hub.writing() as connection:
            order(hub, connection, study_id)
    return ids[-1] if ids else after


def original_of(hub: Hub, study_id: int):
    """The first DICOM instance of a study (sha256, size), or None."""
    with hub.reading() as connection:
        return connection.execute(select(instance.c.sha256, instance.c.size).where(
            instance.c.study_id == study_id, instance.c.format == "dicom").order_by(instance.c.id).limit(1)).one_or_none()


def identify(hub: Hub, study_id: int, said: tuple[Said, ...] = ()) -> None:
    """Notes what a study says of its patient (``said``: beyond the patient's own number) and matches the row. Idempotent."""
    with hub.writing() as connection:
        arrived = connection.scalar(select(study_assignment.c.arrived_patient_id).where(
            study_assignment.c.study_id == study_id, study_assignment.c.undone_at.is_(None)))
        patient_id = arrived or connection.scalar(select(study.c.patient_id).where(study.c.id == study_id))
        if patient_id is not None:
            learn(hub, connection, patient_id, said)


def learn(hub: Hub, connection: Connection, patient_id: int, said: Iterable[Said] = ()) -> None:
    """Enters the identifiers of a patient row, what it is found by, its own contradictions, and matches it."""
    rules = hub.rules.identity
    row = connection.execute(select(patient).where(patient.c.id == patient_id)).one()
    told = [Said(row.patient_id, "PatientID"), *said]
    have = set(connection.execute(select(patient_identifier.c.kind, patient_identifier.c.value).where(patient_identifier.c.patient_id == patient_id)))
    new = [one for one in identifiers.identifiers(told, rules.kinds, rules.placeholders, hub.now().date()) if (one.kind, one.value) not in have]
    if new:
        connection.execute(insert(patient_identifier), [fitted(patient_identifier, dict(
            patient_id=patient_id, kind=one.kind, value=one.value, written=one.written, source=one.source, verdict=one.verdict, found_at=hub.now())) for one in new])
    one = known.load(connection, rules, [patient_id])[patient_id]
    _index(hub, connection, one)
    if rematch(hub, connection, one):
        mark_members(connection, rules, patient_id)


def rematch(hub: Hub, connection: Connection, one: Known) -> bool:
    """Compares a row with all that share something with it: links what the rule links, suggests, warns. False for a row without
    a usable identity, which is nobody's."""
    if not connection.scalar(select(patient_index.c.is_usable).where(patient_index.c.patient_id == one.patient_id)):
        return False
    others = known.load(connection, hub.rules.identity, known.candidates(connection, one))
    found = {other_id: matching.match(one, other, hub.rules.identity.matching) for other_id, other in sorted(others.items())}
    for other_id, match in found.items():
        if match.verdict == SAME:
            against = _link_by_rule(hub, connection, one.patient_id, other_id, match)
            if against:
                suggest(hub, connection, one.patient_id, other_id, match, against)
    mine = set(known.members(connection, one.patient_id))
    for other_id, match in found.items():
        if other_id in mine:
            continue
        if match.verdict == ASK:
            suggest(hub, connection, one.patient_id, other_id, match)
        elif "resident_id_other" in match.contradictions:
            _withdraw(hub, connection, one.patient_id, other_id)
        if match.warnings:
            warn(hub, connection, one.patient_id, other_id, match.warnings)
    return True


def join(hub: Hub, connection: Connection, ones: list[int], others: list[int], by: Actor, score: float, reasons: list, why: str) -> int:
    """Makes two groups of rows one person and returns it. Every link says who, why, and with what score and reasons; links that
    end stay as history."""
    now = hub.now()
    standing = dict(connection.execute(select(person_link.c.patient_id, person_link.c.person_id).where(
        person_link.c.patient_id.in_([*ones, *others]), person_link.c.ended_at.is_(None))).all())
    person_id = standing.get(ones[0]) or standing.get(others[0])
    if person_id is None:
        person_id = connection.execute(insert(person).values(created_at=now)).inserted_primary_key[0]
    moving = [each for each in (*ones, *others) if standing.get(each) != person_id]
    connection.execute(update(person_link).where(person_link.c.patient_id.in_(moving), person_link.c.ended_at.is_(None)).values(
        ended_at=now, ended_by=by.name[:64], ended_why="并入另一患者"))
    connection.execute(insert(person_link), [dict(
        patient_id=each, person_id=person_id, score=score, reasons=reasons, why=why[:512], linked_by=by.name[:64], account_id=by.account_id,
        linked_at=now, ended_by="", ended_why="") for each in moving])
    everybody = [*ones, *others]
    connection.execute(delete(patient_warning).where(patient_warning.c.patient_id.in_(everybody), patient_warning.c.other_id.in_(everybody)))
    for pair_id in connection.scalars(select(patient_pair.c.id).where(_between(ones, others), patient_pair.c.state.in_(PAIR.sources("accept")))).all():
        advance(connection, PAIR, pair_id, "accept", decided_by=by.name[:64], decided_at=now, why=why[:512])
    return person_id


def kept_apart(connection: Connection, ones: list[int], others: list[int]) -> bool:
    """Whether a person has decided of any row here and any there that they are two people."""
    return connection.scalar(select(exists().where(_between(ones, others), patient_pair.c.state == "kept_apart")))


def suggest(hub: Hub, connection: Connection, one_id: int, other_id: int, match: Match, against: str = "") -> None:
    """Puts a pair before a person with its reasons; what was decided stays decided."""
    reasons = [list(reason) for reason in match.reasons] + ([[against, 0.0]] if against else [])
    first, second = sorted((one_id, other_id))
    row = connection.execute(select(patient_pair).where(patient_pair.c.one_id == first, patient_pair.c.other_id == second)).one_or_none()
    if row is None:
        connection.execute(insert(patient_pair).values(one_id=first, other_id=second, state=PAIR.initial, score=match.score, reasons=reasons,
                                                       made_at=hub.now(), decided_by="", why=""))
    elif row.state == PAIR.initial:
        connection.execute(update(patient_pair).where(patient_pair.c.id == row.id).values(score=match.score, reasons=reasons))


def warn(hub: Hub, connection: Connection, one_id: int, other_id: int, warnings: Iterable[str]) -> None:
    """Notes on both rows that they might be mixed up."""
    have = set(connection.scalars(select(patient_warning.c.kind).where(patient_warning.c.patient_id == one_id, patient_warning.c.other_id == other_id)))
    new = [kind for kind in warnings if kind not in have]
    if new:
        connection.execute(insert(patient_warning), [dict(patient_id=a, other_id=b, kind=kind, made_at=hub.now())
                                                     for kind in new for a, b in ((one_id, other_id), (other_id, one_id))])


def _link_by_rule(hub: Hub, connection: Connection, one_id: int, other_id: int, match: Match) -> str:
    """Links two persons where nothing speaks against it; "" or what does."""
    ones, others = known.members(connection, one_id), known.members(connection, other_id)
    if other_id in ones:
        return ""
    if kept_apart(connection, ones, others):
        return "kept_apart"
    rows = known.load(connection, hub.rules.identity, [*ones, *others])
    against = matching.may_join([rows[each] for each in ones], [rows[each] for each in others], hub.rules.identity.matching)
    if against:
        return against
    reasons = [list(reason) for reason in match.reasons]
    person_id = join(hub, connection, ones, others, SYSTEM, match.score, reasons, RULE_WHY)
    audit.append(connection, hub.now(), SYSTEM, "person.link", "person", person_id, patient_id=one_id, other=other_id, score=match.score,
                 reasons=[code for code, _ in match.reasons], rules=hub.rules.identity.matching.version)
    return ""


def _withdraw(hub: Hub, connection: Connection, one_id: int, other_id: int) -> None:
    for pair_id in connection.scalars(select(patient_pair.c.id).where(_between([one_id], [other_id]), patient_pair.c.state == PAIR.initial)).all():
        advance(connection, PAIR, pair_id, "decline", decided_by=SYSTEM.name, decided_at=hub.now(), why="身份证号不同")


def _index(hub: Hub, connection: Connection, one: Known) -> None:
    """Enters what the row is found by and in what it contradicts itself."""
    usable = usable_name(one.name.folded, hub.rules.identity.placeholders) or bool(one.resident_ids)
    warnings = [f"id_{what}" for what in sorted(one.contradicts)]
    if len(one.resident_ids) > 1:
        warnings.append("two_ids")
    if one.mistyped_ids and not one.resident_ids:
        warnings.append("id_mistyped")
    values = fitted(patient_index, dict(folded=one.name.folded, pinyin=one.name.pinyin, birth_date=one.birth_date,
                                        is_usable=usable, warnings=warnings, matched_at=hub.now()))
    changed = connection.execute(update(patient_index).where(patient_index.c.patient_id == one.patient_id).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(patient_index).values(patient_id=one.patient_id, **values))


def mark_members(connection: Connection, rules, patient_id: int) -> None:
    """A person whose rows have come to bear two numbers is marked on every row: it is for people to part them."""
    ids = known.members(connection, patient_id)
    if len(ids) < 2:
        return
    rows = known.load(connection, rules, ids)
    if matching.differ_in_resident_id(rows.values()):
        for row in connection.execute(select(patient_index.c.id, patient_index.c.warnings).where(patient_index.c.patient_id.in_(rows))).all():
            if "two_ids" not in row.warnings:
                connection.execute(update(patient_index).where(patient_index.c.id == row.id).values(warnings=[*row.warnings, "two_ids"]))


def _between(ones: list[int], others: list[int]):
    pair = patient_pair.c
    return or_(pair.one_id.in_(ones) & pair.other_id.in_(others), pair.one_id.in_(others) & pair.other_id.in_(ones))
