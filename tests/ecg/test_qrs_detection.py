"""Where beats are, must be found; where none are, none may be."""
import numpy as np
import pytest

from ecg.dsp.qrs import detect_qrs
from ecg.dsp.resample import resample
from tests.ecg.built_signals import built


@pytest.mark.parametrize("rate", [125.0, 250.0, 360.0, 500.0, 1000.0])
@pytest.mark.parametrize("bpm", [35.0, 60.0, 100.0, 180.0])
def test_every_beat_of_a_built_rhythm_is_found_once(rate, bpm):
    times = np.arange(0.6, 19.5, 60 / bpm)
    found = detect_qrs(built(rate=rate, seconds=20, r_times=times, leads=("II",), t_uv=200).samples_uv, rate) / rate
    assert len(found) == len(times)
    assert np.abs(found - times).max() < 0.04


def test_one_good_lead_is_enough_where_the_others_are_off():
    rec = built(seconds=10)
    samples = rec.samples_uv.copy()
    samples[[row for row in range(12) if row != 1]] = 30 * np.random.default_rng(0).standard_normal((11, samples.shape[1]))
    assert len(detect_qrs(samples, rec.rate_hz)) == 9


def test_tall_t_waves_are_not_counted():
    rec = built(seconds=20, t_uv=900, qrs_uv=900, leads=("II",))
    assert len(detect_qrs(rec.samples_uv, rec.rate_hz)) == 19


def test_a_pause_and_an_early_small_beat_are_seen():
    times = np.array([0.6, 1.4, 2.2, 3.0, 3.5, 4.6, 5.4, 8.0, 8.8, 9.6, 10.4, 11.2])
    rec = built(seconds=12, r_times=times, leads=("II",))
    assert np.abs(detect_qrs(rec.samples_uv, rec.rate_hz) / rec.rate_hz - times).max() < 0.04


@pytest.mark.parametrize("samples", [np.zeros((0, 100)), np.zeros((3, 0)), np.zeros((1, 3)), np.zeros((2, 5000)),
                                     np.full((2, 5000), np.nan)])
def test_no_signal_gives_no_beats(samples):
    assert len(detect_qrs(samples, 500.0)) == 0


def test_fifteen_minutes_of_beats_are_found_through_gaps():
    times = np.arange(0.6, 119, 0.8)
    samples = built(rate=250.0, seconds=120, r_times=times, leads=("II",)).samples_uv.copy()
    samples[0, 250 * 60:250 * 70] = np.nan
    found = detect_qrs(samples, 250.0) / 250.0
    outside = times[(times < 59.9) | (times > 70.1)]
    assert all(np.abs(found - t).min() < 0.04 for t in outside)


@pytest.mark.parametrize("old,new", [(250.0, 500.0), (360.0, 500.0), (1000.0, 500.0), (500.0, 128.0)])
def test_resampling_keeps_waves_at_their_time_and_height(old, new):
    time = np.arange(0, 4, 1 / old)
    wave = 100 * np.sin(2 * np.pi * 7 * time + 0.3)[None]
    after = resample(wave, old, new)
    expected = 100 * np.sin(2 * np.pi * 7 * np.arange(after.shape[1]) / new + 0.3)
    inner = slice(int(0.5 * new), -int(0.5 * new))
    assert np.abs(after[0] - expected)[inner].max() < 1.5
