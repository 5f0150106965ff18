"""Looking at orders: a clinic its own, readers beside their study, devices as their worklist."""
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, or_, select

from hub.context import Hub
from hub.errors import NotFound
from hub.flow.polls import Polls
from hub.model.access import Actor
from hub.model.lifecycle import MATCH, ORDER
from hub.model.name_search import name_fits, sounds
from hub.storage import audit
from hub.storage.tables import device, exam_order, order_match, patient, procedure_step, reading, site, study

PAGE = 50
OPEN = ("scheduled", "in_progress", "discontinued")
MOST_ON_WORKLIST = 1000


@dataclass(frozen=True)
class Filters:
    """``state``: open (to be performed), a state of the lifecycle, or all."""

    state: str = "open"
    text: str = ""
    modality: str = ""
    page: int = 1


@dataclass(frozen=True)
class WorklistKeys:
    """Matching keys of a modality worklist query (PS3.4 K.6.1.2.2), decoded. Texts may hold ``*`` and ``?``; "" matches all.
    ``since`` and ``until``: both ends count, with a zone. ``times``: ends of a daily time range (HH:MM:SS), "" open."""

    station: str = ""
    modality: tuple[str, ...] = ()
    patient_name: str = ""
    patient_number: str = ""
    accession_number: str = ""
    study_uid: str = ""
    step_id: str = ""
    states: tuple[str, ...] = ("scheduled",)
    since: datetime | None = None
    until: datetime | None = None
    times: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Beside:
    """What stands beside a study: the joined order (or None), matches to be confirmed, contradictions, the device's steps."""

    order: object | None
    match: object | None
    suggested: tuple
    contradicted: tuple
    steps: tuple


def listed(hub: Hub, actor: Actor, filters: Filters) -> tuple[list, int]:
    """One page of orders, the next to be performed first, finished ones the latest first; and how many there are."""
    actor.require("order.view")
    conditions = _scope(actor)
    if filters.state == "open":
        conditions.append(exam_order.c.state.in_(OPEN))
    elif filters.state in ORDER.states:
        conditions.append(exam_order.c.state == filters.state)
    if filters.modality:
        conditions.append(exam_order.c.modality == filters.modality)
    if filters.text.strip():
        fits = [column.icontains(filters.text.strip(), autoescape=True) for column in (
            exam_order.c.patient_name, exam_order.c.patient_number, exam_order.c.accession_number, exam_order.c.resident_id)]
        latin = func.replace(func.lower(exam_order.c.name_latin), "^", "")
        fits += [latin.contains(sound, autoescape=True) for sound in sounds(filters.text, hub.rules.identity.names)]
        conditions.append(or_(*fits))
    order = (exam_order.c.scheduled_at, exam_order.c.id) if filters.state == "open" else (exam_order.c.scheduled_at.desc(), exam_order.c.id.desc())
    with hub.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(exam_order).where(*conditions))
        rows = connection.execute(_columns().where(*conditions).order_by(*order).limit(PAGE).offset((max(1, filters.page) - 1) * PAGE))
        return list(rows), total


def find(hub: Hub, actor: Actor, order_id: int):
    """One order with its site and device; the look is recorded. NotFound where this person may not see it."""
    actor.require("order.view")
    with hub.writing() as connection:
        row = connection.execute(_columns().where(exam_order.c.id == order_id, *_scope(actor))).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有找到这张申请单，或不属于您的机构。", "no such order, or not of your institution.")
        audit.append(connection, hub.now(), actor, "order.view", "order", order_id, row.site_id)
    return row


def studies_of(hub: Hub, order_ids: list[int]) -> dict[int, list]:
    """The matches of orders with their studies, by order; the caller has found the orders, which checks the right to see them."""
    with hub.reading() as connection:
        rows = connection.execute(_matches().where(order_match.c.order_id.in_(order_ids)).order_by(order_match.c.id)).all()
    found: dict[int, list] = {}
    for row in rows:
        found.setdefault(row.order_id, []).append(row)
    return found


def steps_of(hub: Hub, order_id: int) -> list:
    """What devices reported of an order."""
    with hub.reading() as connection:
        return list(connection.execute(select(procedure_step).where(procedure_step.c.order_id == order_id).order_by(procedure_step.c.id)))


def devices_of(hub: Hub, actor: Actor) -> list:
    """The devices in use that an order of the actor's own site may name."""
    actor.require("order.place")
    with hub.reading() as connection:
        return list(connection.execute(select(device.c.id, device.c.name, device.c.kind, device.c.ae_title).where(
            device.c.site_id == actor.site_id, device.c.active).order_by(device.c.name)))


