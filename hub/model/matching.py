"""Whether two patient rows are one person: points with reasons, and the few cases in which nobody need be asked.

Only the same certain resident number with an agreeing name, and nothing that disagrees, links by itself. Two different
certain numbers are two people. Everything between is put before a person with its reasons. All numbers are data
(hub/data/identity.toml).
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hub.model import names
from hub.model.names import NameForms

SAME, ASK, APART = "same", "ask", "apart"

REASONS = {
    "resident_id": ("身份证号相同", "same resident number"),
    "resident_id_old": ("身份证号相同（其中一个为 15 位旧号）", "same resident number, one in its old form of 15 places"),
    "resident_id_one_digit": ("身份证号相同或仅差一位，其中有校验不符", "resident numbers the same or one digit apart, one of them failing its check"),
    "resident_id_other": ("身份证号不同", "different resident numbers"),
    "insurance": ("医保号相同", "same insurance number"),
    "hospital": ("同一机构的患者编号相同", "same patient number at the same institution"),
    "phone": ("电话相同", "same phone number"),
    "address": ("住址相同", "same address"),
    "name": ("姓名相同", "same name"),
    "name_pinyin": ("姓名与拼音相符", "the name fits its spelling"),
    "name_homophone": ("姓名同音", "names read alike"),
    "name_one_character": ("姓名差一字", "names one character apart"),
    "name_other": ("姓名不同", "different names"),
    "birth_date": ("出生日期相同", "same birth date"),
    "birth_date_near": ("出生日期相近（差一位、月日颠倒或只知年份）", "birth dates nearly the same (a digit, day and month, or the year only)"),
    "birth_date_other": ("出生日期不同", "different birth dates"),
    "sex": ("性别相同", "same sex"),
    "sex_other": ("性别不同", "different sex"),
    "same_site": ("同一机构", "same institution"),
    "id_against_birth_date": ("登记的出生日期或年龄与身份证号不符", "the declared birth date or age contradicts the resident number"),
    "id_against_sex": ("登记的性别与身份证号不符", "the declared sex contradicts the resident number"),
    "kept_apart": ("曾由人工判定不是同一人", "a person has decided that they are two people"),
    "assigned": ("归属检查时由人工关联", "linked by a person who assigned a study"),
    "contradicts_a_member": ("与该患者已关联的其他记录矛盾", "contradicts another row of the same person"),
}
CONTRADICTIONS = frozenset({"resident_id_other", "name_other", "birth_date_other", "sex_other", "id_against_birth_date", "id_against_sex"})

WARNINGS = {
    "same_name": ("同名患者", "namesake"),
    "twin": ("疑似双胞胎或同胞", "possible twin or sibling"),
    "shared_phone": ("与他人共用电话", "phone shared with somebody else"),
}


@dataclass(frozen=True)
class Known:
    """All that is known of one patient row. ``resident_ids``: certain numbers of 18 places; ``old_ids``: converted ones without
    a check of their own; ``mistyped_ids``: what looks like a number and fails its check. ``contradicts``: in what the declared
    birth date and sex contradict the certain number. Dates are ISO."""

    patient_id: int
    site_id: int
    name: NameForms
    birth_date: str = ""
    sex: str = ""
    resident_ids: frozenset[str] = frozenset()
    old_ids: frozenset[str] = frozenset()
    mistyped_ids: frozenset[str] = frozenset()
    insurance: frozenset[str] = frozenset()
    hospital: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    contradicts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MatchRules:
    """Points by reason, the score from which a person is asked, and how near namesakes elsewhere must be born."""

    version: str
    source: str
    suggest: float
    points: Mapping[str, float]
    same_name_years: int


@dataclass(frozen=True)
class Match:
    """``verdict``: "same" (linked by rule), "ask" (a person decides) or "apart". ``reasons``: (code, points) in order of weight;
    ``warnings``: keys of WARNINGS, for pairs that might be mixed up."""

    verdict: str
    score: float
    reasons: tuple[tuple[str, float], ...]
    warnings: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = field(default=())


def match(one: Known, other: Known, rules: MatchRules) -> Match:
    """Compares two rows. The order of the two makes no difference."""
    codes = [*_of_numbers(one, other), *_of_person(one, other)]
    reasons = sorted(((code, rules.points.get(code, 0.0)) for code in codes), key=lambda reason: (-abs(reason[1]), reason[0]))
    score = round(sum(points for _, points in reasons), 1)
    against = tuple(code for code, _ in reasons if code in CONTRADICTIONS)
    if "resident_id_other" in codes:
        verdict = APART
    elif "resident_id" in codes and not against and "birth_date_near" not in codes and {"name", "name_pinyin"} & set(codes):
        verdict = SAME
    else:
        verdict = ASK if score >= rules.suggest or "resident_id" in codes else APART
    return Match(verdict, score, tuple(reasons), _warnings(one, other, codes, rules), against)


def differ_in_resident_id(rows: Iterable[Known]) -> bool:
    """Whether these rows, taken as one person, would bear more than one certain resident number."""
    return len(frozenset().union(*(row.resident_ids for row in rows))) > 1


def may_join(ones: list[Known], others: list[Known], rules: MatchRules) -> str:
    """Whether two persons may become one without anybody being asked: "" or the reason against it. Every row of the one must
    be free of contradiction with every row of the other."""
    if differ_in_resident_id([*ones, *others]):
        return "resident_id_other"
    for one in ones:
        for other in others:
            if match(one, other, rules).contradictions:
                return "contradicts_a_member"
    return ""


def _of_numbers(one: Known, other: Known) -> list[str]:
    found = []
    if one.resident_ids & other.resident_ids and len(one.resident_ids | other.resident_ids) == 1:
        found.append("resident_id")
        found += [f"id_against_{what}" for what in sorted(one.contradicts | other.contradicts)]
    elif one.resident_ids and other.resident_ids:
        found.append("resident_id_other")
    elif (one.resident_ids | one.old_ids) & (other.resident_ids | other.old_ids):
        found.append("resident_id_old")
    elif _one_digit(one.mistyped_ids, other.mistyped_ids | other.resident_ids) or _one_digit(other.mistyped_ids, one.resident_ids):
        found.append("resident_id_one_digit")
    if one.insurance & other.insurance:
        found.append("insurance")
    if one.site_id == other.site_id and one.hospital & other.hospital:
        found.append("hospital")
    if one.phones & other.phones:
        found.append("phone")
    if one.addresses & other.addresses:
        found.append("address")
    return found


def _of_person(one: Known, other: Known) -> list[str]:
    found = []
    standing = names.compare(one.name, other.name)
    if standing != "silent":
        found.append("name" if standing == "same" else f"name_{standing}")
    if one.birth_date and other.birth_date:
        same, near = one.birth_date == other.birth_date, dates_near(one.birth_date, other.birth_date)
        found.append("birth_date" if same else "birth_date_near" if near else "birth_date_other")
    if one.sex in ("M", "F") and other.sex in ("M", "F"):
        found.append("sex" if one.sex == other.sex else "sex_other")
    if one.site_id == other.site_id:
        found.append("same_site")
    return found


def dates_near(one: str, other: str) -> bool:
    """Whether two different ISO dates may be one that was mistyped or guessed: a digit apart, day and month exchanged, or one
    of them the first of January, which devices write when they know the age only (a year apart at most)."""
    year, month, day = one[:4], one[5:7], one[8:]
    if sum(a != b for a, b in zip(one, other)) == 1 or other == f"{year}-{day}-{month}":
        return True
    guessed = one.endswith("-01-01") or other.endswith("-01-01")
    return guessed and abs(int(year) - int(other[:4])) <= 1


def _one_digit(ones: frozenset[str], others: frozenset[str]) -> bool:
    return any(len(one) == len(other) and sum(a != b for a, b in zip(one, other)) <= 1 for one in ones for other in others)


def _warnings(one: Known, other: Known, codes: list[str], rules: MatchRules) -> tuple[str, ...]:
    found = []
    alike = {"name", "name_pinyin", "name_homophone"} & set(codes)
    if alike and "sex_other" not in codes and (one.site_id == other.site_id or _born_near(one, other, rules.same_name_years)):
        found.append("same_name")
    near = {"phone", "address", "same_site"} & set(codes)      # within one institution surname and birth date alone are rare enough
    if near and "birth_date" in codes and not alike and names.shares_surname(one.name, other.name):
        found.append("twin")
    if "phone" in codes and not alike:
        found.append("shared_phone")
    return tuple(found)


def _born_near(one: Known, other: Known, years: int) -> bool:
    if not one.birth_date or not other.birth_date:
        return False
    return abs(int(one.birth_date[:4]) - int(other.birth_date[:4])) <= years
