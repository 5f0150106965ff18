"""The HTTP door for ECG carts: ``POST /api/ecg`` with a device token, answered with a receipt.

Original bytes are on disk before anything is read from them. What cannot be read is kept in quarantine and
answered with what was wrong; a signal that should be recorded again is said at once, while the patient is
still lying there.
"""
from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from io import BytesIO

from flask import Blueprint, Response, jsonify, request
from pydicom import dcmread
from werkzeug.exceptions import RequestEntityTooLarge

from ecg.analysis import analyse
from ecg.errors import UnreadableRecording
from ecg.files import open_recording
from ecg.jobs import QUALITY_ZH, summary_line
from ecg.readers import dicom
from ecg.recording import Recording, SourceFile
from hub.context import Hub
from hub.errors import HubError, Invalid, OutOfSpace, Refused, Retryable
from hub.flow import devices, intake
from hub.flow.devices import Device
from hub.model.arrival import InstanceFacts, PatientFacts, StoredFile, Taken
from hub.model.identity import differences

DECLARED = ("rate_hz", "unit", "leads")
PATIENT = ("patient_id", "patient_name", "sex", "birth_date")
STATUS = {Refused: 401, Invalid: 400, OutOfSpace: 507, Retryable: 503}


def blueprint(hub: Hub) -> Blueprint:
    """The door, to be mounted where the web pages are. It is open to device tokens only, never to cookies."""
    door = Blueprint("ecg_door", __name__)

    @door.post("/api/ecg")
    def receive() -> tuple[Response, int]:
        request.max_content_length = hub.settings.largest_ecg_mb * 1_000_000
        try:
            device = devices.by_token(hub, _token())
            files = _files()
        except RequestEntityTooLarge:
            return _no("too_large", f"文件超过 {hub.settings.largest_ecg_mb} MB，未接收。",
                       f"the upload is larger than {hub.settings.largest_ecg_mb} MB and was not taken in."), 413
        except HubError as error:
            return _refusal(error)
        try:
            return _take(hub, device, files)
        except HubError as error:
            return _refusal(error)

    return door


def _take(hub: Hub, device: Device, files: list[SourceFile]) -> tuple[Response, int]:
    stored = tuple(hub.blobs.keep(file.content, file.name) for file in files)
    declared = {name: request.form[name] for name in DECLARED if request.form.get(name)}
    try:
        recording = open_recording(files, declared)
        patient = _patient(recording)
    except UnreadableRecording as error:
        held = intake.quarantine(hub, device, "ecg", stored, "unreadable_ecg", error.zh, error.en)
        answer = _no(error.code, f"{error.zh}原始文件已保留。", f"{error.en} The original file is kept.", stored, held)
        return answer, 422
    except Invalid as error:
        held = intake.quarantine(hub, device, "ecg", stored, "unreadable_ecg", error.zh, error.en)
        return _no(error.code, error.zh, error.en, stored, held), 422
    taken = intake.take(hub, device, stored, _facts(recording, patient, files, declared))
    if taken.outcome in ("conflict", "quarantined"):
        zh, en = intake.REASONS[taken.reason]
        return _no(taken.reason, zh, en, stored, taken), 409
    analysis = analyse(recording)
    findings = [{"code": f.code, "leads": list(f.leads), "zh": f.zh, "en": f.en} for f in analysis.quality.findings]
    return jsonify(
        outcome=taken.outcome, receipt=_receipt(stored), study=taken.study_id, format=recording.format,
        leads=list(recording.leads), rate_hz=recording.rate_hz, duration_s=round(recording.duration_s, 3),
        quality={"verdict": analysis.quality.verdict, "zh": QUALITY_ZH[analysis.quality.verdict], "findings": findings},
        summary=summary_line(analysis), zh=_words(analysis.quality), unconfirmed=True), 201 if taken.outcome == "stored" else 200


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _files() -> list[SourceFile]:
    uploads = [upload for name in request.files for upload in request.files.getlist(name)]
    files = [SourceFile((upload.filename or "ecg")[-128:], upload.read()) for upload in uploads]
    if not files and not request.form:
        files = [SourceFile(request.headers.get("X-Filename", "ecg")[-128:], request.get_data(cache=False))]
    if not files:
        raise Invalid("no_file", "没有收到文件：请用表单字段 file 上传心电文件。", "no file came: upload the ECG file in the form field named file.")
    return files


def _patient(recording: Recording) -> PatientFacts:
    """The patient as the file says; the form fills in where the file is silent and may not contradict it."""
    written = recording.patient
    age = f"{int(written.age_years):03d}Y" if written.age_years is not None and written.age_years >= 1 else ""
    inside = PatientFacts(written.patient_id, written.name, written.name, False, written.sex, written.birth_date, age)
    given = {name: request.form.get(name, "").strip() for name in PATIENT}
    outside = PatientFacts(given["patient_id"], given["patient_name"], given["patient_name"], False, given["sex"], given["birth_date"])
    if apart := differences(inside, outside):
        raise Invalid("patient_mismatch", "文件中的患者信息与上传时填写的不一致，已单独保留，请核对患者后重新上传。",
                      f"the file names another patient than the upload does ({', '.join(apart)}); kept aside.")
    return replace(inside, **{name: getattr(outside, name) for name in ("patient_id", "name", "name_as_sent", "sex", "birth_date")
                              if not getattr(inside, name) and getattr(outside, name)})


def _facts(recording: Recording, patient: PatientFacts, files: list[SourceFile], declared: dict) -> InstanceFacts:
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.content).digest() for file in files)).digest()
    own = f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"
    study_uid, series_uid, sop_uid = _uids(files[0].content) if recording.format == dicom.NAME else ("", "", "")
    return InstanceFacts(
        kind="ecg", format="dicom" if recording.format == dicom.NAME else recording.format, study_uid=study_uid or recording.study_uid or own, series_uid=series_uid or f"{own}.1"[:64],
        sop_uid=sop_uid or f"{own}.1.1"[:64], patient=patient, modality="ECG", study_description="静息心电图" if recording.duration_s <= 120 else "动态心电图",
        study_at=recording.start, accession_number=recording.accession_number or request.form.get("accession_number", "")[:64],
        series_number=1, instance_number=1, device_model=" ".join(p for p in (recording.device.manufacturer, recording.device.model) if p),
        notes=recording.notes, declared=declared)


def _uids(content: bytes) -> tuple[str, str, str]:
    """The study, series and instance UID of a DICOM ECG, so that it is the same object whichever door it takes."""
    header = dcmread(BytesIO(content), specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
    return tuple(str(header.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))


def _receipt(stored: tuple[StoredFile, ...]) -> list[dict]:
    return [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in stored]


def _words(quality) -> str:
    return "；".join(finding.zh for finding in quality.findings) or "已接收，信号良好。"


def _no(code: str, zh: str, en: str, stored: tuple[StoredFile, ...] = (), taken: Taken | None = None) -> Response:
    return jsonify(error=code, zh=zh, en=en, receipt=_receipt(stored), held=taken.held_id if taken else None)


def _refusal(error: HubError) -> tuple[Response, int]:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    return _no(error.code, error.zh, error.en), status
