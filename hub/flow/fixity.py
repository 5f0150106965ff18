"""Fixity: every stored file is read back and hashed again, round after round, and a damaged one is named.

A disk that rots says nothing. The scheduler reads a little every few seconds: originals, what is held aside, signed
letters and prepared images, in the order in which they came. What no longer equals its SHA-256 becomes a row of
``damage``: its sender's node is asked for it (hub.flow.refetch), the administrator sees whom to call, the reader sees that
something is missing. When the same bytes come in again they take the place of the damaged file, and the damage is mended.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, Connection, cast, exists, func, insert, null, select, update

from hub.context import Hub
from hub.model.access import SYSTEM, Actor
from hub.queue import outbox
from hub.storage import audit
from hub.storage.tables import artifact, damage, decision, device, fixity_round, held, instance, patient, removal, report, site, study

AT_ONCE = 200          # rows looked up in one go
LOOKED_AGAIN = 50      # known damages hashed again in one go
ASKED_AGAIN = 100      # damages that are asked of their senders by themselves; more is a broken disk, and a person's matter

log = logging.getLogger("hub.fixity")

# Where stored files are named: source -> (table, how its row names them, its study). In the order of a round.
SOURCES = {
    "instance": (instance, lambda row: [one["sha256"] for one in row.files], instance.c.study_id, instance.c.files),
    "held": (held, lambda row: [one["sha256"] for one in row.files], cast(null(), BigInteger), held.c.files),
    "copy": (instance, lambda row: [one["sha256"] for one in row.files or ()], instance.c.study_id, instance.c.copies),
    "decision": (decision, lambda row: [one["sha256"] for one in (row.files or {}).get("files", ())], decision.c.study_id, decision.c.before),
    "report": (report, lambda row: [row.files] if row.files else [], report.c.study_id, report.c.pdf_sha256),
    "artifact": (artifact, lambda row: [row.files], artifact.c.study_id, artifact.c.sha256),
}
_NAMES = tuple(SOURCES)


@dataclass(frozen=True)
class Checked:
    """What one look found: files hashed, their bytes, how many are newly damaged or mended, and whether the round is over."""

    files: int = 0
    bytes: int = 0
    damaged: int = 0
    mended: int = 0
    round_over: bool = False


@dataclass(frozen=True)
class _Found:
    sha256: str
    source: str
    source_id: int
    study_id: int | None
    what: str


def check_some(hub: Hub, most_bytes: int, pause: timedelta = timedelta(0)) -> Checked:
    """Hashes known damages again, then the next files of the round until ``most_bytes`` are read (the last file whole).
    A new round begins when the last is over and ``pause`` has gone by since it began. Safe to run twice at once."""
    mended = look_again(hub)
    place = _place(hub, pause)
    if place is None:
        return Checked(mended=mended, round_over=True)
    files = read = 0
    found: list[_Found] = []
    source, after_id = place.source, place.after_id
    for row in _rows(hub, source, after_id):
        for sha256 in SOURCES[source][1](row):
            what, size = hub.blobs.fixity(sha256)
            files, read = files + 1, read + size
            if what != "intact":
                found.append(_Found(sha256, source, row.id, row.study_id, what))
        after_id = row.id
        if read >= most_bytes:
            break
    else:
        source, after_id = _after(source)
    with hub.writing() as connection:
        moved = connection.execute(update(fixity_round).where(
            fixity_round.c.id == place.id, fixity_round.c.source == place.source, fixity_round.c.after_id == place.after_id).values(
            source=source, after_id=after_id, files=fixity_round.c.files + files, bytes=fixity_round.c.bytes + read,
            ended_at=None if source else hub.now()))
        if moved.rowcount != 1:
            return Checked(mended=mended)             # another scheduler looked at the same files meanwhile
        damaged = sum(_note(hub, connection, one) for one in found)
    return Checked(files, read, damaged, mended, not source)


def check_everything(hub: Hub, told: Callable[[int, int], None], step_bytes: int = 64 << 20) -> Checked:
    """A whole round from its beginning, now. ``told(done, of)`` hears how many files are done."""
    with hub.writing() as connection:
        of = sum(connection.scalar(select(func.count(files))) for *_more, files in SOURCES.values())
        connection.execute(update(fixity_round).where(fixity_round.c.ended_at.is_(None)).values(ended_at=hub.now()))
    total = Checked()
    while not total.round_over:
        one = check_some(hub, step_bytes)
        total = Checked(total.files + one.files, total.bytes + one.bytes, total.damaged + one.damaged, total.mended + one.mended, one.round_over)
        told(total.files, of)
    return total


def look_again(hub: Hub) -> int:
    """Known damages whose file is whole again (its bytes were sent once more, or it was brought back) are mended."""
    with hub.reading() as connection:
        rows = list(connection.execute(select(damage).where(damage.c.mended_at.is_(None)).order_by(func.random()).limit(LOOKED_AGAIN)))
    whole = [row for row in rows if hub.blobs.fixity(row.sha256)[0] == "intact"]
    if whole:
        with hub.writing() as connection:
            for row in whole:
                if connection.execute(update(damage).where(damage.c.id == row.id, damage.c.mended_at.is_(None)).values(mended_at=hub.now())).rowcount:
                    audit.append(connection, hub.now(), SYSTEM, "fixity.mended", row.source, row.source_id, sha256=row.sha256)
    return len(whole)


def damaged(hub: Hub, actor: Actor) -> list:
    """What is damaged now, with the study, the patient and whom to call; the latest first."""
    actor.require("operations.view")
    with hub.reading() as connection:
        return list(connection.execute(
            select(damage, study.c.modality, study.c.study_at, study.c.accession_number, site.c.name.label("site_name"), site.c.phone.label("site_phone"),
                   device.c.name.label("device_name"))
            .outerjoin(study, study.c.id == damage.c.study_id).outerjoin(patient, patient.c.id == study.c.patient_id)
            .outerjoin(site, site.c.id == study.c.site_id).outerjoin(device, device.c.id == study.c.device_id)
            .where(damage.c.mended_at.is_(None)).order_by(damage.c.id.desc()).limit(200)))


def damaged_of(hub: Hub, study_id: int) -> list:
    """The damaged originals of a study, for whoever reads it."""
    with hub.reading() as connection:
        return list(connection.execute(select(damage, instance.c.number).join(instance, instance.c.id == damage.c.source_id).where(
            damage.c.study_id == study_id, damage.c.source == "instance", damage.c.mended_at.is_(None)).order_by(instance.c.number)))


def last_round(hub: Hub, actor: Actor):
    """The newest round's row (source, files, bytes, began_at, ended_at), or None."""
    actor.require("operations.view")
    with hub.reading() as connection:
        return connection.execute(select(fixity_round).order_by(fixity_round.c.id.desc()).limit(1)).one_or_none()


