"""Retention: what may be removed by rule, shown before anything is done, and done only to what an administrator confirmed.

A study whose images were removed keeps its row, its reports and its audit; each of its instances leaves a tombstone.
Rows first, in one transaction with the job that removes the bytes; a kill between the two is caught up with. A file that
anything else still names stays.
"""
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, Text, and_, cast, delete, exists, func, insert, not_, or_, select, update

from hub.context import Hub
from hub.errors import Conflict, Gone, Invalid, NotFound, Retryable
from hub.flow import known
from hub.model.access import Actor
from hub.model.lifecycle import HELD, JOB
from hub.model.retention import STAYS, Rule
from hub.queue import outbox
from hub.storage import audit
from hub.storage.tables import (
    archived, archived_study, artifact, availability, critical, damage, delivery, held, instance, job, legal_hold, patient, reading, removal, repair, report, series, site, study,
    tombstone,
)

MOST = 200                 # studies shown and removed in one go
LOOKED_AT = 5000           # candidates looked at for one page
YOUNG_S = 600              # a file written later than that may be one that is just arriving again
SIGNED = ("final", "amended")
SENT = ("delivered", "acknowledged", "withdrawn")


@dataclass(frozen=True)
class Candidate:
    """A study whose term is over. ``row``: as the page shows it. ``stays``: code of STAYS, "" where it may go."""

    row: object
    rule: Rule
    last_visit: date
    kept_until: date
    stays: str = ""


def dry_run(hub: Hub, actor: Actor, most: int = MOST) -> list[Candidate]:
    """What would be removed now, and what stays although its term is over, with the reason. Changes nothing."""
    actor.require("retention.manage")
    found: list[Candidate] = []
    with hub.reading() as connection:
        for row in _candidates(hub, connection):
            one = _judged(hub, connection, row)
            if one is not None and one.stays != "not_due":
                found.append(one)
                if len(found) == most:
                    break
    return found


def remove(hub: Hub, actor: Actor, study_ids: Sequence[int], rules_version: str) -> dict[int, str]:
    """Removes the images of these studies, each judged again at this moment. Returns why a study stayed, "" for one that
    went. Conflict when the rules are others than those of the dry run."""
    actor.require("retention.manage")
    if rules_version != hub.rules.retention.version:
        raise Conflict("other_rules", "保存期限规则已变，请重新查看清单后再确认。", "the retention rules have changed; look at the list again.")
    if len(study_ids) > MOST:
        raise Invalid("too_many", f"一次最多移除 {MOST} 个检查。", f"at most {MOST} studies at a time.")
    return {study_id: _remove(hub, actor, study_id) for study_id in dict.fromkeys(study_ids)}


def remove_bytes(hub: Hub, removal_id: int) -> None:
    """The files of a removed study go, but for those that something else names. Safe to repeat."""
    with hub.reading() as connection:
        row = connection.execute(select(removal).where(removal.c.id == removal_id)).one_or_none()
        wanted = [sha256 for sha256 in row.files if not _is_named(connection, sha256)] if row is not None and row.ended_at is None else []
    older_than = hub.now().timestamp() - YOUNG_S
    if not all([hub.blobs.remove(sha256, older_than) for sha256 in wanted]):
        raise Retryable("arriving_again", "有文件刚刚再次到达，稍后再试。", "a file has just arrived again; tried again later.")
    if row is not None and row.ended_at is None:
        with hub.writing() as connection:
            connection.execute(update(removal).where(removal.c.id == removal_id).values(ended_at=hub.now()))


def require_there(hub: Hub, study_id: int) -> None:
    """Gone where the images of this study were removed by rule."""
    if (row := removal_of(hub, study_id)) is not None:
        raise gone(row)


def removed_among(hub: Hub, study_ids: Collection[int]) -> set[int]:
    """Those of these studies whose originals were removed by rule."""
    with hub.reading() as connection:
        return set(connection.scalars(select(removal.c.study_id).where(removal.c.study_id.in_(study_ids))))


def removal_of(hub: Hub, study_id: int):
    """The row of a study's removal, or None."""
    with hub.reading() as connection:
        return connection.execute(select(removal).where(removal.c.study_id == study_id)).one_or_none()


def gone(row) -> Gone:
    """What whoever asks for removed images is told. ``row``: of a removal."""
    return Gone("removed", f"该检查的原始资料（影像或心电波形）已按保存期限规定于 {row.at:%Y-%m-%d} 移除，报告仍可查看。",
                f"the originals of this study (images or ECG) were removed on {row.at:%Y-%m-%d} by the retention rule {row.rule}; its reports stay.")


def removals(hub: Hub, actor: Actor, most: int = MOST) -> list:
    """The newest removals with their studies' patients and sites."""
    actor.require("retention.manage")
    with hub.reading() as connection:
        return list(connection.execute(
            select(removal, study.c.modality, study.c.study_at, study.c.accession_number, patient.c.name.label("patient_name"),
                   patient.c.patient_id.label("patient_number"), site.c.name.label("site_name"))
            .join(study, study.c.id == removal.c.study_id).join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
            .order_by(removal.c.id.desc()).limit(most)))


