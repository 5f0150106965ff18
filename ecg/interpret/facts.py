"""The facts that rules ask about: every name a rule table may use is made here, with its value or None.

None means "not measured on this recording" and leaves a rule silent; zero means measured and absent. Whole
topics are withheld, with the reason, where leads, electrodes or noise do not allow them.
"""
from __future__ import annotations

from dataclasses import dataclass, field

from ..findings import Analysis
from ..recording import STANDARD_LEADS, Recording
from .infarction_facts import infarction_facts
from .lead_values import LeadValues
from .rhythm_facts import rhythm_facts
from .shape_facts import shape_facts
from .st_facts import st_facts

LABELS = {"heart_rate": ("心率", "/min"), "pr": ("PR", "ms"), "pr_leads": ("单导联 PR", "ms"), "p": ("P", "ms"), "qrs": ("QRS", "ms"), "qt": ("QT", "ms"),
          "qtc": ("QTc", "ms"), "qrs_axis": ("QRS 电轴", "°"), "p_axis": ("P 电轴", "°"), "rr_max": ("最长 RR", "ms"),
          "pause": ("停搏", "ms"), "irregularity": ("RR 变化", "%"), "p_likeness": ("P 波一致性", ""),
          "ventricular_beats": ("室性早搏", "个"), "atrial_beats": ("房性早搏", "个"), "ventricular_run": ("连续室性", "个"),
          "ventricular_run_rate": ("室性心率", "/min"), "atrial_rate": ("心房率", "/min"), "free_p": ("未下传 P 波", "个"),
          "flutter_rate": ("扑动波", "/min"), "sokolow": ("SV1+RV5/6", "mV"), "cornell": ("RaVL+SV3", "mV"),
          "peguero": ("最深 S+SV4", "mV"), "calm_share": ("静息占比", "%"), "coupling": ("最短联律间期", "ms"), "large_rate": ("大波频率", "/min"),
          "largest_t": ("T 最高", "mV"), "lowest_limb": ("肢导最大 QRS", "mV"), "lowest_chest": ("胸导最大 QRS", "mV"),
          "largest_qrs": ("最大 QRS", "mV"), "rr_spread": ("RR 差", "ms")}
SCALED = {"mV": 0.001, "%": 100.0}
DIGITS = {"mV": 2, "": 2}
WAVES = {"p_amplitude": "P", "q_amplitude": "Q", "r_amplitude": "R", "s_amplitude": "S", "r2_amplitude": "R'", "t_amplitude": "T",
         "q_duration": "Q", "r_duration": "R", "s_duration": "S", "r_peak_time": "R 峰时", "st_j20": "ST"}
SURE_SWAP = 0.8                # an exchange of chest leads less sure than this does not silence infarction
MOST_OF_RR = 0.80
WAVE_TOPICS = ("axis", "voltage", "hypertrophy", "infarction", "st_t", "conduction", "summary", "qt")
WAVE_FACTS = tuple((f"{lead}.{wave}", lead, wave) for lead in STANDARD_LEADS for wave in WAVES)
CHEST = STANDARD_LEADS[6:]
LIMB = STANDARD_LEADS[:6]


@dataclass(frozen=True)
class Facts:
    """``values``: name -> number or None; ``leads``: name of a group fact -> leads it holds in; ``notes``: name ->
    its evidence in words; ``beats``: kind (ventricular, atrial, escape, on_t, pause, long) -> numbers of beats; ``withheld``: topic -> why nothing is said on it; ``recorded``: usable leads."""

    values: dict[str, float | None]
    leads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    recorded: tuple[str, ...] = ()
    beats: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def words(self, name: str) -> str:
        """The evidence of one fact as text with its unit, empty where there is nothing to show."""
        if name in self.notes:
            return self.notes[name]
        value = self.values.get(name)
        if value is None:
            return ""
        if "." in name:
            lead, _, wave = name.partition(".")
            return f"{lead} {WAVES.get(wave, wave)} " + (f"{value / 1000:.2f} mV" if not wave.endswith(("duration", "time")) else f"{value:.0f} ms")
        if name not in LABELS:
            return ""
        label, unit = LABELS[name]
        return f"{label} {value * SCALED.get(unit, 1.0):.{DIGITS.get(unit, 0)}f} {unit}".rstrip().replace(" °", "°")


