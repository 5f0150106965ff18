"""The region's institutions and where their reports go besides their own page: a DICOM node, a signed webhook."""
from __future__ import annotations

import secrets

from flask import Blueprint, redirect, render_template, request, url_for

from hub.errors import HubError, NotFound
from hub.flow import administration, devices
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("region", __name__)
LEVELS = ("乡镇卫生院", "社区卫生服务中心", "村卫生室", "县级医院", "县域医共体分院")
SITE_FIELDS = ("code", "name", "level", "phone")


@desk.get("/sites")
@needs("site.manage")
def page():
    hub, actor = the_hub(), the_actor()
    return render_template("sites.html", sites=administration.sites(hub), devices=_by_site(devices.listed(hub, actor)),
                           destinations=_by_site(administration.destinations(hub, actor)), new=request.args.get("new", ""), w=wording)


@desk.get("/sites/new")
@needs("site.manage")
def new():
    return render_template("site_new.html", values={}, trouble="", levels=LEVELS)


@desk.post("/sites/new")
@needs("site.manage")
def add():
    values = {name: request.form.get(name, "") for name in SITE_FIELDS}
    try:
        site_id = administration.create_site(the_hub(), the_actor(), **values)
    except HubError as error:
        return render_template("site_new.html", values=values, trouble=sentence(error.zh, error.en), levels=LEVELS), status_of(error)
    return redirect(url_for("region.one", site_id=site_id))


@desk.get("/sites/<int:site_id>")
@needs("site.manage")
def one(site_id: int):
    return _one(site_id)


@desk.post("/sites/<int:site_id>/destinations")
@needs("site.manage")
def add_destination(site_id: int):
    """A webhook without a secret of its own gets one, shown in this answer and nowhere else."""
    channel = request.form.get("channel", "")
    values = {name: request.form.get(name, "") for name in administration.CHANNEL_FIELDS.get(channel, ())}
    if channel == "dicom":
        values["tls"] = request.form.get("tls", "no")
    made = ""
    if channel == "webhook" and not values["secret"].strip():
        made = secrets.token_urlsafe(32)
    try:
        administration.add_destination(the_hub(), the_actor(), site_id, channel, values | ({"secret": made} if made else {}))
    except NotFound:
        raise
    except HubError as error:
        return _one(site_id, sentence(error.zh, error.en), channel, values), status_of(error)
    return _one(site_id, secret=made) if made else redirect(url_for("region.one", site_id=site_id))


@desk.post("/destinations/<int:destination_id>/active")
@needs("site.manage")
def set_destination_active(destination_id: int):
    hub, actor = the_hub(), the_actor()
    administration.set_destination_active(hub, actor, destination_id, request.form.get("active") == "yes")
    of_site = next(d.site_id for d in administration.destinations(hub, actor) if d.id == destination_id)
    return redirect(url_for("region.one", site_id=of_site))


@desk.post("/destinations/<int:destination_id>/served")
@needs("site.manage")
def set_destination_served(destination_id: int):
    hub, actor = the_hub(), the_actor()
    administration.set_destination_served(hub, actor, destination_id, request.form.get("served", ""))
    of_site = next(d.site_id for d in administration.destinations(hub, actor) if d.id == destination_id)
    return redirect(url_for("region.one", site_id=of_site))


def _one(site_id: int, trouble: str = "", channel: str = "", values: dict | None = None, secret: str = "") -> str:
    hub, actor = the_hub(), the_actor()
    row = next((site for site in administration.sites(hub) if site.id == site_id), None)
    if row is None:
        raise NotFound("no_site", "没有这个机构。", "no such institution.")
    return render_template("site.html", site=row, destinations=_by_site(administration.destinations(hub, actor)).get(site_id, []),
                           devices=_by_site(devices.listed(hub, actor)).get(site_id, []), trouble=trouble, channel=channel, values=values or {},
                           secret=secret, w=wording)


def _by_site(rows: list) -> dict[int, list]:
    found: dict[int, list] = {}
    for row in rows:
        found.setdefault(row.site_id, []).append(row)
    return found
