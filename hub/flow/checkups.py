"""Checks of devices: what is known of one, the sample that a technician sends while we watch, and results that are kept."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, insert, select, update

from hub.context import Hub
from hub.errors import NotFound
from hub.model.access import Actor
from hub.model.checkup import Checkup
from hub.storage import audit
from hub.storage.tables import artifact, device, device_check, device_visit, door_count, held, instance, patient, site, study

MOST_OBJECTS = 60            # looked at in one check
LOOKED_THROUGH = 200_000     # of the latest instances of all devices: a device that was silent longer has nothing recent to say
DAYS = 7
CHECKS_SHOWN = 12


@dataclass(frozen=True)
class Evidence:
    """What the hub knows of a device. ``instances``: rows of the last objects, the latest last; ``held``, ``counts``: of
    the last week (``counts``: reason -> times); ``proofs``: proof sheets of the studies of these instances; ``artifacts``:
    (instance id, kind) -> what its preparation noted; ``named``: study id -> whether its patient has an ID, and a name."""

    device: object
    instances: tuple
    held: tuple
    visits: tuple
    counts: dict[str, int]
    proofs: tuple[dict, ...]
    artifacts: dict[tuple[int, str], dict]
    named: dict[int, tuple[bool, bool]]


def evidence(hub: Hub, actor: Actor, device_id: int, after: int | None = None) -> Evidence:
    """What is known of a device; with ``after``, of objects whose row is younger than that one only. NotFound if there
    is no such device."""
    actor.require("device.manage")
    since = hub.now() - timedelta(days=DAYS)
    with hub.reading() as connection:
        row = connection.execute(select(device, site.c.name.label("site_name"), site.c.code.label("site_code"))
                                 .join(site, site.c.id == device.c.site_id).where(device.c.id == device_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这台设备。", "no such device.")
        least = after if after is not None else _newest(connection) - LOOKED_THROUGH
        rows = connection.execute(select(instance).where(instance.c.id > least, instance.c.device_id == device_id)
                                  .order_by(instance.c.id.desc()).limit(MOST_OBJECTS)).all()
        if after is not None:
            began = connection.scalar(select(func.max(device_check.c.begun_at)).where(
                device_check.c.device_id == device_id, device_check.c.kind == "sample", device_check.c.ended_at.is_(None)))
            since = began or since
        kept_aside = connection.execute(select(held).where(held.c.device_id == device_id, held.c.received_at >= since)
                                        .order_by(held.c.id.desc()).limit(MOST_OBJECTS)).all()
        visits = connection.execute(select(device_visit).where(device_visit.c.device_id == device_id, device_visit.c.ended_at >= since)
                                    .order_by(device_visit.c.id.desc()).limit(20)).all()
        counts = {reason: int(times) for reason, times in connection.execute(
            select(door_count.c.reason, func.sum(door_count.c.times)).where(
                door_count.c.device_id == device_id, door_count.c.last_at >= since).group_by(door_count.c.reason)).all()}
        homes = connection.execute(select(study.c.id, study.c.proof, patient.c.patient_id, patient.c.name).join(patient, patient.c.id == study.c.patient_id)
                                   .where(study.c.id.in_({one.study_id for one in rows}))).all()
        made = connection.execute(select(artifact.c.instance_id, artifact.c.kind, artifact.c.about)
                                  .where(artifact.c.instance_id.in_({one.id for one in rows}), artifact.c.kind == "ecg_analysis")).all()
    return Evidence(row, tuple(reversed(rows)), tuple(kept_aside), tuple(visits), counts, tuple(home.proof for home in homes if home.proof),
                    {(one.instance_id, one.kind): one.about for one in made},
                    {home.id: (bool(home.patient_id), bool(home.name)) for home in homes})


def keep(hub: Hub, actor: Actor, device_id: int, result: Checkup) -> int:
    """Keeps a check that was made just now, and returns its id."""
    actor.require("device.manage")
    now = hub.now()
    with hub.writing() as connection:
        check_id = connection.execute(insert(device_check).values(
            device_id=device_id, kind="check", begun_at=now, ended_at=now, asked_by=actor.name[:64], after_instance=0, verdict=result.verdict,
            result=result.as_json())).inserted_primary_key[0]
        audit.append(connection, now, actor, "device.check", "device", device_id, verdict=result.verdict)
    return check_id


def begin_sample(hub: Hub, actor: Actor, device_id: int) -> int:
    """From now on what the device sends is its sample. A sample that was still open is given up."""
    actor.require("device.manage")
    now = hub.now()
    with hub.writing() as connection:
        if connection.scalar(select(device.c.id).where(device.c.id == device_id)) is None:
            raise NotFound("not_found", "没有这台设备。", "no such device.")
        connection.execute(update(device_check).where(device_check.c.device_id == device_id, device_check.c.ended_at.is_(None))
                           .values(ended_at=now, verdict="given_up"))
        return connection.execute(insert(device_check).values(
            device_id=device_id, kind="sample", begun_at=now, asked_by=actor.name[:64], after_instance=_newest(connection), verdict="",
            result={})).inserted_primary_key[0]


def open_sample(hub: Hub, actor: Actor, device_id: int):
    """The sample that is under way, as a row, or None."""
    actor.require("device.manage")
    with hub.reading() as connection:
        return connection.execute(select(device_check).where(device_check.c.device_id == device_id, device_check.c.kind == "sample",
                                                             device_check.c.ended_at.is_(None)).order_by(device_check.c.id.desc()).limit(1)).one_or_none()


def end_sample(hub: Hub, actor: Actor, check_id: int, result: Checkup) -> None:
    """Keeps what the sample showed. Two clicks keep it once."""
    actor.require("device.manage")
    now = hub.now()
    with hub.writing() as connection:
        row = connection.execute(select(device_check).where(device_check.c.id == check_id)).one_or_none()
        changed = connection.execute(update(device_check).where(device_check.c.id == check_id, device_check.c.ended_at.is_(None)).values(
            ended_at=now, verdict=result.verdict, result=result.as_json()))
        if changed.rowcount == 1:
            audit.append(connection, now, actor, "device.check", "device", row.device_id, verdict=result.verdict, sample=True)


def checks(hub: Hub, actor: Actor, device_id: int) -> list:
    """The last checks and samples that have ended, the latest first, as rows; those that were given up are left out."""
    actor.require("device.manage")
    with hub.reading() as connection:
        return list(connection.execute(select(device_check).where(
            device_check.c.device_id == device_id, device_check.c.ended_at.is_not(None), device_check.c.verdict != "given_up")
            .order_by(device_check.c.id.desc()).limit(CHECKS_SHOWN)))


def _newest(connection: Connection) -> int:
    return connection.scalar(select(func.max(instance.c.id))) or 0
