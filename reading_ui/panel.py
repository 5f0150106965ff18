"""What stands beside an image or an ECG: the words of its report, and what this person may do with them now."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from flask import url_for

from hub.context import Hub
from hub.errors import NotFound
from hub.flow import repairs, reporting, studies, worklist
from hub.model.access import Actor
from hub.model.report import ReportContent

UNMEASURED = "【】"


@dataclass(frozen=True)
class Panel:
    """``mode``: none (not in the queue yet), look, claim, write, review, countersign or signed."""

    mode: str
    reading: object | None
    draft: reporting.Draft | None = None
    versions: tuple = ()
    shown: object | None = None               # the report version whose words are read
    content: ReportContent | None = None
    templates: tuple[dict, ...] = ()
    phrases: tuple[str, ...] = ()
    key_images: tuple[dict, ...] = ()
    colleagues: tuple = ()
    may: frozenset[str] = field(default_factory=frozenset)
    late: tuple[dict, ...] = ()               # what arrived after the study was complete and is in no report yet
    corrections: tuple[dict, ...] = ()        # what stands corrected: {keyword, tag, level, old, new, who, why, at}
    since_signed: tuple[dict, ...] = ()       # what of the signed report's heading was corrected later: {name, then, now}


def panel_for(hub: Hub, actor: Actor, of_study, measured: dict[str, str] | None = None) -> Panel:
    """The report panel of a study for this person. ``measured``: values that templates name, as text."""
    found = _panel(hub, actor, of_study, measured)
    found = replace(found, corrections=repairs.shown(hub, of_study.id), since_signed=repairs.since_signed(hub, found.shown))
    if found.reading is None or not found.reading.late_images:
        return found
    return replace(found, late=late_arrivals(hub, of_study.id, found.versions[0].submitted_at if found.versions else None))


def late_arrivals(hub: Hub, study_id: int, after: datetime | None = None) -> tuple[dict, ...]:
    """Images that came after a moment, else those that came after the study was complete, by series:
    {series, count, numbers, first, last}."""
    series = {row.id: row for row in studies.series_of(hub, study_id)}
    arrived = {}
    for row in studies.instances_of(hub, study_id):
        if row.late if after is None else row.received_at > after:
            arrived.setdefault(row.series_id, []).append(row)
    return tuple({"series": series[key].description or f"#{series[key].number or key}", "count": len(rows),
                  "numbers": sorted(row.number for row in rows if row.number is not None),
                  "first": min(row.received_at for row in rows), "last": max(row.received_at for row in rows)}
                 for key, rows in arrived.items())


def _panel(hub: Hub, actor: Actor, of_study, measured: dict[str, str] | None) -> Panel:
    reading = worklist.of_study(hub, of_study.id)
    keys = key_images(hub, of_study.id)
    if reading is None:
        return Panel("none", None, key_images=keys)
    versions = tuple(reporting.versions(hub, actor, reading.id))
    newest = versions[0] if versions else None
    if actor.role == "clinic":
        return Panel("signed" if newest else "look", reading, versions=versions, shown=newest, content=_content(newest), key_images=keys)
    if reading.state in worklist.IN_WORK and reading.claimed_by == actor.account_id:
        rules = hub.rules
        return Panel(
            "write", reading, reporting.current_draft(hub, actor, reading.id), versions, newest, None,
            tuple(_template(t, measured or {}) for t in rules.templates_for(of_study.modality, of_study.body_part)),
            rules.phrases_for(of_study.modality), keys, tuple(worklist.colleagues(hub, actor)),
            frozenset({"submit", "release", "hand_over", "bounce"} | ({"sign_alone"} if of_study.urgency == "emergency" else set())))
    if reading.state == "queued":
        return Panel("claim", reading, reporting.current_draft(hub, actor, reading.id), versions, newest, _content(newest), key_images=keys,
                     may=frozenset({"claim"}))
    if reading.state == "preliminary" and newest is not None:
        mine = newest.reader_id == actor.account_id
        allowed = frozenset({"sign", "send_back"}) if actor.may("report.sign") and not mine else frozenset()
        return Panel("review", reading, None, versions, newest, _content(newest), key_images=keys, may=allowed)
    if reading.state in ("final", "amended") and newest is not None:
        allowed = {"amend"}
        if newest.reviewer_id is None and actor.may("report.sign") and newest.reader_id != actor.account_id:
            allowed.add("countersign")
        return Panel("signed", reading, None, versions, newest, _content(newest), key_images=keys, may=frozenset(allowed))
    return Panel("look", reading, None, versions, newest, _content(newest), key_images=keys,
                 may=frozenset({"requeue"} if reading.state == "bounced" else ()))


def key_images(hub: Hub, study_id: int) -> tuple[dict, ...]:
    """The key images that readers chose in a study, in the order they were chosen."""
    rows = sorted(studies.artifacts_of(hub, study_id, "key_image"), key=lambda row: row.id)
    return tuple({"id": row.id, "caption": (row.about or {}).get("caption", ""),
                  "image": f"{(row.about or {}).get('sop_instance_uid', '')}#{(row.about or {}).get('frame', 1)}",
                  "address": url_for("studies.key_image", study_id=study_id, artifact_id=row.id)} for row in rows)


def key_image_row(hub: Hub, study_id: int, artifact_id: int):
    """One key image of this very study, or NotFound."""
    for row in studies.artifacts_of(hub, study_id, "key_image"):
        if row.id == artifact_id:
            return row
    raise NotFound("not_found", "没有这幅关键图像。", "no such key image.")


class _Values(dict):
    def __missing__(self, name: str) -> str:
        return UNMEASURED


def filled(text: str, measured: dict[str, str]) -> str:
    """A template's text with measured values in place of ``{name}``; 【】 where a value could not be measured."""
    return text.format_map(_Values({name: value or UNMEASURED for name, value in measured.items()}))


def _template(template, measured: dict[str, str]) -> dict:
    return {"id": template.id, "name": template.name, "findings": filled(template.findings, measured),
            "impression": filled(template.impression, measured), "recommendation": filled(template.recommendation, measured)}


def _content(row) -> ReportContent | None:
    return ReportContent.from_json(row.content) if row is not None else None
