"""Closing studies by evidence: what arrived, what is missing, how long it has been quiet.

Run by the scheduler every second. A study closes when its sender has gone and it stays quiet for a moment;
while the sender is connected, or while something is known to be missing, it is given longer. Where the device reported
what it made (a performed procedure step) and all of it is here, it closes at once.
"""
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, exists, func, or_, select, update

from hub.context import Hub
from hub.errors import Conflict
from hub.flow import identity, matching
from hub.model.access import SYSTEM
from hub.model.completeness import Proof, SeriesEvidence, prove
from hub.model.lifecycle import STUDY
from hub.queue import outbox
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import instance, procedure_step, promise, reading, report, series, study

EVIDENT_FROM = 16     # images; a few single ones with numbers in a row say nothing
PREPARE = {"image": "prepare_images", "ecg": "prepare_ecg"}


def close_quiet_studies(hub: Hub) -> int:
    """Closes every study that the evidence calls finished, and orders its preparation. Returns how many."""
    now, settings, closed = hub.now(), hub.settings, 0
    soonest = now - timedelta(seconds=min(settings.evident_quiet_s, settings.released_quiet_s, settings.study_quiet_s))
    with hub.reading() as connection:
        waiting = connection.execute(select(study.c.id).where(
            study.c.state.in_(STUDY.sources("close")),
            or_(study.c.kind == "ecg", study.c.last_received_at <= soonest,
                exists().where(procedure_step.c.study_uid == study.c.study_uid, procedure_step.c.state == "completed")))
            .order_by(study.c.last_received_at).limit(200)).scalars().all()
    for study_id in waiting:
        with hub.reading() as connection:          # most are told to wait, and nobody who stores need wait for that
            is_quiet = _quiet(hub, connection, study_id) is not None
        if is_quiet:
            with hub.writing() as connection:
                closed += _close_if_quiet(hub, connection, study_id)
    return closed


def proof_of(connection: Connection, study_id: int) -> Proof:
    """The proof sheet of a study as it stands."""
    of = connection.execute(select(study.c.late, study.c.study_uid, study.c.site_id).where(study.c.id == study_id)).one()
    rows = connection.execute(
        select(instance.c.series_id, instance.c.number, instance.c.position_mm, instance.c.orientation, instance.c.sop_uid)
        .where(instance.c.study_id == study_id)).all()
    step, made = _reported(connection, of)
    here = {row.sop_uid for row in rows}
    unseen = {uid: sum(one not in here for one in uids) for uid, (_, uids) in made.items()}
    evidence = []
    for one in connection.execute(select(series).where(series.c.study_id == study_id).order_by(series.c.number, series.c.id)):
        own = [row for row in rows if row.series_id == one.id]
        evidence.append(SeriesEvidence(
            one.series_uid, one.description, one.modality, len(own),
            tuple(sorted(row.number for row in own if row.number is not None)),
            tuple((row.orientation, row.position_mm) for row in own if row.position_mm is not None), one.expected,
            unseen.pop(one.series_uid, None)))
    evidence += [SeriesEvidence(uid, made[uid][0], "", 0, (), (), None, count) for uid, count in unseen.items() if count]
    return prove(evidence, of.late, step, _unkept(connection, of.study_uid, of.site_id))


def _unkept(connection: Connection, study_uid: str, site_id: int) -> int:
    """How many of the instances of a study that its device asked storage commitment for are nowhere here."""
    return connection.scalar(select(func.count(promise.c.sop_uid.distinct())).where(
        promise.c.study_uid == study_uid, promise.c.site_id == site_id, ~exists().where(instance.c.sop_uid == promise.c.sop_uid)))


def prove_again(hub: Hub, connection: Connection, study_uid: str, site_id: int) -> None:
    """After a device's report or its request for storage commitment: a study that has closed gets its new proof sheet, and its
    reader is shown it. A study that is still open is judged when it closes."""
    row = connection.execute(select(study).where(study.c.study_uid == study_uid, study.c.site_id == site_id)).one_or_none()
    if row is None or row.state in STUDY.sources("close"):
        return
    proof = replace(proof_of(connection, row.id), quiet_s=row.proof.get("quiet_s")).as_json()
    if proof != row.proof:
        connection.execute(update(study).where(study.c.id == row.id).values(proof=proof))
        connection.execute(update(reading).where(reading.c.study_id == row.id).values(changed_at=hub.now()))
        audit.append(connection, hub.now(), SYSTEM, "study.proved_again", "study", row.id, row.site_id, row.patient_id,
                     before=row.proof.get("zh", ""), after=proof["zh"])


