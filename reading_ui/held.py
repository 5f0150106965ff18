"""The quarantine and conflict desk: what was kept aside, why, its original bytes, and the word that closes a case."""
from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, send_file, url_for
from werkzeug.utils import secure_filename

from hub.errors import HubError
from hub.flow import administration
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("held", __name__)
STATES = ("open", "resolved")


@desk.get("/held")
@needs("held.view")
def page():
    state = request.args.get("state") if request.args.get("state") in STATES else "open"
    rows = administration.held_objects(the_hub(), the_actor(), state)
    return render_template("held.html", rows=rows, state=state, states=STATES, w=wording)


@desk.get("/held/<int:held_id>")
@needs("held.view")
def one(held_id: int):
    return _one(held_id)


@desk.post("/held/<int:held_id>/resolve")
@needs("held.resolve")
def resolve(held_id: int):
    words = request.form.get("words", "")
    try:
        administration.resolve_held(the_hub(), the_actor(), held_id, words)
    except HubError as error:
        return _one(held_id, sentence(error.zh, error.en), words), status_of(error)
    return redirect(url_for("held.page"))


@desk.get("/held/<int:held_id>/files/<int:place>")
@needs("held.view")
def file(held_id: int, place: int):
    """One original file, byte for byte; the look is recorded before the first byte leaves."""
    hub = the_hub()
    taken = administration.take_held_file(hub, the_actor(), held_id, place)
    name = f"held-{held_id}-{place + 1}-{secure_filename(taken.name) or 'original'}"
    response = send_file(hub.blobs.open(taken.sha256), mimetype="application/octet-stream", as_attachment=True, download_name=name, max_age=None)
    response.content_length = taken.size
    response.headers["Cache-Control"] = "no-store"
    return response


def _one(held_id: int, trouble: str = "", words: str = "") -> str:
    row = administration.held_object(the_hub(), the_actor(), held_id)
    return render_template("held_one.html", row=row, trouble=trouble, words=words, w=wording)
