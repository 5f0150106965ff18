"""What the page shows of an ECG's analysis: measurements with units or the reason why there is none."""
from __future__ import annotations

import json

from flask_babel import lazy_gettext

from ecg.files import open_recording
from ecg.recording import Recording, SourceFile
from hub.context import Hub
from hub.flow import studies

# name, label, decimals. QTc is always named with its formula.
SHOWN = (
    ("heart_rate", lazy_gettext("心率"), 0), ("rr", lazy_gettext("RR 间期"), 0), ("p", lazy_gettext("P 波时限"), 0),
    ("pr", lazy_gettext("PR 间期"), 0), ("qrs", lazy_gettext("QRS 时限"), 0), ("qt", lazy_gettext("QT 间期"), 0),
    ("qtc_bazett", lazy_gettext("QTc（Bazett）"), 0), ("qtc_fridericia", lazy_gettext("QTc（Fridericia）"), 0),
    ("qtc_framingham", lazy_gettext("QTc（Framingham）"), 0), ("qtc_hodges", lazy_gettext("QTc（Hodges）"), 0),
    ("p_axis", lazy_gettext("P 电轴"), 0), ("qrs_axis", lazy_gettext("QRS 电轴"), 0), ("t_axis", lazy_gettext("T 电轴"), 0),
)
REASONS = {
    "no_p_wave": lazy_gettext("未见 P 波"), "lead_off": lazy_gettext("导联脱落"), "too_noisy": lazy_gettext("干扰过大"),
    "too_few_beats": lazy_gettext("心搏过少"), "no_qrs": lazy_gettext("未检出 QRS"), "no_signal": lazy_gettext("无信号"),
    "lead_missing": lazy_gettext("缺少导联"),
}
UNITS = {"bpm": lazy_gettext("次/分"), "1/min": lazy_gettext("次/分"), "deg": "°", "degrees": "°", "uV": "µV"}
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
    return rows


def for_templates(analysis: dict | None) -> dict[str, str]:
    """The values that report templates name, as text; "" where a value could not be measured."""
    measured = (analysis or {}).get("measurements", {})
    values = {name: "" if one["value"] is None else f"{one['value']:.0f}" for name, one in measured.items()}
    for name, source in TEMPLATE_NAMES.items():
        if values.get(source):
            values[name] = f"{values[source]}（Bazett 公式）"      # reports are written in Chinese
    return values
