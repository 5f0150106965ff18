"""The verdict beside the bed: disturbed signals, electrodes at the wrong place."""
import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.recording import STANDARD_LEADS
from ecg.rulebook import usual_leads
from tests.ecg.built_signals import built, recording

wfdb = pytest.importorskip("wfdb")


def codes(analysis):
    return {finding.code: finding for finding in analysis.quality.findings}


def disturbed(change):
    rec = built()
    samples = rec.samples_uv.copy()
    change(samples, np.arange(samples.shape[1]) / rec.rate_hz)
    return analyse(recording(samples, rec.rate_hz))


def test_a_clean_recording_is_good():
    quality = analyse(built()).quality
    assert quality.verdict == "good" and quality.findings == () and quality.leads_off == ()


def test_a_flat_lead_is_off_and_not_measured():
    found = disturbed(lambda x, t: x.__setitem__(8, 4.0))
    assert found.quality.leads_off == ("V3",) and found.quality.verdict == "repeat"
    assert "V3" in codes(found)["leads_off"].zh
    assert found.lead_measurements["V3"]["r_amplitude"].reason == "lead_off"
    assert found.measurements["qrs"].value == pytest.approx(80, abs=18)


def test_a_lead_of_gaps_is_off():
    assert disturbed(lambda x, t: x.__setitem__(8, np.nan)).quality.leads_off == ("V3",)


def test_mains_is_named_with_its_frequency():
    found = disturbed(lambda x, t: x.__iadd__(60 * np.sin(2 * np.pi * 50 * t)))
    assert "50 Hz" in codes(found)["mains"].zh and found.quality.verdict == "usable"


def test_wander_and_tremor_are_named_where_they_are():
    found = disturbed(lambda x, t: x[7].__iadd__(700 * np.sin(2 * np.pi * 0.25 * t)))
    assert codes(found)["wander"].leads == ("V2",)
    noise = np.random.default_rng(2)
    found = disturbed(lambda x, t: x[10].__iadd__(60 * noise.standard_normal(len(t))))
    assert codes(found)["muscle"].leads == ("V5",)


def test_a_clipped_lead_is_named():
    found = disturbed(lambda x, t: np.clip(x[10], None, 500, out=x[10]))
    assert codes(found)["clipped"].leads == ("V5",)


def ludb(real_data, number):
    record = wfdb.rdrecord(str(real_data / "ecg" / "ludb" / "data" / str(number)), physical=True)
    names = [name.lower() for name in record.sig_name]
    rows = record.p_signal.T[[names.index(lead.lower()) for lead in STANDARD_LEADS]] * 1000.0
    return rows, float(record.fs)


def exchanged_arms(rows):
    """Left and right arm exchanged: I is negated, II and III change places, aVR and aVL too."""
    i, ii, iii, avr, avl, avf = rows[:6]
    return np.vstack([[-i, iii, ii, avl, avr, avf], rows[6:]])


def test_exchanged_arms_are_recognised_on_real_recordings_and_rarely_suspected_otherwise(real_data):
    numbers = (2, 14, 16, 27, 29, 32, 40, 58, 62, 77)
    caught = suspected = 0
    for number in numbers:
        rows, rate = ludb(real_data, number)
        suspected += "arm_reversal" in codes(analyse(recording(rows, rate)))
        found = codes(analyse(recording(exchanged_arms(rows), rate))).get("arm_reversal")
        caught += found is not None and found.zh == "左右手电极可能接反，请检查后重做"
    assert caught == 10 and suspected == 0


def test_exchanged_arms_are_recognised_in_fibrillation_without_p_waves(real_data):
    for number in (35, 52, 90, 101, 105):
        rows, rate = ludb(real_data, number)
        found = analyse(recording(exchanged_arms(rows), rate))
        assert found.measurements["pr"].value is None and "arm_reversal" in codes(found)


def test_right_arm_and_left_leg_exchanged_are_named(real_data):
    for number in (2, 14, 29, 40):
        i, ii, iii, avr, avl, avf = (rows := ludb(real_data, number)[0])[:6]
        wrong = np.vstack([[-iii, -ii, -i, avf, avl, avr], rows[6:]])
        found = analyse(recording(wrong, 500.0))
        assert "right_arm_left_leg" in codes(found) and found.quality.verdict == "repeat"


def test_left_arm_and_left_leg_are_only_said_to_be_possibly_exchanged(real_data):
    i, ii, iii, avr, avl, avf = (rows := ludb(real_data, 104)[0])[:6]
    found = analyse(recording(np.vstack([[ii, i, -iii, avr, avf, avl], rows[6:]]), 500.0))
    assert codes(found)["left_arm_left_leg"].confidence < 0.7
    assert codes(found)["left_arm_left_leg"].zh == "左手与左腿电极有接反的可能，请核对电极位置"
    assert found.quality.verdict != "repeat"


def test_limb_leads_alone_are_judged_more_cautiously(real_data):
    odd = [ludb(real_data, number)[0] for number in (8, 35, 44)]
    usual = [ludb(real_data, number)[0] for number in (2, 14, 16)]
    assert not any("arm_reversal" in codes(analyse(recording(rows[:6], 500.0, STANDARD_LEADS[:6]))) for rows in odd + usual)
    assert all("arm_reversal" in codes(analyse(recording(exchanged_arms(rows)[:6], 500.0, STANDARD_LEADS[:6]))) for rows in usual)


def test_the_table_of_usual_leads_can_be_used():
    usual = usual_leads()
    assert usual.mean.shape == (8, 8) and usual.covariance.shape == (8, 8, 8)
    assert all(np.linalg.eigvalsh(part).min() > 0 for part in usual.covariance)
    assert np.all(usual.mean[0][[0, 1]] > 0.2)                # P is upright in I and II


def test_an_arm_on_the_right_leg_makes_one_limb_lead_flat(real_data):
    rows, rate = ludb(real_data, 2)
    i, ii, iii = rows[:3]
    flat = 0.02 * ii
    # right arm electrode measures the leg: II is flat, I = -III
    wrong = np.vstack([[-iii, flat, iii, (iii - flat) / 2, -iii, iii / 2 + flat], rows[6:]])
    assert "right_arm_right_leg" in codes(analyse(recording(wrong, rate)))


def test_exchanged_chest_electrodes_are_named(real_data):
    rows, rate = ludb(real_data, 29)
    rows = rows.copy()
    rows[[6, 9]] = rows[[9, 6]]
    assert "chest_swap" in codes(analyse(recording(rows, rate)))
