"""The resident identity number (公民身份号码): 18 places with a check digit, or the 15 places of the first generation.

Sources: GB 11643-1999 (structure: six places region, eight birth date, three sequence of which odd is male, one check
character), ISO 7064 MOD 11-2 (the check character), GB/T 2260 (the first two places of a region; 81 to 83 stand on the
residence permits of people from Hong Kong, Macao and Taiwan, a leading 9 with a province on the permanent residence card of
foreigners since 2023). County codes changed many times, so beyond the province only their shape is checked. The number of
the first generation lacks century and check character: it is evidence, never certain.
"""
from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

from hub.errors import Invalid

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"
EARLIEST_YEAR = 1880
CENTENARIANS = range(996, 1000)      # sequence numbers of 15-place numbers kept for people born before 1900
PROVINCES = {
    "11": "北京", "12": "天津", "13": "河北", "14": "山西", "15": "内蒙古", "21": "辽宁", "22": "吉林", "23": "黑龙江", "31": "上海",
    "32": "江苏", "33": "浙江", "34": "安徽", "35": "福建", "36": "江西", "37": "山东", "41": "河南", "42": "湖北", "43": "湖南",
    "44": "广东", "45": "广西", "46": "海南", "50": "重庆", "51": "四川", "52": "贵州", "53": "云南", "54": "西藏", "61": "陕西",
    "62": "甘肃", "63": "青海", "64": "宁夏", "65": "新疆", "71": "台湾", "81": "香港", "82": "澳门", "83": "台湾",
}
FOREIGNER = "9"

FAULTS = {
    "shape": ("身份证号应为 18 位（末位可为 X）或 15 位数字，请核对后重新填写。", "a resident number has 18 places (the last may be X) or 15 digits; check it."),
    "region": ("身份证号前六位不是有效的行政区划代码，请核对。", "the first six digits of the resident number are no region; check them."),
    "birth_date": ("身份证号中的出生日期不存在或不合理，请核对。", "the birth date inside the resident number is impossible; check it."),
    "check": ("身份证号校验位不符，可能有一位输入错误，请对照证件核对。", "the check digit of the resident number does not fit: a digit is wrong; compare with the card."),
}


@dataclass(frozen=True)
class ResidentId:
    """A number that passed every check. ``number``: 18 places. ``birth_date``: ISO. ``sex``: "M" or "F".
    ``is_certain``: its own check character stood on the card; a converted 15-place number had none."""

    number: str
    birth_date: str
    sex: str
    is_certain: bool = True

    @property
    def region(self) -> str:
        return self.number[:6]

    @property
    def province_zh(self) -> str:
        return PROVINCES[self.number[1:3] if self.number[0] == FOREIGNER else self.number[:2]]

    @property
    def masked(self) -> str:
        """For lists: the first six and the last four places."""
        return f"{self.number[:6]}********{self.number[-4:]}"


def parse(text: str, today: date | None = None) -> ResidentId:
    """The number that a text holds. Full-width digits, blanks, hyphens and a small x are read; ``today`` bounds the birth
    date. Invalid("bad_resident_id") in words that name the fault."""
    found = fault_of(text, today)
    if found:
        zh, en = FAULTS[found]
        raise Invalid("bad_resident_id", zh, en)
    written = normal(text)
    number = written if len(written) == 18 else _lengthened(written)
    return ResidentId(number, _born(number).isoformat(), "M" if int(number[16]) % 2 else "F", len(written) == 18)


def found_in(text: str, today: date | None = None) -> ResidentId | None:
    """The number that a text is, or None where it is none."""
    return None if fault_of(text, today) else parse(text, today)


def fault_of(text: str, today: date | None = None) -> str:
    """What is wrong with a text as a resident number: a key of FAULTS, "" where nothing is."""
    written = normal(text)
    if not re.fullmatch(r"\d{17}[\dX]|\d{15}", written, re.ASCII):
        return "shape"
    if not _is_region(written):
        return "region"
    number = written if len(written) == 18 else _lengthened(written)
    born = _born(number)
    if born is None or born.year < EARLIEST_YEAR or (today is not None and born > today):
        return "birth_date"
    return "" if number[17] == check_character(number[:17]) else "check"


def looks_like(text: str) -> bool:
    """Whether somebody meant to write a resident number: its shape, whatever its digits."""
    return fault_of(text) in ("", "check", "birth_date", "region") and len(normal(text)) == 18


def check_character(first: str) -> str:
    """The check character of the first 17 places (ISO 7064 MOD 11-2)."""
    return CHECK_CHARACTERS[sum(int(digit) * weight for digit, weight in zip(first, WEIGHTS, strict=True)) % 11]


def contradictions(number: ResidentId, birth_date: str = "", sex: str = "") -> tuple[str, ...]:
    """In what a declared birth date (ISO) and sex ("M", "F") disagree with the number: "birth_date", "sex". Silence and
    other codes are no disagreement. It is for a person to decide which of the two is wrong."""
    apart = []
    if birth_date and birth_date != number.birth_date:
        apart.append("birth_date")
    if sex in ("M", "F") and sex != number.sex:
        apart.append("sex")
    return tuple(apart)


def normal(text: str) -> str:
    """A number as it is compared: half-width, capital X, without blanks and hyphens."""
    return re.sub(r"[\s\-‐-―]", "", unicodedata.normalize("NFKC", text)).upper()


def _is_region(number: str) -> bool:
    if number[0] == FOREIGNER and len(number) == 18:
        return number[1:3] in PROVINCES
    return number[:2] in PROVINCES


def _born(number: str) -> date | None:
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def _lengthened(number: str) -> str:
    """A 15-place number in 18 places: the century and the check character are added."""
    century = "18" if int(number[12:15]) in CENTENARIANS else "19"
    first = f"{number[:6]}{century}{number[6:]}"
    return first + check_character(first)
