"""The head of every page: which desks a person may open. A desk is one line here."""
from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, g, request
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import generate_csrf

from reading_ui.gate import the_hub
from reading_ui.language import english


@dataclass(frozen=True)
class Place:
    """One entry of the navigation, shown to people who hold ``permission`` where the endpoint exists."""

    endpoint: str
    words: object
    permission: str


PLACES = [
    Place("worklist.page", _("阅片工作台"), "worklist.view"),
    Place("clinic.page", _("本院检查"), "clinic.view"),
    Place("operations.page", _("运行状况"), "operations.view"),
    Place("patients.page", _("患者"), "identity.view"),
    Place("held.page", _("隔离与冲突"), "held.view"),
    Place("orders.page", _("申请单"), "order.view"),
    Place("repairs.page", _("信息更正"), "study.repair"),
    Place("retention.page", _("保存期限"), "retention.manage"),
    Place("deliveries.page", _("报告发送"), "delivery.view"),
    Place("region.page", _("机构"), "site.manage"),
    Place("devices.page", _("设备"), "device.manage"),
    Place("people.page", _("账号"), "account.manage"),
    Place("audit.page", _("审计"), "audit.view"),
]

PART_OF = {"checkups": "devices.page", "device_rules": "devices.page", "commitments": "operations.page"}     # desks without a place of their own


def places(actor) -> list[Place]:
    """The desks of this person, in order."""
    return [p for p in PLACES if actor is not None and actor.may(p.permission) and p.endpoint in current_app.view_functions]


def home_of(actor) -> str:
    """The endpoint a person lands on after signing in."""
    mine = places(actor)
    return mine[0].endpoint if mine else "session.password"


def furnish(app: Flask) -> None:
    """Gives every template the person, the desks and the institution's name."""
    @app.context_processor
    def _head():
        settings = the_hub().settings
        actor = getattr(g, "actor", None)
        return {"actor": actor, "account": getattr(g, "account", None), "places": places(actor),
                "institution": settings.institution_en if english() else settings.institution_zh,
                "here": PART_OF.get((request.endpoint or "").partition(".")[0], request.endpoint or ""), "csrf_token": generate_csrf, "timezone": settings.timezone,
                "lease_minutes": settings.claim_lease_minutes}
