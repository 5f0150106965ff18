"""Taking in: the blob is safe before any verb here is called; when it returns, the row is safe too.

The same bytes are kept once. The same UID with other bytes, or a study that suddenly names another patient,
is held beside the first for a person to decide; nothing is lost and nothing is overwritten.
"""
from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub.context import Hub
from hub.errors import NotFound
from hub.flow.devices import Device
from hub.flow.projection import project
from hub.model.access import SYSTEM, Actor
from hub.model.arrival import InstanceFacts, PatientFacts, StoredFile, Taken
from hub.model.identity import differences, identity_key
from hub.model.lifecycle import HELD, STUDY
from hub.model.part10 import HEAD_BYTES, data_set_at
from hub.storage import audit, driver, names, patients, shelving, together
from hub.storage.fitting import fitted
from hub.storage.shelving import Shelf
from hub.storage.states import advance
from hub.storage.tables import decision, held, instance, patient, reading, removal, repair, series, study, study_assignment

LONGEST_UID = 128     # twice what PS3.5 9.1 allows: devices that overdo it are read all the same
RACES = 4   # two senders may make the same new study row at the same moment; the loser looks again
_SEPARATED = uuid.UUID("0c1f7b52-2a3e-5b0e-9f0b-6d2f4a8c1e77")
_UID_FACTS = {"StudyInstanceUID": "study_uid", "SeriesInstanceUID": "series_uid", "SOPInstanceUID": "sop_uid", "SOPClassUID": "sop_class"}
RECEIVING = (STUDY.initial, "reopened")   # what arrives in other states reopens the study; all that does not arrive in the first is late

_BY_SOP_UID = select(instance).where(instance.c.sop_uid == bindparam("uid"))
_BY_STUDY_UID = select(study).where(study.c.study_uid == bindparam("uid"))
_PATIENT = select(patient.c.id, patient.c.head).where(patient.c.site_id == bindparam("site"), patient.c.identity_key == bindparam("key"))
_MARKED = update(study).where(study.c.id == bindparam("marked")).values(association_open=bindparam("is_open")).returning(study.c.id)
_SENT_AGAIN = update(study).where(study.c.id == bindparam("again")).values(resent=study.c.resent + 1).returning(study.c.id)
_SERIES = select(series.c.id, series.c.expected).where(series.c.study_id == bindparam("study_id"), series.c.series_uid == bindparam("uid"))

REASONS = {
    "unparsable": ("无法解析的文件，原始数据已保留，请联系设备厂家。", "the file cannot be parsed; its bytes are kept."),
    "long_uid": ("唯一标识（UID）过长，不符合 DICOM 标准，原始数据已保留。", "a UID is longer than DICOM allows; the bytes are kept."),
    "missing_uid": ("缺少必需的唯一标识（UID），原始数据已保留。", "a required UID is missing; the bytes are kept."),
    "unreadable_ecg": ("心电文件无法读取，原始数据已保留。", "the ECG file cannot be read; its bytes are kept."),
    "same_uid_other_bytes": ("同一 SOP Instance UID 收到内容不同的第二个版本，两个版本均已保留。",
                             "a second version arrived under the same SOP Instance UID; both are kept."),
    "unregistered_device": ("来自未登记的设备，原始数据已保留，未收入任何检查。", "sent by a device that is not registered; kept and not entered."),
    "removed_before": ("该检查的影像已按保存期限规定移除，再次收到的原始数据已单独保留，未并入该检查。",
                       "the images of this study were removed by the retention rules; what came again is kept aside."),
    "other_patient": ("同一检查内出现不同的患者信息，已单独保留，未并入该检查。",
                      "the same study names another patient; kept aside and not joined to it."),
}


@dataclass(frozen=True)
class Arrival:
    """An instance that is to be entered; its ``files`` are safe blobs. ``is_connected``: by a sender that stays, whose end will be
    told (``association_ended``)."""

    device: Device
    files: tuple[StoredFile, ...]
    facts: InstanceFacts
    is_connected: bool = False


def take(hub: Hub, device: Device, files: tuple[StoredFile, ...], facts: InstanceFacts) -> Taken:
    """Enters one instance whose ``files`` are already safe blobs. Safe to repeat with the same bytes."""
    taken, = take_all(hub, [Arrival(device, files, facts)])
    if isinstance(taken, Exception):
        raise taken
    return taken


