"""The index follows the ledger: where a correction stands, the row of study, series and patient holds the corrected value.

So that worklists, pages, letters, C-FIND and QIDO-RS see corrected values at the price of nothing. What a device
sent is remembered beside it (``as_sent``, ``sent_patient_id``) and comes back when the correction is undone. A
patient's row is never changed: a study of a corrected patient belongs to another row.
"""
from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection, select, update

from hub.model.arrival import PatientFacts
from hub.model.identity import identity_key
from hub.model.person_name import name_shown
from hub.model.repair import Attribute, RepairRules, newest
from hub.storage import names, patients
from hub.storage.fitting import fitted
from hub.storage.tables import patient, reading, repair, series, study

OF_PATIENT = ("PatientName", "PatientID", "PatientSex", "PatientBirthDate", "PatientAge")
_OF_STUDY = {"AccessionNumber": "accession_number", "StudyDescription": "description", "Modality": "modality", "BodyPartExamined": "body_part",
             "ReferringPhysicianName": "referring_physician", "StudyID": "study_number"}
_OF_SERIES = {"Modality": "modality", "BodyPartExamined": "body_part", "SeriesDescription": "description"}


def standing(connection: Connection, study_ids: list[int]) -> list:
    """The corrections of these studies that were not undone, in the order in which they were made."""
    rows = connection.execute(select(repair).where(repair.c.study_id.in_(study_ids)).order_by(repair.c.id)).all()
    undone = {row.undoes for row in rows}
    return [row for row in rows if row.undoes is None and row.id not in undone]


def project(connection: Connection, rules: RepairRules, study_id: int, now: datetime) -> None:
    """Makes the index of one study what its ledger says. Safe to repeat."""
    rows = standing(connection, [study_id])
    row = connection.execute(select(study).where(study.c.id == study_id)).one()
    whole = _by_keyword(rules, newest(rows))
    sent = row.sent_patient_id or row.patient_id
    corrected = _patient(connection, sent, whole, row.study_at, now)
    sent_values = _projected(row, {_OF_STUDY[name]: value for name, value in whole.items() if name in _OF_STUDY} | _moment(row, whole)
                             | ({"referring_unsure": row.referring_unsure and False} if "ReferringPhysicianName" in whole else {}))
    names.enter_physician(connection, row.site_id, sent_values.get("referring_physician"))
    connection.execute(update(study).where(study.c.id == study_id).values(
        **fitted(study, sent_values), **patients.heading_of(corrected, "head"), patient_id=corrected, sent_patient_id=sent if corrected != sent else None))
    connection.execute(update(reading).where(reading.c.study_id == study_id).values(
        patient_id=corrected, **patients.heading_of(corrected, "head", "sound"), **fitted(reading, {name: value for name, value in sent_values.items() if name == "modality"})))
    for one in connection.execute(select(series).where(series.c.study_id == study_id)).all():
        own = _by_keyword(rules, newest(rows, one.id))
        connection.execute(update(series).where(series.c.id == one.id).values(
            **fitted(series, _projected(one, {_OF_SERIES[name]: value for name, value in own.items() if name in _OF_SERIES}))))


def sent_value(row, column: str) -> str:
    """What a device sent for a column of a study or series, whatever stands there now."""
    return (row.as_sent or {}).get(column, getattr(row, column))


def indexed(connection: Connection, row, attribute: Attribute, series_id: int | None) -> str:
    """What the index holds of an attribute as it was sent, the way DICOM writes it; "" for one that it does not hold."""
    table, _, column = attribute.column.rpartition(".")
    if not column:
        return ""
    if table == "patient":
        sent = connection.execute(select(patient).where(patient.c.id == (row.sent_patient_id or row.patient_id))).one()
        value = sent.name_as_sent or sent.name if column == "name" else getattr(sent, column)
    elif not table and series_id is not None:
        value = sent_value(connection.execute(select(series).where(series.c.id == series_id)).one(), column)
    else:
        value = sent_value(row, column) or ""
    day, _, clock = value.partition("T") if column == "study_at" else (value, "", "")
    return {"DA": day.replace("-", ""), "TM": clock.replace(":", "")}.get(attribute.vr, value)


