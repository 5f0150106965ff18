"""What may be corrected in a study's attributes, and whether a new value can be one (PS3.5 6.2). No value is guessed.

A correction is never written into an object: it is a row beside it. Of several for one attribute the newest that
was not undone stands, whether it was made for the whole study, a series or one instance.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from hub.errors import Invalid

LEVELS = ("study", "series", "instance")
LONGEST = {"AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "LT": 10240, "PN": 64, "SH": 16, "ST": 1024,
           "TM": 16, "UC": 4096, "UR": 4096, "UT": 65536}
BINARY = {"US": (0, 2**16 - 1), "SS": (-2**15, 2**15 - 1), "UL": (0, 2**32 - 1), "SL": (-2**31, 2**31 - 1), "FL": None, "FD": None}
_SINGLE = frozenset(("LT", "ST", "UT", "UR"))
_FORMS = {"AS": r"\d{3}[DWMY]", "CS": r"[A-Z0-9_ ]*", "DS": r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", "IS": r"[+-]?\d{1,10}",
          "TM": r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", "DT": r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?"}
_ASCII = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UR"))
WIDEST_SPACING_MM = 100.0


@dataclass(frozen=True)
class Attribute:
    """One attribute that the desk offers. ``tag``: eight hexadecimal digits. ``level``: "study" where a correction
    holds for the whole study only. ``column``: the column of the index that follows it, "" for none."""

    tag: str
    keyword: str
    vr: str
    zh: str = ""
    en: str = ""
    level: str = "series"
    column: str = ""
    codes: tuple[str, ...] = ()
    meaning: str = ""
    required: bool = False


@dataclass(frozen=True)
class RepairRules:
    """The attributes offered, by tag, and those that nobody corrects."""

    version: str
    source: str
    offered: dict[str, Attribute]
    fixed_groups: frozenset[str]
    fixed_within: frozenset[str]
    fixed_vrs: frozenset[str]
    fixed_tags: frozenset[str]

    def attribute(self, tag: str, keyword: str = "", vr: str = "") -> Attribute:
        """The attribute of a tag, with the VR that its caller knows where the desk does not offer it. Invalid for one
        that is never corrected."""
        tag = tag.upper()
        if tag in self.offered:
            return self.offered[tag]
        private = not re.fullmatch(r"[0-9A-F]{8}", tag) or int(tag[3], 16) % 2 == 1
        if private or tag[:4] in self.fixed_groups | self.fixed_within or tag[4:] == "0000" or tag in self.fixed_tags \
                or vr in self.fixed_vrs or vr not in LONGEST.keys() | BINARY.keys():
            raise Invalid("not_correctable", f"{keyword or tag} 不能更正：对象标识、图像结构、字符集与私有标签始终保持设备发送的内容。",
                          f"{keyword or tag} cannot be corrected: identifiers, the layout of pixels, character sets and private tags stay as sent.")
        return Attribute(tag, keyword or tag, vr)


@dataclass(frozen=True)
class Correction:
    """One correction that stands: the value as DICOM writes it, and when it was made."""

    tag: str
    vr: str
    value: str
    at: datetime


def checked(attribute: Attribute, value: str, today: date) -> str:
    """``value`` as DICOM writes it (dates 20260301, several values parted by a backslash). Invalid says what is wrong."""
    value = "".join(ch for ch in value if ch not in "\0\ufeff").strip()
    if attribute.meaning == "spacing":
        value = "\\".join(re.split(r"[\\,，\s×x]+", value)) if value else value
    if not value:
        if attribute.required:
            raise _bad(attribute, "不能为空", "must not be empty")
        return ""
    if attribute.vr == "DA":
        value = "\\".join(_day(attribute, one) for one in value.split("\\"))
    if attribute.vr in ("CS", "AS"):
        value = value.upper()
    if attribute.vr == "TM":
        value = value.replace(":", "")
    parts = [value] if attribute.vr in _SINGLE else value.split("\\")
    for one in parts:
        _check_one(attribute, one.strip() if attribute.vr not in _SINGLE else one)
    if attribute.codes and value not in attribute.codes:
        raise _bad(attribute, f"只能是 {'、'.join(attribute.codes)}", f"must be one of {', '.join(attribute.codes)}")
    _check_meaning(attribute, parts, today)
    return "\\".join(one.strip() for one in parts) if attribute.vr not in _SINGLE else value


def _check_one(attribute: Attribute, one: str) -> None:
    vr = attribute.vr
    if vr in BINARY:
        _check_number(attribute, one)
        return
    if any(ord(ch) < 32 and not (vr in ("LT", "ST", "UT") and ch in "\r\n\t\f") or ord(ch) == 127 for ch in one):
        raise _bad(attribute, "含有控制字符", "holds control characters")
    if vr in _ASCII and not one.isascii():
        raise _bad(attribute, "只能使用英文字母、数字和规定的符号", "may hold ASCII only")
    if vr == "PN":
        _check_name(attribute, one)
    elif len(one) > LONGEST[vr]:
        raise _bad(attribute, f"最多 {LONGEST[vr]} 个字符", f"has at most {LONGEST[vr]} characters")
    if one and vr in _FORMS and not re.fullmatch(_FORMS[vr], one):
        raise _bad(attribute, {"AS": "应写作 045Y、018M、003W 或 020D", "TM": "应为时分秒，例如 081500", "DS": "应为数字", "IS": "应为整数",
                               "CS": "只能使用大写字母、数字、空格和下划线"}.get(vr, "格式有误"), f"is not in the form of {vr} (PS3.5 6.2)")


def _check_name(attribute: Attribute, one: str) -> None:
    groups = one.split("=")
    if len(groups) > 3 or any(len(group) > LONGEST["PN"] or group.count("^") > 4 for group in groups):
        raise _bad(attribute, "每组最多 64 个字符、5 个部分", "has up to three groups of 64 characters and five components")
    if attribute.required and not any(group.strip(" ^") for group in groups):
        raise _bad(attribute, "不能为空", "must not be empty")


def _check_number(attribute: Attribute, one: str) -> None:
    limits = BINARY[attribute.vr]
    try:
        number = float(one) if limits is None else int(one)
        fits = math.isfinite(number) if limits is None else limits[0] <= number <= limits[1]
    except ValueError:
        fits = False
    if not fits:
        raise _bad(attribute, "应为该类型能表示的数字", f"is no number that {attribute.vr} can hold")


def _check_meaning(attribute: Attribute, parts: list[str], today: date) -> None:
    if attribute.meaning == "past" and any(part > today.strftime("%Y%m%d") or part < "18000101" for part in parts):
        raise _bad(attribute, "不能晚于今天或早于 1800 年", "lies in the future or before 1800")
    if attribute.meaning == "spacing" and (len(parts) != 2 or not all(0 < float(part) <= WIDEST_SPACING_MM for part in parts)):
        raise _bad(attribute, "应为两个大于 0 的毫米数（行间距、列间距），例如 0.5 0.5", "is two numbers of millimetres above 0: row and column")


def _day(attribute: Attribute, text: str) -> str:
    found = re.fullmatch(r"(\d{4})[-./年]?(\d{1,2})[-./月]?(\d{1,2})日?", text.strip())
    try:
        return date(*(int(part) for part in found.groups())).strftime("%Y%m%d").zfill(8)
    except (AttributeError, ValueError):
        raise _bad(attribute, "应为存在的日期，例如 1963-02-11", "is not a date such as 1963-02-11") from None


def _bad(attribute: Attribute, zh: str, en: str) -> Invalid:
    return Invalid("bad_value", f"{attribute.zh or attribute.keyword}{zh}。", f"{attribute.en or attribute.keyword} {en}.")


def newest(rows: Iterable, series_id: int | None = None, instance_id: int | None = None) -> dict[str, object]:
    """By tag, the newest of the standing corrections that hold for a study (no ids), one of its series or instances.
    ``rows``: with id, level, series_id, instance_id and tag, in the order in which they were made."""
    found: dict[str, object] = {}
    for row in rows:
        if row.level == "study" or (row.level == "series" and row.series_id == series_id) \
                or (row.level == "instance" and row.instance_id == instance_id):
            found[row.tag] = row
    return found
