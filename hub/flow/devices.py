"""Who may send: registered devices, and unknown callers that wait for one click of the administrator."""
from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.model import device_rules
from hub.model.access import DEVICE_ROLE, SERVED, SYSTEM, Actor
from hub.model.device_rules import DeviceRules, address_fits
from hub.model.habits import habit
from hub.storage import audit
from hub.storage.fitting import fitted
from hub.storage.tables import destination, device, device_site, site, unknown_caller

TOUCH_AFTER_S = 60
SENDING, ORDERING = "ecg", "his"      # kinds that come with a token: to send recordings, to place orders
KINDS = ("dicom", SENDING, ORDERING)


@dataclass(frozen=True)
class Device:
    """A registered device as the doors need it. ``address``: an IP address or network, "" where any is accepted.
    ``charset``: what its texts are taken to be where they declare nothing, "" for no opinion. ``served``: whether
    objects that it asks for are corrected or as they came. ``habit``: the encoding in which nearly all its names were
    written so far, "" where none is known."""

    id: int | None
    site_id: int | None
    kind: str
    name: str
    ae_title: str
    address: str
    charset: str
    served: str = SERVED[0]
    rules: DeviceRules = DeviceRules()
    habit: str = ""


class Caller(NamedTuple):
    """Who asks for an association: its own title, where it calls from, the title that it calls."""

    ae_title: str
    address: str
    called: str = ""


_REGISTERED = select(device).join(site, site.c.id == device.c.site_id).where(
    device.c.kind == "dicom", device.c.active, site.c.active, device.c.ae_title.in_(bindparam("titles", expanding=True)))


def admit(hub: Hub, ae_title: str, address: str, called: str = "", note: bool = True) -> Device:
    """The registered DICOM device behind ``ae_title`` at ``address``; Refused if none, and the caller noted unless the
    door is flooded with strangers."""
    caller = Caller(ae_title, address, called)
    row = _behind(hub, [caller])[caller]
    if row is not None:
        _touch(hub, row)
        return _device(row)
    if note:
        note_strangers(hub, [caller])
    raise Refused("unknown_caller", f"设备 {ae_title}（{address}）尚未登记，请联系县中心管理员登记。",
                  f"the device {ae_title} at {address} is not registered; ask the centre's administrator.")


def strangers(hub: Hub, callers: Collection[Caller]) -> set[Caller]:
    """Those of these callers that ``admit`` would refuse, asked for together. Nothing is noted."""
    return {caller for caller, row in _behind(hub, callers).items() if row is None}


def note_strangers(hub: Hub, callers: Iterable[Caller]) -> None:
    """Puts callers that are not registered before the administrator, all in one transaction."""
    with hub.writing() as connection:
        for caller, times in Counter(callers).items():
            _note_unknown(connection, hub.now(), caller, times)


def stranger(ae_title: str, address: str) -> Device:
    """A caller that is not registered, where the settings let it send all the same: what it sends is held, and it
    belongs to no site, so that it sees nothing."""
    return Device(None, None, "dicom", ae_title.strip() or address, ae_title.strip(), address, "")


@dataclass(frozen=True)
class Node:
    """A DICOM node that can be called, over TLS where ``tls``, and whether objects go to it corrected or as they came."""

    ae_title: str
    host: str
    port: int
    served: str = SERVED[0]
    tls: bool = False


def actor_of(device: Device, address: str = "") -> Actor:
    """A device that asks, as the access table and the audit know it: it sees its own site."""
    return Actor(None, device.name, DEVICE_ROLE, device.site_id, address)


