"""The previous ECG of the same patient beside this one: one sentence, the numbers, and both median beats.

Measured when it is looked at, from the original files of both: which ECG is the previous one may change (a patient
is merged, an older recording arrives late), and nothing that was kept could then be wrong.
"""
from __future__ import annotations

import logging
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext

from ecg.analysis import analyse
from ecg.errors import UnreadableRecording
from ecg.findings import Analysis
from ecg.interpret.serial import AXIS_DEG, INTERVALS, SerialComparison, aligned_beats, compare
from ecg.jobs import beginning_of
from ecg.recording import Recording
from ecg.render import beats_svg
from hub.context import Hub
from hub.errors import NotFound, Permanent
from hub.flow import retention, studies
from hub.model.access import Actor
from reading_ui.analysis import SHOWN, UNITS, recording_of

LONGEST_S = 30.0      # of each recording: enough beats for a median, quick on a page
LOOKED_THROUGH = 100  # studies of the patient
LIMITS = {**{name: limit for name, (limit, *_words) in INTERVALS.items()}, "qrs_axis": AXIS_DEG}

log = logging.getLogger("hub.web")


@dataclass(frozen=True)
class Serial:
    """``earlier``: the study row that is compared with; ``choices``: every earlier ECG, the latest first; ``found``:
    what changed, None where one of the two cannot be measured."""

    earlier: object
    choices: tuple
    found: SerialComparison | None
    before: tuple[Recording, Analysis] | None = None
    now: tuple[Recording, Analysis] | None = None

    @property
    def words(self) -> dict | None:
        """The difference in one sentence, in both languages."""
        return {"zh": self.found.zh, "en": self.found.en} if self.found else None


def serial_of(hub: Hub, actor: Actor, row, earlier_id: int | None = None) -> Serial | None:
    """This ECG against an earlier one of the patient whose original is kept: the latest before it, or the one named. None where
    there is none; NotFound where the one named is not such an ECG, Gone where its original was removed by rule."""
    zone = ZoneInfo(hub.settings.timezone)
    known = [one for one in studies.earlier_of_patient(hub, actor, row, most=LOOKED_THROUGH) if one.kind == "ecg"]
    removed = retention.removed_among(hub, [one.id for one in (*known, row)])
    if row.id in removed:
        return None
    if earlier_id in removed:
        retention.require_there(hub, earlier_id)
    dated = [(_moment(one, zone), one) for one in known if one.id not in removed]
    choices = tuple(one for moment, one in sorted(dated, key=lambda pair: pair[0], reverse=True) if moment < _moment(row, zone))
    earlier = next((one for one in choices if earlier_id in (None, one.id)), None)
    if earlier is None:
        if earlier_id is not None:
            raise NotFound("not_found", "该患者没有这份更早的心电图。", "no such earlier ECG of this patient.")
        return None
    before, now = _measured(hub, earlier), _measured(hub, row)
    if before is None or now is None:
        return Serial(earlier, choices, None)
    return Serial(earlier, choices, compare(before, now), before, now)


def drawing(serial: Serial, language: str) -> str | None:
    """Both median beats over each other as SVG, the change of ST beside each lead; None where there is nothing to draw."""
    aligned = aligned_beats(serial.before, serial.now) if serial.found else None
    if aligned is None:
        return None
    remarks = {lead: f"ΔST {_signed(change / 1000, 2)} mV" for lead, change in serial.found.st_change_uv.items()}
    return beats_svg(aligned.leads, aligned.before_uv, aligned.now_uv, aligned.rate_hz, aligned.onset, remarks, language)


def values_of(serial: Serial) -> list[dict]:
    """Rows of the table: label, both values as text ("" where there is none), the change, unit, and whether it is one
    that a reader would call a change."""
    if serial.found is None:
        return []
    rows = []
    for name, label, decimals in (*SHOWN, ("qrs_axis", lazy_gettext("QRS 电轴"), 0)):
        was, now = (one[1].measurements[name].value for one in (serial.before, serial.now))
        change = None if was is None or now is None else serial.found.interval_change.get(name, now - was)
        limit = LIMITS.get(name)
        unit = serial.now[1].measurements[name].unit
        rows.append({"label": label, "was": _text(was, decimals), "now": _text(now, decimals), "unit": UNITS.get(unit, unit),
                     "change": "" if change is None else _signed(change, decimals),
                     "passed": limit is not None and change is not None and abs(change) >= limit})
    return [row for row in rows if row["was"] or row["now"]]


def _text(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _signed(value: float, decimals: int) -> str:
    """With its sign, but for what rounds to nothing."""
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def _moment(row, zone: ZoneInfo) -> tuple[str, int]:
    """When it was recorded, county time; where the cart does not tell, when it came."""
    return row.study_at or row.received_at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S"), row.id


def _measured(hub: Hub, row) -> tuple[Recording, Analysis] | None:
    """The last recording of a study and its analysis; None where it cannot be read or measured."""
    instances = studies.instances_of(hub, row.id)
    if not instances:
        return None
    try:
        recording = beginning_of(recording_of(hub, instances[-1]), LONGEST_S)
        return recording, analyse(recording)
    except (UnreadableRecording, Permanent, ArithmeticError, LookupError, TypeError, ValueError):
        log.warning("ECG study %s cannot be compared", row.id, exc_info=True)
        return None
