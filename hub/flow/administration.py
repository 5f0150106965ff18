"""The administrator's desk: sites, where their reports go, what is held, which jobs failed, the audit."""
from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, insert, select, update

from hub.context import Hub
from hub.errors import Invalid, NotFound
from hub.flow.commitments import OPEN
from hub.model.access import SERVED, SYSTEM, Actor
from hub.model.arrival import StoredFile
from hub.model.lifecycle import HELD, JOB
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import audit as audit_table
from hub.storage.tables import commitment, decision, delivery, destination, device, held, job, site, study, unknown_caller

AUDIT_PAGE = 100
CHANNEL_FIELDS = {"dicom": ("ae_title", "host", "port"), "webhook": ("url", "secret"), "availability": ("ae_title", "host", "port")}


def create_site(hub: Hub, actor: Actor, *, code: str, name: str, level: str = "", phone: str = "") -> int:
    """Adds an institution and returns its id."""
    actor.require("site.manage")
    code, name = code.strip(), name.strip()
    if not code or not name:
        raise Invalid("bad_site", "请填写机构代码和名称。", "an institution needs a code and a name.")
    with hub.writing() as connection:
        if connection.scalar(select(site.c.id).where(site.c.code == code)) is not None:
            raise Invalid("code_taken", "该机构代码已存在。", "this code exists already.")
        site_id = connection.execute(insert(site).values(
            code=code[:32], name=name[:128], level=level[:32], phone=phone[:64], active=True, created_at=hub.now())).inserted_primary_key[0]
        audit.append(connection, hub.now(), actor, "site.create", "site", site_id, site_id, code=code, name=name)
    return site_id


def sites(hub: Hub) -> list:
    """All institutions, by name. Names of institutions are no secret among signed-in people."""
    with hub.reading() as connection:
        return list(connection.execute(select(site).order_by(site.c.name)))


def add_destination(hub: Hub, actor: Actor, site_id: int, channel: str, address: dict) -> int:
    """Lets a site's reports go to its own DICOM node or webhook as well, and returns the destination's id."""
    actor.require("site.manage")
    address = _checked_address(channel, address)
    with hub.writing() as connection:
        if connection.scalar(select(site.c.id).where(site.c.id == site_id)) is None:
            raise NotFound("no_site", "没有这个机构。", "no such institution.")
        destination_id = connection.execute(insert(destination).values(
            site_id=site_id, channel=channel, address=address, active=True, created_at=hub.now())).inserted_primary_key[0]
        audit.append(connection, hub.now(), actor, "destination.create", "destination", destination_id, site_id, channel=channel,
                     to={k: v for k, v in address.items() if k != "secret"})
    return destination_id


def set_destination_active(hub: Hub, actor: Actor, destination_id: int, active: bool) -> None:
    """Switches a destination on or off; what was delivered stays on record."""
    actor.require("site.manage")
    with hub.writing() as connection:
        if connection.execute(update(destination).where(destination.c.id == destination_id).values(active=active)).rowcount != 1:
            raise NotFound("not_found", "没有这个去向。", "no such destination.")
        audit.append(connection, hub.now(), actor, "destination.set_active", "destination", destination_id, active=active)


def set_destination_served(hub: Hub, actor: Actor, destination_id: int, served: str) -> None:
    """Whether images moved to a DICOM node go there corrected or as they came."""
    actor.require("site.manage")
    if served not in SERVED:
        raise Invalid("bad_served", "只能选择更正后或原始内容。", "objects are given corrected or original.")
    with hub.writing() as connection:
        if connection.execute(update(destination).where(destination.c.id == destination_id).values(served=served)).rowcount != 1:
            raise NotFound("not_found", "没有这个去向。", "no such destination.")
        audit.append(connection, hub.now(), actor, "destination.set_served", "destination", destination_id, served=served)


def destinations(hub: Hub, actor: Actor) -> list:
    """All destinations with their site's name."""
    actor.require("site.manage")
    with hub.reading() as connection:
        return list(connection.execute(select(destination, site.c.name.label("site_name")).join(site, site.c.id == destination.c.site_id)
                                       .order_by(site.c.name)))


def held_objects(hub: Hub, actor: Actor, state: str = "open") -> list:
    """What is kept aside, the latest first."""
    actor.require("held.view")
    with hub.reading() as connection:
        return list(connection.execute(
            select(held, site.c.name.label("site_name"), device.c.name.label("device_name"))
            .outerjoin(site, site.c.id == held.c.site_id).outerjoin(device, device.c.id == held.c.device_id)
            .where(held.c.state == state).order_by(held.c.id.desc()).limit(200)))


def held_object(hub: Hub, actor: Actor, held_id: int):
    """One held case with the names of its site and device; the look is recorded, for it may name a patient."""
    actor.require("held.view")
    with hub.writing() as connection:
        row = _held(connection, held_id)
        audit.append(connection, hub.now(), actor, "held.view", "held", held_id, row.site_id)
    return row


def take_held_file(hub: Hub, actor: Actor, held_id: int, place: int) -> StoredFile:
    """The name and hash of one of a held case's original files, counted from 0; who took it is recorded."""
    actor.require("held.view")
    with hub.writing() as connection:
        row = _held(connection, held_id)
        if not 0 <= place < len(row.files):
            raise NotFound("no_file", "没有这个文件。", "no such file.")
        audit.append(connection, hub.now(), actor, "held.download", "held", held_id, row.site_id, sha256=row.files[place]["sha256"])
    return StoredFile(**row.files[place])


