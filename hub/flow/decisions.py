"""The quarantine and conflict desk: what an administrator decides about an object that was kept aside.

Every decision is a row, and no byte is ever changed or thrown away by one. What is used enters on the normal road:
the study is completed, prepared and read again, and its reader is told. A decision that cannot be taken back says so.
"""
from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import discarded, intake
from hub.flow.devices import Device
from hub.model.access import Actor
from hub.model.arrival import InstanceFacts, PatientFacts, StoredFile, Taken, facts_from
from hub.model.identity import differences
from hub.model.lifecycle import HELD, STUDY
from hub.storage import audit
from hub.storage.fitting import fitted
from hub.storage.states import advance
from hub.storage.tables import artifact, decision, device, held, instance, patient, reading, site, study

LASTING = ("separate", "supply", "release")     # what entered a study stays there; a wrong value is corrected in the ledger
SETTLED = 0                                      # the place in a document's list of an instance that must be read again
MADE_OF_VERSION = ("prepared", "htj2k", "thumbnail", "ecg_analysis", "ecg_sheet")
_OF_VERSION = ("sop_class", "transfer_syntax", "format", "sha256", "size", "files", "declared", "number", "frames", "rows", "columns",
               "position_mm", "orientation", "calling", "notes", "device_id")


def keep_first(hub: Hub, actor: Actor, held_id: int, words: str) -> None:
    """The version that came first stays in use; the other's bytes are kept until their term is over. Undone by ``undo`` until then."""
    with hub.writing() as connection:
        row = _open(connection, actor, held_id)
        _require(row, "same_uid_other_bytes", "other_patient")
        _decide(hub, connection, actor, row, "keep_first", words, instance_id=row.instance_id)


def use_second(hub: Hub, actor: Actor, held_id: int, words: str) -> None:
    """The version that was kept aside takes the place of the first, whose bytes stay stored. Undone by ``undo``.
    Refused where it names another patient or study than the one it would stand in."""
    with hub.writing() as connection:
        row = _open(connection, actor, held_id)
        _require(row, "same_uid_other_bytes")
        facts, first = _facts(row), connection.execute(select(instance).where(instance.c.id == row.instance_id)).one()
        home = connection.execute(select(study).where(study.c.id == first.study_id)).one()
        _require_same_place(connection, home, first, facts)
        before = {name: getattr(first, name) for name in _OF_VERSION}
        fresh = fitted(instance, intake.instance_row(_device(connection, row.device_id), _files(row), facts, first.study_id, first.series_id, first.late,
                                                     hub.now()))
        _replace(hub, connection, actor, home, first, {name: fresh[name] for name in _OF_VERSION})
        _decide(hub, connection, actor, row, "use_second", words, first.study_id, first.id, before)


def separate(hub: Hub, actor: Actor, held_id: int, words: str) -> Taken:
    """The object of another patient enters a study of its own, under a study UID that the hub supplies; further ones
    of the same patient follow by themselves. Not undone."""
    with hub.writing() as connection:
        row = _open(connection, actor, held_id)
        _require(row, "other_patient")
        facts, sender = _facts(row), _device(connection, row.device_id)
        taken = intake.enter_under(hub, connection, sender, _files(row), facts, intake.separated_study(facts, sender.site_id), actor, _words(words))
        return _entered(hub, connection, actor, row, "separate", words, taken)


def supply(hub: Hub, actor: Actor, held_id: int, facts: InstanceFacts, uids: dict[str, tuple[str, str, str]], words: str) -> Taken:
    """The object enters under the UIDs that it lacked. ``facts``: as its bytes say, with these UIDs in them; ``uids``:
    keyword to tag, what was sent ("") and what is supplied. Not undone."""
    with hub.writing() as connection:
        row = _open(connection, actor, held_id)
        _require(row, "missing_uid")
        if not uids or not facts.sop_class or not all((facts.study_uid, facts.series_uid, facts.sop_uid)):
            raise Invalid("uids_missing", "请补全所有缺少的唯一标识。", "supply every UID that is missing.")
        taken = intake.enter_under(hub, connection, _device(connection, row.device_id), _files(row), facts, uids, actor, _words(words))
        return _entered(hub, connection, actor, row, "supply", words, taken)


def release(hub: Hub, actor: Actor, held_id: int, facts: InstanceFacts, words: str, device_id: int | None = None) -> Taken:
    """The object enters as it reads now, after a reader or a device was mended. ``device_id``: the registered device
    that it is taken to come from, for one that came from none. Not undone."""
    with hub.writing() as connection:
        row = _open(connection, actor, held_id)
        _require(row, "unparsable", "unreadable_ecg", "missing_uid", "long_uid", "unregistered_device")
        if max(len(uid) for uid in (facts.study_uid, facts.series_uid, facts.sop_uid)) > intake.LONGEST_UID:
            raise Invalid("long_uid", *intake.REASONS["long_uid"])
        sender = _device(connection, row.device_id or device_id)
        taken = intake.enter_under(hub, connection, sender, _files(row), facts, {}, actor, _words(words))
        return _entered(hub, connection, actor, row, "release", words, taken)


