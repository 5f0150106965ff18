"""HL7 annotated ECG (aECG, the FDA XML standard, ANSI/HL7 V3 ECG R1-2004) and the Chinese export of it.

Values are origin + scale x digit, exactly. Two habits of Chinese exporters are read and reported:
``<increment value="2" unit="s"/>`` where milliseconds are meant (a rate of 0.5 Hz is no ECG), and
interpretation in an ``analysis`` element the standard does not know.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.etree.ElementTree import Element

import numpy as np

from ecg.errors import UnreadableRecording
from ecg.leads import is_standard, standard_name
from ecg.readers.given import MAX_LEADS, MAX_VALUES, check_rate, check_values, malformed, no_unit, the_one, truncated
from ecg.readers.grid import Piece, on_one_axis
from ecg.readers.hl7_words import device_of, filters_of, measurements_of, patient_of, statements_of, time_of
from ecg.readers.xml_tree import parse, root_name
from ecg.recording import Recording, SourceFile
from ecg.units import microvolts_per

NAME = "HL7 aECG"
FILL = -32768          # what carts write where an electrode was off
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6}
MAX_DIGITS_CHARS = 8 * 1024 * 1024      # of one lead: over two hours at 500 Hz
_DIGITS = re.compile(r"[\s\d+\-.eE]*")


def sniff(head: bytes, name: str = "") -> bool:
    """True where the root element is AnnotatedECG, in any Unicode encoding, after any comments."""
    return root_name(head) == "AnnotatedECG"


def read(files: Sequence[SourceFile], declared: Mapping[str, str] | None = None) -> Recording:
    """The rhythm series of one aECG file. Raises UnreadableRecording only."""
    file = the_one(files, sniff, NAME)
    root, notes = parse(file, NAME)
    series, more_notes = _rhythm_series(root)
    sets = series.findall("component/sequenceSet")
    if not sets:
        raise malformed(NAME)
    rate_hz, rate_notes = _rate_of(sets)
    pieces, piece_notes = _pieces_of(sets, rate_hz)
    leads, samples_uv, lsb_uv = on_one_axis(pieces, NAME)
    start, time_notes = _start_of(root, series, sets)
    return Recording(
        format=NAME, leads=leads, samples_uv=samples_uv, rate_hz=rate_hz, lsb_uv=lsb_uv, start=start,
        patient=patient_of(root), device=device_of(series), filters_as_written=filters_of(series),
        device_measurements=measurements_of(root), device_statements=statements_of(root),
        notes=notes + more_notes + rate_notes + piece_notes + time_notes)


def _rhythm_series(root: Element) -> tuple[Element, tuple[str, ...]]:
    every = root.findall("component/series")
    rhythm = [one for one in every if _code(one) == "RHYTHM"] or every
    if not rhythm:
        raise malformed(NAME)
    if len(rhythm) > 1:
        return rhythm[0], (f"series_not_used:{len(rhythm) - 1}",)
    return rhythm[0], ()


def _rate_of(sets: Sequence[Element]) -> tuple[float, tuple[str, ...]]:
    """Samples per second from the time sequences' increments, which must agree."""
    rates, notes = set(), ()
    for sequence_set in sets:
        increment = next((found for one in sequence_set.findall("component/sequence")
                          if _code(one).startswith("TIME_") and (found := one.find("value/increment")) is not None), None)
        if increment is None:
            continue
        written = _number(increment.get("value"))
        unit = (increment.get("unit") or "").strip()
        if unit not in _SECONDS or written <= 0:
            raise _no_rate()
        seconds = written * _SECONDS[unit]
        if unit == "s" and 0.1 <= written <= 20:
            seconds = written * 1e-3
            notes = (f"increment_read_as_ms:{increment.get('value')}",)
        rates.add(round(1 / seconds, 9))
    if len(rates) != 1:
        raise _no_rate()
    return check_rate(rates.pop()), notes


def _no_rate() -> UnreadableRecording:
    return UnreadableRecording("no_rate", "文件没有给出唯一可信的采样间隔（increment），请重新导出。",
                               "The file states no single believable sampling interval (increment).")


