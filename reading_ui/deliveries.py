"""The delivery desk: where each report went, every attempt with its receipt, and sending again after a cause was mended."""
from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for

from hub.errors import HubError
from hub.flow import administration, availability, dispatch
from hub.model.lifecycle import DELIVERY, NOTICE
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("deliveries", __name__)
SHOWN_STATES = ("refused", "overdue", "due", "sending", "delivered", "acknowledged")
SHOWN_MOST = 200


@desk.get("/deliveries")
@needs("delivery.view")
def page():
    hub, actor = the_hub(), the_actor()
    state = request.args.get("state", "") if request.args.get("state") in DELIVERY.states else ""
    rows = dispatch.deliveries(hub, actor, state)
    return render_template("deliveries.html", rows=rows, state=state, states=SHOWN_STATES, counts=administration.overview(hub, actor)["deliveries"],
                           cut=len(rows) == SHOWN_MOST, again=DELIVERY.sources("resend"), w=wording,
                           notices=availability.listed(hub, actor) if not state else [], notice_again=NOTICE.sources("resend"))


@desk.post("/deliveries/notices/<int:notice_id>/resend")
@needs("delivery.resend")
def resend_notice(notice_id: int):
    availability.resend(the_hub(), the_actor(), notice_id)
    return redirect(url_for("deliveries.page"))


@desk.get("/deliveries/<int:delivery_id>")
@needs("delivery.view")
def one(delivery_id: int):
    return _one(delivery_id)


@desk.post("/deliveries/<int:delivery_id>/resend")
@needs("delivery.resend")
def resend(delivery_id: int):
    try:
        dispatch.resend(the_hub(), the_actor(), delivery_id)
    except HubError as error:
        return _one(delivery_id, sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("deliveries.one", delivery_id=delivery_id))


def _one(delivery_id: int, trouble: str = "") -> str:
    hub, actor = the_hub(), the_actor()
    return render_template("delivery.html", row=dispatch.delivery_of(hub, actor, delivery_id), receipts=dispatch.receipts(hub, actor, delivery_id),
                           again=DELIVERY.sources("resend"), trouble=trouble, w=wording)
