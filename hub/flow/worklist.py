"""The reading queue: ordered by urgency, then deadline, then age; claimed by one person at a time."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from itertools import count

from sqlalchemy import Connection, FromClause, Select, bindparam, func, or_, select, union, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.model.access import SYSTEM, Actor
from hub.model.lifecycle import READING, STUDY
from hub.model.urgency import RANK, URGENCIES
from hub.storage import audit, driver, names
from hub.storage.search import SHAPES, Found, beginning
from hub.storage.states import advance
from hub.storage.tables import (
    BOUNCED, SIGNED, SIGNED_ALONE, SUBMITTED, WAITING, account, device, patient, reading, report, site, state_in, study,
)

PAGE = 50
MOST_COUNTED = 1000      # a list is counted, and turned over, so far; beyond it, filters lead further
MOST_COUNTED_BY_TEXT = 100
ALL = 2**31 - 1
IN_WORK = ("claimed", "draft")
OPEN_STUDIES = tuple(state for state in STUDY.states if state != "ready")


@dataclass(frozen=True)
class Filters:
    """What a reader wants to see. ``state``: todo (queued and in work), mine, review, done, bounced or all."""

    state: str = "todo"
    modality: str = ""
    site_id: int | None = None
    urgency: str = ""
    text: str = ""
    page: int = 1


def listed(hub: Hub, actor: Actor, filters: Filters) -> tuple[list, int]:
    """One page of the worklist as rows, and how many rows there are, counted up to ``most_counted``."""
    actor.require("worklist.view")
    start = (max(1, filters.page) - 1) * PAGE
    values = {"me": actor.account_id, "modality": filters.modality, "site_id": filters.site_id, "rank": RANK.get(filters.urgency), "most": PAGE, "start": start}
    filtered = (filters.state, bool(filters.modality), bool(filters.site_id), bool(filters.urgency))
    with hub.reading() as connection:
        if filters.text.strip():
            surname = names.surname_asked(filters.text) if filters.state == "done" else None
            first = None if surname is None else (_of_surname(filtered, bool(surname["head"])), surname)
            return page_of_text(connection, lambda found: _found(filtered, found), _rows_of, filters.text, filters.site_id, values, start, PAGE, first)
        ids = [one for one, in driver.fetched(connection, _page(*filtered), values)]
        is_last = 0 < len(ids) < PAGE or not (ids or start)
        total = min(start + len(ids), MOST_COUNTED) if is_last else driver.fetched(connection, _count(*filtered), values)[0][0]
        return driver.rows_of(connection, _rows_of, ids), total


def page_of_text(connection: Connection, found_by: Callable[[Found], Select], rows_of: Callable[[int], Select], text: str, site_id: int | None, values: dict, start: int, size: int,
                 first: tuple[Select, dict] | None = None) -> tuple[list, int]:
    """One page of those that a text finds, and how many there are, counted as far as lists are: one walk for both. Those whose name
    is written so come first, then those known in Latin letters that read so. ``found_by`` makes the statement of ids from what
    is looked for, ``rows_of`` that of their rows (hub.storage.driver.rows_of); ``first``: the statement of those among them that come before all others."""
    most = max(most_counted(text), start + size)
    ids = [one for one, in driver.fetched(connection, first[0], values | first[1] | {"most": most})] if first is not None else []
    if len(ids) < most:
        for sought in beginning(connection, text, site_id):
            if sought is not None and len(ids) < most:
                ids = _joined_ids(ids, connection.scalars(found_by(sought.found), values | sought.values | {"most": most}))
    return driver.rows_of(connection, rows_of, ids[start:start + size]), len(ids[:most])


def _joined_ids(ids: list[int], others: Iterable[int]) -> list[int]:
    known = set(ids)
    return [*ids, *(one for one in others if one not in known)]


def most_counted(text: str) -> int:
    """How far a list is counted: less far where a text is looked for, which costs more a row."""
    return MOST_COUNTED_BY_TEXT if text.strip() else MOST_COUNTED


def waiting_for(hub: Hub, actor: Actor, state: str) -> Iterator:
    """Every row of a state in the order of the queue, page after page."""
    for number in count(1):
        rows, _ = listed(hub, actor, Filters(state=state, page=number))
        yield from rows
        if len(rows) < PAGE:
            return


def counts(hub: Hub, actor: Actor) -> dict[str, int]:
    """How many readings wait in each state, and how many are mine, each counted up to ``MOST_COUNTED``."""
    actor.require("worklist.view")
    with hub.reading() as connection:
        return dict(connection.execute(_COUNTS, {"me": actor.account_id}).one()._mapping)


def token(hub: Hub) -> str:
    """Changes whenever anything on the worklist may have changed: pages watch it instead of asking for all."""
    with hub.reading() as connection:
        return "|".join(str(value) for value in connection.execute(_TOKEN).one())


def find(hub: Hub, reading_id: int):
    """One worklist row by reading. NotFound without it."""
    with hub.reading() as connection:
        row = connection.execute(_columns().where(reading.c.id == reading_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这个检查。", "no such reading.")
    return row


def of_study(hub: Hub, study_id: int):
    """The worklist row of a study, or None before it has entered the queue."""
    with hub.reading() as connection:
        return connection.execute(_columns().where(reading.c.study_id == study_id)).one_or_none()


def claim(hub: Hub, actor: Actor, reading_id: int) -> None:
    """Takes a queued study; Conflict when somebody was first. Claiming one's own again renews the lease."""
    actor.require("reading.claim")
    now = hub.now()
    lease = now + timedelta(minutes=hub.settings.claim_lease_minutes)
    with hub.writing() as connection:
        row = row_of(connection, reading_id)
        if row.claimed_by == actor.account_id and row.state in IN_WORK:
            connection.execute(update(reading).where(reading.c.id == reading_id).values(lease_until=lease))
            return
        if row.state in IN_WORK:
            who = connection.scalar(select(account.c.display_name).where(account.c.id == row.claimed_by))
            raise Conflict("claimed", f"该检查已由{who}领取，请选择其他检查。", f"{who} has claimed this study; take another.")
        advance(connection, READING, reading_id, "claim", claimed_by=actor.account_id, lease_until=lease, changed_at=now)
        _record(connection, hub, actor, "reading.claim", row)


