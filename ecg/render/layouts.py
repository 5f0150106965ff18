"""Which lead stands where: each layout as a table of rows, read as the paper is read."""
from __future__ import annotations

from collections.abc import Collection

from ecg.recording import STANDARD_LEADS

_COLUMNS = {
    "3x4+1": (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    "6x2": (("I", "V1"), ("II", "V2"), ("III", "V3"), ("aVR", "V4"), ("aVL", "V5"), ("aVF", "V6")),
    "12x1": tuple((lead,) for lead in STANDARD_LEADS),
}


FEW = 6                        # of the standard leads: with fewer a twelve-lead sheet would be mostly empty


def layout_for(leads: Collection[str]) -> str:
    """The layout in which these leads are first shown: "3x4+1", or "recorded" where few of the standard leads are there."""
    return "3x4+1" if sum(lead in leads for lead in STANDARD_LEADS) >= FEW else "recorded"


def rows_of(layout: str, rhythm_lead: str, recorded: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The rows from top to bottom, each with its leads from left to right. A row of one lead spans the
    whole page. ``recorded`` is used by the layout "recorded" alone: a row for every lead of the file."""
    if layout == "recorded":
        return tuple((lead,) for lead in recorded)
    rows = _COLUMNS[layout]
    return rows + ((rhythm_lead,),) if layout == "3x4+1" else rows
