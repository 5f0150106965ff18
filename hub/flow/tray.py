"""Studies without a usable identity: everything known of each, assigned to a patient by a person, and undone as easily.

A row such as 无名氏 / 000000 may hold studies of many people, so studies are assigned one by one. The row that the device named
stays, and what arrives late for the study is still compared with it.
"""
from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import identity, known, persons
from hub.model import names, resident_id
from hub.model.access import SYSTEM, Actor
from hub.model.arrival import PatientFacts
from hub.model.identifiers import RESIDENT_ID, Said
from hub.model.identity import identity_key, usable_name
from hub.model.lifecycle import STUDY
from hub.storage import audit, patients
from hub.storage.states import advance
from hub.storage.tables import device, patient, patient_identifier, patient_index, reading, report, site, study, study_assignment

PAGE = 50


def waiting(hub: Hub, actor: Actor, page: int = 1) -> tuple[list, int]:
    """Studies that nobody's name stands on, newest first, and how many there are."""
    actor.require("identity.view")
    lost = patient_index.c.is_usable.is_(False)
    with hub.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(study).join(patient_index, patient_index.c.patient_id == study.c.patient_id).where(lost))
        return list(connection.execute(_columns().join(patient_index, patient_index.c.patient_id == study.c.patient_id).where(lost)
                                       .order_by(study.c.id.desc()).limit(PAGE).offset((max(1, page) - 1) * PAGE))), total


def assigned(hub: Hub, actor: Actor) -> list:
    """The latest assignments, standing and undone, with the study and both names."""
    actor.require("identity.view")
    arrived = patient.alias("arrived")
    with hub.reading() as connection:
        return list(connection.execute(
            select(study_assignment, study.c.kind, study.c.modality, study.c.body_part, study.c.study_at, patient.c.name.label("patient_name"),
                   patient.c.patient_id.label("patient_number"), arrived.c.name.label("arrived_name"), arrived.c.patient_id.label("arrived_number"), site.c.name.label("site_name"))
            .join(study, study.c.id == study_assignment.c.study_id).join(patient, patient.c.id == study_assignment.c.patient_id)
            .join(arrived, arrived.c.id == study_assignment.c.arrived_patient_id).join(site, site.c.id == study.c.site_id)
            .order_by(study_assignment.c.id.desc()).limit(PAGE)))


def one(hub: Hub, actor: Actor, study_id: int) -> tuple[object, list, object | None]:
    """A study with all that is known of it, its patient's identifiers, and its standing assignment; the look is recorded."""
    actor.require("identity.view")
    with hub.writing() as connection:
        row = _study(connection, study_id)
        numbers = list(connection.execute(select(patient_identifier).where(patient_identifier.c.patient_id == row.patient_id)))
        audit.append(connection, hub.now(), actor, "person.view", "study", study_id, row.site_id, row.patient_id)
        return row, numbers, _standing(connection, study_id)


def assign(hub: Hub, actor: Actor, study_id: int, patient_id: int, why: str) -> None:
    """Gives a study without identity to a known patient. A patient of another institution is entered at the study's own, and the
    two rows are one person from then on."""
    actor.require("identity.manage")
    with hub.writing() as connection:
        row = _assignable(connection, study_id)
        chosen = connection.execute(select(patient).where(patient.c.id == patient_id)).one_or_none()
        if chosen is None:
            raise NotFound("not_found", "没有找到这名患者。", "no such patient.")
        if not connection.scalar(select(patient_index.c.is_usable).where(patient_index.c.patient_id == patient_id)):
            raise Refused("unidentified", "不能归属到另一条身份不明的记录。", "a study cannot be assigned to another row without identity.")
        own_id = patient_id
        if chosen.site_id != row.site_id:
            own_id = _entered(hub, connection, row.site_id, PatientFacts(chosen.patient_id, chosen.name, chosen.name, False, chosen.sex, chosen.birth_date, chosen.age))
            theirs, ours = known.members(connection, patient_id), known.members(connection, own_id)
            if own_id not in theirs:
                barrier = persons.barrier_between(hub, connection, theirs, ours)
                if barrier:
                    raise Refused(barrier, *persons.BARRIERS[barrier])
                identity.join(hub, connection, theirs, ours, actor, 0.0, [["assigned", 0.0]], persons.stated(why))
        _move(hub, connection, actor, row, own_id, persons.stated(why))


def assign_new(hub: Hub, actor: Actor, study_id: int, facts: PatientFacts, number: str, why: str) -> None:
    """Gives a study without identity to a patient who is not known yet. ``number``: a resident number, checked, or ""; with one,
    birth date and sex may be left to it and may not contradict it."""
    actor.require("identity.manage")
    card = resident_id.parse(number, hub.now().date()) if number.strip() else None
    if card is not None:
        apart = resident_id.contradictions(card, facts.birth_date, facts.sex)
        if apart:
            raise Invalid("contradicts_id", "出生日期或性别与身份证号不符，请核对。", "birth date or sex contradict the resident number; check them.")
        facts = PatientFacts(facts.patient_id, facts.name, facts.name, False, facts.sex or card.sex, facts.birth_date or card.birth_date, facts.age)
    if not usable_name(names.forms(facts.name, hub.rules.identity.names).folded, hub.rules.identity.placeholders):
        raise Invalid("no_name", "请填写患者的真实姓名。", "give the patient's name.")
    with hub.writing() as connection:
        row = _assignable(connection, study_id)
        own_id = _entered(hub, connection, row.site_id, facts, [Said(card.number, "registrar", "", RESIDENT_ID)] if card else ())
        _move(hub, connection, actor, row, own_id, persons.stated(why))


