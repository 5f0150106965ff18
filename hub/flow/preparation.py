"""Preparing a study for its reader: begun by a job, done by the room that knows the format, finished here.

A study always reaches the queue. What could not be prepared is named in ``problems`` and shown, never hidden.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Select, delete, func, insert, or_, select, update

from hub.context import Hub
from hub.errors import Conflict
from hub.flow import availability, critical
from hub.model.access import SYSTEM
from hub.model.arrival import StoredFile
from hub.model.lifecycle import READING, STUDY
from hub.model.urgency import RANK, more_urgent
from hub.queue import outbox
from hub.storage import audit, patients
from hub.storage.states import advance
from hub.storage.tables import artifact, instance, patient, reading, series, site, study

AHEAD = "prepare_ahead"
AHEAD_FROM = 16       # images that wait before it is worth an order
MOST_AHEAD = 50       # studies looked at in one turn
READING_ORDER = (series.c.number, series.c.id, instance.c.position_mm, instance.c.number, instance.c.id)


@dataclass(frozen=True)
class NewArtifact:
    """Something made from originals: ``kind`` (htj2k, thumbnail, metadata, manifest, ecg_analysis, ecg_sheet ...),
    ``place`` (frame number, from 0), where its bytes lie, and plain facts about it."""

    kind: str
    file: StoredFile
    media_type: str
    instance_id: int | None = None
    place: int = 0
    about: dict | None = None


@dataclass(frozen=True)
class Problem:
    """Something that could not be prepared, in words for the reader."""

    code: str
    zh: str
    en: str
    instance_id: int | None = None


@dataclass(frozen=True)
class CriticalFinding:
    """A machine's suspicion of a critical value: always for a person to confirm."""

    finding: str
    rule: str


def begin(hub: Hub, study_id: int, generation: int) -> list | None:
    """The instances to prepare (rows with ``series_uid``), in order; None when the study has moved on."""
    with hub.writing() as connection:
        row = connection.execute(select(study.c.generation, study.c.state).where(study.c.id == study_id)).one_or_none()
        if row is None or row.generation != generation:
            return None
        try:
            advance(connection, STUDY, study_id, "prepare")
        except Conflict:
            return None
        return instances(connection, study_id)


def order_ahead(hub: Hub) -> int:
    """Run by the scheduler: orders that what has arrived of a study be prepared while the rest arrives. Returns how many
    orders were given. An order that could not be carried out is not repeated: preparation names what is wrong."""
    with hub.reading() as connection:
        arriving = connection.execute(select(study.c.id, study.c.instances).where(
            study.c.state.in_(STUDY.sources("close")), study.c.kind == "image", study.c.instances >= AHEAD_FROM).limit(MOST_AHEAD)).all()
        waiting = [(row, done) for row in arriving if row.instances - (done := _prepared(connection, row.id)) >= AHEAD_FROM
                   and not outbox.pending(connection, AHEAD, f"{row.id}:")]
    if not waiting:
        return 0
    with hub.writing() as connection:
        return sum(outbox.enqueue(connection, hub.now(), AHEAD, f"{row.id}:{row.instances}:{done}", study_id=row.id) for row, done in waiting)


def arrived(hub: Hub, study_id: int, but: Collection[int] = (), most: int | None = None) -> list:
    """The first instances, ``most`` of them, of a study that is still arriving of which nothing is prepared, in reading order; none
    of a study that has closed. ``but``: ids of instances that are left out."""
    with hub.reading() as connection:
        if connection.scalar(select(study.c.state).where(study.c.id == study_id)) not in STUDY.sources("close"):
            return []
        known = select(artifact.c.instance_id).where(artifact.c.study_id == study_id, artifact.c.kind == "prepared")
        waiting = connection.scalars(_instances(study_id).with_only_columns(instance.c.id).where(instance.c.id.not_in(known)))
        wanted = list(islice((one for one in waiting if one not in but), most))
        return list(connection.execute(_instances(study_id).where(instance.c.id.in_(wanted)))) if wanted else []


def _prepared(connection: Connection, study_id: int) -> int:
    return connection.scalar(select(func.count()).select_from(artifact).where(artifact.c.study_id == study_id, artifact.c.kind == "prepared"))


def instances(connection: Connection, study_id: int) -> list:
    """The instances of a study with the UID, number and description of their series, in reading order."""
    return list(connection.execute(_instances(study_id)))


def _instances(study_id: int) -> Select:
    return (select(instance, series.c.series_uid, series.c.number.label("series_number"),
                   series.c.description.label("series_description"), series.c.modality, series.c.body_part, study.c.study_uid)
            .join(series, series.c.id == instance.c.series_id).join(study, study.c.id == instance.c.study_id)
            .where(instance.c.study_id == study_id)
            .order_by(*READING_ORDER))


def whose(hub: Hub, study_id: int):
    """The patient of a study and where it comes from, for what is drawn: patient_name, sex, age (DICOM's code, from the
    birth date where the device is silent), patient_number, site_name, accession_number, device_model."""
    with hub.reading() as connection:
        return connection.execute(
            select(patient.c.name.label("patient_name"), patient.c.sex, patient.c.age, patient.c.birth_date,
                   patient.c.patient_id.label("patient_number"), site.c.name.label("site_name"), study.c.accession_number, study.c.device_model)
            .join(study, study.c.patient_id == patient.c.id).join(site, site.c.id == study.c.site_id).where(study.c.id == study_id)).one()


