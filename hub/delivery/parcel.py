"""What a channel is handed: one signed report or one announcement, and where it goes. A channel changes no row."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Parcel:
    """``idempotency_key`` is the same for every attempt, so that a receiver keeps a report once. ``address`` is
    the destination's (AE title, host, port; or URL and secret). Channels raise Retryable when trying again may
    help and Permanent when it cannot; they return a word for the receipt."""

    idempotency_key: str
    pdf: bytes
    pdf_sha256: str
    address: dict
    report_id: int
    report_number: str
    version: int
    signed_at: datetime
    study_uid: str
    accession_number: str
    modality: str
    study_at: str
    patient_id: str
    patient_name: str
    patient_sex: str
    patient_birth_date: str
    site_code: str
    site_name: str
    institution: str
    impression: str
    positive: bool | None
    critical: bool
    reader_name: str
    reviewer_name: str


@dataclass(frozen=True)
class Announcement:
    """That a study can be fetched. ``series``: pairs of series UID and the (class, UID) of its instances, in order;
    ``steps``: UIDs of the procedure steps that made them."""

    address: dict
    study_uid: str
    series: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    steps: tuple[str, ...] = ()
