"""What a device asked to have vouched for (storage commitment, PS3.4 J) stands as a row until it has its answer.

The row is written before the device is told that its request was taken on. While its association stands, the gateway answers
there and holds the row; whatever ends that without an answer taken, the gateway's own end too, makes a worker call the device
back (what a killed gateway held as soon as the next one starts in its place), with growing pauses for a day. What cannot be
brought by then is given up: it is missing, and counts as such, until a person has the device called again or closes it.
"""
from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, String, case, cast, func, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, Retryable
from hub.flow.errands import Errand
from hub.model.access import DEVICE_ROLE, Actor
from hub.model.lifecycle import COMMITMENT
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import commitment, site

HOLD = timedelta(seconds=120)      # longer than an association waits for an answer to a message
MOST_WAITING = 1000                # of one device; what it asks beyond is refused, and it asks again
KEPT = timedelta(days=30)          # what a given-up one named; then its device can no longer be called for it
PAGE, MOST_COUNTED = 50, 1000
GIVEN_UP = COMMITMENT.sources("resolve")
OPEN = tuple(state for state in COMMITMENT.states if state not in ("delivered", "resolved"))
NOTHING = "{}"                     # the JSON of ``named`` where it was let go
CALLS = Errand(commitment, COMMITMENT, "call_back", "commitment_id", timedelta(days=1), ("site_id", "transaction_uid", "ae_title", "count"))

_WAITING = (*COMMITMENT.sources("leave"), *COMMITMENT.sources("miss"))


@dataclass(frozen=True)
class Asked:
    """One transaction. ``actor``: the device as it was when it asked; ``references``: pairs of SOP class and instance UID."""

    commitment_id: int
    transaction_uid: str
    actor: Actor
    ae_title: str
    references: tuple[tuple[str, str], ...]


def take_on(hub: Hub, actor: Actor, ae_title: str, transaction_uid: str, references: Sequence[tuple[str, str]]) -> Asked:
    """Writes down what a device asks, held for its association. Retryable where too much of it waits already."""
    now, named = hub.now(), {}
    for sop_class, uid in references:
        named.setdefault(sop_class, []).append(uid)
    with hub.writing() as connection:
        waiting = connection.scalar(select(func.count()).select_from(commitment).where(
            commitment.c.state.in_(_WAITING), commitment.c.site_id == actor.site_id, commitment.c.ae_title == ae_title))
        if waiting >= MOST_WAITING:
            raise Retryable("too_many_commitments", f"{ae_title} 有 {waiting} 个存储确认尚未送达，请先检查该设备的接收端口。",
                            f"{waiting} storage commitments of {ae_title} could not be brought to it yet; look after its listener first.")
        made = connection.execute(insert(commitment).values(
            transaction_uid=transaction_uid, site_id=actor.site_id, device_name=actor.name, address=actor.address, ae_title=ae_title, named=named,
            count=len(references), holder=_place(hub), state=COMMITMENT.initial, attempts=0, asked_at=now, created_at=now, due_at=now + HOLD)).inserted_primary_key[0]
    return Asked(made, transaction_uid, actor, ae_title, tuple(references))


def hold(hub: Hub, commitment_id: int) -> bool:
    """Tells that the association still sees to it; False where it has been given to a worker meanwhile."""
    with hub.writing() as connection:
        try:
            advance(connection, COMMITMENT, commitment_id, "hold", due_at=hub.now() + HOLD)
        except Conflict:
            return False
    return True


def settle(hub: Hub, commitment_id: int) -> None:
    """The device has answered the report."""
    with hub.writing() as connection:
        advance(connection, COMMITMENT, commitment_id, "deliver", delivered_at=hub.now(), error="", named={})


def leave(hub: Hub, commitment_ids: Iterable[int]) -> None:
    """The association has ended, the answer was not taken: the device is called back at once."""
    with hub.writing() as connection:
        for commitment_id in commitment_ids:
            _leave(hub, connection, commitment_id)


def leave_of_predecessor(hub: Hub) -> int:
    """Run by a gateway that has taken its ports and serves nobody yet: what was held in its place is called back at once, for
    whoever held it has ended. What gateways elsewhere hold stays theirs. Returns how many."""
    return _leave_all(hub, commitment.c.holder == _place(hub))


def leave_forgotten(hub: Hub) -> int:
    """Run by the scheduler: what a gateway held that has ended since, and was not followed by another, is called back. Returns how many."""
    return _leave_all(hub, commitment.c.due_at < hub.now())


def _place(hub: Hub) -> str:
    """Where a gateway listens: two cannot at the same time. Where the names of machines are not their own, a row that is left too
    early is brought by a worker, nothing else."""
    return f"{hub.settings.dicom_host}:{hub.settings.dicom_port} {socket.gethostname()}"[:128]


def _leave_all(hub: Hub, which) -> int:
    with hub.reading() as connection:
        left = connection.scalars(select(commitment.c.id).where(commitment.c.state.in_(COMMITMENT.sources("leave")), which)).all()
    for commitment_id in left:
        with hub.writing() as connection:
            _leave(hub, connection, commitment_id)
    return len(left)


