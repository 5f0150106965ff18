"""The HTTP door for ECG carts: ``POST /api/ecg`` with a device token, answered with a receipt.

Original bytes are streamed to disk before anything is read from them. What cannot be read is kept in quarantine
and answered with what was wrong; a signal that should be recorded again is said at once, while the patient is
still lying there. Of a long recording only the first minute is looked at here, and the answer says so.
"""
from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from threading import Lock
from typing import BinaryIO

from flask import Blueprint, Response, jsonify, request
from pydicom import dcmread
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

from ecg.analysis import analyse
from ecg.errors import UnreadableRecording
from ecg.files import HEAD_BYTES, MAX_UPLOAD_BYTES, open_recording
from ecg.jobs import QUALITY_ZH, beginning_of, summary_line
from ecg.readers import dicom
from ecg.recording import Recording, SourceFile
from hub.context import Hub
from hub.errors import HubError, Invalid, OutOfSpace, Refused, Retryable, translated
from hub.flow import devices, doors, intake
from hub.flow.devices import Device
from hub.model.arrival import InstanceFacts, PatientFacts, StoredFile, Taken
from hub.model.identity import differences

DECLARED = ("rate_hz", "unit", "leads")
PATIENT = ("patient_id", "patient_name", "sex", "birth_date")
STATUS = {Refused: 401, Invalid: 400, OutOfSpace: 507, Retryable: 503}
CHECKED_S = 60.0              # of a recording are looked at while the sender waits
HEAVY_BYTES = 4_000_000       # more than this is read by one request at a time, so that memory stays bounded
LONGEST_FIELD = 256
PIECE = 1 << 20
MOST_PARTS = 128

log = logging.getLogger("hub.web")


class PatientMismatch(Invalid):
    """The file names another patient than the upload does."""


@dataclass(frozen=True)
class _Upload:
    """What came: files that are safe on disk, in the order of their hashes, and the words beside them."""

    stored: tuple[StoredFile, ...]
    words: Mapping[str, str]

    @property
    def declared(self) -> dict[str, str]:
        return {name: self.words[name] for name in DECLARED if self.words.get(name)}


def blueprint(hub: Hub) -> Blueprint:
    """The door, to be mounted where the web pages are. It is open to device tokens only, never to cookies."""
    door = Blueprint("ecg_door", __name__)
    heavy = Lock()

    @door.post("/api/ecg")
    def receive() -> tuple[Response, int]:
        request.max_content_length = hub.settings.largest_ecg_mb * 1_000_000
        request.max_form_parts = MOST_PARTS
        try:
            device = devices.by_token(hub, _token(), request.remote_addr or "")
            doors.require_pace(hub, device)
            return _take(hub, device, _arrived(hub), heavy)
        except RequestEntityTooLarge:
            return _no("too_large", f"文件超过 {hub.settings.largest_ecg_mb} MB（或表单过大），未接收。",
                       f"the upload is larger than {hub.settings.largest_ecg_mb} MB and was not taken in."), 413
        except HTTPException:
            return _no("broken_off", "传输中断或格式有误，未接收，请重新发送。", "the transfer broke off or is malformed; nothing was taken in, send it again."), 400
        except HubError as error:
            return _refusal(error)
        except Exception as error:
            if isinstance(error, OSError) and isinstance(full := translated(error), OutOfSpace):
                return _refusal(full)
            log.exception("an ECG could not be taken in")
            return _no("fault", "服务器内部错误，未确认接收，请稍后重新发送。", "an unexpected fault: nothing is acknowledged, send it again later."), 500

    return door


def facts_now(hub: Hub, stored: tuple[StoredFile, ...]) -> InstanceFacts:
    """The facts of files that were held, as they read now. Invalid where they still cannot be read."""
    upload = _Upload(stored, {})
    try:
        files = _files(hub, stored)
        recording = open_recording(files, upload.declared)
        return _facts(recording, _patient(recording, upload.words), files, upload)
    except UnreadableRecording as error:
        raise Invalid(error.code, error.zh, error.en) from error


