"""Broad complexes are counted by every beat, P waves of a slow escape rhythm by none: rates over a grid of built signals."""
import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.dsp.qrs import detect_qrs
from ecg.recording import STANDARD_LEADS
from tests.ecg.built_signals import hump, projection, recording, spike
from tests.ecg.interpret.constructed import hyperkalaemia, run_of_ventricular_beats, share

RATE = 500.0
FORMS = {"rounded": lambda t, w: hump(t, -w / 2, w / 2), "pointed": lambda t, w: spike(t, -w / 2, w / 2),
         "two_phased": lambda t, w: hump(t, -w / 2, w * 0.15) - 0.6 * hump(t, -w * 0.1, w / 2),
         "notched": lambda t, w: 0.8 * hump(t, -w / 2, w * 0.1) + hump(t, -w * 0.1, w / 2)}


def tachycardia(bpm, width, size_uv, form, leads=STANDARD_LEADS):
    """Regular ventricular beats with a T wave against them that ends before the next beat."""
    step = 60.0 / bpm
    times = np.arange(0.3, 9.9, step)
    time = np.arange(5000) / RATE
    end = min(width / 2 + 0.24, step - width / 2 - 0.005)
    beat = sum(FORMS[form](time - r, width) - 0.3 * hump(time - r, width / 2 - 0.01, end) for r in times)
    rows = np.array([share(lead) * size_uv * beat for lead in leads])
    return recording(rows + 5 * np.random.default_rng(0).standard_normal(rows.shape), RATE, leads), times


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("leads", [STANDARD_LEADS, ("II",)], ids=["twelve", "one"])
@pytest.mark.parametrize("width", [0.12, 0.14, 0.16])
@pytest.mark.parametrize("bpm", [120.0, 150.0, 170.0, 180.0, 220.0, 250.0])
def test_the_rate_of_a_broad_tachycardia_is_right_within_two_percent(bpm, width, leads, form):
    if width > 0.64 * 60.0 / bpm:
        pytest.skip("the complexes would run into each other: a wave without rest, judged by its waves")
    for size_uv in (400.0, 1000.0, 2500.0):
        rec, times = tachycardia(bpm, width, size_uv, form, leads)
        found = detect_qrs(rec.samples_uv, RATE) / RATE
        assert 60.0 / np.mean(np.diff(found)) == pytest.approx(bpm, rel=0.02), (size_uv, len(found), len(times))


@pytest.mark.parametrize("count", [4, 6])
@pytest.mark.parametrize("bpm", [150.0, 160.0, 170.0])
def test_no_second_beat_of_a_short_broad_run_is_lost(bpm, count):
    rec = run_of_ventricular_beats(count, bpm)
    start = 0.6 + 4 * 0.8 + 0.45
    found = detect_qrs(rec.samples_uv, RATE) / RATE
    assert all(np.abs(found - start - k * 60.0 / bpm).min() < 0.06 for k in range(count))


def escape(bpm, width, p_rate, p_uv=150.0, size_uv=1500.0):
    """Ventricles at a slow rate of their own under P waves that march through; the first wave is a P wave."""
    time = np.arange(7500) / RATE
    times = np.arange(1.1, 14.5, 60.0 / bpm)
    rows = np.zeros((12, len(time)))
    for row, lead in enumerate(STANDARD_LEADS):
        for r in times:
            rows[row] += projection(lead, 20.0) * (size_uv * spike(time - r, -width / 2, width / 2)
                                                   + 0.2 * size_uv * hump(time - r, width / 2 + 0.1, width / 2 + 0.32))
        for at in np.arange(0.2, 14.8, 60.0 / p_rate):
            rows[row] += p_uv * projection(lead, 50.0) * hump(time - at, -0.05, 0.05)
    return recording(rows + 4 * np.random.default_rng(1).standard_normal(rows.shape), RATE), times


@pytest.mark.parametrize("p_rate", [70.0, 100.0])
@pytest.mark.parametrize("width", [0.08, 0.12])
@pytest.mark.parametrize("bpm", [30.0, 36.0, 45.0])
def test_p_waves_of_a_complete_block_are_not_taken_for_beats(bpm, width, p_rate):
    rec, times = escape(bpm, width, p_rate)
    found = detect_qrs(rec.samples_uv, RATE) / RATE
    assert len(found) == len(times) and np.abs(found - times).max() < 0.07
    assert analyse(rec).measurements["heart_rate"].value == pytest.approx(bpm, rel=0.02)


def test_a_t_wave_shaped_like_its_qrs_is_no_beat():
    assert analyse(hyperkalaemia()).measurements["heart_rate"].value == pytest.approx(60.0 / 0.9, rel=0.02)
