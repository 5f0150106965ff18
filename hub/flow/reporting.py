"""Writing, submitting, signing and amending. A report leaves only signed; an old version stays readable."""
from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import critical, worklist
from hub.flow.completion import proof_of
from hub.flow.heading import heading_of
from hub.model.access import Actor
from hub.model.lifecycle import READING
from hub.model.report import ReportContent
from hub.queue import outbox
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import artifact, draft, reading, report, study


@dataclass(frozen=True)
class Draft:
    """The words as last saved. ``revision`` counts up by one with every save."""

    revision: int
    content: ReportContent
    author_id: int | None = None


def current_draft(hub: Hub, actor: Actor, reading_id: int) -> Draft:
    """The draft of a reading; revision 0 and empty before the first save."""
    actor.require("report.write")
    with hub.reading() as connection:
        return _draft(connection, reading_id)


def save_draft(hub: Hub, actor: Actor, reading_id: int, revision: int, content: ReportContent) -> int:
    """Saves over ``revision`` and returns the new one. Conflict when a newer draft stands: it is not overwritten."""
    actor.require("report.write")
    now = hub.now()
    with hub.writing() as connection:
        row = worklist.own(connection, actor, reading_id)
        _check_key_images(connection, row.study_id, content)
        before = _draft(connection, reading_id)
        if before.revision != revision:
            raise Conflict("newer_draft", "该报告在别处已有更新的草稿，未覆盖。请先载入最新草稿，再合并您的修改。",
                           "a newer draft was saved elsewhere and was not overwritten; load it and merge your changes.")
        values = {"revision": revision + 1, "content": content.as_json(), "author_id": actor.account_id, "saved_at": now}
        if revision == 0:
            connection.execute(insert(draft).values(reading_id=reading_id, **values))
        else:
            changed = connection.execute(update(draft).where(
                draft.c.reading_id == reading_id, draft.c.revision == revision).values(**values))
            if changed.rowcount != 1:
                raise Conflict("newer_draft", "该报告在别处已有更新的草稿，未覆盖。", "a newer draft was saved elsewhere; not overwritten.")
        advance(connection, READING, reading_id, "write", changed_at=row.changed_at if row.state == "draft" else now,
                lease_until=now + timedelta(minutes=hub.settings.claim_lease_minutes))
    return revision + 1


def submit(hub: Hub, actor: Actor, reading_id: int) -> int:
    """Hands the draft to review as a preliminary report and returns the report's id."""
    actor.require("report.write")
    now = hub.now()
    with hub.writing() as connection:
        row = worklist.own(connection, actor, reading_id)
        report_id = _freeze(hub, connection, actor, row)
        advance(connection, READING, reading_id, "submit", changed_at=now, lease_until=None, claimed_by=None, version=row.version + 1,
                late_images=False)
        _record(hub, connection, actor, "report.submit", report_id, row)
    return report_id


def send_back(hub: Hub, actor: Actor, reading_id: int, words: str) -> None:
    """The reviewer returns a preliminary report to its reader with the reason."""
    actor.require("report.sign")
    if not words.strip():
        raise Invalid("empty_reason", "请写明退回原因。", "say why the report is sent back.")
    now = hub.now()
    with hub.writing() as connection:
        row = _reading(connection, reading_id)
        latest = _submitted(connection, reading_id)
        advance(connection, READING, reading_id, "send_back", changed_at=now, claimed_by=latest.reader_id,
                lease_until=now + timedelta(minutes=hub.settings.claim_lease_minutes), version=row.version - 1)
        connection.execute(update(report).where(report.c.id == latest.id).values(withdrawn_at=now))
        _record(hub, connection, actor, "report.send_back", latest.id, row, words=words[:200])


def sign(hub: Hub, actor: Actor, reading_id: int) -> int:
    """The second person's signature: the preliminary report becomes final and goes out. Returns its id."""
    actor.require("report.sign")
    now = hub.now()
    with hub.writing() as connection:
        row = _reading(connection, reading_id)
        latest = _submitted(connection, reading_id)
        if latest.reader_id == actor.account_id:
            raise Refused("same_person", "不能审核自己书写的报告，请由另一位审核医师签发。",
                          "nobody signs their own report; another reviewer must.")
        event = "sign" if latest.version == 1 else "sign_amendment"
        advance(connection, READING, reading_id, event, changed_at=now)
        _seal(hub, connection, latest, reviewer=actor, now=now)
        _record(hub, connection, actor, "report.sign", latest.id, row, version=latest.version, content_sha256=latest.content_sha256)
    return latest.id


