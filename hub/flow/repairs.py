"""The repair ledger: a corrected tag is a row with who, when, why, old and new; the object keeps its bytes.

An undo is a row too. Of several corrections of one attribute the newest that was not undone stands. A report that
was signed keeps the heading under which it was signed; what has been corrected since is said beside it.
"""
from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, exists, func, insert, or_, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound
from hub.flow import naming, projection
from hub.flow.heading import heading_of
from hub.model.access import Actor
from hub.model.naming import NOTHING_KNOWN, Naming
from hub.model.repair import LEVELS, Attribute, Correction, checked, newest
from hub.queue import outbox
from hub.storage import audit
from hub.storage.tables import instance, patient, reading, repair, report, series, site, study

MOST_FOUND = 100
SHORTEST_REASON = 2


@dataclass(frozen=True)
class Wanted:
    """A correction as a person asks for it. ``level``: "study", "series" or "instance", with the id of the series or
    instance. ``old``: what the object says, for attributes that the index does not hold."""

    attribute: Attribute
    value: str
    why: str
    level: str = "study"
    part_id: int | None = None
    old: str = ""


@dataclass(frozen=True)
class Overlays:
    """The corrections that stand for some studies. ``revisions``: study id -> a number that grows with every row; ``namings``: how the
    studies of ``rows`` name their patients."""

    rows: dict[int, list] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)
    namings: dict[int, Naming] = field(default_factory=dict)

    def of(self, study_id: int, series_id: int | None = None, instance_id: int | None = None) -> tuple[Correction, ...]:
        """What an object must say differently from its bytes, by ascending tag."""
        found = newest(self.rows.get(study_id, ()), series_id, instance_id)
        return tuple(Correction(tag, row.vr, row.new, row.at) for tag, row in sorted(found.items()))

    def revision(self, study_id: int) -> int:
        return self.revisions.get(study_id, 0)

    def naming(self, study_id: int) -> Naming:
        return self.namings.get(study_id, NOTHING_KNOWN)


def correct(hub: Hub, actor: Actor, study_id: int, wanted: Wanted, seen: int) -> int:
    """Enters a correction and returns its id. ``seen``: the ledger's revision on the page where it was decided;
    Conflict when somebody has corrected something since. Invalid for a value that cannot be one."""
    actor.require("study.repair")
    attribute, now = wanted.attribute, hub.now()
    value = checked(attribute, wanted.value, now.astimezone(hub.settings.zone).date())
    why = _reason(wanted.why)
    with hub.writing() as connection:
        row = _study(connection, study_id)
        if _revision(connection, study_id) != seen:
            raise Conflict("newer_repair", "该检查刚刚被更正过，请刷新后核对再提交。", "this study was corrected a moment ago; reload and look again.")
        series_id, instance_id = _part(connection, study_id, wanted)
        old = _standing_value(connection, row, wanted, series_id, instance_id)
        if old == value and not _confirms(connection, row, wanted):
            raise Invalid("no_change", f"{attribute.zh or attribute.keyword}已经是这个值。", f"{attribute.en or attribute.keyword} has this value already.")
        repair_id = connection.execute(insert(repair).values(
            study_id=study_id, level=wanted.level, series_id=series_id, instance_id=instance_id, tag=attribute.tag,
            keyword=attribute.keyword, vr=attribute.vr, old=old, new=value, why=why, account_id=actor.account_id, who=actor.name,
            role=actor.role, at=now)).inserted_primary_key[0]
        _after(hub, connection, actor, row, "study.repair", repair_id, level=wanted.level, keyword=attribute.keyword, old=old, new=value, why=why)
    return repair_id


def _confirms(connection: Connection, row, wanted: Wanted) -> bool:
    """Whether the same value is no idle correction: an unsure name that a person has found to be right."""
    return wanted.level == "study" and wanted.attribute.keyword == "PatientName" and bool(
        connection.scalar(select(patient.c.name_unsure).where(patient.c.id == row.patient_id)))


