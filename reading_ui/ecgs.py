"""The ECG reading desk: the sheet on true paper, what was measured, and the report beside it."""
from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
from flask import Blueprint, Response, redirect, render_template, request, url_for

from dicom_gateway.corrected import corrected
from dicom_gateway.serving import CORRECTED, change_of, overlays_for
from ecg.dsp.filters import remove_baseline, remove_mains, remove_muscle
from ecg.errors import UnreadableRecording
from ecg.export import NotRepresentable, dicom_bytes, dicom_waveform
from ecg.heading import UNCONFIRMED, measured_pairs, statement_lines
from ecg.recording import PatientAsWritten
from ecg.render import BadSheetOption, SheetHeading, compose, options_from_query, svg
from hub.errors import Invalid, NotFound
from hub.flow import cautions, fixity, orders, retention, studies
from reading_ui import panel, serial, wording
from reading_ui.analysis import analysis_of, beat_marks, for_templates, has_few_leads, places_of, recording_of, shown_measurements
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import age, language, sentence, sex, study_time

desk = Blueprint("ecgs", __name__)
FILTERS = {"baseline": remove_baseline, "mains": remove_mains, "muscle": remove_muscle}


@desk.get("/ecgs/<int:study_id>")
@needs("study.view")
def page(study_id: int):
    hub, actor = the_hub(), the_actor()
    row = studies.find(hub, actor, study_id)
    if row.kind != "ecg":
        return redirect(url_for("studies.page", study_id=study_id))
    studies.opened(hub, actor, row, "ecg")
    removed = retention.removal_of(hub, row.id)
    gone = retention.gone(removed) if removed else None
    found = analysis_of(hub, row.id)
    measured = for_templates(found)
    page = render_template("ecg.html", study=row, damaged=fixity.damaged_of(hub, row.id), panel=panel.panel_for(hub, actor, row, measured), analysis=found, now=hub.now(),
                           w=wording,
                           measurements=shown_measurements(found), places=places_of(found), beats=beat_marks(found),
                           few_leads=has_few_leads(found), earlier=studies.earlier_of_patient(hub, actor, row),
                           serial=serial.serial_of(hub, actor, row), beside=orders.beside(hub, actor, row),
                           cautions=cautions.of_patient(hub, actor, row.patient_id), gone={"zh": gone.zh, "en": gone.en} if gone else None)
    return page, 410 if gone else 200


@desk.get("/ecgs/<int:study_id>/compare")
@needs("study.view")
def comparison(study_id: int):
    """This ECG beside an earlier one of the patient: numbers, and both median beats over each other."""
    hub, actor = the_hub(), the_actor()
    row = _there(hub, actor, study_id)
    compared = serial.serial_of(hub, actor, row, request.args.get("with", type=int))
    if compared is None:
        return redirect(url_for("ecgs.page", study_id=study_id))
    studies.opened(hub, actor, compared.earlier, "comparison")
    return render_template("ecg_comparison.html", study=row, serial=compared, values=serial.values_of(compared))


@desk.get("/ecgs/<int:study_id>/compare.svg")
@needs("study.images")
def beats(study_id: int):
    """The drawing of the comparison."""
    hub, actor = the_hub(), the_actor()
    compared = serial.serial_of(hub, actor, _there(hub, actor, study_id), request.args.get("with", type=int))
    drawn = serial.drawing(compared, language()) if compared else None
    if drawn is None:
        raise NotFound("not_found", "两份心电图没有可比的导联或心搏。", "the two ECGs have no leads or beats in common.")
    return Response(drawn, mimetype="image/svg+xml", headers={"Cache-Control": "private, no-cache"})


