"""What a device reports of its own work: a Modality Performed Procedure Step (PS3.4 F.7.2, PS3.3 C.4.13 to C.4.15)."""
from __future__ import annotations

from dataclasses import dataclass, field

from hub.model.arrival import PatientFacts

STATES = {"IN PROGRESS": "in_progress", "COMPLETED": "completed", "DISCONTINUED": "discontinued"}
EVENTS = {"in_progress": "set", "completed": "complete", "discontinued": "discontinue"}


@dataclass(frozen=True)
class StepSeries:
    """One performed series. ``instances``: the SOP Instance UIDs that the device made, images and others."""

    series_uid: str
    description: str
    instances: tuple[str, ...]


@dataclass(frozen=True)
class StepFacts:
    """One report of a device. ``state``: a state of the lifecycle. Times are local as written, ISO 8601. ``links``: pairs of
    accession number and study UID of the scheduled steps that it performs. ``content``: the whole as DICOM JSON."""

    sop_uid: str
    state: str
    study_uid: str
    patient: PatientFacts
    modality: str
    station: str = ""
    description: str = ""
    started_at: str = ""
    ended_at: str = ""
    reason: str = ""
    links: tuple[tuple[str, str], ...] = ()
    series: tuple[StepSeries, ...] = ()
    content: dict = field(default_factory=dict)
