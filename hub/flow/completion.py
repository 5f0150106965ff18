"""Closing studies by evidence: what arrived, what is missing, how long it has been quiet.

Run by the scheduler every second. A study closes when its sender has gone and it stays quiet for a moment;
while the sender is connected, or while something is known to be missing, it is given longer.
"""
from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, or_, select, update

from hub.context import Hub
from hub.errors import Conflict
from hub.flow import identity
from hub.model.completeness import Proof, SeriesEvidence, prove
from hub.model.lifecycle import STUDY
from hub.queue import outbox
from hub.storage.states import advance
from hub.storage.tables import instance, series, study

PREPARE = {"image": "prepare_images", "ecg": "prepare_ecg"}


def close_quiet_studies(hub: Hub) -> int:
    """Closes every study that the evidence calls finished, and orders its preparation. Returns how many."""
    now, settings, closed = hub.now(), hub.settings, 0
    soonest = now - timedelta(seconds=min(settings.released_quiet_s, settings.study_quiet_s))
    with hub.reading() as connection:
        waiting = connection.execute(select(study.c.id).where(
            study.c.state.in_(STUDY.sources("close")),
            or_(study.c.kind == "ecg", study.c.last_received_at <= soonest)).order_by(study.c.last_received_at).limit(200)).scalars().all()
    for study_id in waiting:
        with hub.writing() as connection:
            closed += _close_if_quiet(hub, connection, study_id)
    return closed


def proof_of(connection: Connection, study_id: int) -> Proof:
    """The proof sheet of a study as it stands."""
    late = connection.scalar(select(study.c.late).where(study.c.id == study_id))
    rows = connection.execute(
        select(instance.c.series_id, instance.c.number, instance.c.position_mm, instance.c.orientation)
        .where(instance.c.study_id == study_id)).all()
    evidence = []
    for one in connection.execute(select(series).where(series.c.study_id == study_id).order_by(series.c.number, series.c.id)):
        own = [row for row in rows if row.series_id == one.id]
        evidence.append(SeriesEvidence(
            one.series_uid, one.description, one.modality, len(own),
            tuple(sorted(row.number for row in own if row.number is not None)),
            tuple((row.orientation, row.position_mm) for row in own if row.position_mm is not None), one.expected))
    return prove(evidence, late)


def _close_if_quiet(hub: Hub, connection: Connection, study_id: int) -> bool:
    row = connection.execute(select(study).where(study.c.id == study_id)).one()
    quiet_s = (hub.now() - row.last_received_at).total_seconds()
    proof = proof_of(connection, study_id)
    if quiet_s < _patience(hub, row, proof):
        return False
    try:
        advance(connection, STUDY, study_id, "close", proof=proof.as_json(), association_open=False,
                generation=row.generation + 1)
    except Conflict:
        return False
    identity.order(hub, connection, study_id)
    outbox.enqueue(connection, hub.now(), PREPARE[row.kind], f"{study_id}:{row.generation + 1}",
                   study_id=study_id, generation=row.generation + 1)
    return True


def _patience(hub: Hub, row, proof: Proof) -> float:
    settings = hub.settings
    if row.kind == "ecg":
        return 0.0
    if proof.verdict == "incomplete":
        return settings.incomplete_quiet_s
    if row.association_open:
        return settings.study_quiet_s if proof.verdict != "complete" else settings.released_quiet_s
    return settings.released_quiet_s


def forget_open_associations(hub: Hub) -> None:
    """At the gateway's start: whoever was connected before is not any more."""
    with hub.writing() as connection:
        connection.execute(update(study).where(study.c.association_open).values(association_open=False))