@desk.get("/ecgs/<int:study_id>/ecg.dcm")
@needs("study.images")
def as_dicom(study_id: int):
    """The ECG as a DICOM object that any PACS can hold: as it came where it came as DICOM, else written from the original."""
    hub, actor = the_hub(), the_actor()
    row = _there(hub, actor, study_id)
    instances = studies.instances_of(hub, row.id)
    if row.kind != "ecg" or not instances:
        raise NotFound("not_found", "该检查没有心电记录。", "this study holds no ECG.")
    content = _dicom_of(hub, row, instances[-1])
    studies.opened(hub, actor, row, "dicom")
    return Response(content, mimetype="application/dicom", headers={
        "Cache-Control": "private, no-store", "Content-Disposition": f'attachment; filename="ecg-{row.id}.dcm"'})


@desk.get("/ecgs/<int:study_id>/sheet.svg")
@needs("study.images")
def sheet(study_id: int):
    """The drawing of the sheet as the page asks for it: layout, speed, gain, filters and start."""
    hub = the_hub()
    row = _there(hub, the_actor(), study_id)
    instances = studies.instances_of(hub, row.id)
    if not instances:
        raise NotFound("not_found", "该检查没有心电记录。", "this study holds no ECG.")
    try:
        recording = recording_of(hub, instances[-1])
        options = options_from_query(request.args, language=language())
        found = analysis_of(hub, row.id)
        drawn = compose(_filtered(recording, options.filters), options, _heading(row, found), tuple(found["quality"]["leads_off"]) if found else ())
    except UnreadableRecording as error:
        raise Invalid(error.code, error.zh, error.en) from error
    except BadSheetOption as error:
        raise Invalid(f"bad_{error.option}", f"{error.zh}。", f"{error.option}: {error.en}.") from error
    return Response(svg(drawn), mimetype="image/svg+xml", headers={"Cache-Control": "private, no-cache"})


def _there(hub, actor, study_id: int):
    """The row of a study whose original is kept. NotFound as ``studies.find``; Gone where it was removed by rule."""
    row = studies.find(hub, actor, study_id)
    retention.require_there(hub, row.id)
    return row


def _dicom_of(hub, row, instance) -> bytes:
    if instance.format == "dicom":
        change = change_of(hub, overlays_for(hub, (row.id,), CORRECTED), row.id, instance.series_id, instance.id, instance.calling)
        return hub.blobs.read(instance.sha256) if change is None else corrected(hub.blobs.path(instance.sha256), change).content()
    series = next(one for one in studies.series_of(hub, row.id) if one.id == instance.series_id)
    try:
        recording = recording_of(hub, instance)
        written = recording.patient
        if row.sent_patient_id is not None:           # corrected: what the recording says of its patient is no longer true
            written = PatientAsWritten()
        patient = replace(written, patient_id=row.patient_number or written.patient_id, name=row.patient_name or written.name,
                          sex=row.sex or written.sex, birth_date=row.birth_date or written.birth_date)
        return dicom_bytes(dicom_waveform(
            replace(recording, patient=patient, accession_number=row.accession_number or recording.accession_number),
            study_uid=row.study_uid, series_uid=series.series_uid, sop_uid=instance.sop_uid,
            received=row.received_at.astimezone(ZoneInfo(hub.settings.timezone)).replace(tzinfo=None)))
    except UnreadableRecording as error:
        raise Invalid(error.code, error.zh, error.en) from error
    except NotRepresentable as error:
        raise Invalid("not_representable", error.zh, error.en) from error


def _filtered(recording, names: tuple[str, ...]):
    samples = recording.samples_uv
    for name in FILTERS:
        if name in names:
            samples = FILTERS[name](samples, recording.rate_hz)
    return recording if samples is recording.samples_uv else replace(recording, samples_uv=np.asarray(samples, dtype=np.float64))


def _heading(row, found: dict | None) -> SheetHeading:
    statements = statement_lines(found["statements"], language()) if found else ()
    return SheetHeading(name=row.patient_name, sex=sex(row.sex), age=age(row.age, row.birth_date), patient_id=row.patient_number,
                        recorded_at=study_time(row.study_at), institution=row.site_name, accession_number=row.accession_number,
                        device=row.device_model, measurements=measured_pairs(found["measurements"], language()) if found else (),
                        statements=statements, status=sentence(*UNCONFIRMED) if statements else "")