def _take(hub: Hub, device: Device, upload: _Upload, heavy: Lock) -> tuple[Response, int]:
    stored = upload.stored
    with _turn(hub, stored, heavy):
        try:
            files = _files(hub, stored)
            recording = open_recording(files, upload.declared)
            patient = _patient(recording, upload.words)
        except UnreadableRecording as error:
            held = intake.quarantine(hub, device, "ecg", stored, "unreadable_ecg", error.zh, error.en)
            return _no(error.code, f"{error.zh}原始文件已保留。", f"{error.en} The original file is kept.", stored, held), 422
        except PatientMismatch as error:
            given = {name: upload.words[name] for name in PATIENT if upload.words.get(name)}
            held = intake.quarantine(hub, device, "ecg", stored, "other_patient", error.zh, error.en, given)
            return _no(error.code, error.zh, error.en, stored, held), 409
        taken = intake.take(hub, device, stored, _facts(recording, patient, files, upload))
        if taken.outcome in ("conflict", "quarantined"):
            zh, en = intake.REASONS[taken.reason]
            return _no(taken.reason, zh, en, stored, taken), 409
        return _receipt_for(recording, stored, taken), 201 if taken.outcome == "stored" else 200


def _receipt_for(recording: Recording, stored: tuple[StoredFile, ...], taken: Taken) -> Response:
    """The answer to what is safe already: nothing that fails from here on may deny that it was taken in."""
    told = dict(outcome=taken.outcome, receipt=_receipt(stored), study=taken.study_id, format=recording.format,
                leads=list(recording.leads), rate_hz=recording.rate_hz, duration_s=round(recording.duration_s, 3), unconfirmed=True)
    checked = beginning_of(recording, CHECKED_S)
    partly = f"（仅检查了前 {CHECKED_S:.0f} 秒）" if checked is not recording else ""
    try:
        analysis = analyse(checked)
    except Exception:
        log.exception("the quality of an ECG that was taken in could not be checked")
        quality = {"verdict": "unknown", "zh": "未能检查信号质量", "findings": [], "checked_s": 0.0}
        return jsonify(**told, quality=quality, summary="", zh="已接收，但未能检查信号质量。")
    findings = [{"code": f.code, "leads": list(f.leads), "zh": f.zh, "en": f.en} for f in analysis.quality.findings]
    verdict = analysis.quality.verdict
    quality = {"verdict": verdict, "zh": QUALITY_ZH[verdict], "findings": findings, "checked_s": round(checked.duration_s, 3)}
    words = "；".join(finding.zh for finding in analysis.quality.findings) or f"已接收，{QUALITY_ZH[verdict]}。"
    return jsonify(**told, quality=quality, summary=summary_line(analysis), zh=words + partly)


def _turn(hub: Hub, stored: tuple[StoredFile, ...], heavy: Lock) -> AbstractContextManager:
    """What is large, or may become so by unpacking, waits for its turn."""
    return heavy if sum(file.size for file in stored) > HEAVY_BYTES or any(_is_archive(hub, file) for file in stored) else nullcontext()


def _is_archive(hub: Hub, file: StoredFile) -> bool:
    with hub.blobs.open(file.sha256) as content:
        return content.read(2) == b"PK"


def _arrived(hub: Hub) -> _Upload:
    """Every byte of the request on disk: the files of a form, or the whole body as one file."""
    if request.mimetype == "multipart/form-data":
        uploads = [upload for name in request.files for upload in request.files.getlist(name)]
        stored = [_keep(hub, upload.stream, upload.filename or "") for upload in uploads]
        words = request.form
    else:
        stored = [_keep(hub, request.stream, request.headers.get("X-Filename", ""), request.content_length)]
        words = request.args
    if not stored:
        raise Invalid("no_file", "没有收到文件：请用表单字段 file 上传心电文件。", "no file came: upload the ECG file in the form field named file.")
    ordered = sorted({file.sha256: file for file in stored}.values(), key=lambda file: file.sha256)
    return _Upload(tuple(ordered), {name: _text(words[name]) for name in (*DECLARED, *PATIENT, "accession_number") if name in words})


def _keep(hub: Hub, stream: BinaryIO, name: str, announced: int | None = None) -> StoredFile:
    """One file on disk; where its size was announced, all of it or nothing: half a table reads as a whole one."""
    last = _text(name.replace("\\", "/").rpartition("/")[2])[-128:] or "ecg"
    with hub.blobs.writer(last) as writer:
        while piece := _next(stream):
            writer.write(piece)
        if announced is not None and writer.size != announced:
            raise BadRequest
        return writer.keep()


