"""Looking at studies: who may, what there is, and a record of every look at a patient."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import NamedTuple

from sqlalchemy import Connection, Select, bindparam, exists, func, insert, or_, select

from hub.context import Hub
from hub.errors import NotFound
from hub.flow import known
from hub.flow.preparation import READING_ORDER, NewArtifact, instances
from hub.model.access import Actor
from hub.model.identity import usable_name
from hub.model.names import forms
from hub.storage import audit, driver, referrers
from hub.storage.driver import some_ids
from hub.storage.names import some
from hub.storage.search import SHAPES, Match, Question, conditions, floor, in_latin, question
from hub.storage.tables import artifact, device, instance, patient, patient_index, reading, removal, repair, series, site, study

_HOLDS_DICOM = some(study.c.id, instance.c.study_id == study.c.id, instance.c.format == "dicom")
NOWHERE = 0     # the site of whoever belongs to none: None would mean all of them


@dataclass(frozen=True)
class StudyQuery:
    """What QIDO-RS and the pages ask for. Empty fields do not restrict. ``*`` and ``?`` are wildcards in names."""

    study_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    accession_number: str = ""
    modality: str = ""
    date_from: str = ""
    date_to: str = ""
    limit: int = 100
    offset: int = 0


class Answered(NamedTuple):
    """What a query is told of a study. ``referring_physician``, ``study_number``: None where they were not asked for yet. ``removed_at``: as the database keeps it, None where its images are there."""

    id: int
    study_uid: str
    kind: str
    site_id: int
    patient_id: int
    study_at: str
    accession_number: str
    description: str
    patient_name: str
    name_as_sent: str
    patient_number: str
    sex: str
    birth_date: str
    referring_physician: str | None
    study_number: str | None
    removed_at: object


class Part(NamedTuple):
    """A series of such a study. ``total``: its DICOM instances."""

    study_id: int
    id: int
    modality: str
    total: int


_answer, _part = partial(tuple.__new__, Answered), partial(tuple.__new__, Part)      # of a row: many make an answer


class Standing(NamedTuple):
    """How a study stands. ``ready_at``, ``removed_at``: as the database keeps them, marks to compare; None where it is not
    ready, or not removed. ``revision``: the newest of its corrections or 0."""

    id: int
    study_uid: str
    site_id: int
    patient_id: int
    generation: int
    instances: int
    state: str
    ready_at: object
    removed_at: object
    revision: int


def find(hub: Hub, actor: Actor, study_id: int | None = None, study_uid: str = ""):
    """One study's row with patient, site and device. NotFound when there is none or this person may not see it."""
    actor.require("study.view")
    with hub.reading() as connection:
        row = connection.execute(*((_BY_ID, {"id": study_id}) if study_id is not None else (_BY_UID, {"uid": study_uid}))).one_or_none()
    if row is None or not actor.sees_site(row.site_id):
        raise _no_such_study()
    return row


def standing(hub: Hub, actor: Actor, study_uid: str) -> Standing:
    """How a study stands, for a door that asks at every frame. NotFound as ``find``."""
    actor.require("study.view")
    found = driver.first_row(hub.engine, _STANDING, {"uid": study_uid})
    row = None if found is None else Standing(*found)
    if row is None or not actor.sees_site(row.site_id):
        raise _no_such_study()
    return row


def opened(hub: Hub, actor: Actor, row, how: str) -> None:
    """Records that this person looked at this patient's study."""
    with hub.writing() as connection:
        audit.append(connection, hub.now(), actor, "study.view", "study", row.id, row.site_id, row.patient_id, how=how)


def search(hub: Hub, actor: Actor, query: StudyQuery) -> list:
    """Studies that match, newest first, within what this person may see."""
    actor.require("study.view")
    conditions = [] if actor.sees_every_site else [study.c.site_id == actor.site_id]
    for column, value in ((study.c.study_uid, query.study_uid), (study.c.accession_number, query.accession_number),
                          (study.c.modality, query.modality), (patient.c.patient_id, query.patient_id)):
        if value:
            conditions.append(_matches(column, value))
    if query.patient_name:
        conditions.append(_matches(patient.c.name, query.patient_name))
    if query.date_from:
        conditions.append(study.c.study_at >= query.date_from)
    if query.date_to:
        conditions.append(study.c.study_at <= query.date_to + "T99")
    with hub.reading() as connection:
        return list(connection.execute(_columns().where(*conditions).order_by(study.c.id.desc())
                                       .limit(min(query.limit, 1000)).offset(query.offset)))


