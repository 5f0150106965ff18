"""The words that a sheet prints about itself, in Chinese and English, and how much room words take."""
from __future__ import annotations

import unicodedata

from ecg.render.options import SheetOptions

WORDS = {
    "zh": {"missing": "缺失", "lead_off": "导联脱落", "no_data": "此段无数据", "off_paper": "超出纸面", "unfiltered": "未滤波",
           "device_filters": "设备滤波", "baseline": "基线滤波", "mains": "AC", "muscle": "肌电滤波",
           "more_leads": "另有导联", "id": "ID", "accession": "检查号", "from": "起点", "simultaneous": "各列为同一时段", "title": "心电图"},
    "en": {"missing": "missing", "lead_off": "lead off", "no_data": "no data here", "off_paper": "off paper", "unfiltered": "unfiltered",
           "device_filters": "device filters", "baseline": "baseline filter", "mains": "AC",
           "muscle": "muscle filter", "more_leads": "further leads", "id": "ID", "accession": "Accession",
           "from": "from", "simultaneous": "columns are simultaneous", "title": "ECG"},
}
GAP = "   "


def scale_line(options: SheetOptions, filters_as_written: str) -> str:
    """Speed, gain and filters as every cart prints them: "25 mm/s   10 mm/mV   0.05–150 Hz   AC 50 Hz"."""
    words = WORDS[options.language]
    parts = [f"{options.speed_mm_s:g} mm/s", f"{options.gain_mm_mv:g} mm/mV"]
    if options.passband_hz is not None:
        low, high = options.passband_hz
        parts.append(f"{low:g}–{high:g} Hz")
    elif filters_as_written.strip():
        parts.append(f"{words['device_filters']} {filters_as_written.strip()}")
    elif not options.filters:
        parts.append(words["unfiltered"])
    if "mains" in options.filters:
        parts.append(f"{words['mains']} {options.mains_hz:g} Hz")
    parts += [words[name] for name in ("baseline", "muscle") if name in options.filters]
    return GAP.join(parts)


def width_em(text: str) -> float:
    """Room that a line takes, in units of its size, a little generous: a wide character 1, a capital 0.75, any other 0.58."""
    return sum(1.0 if unicodedata.east_asian_width(char) in "WFA" or char in "MW" else 0.75 if char.isupper() else 0.58 for char in text)


def shortened(text: str, room_em: float) -> str:
    """The line on one row and within its room; what is cut off is shown as cut off by "…"."""
    line = " ".join(text.split()) if GAP not in text else text.replace("\n", " ")
    if width_em(line) <= room_em:
        return line
    kept, used = [], 1.0
    for char in line:
        used += width_em(char)
        if used > room_em:
            break
        kept.append(char)
    return "".join(kept) + "…"
