"""What devices report of their work (performed procedure steps): kept, tied to the order, and used as evidence.

The rules of PS3.4 F.7.2 are kept here: a step begins in progress, only such a one may be changed, and completed and
discontinued are final. A report that names another patient than its order is kept, but moves no order.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select

from hub.context import Hub
from hub.errors import Conflict, NotFound
from hub.flow import completion
from hub.flow.devices import Device
from hub.model.access import Actor
from hub.model.lifecycle import ORDER, STEP
from hub.model.order_match import Party, weigh
from hub.model.procedure_step import EVENTS, StepFacts
from hub.storage import audit
from hub.storage.fitting import fitted
from hub.storage.states import advance
from hub.storage.tables import exam_order, procedure_step


def begin(hub: Hub, device: Device, actor: Actor, facts: StepFacts) -> None:
    """N-CREATE: the device began. Conflict("duplicate") where the step is known."""
    now = hub.now()
    with hub.writing() as connection:
        if connection.scalar(select(procedure_step.c.id).where(procedure_step.c.sop_uid == facts.sop_uid)) is not None:
            raise Conflict("duplicate", "该检查步骤已存在。", "this procedure step exists already.")
        order, apart = _order_of(hub, connection, device, facts)
        step_id = connection.execute(insert(procedure_step).values(
            **_columns(facts), sop_uid=facts.sop_uid, site_id=device.site_id, device_id=device.id, state=STEP.initial,
            order_id=order.id if order is not None and not apart else None, created_at=now, changed_at=now)).inserted_primary_key[0]
        audit.append(connection, now, actor, "order.step_begun", "procedure_step", step_id, device.site_id, study_uid=facts.study_uid,
                     order_id=order.id if order is not None else None, other_patient=apart)
        if order is not None and not apart:
            advance(connection, ORDER, order.id, "begin", changed_at=now)
        completion.prove_again(hub, connection, facts.study_uid, device.site_id)


def proceed(hub: Hub, device: Device, actor: Actor, sop_uid: str, merged: Callable[[dict], StepFacts]) -> None:
    """N-SET: more is known, or the work ended. ``merged`` makes the whole of what is kept and what came; what it raises
    leaves everything as it was. NotFound without the step; Conflict("final") where nothing may be changed any more."""
    now = hub.now()
    with hub.writing() as connection:
        row = connection.execute(select(procedure_step).where(
            procedure_step.c.sop_uid == sop_uid, procedure_step.c.site_id == device.site_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这个检查步骤。", "no such procedure step.")
        if row.state not in STEP.sources("set"):
            raise Conflict("final", "检查步骤已结束，不能再修改。", "the procedure step may no longer be updated.")
        facts = merged(row.content)
        advance(connection, STEP, row.id, EVENTS[facts.state], changed_at=now, **_columns(facts))
        audit.append(connection, now, actor, "order.step_changed", "procedure_step", row.id, device.site_id, state=facts.state,
                     instances=sum(len(one.instances) for one in facts.series), reason=facts.reason)
        if facts.state != "in_progress" and row.order_id is not None:
            _end_order(connection, row.order_id, now, facts)
        completion.prove_again(hub, connection, facts.study_uid, device.site_id)


def told(hub: Hub, device: Device, actor: Actor, sop_uid: str) -> dict:
    """N-GET: a step as it stands, DICOM JSON; the look is recorded. NotFound for one that the device's site does not have."""
    with hub.writing() as connection:
        row = connection.execute(select(procedure_step).where(
            procedure_step.c.sop_uid == sop_uid, procedure_step.c.site_id == device.site_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这个检查步骤。", "no such procedure step.")
        audit.append(connection, hub.now(), actor, "order.step_read", "procedure_step", row.id, device.site_id)
        return row.content


def _end_order(connection: Connection, order_id: int, now: datetime, facts: StepFacts) -> None:
    """The order follows when none of its steps is in progress any more: performed if one was completed, else broken off."""
    states = set(connection.scalars(select(procedure_step.c.state).where(procedure_step.c.order_id == order_id)))
    state = connection.scalar(select(exam_order.c.state).where(exam_order.c.id == order_id))
    event = "complete" if "completed" in states else "discontinue"
    if "in_progress" not in states and state in ORDER.sources(event):
        advance(connection, ORDER, order_id, event, changed_at=now, **({"reason": facts.reason[:256]} if event == "discontinue" else {}))


def _order_of(hub: Hub, connection: Connection, device: Device, facts: StepFacts) -> tuple:
    """The order of the device's site that a report names, and whether it names another patient."""
    numbers, uids = {number for number, _ in facts.links if number}, {uid for _, uid in facts.links if uid} | {facts.study_uid}
    found = connection.execute(select(exam_order).where(
        exam_order.c.site_id == device.site_id, or_(exam_order.c.accession_number.in_(numbers), exam_order.c.study_uid.in_(uids)))
        .order_by(exam_order.c.id)).all()
    if not found:
        return None, False
    order = next((row for row in found if row.accession_number in numbers), found[0])
    named = facts.patient
    asked = Party(order.patient_number, order.resident_id, order.patient_name, order.name_latin, order.sex, order.birth_date, order.modality)
    latin = named.name_as_sent.split("=")[0]
    done = Party(named.patient_id, "", named.name, latin if latin.isascii() else "", named.sex, named.birth_date, facts.modality)
    return order, weigh(asked, done, hub.rules.matching, "procedure_step").outcome == "object"


def _columns(facts: StepFacts) -> dict:
    number = next((number for number, _ in facts.links if number), "")
    return fitted(procedure_step, dict(
        study_uid=facts.study_uid, accession_number=number, patient_number=facts.patient.patient_id, patient_name=facts.patient.name,
        modality=facts.modality, station=facts.station, description=facts.description, started_at=facts.started_at, ended_at=facts.ended_at,
        reason=facts.reason, series=[asdict(one) | {"instances": list(one.instances)} for one in facts.series], content=facts.content))
