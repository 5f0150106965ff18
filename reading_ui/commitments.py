"""Storage commitments that devices asked for: what waits, what was given up, calling back at once, closing with a word."""
from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for

from hub.errors import HubError
from hub.flow import commitments, devices
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("commitments", __name__)
TABS = {"open": commitments.OPEN, "delivered": ("delivered",), "resolved": ("resolved",)}


@desk.get("/commitments")
@needs("delivery.view")
def page():
    return _page()


@desk.post("/commitments/again")
@needs("delivery.resend")
def again():
    """Calls the devices back at once: for the one row whose button it was, else for those that are ticked."""
    only = request.form.get("only")
    return _done(lambda: commitments.call_again(the_hub(), the_actor(), _numbers([only] if only else request.form.getlist("commitment"))))


@desk.post("/commitments/close")
@needs("delivery.resend")
def close():
    return _done(lambda: commitments.close(the_hub(), the_actor(), _numbers(request.form.getlist("commitment")), request.form.get("words", "")))


def _done(verb):
    try:
        verb()
    except HubError as error:
        return _page(sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("commitments.page", **_query()))


def _page(trouble: str = "") -> str:
    hub, actor, query = the_hub(), the_actor(), _query()
    own = [one for one in devices.listed(hub, actor) if one.kind == "dicom"]
    device = next((one for one in own if str(one.id) == query.get("device")), None)
    tab, number = query.get("state", "open"), int(query.get("page", 1))
    rows, total = commitments.listed(hub, actor, TABS[tab], number, device.site_id if device else 0, device.ae_title if device else "")
    known = {(one.site_id, one.ae_title): one for one in own}
    return render_template(
        "commitments.html", rows=rows, total=total, most=commitments.MOST_COUNTED, number=number, pages=-(-total // commitments.PAGE), tab=tab, tabs=tuple(TABS),
        device=device, devices=own, known=known, query={name: value for name, value in query.items() if name != "page"}, given_up=commitments.GIVEN_UP,
        days=commitments.KEPT.days, now=hub.now(), trouble=trouble, words=request.form.get("words", ""), w=wording, **({"here": "devices.page"} if device else {}))


def _query() -> dict[str, str]:
    """Tab, device and page of the list, wherever they came from; what is not understood is left out."""
    given = request.values
    found = {"state": given.get("state", "") if given.get("state") in TABS and given.get("state") != "open" else ""}
    found |= {name: given.get(name, "") if given.get(name, "").isdecimal() and len(given[name]) < 10 else "" for name in ("device", "page")}
    return {name: value for name, value in found.items() if value and (name, value) not in (("page", "1"), ("page", "0"))}


def _numbers(written: list[str]) -> list[int]:
    return [int(one) for one in written if one.isdecimal() and len(one) < 18]
