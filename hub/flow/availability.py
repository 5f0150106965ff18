"""The word that a study is ready goes to every destination that asked for it (PS3.4 R), with retries, until it is taken.

A notice is ordered in the transaction that makes the study ready. A study that becomes ready again withdraws what had not
left yet: the newer notice names everything.
"""
from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from hub.context import Hub
from hub.delivery.channels import ANNOUNCING, deliverer
from hub.delivery.parcel import Announcement
from hub.errors import NotFound
from hub.flow.errands import OUTCOMES, Errand
from hub.model.access import SYSTEM, Actor
from hub.model.lifecycle import NOTICE
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import availability, destination, instance, procedure_step, series, site, study

SHOWN = 200
NOTICES = Errand(availability, NOTICE, "announce", "notice_id")


def order(connection: Connection, now: datetime, study_id: int, site_id: int, generation: int) -> None:
    """Orders a notice of a study to each destination of its site that asked for them, inside the caller's transaction."""
    older = connection.scalars(select(availability.c.id).where(
        availability.c.study_id == study_id, availability.c.generation < generation, availability.c.state.in_(NOTICE.sources("withdraw")))).all()
    for notice_id in older:
        advance(connection, NOTICE, notice_id, "withdraw")
    wanted = connection.scalars(select(destination.c.id).where(
        destination.c.site_id == site_id, destination.c.active, destination.c.channel.in_(ANNOUNCING)).order_by(destination.c.id)).all()
    for destination_id in wanted:
        NOTICES.order(connection, now, study_id=study_id, destination_id=destination_id, generation=generation)


def announce(hub: Hub, notice_id: int) -> None:
    """One attempt. A failure orders the next after a growing pause, until the notice is given up and shown as overdue."""
    with hub.writing() as connection:
        row = _notice(connection, notice_id)
        if not NOTICES.begin(connection, hub.now(), row):
            return
        parcel = _announcement(connection, row)
    event, words = NOTICES.attempt(row, lambda: deliverer(row.channel)(hub, parcel))
    with hub.writing() as connection:
        NOTICES.end(hub, connection, row, event, words)
        audit.append(connection, hub.now(), SYSTEM, f"delivery.{OUTCOMES[event]}", "availability", row.id, row.site_id, channel=row.channel,
                     study_id=row.study_id)


def resend(hub: Hub, actor: Actor, notice_id: int) -> None:
    """Tries a refused or overdue notice again, after its cause was mended."""
    actor.require("delivery.resend")
    with hub.writing() as connection:
        NOTICES.send_again(connection, hub.now(), actor, _notice(connection, notice_id))


def listed(hub: Hub, actor: Actor) -> list:
    """Notices with their study, site and destination, newest first."""
    actor.require("delivery.view")
    with hub.reading() as connection:
        return list(connection.execute(_notices().order_by(availability.c.id.desc()).limit(SHOWN)))


def _announcement(connection: Connection, row) -> Announcement:
    rows = connection.execute(
        select(series.c.series_uid, instance.c.sop_class, instance.c.sop_uid).join(series, series.c.id == instance.c.series_id)
        .where(instance.c.study_id == row.study_id, instance.c.format == "dicom").order_by(series.c.number, series.c.id, instance.c.number, instance.c.id)).all()
    grouped: dict[str, list] = {}
    for one in rows:
        grouped.setdefault(one.series_uid, []).append((one.sop_class, one.sop_uid))
    steps = connection.scalars(select(procedure_step.c.sop_uid).where(
        procedure_step.c.study_uid == row.study_uid, procedure_step.c.site_id == row.site_id).order_by(procedure_step.c.id)).all()
    return Announcement(row.address, row.study_uid, tuple((uid, tuple(made)) for uid, made in grouped.items()), tuple(steps))


def _notice(connection: Connection, notice_id: int):
    row = connection.execute(_notices().where(availability.c.id == notice_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有这次通知。", "no such notice.")
    return row


def _notices():
    return (select(availability, study.c.study_uid, study.c.accession_number, study.c.modality, study.c.site_id, destination.c.address, destination.c.channel,
                   site.c.name.label("site_name"))
            .join(study, study.c.id == availability.c.study_id).join(destination, destination.c.id == availability.c.destination_id)
            .join(site, site.c.id == study.c.site_id))
