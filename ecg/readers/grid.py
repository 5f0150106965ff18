"""Pieces of leads on one time axis: carts that record 4 x 3 leads in turn leave NaN where a lead was silent."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg.readers.given import check_values, malformed


@dataclass(frozen=True)
class Piece:
    """Some samples of one lead: float64 microvolts, shape (samples,), beginning at ``first`` on the axis."""

    lead: str
    first: int
    samples_uv: np.ndarray
    lsb_uv: float


def on_one_axis(pieces: Sequence[Piece], format_name: str) -> tuple[tuple[str, ...], np.ndarray, tuple[float, ...]]:
    """Leads in order of appearance, samples (leads, samples) with NaN in the gaps, and lsb per lead.

    Refused (UnreadableRecording): no pieces, more than the bounds allow, two pieces of one lead that
    overlap or differ in resolution.
    """
    leads = tuple(dict.fromkeys(piece.lead for piece in pieces))
    begin = min((piece.first for piece in pieces), default=0)
    end = max((piece.first + piece.samples_uv.size for piece in pieces), default=0)
    check_values(len(leads), end - begin)
    rows = np.full((len(leads), end - begin), np.nan)
    taken: dict[str, list[tuple[int, int]]] = {}
    lsb: dict[str, float] = {}
    for piece in pieces:
        first, last = piece.first - begin, piece.first - begin + piece.samples_uv.size
        if any(first < other_last and other_first < last for other_first, other_last in taken.get(piece.lead, ())):
            raise malformed(format_name)
        if lsb.setdefault(piece.lead, piece.lsb_uv) != piece.lsb_uv:
            raise malformed(format_name)
        taken.setdefault(piece.lead, []).append((first, last))
        rows[leads.index(piece.lead), first:last] = piece.samples_uv
    return leads, rows, tuple(lsb[lead] for lead in leads)