def matching(hub: Hub, actor: Actor, level: str, matches: list[Match], limit: int, offset: int = 0) -> list:
    """The DICOM patients, studies, series or instances ("patient", "study", ..) that fit all ``matches``.

    Rows are ``Answered``, of the lower levels also their own columns, with the series' as
    ``series_..``; newest study first (by its own date where a date or the referring physician is asked for), then in order. A patient is the row of the newest study that fits.
    Only what this person may see.
    """
    return _matching(hub, actor, level, matches, limit, offset, False)[0]


def matching_with_parts(hub: Hub, actor: Actor, level: str, matches: list[Match], limit: int, offset: int = 0) -> tuple[list, dict[int, dict]]:
    """The rows of ``matching``, and of their studies every series by its id, by the study's id"""
    return _matching(hub, actor, level, matches, limit, offset, True)


def _matching(hub: Hub, actor: Actor, level: str, matches: list[Match], limit: int, offset: int, with_parts: bool) -> tuple[list, dict[int, dict]]:
    actor.require("study.view")
    site_id = None if actor.sees_every_site else NOWHERE if actor.site_id is None else actor.site_id
    with hub.reading() as connection:
        latin = in_latin(connection, matches, site_id)
        if latin is None:
            rows = _rows(connection, actor, level, matches, site_id, limit, offset)
        else:                   # those that are written so first
            rows = _rows(connection, actor, level, matches, site_id, offset + limit, 0)
            if len(rows) < offset + limit:
                rows += _rows(connection, actor, level, latin, site_id, offset + limit - len(rows), 0)
            rows = rows[offset:]
        sizes = driver.fetched_of(connection, _sizes, list({row[0]: None for row in rows})) if with_parts else []
    parts: dict[int, dict] = {}
    for part in map(_part, sizes):
        parts.setdefault(part[0], {})[part[1]] = part
    return rows, parts


def _rows(connection: Connection, actor: Actor, level: str, matches: list[Match], site_id: int | None, limit: int, offset: int) -> list:
    asked, values, few = question(connection, matches, site_id, level == "study")
    if level == "study" and few is not None and len(matches) == 1 and not asked.by_date:
        return _with_images(connection, actor, few[::-1])[offset:offset + limit]
    values |= {"most": limit, "start": offset, "reach": offset + limit}
    near = asked.of_newest if level == "study" else None
    if near is not None:
        ids = [one for one, in driver.fetched(connection, _chosen(level, near), values | {"floor": floor(connection, limit + offset, near)})]
        if len(ids) == limit:
            return _shown(connection, ids)
        asked = asked.looked_up
    if level in ("series", "instance"):
        return list(connection.execute(_chosen(level, asked), values))
    return _shown(connection, [one for one, in driver.fetched(connection, _chosen(level, asked), values)])


def _shown(connection: Connection, ids: list[int]) -> list:
    """The rows of these studies, in this order."""
    rows = {row[0]: row for row in map(_answer, driver.fetched_of(connection, _answered_of, ids))}
    return [rows[one] for one in ids]


def _with_images(connection: Connection, actor: Actor, ids: list[int]) -> list:
    """The rows of those of these studies that hold a DICOM object and that this person may see, in the order of their ids."""
    rows = {row[0]: row for row in map(_answer, driver.fetched_of(connection, _answered_of, ids)) if actor.sees_site(row.site_id)}
    unsure = [row.id for row in rows.values() if row.kind != "image"]
    with_dicom = {one for one, in driver.fetched_of(connection, _with_dicom_of, unsure)}
    return [rows[one] for one in ids if one in rows and (rows[one].kind == "image" or one in with_dicom)]


@lru_cache(SHAPES)
def _chosen(level: str, asked: Question) -> Select:
    """What fits a question, newest study first: of patients and studies the study's id, of what is below all columns. Its own
    parameters: ``most``, ``start`` and their sum ``reach``."""
    if level == "study" and asked.referred:
        return referrers.merged([_sought(level, [one, *conditions(level, asked)], True) for one in referrers.each(asked.referred)])
    found = _sought(level, conditions(level, asked), asked.by_date)
    if level == "study" and asked.leader is not None:
        found = found.with_only_columns(series.c.study_id).join(series, series.c.study_id == study.c.id).group_by(series.c.study_id).order_by(None).order_by(series.c.study_id.desc())
    return found.limit(bindparam("most")).offset(bindparam("start"))


def _sought(level: str, conditions: list, by_date: bool) -> Select:
    if level in ("series", "instance"):
        return _below(level, conditions, by_date)
    found = select(study.c.id).where(*conditions, (study.c.kind == "image") | _HOLDS_DICOM)      # last: asked of the few that fit
    if level == "patient":
        fitting = found.add_columns(study.c.patient_id).subquery()
        newest = func.max(fitting.c.id)
        return select(newest).group_by(fitting.c.patient_id).order_by(newest.desc())
    return found.order_by(*_newest(by_date))


def _newest(by_date: bool) -> list:
    return [*([study.c.study_at.desc()] if by_date else []), study.c.id.desc()]


