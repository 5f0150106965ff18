"""What a reader may choose about the paper, checked before anything is drawn.

Speeds and gains are those of IEC 60601-2-25 carts; nothing else is offered, because a reader measures with
a ruler. The promise: a ``SheetOptions`` that exists can be drawn.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ecg.recording import STANDARD_LEADS

LAYOUTS = ("3x4+1", "6x2", "12x1", "recorded")
SPEEDS_MM_S = (12.5, 25.0, 50.0)
GAINS_MM_MV = (5.0, 10.0, 20.0)
FILTERS = ("baseline", "mains", "muscle")
COLUMNS = ("auto", "consecutive", "simultaneous")
LANGUAGES = ("zh", "en")
SMALLEST_PAPER_MM, LARGEST_PAPER_MM = (200.0, 150.0), (2000.0, 1000.0)


class BadSheetOption(ValueError):
    """A choice that cannot be drawn; ``option`` names it, ``zh`` and ``en`` say what is allowed."""

    def __init__(self, option: str, zh: str, en: str):
        super().__init__(f"{option}: {en}")
        self.option = option
        self.zh = zh
        self.en = en


@dataclass(frozen=True)
class SheetOptions:
    """How one sheet is drawn.

    ``layout``: "3x4+1" (four columns and a rhythm strip), "6x2", "12x1", or "recorded" (every lead of the
    file in its own row, for files that are not the standard twelve). ``speed_mm_s``: 12.5, 25 or 50.
    ``gain_mm_mv``: 5, 10 or 20. ``start_s``: where the sheet begins in the recording, 0 or more.
    ``filters``: those of "baseline", "mains", "muscle" that the caller HAS ALREADY APPLIED to the samples;
    they are printed, never applied here. ``passband_hz``: the band that is left, printed as "0.05–150 Hz";
    None prints what the file says of its own filters. ``mains_hz``: the frequency printed for "mains".
    ``rhythm_lead``: the long strip of "3x4+1". ``columns``: "consecutive" seconds from
    column to column, "simultaneous" (every column the same seconds), or "auto": simultaneous, and said so on
    the sheet, when the recording is too short to reach the last column's end. ``paper_mm``: width, height.
    Raises BadSheetOption (a ValueError).
    """

    layout: str = "3x4+1"
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    start_s: float = 0.0
    filters: tuple[str, ...] = ()
    passband_hz: tuple[float, float] | None = None
    mains_hz: float = 50.0
    rhythm_lead: str = "II"
    columns: str = "auto"
    language: str = "zh"
    paper_mm: tuple[float, float] = (297.0, 210.0)

    def __post_init__(self):
        _one_of("layout", "版式", self.layout, LAYOUTS)
        _one_of("speed", "走纸速度", self.speed_mm_s, SPEEDS_MM_S)
        _one_of("gain", "增益", self.gain_mm_mv, GAINS_MM_MV)
        _one_of("columns", "分列方式", self.columns, COLUMNS)
        _one_of("language", "语言", self.language, LANGUAGES)
        _one_of("rhythm_lead", "节律导联", self.rhythm_lead, STANDARD_LEADS)
        for name in self.filters:
            _one_of("filters", "滤波", name, FILTERS)
        if len(set(self.filters)) != len(self.filters):
            raise BadSheetOption("filters", "同一滤波不能重复", "a filter may be named once")
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise BadSheetOption("start", "起点须为不小于 0 的秒数", "start must be a number of seconds, 0 or more")
        if not (math.isfinite(self.mains_hz) and self.mains_hz > 0):
            raise BadSheetOption("mains_hz", "工频须为正数", "mains_hz must be positive")
        if self.passband_hz is not None:
            low, high = self.passband_hz
            if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high):
                raise BadSheetOption("passband_hz", "频带下限须小于上限", "passband_hz must be 0 <= low < high")
        for side, smallest, largest in zip(self.paper_mm, SMALLEST_PAPER_MM, LARGEST_PAPER_MM):
            if not smallest <= side <= largest:
                raise BadSheetOption("paper_mm", "纸张至少 200×150 毫米，至多 2000×1000 毫米",
                                     "paper must be 200 x 150 mm to 2000 x 1000 mm")


@dataclass(frozen=True)
class SheetHeading:
    """The words above the traces, as the caller wants them read. Every string is text, never markup; an
    empty one is not drawn. ``measurements``: (label, value) pairs such as ("PR", "162 ms");
    ``statements``: one conclusion a line; ``status``: who stands behind them ("机器结论，未经医师确认")."""

    name: str = ""
    sex: str = ""
    age: str = ""
    patient_id: str = ""
    recorded_at: str = ""
    institution: str = ""
    accession_number: str = ""
    device: str = ""
    measurements: tuple[tuple[str, str], ...] = ()
    statements: tuple[str, ...] = ()
    status: str = ""


def options_from_query(query: Mapping[str, str], **fixed) -> SheetOptions:
    """The options that a page asked for by ``layout``, ``speed``, ``gain``, ``start`` and ``filters``
    (names joined by commas); absent ones keep their defaults and ``fixed`` ones are the caller's.
    Raises BadSheetOption for a value that is not offered or not a number."""
    chosen = dict(fixed)
    if query.get("layout"):
        chosen["layout"] = query["layout"]
    for name, field in (("speed", "speed_mm_s"), ("gain", "gain_mm_mv"), ("start", "start_s")):
        if query.get(name):
            chosen[field] = _number(name, query[name])
    if query.get("filters"):
        chosen["filters"] = tuple(query["filters"].split(","))
    return SheetOptions(**chosen)


def _number(option: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise BadSheetOption(option, "须为数字", "must be a number") from None


def _one_of(option: str, zh: str, value, allowed: tuple) -> None:
    if value not in allowed:
        offered = ", ".join(f"{each:g}" if isinstance(each, float) else each for each in allowed)
        raise BadSheetOption(option, f"{zh}只能是 {offered}", f"must be one of {offered}")