def _reported(connection: Connection, of) -> tuple[str, dict[str, tuple[str, set[str]]]]:
    """What devices reported of a study's making: the state of their work as a whole, and by series UID its description
    and the instances made."""
    steps = connection.execute(select(procedure_step.c.state, procedure_step.c.series).where(
        procedure_step.c.study_uid == of.study_uid, procedure_step.c.site_id == of.site_id).order_by(procedure_step.c.id)).all()
    made: dict[str, tuple[str, set[str]]] = {}
    for step in steps:
        if step.state == "in_progress":
            continue                         # what it names so far is not all that it will make
        for one in step.series:
            words, uids = made.get(one["series_uid"], ("", set()))
            made[one["series_uid"]] = (one["description"] or words, uids | set(one["instances"]))
    states = [step.state for step in steps]
    return "in_progress" if "in_progress" in states else states[-1] if states else "", made


def _quiet(hub: Hub, connection: Connection, study_id: int) -> tuple | None:
    """A study and its proof sheet, where it has been quiet for as long as they ask for."""
    row = connection.execute(select(study).where(study.c.id == study_id)).one()
    quiet_s = (hub.now() - row.last_received_at).total_seconds()
    proof = proof_of(connection, study_id)
    return (row, proof) if quiet_s >= _patience(hub, row, proof) else None


def _close_if_quiet(hub: Hub, connection: Connection, study_id: int) -> bool:
    found = _quiet(hub, connection, study_id)      # again: more may have come since it was looked at
    if found is None:
        return False
    row, proof = found
    proof = replace(proof, quiet_s=round((hub.now() - row.last_received_at).total_seconds(), 1))
    try:
        advance(connection, STUDY, study_id, "close", proof=proof.as_json(), association_open=False,
                generation=row.generation + 1)
    except Conflict:
        return False
    _show_what_no_report_has_seen(hub, connection, study_id)
    matching.match_study(hub, connection, study_id)
    identity.order(hub, connection, study_id)
    outbox.enqueue(connection, hub.now(), PREPARE[row.kind], f"{study_id}:{row.generation + 1}",
                   study_id=study_id, generation=row.generation + 1)
    return True


def _show_what_no_report_has_seen(hub: Hub, connection: Connection, study_id: int) -> None:
    """What came while a study was open again may have come after the words of an amendment: its reading says so, unless
    somebody has seen it."""
    told = connection.execute(
        select(reading.c.id, reading.c.late_seen_at, func.max(report.c.submitted_at).label("at")).join(report, report.c.reading_id == reading.c.id)
        .where(reading.c.study_id == study_id, ~reading.c.late_images, report.c.withdrawn_at.is_(None)).group_by(reading.c.id, reading.c.late_seen_at)).one_or_none()
    if told is None:
        return
    known_until = max(told.at, told.late_seen_at) if told.late_seen_at is not None else told.at
    if connection.scalar(select(instance.c.id).where(instance.c.study_id == study_id, instance.c.received_at > known_until).limit(1)) is not None:
        connection.execute(update(reading).where(reading.c.id == told.id).values(late_images=True, changed_at=hub.now()))


def _patience(hub: Hub, row, proof: Proof) -> float:
    settings = hub.settings
    if row.kind == "ecg":
        return 0.0
    if proof.verdict == "incomplete" or proof.step == "in_progress":
        return settings.incomplete_quiet_s
    if proof.verdict == "complete" and proof.step == "completed":
        return 0.0
    if row.association_open:
        return settings.study_quiet_s if proof.verdict != "complete" else settings.released_quiet_s
    return min(settings.evident_quiet_s, settings.released_quiet_s) if _is_evident(proof) else settings.released_quiet_s


def _is_evident(proof: Proof) -> bool:
    """Whether all that was announced is here, or so many came with numbers that run on without a gap that their sender
    was not cut off in between. What comes after all the same reopens the study."""
    return proof.verdict == "complete" or proof.received == proof.expected >= EVIDENT_FROM


def forget_open_associations(hub: Hub) -> None:
    """At the gateway's start: whoever was connected before is not any more."""
    with hub.writing() as connection:
        connection.execute(update(study).where(study.c.association_open).values(association_open=False))