def take_all(hub: Hub, arrivals: Sequence[Arrival]) -> list[Taken | Exception]:
    """As ``take`` for several at once, in one transaction where nothing stands against it; returns what became of
    each, be it the fault for which it was not entered."""
    came: list[Taken | Exception | None] = [None] * len(arrivals)
    for number, one in enumerate(arrivals):
        if max(len(uid) for uid in (one.facts.study_uid, one.facts.series_uid, one.facts.sop_uid)) > LONGEST_UID:
            came[number] = _attempt(lambda one=one: quarantine(hub, one.device, _door(one.facts), one.files, "long_uid"))
    for _ in range(RACES):
        left = [number for number, result in enumerate(came) if result is None or isinstance(result, IntegrityError)]
        if not left:
            break
        results = together.write_all(hub.engine, _enter_all, [(hub, arrivals[number]) for number in left])
        for number, result in zip(left, results, strict=True):
            came[number] = result
    return came


def _attempt(act: Callable[[], Taken]) -> Taken | Exception:
    try:
        return act()
    except Exception as fault:
        return fault


def quarantine(hub: Hub, device: Device | None, door: str, files: tuple[StoredFile, ...], reason: str,
               zh: str = "", en: str = "", facts: dict | None = None) -> Taken:
    """Keeps what cannot be entered, with its bytes and the reason. The same bytes are held once."""
    with hub.writing() as connection:
        return _hold(hub, connection, device, door, files, reason, zh, en, facts or {}, None)


def hold_strangers(hub: Hub, caller: Device, file: StoredFile, facts: InstanceFacts) -> Taken:
    """Keeps an object of a device that is not registered, with what it says of itself, until an administrator decides."""
    told = _facts_json(facts) | {"calling": caller.ae_title, "address": caller.address}
    return quarantine(hub, None, "dicom", (file,), "unregistered_device", facts=told)


def separated_uid(facts: InstanceFacts, site_id: int) -> str:
    """The study UID for the images of a second patient under one study UID: the same for all of them."""
    return f"2.25.{uuid.uuid5(_SEPARATED, f'{facts.study_uid}|{site_id}|{identity_key(facts.patient)}').int}"


def separated_study(facts: InstanceFacts, site_id: int) -> dict[str, tuple[str, str, str]]:
    """What an object of the second patient must say differently: keyword to tag, UID as sent and as supplied."""
    return {"StudyInstanceUID": ("0020000D", facts.study_uid, separated_uid(facts, site_id))}


def enter_under(hub: Hub, connection: Connection, device: Device, files: tuple[StoredFile, ...], facts: InstanceFacts,
                uids: dict[str, tuple[str, str, str]], actor: Actor, words: str) -> Taken:
    """Enters an object under UIDs that its bytes do not say, with a row of the ledger for each of them; the bytes stay.
    ``uids``: keyword to tag, UID as sent and as supplied."""
    named = replace(facts, **{_UID_FACTS[keyword]: supplied for keyword, (_, _, supplied) in uids.items()})
    taken = _enter(hub, connection, device, files, named)
    if taken.outcome == "stored":
        series_id = connection.scalar(select(instance.c.series_id).where(instance.c.id == taken.instance_id))
        for keyword, (tag, sent, supplied) in uids.items():
            connection.execute(insert(repair).values(
                study_id=taken.study_id, level="instance", series_id=series_id, instance_id=taken.instance_id, tag=tag, keyword=keyword,
                vr="UI", old=sent, new=supplied, why=words[:512], account_id=actor.account_id, who=actor.name, role=actor.role, at=hub.now()))
    return taken


def association_opened(hub: Hub, study_ids: list[int]) -> None:
    """Notes that a sender is still connected, so that its studies do not close too soon."""
    _mark_association(hub, study_ids, True)


def association_ended(hub: Hub, study_ids: list[int]) -> None:
    """Notes that the sender released or vanished: the studies may close after a short silence."""
    _mark_association(hub, study_ids, False)


def _mark_association(hub: Hub, study_ids: list[int], is_open: bool) -> None:
    if study_ids:
        together.write(hub.engine, _mark_all, (study_ids, is_open))


def _mark_all(connection: Connection, marks: list[tuple[list[int], bool]]) -> list[None]:
    for study_ids, is_open in marks:
        for study_id in study_ids:
            driver.fetched(connection, _MARKED, {"marked": study_id, "is_open": is_open})
    return [None] * len(marks)


