"""The words on a page: Chinese in the source, English by catalogue, the hub's own words by their two columns.

Times are UTC inside; here they become local times of the settings' zone.
"""
from __future__ import annotations

import json
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path

from babel.messages.extract import extract_from_dir
from flask import Flask, g, has_request_context, session
from flask_babel import Babel, get_locale, gettext

from hub.model.access import ROLE_EN, ROLE_ZH
from hub.model.body_part import body_part_zh
from hub.model.lifecycle import STATE_EN, STATE_ZH
from hub.model.order_match import WORDS as REASONS
from hub.model.urgency import URGENCY_EN, URGENCY_ZH

LANGUAGES = ("zh", "en")
STATIC = Path(__file__).parent / "static"
SEX = {"M": ("男", "M"), "F": ("女", "F"), "O": ("其他", "other")}
MODALITIES = {"ECG": ("心电", "ECG")}
MODALITY_NAMES = {"CT": ("CT", "CT"), "DX": ("DX 数字 X 线", "DX digital X-ray"), "CR": ("CR X 线", "CR X-ray"), "MR": ("MR 磁共振", "MR"), "US": ("US 超声", "US ultrasound"),
                  "MG": ("MG 乳腺 X 线", "MG mammography"), "RF": ("RF 透视造影", "RF fluoroscopy"), "XA": ("XA 血管造影", "XA angiography"),
                  "ES": ("ES 内镜", "ES endoscopy"), "ECG": ("心电图", "ECG")}


def speak(app: Flask) -> None:
    """Chooses the language of every page and teaches the templates the hub's words."""
    Babel(app, default_locale="zh", locale_selector=language, default_translation_directories=str(Path(__file__).parent / "translations"))
    zone = app.extensions["hub"].settings.zone

    def local(moment: datetime | None, how: str = "%Y-%m-%d %H:%M") -> str:
        return moment.astimezone(zone).strftime(how) if moment else ""

    app.jinja_env.filters.update(
        local=local, state=_two(STATE_ZH, STATE_EN), role=_two(ROLE_ZH, ROLE_EN), urgency=_two(URGENCY_ZH, URGENCY_EN),
        sex=sex, age=age, body_part=body_part, modality=modality, study_time=study_time, both=both, iso=_iso, size=size, summary=summary,
        modality_name=lambda code: sentence(*MODALITY_NAMES[code]) if code in MODALITY_NAMES else code, reason=lambda code: sentence(*REASONS[code]) if code in REASONS else code)
    app.jinja_env.globals.update(language=language, sentence=sentence, script_words=script_words)


def language() -> str:
    """The language of this request: the person's, else the browser session's, else the setting."""
    if not has_request_context():
        return "zh"
    if getattr(g, "account", None) is not None and g.account.language in LANGUAGES:
        return g.account.language
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return chosen
    from_settings = g.get("default_language")
    return from_settings if from_settings in LANGUAGES else "zh"


def english() -> bool:
    return str(get_locale() or "zh").startswith("en")


def sentence(zh: str, en: str) -> str:
    """The one of two given sentences that this page speaks; English ones start with a capital letter."""
    return en[:1].upper() + en[1:] if english() and en else zh


def both(value: dict | None) -> str:
    """A stored pair {zh, en} in the page's language."""
    return sentence(value.get("zh", ""), value.get("en", "")) if value else ""


def summary(row) -> str:
    """The machine's line on a study, in English where it was made in both languages."""
    return (english() and (row.flags or {}).get("summary_en")) or row.summary


def sex(code: str) -> str:
    return sentence(*SEX[code]) if code in SEX else code


def age(written: str, birth_date: str = "") -> str:
    """DICOM's 045Y as 45 岁; where the device is silent, the years since the birth date."""
    found = re.fullmatch(r"0*(\d+)([YMWD])", written.strip().upper())
    if found:
        unit = {"Y": gettext("岁"), "M": gettext("个月"), "W": gettext("周"), "D": gettext("天")}[found[2]]
        return f"{found[1]} {unit}" if english() else f"{found[1]}{unit}"
    if written.strip():
        return written.strip()
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return ""
    today = date.today()
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return f"{years} {gettext('岁')}" if english() else f"{years}{gettext('岁')}"


def body_part(code: str) -> str:
    return code if english() else body_part_zh(code)


def modality(code: str) -> str:
    return sentence(*MODALITIES[code]) if code in MODALITIES else code


def study_time(written: str) -> str:
    """A local time as the device wrote it (ISO 8601, or DICOM's digits) to the minute."""
    found = re.match(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ]?(\d\d):?(\d\d))?", written)
    if not found:
        return written
    day = f"{found[1]}-{found[2]}-{found[3]}"
    return f"{day} {found[4]}:{found[5]}" if found[4] else day


def size(count: int) -> str:
    """Bytes as people read them."""
    value, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


@cache
def script_messages() -> tuple[str, ...]:
    """Every sentence that our scripts may show, read from the scripts themselves."""
    found = {}
    for _name, _line, message, _comments, _context in extract_from_dir(
            str(STATIC), method_map=[("built/**", "ignore"), ("ecg/**", "ignore"), ("**.js", "javascript")], keywords={"_": None}):
        found[message] = None
    return tuple(found)


def script_words() -> str:
    """The scripts' sentences in the page's language as JSON; empty where the page speaks the source's language."""
    if not english():
        return ""
    return json.dumps({message: gettext(message) for message in script_messages()}, ensure_ascii=False)


def _iso(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _two(zh: dict[str, str], en: dict[str, str]):
    return lambda code: sentence(zh.get(code, code), en.get(code, code)) if code else ""