def _below(level: str, conditions: list, by_date: bool) -> Select:
    found = _answered().add_columns(
        series.c.id.label("series_id"), series.c.series_uid, series.c.number.label("series_number"), series.c.modality.label("series_modality"),
        series.c.description.label("series_description"), series.c.body_part.label("series_body_part")).join(series, series.c.study_id == study.c.id)
    order = [*_newest(by_date), series.c.number, series.c.id]
    if level == "series":
        found = found.where(exists().where(instance.c.series_id == series.c.id, instance.c.format == "dicom"))
    else:
        found = found.add_columns(instance.c.id.label("instance_id"), instance.c.sop_uid, instance.c.sop_class, instance.c.number,
                                  instance.c.frames, instance.c.rows, instance.c.columns, instance.c.transfer_syntax,
                                  instance.c.sha256, instance.c.calling)
        found = found.join(instance, instance.c.series_id == series.c.id)
        conditions = [*conditions, instance.c.format == "dicom"]
        order += [instance.c.number, instance.c.id]
    return found.where(*conditions).order_by(*order)


def queried(hub: Hub, actor: Actor, level: str, matches: list[Match], found: int) -> None:
    """Records that a device asked for patients, with what it asked and how many answers it was given."""
    keys = {match.field: "\\".join(match.values) or f"{match.low}-{match.high}" for match in matches}
    with hub.writing() as connection:
        audit.append(connection, hub.now(), actor, "study.query", "study", "", actor.site_id, level=level, found=found,
                     keys={field: value[:256] for field, value in keys.items()})


def committed(hub: Hub, actor: Actor, transaction_uid: str, kept: int, missing: int) -> None:
    """Records what a device was told about the safety of what it sent: on the strength of it, it deletes."""
    actor.require("study.view")
    with hub.writing() as connection:
        audit.append(connection, hub.now(), actor, "study.committed", "study", transaction_uid, actor.site_id, kept=kept, missing=missing)


def instances_of(hub: Hub, study_id: int) -> list:
    """A study's instances in reading order. The caller has found the study, which checks the right to see it."""
    with hub.reading() as connection:
        return instances(connection, study_id)


def objects_of(hub: Hub, study_id: int) -> list:
    """A study's DICOM instances in reading order, with as much of each as a door that hands them out needs. The caller has
    found the study."""
    with hub.reading() as connection:
        return list(connection.execute(_OBJECTS, {"study_id": study_id}))


def series_of(hub: Hub, study_id: int) -> list:
    """A study's series in order."""
    with hub.reading() as connection:
        return list(connection.execute(select(series).where(series.c.study_id == study_id).order_by(series.c.number, series.c.id)))


def artifacts_of(hub: Hub, study_id: int, kind: str = "") -> list:
    """What was made from a study's originals, of one kind or all."""
    with hub.reading() as connection:
        found = select(artifact).where(artifact.c.study_id == study_id).order_by(artifact.c.instance_id, artifact.c.place)
        return list(connection.execute(found.where(artifact.c.kind == kind) if kind else found))


def artifacts_of_study(hub: Hub, study_id: int) -> list:
    """What was made from a study as a whole."""
    with hub.reading() as connection:
        return list(connection.execute(_WHOLE_ARTIFACTS, {"study_id": study_id}))


def artifacts_of_instances(hub: Hub, study_id: int) -> list:
    """What was made from each of a study's originals."""
    with hub.reading() as connection:
        return list(connection.execute(_PART_ARTIFACTS, {"study_id": study_id}))


def artifact_of(hub: Hub, study_id: int, kind: str, instance_id: int | None = None, place: int = 0):
    """One artifact's row, or None where it has not been made."""
    with hub.reading() as connection:
        return connection.execute(select(artifact).where(
            artifact.c.study_id == study_id, artifact.c.kind == kind, artifact.c.instance_id == instance_id,
            artifact.c.place == place)).one_or_none()


def earlier_of_patient(hub: Hub, actor: Actor, row, most: int = 20) -> list:
    """Earlier and other studies of the same person, newest first: over all institutions for the county's readers, of the own one
    for a clinic. Rows without a usable identity are nobody's: two studies under 无名氏 are not one person's."""
    with hub.reading() as connection:
        if not _is_somebody(hub, connection, row):
            return []
        conditions = [study.c.patient_id.in_(known.members(connection, row.patient_id)), study.c.id != row.id]
        if not actor.sees_every_site:
            conditions.append(study.c.site_id == actor.site_id)
        return list(connection.execute(_columns().where(*conditions).order_by(study.c.id.desc()).limit(most)))


