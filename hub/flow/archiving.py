"""After reading: the originals of a study whose report has long been signed are kept in less room, bit for bit the same.

Each goes the same way: its packed form is written, synchronised, read back and proved; a row says so; then the original
goes, and the row says that too. A kill between any two steps is caught up with by the next run. What cannot be given
back bit for bit is left as it came, and a row says why. Nobody who asks for a blob notices.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from hub.context import Hub
from hub.errors import Invalid, NotFound
from hub.flow.worklist import OPEN_STUDIES
from hub.model.access import SYSTEM, Actor
from hub.queue import outbox
from hub.storage import audit, packing
from hub.storage.tables import archived, archived_study, instance, reading, removal, state_in, study

BATCH = 32          # files between two transactions
LOOKED_AT = 50      # due studies looked at in one go
SIGNED = ("final", "amended")
PACKED = "packed"   # the outcome of a row; any other is the reason why the file was left as it came

log = logging.getLogger("hub.worker")


@dataclass(frozen=True)
class Sums:
    """What is kept packed: files, their own bytes and those on disk; and how many were left as they came."""

    files: int = 0
    size: int = 0
    packed_size: int = 0
    left: int = 0

    @property
    def ratio(self) -> float | None:
        return self.size / self.packed_size if self.packed_size else None


def due(hub: Hub, most: int = LOOKED_AT) -> list:
    """Studies (id, generation) that were reported for good so long ago, with nothing since, and whose originals are as they came; the oldest first."""
    if not hub.settings.archive_after_days:
        return []
    until = hub.now() - timedelta(days=hub.settings.archive_after_days)
    with hub.reading() as connection:
        return list(connection.execute(
            select(study.c.id, study.c.generation).join(reading, reading.c.study_id == study.c.id)
            .outerjoin(archived_study, archived_study.c.study_id == study.c.id)
            # Not open, rather than ready: nearly all studies are ready, and no index of theirs may lead.
            .where(study.c.state.not_in(OPEN_STUDIES), state_in(reading, SIGNED), reading.c.changed_at <= until, ~exists().where(removal.c.study_id == study.c.id),
                   or_(archived_study.c.id.is_(None), archived_study.c.generation != study.c.generation))
            .order_by(reading.c.changed_at).limit(most)))


def order_nightly(hub: Hub) -> int:
    """In the hours that are set, gives the workers one study after another to pack: the reading of the night goes on beside it."""
    if not _is_night(hub):
        return 0
    with hub.writing() as connection:
        if outbox.pending(connection, "archive", ""):
            return 0
    for row in due(hub):
        with hub.writing() as connection:
            if outbox.enqueue(connection, hub.now(), "archive", f"{row.id}-{row.generation}", study_id=row.id):
                return 1
    return 0


def archive_study(hub: Hub, study_id: int, told: Callable[[int], None] = lambda files: None) -> Sums:
    """Packs the originals of one study; safe to repeat, to be killed, and to run twice at once. ``told`` hears of files done."""
    with hub.reading() as connection:
        generation = connection.scalar(select(study.c.generation).where(study.c.id == study_id))
        rows = list(connection.execute(
            select(instance.c.sha256, instance.c.format, instance.c.size, instance.c.files, archived.c.outcome, archived.c.dropped_at)
            .outerjoin(archived, archived.c.sha256 == instance.c.sha256).where(instance.c.study_id == study_id).order_by(instance.c.id)))
        if connection.scalar(select(removal.c.id).where(removal.c.study_id == study_id)) is not None:
            return Sums()
    open_rows = [row for row in rows if row.outcome is None or row.outcome == PACKED and row.dropped_at is None]
    for start in range(0, len(open_rows), BATCH):
        batch = open_rows[start:start + BATCH]
        outcomes = {row.sha256: _packed(hub, row) for row in batch if row.outcome is None}
        with hub.writing() as connection:
            for sha256, (outcome, size, packed_size) in outcomes.items():
                if connection.scalar(select(archived.c.id).where(archived.c.sha256 == sha256)) is None:
                    connection.execute(insert(archived).values(sha256=sha256, study_id=study_id, outcome=outcome, size=size, packed_size=packed_size, at=hub.now()))
        _drop(hub, [row.sha256 for row in batch if row.outcome == PACKED or outcomes.get(row.sha256, ("",))[0] == PACKED])
        told(len(batch))
    return _finished(hub, study_id, generation)


def order_second_look(hub: Hub) -> int:
    """Once a night, in the hours that are set, gives the workers the originals that came in again beside their packed form."""
    if not hub.settings.archive_after_days or not _is_night(hub):
        return 0
    with hub.writing() as connection:
        return int(outbox.enqueue(connection, hub.now(), "archive_again", f"{hub.now().astimezone(hub.settings.zone):%Y-%m-%d}"))


def _is_night(hub: Hub) -> bool:
    """Whether these are the hours that are set for the archive."""
    return hub.settings.archive_from_hour <= hub.now().astimezone(hub.settings.zone).hour < hub.settings.archive_until_hour


def archive_again(hub: Hub) -> int:
    """Originals that were sent again after they had been packed go once more, and a packed form that is damaged is made anew of them.
    Returns how many went. Safe to repeat, to be killed, and to run beside ``archive_study``."""
    went = 0
    for sha256 in packing.doubled(hub.blobs.folder):
        with hub.reading() as connection:
            is_done = connection.scalar(select(archived.c.id).where(archived.c.sha256 == sha256, archived.c.outcome == PACKED, archived.c.dropped_at.is_not(None)))
            kind = connection.scalar(select(instance.c.format).where(instance.c.sha256 == sha256).limit(1))
        if is_done is not None and kind is not None:
            went += _went_again(hub, sha256, kind)
    return went


def _went_again(hub: Hub, sha256: str, kind: str) -> bool:
    try:
        try:
            packing.drop_original(hub.blobs, sha256)
        except NotFound:
            packing.pack(hub.blobs, sha256, kind)
            packing.drop_original(hub.blobs, sha256)
    except (Invalid, NotFound) as error:
        log.error("original %s that came again stays: %s", sha256[:12], error)
        return False
    return True


def sums(hub: Hub, actor: Actor) -> Sums:
    """What is kept packed now, of the studies that have been through it."""
    actor.require("operations.view")
    done = archived_study.c
    with hub.reading() as connection:
        row = connection.execute(select(*(func.coalesce(func.sum(one), 0) for one in (done.files, done.size, done.packed_size, done.left)))).one()
    return Sums(*map(int, row))


def _packed(hub: Hub, row) -> tuple[str, int, int]:
    """Outcome, size and packed size of one original."""
    if len(row.files) != 1:
        return "several_files", row.size, row.size
    try:
        made = packing.pack(hub.blobs, row.sha256, row.format)
    except (Invalid, NotFound) as error:
        if isinstance(error, NotFound):
            log.error("file %s cannot be packed: %s", row.sha256[:12], error)
        return error.code[:16], row.size, row.size
    return PACKED, made.size, made.packed_size


def _drop(hub: Hub, hashes: list[str]) -> None:
    """The originals of rows that stand go; a row whose packed form turns out to be damaged goes instead."""
    gone, damaged = [], []
    for sha256 in hashes:
        try:
            packing.drop_original(hub.blobs, sha256)
            gone.append(sha256)
        except NotFound as error:
            log.error("original %s stays: %s", sha256[:12], error)
            if hub.blobs.original(sha256) is not None:
                damaged.append(sha256)
    if gone or damaged:
        with hub.writing() as connection:
            connection.execute(update(archived).where(archived.c.sha256.in_(gone), archived.c.dropped_at.is_(None)).values(dropped_at=hub.now()))
            connection.execute(delete(archived).where(archived.c.sha256.in_(damaged)))


def _finished(hub: Hub, study_id: int, generation: int) -> Sums:
    with hub.writing() as connection:
        total = _sums(connection, study_id)
        open_files = connection.scalar(select(func.count()).select_from(instance).outerjoin(archived, archived.c.sha256 == instance.c.sha256).where(
            instance.c.study_id == study_id, or_(archived.c.id.is_(None), and_(archived.c.outcome == PACKED, archived.c.dropped_at.is_(None)))))
        if not open_files:
            known = connection.execute(select(archived_study).where(archived_study.c.study_id == study_id)).one_or_none()
            values = {"generation": generation, "files": total.files, "left": total.left, "size": total.size, "packed_size": total.packed_size, "at": hub.now()}
            if known is None:
                connection.execute(insert(archived_study).values(study_id=study_id, **values))
            elif known.generation != generation:
                connection.execute(update(archived_study).where(archived_study.c.id == known.id).values(**values))
            if known is None or known.generation != generation:
                audit.append(connection, hub.now(), SYSTEM, "study.archived", "study", study_id, files=total.files, left=total.left,
                             size=total.size, packed_size=total.packed_size)
    return total


def _sums(connection: Connection, study_id: int) -> Sums:
    rows = connection.execute(select(archived).where(archived.c.study_id == study_id)).all()
    done = [row for row in rows if row.outcome == PACKED]
    return Sums(len(done), sum(row.size for row in done), sum(row.packed_size for row in done), len(rows) - len(done))
