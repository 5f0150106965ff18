"""Whether two objects speak of the same person: cautious, because mixing two patients is the worst fault."""
from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from hub.model.arrival import PatientFacts

LONGEST_KEY = 400


@dataclass(frozen=True)
class PlaceholderRules:
    """What stands where a name or number should, compared as ``name_key`` does (hub/data/identity.toml)."""

    names: frozenset[str]
    name_patterns: tuple[str, ...]
    numbers: frozenset[str]
    number_patterns: tuple[str, ...]


def usable_name(name: str, rules: PlaceholderRules) -> bool:
    """Whether a name is somebody's: neither empty nor one of the words that devices and hurried people write instead."""
    key = name_key(name)
    return bool(key) and key not in rules.names and not any(re.fullmatch(pattern, key) for pattern in rules.name_patterns)


def usable_number(number: str, rules: PlaceholderRules) -> bool:
    """Whether a patient number is somebody's rather than a device's placeholder such as 000000."""
    key = name_key(number)
    return key not in rules.numbers and not any(re.fullmatch(pattern, key) for pattern in rules.number_patterns)


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
    """The attributes in which both objects speak and disagree. Silence is no disagreement, nor are two readings of the
    same unsure name: which one is put first may have changed meanwhile."""
    pairs = (("patient_id", one.patient_id.strip(), other.patient_id.strip()),
             ("name", *_names_apart(one, other)),
             ("birth_date", one.birth_date, other.birth_date),
             ("sex", one.sex, other.sex))
    return tuple(what for what, a, b in pairs if a and b and a != b)


def _names_apart(one: PatientFacts, other: PatientFacts) -> tuple[str, str]:
    """The keys of both names, made the same where one of the readings of both is."""
    a, b = name_key(one.name), name_key(other.name)
    if a != b and (one.other_names or other.other_names):
        shared = {a, *map(name_key, one.other_names)} & {b, *map(name_key, other.other_names)} - {""}
        return (a, a) if shared else (a, b)
    return a, b