def _leave(hub: Hub, connection: Connection, commitment_id: int) -> None:
    now = hub.now()
    try:
        advance(connection, COMMITMENT, commitment_id, "leave", due_at=now)
    except Conflict:
        return
    CALLS.enqueue(connection, now, commitment_id, str(commitment_id))


def begin(hub: Hub, commitment_id: int):
    """Begins one call: the row as it was before, and what was asked. None where none is due."""
    with hub.writing() as connection:
        row = connection.execute(select(commitment).where(commitment.c.id == commitment_id)).one()
        if not CALLS.begin(connection, hub.now(), row):
            return None
    references = tuple((sop_class, uid) for sop_class, uids in row.named.items() for uid in uids)
    return row, Asked(row.id, row.transaction_uid, Actor(None, row.device_name, DEVICE_ROLE, row.site_id, row.address), row.ae_title, references)


def end(hub: Hub, row, event: str, words: str) -> None:
    """Enters what came of a call and orders the next where one is to follow."""
    with hub.writing() as connection:
        CALLS.end(hub, connection, row, event, words)
        if event == "deliver":
            connection.execute(update(commitment).where(commitment.c.id == row.id).values(named={}))


def listed(hub: Hub, actor: Actor, states: Sequence[str], page: int = 1, site_id: int = 0, ae_title: str = "") -> tuple[list, int]:
    """One page of what devices asked, what was given up first, then the newest first, with the site's name; and how many there are,
    counted up to MOST_COUNTED. ``site_id`` and ``ae_title``: of one device."""
    actor.require("delivery.view")
    conditions = [commitment.c.state.in_(states)]
    if ae_title:
        conditions += [commitment.c.site_id == site_id, commitment.c.ae_title == ae_title]
    columns = [column for column in commitment.c if column.name != "named"]
    first = case((commitment.c.state.in_(GIVEN_UP), 0), else_=1)
    with hub.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(select(commitment.c.id).where(*conditions).limit(MOST_COUNTED).subquery()))
        rows = connection.execute(
            select(*columns, site.c.name.label("site_name"), (cast(commitment.c.named, String) != NOTHING).label("may_call")).join(site, site.c.id == commitment.c.site_id)
            .where(*conditions).order_by(first, commitment.c.id.desc()).limit(PAGE).offset((max(1, page) - 1) * PAGE))
        return list(rows), total


def call_again(hub: Hub, actor: Actor, commitment_ids: Iterable[int]) -> int:
    """Has these devices called at once, those that were given up for another day; returns how many. What is due already, or has been
    answered meanwhile, is left as it is. Conflict, and nothing is done, where what one asked is no longer kept."""
    actor.require("delivery.resend")
    now, again = hub.now(), 0
    with hub.writing() as connection:
        for row in connection.execute(select(commitment).where(
                commitment.c.id.in_(commitment_ids), commitment.c.state.in_(COMMITMENT.sources("resend"))).order_by(commitment.c.id)).all():
            if not row.named:
                raise Conflict("references_gone", f"{row.ae_title} 的这次请求已过去太久，对象清单不再保留；请在设备上重新请求存储确认。",
                               f"what {row.ae_title} asked is no longer kept; have it ask for storage commitment again.")
            if row.state not in GIVEN_UP and row.due_at <= now:
                continue
            CALLS.send_again(connection, now, actor, row)
            again += 1
    return again


def close(hub: Hub, actor: Actor, commitment_ids: Iterable[int], words: str) -> int:
    """An administrator has seen to what was given up, or nobody waits for it any more: with a word on it, it no longer counts as
    missing. Returns how many."""
    actor.require("delivery.resend")
    words, closed = words.strip()[:200], 0
    if len(words) < 2:
        raise Invalid("no_reason", "请写明处理结果，例如“设备已更换，旧图像已核对”。", "say what was done, such as “the device was replaced, its images were checked”.")
    with hub.writing() as connection:
        for row in connection.execute(select(commitment.c.id, commitment.c.site_id, commitment.c.transaction_uid, commitment.c.error).where(
                commitment.c.id.in_(commitment_ids), commitment.c.state.in_(GIVEN_UP))).all():
            advance(connection, COMMITMENT, row.id, "resolve", error=f"{actor.name}：{words}", named={})
            audit.append(connection, hub.now(), actor, "delivery.closed", "commitment", row.id, row.site_id, words=words,
                         transaction_uid=row.transaction_uid, error=row.error)
            closed += 1
    return closed


def let_go(hub: Hub) -> int:
    """Run by the scheduler: the list of objects of what was given up long ago goes; the row stays and counts. Returns how many."""
    with hub.writing() as connection:
        return connection.execute(update(commitment).where(
            commitment.c.state.in_(GIVEN_UP), commitment.c.created_at < hub.now() - KEPT, cast(commitment.c.named, String) != NOTHING).values(named={})).rowcount