def discard(hub: Hub, actor: Actor, held_id: int, words: str) -> None:
    """The object is put away with a reason; its row stays, its bytes until their term is over. Undone by ``undo`` until then."""
    with hub.writing() as connection:
        row = _open(connection, actor, held_id)
        _decide(hub, connection, actor, row, "discard", words, event="discard")


def undo(hub: Hub, actor: Actor, held_id: int) -> None:
    """Takes the standing decision back: the case is open again, and the version that stood before stands again.
    Conflict("cannot_be_undone") for a decision by which the object entered a study."""
    actor.require("held.resolve")
    with hub.writing() as connection:
        row = _row(connection, held_id)
        last = _standing(connection, held_id)
        if discarded.may_go(hub, connection, held_id):
            raise Conflict("term_over", "保存期已满，这个决定不能再撤销；请机构重新发送。", "the term of this object is over and its decision stands; have it sent again.")
        HELD.after("reopen", row.state)
        if last is not None and last.choice in LASTING:
            raise Conflict("cannot_be_undone", "该对象已收入检查，此决定不能撤销；如信息有误，请在“信息更正”中更正。",
                           "the object has entered a study, so this decision stays; correct what is wrong in the repair ledger.")
        if last is not None and last.choice == "use_second":
            first = connection.execute(select(instance).where(instance.c.id == last.instance_id)).one()
            if first.sha256 != row.files[0]["sha256"]:
                raise Conflict("decided_again", "此后又有新的决定，请先处理较新的一项。", "a newer decision stands; take that one back first.")
            home = connection.execute(select(study).where(study.c.id == first.study_id)).one()
            _replace(hub, connection, actor, home, first, last.before)
        advance(connection, HELD, held_id, "reopen", resolution="", resolved_by="", resolved_at=None)
        connection.execute(insert(decision).values(
            held_id=held_id, choice="undo", words="", account_id=actor.account_id, who=actor.name, at=hub.now(),
            undoes=last.id if last is not None else None))
        audit.append(connection, hub.now(), actor, "held.undo", "held", held_id, row.site_id, choice=last.choice if last is not None else "")


def history(hub: Hub, actor: Actor, held_id: int) -> list:
    """Every decision about a case, newest first."""
    actor.require("held.view")
    with hub.reading() as connection:
        return list(connection.execute(select(decision).where(decision.c.held_id == held_id).order_by(decision.c.id.desc())))


def may_undo(rows: list) -> bool:
    """Whether the standing one of these decisions can be taken back."""
    undone = {row.undoes for row in rows}
    last = next((row for row in rows if row.choice != "undo" and row.id not in undone), None)
    return last is None or last.choice not in LASTING


def alike(hub: Hub, actor: Actor, held_id: int) -> list[int]:
    """The open cases of the same reason, device, study and patient, this one first: a whole series comes to be
    decided at once."""
    actor.require("held.view")
    with hub.reading() as connection:
        row = _row(connection, held_id)
        rows = connection.execute(select(held.c.id, held.c.facts).where(
            held.c.state == HELD.initial, held.c.reason == row.reason, held.c.device_id.is_not_distinct_from(row.device_id), held.c.id != held_id).order_by(held.c.id))
        keys = ("study_uid", "patient_id", "patient_name")
        named = any(row.facts.get(key) for key in keys)
        return [held_id, *(one.id for one in rows if named and all(one.facts.get(key) == row.facts.get(key) for key in keys))]