def undo(hub: Hub, actor: Actor, repair_id: int, why: str = "") -> int:
    """Takes one correction back, by a row of its own; what stood before stands again. Conflict when it was undone
    already, or is an undo itself."""
    actor.require("study.repair")
    now = hub.now()
    with hub.writing() as connection:
        one = connection.execute(select(repair).where(repair.c.id == repair_id)).one_or_none()
        if one is None:
            raise NotFound("not_found", "没有这条更正。", "no such correction.")
        if one.undoes is not None or connection.scalar(select(repair.c.id).where(repair.c.undoes == repair_id)) is not None:
            raise Conflict("undone_already", "这条更正已经撤销。", "this correction was undone already.")
        if one.vr == "UI":
            raise Conflict("supplied", "补上的唯一标识不能撤销：图像已按它收入检查。", "a UID that was supplied stays: the object is entered under it.")
        row = _study(connection, one.study_id)
        before = newest((r for r in projection.standing(connection, [one.study_id]) if r.tag == one.tag), one.series_id, one.instance_id)
        undo_id = connection.execute(insert(repair).values(
            study_id=one.study_id, level=one.level, series_id=one.series_id, instance_id=one.instance_id, tag=one.tag, keyword=one.keyword,
            vr=one.vr, old=before[one.tag].new if one.tag in before else one.new, new="", why=why.strip()[:512], account_id=actor.account_id,
            who=actor.name, role=actor.role, at=now, undoes=repair_id)).inserted_primary_key[0]
        after = newest((r for r in projection.standing(connection, [one.study_id]) if r.tag == one.tag), one.series_id, one.instance_id)
        new = after[one.tag].new if one.tag in after else _first_value(connection, one)
        connection.execute(update(repair).where(repair.c.id == undo_id).values(new=new))
        _after(hub, connection, actor, row, "study.repair_undone", undo_id, undoes=repair_id, keyword=one.keyword, old=one.new, new=new)
    return undo_id


def ledger(hub: Hub, actor: Actor, study_id: int) -> list:
    """Every row of a study's ledger, newest first, with ``undone_by`` (the undo's id or None)."""
    actor.require("study.repair")
    undo_row = repair.alias()
    with hub.reading() as connection:
        return list(connection.execute(
            select(repair, undo_row.c.id.label("undone_by"), series.c.number.label("series_number"), series.c.description.label("series_description"),
                   instance.c.number.label("instance_number"))
            .outerjoin(undo_row, undo_row.c.undoes == repair.c.id).outerjoin(series, series.c.id == repair.c.series_id)
            .outerjoin(instance, instance.c.id == repair.c.instance_id)
            .where(repair.c.study_id == study_id).order_by(repair.c.id.desc())))


def overlays(hub: Hub, study_ids: list[int]) -> Overlays:
    """What stands for these studies. The caller has found them, which checks the right to see them."""
    with hub.reading() as connection:
        revisions = dict(connection.execute(select(repair.c.study_id, func.max(repair.c.id)).where(
            repair.c.study_id.in_(study_ids)).group_by(repair.c.study_id)).all())
        rows: dict[int, list] = {}
        for row in projection.standing(connection, list(revisions)) if revisions else ():
            rows.setdefault(row.study_id, []).append(row)
        namings = naming.of_studies(connection, list(rows)) if rows else {}
    return Overlays(rows, revisions, namings)


def shown(hub: Hub, study_id: int) -> tuple:
    """The corrections that stand for a study, for whoever may see it: keyword, level, old and new, who, why, when.
    Of one attribute and part the newest, with the value that the device sent as ``old``."""
    found: dict[tuple, object] = {}
    first: dict[tuple, str] = {}
    with hub.reading() as connection:
        for row in connection.execute(select(repair).where(repair.c.study_id == study_id, repair.c.undoes.is_(None)).order_by(repair.c.id)):
            first.setdefault((row.tag, row.series_id, row.instance_id), row.old)
        for row in projection.standing(connection, [study_id]):
            if row.vr != "UI":
                found[row.tag, row.series_id, row.instance_id] = row
    return tuple({"keyword": row.keyword, "tag": row.tag, "level": row.level, "old": first[key], "new": row.new, "who": row.who, "why": row.why,
                  "at": row.at} for key, row in found.items())


def since_signed(hub: Hub, signed) -> tuple[dict, ...]:
    """What of a signed report's heading has been corrected since: {name, then, now}. Empty where nothing was, and for
    a report that is not signed."""
    if signed is None or signed.signed_at is None or not signed.heading:
        return ()
    with hub.reading() as connection:
        now = heading_of(connection, signed.study_id)
    return tuple({"name": name, "then": value, "now": now[name]} for name, value in signed.heading.items() if now.get(name, value) != value)


def find(hub: Hub, actor: Actor, study_id: int):
    """A study's row for the desk, with its patient and site; the look is recorded. NotFound if there is none."""
    actor.require("study.repair")
    with hub.writing() as connection:
        row = connection.execute(_listed().where(study.c.id == study_id)).one_or_none()
        if row is None:
            raise NotFound("not_found", "没有找到这个检查。", "no such study.")
        audit.append(connection, hub.now(), actor, "study.view", "study", row.id, row.site_id, row.patient_id, how="repair")
    return row