def _enter_all(connection: Connection, wishes: list[tuple[Hub, Arrival]]) -> list[Taken]:
    """Enters what arrived at the same moment: slices that plainly belong to a study that is being received with a
    handful of statements for all of them, everything else one by one."""
    hub = wishes[0][0]
    if not all(other.engine is hub.engine for other, _ in wishes):
        raise ValueError("arrivals of two hubs in one transaction")
    there = shelving.shelves(connection, [(one.facts.study_uid, one.facts.series_uid) for _, one in wishes])
    uids = Counter(one.facts.sop_uid for _, one in wishes)
    placed = [(one, shelf) for _, one in wishes if (shelf := there.get((one.facts.study_uid, one.facts.series_uid))) is not None
              and uids[one.facts.sop_uid] == 1 and _plainly_belongs(one, shelf)]
    taken: dict[int, Taken] = {}
    if placed:
        now = hub.now()
        ids = shelving.enter(connection, [instance_row(one.device, one.files, one.facts, shelf.study_id, shelf.series_id, shelf.state != STUDY.initial, now)
                                          for one, shelf in placed])
        entered = [(one, shelf, row_id) for (one, shelf), row_id in zip(placed, ids, strict=True) if row_id is not None]
        for one, shelf, row_id in entered:
            taken[id(one)] = Taken("stored", shelf.study_id, row_id)
        shelving.count(connection, [shelf for _, shelf, _ in entered], STUDY.initial, now)
    return [taken.get(id(one)) or _enter(own, connection, one.device, one.files, one.facts, one.is_connected) for own, one in wishes]


def _plainly_belongs(one: Arrival, shelf: Shelf) -> bool:
    patient_id, name, sex, birth_date = shelf.patient
    return (shelf.state in RECEIVING and shelf.site_id == one.device.site_id and one.facts.expected_in_series in (None, shelf.expected)
            and not differences(PatientFacts(patient_id, name, sex=sex, birth_date=birth_date), one.facts.patient))


def instance_row(device: Device, files, facts: InstanceFacts, study_id: int, series_id: int, late: bool, now) -> dict:
    return dict(
        series_id=series_id, study_id=study_id, device_id=device.id, sop_uid=facts.sop_uid, sop_class=facts.sop_class,
        transfer_syntax=facts.transfer_syntax, format=facts.format, sha256=files[0].sha256,
        size=sum(f.size for f in files), files=[_file_json(f) for f in files], declared=facts.declared,
        number=facts.instance_number, frames=facts.frames, rows=facts.rows, columns=facts.columns,
        position_mm=facts.position_mm, orientation=facts.orientation, late=late, calling=device.ae_title,
        notes=list(facts.notes), received_at=now)


def _enter(hub: Hub, connection: Connection, device: Device, files, facts: InstanceFacts, is_connected: bool = False) -> Taken:
    now, door = hub.now(), _door(facts)
    first = driver.one_or_none(connection, _BY_SOP_UID, {"uid": facts.sop_uid})
    home = (driver.one_or_none(connection, _BY_STUDY_UID, {"uid": facts.study_uid}) if first is None else
            connection.execute(select(study).where(study.c.id == first.study_id)).one_or_none())
    if home is not None and connection.scalar(select(removal.c.id).where(removal.c.study_id == home.id)) is not None:
        taken = _hold(hub, connection, device, door, files, "removed_before", "", "", _facts_json(facts), None)
        return Taken("conflict", home.id, None, taken.held_id, taken.reason)
    if first is not None:
        if [f["sha256"] for f in first.files] == [f.sha256 for f in files] or _set_aside(connection, first.id, files):
            return _once_more(connection, first)
        if _same_data_set(hub, first, files, facts):
            _keep_copy(connection, first, files[0])
            return _once_more(connection, first)
        taken = _hold(hub, connection, device, door, files, "same_uid_other_bytes", "", "", _facts_json(facts), first.id)
        return Taken("conflict", first.study_id, first.id, taken.held_id, taken.reason)
    if home is not None and (apart := _other_patient(connection, home, device, facts.patient)):
        if connection.scalar(select(study.c.id).where(study.c.study_uid == separated_uid(facts, device.site_id))) is not None:
            return enter_under(hub, connection, device, files, facts, separated_study(facts, device.site_id), SYSTEM, "同一患者的影像此前已分为单独检查")
        taken = _hold(hub, connection, device, door, files, "other_patient", "", "", _facts_json(facts) | {"differs": list(apart)}, None)
        return Taken("conflict", home.id, None, taken.held_id, taken.reason)
    late = home is not None and home.state != STUDY.initial
    study_id = _new_study(hub, connection, device, facts, is_connected) if home is None else home.id
    series_id = _series(connection, study_id, facts)
    instance_id = driver.put(connection, instance, fitted(instance, instance_row(device, files, facts, study_id, series_id, late, now)))
    if home is not None:
        values = {"instances": study.c.instances + 1, "late": study.c.late + int(late), "last_received_at": now, **holding(facts.format)}
        if home.state not in RECEIVING:
            values |= {"generation": study.c.generation + 1}
            connection.execute(update(reading).where(reading.c.study_id == study_id).values(late_images=True, changed_at=now))
            audit.append(connection, now, SYSTEM, "study.reopened", "study", study_id, home.site_id, home.patient_id,
                         was=home.state, sop_uid=facts.sop_uid)
        advance(connection, STUDY, study_id, "arrive", **values)
        if home.as_sent or home.sent_patient_id:
            project(connection, hub.rules.repairs, study_id, now)        # a new series is corrected like its study
    return Taken("stored", study_id, instance_id, begun=home is None and is_connected, name_encoding=facts.patient.name_encoding if home is None else "")


