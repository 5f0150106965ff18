"""Whether a study is the answer to an order: by the numbers that the worklist gave it, else by points with reasons.

Cautious, because a clinical question beside another patient's images is dangerous: who disagrees in name, sex, birth date or
resident number is never joined; without an equal number a person is asked.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from hub.model import resident_id
from hub.model.identity import name_key
from hub.model.names import same_letters
from hub.model.order import same_kind

K = TypeVar("K")

WORDS = {
    "accession_number": ("检查号一致", "same accession number"), "study_uid": ("检查 UID 来自本申请", "study UID is that of the order"),
    "procedure_step": ("设备报告在执行本申请", "the device reported to perform this order"),
    "resident_id": ("身份证号一致", "same resident number"), "patient_number": ("患者编号一致", "same patient number"),
    "name": ("姓名一致", "same name"), "name_latin": ("姓名拼音一致", "same name in pinyin"), "birth_date": ("出生日期一致", "same birth date"),
    "sex": ("性别一致", "same sex"), "modality": ("检查类型一致", "same modality"), "near": ("与预约时间接近", "close to the scheduled time"),
    "same_day": ("同一天", "same day"), "station": ("预约的设备", "the scheduled device"),
    "apart_name": ("姓名不同", "other name"), "apart_sex": ("性别不同", "other sex"), "apart_birth_date": ("出生日期不同", "other birth date"),
    "apart_resident_id": ("身份证号不同", "other resident number"),
}
NUMBERS = ("resident_id", "patient_number")


@dataclass(frozen=True)
class Party:
    """The person and examination that one side names. ``name_latin``: the name in Latin letters, where it is known.
    ``at``: local time without a zone, None where unknown. ``station``: id of the device, None for any."""

    patient_number: str = ""
    resident_id: str = ""
    name: str = ""
    name_latin: str = ""
    sex: str = ""
    birth_date: str = ""
    modality: str = ""
    at: datetime | None = None
    station: int | None = None


@dataclass(frozen=True)
class Rules:
    """Points and limits of hub/data/order_matching.toml."""

    version: str
    source: str
    join: int
    lead: int
    suggest: int
    within_hours: float
    near_hours: float
    reach_days: int
    points: dict[str, int]


@dataclass(frozen=True)
class Verdict:
    """``outcome``: "join", "suggest", "object" (the numbers say yes, the person says no) or "none". ``reasons``: codes of WORDS."""

    outcome: str
    score: int
    reasons: tuple[str, ...]


def weigh(order: Party, study: Party, rules: Rules, link: str = "") -> Verdict:
    """Weighs one order against one study. ``link``: "accession_number", "study_uid" or "procedure_step" where the device
    carried that over from the worklist."""
    alike, apart = _person(order, study)
    numbered = any(code in NUMBERS for code in alike)
    is_slip = len(apart) == 1 and numbered and apart[0] != "apart_resident_id"      # one field mistyped beside an equal number
    if link:
        score = sum(rules.points[code] for code in alike)
        reasons = (link, *alike, *apart)
        if apart and not is_slip:
            return Verdict("object", score, reasons)
        known = numbered or any(code in ("name", "name_latin") for code in alike)
        return Verdict("join" if known and not apart else "suggest", score, reasons)
    circumstances = _circumstances(order, study, rules)
    if circumstances is None or (apart and not is_slip):
        return Verdict("none", 0, tuple(apart))
    reasons = (*alike, *circumstances)
    score = sum(rules.points[code] for code in reasons)
    if score >= rules.join and numbered and not apart:
        return Verdict("join", score, reasons)
    is_person = numbered or any(code in ("name", "name_latin") for code in alike)
    return Verdict("suggest" if score >= rules.suggest and is_person else "none", score, (*reasons, *apart))


def choose(weighed: Sequence[tuple[K, Verdict]], rules: Rules) -> list[tuple[K, Verdict]]:
    """Those worth a word, the best first. One joins only where it is clearly ahead; else each is a suggestion."""
    found = sorted((one for one in weighed if one[1].outcome in ("join", "suggest")), key=lambda one: -one[1].score)
    if len(found) > 1 and found[0][1].score - found[1][1].score < rules.lead:
        return [(key, Verdict("suggest", verdict.score, verdict.reasons)) for key, verdict in found]
    return [(key, verdict if place == 0 else Verdict("suggest", verdict.score, verdict.reasons)) for place, (key, verdict) in enumerate(found)]


def same_name(order: Party, study: Party) -> str:
    """"name", "name_latin", "" where one is silent, or "apart_name"."""
    if not order.name or not (study.name or study.name_latin):
        return ""
    if study.name and name_key(order.name) == name_key(study.name):
        return "name"
    latin = [text for text in (study.name, study.name_latin) if text and text.isascii()]
    if order.name_latin and any(same_letters(order.name_latin, text) for text in latin):
        return "name_latin"
    return "apart_name"


def _person(order: Party, study: Party) -> tuple[list[str], list[str]]:
    """In what the two persons agree and disagree. A number of a device's own is no disagreement."""
    alike, apart = [], []
    sides = {resident_id.normal(text) for text in (study.resident_id, study.patient_number) if text and resident_id.found_in(text)}
    if order.resident_id and sides:
        (alike if order.resident_id in sides else apart).append("resident_id" if order.resident_id in sides else "apart_resident_id")
    if order.patient_number and order.patient_number == study.patient_number and "resident_id" not in alike:
        alike.append("patient_number")
    named = same_name(order, study)
    if named:
        (apart if named == "apart_name" else alike).append(named)
    if order.birth_date and study.birth_date:
        (alike if order.birth_date == study.birth_date else apart).append("birth_date" if order.birth_date == study.birth_date else "apart_birth_date")
    if order.sex in ("M", "F") and study.sex in ("M", "F"):
        (alike if order.sex == study.sex else apart).append("sex" if order.sex == study.sex else "apart_sex")
    return alike, apart


def _circumstances(order: Party, study: Party, rules: Rules) -> list[str] | None:
    """What speaks for the same examination; None where it cannot be the same."""
    if not same_kind(order.modality, study.modality):
        return None
    found = ["modality"]
    if order.at and study.at:
        hours = abs((order.at - study.at).total_seconds()) / 3600
        if hours > rules.within_hours:
            return None
        if hours <= rules.near_hours:
            found.append("near")
        if order.at.date() == study.at.date():
            found.append("same_day")
    if order.station is not None and order.station == study.station:
        found.append("station")
    return found
