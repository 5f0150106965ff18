"""A clinic's orders: placed, changed, cancelled. The accession number is made here and never given twice."""
from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace

from sqlalchemy import Connection, func, insert, select

from hub import rulebook
from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound
from hub.flow import matching
from hub.flow.devices import Device
from hub.model import order as rules
from hub.model.access import SENDER_ROLE, Actor
from hub.model.names import latin_name
from hub.model.lifecycle import ORDER
from hub.model.order import Wish
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import device, exam_order, order_key, site


def place(hub: Hub, actor: Actor, wish: Wish) -> int:
    """Places an order for the actor's own site and returns its id. Invalid in words that name the field."""
    actor.require("order.place")
    now = hub.now()
    wish = rules.checked(wish, now.astimezone(hub.settings.zone).date())
    with hub.writing() as connection:
        return _place(hub, connection, actor, wish, now)


def place_once(hub: Hub, sender: Device, address: str, key: str, content: str, wish: Wish, station: str = ""):
    """Places an order of an information system for its own site, once for each of its keys: the row, and whether it is new.
    ``content``: the order as it was sent; ``station``: the AE title of the device that is to perform it, "" for any. Conflict where the key stands for another order."""
    actor, now = Actor(None, sender.name, SENDER_ROLE, sender.site_id, address), hub.now()
    actor.require("order.place")
    digest = hashlib.sha256(content.encode()).hexdigest()
    with hub.writing() as connection:
        known = connection.execute(select(order_key).where(order_key.c.sender_id == sender.id, order_key.c.key == key)).one_or_none()
        if known is not None and known.content_sha256 != digest:
            raise Conflict("key_reused", "这个键已用于另一张内容不同的申请单；新的申请单请用新的键。", "this key stands for another order with other content; give each order a key of its own.")
        if known is None:
            wish = rules.checked(wish, now.astimezone(hub.settings.zone).date())
            wish = replace(wish, device_id=_station(connection, sender.site_id, station)) if station else wish
            order_id = _place(hub, connection, actor, wish, now)
            connection.execute(insert(order_key).values(sender_id=sender.id, key=key, content_sha256=digest, order_id=order_id, received_at=now))
        row = connection.execute(select(exam_order).where(exam_order.c.id == (known.order_id if known is not None else order_id))).one()
    return row, known is None


def _place(hub: Hub, connection: Connection, actor: Actor, wish: Wish, now) -> int:
    if connection.scalar(select(site.c.id).where(site.c.id == actor.site_id, site.c.active)) is None:
        raise Invalid("no_site", "您的账号没有所属机构，不能开申请单，请联系管理员。", "your account belongs to no institution; ask the administrator.")
    _check_device(connection, actor.site_id, wish)
    number = _next_number(hub, connection, now)
    order_id = connection.execute(insert(exam_order).values(
        **_columns(wish, number), site_id=actor.site_id, accession_number=number, study_uid=f"2.25.{uuid.uuid4().int}", state=ORDER.initial,
        placed_by=actor.name[:64], placed_at=now, changed_at=now)).inserted_primary_key[0]
    audit.append(connection, now, actor, "order.place", "order", order_id, actor.site_id, accession_number=number, modality=wish.modality,
                 urgency=wish.urgency)
    matching.match_order(hub, connection, order_id)
    return order_id


def _station(connection: Connection, site_id: int, ae_title: str) -> int:
    found = connection.scalars(select(device.c.id).where(device.c.site_id == site_id, device.c.ae_title == ae_title, device.c.active)).first()
    if found is None:
        raise Invalid("no_device", f"本机构没有 AE 标题为 {ae_title[:16]} 的在用设备。", f"the site has no device in use with the AE title {ae_title[:16]}.")
    return found


def change(hub: Hub, actor: Actor, order_id: int, wish: Wish) -> None:
    """Changes an order that no device has begun; its accession number stays. What was before is in the audit."""
    actor.require("order.place")
    now = hub.now()
    wish = rules.checked(wish, now.astimezone(hub.settings.zone).date())
    with hub.writing() as connection:
        row = _own(connection, actor, order_id)
        _check_device(connection, row.site_id, wish)
        values = _columns(wish, row.accession_number)
        advance(connection, ORDER, order_id, "change", changed_at=now, **values)
        before = {name: getattr(row, name) for name, value in values.items() if getattr(row, name) != value}
        audit.append(connection, now, actor, "order.change", "order", order_id, row.site_id, before=before)
        matching.match_order(hub, connection, order_id)


def cancel(hub: Hub, actor: Actor, order_id: int, reason: str) -> None:
    """Takes an order back that was not performed; devices do not see it any more."""
    _step(hub, actor, order_id, "cancel", reason)


def reschedule(hub: Hub, actor: Actor, order_id: int, reason: str) -> None:
    """Puts an order that was broken off, or must be repeated, on the worklist again."""
    _step(hub, actor, order_id, "reschedule", reason)


def _step(hub: Hub, actor: Actor, order_id: int, event: str, reason: str) -> None:
    actor.require("order.place")
    reason = " ".join(reason.split())[:256]
    if not reason:
        raise Invalid("no_reason", "请写明原因。", "say why.")
    with hub.writing() as connection:
        row = _own(connection, actor, order_id)
        advance(connection, ORDER, order_id, event, reason=reason, changed_at=hub.now())
        audit.append(connection, hub.now(), actor, f"order.{event}", "order", order_id, row.site_id, reason=reason)


def _own(connection: Connection, actor: Actor, order_id: int):
    row = connection.execute(select(exam_order).where(exam_order.c.id == order_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这张申请单。", "no such order.")
    actor.require_site(row.site_id)
    return row


def _check_device(connection: Connection, site_id: int, wish: Wish) -> None:
    if wish.device_id is not None and connection.scalar(select(device.c.id).where(
            device.c.id == wish.device_id, device.c.site_id == site_id, device.c.active)) is None:
        raise Invalid("no_device", "没有这台设备，请重新选择。", "no such device; choose again.")


def _next_number(hub: Hub, connection: Connection, now) -> str:
    """The day's next accession number. Writers queue, so none is given twice; the table refuses it besides."""
    day = now.astimezone(hub.settings.zone).date()
    stem = f"A{day:%y%m%d}"
    last = connection.scalar(select(func.max(exam_order.c.accession_number)).where(
        exam_order.c.accession_number.between(f"{stem}000000", f"{stem}999999")))
    return rules.accession_number(day, int(last[len(stem):-1]) + 1 if last else 1)


def _columns(wish: Wish, number: str) -> dict:
    """The columns of a wish. Devices need a patient number: where the clinic has none it is the resident number, else the order's."""
    names = ("patient_name", "resident_id", "sex", "birth_date", "phone", "modality", "body_part", "procedure", "clinical_question", "physician",
             "urgency", "scheduled_at", "device_id")
    return {name: getattr(wish, name) for name in names} | {
        "patient_number": wish.patient_number or wish.resident_id or number, "name_latin": latin_name(wish.patient_name, rulebook.load().identity.names)}
