"""The report's desk: saving, submitting, signing, sending back, amending; the PDF; and the public check of a code."""
from __future__ import annotations

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for

from hub.errors import Conflict, Invalid
from hub.flow import dispatch, late, repairs, reporting, studies, worklist
from hub.model.report import ReportContent
from reading_ui import wording
from reading_ui.errors import wants_json
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence
from reading_ui.worklist import next_address

desk = Blueprint("reports", __name__)


@desk.get("/readings/<int:reading_id>/draft")
@needs("report.write")
def draft(reading_id: int):
    found = reporting.current_draft(the_hub(), the_actor(), reading_id)
    return jsonify(revision=found.revision, content=found.content.as_json())


@desk.put("/readings/<int:reading_id>/draft")
@needs("report.write")
def save(reading_id: int):
    """Saves over the revision the page knows. 409 carries the newer draft, so that the person can choose."""
    hub, actor = the_hub(), the_actor()
    revision, content = _draft_of(request.get_json(silent=True))
    try:
        return jsonify(revision=reporting.save_draft(hub, actor, reading_id, revision, content))
    except Conflict as error:
        newer = reporting.current_draft(hub, actor, reading_id) if error.code == "newer_draft" else None
        current = {"revision": newer.revision, "content": newer.content.as_json()} if newer else None
        return jsonify(code=error.code, message=sentence(error.zh, error.en), current=current), 409


@desk.post("/readings/<int:reading_id>/submit")
@needs("report.write")
def submit(reading_id: int):
    _save_form(reading_id)
    reporting.submit(the_hub(), the_actor(), reading_id)
    return _gone_to(_after("todo"))


@desk.post("/readings/<int:reading_id>/sign-alone")
@needs("report.sign_alone")
def sign_alone(reading_id: int):
    _save_form(reading_id)
    reporting.sign_alone(the_hub(), the_actor(), reading_id)
    return _gone_to(_after("todo"))


@desk.post("/readings/<int:reading_id>/sign")
@needs("report.sign")
def sign(reading_id: int):
    reporting.sign(the_hub(), the_actor(), reading_id)
    return _gone_to(_after("review"))


@desk.post("/readings/<int:reading_id>/send-back")
@needs("report.sign")
def send_back(reading_id: int):
    reporting.send_back(the_hub(), the_actor(), reading_id, request.form.get("words", ""))
    return _gone_to(_after("review"))


@desk.post("/readings/<int:reading_id>/bounce")
@needs("report.write")
def bounce(reading_id: int):
    reporting.bounce(the_hub(), the_actor(), reading_id, request.form.get("reason", ""))
    return _gone_to(url_for("worklist.page"))


@desk.post("/readings/<int:reading_id>/requeue")
@needs("reading.claim")
def requeue(reading_id: int):
    reporting.requeue(the_hub(), the_actor(), reading_id)
    return _gone_to(url_for("worklist.page"))


@desk.post("/readings/<int:reading_id>/amend")
@needs("report.write")
def amend(reading_id: int):
    hub = the_hub()
    reporting.amend(hub, the_actor(), reading_id, request.form.get("reason", ""))
    return _gone_to(_study_address(worklist.find(hub, reading_id)))


@desk.post("/readings/<int:reading_id>/stands")
@needs("report.write")
def stands(reading_id: int):
    """The images that came after the signature were seen, and nothing is to be amended."""
    hub = the_hub()
    late.report_stands(hub, the_actor(), reading_id, request.form.get("words", ""))
    return _gone_to(_study_address(worklist.find(hub, reading_id)))


@desk.post("/reports/<int:report_id>/countersign")
@needs("report.sign")
def countersign(report_id: int):
    reporting.countersign(the_hub(), the_actor(), report_id)
    return _gone_to(_after("review"))


@desk.get("/reports/<int:report_id>")
@needs("report.view")
def page(report_id: int):
    """One version in words, with its history."""
    hub, actor = the_hub(), the_actor()
    row = reporting.version(hub, actor, report_id)
    of_study = studies.find(hub, actor, row.study_id)
    studies.opened(hub, actor, of_study, "report")
    versions = reporting.versions(hub, actor, row.reading_id)
    return render_template("report.html", report=row, content=ReportContent.from_json(row.content), study=of_study, versions=versions,
                           deliveries=dispatch.of_report(hub, actor, report_id), since=repairs.since_signed(hub, row), w=wording)


@desk.get("/reports/<int:report_id>.pdf")
@needs("report.view")
def pdf(report_id: int):
    name, content = dispatch.signed_pdf(the_hub(), the_actor(), report_id)
    return Response(content, mimetype="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'})


@desk.post("/reports/<int:report_id>/acknowledge")
@needs("report.acknowledge")
def acknowledge(report_id: int):
    dispatch.acknowledge(the_hub(), the_actor(), report_id)
    return _gone_to(url_for("clinic.report", report_id=report_id))


@desk.get("/verify/<code>")
def verify(code: str):
    """What anybody with the paper may know: that this report exists, when it was signed, and whether it is the newest."""
    row, newest = dispatch.by_check_code(the_hub(), code[:32])
    return render_template("verify.html", report=row, newest=newest)


def _draft_of(body) -> tuple[int, ReportContent]:
    if not isinstance(body, dict) or type(body.get("revision")) is not int or body["revision"] < 0:
        raise Invalid("bad_report", "报告内容格式有误，请刷新页面后重试。", "the report's content is malformed; reload the page.")
    return body["revision"], ReportContent.from_json(body.get("content"))


def _save_form(reading_id: int) -> None:
    """Saves the words that came with a form, where they differ from the draft; a page with script has saved before."""
    form = request.form
    if "revision" not in form:
        return
    hub, actor = the_hub(), the_actor()
    keys = [int(k) for k in form.getlist("key_images") if k.isdigit()]
    content = ReportContent.from_json({
        **{name: form.get(name, "") for name in ("findings", "impression", "recommendation", "critical_finding", "template_id")},
        "positive": {"yes": True, "no": False}.get(form.get("positive")), "critical": form.get("critical") == "yes", "key_images": keys})
    if reporting.current_draft(hub, actor, reading_id).content != content:
        if not form["revision"].isdigit():
            raise Invalid("bad_report", "报告内容格式有误，请刷新页面后重试。", "the report's content is malformed; reload the page.")
        reporting.save_draft(hub, actor, reading_id, int(form["revision"]), content)


def _after(state: str) -> str:
    if request.form.get("then") == "next":
        return next_address(state)
    return url_for("worklist.page", state=None if state == "todo" else state)


def _study_address(row) -> str:
    return url_for("ecgs.page" if row.kind == "ecg" else "studies.page", study_id=row.study_id)


def _gone_to(address: str):
    return jsonify(location=address) if wants_json() else redirect(address)
