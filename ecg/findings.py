"""What the hub measured on a recording: values with units, or None with the reason."""
from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np


@dataclass(frozen=True)
class Measured:
    """One measurement. ``value`` is None exactly when ``reason`` says why it cannot be made
    (``no_p_wave``, ``lead_off``, ``too_noisy``, ``too_few_beats``, ``no_qrs`` ...)."""

    value: float | None
    unit: str
    reason: str = ""

    def __post_init__(self):
        if (self.value is None) != bool(self.reason):
            raise ValueError("a missing value needs a reason, and only a missing value")


@dataclass(frozen=True)
class Finding:
    """One remark on signal quality or electrodes: ``code`` is stable, ``leads`` where it is seen,
    ``confidence`` 0..1, ``zh`` and ``en`` are sentences for the person beside the patient."""

    code: str
    leads: tuple[str, ...]
    zh: str
    en: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Quality:
    """``verdict``: "good", "usable" or "repeat" (record again while the patient is here).
    ``leads_off``: leads without a usable signal. ``findings``: the reasons."""

    verdict: str
    leads_off: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Beat:
    """Fiducial points of one beat, in samples of the recording; None where the wave is absent.
    ``shape`` numbers the shapes of QRS: 0 is the dominant one, others are ectopic or aberrant beats."""

    r: int
    p_on: int | None = None
    p_peak: int | None = None
    p_off: int | None = None
    qrs_on: int | None = None
    qrs_off: int | None = None
    t_peak: int | None = None
    t_off: int | None = None
    shape: int = 0


@dataclass(frozen=True)
class Statement:
    """One machine statement, always unconfirmed until a person confirms it. ``code``: SCP/AHA;
    ``evidence``: what it rests on; ``critical``: the rule pack marks it as a critical value; ``beats``: numbers of
    the beats it is about (of a pause the beat before it), empty where it holds in every beat."""

    code: str
    zh: str
    en: str
    evidence: str = ""
    leads: tuple[str, ...] = ()
    critical: bool = False
    rule: str = ""
    beats: tuple[int, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """Everything measured on one recording. ``measurements`` by name: heart_rate, rr, p, pr, qrs, qt,
    qtc_bazett, qtc_fridericia, qtc_framingham, qtc_hodges, p_axis, qrs_axis, t_axis.
    ``lead_measurements``: lead -> name -> Measured (amplitudes and ST in microvolts)."""

    engine: str
    quality: Quality
    measurements: dict[str, Measured]
    lead_measurements: dict[str, dict[str, Measured]] = field(default_factory=dict)
    beats: tuple[Beat, ...] = ()
    statements: tuple[Statement, ...] = ()

    def as_json(self) -> dict:
        """Plain types only: numpy numbers become Python's, tuples become lists."""
        return _plain(asdict(self))


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
