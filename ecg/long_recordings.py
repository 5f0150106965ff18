"""The whole of a long recording searched for critical rhythms, window by window.

Waves are measured on the first minutes only; a dangerous rhythm can stand anywhere. Windows of a minute overlap, so
that a run or a pause at a border lies whole in one of them. Three leads are enough to see a rhythm: time and memory
stay bounded (one window at a time, about a tenth of a second of processor each).
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ecg.analysis import analyse
from ecg.findings import Statement
from ecg.recording import Recording

WINDOW_S = 60.0
OVERLAP_S = 8.0                # longer than the longest pause or run that needs to be seen whole
MOST_WINDOWS = 3400            # two days; what lies behind is named as not searched
RHYTHM_LEADS = ("II", "V1", "V5")
TIMES_SHOWN = 3
SPOILING = {"muscle", "saturated", "calibration", "wander", "no_signal", "leads_off"}


@dataclass(frozen=True)
class Search:
    """``statements``: critical ones, each once, with the times at which it is seen; ``unsure_s``: starts (seconds) of
    windows in which the signal was too poor to believe a critical rhythm or its absence; ``searched_s``: how far."""

    statements: tuple[Statement, ...]
    unsure_s: tuple[float, ...]
    searched_s: float


def search(recording: Recording) -> Search:
    """Critical rhythms of a recording of any length, with their times as seconds from its start in the evidence."""
    narrow = _rhythm_leads(recording)
    seen: dict[str, list[tuple[float, Statement]]] = {}
    unsure: list[float] = []
    searched = 0.0
    for start_s, part in _windows(narrow):
        searched = start_s + part.duration_s
        found = analyse(part)
        critical = [one for one in found.statements if one.critical]
        poor = found.quality.verdict == "repeat" and SPOILING & {finding.code for finding in found.quality.findings}
        if poor:
            unsure.append(start_s)
        for one in critical:
            if not poor:
                seen.setdefault(f"{one.code} {one.rule}", []).append((start_s, one))
    return Search(tuple(_together(times) for times in seen.values()), tuple(unsure), searched)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds from the start of the recording: 3723 is 01:02:03."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _rhythm_leads(recording: Recording) -> Recording:
    """The recording with at most three leads, as a view of its samples."""
    wanted = [recording.leads.index(lead) for lead in RHYTHM_LEADS if lead in recording.leads]
    rows = (wanted + [row for row in range(len(recording.leads)) if row not in wanted])[:len(RHYTHM_LEADS)]
    if len(recording.leads) <= len(RHYTHM_LEADS):
        return recording
    rows.sort()
    # a list of rows would copy the whole recording: the windows choose them
    return replace(recording, leads=tuple(recording.leads[row] for row in rows), samples_uv=_Rows(recording.samples_uv, rows),
                   lsb_uv=tuple(recording.lsb_uv[row] for row in rows))


class _Rows:
    """Some rows of an array, copied only where a window is cut."""

    ndim = 2

    def __init__(self, samples: np.ndarray, rows: list[int]):
        self._samples, self._rows, self.shape = samples, rows, (len(rows), samples.shape[1])

    def __getitem__(self, place: tuple[slice, slice]) -> np.ndarray:
        return self._samples[self._rows, place[1]]


def _windows(recording: Recording) -> Iterator[tuple[float, Recording]]:
    length = recording.samples_uv.shape[1]
    size, step = int(WINDOW_S * recording.rate_hz), int((WINDOW_S - OVERLAP_S) * recording.rate_hz)
    for first in range(0, max(length - int(OVERLAP_S * recording.rate_hz), 1), step)[:MOST_WINDOWS]:
        yield first / recording.rate_hz, replace(recording, samples_uv=np.array(recording.samples_uv[:, first:first + size]))


def _together(times: list[tuple[float, Statement]]) -> Statement:
    """One statement for all windows in which it was made: the first with the times of the first few."""
    _, one = times[0]
    shown = "、".join(clock(start_s) for start_s, _ in times[:TIMES_SHOWN])
    more = f" 等共 {len(times)} 段" if len(times) > TIMES_SHOWN else ""
    return replace(one, beats=(), evidence="；".join(text for text in (f"{shown} 起的一分钟内{more}", one.evidence) if text))