def undo(hub: Hub, actor: Actor, assignment_id: int, why: str) -> None:
    """Takes an assignment back: the study is nobody's again. What happened stays as history."""
    actor.require("identity.manage")
    why = persons.stated(why)
    with hub.writing() as connection:
        standing = connection.execute(select(study_assignment).where(study_assignment.c.id == assignment_id)).one_or_none()
        if standing is None:
            raise NotFound("not_found", "没有这条归属记录。", "no such assignment.")
        if standing.undone_at is not None:
            raise Conflict("undone_already", "这次归属已经撤销。", "this assignment was undone already.")
        row = _study(connection, standing.study_id)
        connection.execute(update(study_assignment).where(study_assignment.c.id == assignment_id).values(
            undone_at=hub.now(), undone_by=actor.name[:64], undone_why=why))
        _point(hub, connection, row, standing.arrived_patient_id)
        audit.append(connection, hub.now(), actor, "study.unassign", "study", row.id, row.site_id, standing.patient_id,
                     back_to=standing.arrived_patient_id, why=why)


def _assignable(connection: Connection, study_id: int):
    row = _study(connection, study_id)
    if _standing(connection, study_id) is not None:
        raise Conflict("assigned_already", "该检查已归属患者。如有误，请先撤销归属。", "the study has been assigned; undo that first.")
    if connection.scalar(select(patient_index.c.is_usable).where(patient_index.c.patient_id == row.patient_id)):
        raise Refused("has_identity", "该检查已有可用的患者身份；记录有误请走更正，两条记录是同一人请走合并。",
                      "the study has a usable identity; correct it or merge the rows instead.")
    return row


def _move(hub: Hub, connection: Connection, actor: Actor, row, own_id: int, why: str) -> None:
    connection.execute(insert(study_assignment).values(
        study_id=row.id, arrived_patient_id=row.patient_id, patient_id=own_id, why=why, assigned_by=actor.name[:64], account_id=actor.account_id,
        assigned_at=hub.now(), undone_by="", undone_why=""))
    _point(hub, connection, row, own_id)
    audit.append(connection, hub.now(), actor, "study.assign", "study", row.id, row.site_id, own_id, arrived=row.patient_id, why=why)


def _point(hub: Hub, connection: Connection, row, patient_id: int) -> None:
    """Every page and letter from now on names this patient. An ECG's drawn sheet bears the name too, so it is made again.
    Conflict where a person corrected the patient of this study: an assignment under a correction could not be taken back."""
    if row.sent_patient_id is not None:
        raise Conflict("patient_corrected", "该检查的患者信息已被更正，请先撤销更正再归属。", "the patient of this study was corrected; undo the correction first.")
    connection.execute(update(study).where(study.c.id == row.id).values(patient_id=patient_id, **patients.heading_of(patient_id, "head")))
    connection.execute(update(reading).where(reading.c.study_id == row.id).values(
        patient_id=patient_id, changed_at=hub.now(), **patients.heading_of(patient_id, "head", "sound")))
    if row.kind == "ecg" and row.state == "ready" and row.reading_state != "bounced":
        advance(connection, STUDY, row.id, "arrive", generation=row.generation + 1, last_received_at=hub.now())


def _entered(hub: Hub, connection: Connection, site_id: int, facts: PatientFacts, said=()) -> int:
    """The site's row of exactly this identity, new where there is none."""
    key = identity_key(facts)
    own_id = connection.scalar(select(patient.c.id).where(patient.c.site_id == site_id, patient.c.identity_key == key))
    if own_id is None:
        own_id = patients.enter(
            connection, site_id=site_id, identity_key=key, patient_id=facts.patient_id, name=facts.name, name_as_sent=facts.name_as_sent,
            name_unsure=False, sex=facts.sex, birth_date=facts.birth_date, age=facts.age, created_at=hub.now())
        audit.append(connection, hub.now(), SYSTEM, "person.entered", "patient", own_id, site_id, own_id)
    identity.learn(hub, connection, own_id, said)
    return own_id


def _study(connection: Connection, study_id: int):
    row = connection.execute(_columns().where(study.c.id == study_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这个检查。", "no such study.")
    return row


def _standing(connection: Connection, study_id: int):
    return connection.execute(select(study_assignment).where(study_assignment.c.study_id == study_id, study_assignment.c.undone_at.is_(None))).one_or_none()


def _columns():
    signed = select(report.c.id).where(report.c.study_id == study.c.id, report.c.signed_at.is_not(None)).limit(1).correlate(study).scalar_subquery()
    return (select(study, patient.c.name.label("patient_name"), patient.c.name_as_sent, patient.c.patient_id.label("patient_number"), patient.c.sex,
                   patient.c.birth_date, patient.c.age, site.c.name.label("site_name"), device.c.name.label("device_name"),
                   reading.c.state.label("reading_state"), signed.label("signed_report"))
            .join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
            .outerjoin(device, device.c.id == study.c.device_id).outerjoin(reading, reading.c.study_id == study.c.id))
