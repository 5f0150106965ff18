"""The order desk: a clinic places, changes and takes back its orders; readers and administrators look; people confirm matches."""
from __future__ import annotations

from datetime import datetime, timedelta

import segno
from flask import Blueprint, redirect, render_template, request, url_for
from markupsafe import Markup

from hub.errors import HubError, Invalid
from hub.flow import matching, ordering, orders
from hub.model.body_part import BODY_PARTS
from hub.model.lifecycle import MATCH, ORDER
from hub.model.order import LENGTHS, MODALITIES, Wish
from hub.model.urgency import URGENCIES
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence
from reading_ui.places import own_path

desk = Blueprint("orders", __name__)
TABS = ("open", "completed", "cancelled", "all")
FIELDS = (*LENGTHS, "resident_id", "sex", "birth_date", "modality", "urgency")
SAME_PATIENT = ("patient_name", "patient_number", "resident_id", "sex", "birth_date", "phone", "physician")
DECISIONS = {"join": matching.join, "dismiss": matching.dismiss, "part": matching.part, "restore": matching.restore}


@desk.get("/orders")
@needs("order.view")
def page():
    return render_template("orders.html", **_list())


@desk.get("/orders/list")
@needs("order.view")
def table():
    """The list alone, for the page that renews itself."""
    return render_template("parts/order_list.html", **_list())


@desk.get("/orders/new")
@needs("order.place")
def new():
    """An empty form; ``like``: for the same patient as an earlier order."""
    values = {"urgency": "routine", "modality": "CT", "scheduled_at": _written(_next_quarter())}
    like = request.args.get("like", "")
    if like.isdigit() and len(like) < 18:
        row = orders.find(the_hub(), the_actor(), int(like))
        values |= {name: getattr(row, name) for name in SAME_PATIENT} | {"patient_number": _own_number(row)}
    return _form(values)


@desk.post("/orders/new")
@needs("order.place")
def add():
    values = _values()
    try:
        order_id = ordering.place(the_hub(), the_actor(), _wish(values))
    except HubError as error:
        return _form(values, sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("orders.one", order_id=order_id))


@desk.get("/orders/<int:order_id>")
@needs("order.view")
def one(order_id: int):
    return _one(order_id)


@desk.get("/orders/<int:order_id>/change")
@needs("order.place")
def change(order_id: int):
    row = orders.find(the_hub(), the_actor(), order_id)
    values = {name: getattr(row, name) for name in FIELDS} | {"patient_number": _own_number(row), "device": str(row.device_id or ""),
                                                              "scheduled_at": _written(row.scheduled_at.astimezone(the_hub().settings.zone))}
    return _form(values, order=row)


@desk.post("/orders/<int:order_id>/change")
@needs("order.place")
def save(order_id: int):
    values = _values()
    row = orders.find(the_hub(), the_actor(), order_id)
    try:
        ordering.change(the_hub(), the_actor(), order_id, _wish(values))
    except HubError as error:
        return _form(values, sentence(error.zh, error.en), row), status_of(error)
    return redirect(url_for("orders.one", order_id=order_id))


@desk.post("/orders/<int:order_id>/cancel")
@needs("order.place")
def cancel(order_id: int):
    return _stepped(ordering.cancel, order_id)


@desk.post("/orders/<int:order_id>/reschedule")
@needs("order.place")
def reschedule(order_id: int):
    return _stepped(ordering.reschedule, order_id)


@desk.post("/orders/matches/<int:match_id>/<any(join, dismiss, part, restore):verb>")
@needs("order.match")
def decide(match_id: int, verb: str):
    """A person's word on whether a study answers an order; back to the page where it was given."""
    DECISIONS[verb](the_hub(), the_actor(), match_id)
    return redirect(own_path(request.form.get("next", "")) or url_for("orders.page"))


def _stepped(verb, order_id: int):
    try:
        verb(the_hub(), the_actor(), order_id, request.form.get("words", ""))
    except Invalid as error:
        return _one(order_id, sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("orders.one", order_id=order_id))


def _list() -> dict:
    hub, actor, wanted = the_hub(), the_actor(), request.args
    written = wanted.get("page", "1")
    filters = orders.Filters(
        state=wanted.get("state") if wanted.get("state") in TABS else "open", text=wanted.get("text", "")[:64],
        modality=wanted.get("modality") if wanted.get("modality") in MODALITIES else "",
        page=max(1, int(written)) if written.isdecimal() and len(written) < 6 else 1)
    rows, total = orders.listed(hub, actor, filters)
    query = {name: value for name, value in (("state", filters.state if filters.state != "open" else None), ("modality", filters.modality),
                                             ("text", filters.text)) if value}
    return {"rows": rows, "total": total, "pages": max(1, -(-total // orders.PAGE)), "filters": filters, "query": query, "tabs": TABS, "now": hub.now(),
            "matches": orders.studies_of(hub, [row.id for row in rows]), "modalities": MODALITIES}


def _one(order_id: int, trouble: str = "") -> str:
    hub = the_hub()
    row = orders.find(hub, the_actor(), order_id)
    return render_template("order.html", order=row, matches=orders.studies_of(hub, [order_id]).get(order_id, []), steps=orders.steps_of(hub, order_id),
                           trouble=trouble, qr=Markup(segno.make(row.accession_number, error="m", micro=False).svg_inline(border=0, omitsize=True)),
                           may={event for event in ("change", "cancel", "reschedule") if row.state in ORDER.sources(event)},
                           decisions={event: MATCH.sources(event) for event in DECISIONS})


def _form(values: dict, trouble: str = "", order=None) -> str:
    return render_template("order_form.html", values=values, trouble=trouble, order=order, modalities=MODALITIES, urgencies=URGENCIES, lengths=LENGTHS,
                           body_parts=BODY_PARTS, devices=orders.devices_of(the_hub(), the_actor()))


def _values() -> dict:
    return {name: request.form.get(name, "") for name in (*FIELDS, "device", "scheduled_at")}


def _wish(values: dict) -> Wish:
    try:
        at = datetime.fromisoformat(values["scheduled_at"]).replace(tzinfo=the_hub().settings.zone)
        at.utctimetuple()
    except (ValueError, OverflowError):
        raise Invalid("bad_time", "请填写预约检查时间，例如 2026-05-04 09:30。", "give the scheduled time, such as 2026-05-04 09:30.") from None
    device = values["device"]
    if device and (not device.isdigit() or len(device) > 18):
        raise Invalid("no_device", "没有这台设备，请重新选择。", "no such device; choose again.")
    return Wish(**{name: values[name] for name in FIELDS}, scheduled_at=at, device_id=int(device) if device else None)


def _own_number(row) -> str:
    """The patient number that the clinic wrote; "" where the hub lent one."""
    return "" if row.patient_number in (row.accession_number, row.resident_id) else row.patient_number


def _next_quarter() -> datetime:
    now = the_hub().now().astimezone(the_hub().settings.zone)
    return now.replace(second=0, microsecond=0) + timedelta(minutes=15 - now.minute % 15)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")
