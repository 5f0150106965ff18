"""Kinds of identifier and where they come from: a resident number in the field for the patient number is still one.

Devices put what the operator typed into whatever field they have. What a text is follows from its own checks first (a
resident number proves itself), then from the words of its issuer, then from the field.
"""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from hub.model import resident_id
from hub.model.identity import PlaceholderRules, usable_number

RESIDENT_ID, INSURANCE, HOSPITAL, PHONE, ADDRESS = "resident_id", "insurance", "hospital", "phone", "address"
KINDS = (RESIDENT_ID, INSURANCE, HOSPITAL, PHONE, ADDRESS)
KIND_WORDS = {RESIDENT_ID: ("身份证号", "resident number"), INSURANCE: ("医保号", "insurance number"), HOSPITAL: ("患者编号", "patient number"),
              PHONE: ("电话", "phone"), ADDRESS: ("住址", "address")}
CERTAIN, OLD, MISTYPED = "certain", "old", "mistyped"
LONGEST = 128

_RESIDENT = re.compile(r"(?<!\d)(\d{17}[\dXx]|\d{15})(?![\dXx])")
_MOBILE = re.compile(r"(?<!\d)(?:\+?86)?(1[3-9]\d{9})(?!\d)")
_LANDLINE = re.compile(r"(?<!\d)(0\d{2,3})(\d{7,8})(?!\d)")


@dataclass(frozen=True)
class Said:
    """One text that points at a person. ``source``: the field ("PatientID", "OtherPatientIDs" ...). ``about``: issuer and type as
    written. ``kind``: where the field itself says what it holds, else ""."""

    text: str
    source: str
    about: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Identifier:
    """``value`` is what is compared, ``written`` what stood there. ``verdict``, of resident numbers: "certain" (its check fits),
    "old" (15 places, without a check) or "mistyped" (its check fails)."""

    kind: str
    value: str
    source: str
    written: str
    verdict: str = ""


def identifiers(said: Iterable[Said], kinds: Mapping[str, tuple[str, ...]], placeholders: PlaceholderRules,
                today: date | None = None) -> tuple[Identifier, ...]:
    """Every identifier that the texts hold, each kind and value once. ``kinds``: words that an issuer uses. Placeholders are none."""
    found: dict[tuple[str, str], Identifier] = {}
    for one in said:
        for each in _of(one, kinds, placeholders, today):
            found.setdefault((each.kind, each.value), each)
    return tuple(found.values())


def _of(one: Said, kinds: Mapping[str, tuple[str, ...]], placeholders: PlaceholderRules, today: date | None) -> list[Identifier]:
    text = unicodedata.normalize("NFKC", one.text).strip()[:LONGEST]
    if not text:
        return []

    def made(kind: str, value: str, verdict: str = "") -> Identifier:
        return Identifier(kind, value[:LONGEST], one.source, one.text.strip()[:LONGEST], verdict)

    if one.kind == ADDRESS:
        bare = "".join(ch for ch in text if ch.isalnum())
        return [made(ADDRESS, bare)] if len(bare) > 3 else []
    hinted = one.kind or _hint(one.about, kinds)
    residents = _residents(text, hinted == RESIDENT_ID, today)
    if residents:
        return [made(RESIDENT_ID, value, verdict) for value, verdict in residents]
    phones = _phones(text)
    if phones and hinted in ("", PHONE):
        return [made(PHONE, value) for value in phones]
    bare = re.sub(r"\s", "", text).casefold()
    if hinted == PHONE or not usable_number(bare, placeholders):
        return []
    return [made(hinted if hinted == INSURANCE else HOSPITAL, bare)]


def _residents(text: str, expected: bool, today: date | None) -> list[tuple[str, str]]:
    """Numbers that prove themselves; one of 15 places counts where nothing else is written or one is expected, for any 15
    digits may be a patient number; one that fails its check counts as mistyped."""
    level = resident_id.normal(text)
    found = []
    for piece in _RESIDENT.findall(level):
        known = resident_id.found_in(piece, today)
        if known is not None and (known.is_certain or expected or level == piece):
            found.append((known.number, CERTAIN if known.is_certain else OLD))
        elif known is None and resident_id.fault_of(piece, today) == "check":
            found.append((piece.upper(), MISTYPED))
    return found


def _phones(text: str) -> list[str]:
    bare = re.sub(r"[\s()\-]", "", text)
    return [*_MOBILE.findall(bare), *("".join(parts) for parts in _LANDLINE.findall(bare))]


def _hint(about: str, kinds: Mapping[str, tuple[str, ...]]) -> str:
    level = re.sub(r"[\s_\-]", "", unicodedata.normalize("NFKC", about)).casefold()
    return next((kind for kind, words in kinds.items() if any(word in level for word in words)), "")
