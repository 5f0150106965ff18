"""Common statements on built signals, and what is withheld where leads or electrodes do not allow it."""
import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.recording import STANDARD_LEADS
from tests.ecg.built_signals import built, recording
from tests.ecg.interpret import constructed as make


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