def add_key_image(hub: Hub, actor: Actor, row, made: NewArtifact) -> int:
    """Keeps an image that a reader chose for the report, and returns its artifact id."""
    actor.require("study.key_image")
    with hub.writing() as connection:
        artifact_id = connection.execute(insert(artifact).values(
            study_id=row.id, instance_id=made.instance_id, kind="key_image", place=made.place, sha256=made.file.sha256,
            size=made.file.size, media_type=made.media_type, about=made.about or {}, made_at=hub.now())).inserted_primary_key[0]
        audit.append(connection, hub.now(), actor, "study.key_image", "study", row.id, row.site_id, row.patient_id, artifact=artifact_id)
    return artifact_id


def _no_such_study() -> NotFound:
    return NotFound("not_found", "没有找到这个检查，或不属于您的机构。", "no such study, or not of your institution.")


def _is_somebody(hub: Hub, connection, row) -> bool:
    usable = connection.scalar(select(patient_index.c.is_usable).where(patient_index.c.patient_id == row.patient_id))
    if usable is None:      # not identified yet: the name alone decides
        usable = usable_name(forms(row.patient_name, hub.rules.identity.names).folded, hub.rules.identity.placeholders)
    return usable


def _matches(column, value: str):
    values = value.split("\\") if "\\" in value else [value]
    return or_(*(column.ilike(_pattern(v), escape="\\") if "*" in v or "?" in v else column == v for v in values))


def _pattern(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _columns():
    return (select(study, patient.c.name.label("patient_name"), patient.c.name_as_sent, patient.c.name_unsure, patient.c.patient_id.label("patient_number"),
                   patient.c.sex, patient.c.birth_date, patient.c.age, site.c.name.label("site_name"), site.c.code.label("site_code"),
                   device.c.name.label("device_name"), reading.c.id.label("reading_id"), reading.c.state.label("reading_state"), removal.c.at.label("removed_at"))
            .join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
            .outerjoin(device, device.c.id == study.c.device_id).outerjoin(reading, reading.c.study_id == study.c.id)
            .outerjoin(removal, removal.c.study_id == study.c.id))


def _answered():
    """What is told of a study that a query found."""
    told = (study.c.id, study.c.study_uid, study.c.kind, study.c.site_id, study.c.patient_id, study.c.study_at, study.c.accession_number, study.c.description,
            patient.c.name, patient.c.name_as_sent, patient.c.patient_id, patient.c.sex, patient.c.birth_date,
            study.c.referring_physician, study.c.study_number, removal.c.at)
    return (select(*(column.label(name) for column, name in zip(told, Answered._fields, strict=True)))
            .join(patient, patient.c.id == study.c.patient_id).outerjoin(removal, removal.c.study_id == study.c.id))


@cache
def _answered_of(most: int) -> Select:
    return _answered().where(some_ids(study.c.id, most))


@cache
def _sizes(most: int) -> Select:
    """In the order of Part."""
    return (select(series.c.study_id, series.c.id, series.c.modality, func.count(instance.c.id))
            .join(instance, (instance.c.series_id == series.c.id) & (instance.c.format == "dicom"))
            .where(some_ids(series.c.study_id, most)).group_by(series.c.id))


@cache
def _with_dicom_of(most: int) -> Select:
    return select(instance.c.study_id).where(some_ids(instance.c.study_id, most), instance.c.format == "dicom").distinct()


# Statements that every look needs, built once.
_BY_ID, _BY_UID = _columns().where(study.c.id == bindparam("id")), _columns().where(study.c.study_uid == bindparam("uid"))
_REVISION = select(func.max(repair.c.id)).where(repair.c.study_id == study.c.id).scalar_subquery()
_STANDING = (select(study.c.id, study.c.study_uid, study.c.site_id, study.c.patient_id, study.c.generation, study.c.instances, study.c.state, study.c.ready_at,
                    removal.c.at, func.coalesce(_REVISION, 0))        # in the order of Standing
             .outerjoin_from(study, removal, removal.c.study_id == study.c.id).where(study.c.study_uid == bindparam("uid")))
_OBJECTS = (select(instance.c.id, instance.c.series_id, instance.c.sop_uid, instance.c.sop_class, instance.c.transfer_syntax, instance.c.sha256, instance.c.frames,
                   instance.c.rows, instance.c.columns, instance.c.calling, series.c.series_uid, study.c.study_uid)
            .join(series, series.c.id == instance.c.series_id).join(study, study.c.id == instance.c.study_id)
            .where(instance.c.study_id == bindparam("study_id"), instance.c.format == "dicom").order_by(*READING_ORDER))
_WHOLE_ARTIFACTS, _PART_ARTIFACTS = (
    select(artifact).where(artifact.c.study_id == bindparam("study_id"), whose).order_by(artifact.c.instance_id, artifact.c.place)
    for whose in (artifact.c.instance_id.is_(None), artifact.c.instance_id.is_not(None)))