def sign_alone(hub: Hub, actor: Actor, reading_id: int) -> int:
    """An emergency goes out with one signature at once; the second is due by a deadline. Returns the report's id."""
    actor.require("report.sign_alone")
    now = hub.now()
    with hub.writing() as connection:
        row = worklist.own(connection, actor, reading_id)
        urgency = connection.scalar(select(study.c.urgency).where(study.c.id == row.study_id))
        if urgency != "emergency":
            raise Refused("not_an_emergency", "只有“危急”检查可以单人签发，请提交审核。", "only an emergency may be signed by one person; submit it for review.")
        report_id = _freeze(hub, connection, actor, row)
        connection.execute(update(report).where(report.c.id == report_id).values(
            second_due_at=now + timedelta(hours=hub.settings.second_signature_hours)))
        advance(connection, READING, reading_id, "sign_alone", changed_at=now, claimed_by=None, lease_until=None,
                version=row.version + 1, late_images=False)
        _seal(hub, connection, _report(connection, report_id), reviewer=None, now=now)
        _record(hub, connection, actor, "report.sign_alone", report_id, row)
    return report_id


def countersign(hub: Hub, actor: Actor, report_id: int) -> None:
    """The second signature under a report that went out with one: the same words, issued again with both names."""
    actor.require("report.sign")
    now = hub.now()
    with hub.writing() as connection:
        latest = _report(connection, report_id)
        if latest.signed_at is None or latest.reviewer_id is not None:
            raise Conflict("not_waiting", "该报告不需要补签。", "this report does not wait for a second signature.")
        if latest.reader_id == actor.account_id:
            raise Refused("same_person", "不能审核自己书写的报告。", "nobody signs their own report.")
        row = _reading(connection, latest.reading_id)
        changed = connection.execute(update(report).where(report.c.id == report_id, report.c.reviewer_id.is_(None)).values(
            reviewer_id=actor.account_id, reviewer_name=actor.name, pdf_sha256=""))
        if changed.rowcount != 1:
            raise Conflict("somebody_was_first", "已由他人补签。", "somebody else has signed it.")
        connection.execute(update(reading).where(reading.c.id == latest.reading_id).values(changed_at=now))
        outbox.enqueue(connection, now, "issue_letter", f"{report_id}:both", report_id=report_id)
        _record(hub, connection, actor, "report.countersign", report_id, row)


def amend(hub: Hub, actor: Actor, reading_id: int, reason: str) -> None:
    """Opens a signed report for a new version. The old one stays valid and readable until the new one is signed."""
    actor.require("report.write")
    if len(reason.strip()) < 2:
        raise Invalid("empty_reason", "请写明修订原因。", "say why the report is amended.")
    now = hub.now()
    with hub.writing() as connection:
        row, latest = _reading(connection, reading_id), _latest(connection, reading_id)
        advance(connection, READING, reading_id, "amend", claimed_by=actor.account_id, changed_at=now,
                lease_until=now + timedelta(minutes=hub.settings.claim_lease_minutes))
        before = _draft(connection, reading_id)
        connection.execute(update(draft).where(draft.c.reading_id == reading_id).values(
            revision=before.revision + 1, content=latest.content, author_id=actor.account_id, saved_at=now))
        connection.execute(update(reading).where(reading.c.id == reading_id).values(amend_reason=reason.strip()[:500]))
        _record(hub, connection, actor, "report.amend", latest.id, row, reason=reason[:200])


def bounce(hub: Hub, actor: Actor, reading_id: int, reason: str) -> None:
    """"Please repeat": returns the case to the clinic with the reason. New images put it back into the queue."""
    if len(reason.strip()) < 2:
        raise Invalid("empty_reason", "请写明需要重做的原因，基层医生将据此操作。", "say why it must be repeated: the clinic acts on it.")
    with hub.writing() as connection:
        row = worklist.own(connection, actor, reading_id)
        advance(connection, READING, reading_id, "bounce", bounce_reason=reason.strip()[:500], claimed_by=None,
                lease_until=None, changed_at=hub.now())
        _record(hub, connection, actor, "reading.bounce", reading_id, row, reason=reason[:200])


def requeue(hub: Hub, actor: Actor, reading_id: int) -> None:
    """Takes a returned case back into the queue as it is."""
    actor.require("reading.claim")
    with hub.writing() as connection:
        row = _reading(connection, reading_id)
        advance(connection, READING, reading_id, "requeue", changed_at=hub.now())
        _record(hub, connection, actor, "reading.requeue", reading_id, row)


def versions(hub: Hub, actor: Actor, reading_id: int) -> list:
    """Every version of a reading's report that stands, newest first. A clinic sees signed ones only."""
    actor.require("report.view")
    with hub.reading() as connection:
        row = _reading(connection, reading_id)
        actor.require_site(row.site_id)
        found = select(report).where(report.c.reading_id == reading_id, report.c.withdrawn_at.is_(None)).order_by(report.c.version.desc())
        if actor.role == "clinic":
            found = found.where(report.c.signed_at.is_not(None))
        return list(connection.execute(found))