def node(hub: Hub, actor: Actor, ae_title: str) -> Node:
    """The DICOM node with this AE title among the active destinations of the actor's own site. NotFound if none:
    a device never sends patients' images to where no administrator has said so. Of several the one that was registered last."""
    actor.require("study.images")
    with hub.reading() as connection:
        rows = connection.execute(
            select(destination.c.address, destination.c.served).join(site, site.c.id == destination.c.site_id)
            .where(destination.c.site_id == actor.site_id, destination.c.channel == "dicom", destination.c.active, site.c.active)
            .order_by(destination.c.id.desc())).all()
    for row in rows:
        if row.address["ae_title"] == ae_title:
            return Node(ae_title, row.address["host"], int(row.address["port"]), row.served, row.address.get("tls") == "yes")
    raise NotFound("no_node", f"本机构没有登记 {ae_title} 这个 DICOM 去向，请联系县中心管理员登记。",
                   f"the site has no DICOM destination {ae_title}; ask the centre's administrator to register it.")


def by_token(hub: Hub, token: str, address: str = "", kind: str = SENDING) -> Device:
    """The registered device of a kind with this token; Refused if there is none, or if it sends from an ``address`` that
    is not its own."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    with hub.reading() as connection:
        row = connection.execute(
            select(device).join(site, site.c.id == device.c.site_id)
            .where(device.c.token_sha256 == digest, device.c.kind == kind, device.c.active, site.c.active)).one_or_none() if token else None
    if row is None:
        raise Refused("bad_token", "设备令牌无效或已停用，请联系县中心管理员重新发放。",
                      "the device token is not valid; ask the centre's administrator for a new one.")
    if address and not address_fits(row.address, address):
        raise Refused("other_address", f"该设备不允许从地址 {address} 发送，请联系县中心管理员。",
                      f"the device may not send from {address}; ask the centre's administrator.")
    _touch(hub, row)
    return _device(row)


def register(hub: Hub, actor: Actor, *, site_id: int, kind: str, name: str, ae_title: str = "", address: str = "",
             charset: str = "") -> tuple[int, str]:
    """Registers a device or an information system and returns its id and, but for DICOM, the token to be shown once."""
    actor.require("device.manage")
    if kind not in KINDS:
        raise Invalid("bad_kind", "类型只能是影像设备、心电图机或信息系统。", "a device is of kind dicom, ecg or his.")
    ae_title, address = ae_title.strip(), device_rules.checked_address(address)
    if kind == "dicom":
        _check_ae_title(ae_title)
    token = secrets.token_urlsafe(32) if kind != "dicom" else ""
    with hub.writing() as connection:
        device_id = _insert(hub, connection, actor, site_id=site_id, kind=kind, name=name.strip() or ae_title or kind.upper(),
                            ae_title=ae_title if kind == "dicom" else "", address=address, charset=charset, token=token)
    return device_id, token


def register_unknown(hub: Hub, actor: Actor, caller_id: int, site_id: int, name: str = "") -> int:
    """Registers a waiting caller with the AE title and address it called from, and returns the device's id.
    Conflict when it does not wait any more: two clicks make one device."""
    actor.require("device.manage")
    with hub.reading() as connection:
        caller = connection.execute(select(unknown_caller).where(unknown_caller.c.id == caller_id)).one_or_none()
    if caller is None:
        raise NotFound("not_found", "没有这个来访设备。", "no such caller.")
    _check_ae_title(caller.ae_title)
    with hub.writing() as connection:
        taken = connection.execute(update(unknown_caller).where(
            unknown_caller.c.id == caller_id, unknown_caller.c.state == "waiting").values(state="registered"))
        if taken.rowcount != 1:
            raise Conflict("not_waiting", "该设备已登记或已忽略，请刷新页面查看。", "this caller is registered or dismissed already; reload the page.")
        return _insert(hub, connection, actor, site_id=site_id, kind="dicom", name=name.strip() or caller.ae_title,
                       ae_title=caller.ae_title, address=caller.address, charset="", token="")


def renew_token(hub: Hub, actor: Actor, device_id: int) -> str:
    """Gives an ECG device or information system a new token, shown once; the old one ends at once."""
    actor.require("device.manage")
    token = secrets.token_urlsafe(32)
    with hub.writing() as connection:
        changed = connection.execute(update(device).where(device.c.id == device_id, device.c.kind != "dicom").values(
            token_sha256=hashlib.sha256(token.encode()).hexdigest()))
        if changed.rowcount != 1:
            raise NotFound("not_found", "没有这台凭令牌通信的设备。", "no such device with a token.")
        audit.append(connection, hub.now(), actor, "device.renew_token", "device", device_id)
    return token


def set_active(hub: Hub, actor: Actor, device_id: int, active: bool) -> None:
    """Lets a device in again, or shuts it out."""
    actor.require("device.manage")
    with hub.writing() as connection:
        if connection.execute(update(device).where(device.c.id == device_id).values(active=active)).rowcount != 1:
            raise NotFound("not_found", "没有这台设备。", "no such device.")
        audit.append(connection, hub.now(), actor, "device.set_active", "device", device_id, active=active)


def set_served(hub: Hub, actor: Actor, device_id: int, served: str) -> None:
    """Whether this device is given corrected objects or originals when it asks."""
    actor.require("device.manage")
    if served not in SERVED:
        raise Invalid("bad_served", "只能选择更正后或原始内容。", "objects are given corrected or original.")
    with hub.writing() as connection:
        if connection.execute(update(device).where(device.c.id == device_id).values(served=served)).rowcount != 1:
            raise NotFound("not_found", "没有这台设备。", "no such device.")
        audit.append(connection, hub.now(), actor, "device.set_served", "device", device_id, served=served)


def habit_of(hub: Hub, device_id: int | None) -> str:
    """The encoding in which nearly all names of a device were written so far, "" where none is known."""
    return texts_of(hub, device_id)[1]


def texts_of(hub: Hub, device_id: int | None) -> tuple[str, str]:
    """How a device writes: the charset and the habit of ``Device``, "" where none is known."""
    with hub.reading() as connection:
        row = connection.execute(select(device.c.charset, device.c.written).where(device.c.id == device_id)).one_or_none()
    return (row.charset or "", habit(row.written or {})) if row is not None else ("", "")


def listed(hub: Hub, actor: Actor) -> list:
    """All devices with their site's name, as rows."""
    actor.require("device.manage")
    with hub.reading() as connection:
        return list(connection.execute(
            select(device, site.c.name.label("site_name")).join(site, site.c.id == device.c.site_id).order_by(site.c.name, device.c.name)))


