"""The auditor's desk: who did what and when, newest first, and whether the chain of entries still holds."""
from __future__ import annotations

import json

from flask import Blueprint, render_template, request

from hub.flow import administration
from reading_ui import wording
from reading_ui.gate import needs, the_actor, the_hub

desk = Blueprint("audit", __name__)


@desk.get("/audit")
@needs("audit.view")
def page():
    return _page()


@desk.post("/audit/verify")
@needs("audit.view")
def verify():
    """Walks the whole chain and says what it found above the newest entries."""
    return _page(administration.verify_audit(the_hub()))


def _page(verdict=None) -> str:
    hub = the_hub()
    action, person, before = request.args.get("action", "")[:48], request.args.get("person", "").strip()[:64], request.args.get("before", "")
    number = int(before) if before.isdigit() and len(before) < 16 else None
    rows = administration.audit_entries(hub, the_actor(), action=action, person=person, before=number)
    return render_template(
        "audit.html", rows=rows, action=action, person=person, before=number, more=len(rows) == administration.AUDIT_PAGE, verdict=verdict,
        query={name: value for name, value in (("action", action), ("person", person)) if value},
        sites={site.id: site.name for site in administration.sites(hub)}, details=details, w=wording)


def details(text: str) -> list[tuple[str, str]]:
    """An entry's detail as names and values; text that is not JSON is shown as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return [("", text)]
    if not isinstance(found, dict):
        return [("", text)]
    return [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for name, value in found.items() if value not in ("", None)]
