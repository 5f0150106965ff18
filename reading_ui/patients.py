"""The registrar's desk: who is one person with whom, studies without a name, and the search over the region."""
from __future__ import annotations

from datetime import date

from flask import Blueprint, redirect, render_template, request, url_for

from hub.errors import HubError, Invalid
from hub.flow import persons, tray
from hub.model.arrival import PatientFacts
from hub.model.identifiers import KIND_WORDS, KINDS
from hub.model.matching import CONTRADICTIONS, REASONS
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("patients", __name__)


@desk.get("/patients")
@needs("identity.view")
def page():
    number = _page()
    rows, total = persons.suggestions(the_hub(), the_actor(), number)
    return render_template("patients.html", tab="suggestions", rows=rows, number=number, pages=max(1, -(-total // persons.PAGE)), counts=_counts(total), w=_words())


@desk.get("/patients/search")
@needs("identity.view")
def search():
    text = request.args.get("text", "")[:64]
    rows = persons.search(the_hub(), the_actor(), text)
    return render_template("patients.html", tab="search", rows=rows, text=text, counts=_counts(), most=persons.PAGE, w=_words())


@desk.get("/patients/unidentified")
@needs("identity.view")
def unidentified():
    number = _page()
    rows, total = tray.waiting(the_hub(), the_actor(), number)
    return render_template("patients.html", tab="unidentified", rows=rows, number=number, pages=max(1, -(-total // tray.PAGE)), counts=_counts(), w=_words())


@desk.get("/patients/assigned")
@needs("identity.view")
def assigned():
    return render_template("patients.html", tab="assigned", rows=tray.assigned(the_hub(), the_actor()), counts=_counts(), w=_words())


@desk.get("/patients/<int:patient_id>")
@needs("identity.view")
def one(patient_id: int):
    return _one(patient_id)


@desk.get("/patients/<int:one_id>/beside/<int:other_id>")
@needs("identity.view")
def beside(one_id: int, other_id: int):
    return _beside(one_id, other_id)


@desk.post("/patients/<int:one_id>/merge/<int:other_id>")
@needs("identity.manage")
def merge(one_id: int, other_id: int):
    form = request.form
    try:
        persons.merge(the_hub(), the_actor(), one_id, other_id, form.get("why", ""), form.get("across", ""))
    except HubError as error:
        return _beside(one_id, other_id, sentence(error.zh, error.en), form), status_of(error)
    return redirect(url_for("patients.one", patient_id=one_id))


@desk.post("/patients/<int:patient_id>/split")
@needs("identity.manage")
def split(patient_id: int):
    back = _number(request.form.get("back", "")) or patient_id
    try:
        persons.split(the_hub(), the_actor(), patient_id, request.form.get("words", ""))
    except HubError as error:
        return _one(back, sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("patients.one", patient_id=back))


@desk.post("/patients/pairs/<int:pair_id>/decline")
@needs("identity.manage")
def decline(pair_id: int):
    persons.decline(the_hub(), the_actor(), pair_id, request.form.get("words", ""))
    return redirect(url_for("patients.page"))


@desk.post("/patients/<int:patient_id>/identifiers")
@needs("identity.manage")
def add_identifier(patient_id: int):
    try:
        persons.add_identifier(the_hub(), the_actor(), patient_id, request.form.get("kind", ""), request.form.get("number", ""))
    except HubError as error:
        return _one(patient_id, sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("patients.one", patient_id=patient_id))


@desk.get("/patients/unidentified/<int:study_id>")
@needs("identity.view")
def nameless(study_id: int):
    return _nameless(study_id)


@desk.post("/patients/unidentified/<int:study_id>/assign")
@needs("identity.manage")
def assign(study_id: int):
    form = request.form
    try:
        chosen = _number(form.get("patient", ""))
        if not chosen:
            raise Invalid("no_patient", "请先选定患者。", "choose a patient first.")
        tray.assign(the_hub(), the_actor(), study_id, chosen, form.get("why", ""))
    except HubError as error:
        return _nameless(study_id, sentence(error.zh, error.en), form), status_of(error)
    return redirect(url_for("patients.nameless", study_id=study_id))


@desk.post("/patients/unidentified/<int:study_id>/assign-new")
@needs("identity.manage")
def assign_new(study_id: int):
    form = request.form
    try:
        facts = PatientFacts(form.get("number", "").strip(), form.get("name", "").strip(), sex=form.get("sex", ""), birth_date=_day(form.get("birth_date", "")))
        tray.assign_new(the_hub(), the_actor(), study_id, facts, form.get("card", ""), form.get("why", ""))
    except HubError as error:
        return _nameless(study_id, sentence(error.zh, error.en), form), status_of(error)
    return redirect(url_for("patients.nameless", study_id=study_id))


@desk.post("/patients/assignments/<int:assignment_id>/undo")
@needs("identity.manage")
def undo(assignment_id: int):
    tray.undo(the_hub(), the_actor(), assignment_id, request.form.get("words", ""))
    return redirect(url_for("patients.assigned"))


def _one(patient_id: int, trouble: str = "") -> str:
    sheet = persons.look(the_hub(), the_actor(), patient_id)
    return render_template("patient.html", sheet=sheet, chosen=next(row for row in sheet.rows if row.patient.id == patient_id), trouble=trouble, w=_words())


def _beside(one_id: int, other_id: int, trouble: str = "", form=None) -> str:
    found = persons.side_by_side(the_hub(), the_actor(), one_id, other_id)
    return render_template("patient_beside.html", found=found, barrier=persons.BARRIERS.get(found.barrier), trouble=trouble, form=form or {}, w=_words())


def _nameless(study_id: int, trouble: str = "", form=None) -> str:
    hub, actor = the_hub(), the_actor()
    row, numbers, standing = tray.one(hub, actor, study_id)
    text = (form or request.args).get("text", "")[:64]
    return render_template("nameless.html", study=row, numbers=numbers, standing=standing, text=text, found=persons.search(hub, actor, text) if text else [],
                           trouble=trouble, form=form or {}, w=_words())


def _counts(suggested: int | None = None) -> dict[str, int]:
    hub, actor = the_hub(), the_actor()
    return {"suggestions": persons.suggestions(hub, actor)[1] if suggested is None else suggested, "unidentified": tray.waiting(hub, actor)[1]}


def _words() -> dict:
    """The words of reasons and kinds for the templates."""
    return {"reason": lambda code: sentence(*REASONS[code]) if code in REASONS else code, "kind": lambda code: sentence(*KIND_WORDS[code]),
            "against": CONTRADICTIONS, "kinds": KINDS}


def _page() -> int:
    written = request.args.get("page", "1")
    return max(1, int(written)) if written.isdecimal() and len(written) < 6 else 1


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else 0


def _day(text: str) -> str:
    if not text.strip():
        return ""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise Invalid("bad_date", "出生日期有误，请按 年-月-日 填写。", "the birth date is malformed; write year-month-day.") from None
