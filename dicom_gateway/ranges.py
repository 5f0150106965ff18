"""Dates and times of a query and their ranges (PS3.4 C.2.2.2.5), and a date with a time as one span. Pure.

The promise: what is no date, time or range is refused; ranges of a date and a time that are open alike are one span of
time, never as many as there are days.
"""
from __future__ import annotations

import re
from typing import NamedTuple

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.\d{1,6})?)?)?", re.ASCII)


class Ends(NamedTuple):
    """Where a date or a time begins and ends, both included, in ISO 8601; "" is open. ``is_range``: written as a range, with a dash."""

    low: str
    high: str
    is_range: bool


def dates(text: str) -> Ends:
    """Of a date or range of dates as DICOM writes it (20260301-20260303). ValueError where it is none."""
    return _ends(text, _date, _date)


def times(text: str) -> Ends:
    """Of a time or range of times (0800-0930), to the second: an end without seconds lasts to its last one (09:30:59).
    ValueError where it is none."""
    return _ends(text, lambda one: _time(one, "00"), lambda one: _time(one, "59"))


def span(day: Ends, clock: Ends) -> tuple[str, str] | None:
    """A range of dates and a range of times as one span of time (C.2.2.2.5.4): from the first time of the first day to the
    last of the last, ISO 8601, "" where it is open. None where they are not ranges of the same form: each is matched by itself."""
    if not (day.is_range and clock.is_range) or (bool(day.low), bool(day.high)) != (bool(clock.low), bool(clock.high)):
        return None
    return f"{day.low}T{clock.low}" if day.low else "", f"{day.high}T{clock.high}" if day.high else ""


def _ends(text: str, first, last) -> Ends:
    low, dash, high = (part.strip() for part in text.partition("-"))
    if not dash:
        return Ends(first(low), last(low), False)
    if not low and not high:
        raise ValueError("a range without ends")
    return Ends(first(low) if low else "", last(high) if high else "", True)


def _date(text: str) -> str:
    return "-".join(_whole(_DATE, text).groups())


def _time(text: str, rest: str) -> str:
    return ":".join(part or rest for part in _whole(_TIME, text).groups())


def _whole(shape: re.Pattern, text: str) -> re.Match:
    found = shape.fullmatch(text)
    if not found:
        raise ValueError("no date or time")
    return found
