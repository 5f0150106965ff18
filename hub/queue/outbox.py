"""The outbox: a job row in the same transaction as its reason. The database is the truth about work.

RQ only runs what stands here. A job that was handed over and forgotten (Redis lost, worker killed) is due
again when its lease ends.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from hub.errors import Conflict
from hub.model.lifecycle import JOB
from hub.storage.states import advance
from hub.storage.tables import job

BACKOFF_S = (2, 10, 30, 120, 600, 1800)


def enqueue(connection: Connection, now: datetime, kind: str, key: str, due_at: datetime | None = None, **args) -> bool:
    """Adds a job unless one of the same kind and key stands already. Returns whether it was added."""
    if connection.scalar(select(job.c.id).where(job.c.kind == kind, job.c.key == key)) is not None:
        return False
    connection.execute(insert(job).values(kind=kind, key=key, args=args, state=JOB.initial, tries=0,
                                          created_at=now, due_at=due_at or now))
    return True


def pending(connection: Connection, kind: str, key_begins: str) -> bool:
    """Whether a job of this kind, whose key begins so, has not ended yet."""
    return connection.scalar(select(job.c.id).where(
        job.c.kind == kind, job.c.key.startswith(key_begins, autoescape=True), job.c.state.in_((JOB.initial, *JOB.sources("recover")))).limit(1)) is not None


def due(connection: Connection, now: datetime, most: int = 200) -> list:
    """The jobs that are due, oldest first."""
    return list(connection.execute(
        select(job).where(job.c.state == JOB.initial, job.c.due_at <= now).order_by(job.c.due_at, job.c.id).limit(most)))


def hand(connection: Connection, job_id: int, now: datetime, lease_s: float) -> None:
    """Marks a job as handed to RQ; it comes back when nobody has started it by the end of the lease."""
    advance(connection, JOB, job_id, "hand", leased_until=now + timedelta(seconds=lease_s))


def begin(connection: Connection, job_id: int, now: datetime, lease_s: float):
    """Starts a job and returns its row as it stands afterwards, or None when another worker has it or it is done.
    ``tries`` counts this start too, and is the token by which ``finish`` and ``fail`` know their own start."""
    row = connection.execute(select(job).where(job.c.id == job_id)).one_or_none()
    if row is None:
        return None
    try:
        advance(connection, JOB, job_id, "run", tries=row.tries + 1, leased_until=now + timedelta(seconds=lease_s))
    except Conflict:
        return None
    return connection.execute(select(job).where(job.c.id == job_id)).one()


def renew(connection: Connection, job_id: int, now: datetime, lease_s: float) -> None:
    """Keeps a long job's lease alive."""
    connection.execute(update(job).where(job.c.id == job_id, job.c.state.in_(JOB.sources("finish")))
                       .values(leased_until=now + timedelta(seconds=lease_s)))


def finish(connection: Connection, job_id: int, now: datetime, tries: int) -> None:
    """Records that the start number ``tries`` ended well; Conflict when the job has been given to another since."""
    _require_own(connection, job_id, tries)
    advance(connection, JOB, job_id, "finish", ended_at=now, leased_until=None, error="")


def retry(connection: Connection, job_id: int, now: datetime, tries: int, error: str) -> None:
    """Records a failure that may mend: due again after a growing pause."""
    _require_own(connection, job_id, tries)
    advance(connection, JOB, job_id, "retry", due_at=now + pause_after(tries), leased_until=None, error=error[:500])


def give_up(connection: Connection, job_id: int, now: datetime, tries: int, error: str) -> None:
    """Records a failure for good: shown to the administrator."""
    _require_own(connection, job_id, tries)
    advance(connection, JOB, job_id, "give_up", ended_at=now, leased_until=None, error=error[:500])


def pause_after(tries: int) -> timedelta:
    """How long to wait after the failed try number ``tries`` (from 1)."""
    return timedelta(seconds=BACKOFF_S[min(max(tries, 1), len(BACKOFF_S)) - 1])


def lost(connection: Connection, now: datetime) -> list[int]:
    """Jobs that were handed over or begun, and whose lease has ended."""
    return list(connection.execute(select(job.c.id).where(
        job.c.state.in_(JOB.sources("recover")), job.c.leased_until < now)).scalars())


def recover(connection: Connection, now: datetime) -> int:
    """Makes every lost job due again. Returns how many."""
    found = lost(connection, now)
    for job_id in found:
        advance(connection, JOB, job_id, "recover", due_at=now, leased_until=None)
    return len(found)


def _require_own(connection: Connection, job_id: int, tries: int) -> None:
    if connection.scalar(select(job.c.tries).where(job.c.id == job_id)) != tries:
        raise Conflict("not_my_job", "任务已交给其他进程。", "the job was given to another worker in the meantime.")
