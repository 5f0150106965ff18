"""What a door tells the hub about one object that came in: plain values, already decoded by the door."""
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PatientFacts:
    """The patient as the object names them. ``name`` is readable; ``name_as_sent`` is what the bytes say
    under the declared character set; ``name_unsure`` when the decoding had to guess, and then ``other_names`` are the
    further readings of its bytes. ``name_encoding``: in which a name of more than ASCII was surely read, else ""."""

    patient_id: str = ""
    name: str = ""
    name_as_sent: str = ""
    name_unsure: bool = False
    sex: str = ""
    birth_date: str = ""
    age: str = ""
    other_names: tuple[str, ...] = ()
    name_encoding: str = ""


@dataclass(frozen=True)
class StoredFile:
    """One blob that holds original bytes: the sender's file name, SHA-256 (hex) and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class InstanceFacts:
    """One instance. ``kind``: "image" or "ecg". ``format``: "dicom" or the ECG reader's name.
    ``referring_physician``: with component groups and carets, ``referring_unsure`` when its decoding had to guess;
    ``study_number``: the Study ID (0020,0010). ``position_mm``: along the slice normal, None where the object has none. ``expected_in_series``: what the
    sender says the series holds, None if it is silent. ``study_at``: local time as written, ISO 8601."""

    kind: str
    format: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str = ""
    transfer_syntax: str = ""
    patient: PatientFacts = PatientFacts()
    modality: str = ""
    body_part: str = ""
    study_description: str = ""
    series_description: str = ""
    study_at: str = ""
    accession_number: str = ""
    referring_physician: str = ""
    referring_unsure: bool = False
    study_number: str = ""
    series_number: int | None = None
    instance_number: int | None = None
    frames: int = 1
    rows: int | None = None
    columns: int | None = None
    position_mm: float | None = None
    orientation: str = ""
    expected_in_series: int | None = None
    institution: str = ""
    device_model: str = ""
    notes: tuple[str, ...] = ()
    declared: dict[str, str] = field(default_factory=dict)


def facts_from(told: dict) -> InstanceFacts:
    """The facts that ``asdict`` made plain, as JSON gives them back."""
    whose = told["patient"] | {"other_names": tuple(told["patient"].get("other_names", ()))}
    values = told | {"patient": PatientFacts(**whose), "notes": tuple(told["notes"])}
    return InstanceFacts(**values)


@dataclass(frozen=True)
class Taken:
    """What became of an arrival. ``outcome``: "stored", "duplicate" (same bytes, kept once), "conflict"
    (kept aside beside the first) or "quarantined" (kept, unreadable). All four are safe on disk. ``begun``: it began a study, of
    which the hub knows that its sender is still connected. ``name_encoding``: of the patient's name where it was read surely,
    told once a study, by the object that began it."""

    outcome: str
    study_id: int | None = None
    instance_id: int | None = None
    held_id: int | None = None
    reason: str = ""
    begun: bool = False
    name_encoding: str = ""
