"""The retention desk: what may be removed by rule, shown first and removed only after a person confirmed it; legal holds."""
from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, redirect, render_template, request, url_for

from hub.errors import HubError, Invalid
from hub.flow import archiving, discarded, repairs, retention
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("retention", __name__)


@desk.get("/retention")
@needs("retention.manage")
def page():
    return _page()


@desk.post("/retention/remove")
@needs("retention.manage")
def remove():
    """Removes the studies that were ticked, once more judged; the number typed must be how many they are."""
    return _removed(request.form.getlist("study"), retention.remove, "removed")


@desk.post("/retention/discarded")
@needs("retention.manage")
def remove_discarded():
    """The same for discarded objects of the quarantine desk."""
    return _removed(request.form.getlist("case"), discarded.remove, "removed-cases")


def _removed(ticked: list[str], remove_these: Callable[..., dict[int, str]], anchor: str):
    form = request.form
    try:
        chosen = [int(one) for one in ticked if one.isdigit() and len(one) < 18]
        if not chosen or form.get("count", "").strip() != str(len(chosen)):
            raise Invalid("not_confirmed", "请在确认框中填写所选的数量，与勾选一致后再移除。", "type how many are ticked; nothing was removed.")
        came = remove_these(the_hub(), the_actor(), chosen, form.get("rules", ""))
    except HubError as error:
        return _page(sentence(error.zh, error.en)), status_of(error)
    stayed = {one: why for one, why in came.items() if why}
    if stayed:
        words = "；".join(f"#{one} {sentence(*retention.stays_words(why))}" for one, why in stayed.items())
        return _page(sentence(f"以下各项未移除：{words}", f"these were not removed: {words}")), 409
    return redirect(url_for("retention.page", _anchor=anchor))


@desk.post("/retention/holds")
@needs("retention.manage")
def hold():
    form = request.form
    try:
        study_id = int(form["study"]) if form.get("study", "").isdigit() and len(form["study"]) < 18 else 0
        retention.hold(the_hub(), the_actor(), study_id, form.get("words", ""))
    except HubError as error:
        return _page(sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("retention.page", _anchor="holds"))


@desk.post("/retention/holds/<int:hold_id>/end")
@needs("retention.manage")
def end(hold_id: int):
    try:
        retention.release(the_hub(), the_actor(), hold_id, request.form.get("words", ""))
    except HubError as error:
        return _page(sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("retention.page", _anchor="holds"))


def _page(trouble: str = "") -> str:
    hub, actor = the_hub(), the_actor()
    after = {name: int(request.args[name]) for name in ("after", "cases_after") if request.args.get(name, "").isdecimal() and len(request.args[name]) < 18}
    page, cases_page = retention.dry_run(hub, actor, after.get("after", 0)), discarded.dry_run(hub, actor, after.get("cases_after", 0))
    found, cases, text = page.listed, cases_page.listed, request.args.get("text", "")[:64]
    return render_template(
        "retention.html", trouble=trouble, rules=hub.rules.retention, may_go=[one for one in found if not one.verdict.stays], stay=[one.verdict for one in found if one.verdict.stays],
        cases=[one for one in cases if not one.stays], cases_stay=[one for one in cases if one.stays], gone_cases=discarded.removals(hub, actor),
        removals=retention.removals(hub, actor), holds=retention.holds(hub, actor), packed=archiving.sums(hub, actor), text=text,
        hits=repairs.search(hub, actor, text) if text.strip() else [], outpatient=hub.settings.outpatient_sites.split(), most=retention.MOST, after=after,
        further=page.further, cases_further=cases_page.further, stays_words=retention.stays_words, w=wording)
