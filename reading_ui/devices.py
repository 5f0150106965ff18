"""The device desk: unknown callers that wait for one click, registered devices, and the sheet that connects one."""
from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, url_for

from hub.errors import HubError, Invalid
from hub.flow import administration, devices
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence
from reading_ui.places import only_here

desk = Blueprint("devices", __name__)
FIELDS = ("kind", "site", "name", "ae_title", "address")


@desk.get("/devices")
@needs("device.manage")
def page():
    return _page(new=request.args.get("new", ""))


@desk.get("/devices/callers")
@needs("device.manage")
def callers():
    """The waiting callers alone, for the page that renews itself."""
    hub, actor = the_hub(), the_actor()
    return render_template("parts/callers.html", callers=devices.unknown_callers(hub, actor), sites=administration.sites(hub),
                           alike=_alike(devices.listed(hub, actor)))


@desk.post("/devices/callers/<int:caller_id>/register")
@needs("device.manage")
def register_caller(caller_id: int):
    """The one click: the caller's AE title and address become a device of the chosen site."""
    try:
        device_id = devices.register_unknown(the_hub(), the_actor(), caller_id, _site(), request.form.get("name", ""))
    except HubError as error:
        return _page(sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("devices.page", new=device_id))


@desk.post("/devices/callers/<int:caller_id>/dismiss")
@needs("device.manage")
def dismiss_caller(caller_id: int):
    devices.dismiss_unknown(the_hub(), the_actor(), caller_id)
    return redirect(url_for("devices.page"))


@desk.get("/devices/new")
@needs("device.manage")
def new():
    kind = request.args.get("kind") if request.args.get("kind") in devices.KINDS else "dicom"
    return _form({"kind": kind, "site": request.args.get("site", "")})


@desk.post("/devices/new")
@needs("device.manage")
def add():
    values = {name: request.form.get(name, "").strip() for name in FIELDS}
    hub, actor = the_hub(), the_actor()
    try:
        if values["kind"] != "dicom" and not values["name"]:
            raise Invalid("no_name", "请填写名称，例如“心电图机（门诊）”或“卫生院 HIS”。", "give the device or system a name.")
        device_id, token = devices.register(hub, actor, site_id=_site(), kind=values["kind"], name=values["name"],
                                            ae_title=values["ae_title"], address=values["address"])
    except HubError as error:
        return _form(values, sentence(error.zh, error.en)), status_of(error)
    return _one(device_id, token) if token else redirect(url_for("devices.one", device_id=device_id))


@desk.get("/devices/<int:device_id>")
@needs("device.manage")
def one(device_id: int):
    return _one(device_id)


@desk.post("/devices/<int:device_id>/token")
@needs("device.manage")
def renew_token(device_id: int):
    """A new token, shown in this answer and nowhere else; the old one has ended."""
    return _one(device_id, devices.renew_token(the_hub(), the_actor(), device_id))


@desk.post("/devices/<int:device_id>/active")
@needs("device.manage")
def set_active(device_id: int):
    devices.set_active(the_hub(), the_actor(), device_id, request.form.get("active") == "yes")
    return redirect(url_for("devices.one", device_id=device_id))


@desk.post("/devices/<int:device_id>/served")
@needs("device.manage")
def set_served(device_id: int):
    devices.set_served(the_hub(), the_actor(), device_id, request.form.get("served", ""))
    return redirect(url_for("devices.one", device_id=device_id))


def _page(trouble: str = "", new: str = "") -> str:
    hub, actor = the_hub(), the_actor()
    known, sites = devices.listed(hub, actor), administration.sites(hub)
    wanted = request.args.get("site", "")
    site_id = int(wanted) if wanted.isdigit() and any(site.id == int(wanted) for site in sites) else 0
    return render_template(
        "devices.html", callers=devices.unknown_callers(hub, actor), devices=[d for d in known if site_id in (0, d.site_id)], sites=sites,
        site_id=site_id, alike=_alike(known), trouble=trouble, new=next((d for d in known if new == str(d.id)), None), w=wording)


def _alike(known: list) -> dict[str, list]:
    """Registered devices by AE title: a refused caller with a known title has moved, is switched off, or is another."""
    found: dict[str, list] = {}
    for row in known:
        if row.kind == "dicom":
            found.setdefault(row.ae_title, []).append(row)
    return found


def _form(values: dict, trouble: str = "") -> str:
    return render_template("device_new.html", values=values, trouble=trouble, sites=administration.sites(the_hub()), kinds=devices.KINDS, w=wording)


def _one(device_id: int, token: str = "") -> str:
    hub = the_hub()
    settings = hub.settings
    address = settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    host = urlsplit(address).hostname or ""
    return render_template("device.html", device=devices.find(hub, the_actor(), device_id), token=token, ae_title=settings.dicom_ae_title,
                           host=host, port=settings.dicom_port, tls_port=settings.dicom_tls_port, address=address, only_here=only_here(host), w=wording)


def _site() -> int:
    written = request.form.get("site", "")
    if not written.isdigit() or len(written) > 18:
        raise Invalid("no_site", "请先选择所属机构。", "choose an institution first.")
    return int(written)