def versions(hub: Hub, actor: Actor, held_id: int) -> tuple[object, object | None]:
    """The held case with the names of its site and device, and the stored instance of the same UID with its study's
    patient, or None. The look is recorded."""
    actor.require("held.view")
    with hub.writing() as connection:
        row = _row(connection, held_id)
        first = connection.execute(
            select(instance, study.c.study_uid, patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_number"))
            .join(study, study.c.id == instance.c.study_id).join(patient, patient.c.id == study.c.patient_id)
            .where(instance.c.id == row.instance_id)).one_or_none()
        audit.append(connection, hub.now(), actor, "held.view", "held", held_id, row.site_id)
    return row, first


def study_of_conflict(hub: Hub, actor: Actor, row):
    """The study that an object of another patient claimed to belong to, with its patient, or None."""
    actor.require("held.view")
    with hub.reading() as connection:
        return connection.execute(
            select(study, patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_number"), patient.c.sex, patient.c.birth_date,
                   site.c.name.label("site_name"))
            .join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
            .where(study.c.study_uid == row.facts.get("study_uid", ""))).one_or_none()


def _replace(hub: Hub, connection: Connection, actor: Actor, home, first, values: dict) -> None:
    """Puts another version in an instance's place and sends its study down the road again, like a late image."""
    now = hub.now()
    late = {"late": True, "received_at": now} if home.state not in intake.RECEIVING else {}
    connection.execute(update(instance).where(instance.c.id == first.id).values(**(values | late)))
    connection.execute(delete(artifact).where(artifact.c.instance_id == first.id, artifact.c.kind.in_(MADE_OF_VERSION)))
    for made in connection.execute(select(artifact).where(artifact.c.study_id == home.id, artifact.c.kind == "metadata")).all():
        listed = [SETTLED if one == first.id else one for one in made.about.get("instances", [])]
        connection.execute(update(artifact).where(artifact.c.id == made.id).values(about=made.about | {"instances": listed}))
    advance(connection, STUDY, home.id, "arrive", last_received_at=now, generation=study.c.generation + 1, **intake.holding(values.get("format", "")))
    connection.execute(update(reading).where(reading.c.study_id == home.id).values(late_images=True, changed_at=now))
    audit.append(connection, now, actor, "study.version_replaced", "study", home.id, home.site_id, home.patient_id, sop_uid=first.sop_uid,
                 was=first.sha256, uses=values["sha256"])


def _require_same_place(connection: Connection, home, first, facts: InstanceFacts) -> None:
    """Two patients are never mixed by a choice between versions."""
    whose = connection.execute(select(patient).where(patient.c.id == (home.sent_patient_id or home.patient_id))).one()
    apart = differences(PatientFacts(whose.patient_id, whose.name, sex=whose.sex, birth_date=whose.birth_date), facts.patient)
    if apart or facts.study_uid != home.study_uid:
        raise Refused("other_patient", "第二个版本的患者或检查与已收入的不同，不能替换。请核实后更正患者信息，或请机构用新的标识重新发送。",
                      "the second version names another patient or study and cannot take the place of the first; correct the patient, or have it sent under a new UID.")


def _entered(hub: Hub, connection: Connection, actor: Actor, row, choice: str, words: str, taken: Taken) -> Taken:
    if taken.outcome not in ("stored", "duplicate"):
        raise Conflict("still_conflicting", *intake.REASONS[taken.reason])       # nothing of this transaction remains
    _decide(hub, connection, actor, row, choice, words, taken.study_id, taken.instance_id)
    return taken


def _decide(hub: Hub, connection: Connection, actor: Actor, row, choice: str, words: str, study_id: int | None = None,
            instance_id: int | None = None, before: dict | None = None, event: str = "resolve") -> None:
    now, words = hub.now(), _words(words)
    connection.execute(insert(decision).values(
        held_id=row.id, choice=choice, words=words, account_id=actor.account_id, who=actor.name, at=now, study_id=study_id,
        instance_id=instance_id, before=before))
    advance(connection, HELD, row.id, event, resolution=words[:256], resolved_by=actor.name, resolved_at=now)
    audit.append(connection, now, actor, f"held.{choice}", "held", row.id, row.site_id, words=words[:200], study_id=study_id, instance_id=instance_id)


def _words(words: str) -> str:
    if len(words.strip()) < 2:
        raise Invalid("empty_resolution", "请写明处理结果。", "say what was done.")
    return words.strip()[:512]


def _open(connection: Connection, actor: Actor, held_id: int):
    actor.require("held.resolve")
    row = _row(connection, held_id)
    HELD.after("resolve", row.state)
    return row


def _require(row, *reasons: str) -> None:
    if row.reason not in reasons:
        raise Conflict("wrong_way", "此处理方式不适用于这类隔离对象。", "this decision does not fit the reason for which the object is held.")


def _row(connection: Connection, held_id: int):
    row = connection.execute(
        select(held, site.c.name.label("site_name"), device.c.name.label("device_name"), device.c.ae_title)
        .outerjoin(site, site.c.id == held.c.site_id).outerjoin(device, device.c.id == held.c.device_id).where(held.c.id == held_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有这个隔离记录。", "no such held object.")
    return row


def _standing(connection: Connection, held_id: int):
    rows = connection.execute(select(decision).where(decision.c.held_id == held_id).order_by(decision.c.id.desc())).all()
    undone = {row.undoes for row in rows}
    return next((row for row in rows if row.choice != "undo" and row.id not in undone), None)


def _facts(row) -> InstanceFacts:
    """What the door told of the object when it was held."""
    if "whole" not in row.facts:
        raise Conflict("held_before", "该记录来自旧版本，缺少所需信息，请机构重新发送后再处理。", "this case is from an earlier version and lacks what is needed; have the object sent again.")
    return facts_from(row.facts["whole"])


def _files(row) -> tuple[StoredFile, ...]:
    return tuple(StoredFile(**one) for one in row.files)


def _device(connection: Connection, device_id: int | None) -> Device:
    row = connection.execute(select(device).where(device.c.id == device_id)).one_or_none() if device_id else None
    if row is None:
        raise Invalid("no_device", "请选择该对象所属的已登记设备。", "choose the registered device that it comes from.")
    return Device(row.id, row.site_id, row.kind, row.name, row.ae_title, row.address, row.charset, row.served)