def _place(hub: Hub, pause: timedelta):
    """Where the round stands; begins a new one when it is time, None when it is not."""
    newest = select(fixity_round).order_by(fixity_round.c.id.desc()).limit(1)
    with hub.reading() as connection:
        row = connection.execute(newest).one_or_none()
    if row is not None and row.ended_at is None:
        return row
    if row is not None and hub.now() < row.began_at + pause:
        return None
    with hub.writing() as connection:
        again = connection.execute(newest).one_or_none()
        if (again and again.id) == (row and row.id):
            connection.execute(insert(fixity_round).values(source=_NAMES[0], after_id=0, files=0, bytes=0, began_at=hub.now()))
        return connection.execute(newest).one()


def _rows(hub: Hub, source: str, after_id: int) -> Iterator:
    """The rows of a source behind ``after_id``, in order; each with id, study_id and files."""
    table, _names, of_study, files = SOURCES[source]
    while True:
        with hub.reading() as connection:
            rows = list(connection.execute(select(table.c.id, of_study.label("study_id"), files.label("files")).where(
                table.c.id > after_id, of_study.is_(None) | ~exists().where(removal.c.study_id == of_study)).order_by(table.c.id).limit(AT_ONCE)))
        yield from rows
        if len(rows) < AT_ONCE:
            return
        after_id = rows[-1].id


def _after(source: str) -> tuple[str, int]:
    """The beginning of the next source; "" when the round is over."""
    place = _NAMES.index(source) + 1
    return (_NAMES[place] if place < len(_NAMES) else "", 0)


def _note(hub: Hub, connection: Connection, one: _Found) -> bool:
    """Enters a damage, or opens it again; False where it is known."""
    if one.study_id is not None and connection.scalar(select(removal.c.id).where(removal.c.study_id == one.study_id)) is not None:
        return False                                  # removed by rule: it is meant to be gone
    known = connection.execute(select(damage.c.id, damage.c.mended_at).where(damage.c.sha256 == one.sha256)).one_or_none()
    if known is not None and known.mended_at is None:
        return False
    values = {"source": one.source, "source_id": one.source_id, "study_id": one.study_id, "what": one.what, "found_at": hub.now(), "mended_at": None,
              "asked_at": None, "answer": ""}
    if known is None:
        damage_id = connection.execute(insert(damage).values(sha256=one.sha256, **values)).inserted_primary_key[0]
    else:
        damage_id = known.id
        connection.execute(update(damage).where(damage.c.id == damage_id).values(**values))
    if one.source == "instance" and connection.scalar(select(func.count()).select_from(damage).where(damage.c.mended_at.is_(None))) <= ASKED_AGAIN:
        outbox.enqueue(connection, hub.now(), "ask_again", f"{damage_id}:{hub.now().timestamp():.0f}", damage_id=damage_id)
    audit.append(connection, hub.now(), SYSTEM, "fixity.damaged", one.source, one.source_id, sha256=one.sha256, what=one.what)
    log.error("stored file %s of %s %s is %s", one.sha256[:12], one.source, one.source_id, one.what)
    return True