def search(hub: Hub, actor: Actor, text: str) -> list:
    """Studies whose patient, number, accession number or UID holds ``text``, newest first; those that stand
    corrected where it is empty. By what stands and by what was sent."""
    actor.require("study.repair")
    sent = patient.alias()
    found = _listed().order_by(study.c.id.desc()).limit(MOST_FOUND)
    text = text.strip()
    if text:
        was = select(sent.c.id).where(sent.c.id == study.c.sent_patient_id, or_(
            sent.c.name.icontains(text, autoescape=True), sent.c.patient_id.icontains(text, autoescape=True)))
        found = found.where(or_(*(column.icontains(text, autoescape=True) for column in (
            patient.c.name, patient.c.patient_id, study.c.accession_number)), study.c.study_uid == text, was.exists()))
    else:
        found = found.where(exists().where(repair.c.study_id == study.c.id))
    with hub.reading() as connection:
        return list(connection.execute(found))


def parts(hub: Hub, actor: Actor, study_id: int) -> tuple[list, list]:
    """The series of a study and its instances, for choosing where a correction holds."""
    actor.require("study.repair")
    with hub.reading() as connection:
        return (list(connection.execute(select(series).where(series.c.study_id == study_id).order_by(series.c.number, series.c.id))),
                list(connection.execute(select(instance).where(instance.c.study_id == study_id)
                                        .order_by(instance.c.series_id, instance.c.number, instance.c.id))))


def revision(hub: Hub, study_id: int) -> int:
    """The ledger's revision of a study: the id of its newest row, 0 for none."""
    with hub.reading() as connection:
        return _revision(connection, study_id)


def _after(hub: Hub, connection: Connection, actor: Actor, row, action: str, repair_id: int, **detail) -> None:
    """What follows every row: the index, the lists that show it, the ECG's drawn heading, the audit."""
    now = hub.now()
    projection.project(connection, hub.rules.repairs, row.id, now)
    connection.execute(update(reading).where(reading.c.study_id == row.id).values(changed_at=now))
    if row.kind == "ecg":
        outbox.enqueue(connection, now, "redraw_ecg", f"{row.id}:{repair_id}", study_id=row.id)
    audit.append(connection, now, actor, action, "study", row.id, row.site_id, row.patient_id, repair=repair_id, **detail)


def _reason(why: str) -> str:
    if len(why.strip()) < SHORTEST_REASON:
        raise Invalid("empty_reason", "请写明更正原因。", "say why it is corrected.")
    return why.strip()[:512]


def _part(connection: Connection, study_id: int, wanted: Wanted) -> tuple[int | None, int | None]:
    """The series and instance that a correction holds for, checked to be this study's."""
    if wanted.level not in LEVELS or (wanted.attribute.level == "study" and wanted.level != "study"):
        raise Invalid("bad_level", "该信息只能对整个检查更正。", "this attribute is corrected for the whole study only.")
    if wanted.level == "study":
        return None, None
    table = series if wanted.level == "series" else instance
    row = connection.execute(select(table).where(table.c.id == wanted.part_id, table.c.study_id == study_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "该序列或图像不属于本检查。", "no such series or image in this study.")
    return (row.id, None) if wanted.level == "series" else (row.series_id, row.id)


def _standing_value(connection: Connection, row, wanted: Wanted, series_id: int | None, instance_id: int | None) -> str:
    found = newest(projection.standing(connection, [row.id]), series_id, instance_id).get(wanted.attribute.tag)
    return found.new if found is not None else wanted.old or projection.indexed(connection, row, wanted.attribute, series_id)


def _first_value(connection: Connection, one) -> str:
    """What the device sent: the old value of the first correction of this attribute and part."""
    part = (repair.c.level == one.level) & (repair.c.series_id.is_not_distinct_from(one.series_id)) \
        & (repair.c.instance_id.is_not_distinct_from(one.instance_id))
    return connection.scalar(select(repair.c.old).where(repair.c.study_id == one.study_id, repair.c.tag == one.tag, repair.c.undoes.is_(None), part)
                             .order_by(repair.c.id).limit(1)) or ""


def _revision(connection: Connection, study_id: int) -> int:
    return connection.scalar(select(func.max(repair.c.id)).where(repair.c.study_id == study_id)) or 0


def _study(connection: Connection, study_id: int):
    row = connection.execute(select(study).where(study.c.id == study_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这个检查。", "no such study.")
    return row


def _listed():
    signed = exists().where(report.c.study_id == study.c.id, report.c.signed_at.is_not(None))
    return (select(study, patient.c.name.label("patient_name"), patient.c.name_as_sent, patient.c.name_unsure, patient.c.patient_id.label("patient_number"), patient.c.sex,
                   patient.c.birth_date, patient.c.age, site.c.name.label("site_name"), signed.label("is_signed"))
            .join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id))
