"""The clinic's desk: its own patients, what became of them, the report to print and to acknowledge, critical values."""
from __future__ import annotations

from datetime import date, datetime, time, timedelta

from flask import Blueprint, redirect, render_template, request, url_for

from hub.flow import cautions, critical, dispatch, repairs, reporting, studies, worklist
from hub.model.report import ReportContent
from reading_ui import wording
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.panel import key_images

desk = Blueprint("clinic", __name__)
STATES = ("", "waiting", "new", "bounced")


@desk.get("/clinic")
@needs("clinic.view")
def page():
    return render_template("clinic.html", **_list())


@desk.get("/clinic/list")
@needs("clinic.view")
def table():
    """The list alone, for the page that refreshes itself."""
    return render_template("parts/clinic_list.html", **_list())


@desk.get("/clinic/reports/<int:report_id>")
@needs("clinic.view")
def report(report_id: int):
    hub, actor = the_hub(), the_actor()
    row = reporting.version(hub, actor, report_id)
    of_study = studies.find(hub, actor, row.study_id)
    studies.opened(hub, actor, of_study, "report")
    of_reading = worklist.of_study(hub, row.study_id)
    portal = [one for one in dispatch.of_report(hub, actor, report_id) if one.channel == "portal" and one.pdf_sha256 == row.pdf_sha256]
    return render_template("clinic_report.html", report=row, content=ReportContent.from_json(row.content), study=of_study,
                           versions=reporting.versions(hub, actor, row.reading_id), delivery=portal[-1] if portal else None,
                           key_images=key_images(hub, row.study_id), since=repairs.since_signed(hub, row),
                           late=of_reading is not None and of_reading.late_images, w=wording)


@desk.post("/criticals/<int:critical_id>/read-back")
@needs("critical.read_back")
def read_back(critical_id: int):
    critical.read_back(the_hub(), the_actor(), critical_id, request.form.get("words", ""))
    return redirect(url_for("clinic.page"))


def _list() -> dict:
    hub, actor, wanted = the_hub(), the_actor(), request.args
    state = wanted.get("state", "") if wanted.get("state", "") in STATES else ""
    text, written = wanted.get("text", "")[:64], wanted.get("page", "1")
    since, until = _day(wanted.get("since", "")), _day(wanted.get("until", ""))
    number = max(1, int(written)) if written.isdecimal() and len(written) < 6 else 1
    rows, total = dispatch.for_clinic(hub, actor, text=text, state=state, since=_midnight(since), until=_midnight(until, 1), page=number)
    return {"rows": rows, "total": total, "most": worklist.most_counted(text), "pages": max(1, -(-total // dispatch.CLINIC_PAGE)), "number": number, "state": state, "text": text,
            "criticals": critical.for_clinic(hub, actor), "cautions": cautions.of_patients(hub, actor, [row.patient_id for row in rows]), "now": hub.now(), "states": STATES,
            "query": {k: v for k, v in (("state", state), ("text", text), ("since", since and since.isoformat()),
                                        ("until", until and until.isoformat())) if v}}


def _day(written: str) -> date | None:
    """A day as a date field writes it; anything else restricts nothing."""
    try:
        return date.fromisoformat(written) if len(written) == 10 else None
    except ValueError:
        return None


def _midnight(day: date | None, days_later: int = 0) -> datetime | None:
    """The beginning of a local day, or of one some days later; None without a day or past the end of the calendar."""
    try:
        return datetime.combine(day + timedelta(days=days_later), time(), the_hub().settings.zone) if day else None
    except OverflowError:
        return None