def resolve_held(hub: Hub, actor: Actor, held_id: int, resolution: str) -> None:
    """Closes a held case with a word on what was done. Its bytes stay until their term is over."""
    actor.require("held.resolve")
    if not resolution.strip():
        raise Invalid("empty_resolution", "请写明处理结果。", "say what was done.")
    with hub.writing() as connection:
        connection.execute(insert(decision).values(
            held_id=_held(connection, held_id).id, choice="note", words=resolution.strip()[:512], account_id=actor.account_id, who=actor.name, at=hub.now()))
        advance(connection, HELD, held_id, "resolve", resolution=resolution.strip()[:256], resolved_by=actor.name, resolved_at=hub.now())
        audit.append(connection, hub.now(), actor, "held.resolve", "held", held_id, resolution=resolution[:200])


def failed_jobs(hub: Hub, actor: Actor) -> list:
    """Jobs that were given up, the latest first."""
    actor.require("operations.view")
    with hub.reading() as connection:
        return list(connection.execute(select(job).where(job.c.state == "failed").order_by(job.c.id.desc()).limit(100)))


def redo_job(hub: Hub, actor: Actor, job_id: int) -> None:
    """Lets a failed job run again from its first try."""
    actor.require("job.redo")
    with hub.writing() as connection:
        advance(connection, JOB, job_id, "redo", due_at=hub.now(), tries=0, error="", ended_at=None)
        audit.append(connection, hub.now(), actor, "job.redo", "job", job_id)


def overview(hub: Hub, actor: Actor) -> dict:
    """Numbers for the operations page: studies, jobs, deliveries and open storage commitments by state, held objects, callers that wait."""
    actor.require("operations.view")
    with hub.reading() as connection:
        return {"studies": dict(connection.execute(select(study.c.state, func.count()).group_by(study.c.state)).all()),
                "jobs": dict(connection.execute(select(job.c.state, func.count()).group_by(job.c.state)).all()),
                "deliveries": dict(connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state)).all()),
                "commitments": dict(connection.execute(select(commitment.c.state, func.count()).where(commitment.c.state.in_(OPEN)).group_by(commitment.c.state)).all()),
                "held": connection.scalar(select(func.count()).select_from(held).where(held.c.state == HELD.initial)),
                "callers": connection.scalar(select(func.count()).select_from(unknown_caller).where(unknown_caller.c.state == "waiting"))}


def audit_entries(hub: Hub, actor: Actor, *, action: str = "", person: str = "", before: int | None = None) -> list:
    """One page of the audit, newest first."""
    actor.require("audit.view")
    found = select(audit_table).order_by(audit_table.c.seq.desc()).limit(AUDIT_PAGE)
    if action:
        found = found.where(audit_table.c.action.startswith(action, autoescape=True))
    if person:
        found = found.where(audit_table.c.actor == person)
    if before:
        found = found.where(audit_table.c.seq < before)
    with hub.reading() as connection:
        return list(connection.execute(found))


def note_settings(hub: Hub) -> dict[str, list]:
    """At a start: what has changed in the settings since the last one goes into the audit, and is returned as
    {name: [before, now]}. Passwords inside addresses are never written down."""
    now = {name: _without_password(value) for name, value in vars(hub.settings).items()}
    with hub.writing() as connection:
        last = connection.scalar(select(audit_table.c.detail).where(audit_table.c.action == "settings.in_force")
                                 .order_by(audit_table.c.seq.desc()).limit(1))
        before = json.loads(last)["settings"] if last else {}
        changed = {name: [before.get(name), value] for name, value in now.items() if before.get(name) != value}
        if changed:
            audit.append(connection, hub.now(), SYSTEM, "settings.in_force", settings=now, changed=sorted(changed) if before else [])
    return changed if before else {}


def verify_audit(hub: Hub) -> audit.AuditVerdict:
    """Walks the whole chain of the audit and names the first broken entry."""
    with hub.reading() as connection:
        return audit.verify(connection)


def _without_password(value):
    return re.sub(r"(//[^:/@]*):[^@/]*@", r"\1:***@", value) if isinstance(value, str) else value


def _held(connection: Connection, held_id: int):
    row = connection.execute(
        select(held, site.c.name.label("site_name"), device.c.name.label("device_name"), device.c.ae_title)
        .outerjoin(site, site.c.id == held.c.site_id).outerjoin(device, device.c.id == held.c.device_id)
        .where(held.c.id == held_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有这个隔离记录。", "no such held object.")
    return row


def _checked_address(channel: str, address: dict) -> dict:
    if channel not in CHANNEL_FIELDS:
        raise Invalid("bad_channel", "去向类型只能是 dicom、webhook 或 availability。", "a destination is of channel dicom, webhook or availability.")
    values = {name: str(address.get(name, "")).strip() for name in CHANNEL_FIELDS[channel]}
    if not all(values.values()):
        raise Invalid("bad_address", "请把去向填写完整。", f"a {channel} destination needs {', '.join(values)}.")
    if channel in ("dicom", "availability"):
        if not values["port"].isdigit() or not 1 <= int(values["port"]) <= 65535:
            raise Invalid("bad_address", "端口应为 1 至 65535。", "the port lies between 1 and 65535.")
        encrypted = str(address.get("tls", "")).strip() or "no"
        if encrypted not in ("no", "yes"):
            raise Invalid("bad_address", "加密只能是 yes 或 no。", "tls is yes or no.")
        return values | {"port": int(values["port"])} | ({"tls": "yes"} if encrypted == "yes" else {})
    parts = urlsplit(values["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid("bad_address", "网址应以 http:// 或 https:// 开头。", "the URL begins with http:// or https://.")
    if len(values["secret"]) < 16:
        raise Invalid("bad_address", "签名密钥至少 16 个字符。", "the secret has at least 16 characters.")
    return values