def beside(hub: Hub, actor: Actor, of_study) -> Beside:
    """The order of a study and what is said about it. ``of_study``: a row that ``studies.find`` gave this person."""
    actor.require("order.view")
    with hub.reading() as connection:
        matches = connection.execute(_matches().where(order_match.c.study_id == of_study.id, order_match.c.state != "dismissed")
                                     .order_by(order_match.c.score.desc(), order_match.c.id)).all()
        steps = connection.execute(select(procedure_step).where(
            procedure_step.c.study_uid == of_study.study_uid, procedure_step.c.site_id == of_study.site_id).order_by(procedure_step.c.id)).all()
        joined = next((one for one in matches if one.state == "joined"), None)
        order = connection.execute(_columns().where(exam_order.c.id == joined.order_id)).one() if joined else None
    return Beside(order, joined, tuple(one for one in matches if one.state == MATCH.initial and joined is None),
                  tuple(one for one in matches if one.state == "contradicted"), tuple(steps))


def worklist(hub: Hub, actor: Actor, keys: WorklistKeys, polls: Polls) -> list:
    """The orders of a device's own site that fit the keys, in the order of their time. What is newly shown is recorded, repeated
    polls now and then (hub.flow.polls)."""
    actor.require("order.view")
    conditions = [exam_order.c.site_id == actor.site_id, exam_order.c.state.in_(keys.states)]
    if keys.station:
        conditions.append(or_(exam_order.c.device_id.is_(None), _like(device.c.ae_title, keys.station)))
    if keys.modality:
        conditions.append(exam_order.c.modality.in_(keys.modality))
    for column, wanted in ((exam_order.c.patient_number, keys.patient_number), (exam_order.c.accession_number, keys.accession_number),
                           (exam_order.c.study_uid, keys.study_uid), (exam_order.c.accession_number, keys.step_id)):
        if wanted:
            conditions.append(_like(column, wanted))
    if keys.since is not None:
        conditions.append(exam_order.c.scheduled_at >= keys.since)
    if keys.until is not None:
        conditions.append(exam_order.c.scheduled_at <= keys.until)
    with hub.reading() as connection:
        rows = connection.execute(_columns().where(*conditions).order_by(exam_order.c.scheduled_at, exam_order.c.id).limit(MOST_ON_WORKLIST * 4)).all()
    local = {row.id: f"{row.scheduled_at.astimezone(hub.settings.zone):%H:%M:%S}" for row in rows}
    low, high = keys.times
    fitting = [row for row in rows if name_fits(keys.patient_name, (row.patient_name, row.name_latin), hub.rules.identity.names) and (not low or local[row.id] >= low) and (not high or local[row.id] <= high)]
    fitting = fitting[:MOST_ON_WORKLIST]
    _record(hub, actor, keys, polls, frozenset(row.id for row in fitting))
    return fitting


def _record(hub: Hub, actor: Actor, keys: WorklistKeys, polls: Polls, shown: frozenset[int]) -> None:
    question = (actor.name, actor.site_id, actor.address, replace(keys, since=None, until=None, times=("", "")))
    telling = polls.seen(question, shown, hub.now())
    if telling is None:
        return
    try:
        with hub.writing() as connection:
            audit.append(connection, hub.now(), actor, "order.worklist", "order", "", actor.site_id, found=len(shown), shown=list(telling.orders),
                         repeated=telling.repeated, device=actor.name, name=keys.patient_name[:64], station=keys.station, modality=list(keys.modality))
    except Exception:
        polls.forget(question)
        raise


def _like(column, wanted: str):
    if "*" not in wanted and "?" not in wanted:
        return column == wanted
    escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")


def _scope(actor: Actor) -> list:
    """Readers and administrators see every site's orders, a clinic its own."""
    return [] if actor.sees_every_site or actor.role == "administrator" else [exam_order.c.site_id == actor.site_id]


def _columns():
    return (select(exam_order, site.c.name.label("site_name"), site.c.code.label("site_code"), device.c.name.label("device_name"),
                   device.c.ae_title.label("device_ae_title"))
            .join(site, site.c.id == exam_order.c.site_id).outerjoin(device, device.c.id == exam_order.c.device_id))


def _matches():
    return (select(order_match, exam_order.c.accession_number, exam_order.c.patient_name, exam_order.c.patient_number, exam_order.c.sex, exam_order.c.birth_date,
                   exam_order.c.modality, exam_order.c.body_part, exam_order.c.procedure, exam_order.c.clinical_question, exam_order.c.scheduled_at,
                   exam_order.c.urgency, exam_order.c.state.label("order_state"),
                   study.c.kind, study.c.modality.label("study_modality"), study.c.body_part.label("study_body_part"), study.c.study_at, study.c.site_id,
                   study.c.state.label("study_state"), study.c.accession_number.label("study_accession_number"), patient.c.name.label("study_patient_name"),
                   patient.c.patient_id.label("study_patient_number"), reading.c.state.label("reading_state"))
            .join(exam_order, exam_order.c.id == order_match.c.order_id).join(study, study.c.id == order_match.c.study_id)
            .join(patient, patient.c.id == study.c.patient_id).outerjoin(reading, reading.c.study_id == study.c.id))