def facts_of(recording: Recording, analysis: Analysis) -> Facts:
    """Every fact of one analysed recording."""
    leads = LeadValues(analysis)
    values: dict[str, float | None] = {name: one.value for name, one in analysis.measurements.items()}
    age, sex = recording.patient.age_years, recording.patient.sex
    values.update(age=age, female=float(sex == "F"), male=float(sex == "M"), child=float(age is not None and age < 16),
                  beats=float(len(analysis.beats)), duration=recording.duration_s, long_recording=float(recording.duration_s > 120),
                  quality_repeat=float(analysis.quality.verdict == "repeat"))
    if values["heart_rate"] is not None:
        values["heart_rate"] = float(round(values["heart_rate"]))    # as it is shown: nobody reads of a bradycardia at 60
    rate = values["heart_rate"]
    values["qtc"] = values["qtc_fridericia"]
    values["pr_leads"] = _pr_of_leads(leads)
    if values["qt"] and values["rr"] and values["qt"] > MOST_OF_RR * values["rr"]:
        values["qtc"] = None                # T runs into the next P: its end cannot be told
    kinds: dict[str, tuple[int, ...]] = {}
    values.update(rhythm_facts(recording, analysis, values, kinds))
    groups: dict[str, tuple[str, ...]] = {}
    notes: dict[str, str] = {}
    shape_facts(leads, values)
    infarction_facts(leads, values, groups, notes)
    st_facts(leads, values, groups, notes)
    values.update({name: leads.value(lead, wave) for name, lead, wave in WAVE_FACTS})
    values["bundle_with_p"] = float(bool(values["has_p"] and (values["p_likeness"] or 0) >= 0.8 and (rate or 0) < 150
                                         and ((values["rbbb_v1"] and values["rbbb_s"]) or (values["lbbb_v1"] and values["lbbb_lateral"]))))
    withheld = _withheld(recording, analysis, values)
    values["limited"] = float(bool(withheld))
    notes["limited"] = "；".join(dict.fromkeys(withheld.values()))
    values["largest_qrs"] = max((one["qrs_peak_to_peak"].value or 0.0 for one in analysis.lead_measurements.values()), default=0.0)
    values["standard_leads"] = float(all(lead in recording.leads and lead not in analysis.quality.leads_off for lead in STANDARD_LEADS))
    recorded = tuple(lead for lead in recording.leads if lead not in analysis.quality.leads_off)
    return Facts(values, groups, notes, withheld, recorded, kinds)


def _pr_of_leads(leads: LeadValues) -> float | None:
    """PR as readers take it, in single leads: the mean over leads, each weighted by the size of its P wave."""
    found = [(abs(leads.value(lead, "p_amplitude") or 0.0), leads.value(lead, "pr_interval")) for lead in STANDARD_LEADS]
    found = [(size, pr) for size, pr in found if size and pr]
    return sum(size * pr for size, pr in found) / sum(size for size, _ in found) if found else None


def _withheld(recording: Recording, analysis: Analysis, values: dict[str, float | None]) -> dict[str, str]:
    usable = [lead for lead in recording.leads if lead not in analysis.quality.leads_off]
    codes = {finding.code: finding for finding in analysis.quality.findings}
    found: dict[str, str] = {}
    if any(lead not in usable for lead in CHEST):
        gone = "、".join(lead for lead in CHEST if lead not in usable)
        found.update(dict.fromkeys(("hypertrophy", "infarction"), f"{gone} 不可用，未评估肥厚与心肌梗死"))
    if any(lead not in usable for lead in ("I", "II", "III")):
        found.update(dict.fromkeys(("axis", "voltage", "hypertrophy", "infarction", "conduction"), "肢体导联不全，未评估电轴、电压、传导与心肌梗死"))
    for code in ("arm_reversal", "right_arm_right_leg", "left_arm_right_leg", "arms_legs", "right_arm_left_leg"):
        if code in codes:
            found.update(dict.fromkeys(("axis", "voltage", "infarction", "hypertrophy"), "肢体导联电极可能接反，未评估电轴、肥厚与心肌梗死"))
    if "chest_swap" in codes and codes["chest_swap"].confidence >= SURE_SWAP:
        found.update(dict.fromkeys(("infarction", "hypertrophy"), "胸导联可能接反，未评估肥厚与心肌梗死"))
    if analysis.quality.verdict == "repeat" and codes.keys() & {"wander", "muscle", "calibration", "saturated"}:
        found.update(dict.fromkeys(("st_t", "infarction", "summary"), "信号质量差，未评估 ST-T 与心肌梗死"))
    if values["child"]:
        found.update(dict.fromkeys(("axis", "hypertrophy", "infarction", "st_t", "summary"), "儿童心电图，成人标准不适用，仅评估节律与传导"))
    if values["large_rate"] is not None:
        found.update(dict.fromkeys(WAVE_TOPICS, "大小两种波被计为心搏，未评估波形"))
    if not analysis.beats:
        found.update(dict.fromkeys(WAVE_TOPICS, "未检出心搏"))
    return found
