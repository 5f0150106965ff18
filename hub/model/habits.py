"""In which encoding a device writes names: what was read surely before speaks for what cannot be decided now.

Counted once a study, and only where the bytes decided by themselves, so that a guess never feeds the next one. The
promise: a habit only puts one of the possible readings first; a name that was unsure stays marked for a person.
Weighed against 4,200 to 17,640 names of each corpus of tests/dicom_gateway/test_charset.py: were the mark lifted
where the habit tips the balance, a device whose setting was changed would have 7 to 115 wrong names unmarked.
"""
from __future__ import annotations

from collections.abc import Mapping

LEAST_SURE = 20          # names: if none of twenty is otherwise, more than one in seven hardly is (95 %: 3/20, rule of three)
LEAST_SHARE = 0.95       # leaves room for one foreign patient in twenty; a device set otherwise loses its habit with its twelfth name
MOST_REMEMBERED = 200    # names; beyond it all counts are halved, so that what was long ago counts less and less


def habit(written: Mapping[str, int]) -> str:
    """The encoding in which nearly all names of a device were written, "" where there is none or too few are known.
    ``written``: encoding to number of names read surely."""
    total = sum(written.values())
    if total < LEAST_SURE:
        return ""
    encoding, times = max(written.items(), key=lambda one: one[1])
    return encoding if times >= LEAST_SHARE * total else ""


def with_more(written: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The counts with some more."""
    counts = {encoding: written.get(encoding, 0) + more.get(encoding, 0) for encoding in {**written, **more}}
    while sum(counts.values()) > MOST_REMEMBERED:
        counts = {encoding: times // 2 for encoding, times in counts.items()}
    return {encoding: times for encoding, times in sorted(counts.items()) if times}