def hold(hub: Hub, actor: Actor, study_id: int, why: str) -> int:
    """Puts a study on legal hold: nothing of it is removed. Returns the hold's id. Conflict where one stands."""
    actor.require("retention.manage")
    with hub.writing() as connection:
        row = connection.execute(select(study).where(study.c.id == study_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有找到这个检查。", "no such study.")
        if connection.scalar(select(legal_hold.c.id).where(legal_hold.c.study_id == study_id, legal_hold.c.ended_at.is_(None))) is not None:
            raise Conflict("on_hold", "该检查已经冻结。", "the study is on hold already.")
        if connection.scalar(select(removal.c.id).where(removal.c.study_id == study_id)) is not None:
            raise Conflict("removed", "该检查的影像已移除，无法冻结。", "the images of this study are removed; there is nothing to hold.")
        hold_id = connection.execute(insert(legal_hold).values(
            study_id=study_id, why=_reason(why), account_id=actor.account_id, who=actor.name, at=hub.now())).inserted_primary_key[0]
        audit.append(connection, hub.now(), actor, "study.hold", "study", study_id, row.site_id, row.patient_id, why=_reason(why))
    return hold_id


def release(hub: Hub, actor: Actor, hold_id: int, why: str) -> None:
    """Ends a legal hold. Conflict where it has ended."""
    actor.require("retention.manage")
    with hub.writing() as connection:
        row = connection.execute(select(legal_hold, study.c.site_id, study.c.patient_id).join(study).where(legal_hold.c.id == hold_id)).one_or_none()
        if row is None or row.ended_at is not None:
            raise Conflict("no_hold", "该冻结已经解除。", "this hold has ended.")
        connection.execute(update(legal_hold).where(legal_hold.c.id == hold_id).values(ended_at=hub.now(), ended_by=actor.name, ended_why=_reason(why)))
        audit.append(connection, hub.now(), actor, "study.hold_ended", "study", row.study_id, row.site_id, row.patient_id, why=_reason(why))


def holds(hub: Hub, actor: Actor) -> list:
    """The holds that stand, the newest first, with study, patient and site."""
    actor.require("retention.manage")
    with hub.reading() as connection:
        return list(connection.execute(
            select(legal_hold, study.c.modality, study.c.study_at, study.c.accession_number, patient.c.name.label("patient_name"),
                   patient.c.patient_id.label("patient_number"), site.c.name.label("site_name"))
            .join(study, study.c.id == legal_hold.c.study_id).join(patient, patient.c.id == study.c.patient_id)
            .join(site, site.c.id == study.c.site_id).where(legal_hold.c.ended_at.is_(None)).order_by(legal_hold.c.id.desc())))


def _candidates(hub: Hub, connection: Connection) -> Iterator:
    """Studies that came so long ago that the shortest term may be over, the oldest first."""
    shortest = timedelta(days=365 * hub.rules.retention.shortest_years)
    oldest = connection.scalar(select(study.c.received_at).order_by(study.c.id).limit(1))
    if oldest is None or oldest > hub.now() - shortest:
        return                                               # a young hub is not searched
    rows = connection.execute(_studies().where(study.c.received_at <= hub.now() - shortest, ~exists().where(removal.c.study_id == study.c.id))
                              .order_by(study.c.id).limit(LOOKED_AT))
    yield from rows.all()


def _studies():
    own = instance.c.study_id == study.c.id
    instances, size = (select(what).where(own).correlate(study).scalar_subquery() for what in (func.count(instance.c.id), func.sum(instance.c.size)))
    return (select(study.c.id, study.c.study_uid, study.c.kind, study.c.modality, study.c.study_at, study.c.accession_number, study.c.received_at,
                   study.c.state, study.c.site_id, study.c.patient_id, patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_number"),
                   site.c.name.label("site_name"), site.c.code.label("site_code"), reading.c.state.label("reading_state"), instances.label("instances"), size.label("size"))
            .join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
            .outerjoin(reading, reading.c.study_id == study.c.id))


def _judged(hub: Hub, connection: Connection, row) -> Candidate | None:
    """The verdict on a study; None where no rule names its kind."""
    rules = hub.rules.retention
    rule = rules.rule_for(row.kind, row.site_code in hub.settings.outpatient_sites.split())
    if rule is None:
        return None
    last = _last_visit(hub, connection, row)
    until = rule.kept_until(last)
    stays = "not_due" if hub.now().astimezone(hub.settings.zone).date() < until else _why_it_stays(hub, connection, row)
    return Candidate(row, rule, last, until, stays)


def _last_visit(hub: Hub, connection: Connection, row) -> date:
    """The newest day on which this person was examined or something of them came in, over all institutions."""
    own = known.members(connection, row.patient_id)
    last = row.received_at
    days = []
    for study_at, received_at in connection.execute(select(study.c.study_at, study.c.received_at).where(study.c.patient_id.in_(own))):
        last = max(last, received_at)
        try:
            days.append(date.fromisoformat(study_at[:10]))
        except ValueError:
            continue
    today = hub.now().astimezone(hub.settings.zone).date()
    return max([last.astimezone(hub.settings.zone).date(), *(day for day in days if day <= today)])


def _why_it_stays(hub: Hub, connection: Connection, row) -> str:
    def there(table, *conditions) -> bool:
        return connection.scalar(select(table.c.id).where(*conditions).limit(1)) is not None

    of_study = select(report.c.id).where(report.c.study_id == row.id)
    own = select(instance.c.id).where(instance.c.study_id == row.id)
    settled = hub.now() - timedelta(days=hub.rules.retention.settle_days)
    checks = {
        "removed": there(removal, removal.c.study_id == row.id),
        "unreported": row.state != "ready" or row.reading_state not in SIGNED,
        "on_hold": there(legal_hold, legal_hold.c.study_id == row.id, legal_hold.c.ended_at.is_(None)),
        "in_conflict": there(held, held.c.state == HELD.initial, or_(held.c.instance_id.in_(own), held.c.facts["study_uid"].as_string() == row.study_uid)),
        "damaged": there(damage, damage.c.study_id == row.id, damage.c.mended_at.is_(None)),
        "corrected": there(repair, repair.c.study_id == row.id, repair.c.at > settled),
        "unsent": there(delivery, delivery.c.report_id.in_(of_study), not_(delivery.c.state.in_(SENT)))
        or there(availability, availability.c.study_id == row.id, not_(availability.c.state.in_(SENT)))
        or there(report, report.c.study_id == row.id, report.c.withdrawn_at.is_(None), report.c.signed_at.is_not(None), report.c.pdf_sha256 == ""),
        "critical": there(critical, critical.c.study_id == row.id, critical.c.state != "closed"),
        "at_work": there(job, job.c.state.in_((JOB.initial, *JOB.sources("recover"))), job.c.args["study_id"].as_integer() == row.id),
    }
    return next((code for code, holds_it in checks.items() if holds_it), "")


def _remove(hub: Hub, actor: Actor, study_id: int) -> str:
    now = hub.now()
    with hub.writing() as connection:
        row = connection.execute(_studies().where(study.c.id == study_id)).one_or_none()
        one = _judged(hub, connection, row) if row is not None else None
        if one is None:
            raise NotFound("not_found", "没有找到这个检查。", "no such study.")
        if one.stays:
            return one.stays
        instances = list(connection.execute(select(instance, series.c.series_uid).join(series).where(instance.c.study_id == study_id).order_by(instance.c.id)))
        made = list(connection.scalars(select(artifact.c.sha256).where(artifact.c.study_id == study_id)))
        own = [file["sha256"] for one_of in instances for file in (*one_of.files, *(one_of.copies or ()))]
        removal_id = connection.execute(insert(removal).values(
            study_id=study_id, study_uid=row.study_uid, rule=one.rule.id, rules_version=hub.rules.retention.version, kept_until=one.kept_until.isoformat(),
            instances=len(instances), size=int(row.size or 0), files=list(dict.fromkeys([*own, *made])), account_id=actor.account_id, who=actor.name,
            at=now)).inserted_primary_key[0]
        for start in range(0, len(instances), MOST):
            connection.execute(insert(tombstone), [dict(
                removal_id=removal_id, series_uid=i.series_uid, sop_uid=i.sop_uid, sop_class=i.sop_class, sha256=i.sha256, files=i.files)
                for i in instances[start:start + MOST]])
        connection.execute(delete(artifact).where(artifact.c.study_id == study_id))
        for table in (archived, archived_study):
            connection.execute(delete(table).where(table.c.study_id == study_id))
        connection.execute(update(study).where(study.c.id == study_id).values(generation=study.c.generation + 1))
        outbox.enqueue(connection, now, "remove_bytes", str(removal_id), removal_id=removal_id)
        audit.append(connection, now, actor, "study.removed", "study", study_id, row.site_id, row.patient_id, study_uid=row.study_uid, rule=one.rule.id,
                     rules_version=hub.rules.retention.version, kept_until=one.kept_until.isoformat(), instances=len(instances))
    return ""


def _is_named(connection: Connection, sha256: str) -> bool:
    """Whether anything that was not removed still names this file."""
    stands = ~exists().where(removal.c.study_id == instance.c.study_id)
    for found in (select(instance.c.id).where(instance.c.sha256 == sha256, stands),
                  select(instance.c.id).where(instance.c.format != "dicom", cast(instance.c.files, Text).contains(sha256), stands),
                  select(artifact.c.id).where(artifact.c.sha256 == sha256),
                  select(held.c.id).where(or_(held.c.sha256 == sha256, and_(held.c.door == "ecg", cast(held.c.files, Text).contains(sha256)))),
                  select(report.c.id).where(report.c.pdf_sha256 == sha256)):
        if connection.scalar(found.limit(1)) is not None:
            return True
    return False


def _reason(why: str) -> str:
    if len(why.strip()) < 2:
        raise Invalid("no_reason", "请写明原因。", "say why.")
    return why.strip()[:512]


def stays_words(code: str) -> tuple[str, str]:
    """Why a study stays, in Chinese and English."""
    return STAYS[code]
