"""Common statements on built signals, and what is withheld where leads or electrodes do not allow it."""
from dataclasses import replace

import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.interpret.lead_values import LeadValues
from ecg.recording import STANDARD_LEADS
from tests.ecg.built_signals import built, recording
from tests.ecg.interpret import constructed as make
from tests.ecg.interpret import hearts
from tests.ecg.interpret.hearts import heart


def codes(rec):
    return {statement.code for statement in analyse(rec).statements}


def test_a_quiet_sinus_rhythm_is_said_to_be_one():
    found = analyse(built(bpm=72)).statements
    assert found[0].code == "SR" and "/min" in found[0].evidence and found[0].rule.startswith("ecg-rules ")


@pytest.mark.parametrize("bpm, code", [(50, "SBRAD"), (72, "SR"), (115, "STACH")])
def test_sinus_rates_are_named(bpm, code):
    assert code in codes(built(bpm=bpm))


def test_fibrillation_is_named_at_any_rate():
    assert "AFIB" in codes(make.fibrillation(90.0)) and "AFIB" in codes(make.fibrillation(150.0, seed=8))


def test_ventricular_beats_are_counted():
    found = {s.code: s for s in analyse(make.with_ectopic_beats([0.52, 0.52])).statements}
    assert "室性早搏 2 个" in found["PVC"].evidence


def test_a_long_pr_is_a_first_degree_block():
    base = built(p=False, bpm=60)
    time = make.time_axis(10.0)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 1.0):
        for row, lead in enumerate(STANDARD_LEADS):
            rows[row] += 130 * make.projection(lead, 50.0) * make.hump(time - r, -0.32, -0.22)
    found = {s.code: s for s in analyse(recording(rows, 500.0)).statements}
    assert "1AVB" in found and "PR" in found["1AVB"].evidence


def test_pacing_spikes_are_named():
    base = built(p=False, bpm=70)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 60 / 70):
        at = int((r - 0.045) * 500) - 4
        rows[:, at:at + 2] += 1500
    assert "PACE" in codes(recording(rows, 500.0))


def test_one_lead_says_what_it_cannot_say():
    found = {s.code: s for s in analyse(built(leads=("II",))).statements}
    assert "未评估" in found["LIMITED"].evidence
    assert not {"IMI", "AMI", "LVH", "LAD", "NORM", "LVOLT"} & set(found)


def test_exchanged_arms_withhold_axis_and_infarction():
    base = built(qrs_axis=50.0, p_axis=50.0)
    rows = base.samples_uv.copy()
    i, ii, iii = rows[0].copy(), rows[1].copy(), rows[2].copy()
    rows[0], rows[1], rows[2] = -i, iii, ii
    rows[3], rows[4] = base.samples_uv[4], base.samples_uv[3]
    found = {s.code: s for s in analyse(recording(rows, 500.0)).statements}
    assert "电极可能接反" in found["LIMITED"].evidence
    assert not {"LAD", "RAD", "EAXIS", "LMI", "IMI"} & set(found)


def test_low_voltage_needs_all_limb_leads_small():
    assert "LVOLT" in codes(built(qrs_uv=350.0, t_uv=120.0, p_uv=60.0))
    assert "LVOLT" not in codes(built())


def test_every_statement_has_both_languages_and_a_rule():
    for rec in (built(), make.fibrillation(), make.ventricular_fibrillation(), make.complete_block()):
        for statement in analyse(rec).statements:
            assert statement.code and statement.zh and statement.en and "/" in statement.rule


def test_the_pr_of_single_leads_is_what_a_reader_measures():
    base = built(p=False, bpm=60)
    time = make.time_axis(10.0)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 1.0):
        for row, lead in enumerate(STANDARD_LEADS):
            rows[row] += 130 * make.projection(lead, 50.0) * make.hump(time - r, -0.22, -0.12)
    found = analyse(recording(rows, 500.0))
    assert found.lead_measurements["II"]["pr_interval"].value == pytest.approx(180.0, abs=15.0)
    assert "1AVB" not in {statement.code for statement in found.statements}


def test_fibrillation_at_a_fast_and_little_irregular_rate_is_named():
    generator = np.random.default_rng(11)
    times = 0.4 + np.cumsum(60.0 / 150.0 * (1 + 0.16 * generator.uniform(-1, 1, 40)))
    base = built(seconds=12.0, r_times=times[times < 11.5], p=False, t_uv=150.0)
    ripple = 40 * np.sin(2 * np.pi * 6.3 * make.time_axis(12.0) + 2 * np.sin(2 * np.pi * 0.7 * make.time_axis(12.0)))
    assert "AFIB" in codes(recording(base.samples_uv + ripple, 500.0))


def with_late_r(height_uv):
    """Sinus rhythm with a second R in V1 from 30 to 80 ms after R."""
    base = built(bpm=70)
    rows = base.samples_uv.copy()
    for r in np.arange(0.6, 9.5, 60 / 70):
        rows[STANDARD_LEADS.index("V1")] += height_uv * make.hump(make.time_axis(10.0) - r, 0.03, 0.08)
        rows[STANDARD_LEADS.index("V1")] += 300 * make.spike(make.time_axis(10.0) - r, -0.04, -0.01)
    return recording(rows, 500.0)


def test_a_second_r_in_v1_of_a_narrow_qrs_is_an_incomplete_right_block():
    assert "IRBBB" in codes(with_late_r(300.0)) and "IRBBB" not in codes(with_late_r(40.0))


def test_st_elevation_at_j_in_the_leads_of_tall_r_is_said_once():
    found = [statement for statement in analyse(make.with_st({"V4": 115.0, "V5": 60.0})).statements if statement.code == "STE_"]
    assert len(found) == 1 and "V4" in found[0].leads and not found[0].critical


