"""The operations desk: what waits for the administrator, whether the house is well, jobs that were given up."""
from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for

from hub import health
from hub.errors import HubError
from hub.flow import administration, commitments, doors, fixity
from hub.model.lifecycle import DELIVERY, JOB, STUDY
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("operations", __name__)
STUDY_STATES = ("receiving", "reopened", "complete", "preparing", "ready")
JOB_STATES = ("due", "handed", "running", "done", "failed")
DELIVERY_STATES = ("due", "sending", "delivered", "acknowledged", "refused", "overdue")
MOST_REFUSALS = 12
STUCK_DELIVERIES = ("refused", "overdue")


@desk.get("/operations")
@needs("operations.view")
def page():
    return _page()


@desk.get("/operations/now")
@needs("operations.view")
def now():
    """The page's content alone, for the page that renews itself."""
    return render_template("parts/operations_now.html", **_present())


@desk.post("/operations/jobs/<int:job_id>/redo")
@needs("job.redo")
def redo(job_id: int):
    try:
        administration.redo_job(the_hub(), the_actor(), job_id)
    except HubError as error:
        return _page(sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("operations.page"))


def _page(trouble: str = "") -> str:
    return render_template("operations.html", trouble=trouble, **_present())


def _present() -> dict:
    hub, actor = the_hub(), the_actor()
    numbers, damaged = administration.overview(hub, actor), fixity.damaged(hub, actor)
    waits = {"damage": len(damaged), "callers": numbers["callers"], "held": numbers["held"], "jobs": numbers["jobs"].get("failed", 0),
             "deliveries": sum(numbers["deliveries"].get(state, 0) for state in STUCK_DELIVERIES),
             "commitments": sum(numbers["commitments"].get(state, 0) for state in commitments.GIVEN_UP)}
    return {
        "waits": waits, "waiting": sum(waits.values()), "health": health.check(hub), "space": health.space(hub), "numbers": numbers, "failed": administration.failed_jobs(hub, actor),
        "damaged": damaged, "fixity": fixity.last_round(hub, actor),
        "columns": (("studies", _in_order(STUDY_STATES, STUDY.states)), ("jobs", _in_order(JOB_STATES, JOB.states)),
                    ("deliveries", _in_order(DELIVERY_STATES, DELIVERY.states))),
        "refused": doors.refused(hub, actor)[:MOST_REFUSALS], "now": hub.now(), "w": wording}


def _in_order(first: tuple[str, ...], every: tuple[str, ...]) -> tuple[str, ...]:
    """The states in the order of the day, with any that the order does not know at the end."""
    return first + tuple(state for state in every if state not in first)