def prepared(hub: Hub, study_id: int) -> tuple[bool, list]:
    """Whether a study is prepared, and its instances in reading order."""
    with hub.reading() as connection:
        ready = connection.scalar(select(study.c.state).where(study.c.id == study_id)) == "ready"
        return ready, instances(connection, study_id)


def known_artifacts(hub: Hub, study_id: int, kinds: tuple[str, ...], after: int = 0) -> list:
    """The artifacts of some kinds that stand already, by ascending id, those above ``after``: a repeated job need not make
    them again."""
    with hub.reading() as connection:
        return list(connection.execute(select(artifact).where(artifact.c.study_id == study_id, artifact.c.kind.in_(kinds), artifact.c.id > after)
                                       .order_by(artifact.c.id)))


def add_artifacts(hub: Hub, study_id: int, made: list[NewArtifact]) -> None:
    """Enters artifacts whose bytes are safe; one of the same kind, instance and place is replaced."""
    with hub.writing() as connection:
        _enter(hub, connection, study_id, made)


def finish(hub: Hub, study_id: int, generation: int, made: list[NewArtifact], problems: list[Problem], *,
           summary: str = "", urgency: str = "routine", flags: dict | None = None,
           criticals: list[CriticalFinding] = (), replaces: tuple[str, ...] = ()) -> bool:
    """Makes the study ready and puts its reading into the queue. False when a later arrival overtook it.

    ``replaces``: kinds of artifacts for which ``made`` now stands; those made before are forgotten."""
    now = hub.now()
    with hub.writing() as connection:
        row = connection.execute(select(study).where(study.c.id == study_id)).one()
        if row.generation != generation:
            return False
        try:
            if replaces:
                connection.execute(delete(artifact).where(artifact.c.study_id == study_id, artifact.c.kind.in_(replaces)))
            _enter(hub, connection, study_id, made)
            pressing = more_urgent(row.urgency, urgency)
            advance(connection, STUDY, study_id, "prepared", ready_at=now, urgency=pressing, summary=summary[:512] or row.summary,
                    flags=flags if flags is not None else row.flags,
                    problems=[{"code": p.code, "zh": p.zh, "en": p.en, "instance_id": p.instance_id} for p in problems])
        except Conflict:
            return False
        _queue(hub, connection, row, pressing)
        availability.order(connection, now, study_id, row.site_id, generation)
        for one in criticals:
            critical.raise_by_machine(hub, connection, row, one.finding, one.rule)
        audit.append(connection, now, SYSTEM, "study.ready", "study", study_id, row.site_id, row.patient_id,
                     instances=row.instances, problems=len(problems))
    return True


def give_up(hub: Hub, study_id: int, generation: int) -> None:
    """After the last failed try: the study goes to its reader unprepared, with that said."""
    if begin(hub, study_id, generation) is None:
        return
    finish(hub, study_id, generation, [], [Problem(
        "not_prepared", "本检查自动处理失败，图像或波形可能无法显示，原始数据完整保留，请联系管理员。",
        "this study could not be prepared and may not be shown; its originals are safe. Tell the administrator.")])


def _queue(hub: Hub, connection: Connection, row, urgency: str) -> None:
    now = hub.now()
    known = connection.execute(select(reading).where(reading.c.study_id == row.id)).one_or_none()
    if known is not None:
        values = {"changed_at": now}
        if RANK[urgency] < known.rank:
            values |= {"rank": RANK[urgency], "deadline_at": hub.rules.deadlines.deadline(row.modality, urgency, known.queued_at)}
        connection.execute(update(reading).where(reading.c.id == known.id).values(**values))
        if known.state in READING.sources("requeue"):
            advance(connection, READING, known.id, "requeue", changed_at=now, queued_at=now,
                    deadline_at=hub.rules.deadlines.deadline(row.modality, urgency, now))
        return
    connection.execute(insert(reading).values(
        study_id=row.id, site_id=row.site_id, patient_id=row.patient_id, modality=row.modality, state=READING.initial, rank=RANK[urgency], queued_at=now, changed_at=now, version=0,
        **patients.heading_of(row.patient_id, "head", "sound"),
        deadline_at=hub.rules.deadlines.deadline(row.modality, urgency, now), late_images=False))


def _enter(hub: Hub, connection: Connection, study_id: int, made: list[NewArtifact]) -> None:
    known = {(one.kind, one.place, one.instance_id): one.id for one in connection.execute(
        select(artifact.c.id, artifact.c.kind, artifact.c.place, artifact.c.instance_id).where(
            artifact.c.study_id == study_id, artifact.c.kind.in_({one.kind for one in made}),
            or_(artifact.c.instance_id.is_(None), artifact.c.instance_id.in_({one.instance_id for one in made if one.instance_id}))))} if made else {}
    replaced = [known[key] for one in made if (key := (one.kind, one.place, one.instance_id)) in known]
    if replaced:
        connection.execute(delete(artifact).where(artifact.c.id.in_(replaced)))
    if made:
        connection.execute(insert(artifact), [
            {"study_id": study_id, "instance_id": one.instance_id, "kind": one.kind, "place": one.place,
             "sha256": one.file.sha256, "size": one.file.size, "media_type": one.media_type,
             "about": one.about or {}, "made_at": hub.now()} for one in made])