def test_an_elevation_that_a_deep_s_explains_is_not_called_an_infarction():
    deep = make.with_st({"V1": 220.0, "V2": 260.0, "V3": 240.0})
    for r in np.arange(0.6, 9.5, 0.8):
        for lead in ("V1", "V2", "V3"):
            deep.samples_uv[STANDARD_LEADS.index(lead)] -= 2600 * make.spike(make.time_axis(10.0) - r, -0.02, 0.04)
        deep.samples_uv[STANDARD_LEADS.index("V5")] += 1500 * make.spike(make.time_axis(10.0) - r, -0.03, 0.03)
    assert not {"INJAS", "STE_"} & codes(deep)
    assert "INJAS" in codes(make.with_st({"V1": 180.0, "V2": 400.0, "V3": 450.0, "V4": 300.0, "III": -90.0, "aVF": -80.0}))


def test_an_st_depression_beside_the_voltages_of_hypertrophy_is_said_as_possibly_secondary():
    found = make.with_st({"V5": -110.0, "V6": -110.0, "I": -80.0}, t_uv={"V5": -250.0, "V6": -300.0, "I": -250.0})
    for r in np.arange(0.6, 9.5, 0.8):
        found.samples_uv[STANDARD_LEADS.index("V1")] -= 2500 * make.spike(make.time_axis(10.0) - r, -0.02, 0.04)
        found.samples_uv[STANDARD_LEADS.index("V5")] += 2600 * make.spike(make.time_axis(10.0) - r, -0.03, 0.03)
    said = {statement.code: statement for statement in analyse(found).statements}
    assert {"LVH", "STD_"} <= set(said) and "继发" in said["STD_"].zh and not said["STD_"].critical


def levels(after_20_uv, after_60_uv, leads):
    """Lead values of a beat with these levels after J in these leads, V1 with a second R."""
    found = analyse(built(bpm=70))
    per_lead = {name: dict(values) for name, values in found.lead_measurements.items()}
    for lead in leads:
        for name, value in (("st_j", after_20_uv), ("st_j20", after_20_uv), ("st_j60", after_60_uv)):
            per_lead[lead][name] = replace(per_lead[lead][name], value=value, reason="")
    return LeadValues(replace(found, lead_measurements=per_lead))


def test_a_level_after_j_that_is_gone_forty_milliseconds_later_in_many_leads_is_the_qrs_going_on():
    late = levels(-250.0, -10.0, ("I", "V3", "V4", "V5", "V6"))
    assert late.qrs_goes_on and late.st("V4") == -10.0
    assert not levels(-250.0, -10.0, ("V4", "V5")).qrs_goes_on


def test_an_elevation_that_stays_is_never_taken_for_qrs():
    stays = levels(250.0, 230.0, ("I", "V2", "V3", "V4", "V5", "V6"))
    assert not stays.qrs_goes_on and stays.st("V4") == 250.0
    assert not levels(-250.0, -120.0, ("I", "V3", "V4", "V5", "V6")).qrs_goes_on


def test_a_q_in_iii_alone_is_a_variant_of_the_normal_and_beside_one_in_avf_a_scar():
    alone = {"I": [(-35, 35, 900)], "II": [(-35, 35, 700)]}                          # III -0.2 mV, aVF +0.25 mV
    assert not {"IMI", "QWAVE"} & codes(heart(alone))
    assert "IMI" in codes(heart(hearts.LOST_LOW, t={"II": [(150, 340, -120)]}))


@pytest.mark.parametrize("made, code, count", [(lambda: make.with_ectopic_beats([0.52, 0.52]), "PVC", 2), (lambda: make.with_ectopic_beats([0.30, 0.30]), "RONT", 2),
                                               (lambda: make.pause(3.6), "PAUSE", 1), (lambda: make.pause(2.5), "PAUSE", 1)])
def test_a_statement_about_single_beats_names_them(made, code, count):
    found = analyse(made())
    said = next(statement for statement in found.statements if statement.code == code)
    assert len(said.beats) == count and said.beats == tuple(sorted(set(said.beats)))
    if code == "PAUSE":
        before, after = found.beats[said.beats[0]].r, found.beats[said.beats[0] + 1].r
        assert (after - before) / 500.0 == pytest.approx(3.6 if said.critical else 2.5, abs=0.05)
    else:
        assert all(0.5 < found.beats[at].r / 500.0 < 11.5 for at in said.beats)


def test_a_statement_that_holds_in_every_beat_names_none():
    assert all(statement.beats == () for statement in analyse(heart()).statements)


@pytest.mark.parametrize("bpm", [75.0, 92.0])
def test_a_rhythm_that_cannot_be_told_is_said_and_never_left_out(bpm):
    said = codes(heart(with_p=False, bpm=bpm))
    assert "UNDET" in said and "NORM" not in said
    assert "UNDET" not in codes(heart(bpm=bpm))


@pytest.mark.parametrize("from_s", [0.0, 0.9], ids=["as many conducted beats", "fewer conducted beats"])
def test_in_bigeminy_the_conducted_beats_are_measured(from_s):
    plain, every_second = analyse(make.built()), make.with_ectopic_beats([0.65] * 7, at=(0, 2, 4, 6, 8, 10, 12))
    first = int(from_s * every_second.rate_hz)
    analysis = analyse(replace(every_second, samples_uv=every_second.samples_uv[:, first:].copy()))
    for name in ("p", "pr", "qrs"):
        assert analysis.measurements[name].value == pytest.approx(plain.measurements[name].value, abs=12), name
    codes = {statement.code for statement in analysis.statements}
    assert {"PVC", "SR"} <= codes and not codes & {"CRBBB", "CLBBB", "IVCD", "UNDET", "STE_"}