def _by_keyword(rules: RepairRules, found: dict) -> dict[str, str]:
    return {rules.offered[tag].keyword: row.new for tag, row in found.items() if tag in rules.offered}


def _projected(row, corrected: dict[str, str]) -> dict:
    """The values of a row's columns: corrected ones, and what was sent where no correction stands any more."""
    before = row.as_sent or {}
    kept = {column: before.get(column, getattr(row, column)) for column in corrected}
    back = {column: value for column, value in before.items() if column not in corrected}
    return back | corrected | {"as_sent": kept or None}


def _moment(row, whole: dict[str, str]) -> dict[str, str]:
    """The study's local time, ISO 8601, where its date or time is corrected."""
    if not {"StudyDate", "StudyTime"} & whole.keys():
        return {}
    day, _, clock = sent_value(row, "study_at").partition("T")
    day = _iso(whole["StudyDate"]) if "StudyDate" in whole else day
    if "StudyTime" in whole:
        digits = whole["StudyTime"].split(".")[0].ljust(6, "0") if whole["StudyTime"] else ""
        clock = f"{digits[:2]}:{digits[2:4]}:{digits[4:]}" if digits else ""
    return {"study_at": f"{day}T{clock}" if day and clock else day}


def _patient(connection: Connection, sent_id: int, whole: dict[str, str], study_at: str, now: datetime) -> int:
    """The row of the patient as corrected, at the same site; a new one where there is none."""
    told = {name: value for name, value in whole.items() if name in OF_PATIENT}
    if not told:
        return sent_id
    row = connection.execute(select(patient).where(patient.c.id == sent_id)).one()
    was = PatientFacts(row.patient_id, row.name, row.name_as_sent, row.name_unsure, row.sex, row.birth_date, row.age)
    now_named = replace(
        was, patient_id=told.get("PatientID", was.patient_id), sex=told.get("PatientSex", was.sex),
        birth_date=_iso(told["PatientBirthDate"]) if "PatientBirthDate" in told else was.birth_date,
        age=told["PatientAge"] if "PatientAge" in told else _age_at(_iso(told["PatientBirthDate"]), study_at) if "PatientBirthDate" in told else was.age)
    if "PatientName" in told:
        now_named = replace(now_named, name=name_shown(told["PatientName"]), name_as_sent=told["PatientName"], name_unsure=False)
    key = identity_key(now_named)
    if was.name_unsure and not now_named.name_unsure and now_named.name_as_sent == was.name_as_sent:      # confirmed as it stood
        key = f"{key}|sure"[:400]
    if now_named.age != was.age:                # an age is no identity, but a corrected one must not change what others see
        key = f"{key}|{now_named.age}"[:400]
    known = connection.scalar(select(patient.c.id).where(patient.c.site_id == row.site_id, patient.c.identity_key == key))
    if known is not None:
        return known
    return patients.enter(
        connection, site_id=row.site_id, identity_key=key, patient_id=now_named.patient_id, name=now_named.name, name_as_sent=now_named.name_as_sent,
        name_unsure=now_named.name_unsure, sex=now_named.sex, birth_date=now_named.birth_date, age=now_named.age, created_at=now)


def _iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else ""


def _age_at(born: str, study_at: str) -> str:
    """The age on the day of the study as an Age String; "" where one of the two is not known."""
    try:
        first, then = date.fromisoformat(born), date.fromisoformat(study_at[:10])
    except ValueError:
        return ""
    years = then.year - first.year - ((then.month, then.day) < (first.month, first.day))
    return f"{years:03d}Y" if 0 <= years <= 999 else ""
