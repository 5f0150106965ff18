"""What an ECG file says, in one shape for every format: leads, microvolts, rate, and words as written."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

STANDARD_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class SourceFile:
    """One file as it arrived: the sender's name for it (not trusted) and its bytes (never changed)."""

    name: str
    content: bytes


@dataclass(frozen=True)
class PatientAsWritten:
    """The patient as the file names them; an empty string where the file is silent. Nothing is guessed."""

    patient_id: str = ""
    name: str = ""
    sex: str = ""          # "M", "F", "O" or ""
    birth_date: str = ""   # YYYY-MM-DD, or ""
    age_years: float | None = None


@dataclass(frozen=True)
class DeviceAsWritten:
    """The cart as the file names it."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""


@dataclass(frozen=True)
class Recording:
    """A resting or ambulatory ECG in microvolts.

    ``samples_uv``: float64, shape (leads, samples), microvolts; NaN where the device recorded a gap or a
    fill value. ``leads``: names in the order of the rows; the twelve standard leads are spelled as in
    ``STANDARD_LEADS``, any other as written. ``rate_hz``: samples per second of every row.
    ``lsb_uv``: microvolts of one count per lead, for exactness checks and re-export.
    ``start``: local time as written, ISO 8601 without zone, or "". ``device_measurements`` and
    ``device_statements`` are the cart's own and are never mixed with ours. ``notes``: what the reader had
    to do or noticed, as stable codes with detail (``derived:III,aVR,aVL,aVF``).
    """

    format: str
    leads: tuple[str, ...]
    samples_uv: np.ndarray
    rate_hz: float
    lsb_uv: tuple[float, ...]
    start: str = ""
    patient: PatientAsWritten = PatientAsWritten()
    device: DeviceAsWritten = DeviceAsWritten()
    filters_as_written: str = ""
    accession_number: str = ""
    study_uid: str = ""
    device_measurements: dict[str, float | str] = field(default_factory=dict)
    device_statements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if self.samples_uv.ndim != 2 or self.samples_uv.shape[0] != len(self.leads):
            raise ValueError("samples_uv must be (leads, samples)")
        if len(self.lsb_uv) != len(self.leads):
            raise ValueError("lsb_uv must name one value per lead")
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise ValueError("rate_hz must be positive")

    @property
    def duration_s(self) -> float:
        return self.samples_uv.shape[1] / self.rate_hz

    def lead(self, name: str) -> np.ndarray:
        """The samples of one lead, shape (samples,), microvolts. KeyError if the recording lacks it."""
        try:
            return self.samples_uv[self.leads.index(name)]
        except ValueError:
            raise KeyError(name) from None