def _next(stream: BinaryIO) -> bytes:
    try:
        return stream.read(PIECE)
    except OSError as error:                # a web server's word for a body in chunks that ends too soon
        raise BadRequest from error


def _text(words: str) -> str:
    """Text that can be kept and shown: no control characters, of bounded length."""
    return "".join(character for character in words if character.isprintable()).strip()[:LONGEST_FIELD]


def _files(hub: Hub, stored: tuple[StoredFile, ...]) -> list[SourceFile]:
    if sum(file.size for file in stored) > MAX_UPLOAD_BYTES:
        raise UnreadableRecording("too_large", f"文件超过 {MAX_UPLOAD_BYTES // 2**20} MB，请截取需要诊断的部分后重发。",
                                  f"The files are larger than {MAX_UPLOAD_BYTES // 2**20} MB; please send the part to be read.")
    return [SourceFile(file.name, hub.blobs.read(file.sha256)) for file in stored]


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _patient(recording: Recording, words: Mapping[str, str]) -> PatientFacts:
    """The patient as the file says; the form fills in where the file is silent and may not contradict it."""
    written = recording.patient
    age = f"{int(written.age_years):03d}Y" if written.age_years is not None and written.age_years >= 1 else ""
    inside = PatientFacts(written.patient_id, written.name, written.name, False, written.sex, written.birth_date, age)
    given = {name: words.get(name, "") for name in PATIENT}
    outside = PatientFacts(given["patient_id"], given["patient_name"], given["patient_name"], False, given["sex"], given["birth_date"])
    if apart := differences(inside, outside):
        raise PatientMismatch("patient_mismatch", "文件中的患者信息与上传时填写的不一致，已单独保留，请核对患者后重新上传。",
                              f"the file names another patient than the upload does ({', '.join(apart)}); kept aside.")
    return replace(inside, **{name: getattr(outside, name) for name in ("patient_id", "name", "name_as_sent", "sex", "birth_date")
                              if not getattr(inside, name) and getattr(outside, name)})


def _facts(recording: Recording, patient: PatientFacts, files: list[SourceFile], upload: _Upload) -> InstanceFacts:
    """UIDs as the file has them; where it has none they follow from its bytes, so that sending it twice makes one."""
    digest = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in upload.stored)).digest()
    own = f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"
    named, form = {}, recording.format
    if recording.format == dicom.NAME:
        is_object = len(files) == 1 and dicom.sniff(files[0].content[:HEAD_BYTES], files[0].name)
        named, form = (_named(files[0].content), "dicom") if is_object else ({}, f"{dicom.NAME} (zip)")
    return InstanceFacts(
        kind="ecg", format=form, study_uid=named.get("StudyInstanceUID") or recording.study_uid or own,
        series_uid=named.get("SeriesInstanceUID") or f"{own}.1"[:64], sop_uid=named.get("SOPInstanceUID") or f"{own}.1.1"[:64],
        sop_class=named.get("SOPClassUID", ""), transfer_syntax=named.get("TransferSyntaxUID", ""), patient=patient, modality="ECG",
        study_description="静息心电图" if recording.duration_s <= 120 else "动态心电图",
        study_at=recording.start, accession_number=(recording.accession_number or upload.words.get("accession_number", ""))[:64],
        series_number=1, instance_number=1, device_model=" ".join(p for p in (recording.device.manufacturer, recording.device.model) if p),
        notes=recording.notes, declared=upload.declared)


def _named(content: bytes) -> dict[str, str]:
    """The UIDs of a DICOM ECG, so that it is the same object whichever door it takes."""
    names = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
    header = dcmread(BytesIO(content), specific_tags=names, force=True)
    return {name: str(header.get(name, "")) for name in names} | {"TransferSyntaxUID": str(header.file_meta.get("TransferSyntaxUID", ""))}


def _receipt(stored: tuple[StoredFile, ...]) -> list[dict]:
    return [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in stored]


def _no(code: str, zh: str, en: str, stored: tuple[StoredFile, ...] = (), taken: Taken | None = None) -> Response:
    return jsonify(error=code, zh=zh, en=en, receipt=_receipt(stored), held=taken.held_id if taken else None)


def _refusal(error: HubError) -> tuple[Response, int]:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    answer = _no(error.code, error.zh, error.en)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="ECG"'
    if isinstance(error, Retryable):
        answer.headers["Retry-After"] = "30"
    return answer, status