def holding(form: str) -> dict[str, bool]:
    """What a study that gets an object of this format is known to hold from now on."""
    return {"holds_dicom": True} if form == "dicom" else {}


def _set_aside(connection: Connection, instance_id: int, files) -> bool:
    """Whether these bytes are a version that a person has set aside for another one of the same UID."""
    wanted = [f.sha256 for f in files]
    return any([f["sha256"] for f in before["files"]] == wanted for before in connection.execute(
        select(decision.c.before).where(decision.c.instance_id == instance_id, decision.c.choice == "use_second")).scalars() if before)


def _same_data_set(hub: Hub, first, files: tuple[StoredFile, ...], facts: InstanceFacts) -> bool:
    """Whether two DICOM files differ in nothing but their header (group 0002): one object that came by two doors."""
    alike = first.format == facts.format == "dicom" and first.transfer_syntax == facts.transfer_syntax
    if not alike or len(files) != 1 or len(first.files) != 1:
        return False
    try:
        with hub.blobs.open(first.files[0]["sha256"]) as one, hub.blobs.open(files[0].sha256) as other:
            for file in (one, other):
                file.seek(data_set_at(file.read(HEAD_BYTES)))
            while (piece := one.read(HEAD_BYTES)) == other.read(HEAD_BYTES):
                if not piece:
                    return True
    except NotFound:                     # a lost first version is no equal one
        return False
    return False


def _once_more(connection: Connection, first) -> Taken:
    driver.fetched(connection, _SENT_AGAIN, {"again": first.study_id})
    return Taken("duplicate", first.study_id, first.id)


def _keep_copy(connection: Connection, first, file: StoredFile) -> None:
    """Remembers a second file of the same object beside the first."""
    copies = first.copies or []
    if file.sha256 not in [one["sha256"] for one in copies]:
        connection.execute(update(instance).where(instance.c.id == first.id).values(copies=[*copies, _file_json(file)]))


def _other_patient(connection: Connection, home, device: Device, named: PatientFacts) -> tuple[str, ...]:
    """In what an arrival names another patient than its study: () for the one whom the device named, and for the one
    to whom the study was corrected or assigned."""
    arrived = connection.scalar(select(study_assignment.c.arrived_patient_id).where(
        study_assignment.c.study_id == home.id, study_assignment.c.undone_at.is_(None)))
    found = []
    for patient_id in dict.fromkeys((arrived or home.sent_patient_id or home.patient_id, home.patient_id)):
        row = connection.execute(select(patient).where(patient.c.id == patient_id)).one()
        first = PatientFacts(row.patient_id, row.name, row.name_as_sent, row.name_unsure, row.sex, row.birth_date, row.age)
        apart = differences(first, named)
        if home.site_id != device.site_id and first.patient_id != named.patient_id:
            apart += ("site",)
        found.append(apart)
    return min(found, key=len)


