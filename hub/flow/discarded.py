"""Objects of the quarantine desk that were decided upon and belong to no study: by rule their bytes go too, shown first and
confirmed like studies. Such are the discarded ones, one of another patient beside which the study was kept as it was, and one
that was closed with nothing but a word.

The term runs from the decision, and never ends before that of the study beside which the object was kept, nor while that
one is on hold. Until it is over the decision can be taken back; from then on it cannot, so nothing is removed under
whoever thinks again. The case, its decisions and a tombstone with its hashes stay; the same bytes sent again are a new case.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy import Connection, and_, exists, or_, select, update

from hub.context import Hub
from hub.errors import NotFound
from hub.flow import retention, set_aside, terms
from hub.flow.retention import Page
from hub.model.access import Actor
from hub.model.retention import Rule
from hub.storage.tables import damage, decision, device, held, held_removal, instance, legal_hold, site, study

KINDS = {"discarded": "discarded", set_aside.STATE: "closed"}     # state of a case -> kind of a rule in hub/data/retention.toml
_UNDOING = decision.alias("undoing")
_CLOSED = exists().where(decision.c.held_id == held.c.id, decision.c.choice.in_(("keep_first", "note")), decision.c.study_id.is_(None), decision.c.instance_id.is_(None),
                         ~exists().where(_UNDOING.c.undoes == decision.c.id))
_IS_CASE = or_(held.c.state == "discarded", and_(held.c.state == set_aside.STATE, _CLOSED))
_CASES = (select(held, site.c.code.label("site_code"), site.c.name.label("site_name"), device.c.name.label("device_name"))
          .outerjoin(site, site.c.id == held.c.site_id).outerjoin(device, device.c.id == held.c.device_id))


@dataclass(frozen=True)
class Case:
    """One such object. ``row``: of ``held`` with the names of site and device. ``stays``: code of hub.model.retention.STAYS,
    "" where it may go; ``is_shared``: a file of it stays all the same, because something else names it."""

    row: object
    rule: Rule
    kept_until: date
    stays: str
    is_shared: bool = False


def dry_run(hub: Hub, actor: Actor, after: int = 0, most: int = retention.MOST) -> Page[Case]:
    """Those whose term is over, the oldest first, and why one stays. Changes nothing. ``after``: of the page before."""
    actor.require("retention.manage")
    shortest = hub.now() - timedelta(days=365 * hub.rules.retention.shortest_years)
    with hub.reading() as connection:
        found = retention.paged(lambda last, count: connection.execute(_CASES.where(
            held.c.id > last, _IS_CASE, held.c.resolved_at <= shortest).order_by(held.c.id).limit(count)).all(),
            lambda rows: _judged(hub, connection, rows), after, most)
        shared = retention.named_among(connection, [file["sha256"] for one in found.listed for file in one.row.files], [one.row.id for one in found.listed])
    return Page([replace(one, is_shared=any(file["sha256"] in shared for file in one.row.files)) for one in found.listed], found.further)


def may_go(hub: Hub, connection: Connection, held_id: int) -> bool:
    """Whether an object may be removed at this moment: then its decision can no longer be taken back."""
    one = _case(hub, connection, held_id)
    return one is not None and not one.stays


def remove(hub: Hub, actor: Actor, held_ids: Sequence[int], rules_version: str) -> dict[int, str]:
    """Removes the bytes of these objects, each judged again at this moment. Returns why one stayed, "" for one that went.
    Conflict when the rules are others than those of the dry run."""
    retention.require_confirmed(hub, actor, held_ids, rules_version)
    return {held_id: _remove(hub, actor, held_id) for held_id in dict.fromkeys(held_ids)}


def remove_bytes(hub: Hub, removal_id: int) -> None:
    """The files of a removed object go, but for those that something else names. Safe to repeat."""
    with hub.reading() as connection:
        row = connection.execute(select(held_removal).where(held_removal.c.id == removal_id)).one_or_none()
        if row is None or row.ended_at is not None:
            return
        hashes = [file["sha256"] for file in row.files]
        wanted = set(hashes) - retention.named_among(connection, hashes)
    retention.take_away(hub, wanted)
    with hub.writing() as connection:
        connection.execute(update(held_removal).where(held_removal.c.id == removal_id).values(ended_at=hub.now()))


def removals(hub: Hub, actor: Actor, most: int = retention.MOST) -> list:
    """The newest tombstones with the reason why the object had been held, its site and device."""
    actor.require("retention.manage")
    with hub.reading() as connection:
        return list(connection.execute(
            select(held_removal, held.c.reason, held.c.received_at, site.c.name.label("site_name"), device.c.name.label("device_name"))
            .join(held, held.c.id == held_removal.c.held_id).outerjoin(site, site.c.id == held.c.site_id).outerjoin(device, device.c.id == held.c.device_id)
            .order_by(held_removal.c.id.desc()).limit(most)))


def tombstone_of(hub: Hub, held_id: int):
    """What is left of a removed object: its row of ``held_removal``, or None."""
    with hub.reading() as connection:
        return connection.execute(select(held_removal).where(held_removal.c.held_id == held_id)).one_or_none()


def _remove(hub: Hub, actor: Actor, held_id: int) -> str:
    with hub.writing() as connection:
        one = _case(hub, connection, held_id)
        if one is None:
            raise NotFound("not_found", "没有找到这个可移除的隔离对象。", "no such object that belongs to no study.")
        if one.stays:
            return one.stays
        set_aside.entomb(hub, connection, actor, one.row, one.rule, one.kept_until)
    return ""


def _case(hub: Hub, connection: Connection, held_id: int) -> Case | None:
    rows = connection.execute(_CASES.where(held.c.id == held_id, _IS_CASE)).all()
    return next(iter(_judged(hub, connection, rows)), None)


def _judged(hub: Hub, connection: Connection, rows: Sequence) -> list[Case]:
    """The verdict on each of these cases that a rule names."""
    today, beside = terms.today_of(hub), _studies_beside(connection, rows)
    ids = {study_id for some in beside.values() for study_id in some}
    verdicts = {one.row.id: one for one in terms.judged(hub, connection, connection.execute(terms.STUDIES.where(study.c.id.in_(ids))).all())} if ids else {}
    on_hold = set(connection.scalars(select(legal_hold.c.study_id).where(legal_hold.c.study_id.in_(ids), legal_hold.c.ended_at.is_(None))))
    hashes = [file["sha256"] for row in rows for file in row.files]
    damaged = set(connection.scalars(select(damage.c.sha256).where(damage.c.sha256.in_(hashes), damage.c.mended_at.is_(None))))
    found = []
    for row in rows:
        rule = hub.rules.retention.rule_for(KINDS[row.state], terms.is_outpatient(hub, row.site_code or ""))
        if rule is None:
            continue
        standing = [study_id for study_id in beside[row.id] if study_id not in verdicts or verdicts[study_id].stays != "removed"]
        last = max(row.resolved_at, row.received_at).astimezone(hub.settings.zone).date()
        until = max([rule.kept_until(last), *(verdicts[study_id].kept_until for study_id in standing if study_id in verdicts)])
        stays = ("not_due" if today < until or any(study_id not in verdicts for study_id in standing) else
                 "on_hold" if on_hold & set(standing) else "damaged" if any(file["sha256"] in damaged for file in row.files) else "")
        found.append(Case(row, rule, until, stays))
    return found


def _studies_beside(connection: Connection, rows: Sequence) -> dict[int, set[int]]:
    """Case to the studies that it was sent for or conflicts with."""
    uids = {row.facts.get("study_uid") for row in rows} - {None, ""}
    instances = {row.instance_id for row in rows} - {None}
    by_uid = dict(connection.execute(select(study.c.study_uid, study.c.id).where(study.c.study_uid.in_(uids))).all())
    by_instance = dict(connection.execute(select(instance.c.id, instance.c.study_id).where(instance.c.id.in_(instances))).all())
    return {row.id: {by_uid.get(row.facts.get("study_uid")), by_instance.get(row.instance_id)} - {None} for row in rows}