def release(hub: Hub, actor: Actor, reading_id: int) -> None:
    """Gives a claimed study back to the queue; its draft stays."""
    with hub.writing() as connection:
        row = own(connection, actor, reading_id)
        advance(connection, READING, reading_id, "release", claimed_by=None, lease_until=None, changed_at=hub.now())
        _record(connection, hub, actor, "reading.release", row)


def hand_over(hub: Hub, actor: Actor, reading_id: int, to_account: int) -> None:
    """Passes one's claimed study to a colleague who may read."""
    now = hub.now()
    with hub.writing() as connection:
        row = own(connection, actor, reading_id)
        other = connection.execute(select(account).where(account.c.id == to_account, account.c.active)).one_or_none()
        if other is None or other.role not in ("reader", "reviewer"):
            raise Invalid("not_a_reader", "只能转交给报告医师或审核医师。", "a study can be handed to a reader or reviewer only.")
        advance(connection, READING, reading_id, "hand_over", claimed_by=other.id, changed_at=now,
                lease_until=now + timedelta(minutes=hub.settings.claim_lease_minutes))
        _record(connection, hub, actor, "reading.hand_over", row, to=other.display_name)


def set_urgency(hub: Hub, actor: Actor, study_id: int, urgency: str) -> None:
    """Changes how soon a study must be read; its deadline follows."""
    actor.require("study.urgency")
    if urgency not in URGENCIES:
        raise Invalid("bad_urgency", "紧急程度无效。", "no such urgency.")
    now = hub.now()
    with hub.writing() as connection:
        row = connection.execute(select(study).where(study.c.id == study_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有找到这个检查。", "no such study.")
        actor.require_site(row.site_id)
        connection.execute(update(study).where(study.c.id == study_id).values(urgency=urgency))
        queued_at = connection.scalar(select(reading.c.queued_at).where(reading.c.study_id == study_id))
        if queued_at is not None:
            connection.execute(update(reading).where(reading.c.study_id == study_id).values(
                rank=RANK[urgency], deadline_at=hub.rules.deadlines.deadline(row.modality, urgency, queued_at), changed_at=now))
        audit.append(connection, now, actor, "study.urgency", "study", study_id, row.site_id, row.patient_id,
                     was=row.urgency, to=urgency)


def renew(hub: Hub, actor: Actor, reading_id: int) -> None:
    """Keeps the claim while its reader is at work."""
    with hub.writing() as connection:
        own(connection, actor, reading_id)
        connection.execute(update(reading).where(reading.c.id == reading_id).values(
            lease_until=hub.now() + timedelta(minutes=hub.settings.claim_lease_minutes)))


def lapse_idle_claims(hub: Hub) -> int:
    """Run by the scheduler: claims whose lease has ended go back to the queue, drafts kept. Returns how many."""
    now = hub.now()
    with hub.reading() as connection:
        idle = connection.execute(select(reading.c.id).where(
            reading.c.state.in_(READING.sources("lapse")), reading.c.lease_until < now)).scalars().all()
    for reading_id in idle:
        with hub.writing() as connection:
            row = row_of(connection, reading_id)
            if row.lease_until is None or row.lease_until >= now or row.state not in READING.sources("lapse"):
                continue
            advance(connection, READING, reading_id, "lapse", claimed_by=None, lease_until=None, changed_at=now)
            _record(connection, hub, SYSTEM, "reading.lapse", row)
    return len(idle)


def colleagues(hub: Hub, actor: Actor) -> list:
    """The people a study can be handed to."""
    actor.require("worklist.view")
    with hub.reading() as connection:
        return list(connection.execute(select(account.c.id, account.c.display_name, account.c.title).where(
            account.c.active, account.c.role.in_(("reader", "reviewer")), account.c.id != actor.account_id)
            .order_by(account.c.display_name)))


def own(connection: Connection, actor: Actor, reading_id: int):
    """The reading's row if this actor holds it; Refused or Conflict otherwise."""
    actor.require("reading.claim")
    row = row_of(connection, reading_id)
    if row.claimed_by != actor.account_id:
        if row.claimed_by is None:
            raise Conflict("not_claimed", "请先领取该检查（领取可能已超时）。", "claim the study first (the claim may have lapsed).")
        raise Refused("not_yours", "该检查由其他医师领取，您不能修改。", "another reader holds this study; you cannot change it.")
    return row


def row_of(connection: Connection, reading_id: int):
    row = connection.execute(
        select(reading).where(reading.c.id == reading_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这个检查。", "no such reading.")
    return row


def _record(connection: Connection, hub: Hub, actor: Actor, action: str, row, **detail) -> None:
    audit.append(connection, hub.now(), actor, action, "reading", row.id, row.site_id, row.patient_id,
                 study_id=row.study_id, **detail)


def _joined():
    return (reading.join(study, study.c.id == reading.c.study_id).join(patient, patient.c.id == study.c.patient_id)
            .join(site, site.c.id == study.c.site_id).outerjoin(account, account.c.id == reading.c.claimed_by)
            .outerjoin(device, device.c.id == study.c.device_id))


def _columns(of_list: bool = False):
    """The worklist's row of a reading; ``of_list``: without what only its own page shows."""
    latest = (select(func.max(report.c.second_due_at)).where(report.c.reading_id == reading.c.id, report.c.reviewer_id.is_(None))
              .scalar_subquery())
    any_version = report.alias()
    writer = (select(any_version.c.reader_id).where(any_version.c.reading_id == reading.c.id, any_version.c.withdrawn_at.is_(None))
              .order_by(any_version.c.version.desc(), any_version.c.id.desc()).limit(1).correlate(reading).scalar_subquery())
    own = [column for column in reading.c if not (of_list and column.name in _OF_ITS_PAGE)]
    more = [] if of_list else [study.c.study_uid, study.c.instances, study.c.late, study.c.received_at, study.c.state.label("study_state")]
    return select(
        *own, *more, study.c.kind, study.c.body_part, study.c.description, study.c.study_at, study.c.urgency, study.c.proof, study.c.problems,
        study.c.flags, study.c.summary, study.c.as_sent, study.c.sent_patient_id, study.c.accession_number, patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_number"), patient.c.sex, patient.c.age,
        patient.c.birth_date, patient.c.name_unsure, site.c.name.label("site_name"),
        account.c.display_name.label("claimed_name"), latest.label("second_due_at"), writer.label("written_by")).select_from(_joined())


_OF_ITS_PAGE = ("head", "sound", "queued_at", "lease_until", "amend_reason", "late_seen_at", "version")


@cache
def _chosen(*filtered) -> Select:
    return _of(reading, *filtered)


def _of(rows: FromClause, state: str, by_modality: bool = False, by_site: bool = False, by_urgency: bool = False) -> Select:
    """The ids of the readings in a state, of the table or of ``rows`` of it. Its parameters: ``me``, and of what is filtered by
    ``modality``, ``site_id``, ``rank``."""
    own = rows.c
    chosen = select(own.id).where(*_in_state(rows, state))
    chosen = chosen.where(own.modality == bindparam("modality")) if by_modality else chosen
    chosen = chosen.where(own.site_id == bindparam("site_id")) if by_site else chosen
    return chosen.where(own.rank == bindparam("rank")) if by_urgency else chosen


def _in_state(rows: FromClause, state: str) -> list:
    own, submitted = rows.c, reading.alias()
    if state == "review":
        return [own.id.in_(union(select(submitted.c.id).where(state_in(submitted, SUBMITTED)), select(report.c.reading_id).where(SIGNED_ALONE)))]
    if state == "mine":
        return [state_in(rows, WAITING), own.claimed_by == bindparam("me"), own.state.in_(IN_WORK)]
    states = {"todo": WAITING, "done": SIGNED, "bounced": BOUNCED}.get(state)
    return [state_in(rows, states)] if states is not None else []


def _order(rows: FromClause, state: str) -> tuple:
    own = rows.c
    if state in ("todo", "mine", "review"):
        return own.rank, own.deadline_at, own.queued_at, own.id
    return own.changed_at.desc(), own.id.desc()


@cache
def _page(*filtered) -> Select:
    """The ids of one page."""
    return _chosen(*filtered).order_by(*_order(reading, filtered[0])).limit(bindparam("most")).offset(bindparam("start"))


@cache
def _rows_of(most: int) -> Select:
    return _columns(of_list=True).where(driver.some_ids(reading.c.id, most))


@lru_cache(SHAPES)
def _found(filtered: tuple, found: Found) -> Select:
    """The ids of readings that a text finds, in the order of the list."""
    asked = found.conditions(reading.c.study_id, reading.c.patient_id)
    if found.how == "met":
        rows, chosen = reading, _chosen(*filtered).where(or_(*asked))
    else:        # looked up before all else: the limit keeps planners from beginning with the state
        ways = [select(*(reading.c[name] for name in _of_list(*filtered))).where(one) for one in asked]
        rows = (union(*ways) if len(ways) > 1 else ways[0].limit(ALL)).subquery()
        chosen = _of(rows, *filtered)
    return chosen.order_by(*_order(rows, filtered[0])).limit(bindparam("most"))


@cache
def _of_surname(filtered: tuple, is_written: bool) -> Select:
    """The ids of readings of patients whose surname sounds as the parameter ``sound``, and, ``is_written``, begins with ``head``."""
    chosen = _chosen(*filtered).where(reading.c.sound == bindparam("sound"))
    chosen = chosen.where(reading.c.head == bindparam("head")) if is_written else chosen
    return chosen.order_by(*_order(reading, filtered[0])).limit(bindparam("most"))


def _of_list(state: str, by_modality: bool, by_site: bool, by_urgency: bool) -> list[str]:
    """The columns by which a list is chosen and ordered: no others, so that an index can answer."""
    asked = ["id", "state", *(["rank", "deadline_at", "queued_at", "claimed_by"] if state in ("todo", "mine", "review") else ["changed_at"])]
    asked += [name for name, is_asked in (("modality", by_modality), ("site_id", by_site), ("rank", by_urgency)) if is_asked and name not in asked]
    return asked


@cache
def _count(*filtered) -> Select:
    return _counted(_chosen(*filtered).order_by(*_order(reading, filtered[0])))


def _counted(chosen: Select, most: int = MOST_COUNTED) -> Select:
    return select(func.count()).select_from(chosen.limit(most).subquery())


# Statements that every look at the worklist needs, built once.
_COUNTS = select(
    *(_count(state).scalar_subquery().label(state) for state in ("todo", "mine", "review", "done", "bounced")),
    _counted(select(study.c.id).where(study.c.state.in_(OPEN_STUDIES))).scalar_subquery().label("arriving"))
_TOKEN = select(
    select(func.max(reading.c.changed_at)).scalar_subquery(), select(func.max(study.c.last_received_at)).scalar_subquery(),
    select(func.count()).select_from(study).where(study.c.state.in_(OPEN_STUDIES)).scalar_subquery())