def version(hub: Hub, actor: Actor, report_id: int):
    """One standing version with its study's site and patient. NotFound where there is none this person may see."""
    actor.require("report.view")
    with hub.reading() as connection:
        row = connection.execute(
            select(report, study.c.site_id, study.c.patient_id, study.c.kind, study.c.study_uid)
            .join(study, study.c.id == report.c.study_id)
            .where(report.c.id == report_id, report.c.withdrawn_at.is_(None))).one_or_none()
    if row is None or (actor.role == "clinic" and row.signed_at is None):
        raise NotFound("not_found", "没有找到这份报告，或不属于您的机构。", "no such report, or not of your institution.")
    actor.require_site(row.site_id)
    return row


def _freeze(hub: Hub, connection: Connection, actor: Actor, row) -> int:
    """Turns the draft into an unsigned report version."""
    words = _draft(connection, row.id)
    words.content.require_ready()
    _check_key_images(connection, row.study_id, words.content)
    now, version = hub.now(), row.version + 1
    of_study = connection.execute(select(study).where(study.c.id == row.study_id)).one()
    proof = proof_of(connection, row.study_id)
    report_id = connection.execute(insert(report).values(
        reading_id=row.id, study_id=row.study_id, version=version,
        content=words.content.as_json(),
        positive=words.content.positive, critical=words.content.critical, reader_id=actor.account_id, reader_name=actor.name,
        submitted_at=now, amends_reason=row.amend_reason if version > 1 else "", proof=proof.stamp if of_study.kind == "image" else proof.zh,
        content_sha256=words.content.sha256(), pdf_sha256="", check_code=secrets.token_hex(8))).inserted_primary_key[0]
    if words.content.critical:
        critical.raise_by_reader(hub, connection, actor, of_study, report_id, words.content.critical_finding)
    return report_id


def _seal(hub: Hub, connection: Connection, row, *, reviewer: Actor | None, now) -> None:
    if ReportContent.from_json(row.content).sha256() != row.content_sha256:
        raise Conflict("content_changed", "报告内容与提交时不一致，已停止签发，请联系管理员。", "the report's words are not those submitted; not signed.")
    changed = connection.execute(update(report).where(report.c.id == row.id, report.c.signed_at.is_(None)).values(
        signed_at=now, number=f"{now.astimezone(hub.settings.zone):%Y%m%d}{row.reading_id:06d}-{row.version}",
        reviewer_id=reviewer.account_id if reviewer else None, reviewer_name=reviewer.name if reviewer else "",
        heading=heading_of(connection, row.study_id)))
    if changed.rowcount != 1:
        raise Conflict("already_signed", "该报告已经签发。", "this report is signed already.")
    outbox.enqueue(connection, now, "issue_letter", f"{row.id}:{'both' if reviewer else 'one'}", report_id=row.id)


def _check_key_images(connection: Connection, study_id: int, content: ReportContent) -> None:
    if content.key_images:
        own = set(connection.execute(select(artifact.c.id).where(
            artifact.c.study_id == study_id, artifact.c.kind == "key_image")).scalars())
        if not set(content.key_images) <= own:
            raise Invalid("foreign_key_image", "关键图像不属于本检查，未保存。", "a key image does not belong to this study; not saved.")


def _draft(connection: Connection, reading_id: int) -> Draft:
    row = connection.execute(select(draft).where(draft.c.reading_id == reading_id)).one_or_none()
    return Draft(row.revision, ReportContent.from_json(row.content), row.author_id) if row else Draft(0, ReportContent())


def _reading(connection: Connection, reading_id: int):
    return worklist.row_of(connection, reading_id)


def _latest(connection: Connection, reading_id: int):
    return connection.execute(select(report).where(report.c.reading_id == reading_id, report.c.withdrawn_at.is_(None))
                              .order_by(report.c.version.desc()).limit(1)).one_or_none()


def _submitted(connection: Connection, reading_id: int):
    """The unsigned version that waits for review."""
    row = _latest(connection, reading_id)
    if row is None or row.signed_at is not None:
        raise Conflict("no_report", "没有待审核的报告，请刷新后再试。", "there is no report that waits for review; reload.")
    return row


def _report(connection: Connection, report_id: int):
    row = connection.execute(select(report).where(report.c.id == report_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这份报告。", "no such report.")
    return row


def _record(hub: Hub, connection: Connection, actor: Actor, action: str, object_id: int, row, **detail) -> None:
    audit.append(connection, hub.now(), actor, action, "report" if action.startswith("report") else "reading", object_id,
                 row.site_id, row.patient_id, study_id=row.study_id, **detail)
