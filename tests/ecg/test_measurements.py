"""Intervals, axes, amplitudes and ST of built signals, and reasons where there is nothing to measure."""
import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.measure.intervals import corrected_qt
from tests.ecg.built_signals import built, hump, recording


def value(analysis, name):
    return analysis.measurements[name].value


def test_rate_and_intervals_of_a_built_rhythm():
    found = analyse(built(bpm=75))
    assert value(found, "heart_rate") == pytest.approx(75, abs=0.5)
    assert value(found, "rr") == pytest.approx(800, abs=4)
    assert value(found, "p") == pytest.approx(100, abs=20)
    assert value(found, "pr") == pytest.approx(140, abs=16)
    assert value(found, "qrs") == pytest.approx(80, abs=18)
    assert value(found, "qt") == pytest.approx(380, abs=24)


@pytest.mark.parametrize("rate", [250.0, 360.0, 1000.0])
def test_the_sampling_rate_does_not_change_the_intervals(rate):
    at_500, other = analyse(built()), analyse(built(rate=rate))
    for name in ("p", "pr", "qrs", "qt"):
        assert value(other, name) == pytest.approx(value(at_500, name), abs=10)


def test_beats_are_marked_where_they_were_built():
    rec = built(rate=250.0)
    for beat in analyse(rec).beats[1:-1]:
        r = beat.r / 250.0
        nearest = round(r - 0.6) + 0.6
        assert abs(r - nearest) < 0.02
        assert beat.p_on / 250.0 - nearest == pytest.approx(-0.18, abs=0.025)
        assert beat.qrs_on / 250.0 - nearest == pytest.approx(-0.04, abs=0.012)
        assert beat.qrs_off / 250.0 - nearest == pytest.approx(0.04, abs=0.012)
        assert beat.t_off / 250.0 - nearest == pytest.approx(0.34, abs=0.03)


@pytest.mark.parametrize("axis", [-150.0, -60.0, 0.0, 45.0, 110.0, 170.0])
def test_axes_of_built_vectors(axis):
    found = analyse(built(qrs_axis=axis, p_axis=30.0, t_axis=60.0))
    assert (value(found, "qrs_axis") - axis + 180) % 360 - 180 == pytest.approx(0, abs=6)
    assert value(found, "p_axis") == pytest.approx(30, abs=8)
    assert value(found, "t_axis") == pytest.approx(60, abs=8)


@pytest.mark.parametrize("st_uv", [-150.0, 0.0, 200.0])
def test_st_levels_are_those_that_were_built(st_uv):
    found = analyse(built(st_uv=st_uv))
    for lead in ("I", "II", "V2", "V5"):
        for name in ("st_j20", "st_j40", "st_j60", "st_j80"):
            assert found.lead_measurements[lead][name].value == pytest.approx(st_uv, abs=25)


def test_amplitudes_of_each_lead():
    found = analyse(built(qrs_axis=60.0, p_axis=60.0, t_axis=60.0)).lead_measurements["II"]
    assert found["r_amplitude"].value == pytest.approx(1000, rel=0.05)
    assert found["p_amplitude"].value == pytest.approx(120, rel=0.2)
    assert found["t_amplitude"].value == pytest.approx(300, rel=0.15)
    assert found["q_amplitude"].value is None and found["q_amplitude"].reason == "no_such_wave"


def test_a_rhythm_without_p_waves_says_so():
    found = analyse(built(p=False, noise_uv=6))
    for name in ("p", "pr", "p_axis"):
        assert value(found, name) is None and found.measurements[name].reason == "no_p_wave"
    assert all(beat.p_on is None for beat in found.beats)
    assert value(found, "qrs") == pytest.approx(80, abs=18)


def test_fibrillation_has_no_p_wave():
    generator = np.random.default_rng(5)
    times = 0.5 + np.cumsum(generator.uniform(0.45, 1.1, 14))
    rec = built(seconds=12, r_times=times[times < 11.4], p=False)
    time = np.arange(rec.samples_uv.shape[1]) / rec.rate_hz
    ripple = 60 * np.sin(2 * np.pi * 6.3 * time + 2 * np.sin(2 * np.pi * 0.7 * time))
    found = analyse(recording(rec.samples_uv + ripple, rec.rate_hz))
    assert value(found, "pr") is None and found.measurements["pr"].reason == "no_p_wave"


def test_corrected_qt_follows_the_published_formulas():
    found = corrected_qt(400.0, 640.0, "")
    assert found["qtc_bazett"].value == pytest.approx(500.0, abs=0.1)
    assert found["qtc_fridericia"].value == pytest.approx(464.2, abs=0.1)
    assert found["qtc_framingham"].value == pytest.approx(455.4, abs=0.1)
    assert found["qtc_hodges"].value == pytest.approx(459.1, abs=0.1)


def test_one_beat_has_intervals_but_no_rate():
    found = analyse(built(seconds=2.0, r_times=[1.0]))
    assert found.measurements["heart_rate"].reason == "too_few_beats"
    assert found.measurements["qtc_bazett"].reason == "too_few_beats"
    assert value(found, "qrs") == pytest.approx(80, abs=22)


def test_ectopic_beats_are_told_from_the_dominant_shape():
    times = np.arange(0.6, 11, 0.8)
    rec = built(seconds=12, r_times=np.delete(times, 6))
    time = np.arange(rec.samples_uv.shape[1]) / rec.rate_hz
    wide = -1500 * hump(time - times[6] + 0.15, -0.08, 0.1) + 500 * hump(time - times[6] + 0.15, 0.1, 0.4)
    found = analyse(recording(rec.samples_uv + wide, rec.rate_hz))
    odd = [beat for beat in found.beats if beat.shape != 0]
    assert len(found.beats) == len(times) and len(odd) == 1
    assert abs(odd[0].r / rec.rate_hz - times[6] + 0.15) < 0.1


def test_limb_axes_need_limb_leads():
    found = analyse(built(leads=("V1", "V5")))
    assert found.measurements["qrs_axis"].reason == "limb_leads_missing"
