"""What the page shows of an ECG's analysis: measurements with units or the reason why there is none."""
from __future__ import annotations

import json

from flask_babel import lazy_gettext

from ecg.files import open_recording
from ecg.recording import Recording, SourceFile
from ecg.render import layout_for
from hub.context import Hub
from hub.flow import studies

# name, label, decimals. QTc is always named with its formula.
SHOWN = (
    ("heart_rate", lazy_gettext("心率"), 0), ("rr", lazy_gettext("RR 间期"), 0), ("p", lazy_gettext("P 波时限"), 0),
    ("pr", lazy_gettext("PR 间期"), 0), ("qrs", lazy_gettext("QRS 时限"), 0), ("qt", lazy_gettext("QT 间期"), 0),
    ("qtc_bazett", "QTc Bazett", 0), ("qtc_fridericia", "QTc Fridericia", 0),
    ("qtc_framingham", "QTc Framingham", 0), ("qtc_hodges", "QTc Hodges", 0),
)
AXES = ("p_axis", "qrs_axis", "t_axis")
REASONS = {
    "no_p_wave": lazy_gettext("未见 P 波"), "lead_off": lazy_gettext("导联脱落"), "too_noisy": lazy_gettext("干扰过大"),
    "too_few_beats": lazy_gettext("心搏过少"), "no_qrs": lazy_gettext("未检出 QRS"), "no_signal": lazy_gettext("无信号"),
    "lead_missing": lazy_gettext("缺少导联"), "limb_leads_missing": lazy_gettext("缺少肢体导联"), "no_t_wave": lazy_gettext("T 波不清"),
    "no_such_wave": lazy_gettext("未见该波"), "too_short": lazy_gettext("记录过短"), "too_small": lazy_gettext("波幅过低"),
    "leads_off": lazy_gettext("导联脱落"), "beat_cut_off": lazy_gettext("心搏不完整"),
}
UNITS = {"bpm": lazy_gettext("次/分"), "1/min": lazy_gettext("次/分"), "/min": lazy_gettext("次/分"), "deg": "°", "degrees": "°", "uV": "µV"}
BEFORE_S, AFTER_S = 0.30, 0.50           # around the R of a beat that a statement is about
PAUSES = {"PAUSE", "2AVB"}               # they are about what follows their beat
TO_THE_END_S = 30.0
MOST_PLACES = 50
TEMPLATE_NAMES = {"qtc": "qtc_bazett"}


def analysis_of(hub: Hub, study_id: int) -> dict | None:
    """The newest analysis of an ECG study, as Analysis.as_json() wrote it; None where there is none."""
    rows = studies.artifacts_of(hub, study_id, "ecg_analysis")
    return json.loads(hub.blobs.read(max(rows, key=lambda row: row.id).sha256)) if rows else None


def recording_of(hub: Hub, instance) -> Recording:
    """The recording read from an instance's original files. UnreadableRecording where they cannot be read."""
    files = [SourceFile(one["name"], hub.blobs.read(one["sha256"])) for one in instance.files]
    return open_recording(files, instance.declared or None)


def shown_measurements(analysis: dict | None) -> list[dict]:
    """Rows for the table: label, value as text or "", unit, reason."""
    rows = []
    for name, label, decimals in SHOWN if analysis else ():
        one = analysis["measurements"].get(name)
        if one is not None:
            value = "" if one["value"] is None else f"{one['value']:.{decimals}f}"
            rows.append({"name": name, "label": label, "value": value, "unit": UNITS.get(one["unit"], one["unit"]),
                         "reason": REASONS.get(one["reason"], one["reason"])})
    return rows + _axes(analysis)


def _axes(analysis: dict | None) -> list[dict]:
    """The three axes in one row, as a cart prints them."""
    known = [analysis["measurements"].get(name) for name in AXES] if analysis else []
    if not any(known):
        return []
    written = "/".join("—" if one is None or one["value"] is None else f"{one['value']:.0f}" for one in known)
    reason = next((one["reason"] for one in known if one and one["value"] is None), "")
    none = all(one is None or one["value"] is None for one in known)
    return [{"name": "qrs_axis", "label": lazy_gettext("P/QRS/T 电轴"), "value": "" if none else written, "unit": "°",
             "reason": REASONS.get(reason, reason)}]


def for_templates(analysis: dict | None) -> dict[str, str]:
    """The values that report templates name, as text; "" where a value could not be measured."""
    measured = (analysis or {}).get("measurements", {})
    values = {name: "" if one["value"] is None else f"{one['value']:.0f}" for name, one in measured.items()}
    for name, source in TEMPLATE_NAMES.items():
        if values.get(source):
            values[name] = values[source]
    return values


def places_of(analysis: dict | None) -> list[str]:
    """For each statement the beats that it is about, as "from-to,from-to" in seconds; "" for one that holds in every beat."""
    return [",".join(f"{max(0.0, start):.2f}-{end:.2f}" for start, end in _spans(analysis, one)[:MOST_PLACES])
            for one in (analysis["statements"] if analysis else [])]


def _spans(analysis: dict, statement: dict) -> list[tuple[float, float]]:
    times = _times(analysis)
    beats = [at for at in statement.get("beats", ()) if at < len(times)]
    if statement["code"] in PAUSES:
        return [(times[at] - 0.1, times[at + 1] + 0.1 if at + 1 < len(times) else times[at] + TO_THE_END_S) for at in beats]
    return [(times[at] - BEFORE_S, times[at] + AFTER_S) for at in beats]


def beat_marks(analysis: dict | None) -> list[dict]:
    """Marks under the rhythm strip, as {t_s, label}: every beat that a statement is about, but for those before a pause."""
    times = _times(analysis)
    named = {at for one in (analysis or {}).get("statements", ()) if one["code"] not in PAUSES for at in one.get("beats", ())}
    return [{"t_s": round(times[at], 3), "label": ""} for at in sorted(named) if at < len(times)]


def _times(analysis: dict | None) -> list[float]:
    """Seconds of every beat; none where an analysis does not tell its sampling rate."""
    rate_hz = (analysis or {}).get("rate_hz")
    return [beat["r"] / rate_hz for beat in analysis["beats"]] if rate_hz else []


def has_few_leads(analysis: dict | None) -> bool:
    """Whether a recording lacks so many of the standard leads that a twelve-lead sheet would be mostly empty."""
    leads = (analysis or {}).get("lead_measurements")
    return bool(leads) and layout_for(leads) == "recorded"
