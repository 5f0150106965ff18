"""Retention: what may be removed by rule, shown before anything is done, and done only to what an administrator confirmed.

A study whose images were removed keeps its row, its reports and its audit; each of its instances leaves a tombstone.
Rows first, in one transaction with the job that removes the bytes; a kill between the two is caught up with. A file that
anything else still names stays.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from sqlalchemy import Connection, delete, exists, func, insert, null, or_, select, update

from hub.context import Hub
from hub.errors import Conflict, Gone, Invalid, NotFound, Retryable
from hub.flow import known, set_aside, terms
from hub.flow.terms import Candidate
from hub.model.access import Actor
from hub.model.retention import STAYS
from hub.queue import outbox
from hub.storage import audit
from hub.storage.tables import (
    archived, archived_study, artifact, decision, held, instance, legal_hold, patient, removal, report, series, site, study, tombstone,
)

MOST = 200                 # studies shown and removed in one go
LOOKED_AT = 20_000         # candidates looked at for one page: two seconds at the most; the next page looks on
YOUNG_S = 600              # a file written later than that may be one that is just arriving again

One = TypeVar("One")


@dataclass(frozen=True)
class Listed:
    """A study whose term is over, with its instances and their bytes, and the objects of the quarantine desk that go with it."""

    verdict: Candidate
    instances: int
    size: int
    set_aside: int = 0
    set_aside_size: int = 0


@dataclass(frozen=True)
class Page(Generic[One]):
    """Part of a list, the first to arrive first. ``further``: the id after which the next part begins, 0 where this is the end."""

    listed: list[One]
    further: int = 0


def dry_run(hub: Hub, actor: Actor, after: int = 0, most: int = MOST) -> Page[Listed]:
    """What would be removed now, and what stays although its term is over, with the reason. Changes nothing. ``after``: of the page before."""
    actor.require("retention.manage")
    with hub.reading() as connection:
        found = paged(lambda last, count: _candidates(hub, connection, last, count), lambda rows: terms.judged(hub, connection, rows), after, most)
        ids = [one.row.id for one in found.listed]
        sums, beside = _sums(connection, ids), _set_aside(connection, ids)
    return Page([Listed(one, *sums.get(one.row.id, (0, 0)), *beside.get(one.row.id, (0, 0))) for one in found.listed], found.further)


def paged(candidates: Callable[[int, int], Sequence], judged: Callable[[Sequence], list[One]], after: int, most: int) -> Page[One]:
    """Those whose term is over, ``most`` at the most, of LOOKED_AT candidates at the most. ``candidates``: the next so many after an id."""
    over: list[One] = []
    for _ in range(LOOKED_AT // known.AT_ONCE):
        rows = candidates(after, known.AT_ONCE)
        over += [one for one in judged(rows) if one.stays != "not_due"]
        if len(over) > most:
            return Page(over[:most], over[most - 1].row.id)
        if len(rows) < known.AT_ONCE:
            return Page(over)
        after = rows[-1].id
    return Page(over, after)


def remove(hub: Hub, actor: Actor, study_ids: Sequence[int], rules_version: str) -> dict[int, str]:
    """Removes the images of these studies, each judged again at this moment. Returns why a study stayed, "" for one that
    went. Conflict when the rules are others than those of the dry run."""
    require_confirmed(hub, actor, study_ids, rules_version)
    return {study_id: _remove(hub, actor, study_id) for study_id in dict.fromkeys(study_ids)}


def require_confirmed(hub: Hub, actor: Actor, ids: Sequence[int], rules_version: str) -> None:
    """Refused without the right; Conflict under other rules than those of the dry run; Invalid for too many at once."""
    actor.require("retention.manage")
    if rules_version != hub.rules.retention.version:
        raise Conflict("other_rules", "保存期限规则已变，请重新查看清单后再确认。", "the retention rules have changed; look at the list again.")
    if len(ids) > MOST:
        raise Invalid("too_many", f"一次最多移除 {MOST} 项。", f"at most {MOST} at a time.")


def remove_bytes(hub: Hub, removal_id: int) -> None:
    """The files of a removed study go, but for those that something else names. Safe to repeat."""
    with hub.reading() as connection:
        row = connection.execute(select(removal).where(removal.c.id == removal_id)).one_or_none()
        if row is None or row.ended_at is not None:
            return
        wanted = set(row.files) - named_among(connection, row.files)
    take_away(hub, wanted)
    with hub.writing() as connection:
        connection.execute(update(removal).where(removal.c.id == removal_id).values(ended_at=hub.now()))


def take_away(hub: Hub, hashes: Collection[str]) -> None:
    """Removes these files. Retryable where the bytes of one have just been written again; the others are gone then."""
    older_than = hub.now().timestamp() - YOUNG_S
    if not all([hub.blobs.remove(sha256, older_than) for sha256 in hashes]):
        raise Retryable("arriving_again", "有文件刚刚再次到达，稍后再试。", "a file has just arrived again; tried again later.")


def named_among(connection: Connection, hashes: Collection[str], but_for_held: Collection[int] = ()) -> set[str]:
    """Those of these files that anything names which was not removed. ``but_for_held``: a held objects that do not count."""
    wanted, found = set(hashes), set()
    stands, decision_stands = (~exists().where(removal.c.study_id == table.c.study_id) for table in (instance, decision))
    for some in known.batched(wanted):
        for statement in (select(instance.c.sha256).where(instance.c.sha256.in_(some), stands), select(artifact.c.sha256).where(artifact.c.sha256.in_(some)),
                          select(held.c.sha256).where(held.c.sha256.in_(some), held.c.id.not_in(but_for_held)), select(report.c.pdf_sha256).where(report.c.pdf_sha256.in_(some))):
            found.update(connection.scalars(statement))
    several = or_(instance.c.format != "dicom", instance.c.copies.is_not(None))
    for statement in (select(instance.c.files, instance.c.copies).where(several, stands), select(held.c.files, null()).where(held.c.id.not_in(but_for_held)),
                      select(decision.c.before["files"], null()).where(decision.c.before.is_not(None), decision_stands)):
        for files, copies in connection.execute(statement):
            found.update(wanted.intersection(one["sha256"] for one in (*(files or ()), *(copies or ()))))
    return found


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


def _candidates(hub: Hub, connection: Connection, after: int, count: int) -> list:
    """The next studies that came so long ago that the shortest term may be over, the oldest first."""
    shortest = timedelta(days=365 * hub.rules.retention.shortest_years)
    oldest = connection.scalar(select(study.c.received_at).order_by(study.c.id).limit(1))
    if oldest is None or oldest > hub.now() - shortest:
        return []                                            # a young hub is not searched
    return list(connection.execute(
        terms.STUDIES.where(study.c.id > after, study.c.received_at <= hub.now() - shortest, ~exists().where(removal.c.study_id == study.c.id))
        .order_by(study.c.id).limit(count)))


def _sums(connection: Connection, study_ids: list[int]) -> dict[int, tuple[int, int]]:
    """Study to its instances and their bytes."""
    rows = connection.execute(select(instance.c.study_id, func.count(instance.c.id), func.sum(instance.c.size)).where(
        instance.c.study_id.in_(study_ids)).group_by(instance.c.study_id))
    return {study_id: (count, int(size)) for study_id, count, size in rows}


def _set_aside(connection: Connection, study_ids: list[int]) -> dict[int, tuple[int, int]]:
    """Study to its decided cases, and the bytes of those that do not stand in it."""
    found: dict[int, tuple[int, int]] = {}
    for row in set_aside.of_studies(connection, study_ids):
        count, size = found.get(row.of_study, (0, 0))
        found[row.of_study] = count + 1, size + (0 if row.used == row.sha256 else row.size)
    return found


def _remove(hub: Hub, actor: Actor, study_id: int) -> str:
    now = hub.now()
    with hub.writing() as connection:
        rows = connection.execute(terms.STUDIES.where(study.c.id == study_id)).all()
        one = next(iter(terms.judged(hub, connection, rows)), None)
        if one is None:
            raise NotFound("not_found", "没有找到这个检查。", "no such study.")
        if one.stays:
            return one.stays
        row = one.row
        instances = list(connection.execute(select(instance, series.c.series_uid).join(series).where(instance.c.study_id == study_id).order_by(instance.c.id)))
        made = list(connection.scalars(select(artifact.c.sha256).where(artifact.c.study_id == study_id)))
        own = [file["sha256"] for one_of in instances for file in (*one_of.files, *(one_of.copies or ()))]
        replaced = connection.scalars(select(decision.c.before).where(decision.c.study_id == study_id, decision.c.before.is_not(None)))
        own += [file["sha256"] for before in replaced for file in before["files"]]
        removal_id = connection.execute(insert(removal).values(
            study_id=study_id, study_uid=row.study_uid, rule=one.rule.id, rules_version=hub.rules.retention.version, kept_until=one.kept_until.isoformat(),
            instances=len(instances), size=sum(i.size for i in instances), files=list(dict.fromkeys([*own, *made])), account_id=actor.account_id, who=actor.name,
            at=now)).inserted_primary_key[0]
        for start in range(0, len(instances), MOST):
            connection.execute(insert(tombstone), [dict(
                removal_id=removal_id, series_uid=i.series_uid, sop_uid=i.sop_uid, sop_class=i.sop_class, sha256=i.sha256, files=i.files)
                for i in instances[start:start + MOST]])
        cases = set_aside.of_studies(connection, [study_id])
        for case in cases:
            set_aside.entomb(hub, connection, actor, case, one.rule, one.kept_until)
        connection.execute(delete(artifact).where(artifact.c.study_id == study_id))
        for table in (archived, archived_study):
            connection.execute(delete(table).where(table.c.study_id == study_id))
        connection.execute(update(study).where(study.c.id == study_id).values(generation=study.c.generation + 1))
        outbox.enqueue(connection, now, "remove_bytes", str(removal_id), removal_id=removal_id)
        audit.append(connection, now, actor, "study.removed", "study", study_id, row.site_id, row.patient_id, study_uid=row.study_uid, rule=one.rule.id,
                     rules_version=hub.rules.retention.version, kept_until=one.kept_until.isoformat(), instances=len(instances), set_aside=len(cases))
    return ""


def _reason(why: str) -> str:
    if len(why.strip()) < 2:
        raise Invalid("no_reason", "请写明原因。", "say why.")
    return why.strip()[:512]


def stays_words(code: str) -> tuple[str, str]:
    """Why a study stays, in Chinese and English."""
    return STAYS[code]
