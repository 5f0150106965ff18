"""What an administrator changes of a registered device: its rules, and the site where it stands.

A move is history, not an edit: the period at the old site ends, one at the new site begins, and studies that
came before stay where they belong.
"""
from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy import insert as insert_into

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound
from hub.model import device_rules
from hub.model.access import Actor
from hub.storage import audit
from hub.storage.tables import device, device_site, site


def set_rules(hub: Hub, actor: Actor, device_id: int, values: dict[str, str]) -> None:
    """Checks and keeps what a form says: the fields of DeviceRules, ``address`` and ``charset``. Invalid, and nothing
    changed, when one of them cannot be; Conflict when another device could not be told apart from it any more."""
    actor.require("device.manage")
    rules, address = device_rules.checked(values), device_rules.checked_address(values.get("address", ""))
    charset = values.get("charset", "")
    if charset not in device_rules.CHARSETS:
        raise Invalid("bad_rule", "字符集只能从列表中选择。", "choose the character set from the list.")
    with hub.writing() as connection:
        row = connection.execute(select(device).where(device.c.id == device_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这台设备。", "no such device.")
        twin = connection.scalar(select(device.c.name).where(
            device.c.kind == "dicom", device.c.active, device.c.ae_title == row.ae_title, device.c.address == address, device.c.id != device_id))
        if row.kind == "dicom" and row.active and twin is not None:
            raise Conflict("device_known", f"同一 AE 标题和地址已有在用设备“{twin}”。", f"the device {twin} has the same AE title and address.")
        before = {"address": row.address, "charset": row.charset, **device_rules.of_row(row.rules).as_json()}
        after = {"address": address, "charset": charset, **rules.as_json()}
        if before == after:
            return
        connection.execute(update(device).where(device.c.id == device_id).values(address=address, charset=charset, rules=rules.as_json()))
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        audit.append(connection, hub.now(), actor, "device.set_rules", "device", device_id, row.site_id,
                     **{name: [before.get(name), after.get(name)] for name in changed})


def bind_certificate(hub: Hub, actor: Actor, device_id: int, fingerprint: str) -> None:
    """Binds a device to the client certificate with this SHA-256 fingerprint (64 hexadecimal digits)."""
    actor.require("device.manage")
    with hub.writing() as connection:
        row = connection.execute(select(device).where(device.c.id == device_id, device.c.kind == "dicom")).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这台影像设备。", "no such DICOM device.")
        connection.execute(update(device).where(device.c.id == device_id).values(rules={**(row.rules or {}), "certificate_sha256": fingerprint}))
        audit.append(connection, hub.now(), actor, "device.certificate", "device", device_id, row.site_id, certificate_sha256=fingerprint)


def move(hub: Hub, actor: Actor, device_id: int, site_id: int) -> None:
    """The device stands at another site from now on."""
    actor.require("device.manage")
    now = hub.now()
    with hub.writing() as connection:
        row = connection.execute(select(device).where(device.c.id == device_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有这台设备。", "no such device.")
        if connection.scalar(select(site.c.id).where(site.c.id == site_id, site.c.active)) is None:
            raise Invalid("no_site", "没有这个机构。", "no such institution.")
        if row.site_id == site_id:
            raise Invalid("same_site", "设备已在该机构。", "the device stands at this institution already.")
        connection.execute(update(device_site).where(device_site.c.device_id == device_id, device_site.c.until_at.is_(None)).values(until_at=now))
        connection.execute(insert_into(device_site).values(device_id=device_id, site_id=site_id, from_at=now))
        connection.execute(update(device).where(device.c.id == device_id).values(site_id=site_id))
        audit.append(connection, now, actor, "device.move", "device", device_id, site_id, was=row.site_id)


def periods(hub: Hub, actor: Actor, device_id: int) -> list:
    """Where the device stood and when, the present first, as rows with the site's name."""
    actor.require("device.manage")
    with hub.reading() as connection:
        return list(connection.execute(select(device_site, site.c.name.label("site_name")).join(site, site.c.id == device_site.c.site_id)
                                       .where(device_site.c.device_id == device_id).order_by(device_site.c.id.desc())))
