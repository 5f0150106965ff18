"""How leads are called: the twelve standard ones in one spelling, every other as its writer spelled it."""
from __future__ import annotations

from ecg.recording import STANDARD_LEADS

_BY_UPPER_CASE = {lead.upper(): lead for lead in STANDARD_LEADS}
_DECORATION = ("MDC_ECG_LEAD_", "MDC_ECG_LEAD-", "ECG_LEAD_", "LEAD_", "LEAD ", "ECG ", "EKG ")


def standard_name(written: str) -> str:
    """``Lead avr``, ``MDC_ECG_LEAD_AVR`` and ``aVR`` are all ``aVR``; ``MLII`` or ``X`` stay as written.

    Only decoration and letter case are undone. ``MLII`` is not ``II``, ``V5R`` is not ``V5``.
    """
    name = " ".join(written.replace("\x00", " ").split())
    bare = name
    for decoration in _DECORATION:
        if bare.upper().startswith(decoration):
            bare = bare[len(decoration):].strip()
    return _BY_UPPER_CASE.get(bare.upper(), bare or name)


def is_standard(lead: str) -> bool:
    """Whether a name, already through ``standard_name``, is one of the twelve."""
    return lead in STANDARD_LEADS
