"""The readers' desk: what waits, in which order, and who has it. The list refreshes itself.

The page holds one open stream that says only that something changed; the page then asks for the table again.
"""
from __future__ import annotations

import hashlib
import time

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from hub.errors import Conflict, Invalid
from hub.flow import administration, cautions, critical, late, worklist
from hub.model.urgency import URGENCIES
from reading_ui.errors import wants_json
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.places import own_path

desk = Blueprint("worklist", __name__)
STATES = ("todo", "mine", "review", "done", "bounced")
MODALITIES = ("CT", "MR", "DX", "CR", "ECG", "US", "MG")
HEARTBEAT_S = 15


@desk.get("/worklist")
@needs("worklist.view")
def page():
    return render_template("worklist.html", **_table())


@desk.get("/worklist/table")
@needs("worklist.view")
def table():
    return render_template("parts/worklist_table.html", **_table())


@desk.get("/worklist/events")
@needs("worklist.view")
def events():
    """Server-sent events: ``change`` with a mark whenever the list may have changed. The stream ends by itself
    before a proxy would cut it, and the browser opens the next one with the last mark it saw. A stream holds a thread:
    where as many as may are open, it ends at once, and the browser asks again every few seconds."""
    hub, turns = the_hub(), current_app.extensions["event_streams"]
    stays = turns.acquire(blocking=False)
    life, retry_ms = (current_app.config["EVENTS_SECONDS"], 1500) if stays else (0.0, 5000)
    step, seen = current_app.config["EVENTS_STEP_SECONDS"], request.headers.get("Last-Event-ID", "")

    def stream():
        known, ends, quiet = seen, time.monotonic() + life, time.monotonic() + HEARTBEAT_S
        yield f"retry: {retry_ms}\n\n"
        while True:
            mark = _mark(hub)
            if mark != known:
                known = mark
                yield f"id: {mark}\nevent: change\ndata: {mark}\n\n"
            elif time.monotonic() > quiet:
                quiet = time.monotonic() + HEARTBEAT_S
                yield ": here\n\n"
            if time.monotonic() + step > ends:
                return
            time.sleep(step)

    response = Response(stream(), mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    if stays:
        response.call_on_close(turns.release)
    return response


@desk.post("/readings/<int:reading_id>/claim")
@needs("reading.claim")
def claim(reading_id: int):
    worklist.claim(the_hub(), the_actor(), reading_id)
    return _gone_to(_reading_address(worklist.find(the_hub(), reading_id)))


@desk.post("/readings/<int:reading_id>/release")
@needs("reading.claim")
def release(reading_id: int):
    worklist.release(the_hub(), the_actor(), reading_id)
    return _gone_to(url_for("worklist.page"))


@desk.post("/readings/<int:reading_id>/renew")
@needs("reading.claim")
def renew(reading_id: int):
    worklist.renew(the_hub(), the_actor(), reading_id)
    return jsonify(ok=True)


@desk.post("/readings/<int:reading_id>/hand-over")
@needs("reading.claim")
def hand_over(reading_id: int):
    worklist.hand_over(the_hub(), the_actor(), reading_id, _number(request.form.get("to", "")))
    return _gone_to(url_for("worklist.page"))


@desk.post("/worklist/next")
@needs("reading.claim")
def next_one():
    """Claims and opens the next study that waits, or opens the next report that waits for review."""
    return _gone_to(next_address(request.form.get("state", "todo")))


def next_address(state: str) -> str:
    """Where the next piece of work lies; the worklist where there is none. In ``todo`` it is claimed at once."""
    hub, actor = the_hub(), the_actor()
    for row in worklist.waiting_for(hub, actor, "review" if state == "review" else "todo"):
        if state == "review":
            if may_review(row, actor):
                return _reading_address(row)
            continue
        if row.state != "queued":
            continue
        try:
            worklist.claim(hub, actor, row.id)
        except Conflict:
            continue
        return _reading_address(row)
    return url_for("worklist.page", state="review" if state == "review" else None)


def may_review(row, actor) -> bool:
    """Whether the row waits for this person's signature: a report of somebody else's, submitted or signed by one alone."""
    waits = row.state == "preliminary" or (row.state in ("final", "amended") and row.second_due_at is not None)
    return waits and actor.may("report.sign") and row.written_by != actor.account_id


@desk.post("/studies/<int:study_id>/urgency")
@needs("study.urgency")
def urgency(study_id: int):
    worklist.set_urgency(the_hub(), the_actor(), study_id, request.form.get("urgency", ""))
    return _gone_to(own_path(request.form.get("next", "")) or url_for("session.home"))


@desk.post("/criticals/<int:critical_id>/close")
@needs("critical.close")
def close_critical(critical_id: int):
    critical.close(the_hub(), the_actor(), critical_id, request.form.get("words", ""))
    return _gone_to(url_for("worklist.page"))


def _table() -> dict:
    hub, actor, wanted = the_hub(), the_actor(), request.args
    mark = _mark(hub)          # before the rows: what changes in between is announced, never missed
    filters = worklist.Filters(
        state=wanted.get("state") if wanted.get("state") in STATES else "todo", modality=wanted.get("modality", "")[:16],
        site_id=_number(wanted.get("site", "")) or None, urgency=wanted.get("urgency") if wanted.get("urgency") in URGENCIES else "",
        text=wanted.get("text", "")[:64], page=max(1, _number(wanted.get("page", "1")) or 1))
    rows, total = worklist.listed(hub, actor, filters)
    pages = max(1, -(-total // worklist.PAGE))
    counts = worklist.counts(hub, actor)
    return {"mark": mark, "rows": rows, "total": total, "most": worklist.most_counted(filters.text), "filters": filters, "pages": pages, "counts": counts, "now": hub.now(),
            "criticals": critical.for_readers(hub, actor), "late": late.after_signing(hub, actor), "sites": administration.sites(hub), "urgencies": URGENCIES,
            "modalities": MODALITIES, "states": STATES, "query": _query(filters), "may_review": may_review,
            "cautions": cautions.of_patients(hub, actor, [row.patient_id for row in rows])}


def _query(filters: worklist.Filters) -> dict:
    """The filters as address parts, without those that restrict nothing."""
    return {name: value for name, value in (
        ("state", filters.state if filters.state != "todo" else None), ("modality", filters.modality), ("site", filters.site_id),
        ("urgency", filters.urgency), ("text", filters.text)) if value}


def _reading_address(row) -> str:
    return url_for("ecgs.page" if row.kind == "ecg" else "studies.page", study_id=row.study_id)


def _gone_to(address: str):
    return jsonify(location=address) if wants_json() else redirect(address)


def _mark(hub) -> str:
    return hashlib.sha256(worklist.token(hub).encode()).hexdigest()[:16]


def _number(text: str) -> int:
    """A whole number from a form or address, 0 for none; Invalid for anything else."""
    if not text:
        return 0
    if not text.isdigit() or len(text) > 18:
        raise Invalid("bad_number", "编号有误。", "not a number.")
    return int(text)
