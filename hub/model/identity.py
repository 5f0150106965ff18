"""Whether two objects speak of the same person: cautious, because mixing two patients is the worst fault."""
from __future__ import annotations

import hashlib
import unicodedata

from hub.model.arrival import PatientFacts

LONGEST_KEY = 400


def name_key(name: str) -> str:
    """A name for comparison: NFKC, case folded, without spaces and DICOM's component marks."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(ch for ch in folded if ch.isalnum())


def identity_key(patient: PatientFacts) -> str:
    """One string per person within a site: identifier, name, birth date and sex all belong to it, so that a
    reused identifier never joins two people. At most LONGEST_KEY characters: the end of a longer one is its hash."""
    key = "|".join((patient.patient_id.strip(), name_key(patient.name), patient.birth_date, patient.sex))
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:LONGEST_KEY - 65]}#{hashlib.sha256(key.encode()).hexdigest()}"


def differences(one: PatientFacts, other: PatientFacts) -> tuple[str, ...]:
    """The attributes in which both objects speak and disagree. Silence is no disagreement."""
    pairs = (("patient_id", one.patient_id.strip(), other.patient_id.strip()),
             ("name", name_key(one.name), name_key(other.name)),
             ("birth_date", one.birth_date, other.birth_date),
             ("sex", one.sex, other.sex))
    return tuple(what for what, a, b in pairs if a and b and a != b)