def _pieces_of(sets: Sequence[Element], rate_hz: float) -> tuple[list[Piece], tuple[str, ...]]:
    pieces: list[Piece] = []
    notes: list[str] = []
    heads = [_head_seconds(one) for one in sets]
    for sequence_set, head in zip(sets, heads):
        if len(sets) > 1 and (head is None or heads[0] is None):
            raise UnreadableRecording("no_time_axis", "文件含多组导联但没有给出先后时间，请重新导出。",
                                      "The file holds several sets of leads without saying when each began.")
        first = 0 if len(sets) == 1 else round((head - heads[0]) * rate_hz)
        if not abs(first) <= MAX_VALUES or len(pieces) > MAX_LEADS:
            raise malformed(NAME)
        for sequence in sequence_set.findall("component/sequence"):
            code = _code(sequence)
            if code.startswith("TIME_"):
                continue
            samples_uv, lsb_uv = _amplitudes(sequence, code, notes)
            if samples_uv is not None:
                pieces.append(Piece(standard_name(code), first, samples_uv, lsb_uv))
    if len(sets) > 1:
        notes.append(f"sequence_sets:{len(sets)}")
    sizes = {piece.samples_uv.size for piece in pieces}
    if len(sets) == 1 and len(sizes) > 1:
        notes += [f"short:{piece.lead}:{piece.samples_uv.size}" for piece in pieces if piece.samples_uv.size < max(sizes)]
    return pieces, tuple(notes)


def _amplitudes(sequence: Element, code: str, notes: list[str]) -> tuple[np.ndarray | None, float]:
    value = sequence.find("value")
    digits = value.find("digits") if value is not None else None
    scale = value.find("scale") if value is not None else None
    if digits is None or scale is None:
        raise malformed(NAME)
    unit = microvolts_per(scale.get("unit") or "")
    if unit is None:
        if is_standard(standard_name(code)) or not (scale.get("unit") or "").strip():
            raise no_unit()
        notes.append(f"not_ecg:{standard_name(code)}")
        return None, 0.0
    lsb_uv = _number(scale.get("value")) * unit
    if not 0 < abs(lsb_uv) <= 1e6:
        raise malformed(NAME)
    origin = value.find("origin")
    origin_uv = 0.0
    if origin is not None:
        origin_unit = microvolts_per(origin.get("unit") or scale.get("unit") or "")
        if origin_unit is None:
            raise no_unit()
        origin_uv = _number(origin.get("value") or "0") * origin_unit
    counts = _counts(digits.text or "")
    if not counts.size:
        raise truncated()
    return np.where(counts == FILL, np.nan, counts * lsb_uv + origin_uv), abs(lsb_uv)


def _counts(text: str) -> np.ndarray:
    if len(text) > MAX_DIGITS_CHARS:
        check_values(1, MAX_VALUES + 1)
    if not _DIGITS.fullmatch(text):
        raise malformed(NAME)
    try:
        counts = np.array(text.split(), dtype=np.float64)
    except ValueError:
        raise malformed(NAME) from None
    if not np.all(np.abs(counts) <= 2.0**40):
        raise malformed(NAME)
    return counts


def _start_of(root: Element, series: Element, sets: Sequence[Element]) -> tuple[str, tuple[str, ...]]:
    """When the leads were recorded: the absolute head, else the series, else the study.

    Some exporters put the moment of export, twice the same, into the series; the study's time then
    counts and the disagreement is noted.
    """
    head = sets[0].find("component/sequence/value/head")
    absolute = time_of(head.get("value")) if head is not None else ""
    low = time_of(_value_at(series, "effectiveTime/low"))
    high = time_of(_value_at(series, "effectiveTime/high"))
    study = time_of(_value_at(root, "effectiveTime/center") or _value_at(root, "effectiveTime/low"))
    if absolute:
        return absolute, ()
    if study and low and low == high and low != study:
        return study, (f"series_time_not_used:{low}",)
    return low or study, ()


def _head_seconds(sequence_set: Element) -> float | None:
    for sequence in sequence_set.findall("component/sequence"):
        head = sequence.find("value/head")
        if head is None or not _code(sequence).startswith("TIME_"):
            continue
        if _code(sequence) == "TIME_RELATIVE":
            return _number(head.get("value") or "0") * _SECONDS.get(head.get("unit") or "s", 1.0)
        written = time_of(head.get("value"))
        return (datetime.fromisoformat(written) - datetime(1900, 1, 1)).total_seconds() if "T" in written else None
    return None


def _code(element: Element) -> str:
    code = element.find("code")
    return (code.get("code") or "").strip() if code is not None else ""


def _value_at(element: Element, path: str) -> str:
    found = element.find(path)
    return (found.get("value") or "") if found is not None else ""


def _number(text: str | None) -> float:
    if text is None or not re.fullmatch(r"\s*[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE][+-]?\d{1,2})?\s*", text):
        raise malformed(NAME)
    return float(text)
