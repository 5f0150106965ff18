"""Words as a device wrote them: bytes to text when the file does not, or wrongly, say in which charset.

Carts sold in China write GB 2312 into fields that their format calls Latin-1. A text is decoded with the
charset that the file declares where it declares one beyond Latin-1; else as UTF-8, else as GB 2312, else
as Latin-1. The choice is reported, so that a reader can note it.
"""
from __future__ import annotations

import codecs
from datetime import date, datetime


def decode_device_text(raw: bytes, declared: str = "") -> tuple[str, str]:
    """The text up to the first NUL, trimmed and free of control characters, and the charset used.

    ``declared``: a Python codec name that the file states, or "". The charset is "" for plain ASCII.
    """
    wide = declared.lower().replace("_", "-").startswith("utf-16")
    if not wide:
        raw = raw.split(b"\0", 1)[0]
        if raw.isascii():
            return _clean(raw.decode("ascii")), ""
    for charset in filter(None, (declared, "utf-8", "gb2312")):
        try:
            return _clean(codecs.decode(raw, charset).split("\0", 1)[0]), charset
        except (UnicodeDecodeError, LookupError):
            continue
    return _clean(raw.decode("latin-1")), "latin-1"


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()


def iso_date(year: int, month: int, day: int) -> str:
    """YYYY-MM-DD, or "" where the three numbers are no date."""
    try:
        return date(year, month, day).isoformat()
    except (ValueError, OverflowError):
        return ""


def iso_time(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str:
    """Local time in ISO 8601 without zone, or "" where the six numbers are no moment."""
    try:
        return datetime(year, month, day, hour, minute, second).isoformat()
    except (ValueError, OverflowError):
        return ""
