"""Critical values: raised by a person or suspected by a machine, heard, read back, closed; escalated when late."""
from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound
from hub.model.access import SYSTEM, Actor
from hub.model.lifecycle import CRITICAL
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import critical, patient, site, study

OPEN_STATES = ("raised", "notified", "escalated")

NOT_CLOSED = tuple(state for state in CRITICAL.states if state != "closed")


def raise_by_machine(hub: Hub, connection: Connection, of_study, finding: str, rule: str) -> None:
    """Opens an alert for a person to confirm, once per study and rule."""
    known = connection.scalar(select(critical.c.id).where(critical.c.study_id == of_study.id, critical.c.rule == rule))
    if known is None:
        _raise(hub, connection, SYSTEM, of_study, finding, rule, None)


def raise_by_reader(hub: Hub, connection: Connection, actor: Actor, of_study, report_id: int, finding: str) -> None:
    """Opens an alert for a report that its reader marked critical; the clinic sees it at once."""
    known = connection.scalar(select(critical.c.id).where(
        critical.c.study_id == of_study.id, critical.c.rule == "reader", critical.c.state.in_(OPEN_STATES)))
    if known is None:
        _raise(hub, connection, actor, of_study, finding, "reader", report_id)


def _raise(hub: Hub, connection: Connection, actor: Actor, of_study, finding, rule, report_id) -> None:
    now = hub.now()
    critical_id = connection.execute(insert(critical).values(
        study_id=of_study.id, report_id=report_id, site_id=of_study.site_id, state=CRITICAL.initial,
        finding=finding[:512], rule=rule[:64], raised_by=actor.name, raised_at=now,
        due_at=now + timedelta(minutes=hub.settings.critical_minutes))).inserted_primary_key[0]
    audit.append(connection, now, actor, "critical.raise", "critical", critical_id, of_study.site_id, of_study.patient_id,
                 rule=rule, finding=finding[:200])


def for_clinic(hub: Hub, actor: Actor) -> list:
    """The open critical values of the actor's site. Showing them counts as notification, and is recorded."""
    actor.require("clinic.view")
    now = hub.now()
    with hub.reading() as connection:
        rows = _open(connection, critical.c.site_id == actor.site_id, critical.c.rule == "reader")
    unseen = [row.id for row in rows if row.notified_at is None]
    if unseen:
        with hub.writing() as connection:
            for critical_id in unseen:
                _notify(connection, now, actor, critical_id)
    return rows


def _notify(connection: Connection, now, actor: Actor, critical_id: int) -> None:
    """The first look counts; what is escalated stays so until it is read back."""
    row = _row(connection, critical_id)
    if row.notified_at is None:
        if row.state in CRITICAL.sources("notify"):
            advance(connection, CRITICAL, critical_id, "notify")
        connection.execute(update(critical).where(critical.c.id == critical_id).values(notified_at=now))
        audit.append(connection, now, actor, "critical.notified", "critical", critical_id, row.site_id)


def for_readers(hub: Hub, actor: Actor) -> list:
    """The critical values that nobody at a clinic has read back yet, and the machine's suspicions."""
    actor.require("worklist.view")
    with hub.reading() as connection:
        return _open(connection)


def read_back(hub: Hub, actor: Actor, critical_id: int, words: str) -> None:
    """The clinic repeats the finding in its own words and takes it over."""
    actor.require("critical.read_back")
    if len(words.strip()) < 2:
        raise Invalid("empty_read_back", "请复述危急值内容后再确认。", "repeat the finding in your own words first.")
    now = hub.now()
    with hub.writing() as connection:
        row = _row(connection, critical_id)
        actor.require_site(row.site_id)
        advance(connection, CRITICAL, critical_id, "read_back", read_back_by=actor.name, read_back_at=now)
        audit.append(connection, now, actor, "critical.read_back", "critical", critical_id, row.site_id, words=words[:200])


def close(hub: Hub, actor: Actor, critical_id: int, words: str = "") -> None:
    """The centre closes the loop. A machine's suspicion may be closed without read-back, with the reason."""
    actor.require("critical.close")
    now = hub.now()
    with hub.writing() as connection:
        row = _row(connection, critical_id)
        if row.rule != "reader" and row.state in CRITICAL.sources("read_back"):
            if len(words.strip()) < 2:
                raise Invalid("empty_reason", "请写明处理理由。", "say why the suspicion is closed.")
            advance(connection, CRITICAL, critical_id, "read_back", read_back_by=actor.name, read_back_at=now)
        advance(connection, CRITICAL, critical_id, "close", closed_by=actor.name, closed_at=now)
        audit.append(connection, now, actor, "critical.close", "critical", critical_id, row.site_id, words=words[:200])


def escalate_unanswered(hub: Hub) -> int:
    """Run by the scheduler: whoever has not answered in time is shown to everyone in red. Returns how many."""
    now = hub.now()
    with hub.reading() as connection:
        late = connection.execute(select(critical.c.id, critical.c.site_id).where(
            critical.c.state.in_(CRITICAL.sources("escalate")), critical.c.due_at < now)).all()
    for row in late:
        with hub.writing() as connection:
            try:
                advance(connection, CRITICAL, row.id, "escalate")
            except Conflict:
                continue
            audit.append(connection, now, SYSTEM, "critical.escalate", "critical", row.id, row.site_id)
    return len(late)


def _open(connection: Connection, *conditions) -> list:
    return list(connection.execute(
        select(critical, patient.c.name.label("patient_name"), site.c.name.label("site_name"), site.c.phone, study.c.modality,
               study.c.study_uid)
        .join(study, study.c.id == critical.c.study_id).join(patient, patient.c.id == study.c.patient_id)
        .join(site, site.c.id == critical.c.site_id)
        .where(critical.c.state.in_(NOT_CLOSED), *conditions).order_by(critical.c.due_at)))


def _row(connection: Connection, critical_id: int):
    row = connection.execute(select(critical).where(critical.c.id == critical_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这条危急值。", "no such critical value.")
    return row
