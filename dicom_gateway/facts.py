"""From a stored DICOM file to what the hub's index keeps of it."""
from __future__ import annotations

from pydicom.dataset import Dataset

from dicom_gateway.dataset import summary
from hub.model.arrival import InstanceFacts, PatientFacts

ECG_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG Waveform Storage",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "General ECG Waveform Storage",
    "1.2.840.10008.5.1.4.1.1.9.1.3": "Ambulatory ECG Waveform Storage",
}


def facts_of(dataset: Dataset, habit: str = "") -> InstanceFacts:
    """The facts of one object that has its UIDs. Junk values have become empty, with a note. ``habit``: the encoding in
    which its device writes nearly all names, "" for none."""
    return facts_from(summary(dataset, habit))


def facts_from(told: dict) -> InstanceFacts:
    """The facts in a ``summary``."""
    is_ecg = told["sop_class_uid"] in ECG_CLASSES
    patient = PatientFacts(
        patient_id=told["patient_id"], name=told["patient_name"], name_as_sent=told["patient_name_original"],
        name_unsure=told["patient_name_unsure"], sex=told["sex"], birth_date=told["birth_date"], age=told["age"],
        other_names=tuple(dict.fromkeys(one for one in told["patient_name_candidates"] if one != told["patient_name"])),
        name_encoding=told["patient_name_encoding"])
    orientation = told["orientation"]
    return InstanceFacts(
        kind="ecg" if is_ecg else "image", format="dicom", study_uid=told["study_uid"], series_uid=told["series_uid"],
        sop_uid=told["sop_instance_uid"], sop_class=told["sop_class_uid"], transfer_syntax=told["transfer_syntax"],
        patient=patient, modality="ECG" if is_ecg else told["modality"] or "OT", body_part=told["body_part"].upper(),
        study_description=told["study_description"], series_description=told["series_description"],
        study_at=told["study_time"] or told["acquired_time"], accession_number=told["accession_number"],
        referring_physician=told["referring_physician"], referring_unsure=told["referring_physician_unsure"], study_number=told["study_id"],
        series_number=told["series_number"], instance_number=told["instance_number"], frames=told["frames"] or 1,
        rows=told["rows"], columns=told["columns"], position_mm=told["position_mm"],
        orientation=",".join(f"{v:.3f}" for v in orientation) if orientation else "",
        expected_in_series=told["series_instances_stated"], institution=told["institution"],
        device_model=" ".join(part for part in (told["manufacturer"], told["model"]) if part), notes=tuple(told["notes"]))