def find(hub: Hub, actor: Actor, device_id: int):
    """One device with its site's name and code. NotFound if there is none."""
    actor.require("device.manage")
    with hub.reading() as connection:
        row = connection.execute(
            select(device, site.c.name.label("site_name"), site.c.code.label("site_code")).join(site, site.c.id == device.c.site_id)
            .where(device.c.id == device_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有这台设备。", "no such device.")
    return row


def unknown_callers(hub: Hub, actor: Actor) -> list:
    """Callers that were refused and wait to be registered, the latest first."""
    actor.require("device.manage")
    with hub.reading() as connection:
        return list(connection.execute(select(unknown_caller).where(unknown_caller.c.state == "waiting")
                                       .order_by(unknown_caller.c.last_seen_at.desc()).limit(100)))


def dismiss_unknown(hub: Hub, actor: Actor, caller_id: int) -> None:
    """Takes a caller off the list until it calls again."""
    actor.require("device.manage")
    with hub.writing() as connection:
        connection.execute(update(unknown_caller).where(unknown_caller.c.id == caller_id).values(state="dismissed"))
        audit.append(connection, hub.now(), actor, "device.dismiss_unknown", "unknown_caller", caller_id)


def _check_ae_title(ae_title: str) -> None:
    if not (1 <= len(ae_title) <= 16 and ae_title.isascii() and ae_title.isprintable() and "\\" not in ae_title):
        raise Invalid("bad_ae_title", "AE 标题应为 1 至 16 个英文字符。", "an AE title has 1 to 16 ASCII characters.")


def _insert(hub: Hub, connection: Connection, actor: Actor, *, site_id: int, kind: str, name: str, ae_title: str, address: str,
            charset: str, token: str) -> int:
    """The device's row and audit entry. Two devices that the door could not tell apart are refused."""
    if connection.scalar(select(site.c.id).where(site.c.id == site_id)) is None:
        raise Invalid("no_site", "没有这个机构。", "no such institution.")
    same = (device.c.ae_title == ae_title, device.c.address == address) if kind == "dicom" else (device.c.site_id == site_id, device.c.name == name)
    known = connection.scalar(select(site.c.name).join(device, device.c.site_id == site.c.id).where(device.c.kind == kind, device.c.active, *same))
    if known is not None:
        raise Invalid("device_known", f"{known}已有同样的在用设备（{ae_title or name}），请勿重复登记。",
                      f"{known} has the same device in use already ({ae_title or name}).")
    device_id = connection.execute(insert(device).values(
        site_id=site_id, kind=kind, name=name[:128], ae_title=ae_title, address=address[:64], charset=charset, active=True,
        created_at=hub.now(), token_sha256=hashlib.sha256(token.encode()).hexdigest() if token else "")).inserted_primary_key[0]
    connection.execute(insert(device_site).values(device_id=device_id, site_id=site_id, from_at=hub.now()))
    if kind == "dicom":
        connection.execute(update(unknown_caller).where(
            unknown_caller.c.ae_title == ae_title, unknown_caller.c.state == "waiting",
            *([unknown_caller.c.address == address] if address else [])).values(state="registered"))
    audit.append(connection, hub.now(), actor, "device.register", "device", device_id, site_id,
                 kind=kind, name=name, ae_title=ae_title, device_address=address)
    return device_id


def _behind(hub: Hub, callers: Collection[Caller]) -> dict[Caller, Row | None]:
    """The row of the registered device behind each caller: the one with its very address, else its network's, else any."""
    titles = list({caller.ae_title for caller in callers if "\0" not in caller.ae_title})      # no column holds that
    with hub.reading() as connection:
        rows = connection.execute(_REGISTERED, {"titles": titles}).all()
    found: dict[Caller, Row | None] = {}
    for caller in callers:
        fitting = [row for row in rows if row.ae_title == caller.ae_title and address_fits(row.address, caller.address)]
        found[caller] = max(fitting, key=lambda row: (row.address == caller.address, row.address != ""), default=None)
    return found


def _note_unknown(connection: Connection, now: datetime, caller: Caller, times: int) -> None:
    who = fitted(unknown_caller, {"ae_title": caller.ae_title, "address": caller.address})
    seen = fitted(unknown_caller, {"called": caller.called, "last_seen_at": now, "state": "waiting"})
    known = connection.execute(select(unknown_caller).where(*(unknown_caller.c[name] == value for name, value in who.items()))).one_or_none()
    if known is None:
        connection.execute(insert(unknown_caller).values(times=times, first_seen_at=now, **who, **seen))
        audit.append(connection, now, SYSTEM, "device.unknown", "unknown_caller", f"{who['ae_title']}@{who['address']}")
    else:
        connection.execute(update(unknown_caller).where(unknown_caller.c.id == known.id).values(times=known.times + times, **seen))


def _touch(hub: Hub, row) -> None:
    """Notes when a device was last heard, at most once a minute. Not worth failing an arrival for."""
    now = hub.now()
    if row.last_seen_at is None or (now - row.last_seen_at).total_seconds() > TOUCH_AFTER_S:
        with hub.writing() as connection:
            connection.execute(update(device).where(device.c.id == row.id).values(last_seen_at=now))


def _device(row) -> Device:
    return Device(row.id, row.site_id, row.kind, row.name, row.ae_title, row.address, row.charset, row.served, device_rules.of_row(row.rules), habit(row.written))
