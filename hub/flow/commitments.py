"""What a device asked to have vouched for (storage commitment, PS3.4 J) stands as a row until it has its answer.

The row is written before the device is told that its request was taken on. While its association stands, the gateway answers
there and holds the row; whatever ends that without an answer taken, the gateway's own end too, makes a worker call the device
back (what a killed gateway held as soon as the next one starts in its place), with growing pauses for a day. What cannot be brought by then is given up, with words in the log and the audit.
"""
from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Retryable
from hub.flow.errands import Errand
from hub.model.access import DEVICE_ROLE, SYSTEM, Actor
from hub.model.lifecycle import COMMITMENT
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import commitment

HOLD = timedelta(seconds=120)      # longer than an association waits for an answer to a message
MOST_WAITING = 1000                # of one device; what it asks beyond is refused, and it asks again
CALLS = Errand(commitment, COMMITMENT, "call_back", "commitment_id", timedelta(days=1))

_WAITING = (*COMMITMENT.sources("leave"), *COMMITMENT.sources("miss"))

log = logging.getLogger("hub.worker")


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
            count=len(references), holder=_place(hub), state=COMMITMENT.initial, attempts=0, created_at=now, due_at=now + HOLD)).inserted_primary_key[0]
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


def give_up(hub: Hub) -> int:
    """Run by the scheduler: what could not be brought for a day is given up. Returns how many."""
    with hub.reading() as connection:
        late = connection.scalars(select(commitment.c.id).where(
            commitment.c.state.in_(COMMITMENT.sources("miss")), commitment.c.created_at < hub.now() - CALLS.patience)).all()
    for commitment_id in late:
        with hub.writing() as connection:
            try:
                advance(connection, COMMITMENT, commitment_id, "miss", named={})
            except Conflict:
                continue
            row = connection.execute(select(commitment).where(commitment.c.id == commitment_id)).one()
            audit.append(connection, hub.now(), SYSTEM, "study.commitment_given_up", "commitment", row.transaction_uid, row.site_id,
                         ae_title=row.ae_title, instances=row.count, attempts=row.attempts, error=row.error)
        log.warning("the storage commitment %s of %s (%s instances) could not be brought to it in %s calls and is given up: %s",
                    row.transaction_uid, row.ae_title, row.count, row.attempts, row.error)
    return len(late)