def _new_study(hub: Hub, connection: Connection, device: Device, facts: InstanceFacts, is_connected: bool) -> int:
    now, named = hub.now(), facts.patient
    key = identity_key(named) if named.patient_id or named.name else f"unidentified|{facts.study_uid}"
    who = {"site": device.site_id, "key": key}
    patient_row = driver.one_or_none(connection, _PATIENT, who)
    if patient_row is None:
        patients.enter(
            connection, site_id=device.site_id, identity_key=key, patient_id=named.patient_id, name=named.name, name_as_sent=named.name_as_sent,
            name_unsure=named.name_unsure, sex=named.sex, birth_date=named.birth_date, age=named.age, created_at=now)
        patient_row = driver.one_or_none(connection, _PATIENT, who)
    study_id = driver.put(connection, study, fitted(study, dict(
        study_uid=facts.study_uid, kind=facts.kind, site_id=device.site_id, patient_id=patient_row.id, device_id=device.id,
        modality=facts.modality, body_part=facts.body_part, description=facts.study_description,
        accession_number=facts.accession_number, study_at=facts.study_at, institution=facts.institution,
        device_model=facts.device_model, state=STUDY.initial, urgency="routine", instances=1, late=0,
        association_open=is_connected, proof={}, problems=[], flags={}, generation=0, received_at=now,
        last_received_at=now, holds_dicom=bool(holding(facts.format)), head=patient_row.head,
        referring_physician=facts.referring_physician, referring_unsure=facts.referring_unsure, study_number=facts.study_number)))
    names.enter_physician(connection, device.site_id, facts.referring_physician)
    audit.append(connection, now, SYSTEM, "study.arrived", "study", study_id, device.site_id, patient_row.id,
                 study_uid=facts.study_uid, device=device.name)
    return study_id


def _series(connection: Connection, study_id: int, facts: InstanceFacts) -> int:
    row = driver.one_or_none(connection, _SERIES, {"study_id": study_id, "uid": facts.series_uid})
    if row is None:
        return driver.put(connection, series, fitted(series, dict(
            study_id=study_id, series_uid=facts.series_uid, modality=facts.modality, number=facts.series_number,
            description=facts.series_description, body_part=facts.body_part,
            expected=facts.expected_in_series)))
    if facts.expected_in_series is not None and facts.expected_in_series != row.expected:
        most = max(facts.expected_in_series, row.expected or 0)
        connection.execute(update(series).where(series.c.id == row.id).values(fitted(series, {"expected": most})))
    return row.id


def _hold(hub: Hub, connection: Connection, device, door, files, reason, zh, en, facts, instance_id) -> Taken:
    now, sha256 = hub.now(), _of_all(files)
    same = connection.execute(select(held.c.id).where(
        held.c.sha256 == sha256, held.c.reason == reason,
        held.c.device_id == (device.id if device else None))).one_or_none()
    if same is not None:
        return Taken("quarantined", held_id=same.id, reason=reason)
    default_zh, default_en = REASONS[reason]
    held_id = connection.execute(insert(held).values(
        reason=reason, zh=(zh or default_zh)[:512], en=(en or default_en)[:512], door=door,
        device_id=device.id if device else None, site_id=device.site_id if device else None, instance_id=instance_id,
        sha256=sha256, size=sum(f.size for f in files), files=[_file_json(f) for f in files], facts=facts,
        state=HELD.initial, received_at=now)).inserted_primary_key[0]
    audit.append(connection, now, SYSTEM, "held", "held", held_id, device.site_id if device else None, reason=reason,
                 sha256=sha256)
    return Taken("quarantined", held_id=held_id, reason=reason)


def _file_json(file: StoredFile) -> dict:
    return {"name": file.name, "sha256": file.sha256, "size": file.size}


def _of_all(files: tuple[StoredFile, ...]) -> str:
    """The hash of one file, or of the hashes of several: two pairs that share one file are two things."""
    if len(files) == 1:
        return files[0].sha256
    return hashlib.sha256("".join(sorted(f.sha256 for f in files)).encode()).hexdigest()


def _door(facts: InstanceFacts) -> str:
    return "dicom" if facts.format == "dicom" else "ecg"


def _facts_json(facts: InstanceFacts) -> dict:
    return {"study_uid": facts.study_uid, "series_uid": facts.series_uid, "sop_uid": facts.sop_uid,
            "patient_id": facts.patient.patient_id, "patient_name": facts.patient.name, "whole": asdict(facts)}


def counts(hub: Hub) -> dict[str, int]:
    """How much was taken in so far: studies, instances, held objects."""
    with hub.reading() as connection:
        return {name: connection.scalar(select(func.count()).select_from(table))
                for name, table in (("studies", study), ("instances", instance), ("held", held))}
