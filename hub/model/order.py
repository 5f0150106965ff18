"""An order for an examination (申请单): what a clinic asks, and the accession number that follows it everywhere.

The promise: an order that is placed is complete enough for the device and the reader; what the resident number says is
compared with what was written, never silently put right.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from hub.errors import Invalid
from hub.model import resident_id
from hub.model.urgency import URGENCIES

MODALITIES = ("CT", "DX", "CR", "MR", "US", "MG", "RF", "XA", "ES", "ECG")
X_RAY = frozenset(("CR", "DX", "DR", "RG", "RF"))      # a radiograph ordered as DX may come from a CR reader
SEXES = ("M", "F", "O")
LENGTHS = {"patient_name": 64, "patient_number": 64, "phone": 32, "body_part": 16, "procedure": 64, "clinical_question": 1000, "physician": 64}
WORDS = {"patient_name": "姓名", "patient_number": "患者编号", "phone": "电话", "body_part": "检查部位", "procedure": "检查项目",
         "clinical_question": "临床问题", "physician": "申请医师"}
OLDEST_YEARS = 130


@dataclass(frozen=True)
class Wish:
    """What a clinic asks for. ``birth_date``: ISO, "" where unknown. ``device_id``: None for any device of the site.
    ``scheduled_at``: a moment with a zone."""

    patient_name: str
    patient_number: str
    resident_id: str
    sex: str
    birth_date: str
    phone: str
    modality: str
    body_part: str
    procedure: str
    clinical_question: str
    physician: str
    urgency: str
    scheduled_at: datetime
    device_id: int | None = None


def checked(wish: Wish, today: date) -> Wish:
    """The wish with its texts trimmed and what the resident number knows filled in where nothing was written.

    Invalid names the first field that is missing, too long or impossible; ``resident_id_differs`` where the number says
    another sex or birth date than was written."""
    values = {name: getattr(wish, name).strip() for name in (*LENGTHS, "resident_id", "sex", "birth_date", "modality", "urgency")}
    for name, most in LENGTHS.items():
        text = "".join(ch for ch in values[name].replace("\r\n", "\n") if ch == "\n" or ord(ch) >= 32)
        values[name] = text if name == "clinical_question" else " ".join(text.split())
        if len(values[name]) > most:
            raise Invalid("too_long", f"{WORDS[name]}最多 {most} 个字，请缩短。", f"{name} has at most {most} characters; shorten it.")
        if (name != "clinical_question" and "\\" in text) or (name in ("patient_name", "physician") and set(text) & set("^=")):
            raise Invalid("bad_text", f"{WORDS[name]}不能含有 \\ 等符号，请改写。", f"{name} holds a sign that devices take for a separator; write it otherwise.")
    if not values["patient_number"].isascii():
        raise Invalid("bad_text", "患者编号只能用字母、数字和符号，许多设备不认识其他字符。", "a patient number has letters, digits and signs only: many devices know nothing else.")
    for name, zh in (("patient_name", "患者姓名"), ("clinical_question", "临床问题")):
        if not values[name]:
            raise Invalid("missing", f"请填写{zh}。", f"{name} is missing.")
    for name, allowed, zh in (("modality", MODALITIES, "检查类型"), ("urgency", URGENCIES, "紧急程度")):
        if values[name] not in allowed:
            raise Invalid("missing", f"请选择{zh}。", f"choose a {name}.")
    if not values["body_part"] and not values["procedure"] and values["modality"] != "ECG":
        raise Invalid("missing", "请填写检查部位或检查项目。", "body part or procedure is missing.")
    values |= _person(values, today)
    return Wish(**values, scheduled_at=wish.scheduled_at, device_id=wish.device_id)


def _person(values: dict, today: date) -> dict:
    """Number, sex and birth date of the person, compared with each other."""
    sex, born, number = values["sex"], values["birth_date"], values["resident_id"]
    if born:
        try:
            day = date.fromisoformat(born)
        except ValueError:
            day = None
        if day is None or len(born) != 10 or day > today or today.year - day.year > OLDEST_YEARS:
            raise Invalid("bad_birth_date", "出生日期无效或不可能，请核对。", "the birth date is impossible; check it.")
    if number:
        told = resident_id.parse(number, today)
        apart = resident_id.contradictions(told, born, sex)
        if apart:
            words = "、".join({"birth_date": f"出生日期（证件为 {told.birth_date}）", "sex": f"性别（证件为{'男' if told.sex == 'M' else '女'}）"}[one] for one in apart)
            raise Invalid("resident_id_differs", f"身份证号与所填{words}不一致，请对照证件核对后修改其一。",
                          f"the resident number and the written {' and '.join(apart)} disagree; compare with the card and correct one of them.")
        sex, born, number = sex or told.sex, born or told.birth_date, told.number
    if sex not in SEXES:
        raise Invalid("missing", "请选择性别，或填写身份证号。", "choose the sex, or give the resident number.")
    return {"sex": sex, "birth_date": born, "resident_id": number}


def accession_number(day: date, number: int) -> str:
    """The accession number of the day's order ``number`` (from 1): A, the day, a running number and a check digit
    (Luhn, ISO/IEC 7812-1 Annex B), so that one mistyped digit is no other order. 13 characters; SH allows 16 (PS3.5 6.2)."""
    digits = f"{day:%y%m%d}{number:05d}"
    return f"A{digits}{check_digit(digits)}"


def check_digit(digits: str) -> str:
    """The Luhn digit that makes ``digits`` whole."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def same_kind(one: str, other: str) -> bool:
    """Whether a study of modality ``other`` may answer an order for ``one``."""
    return one == other or {one, other} <= X_RAY
