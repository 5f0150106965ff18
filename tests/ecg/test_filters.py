"""The three switchable filters: what they must take away, and what they must leave alone."""
import numpy as np
import pytest

from ecg.dsp.filters import Wander, baseline, mains_level, remove_baseline, remove_mains, remove_muscle
from tests.ecg.built_signals import built

FILTERS = (remove_baseline, remove_mains, remove_muscle)
RATE = 500.0


def st_level(row, rate=RATE, r_s=4.6):
    onset, st = int((r_s - 0.045) * rate), int((r_s + 0.10) * rate)
    return row[st] - row[onset]


@pytest.mark.parametrize("st_uv", [-200.0, 0.0, 100.0, 300.0])
@pytest.mark.parametrize("remove", FILTERS)
def test_no_filter_moves_the_st_level_by_more_than_25_microvolts(remove, st_uv):
    samples = built(st_uv=st_uv, noise_uv=0).samples_uv
    filtered = remove(samples, RATE)
    for before, after in zip(samples, filtered):
        assert abs(st_level(after) - st_level(before)) <= 25.0


def test_a_3_millivolt_impulse_of_100_ms_leaves_no_more_than_100_microvolts_behind():
    """The IEC 60601-2-25 impulse test of the low-frequency response."""
    time = np.arange(0, 10, 1 / RATE)
    pulse = np.where((time >= 5) & (time < 5.1), 3000.0, 0.0)[None]
    after = remove_baseline(pulse, RATE)[0]
    assert np.abs(after[(time < 4.99) | (time > 5.11)]).max() < 100.0


def test_slow_wander_disappears_and_the_complexes_stay():
    clean = built(noise_uv=0).samples_uv
    time = np.arange(clean.shape[1]) / RATE
    wander = 800 * np.sin(2 * np.pi * 0.2 * time + 0.4)
    back = remove_baseline(clean + wander, RATE)
    reference = remove_baseline(clean, RATE)
    inside = slice(500, -500)
    assert np.abs(back - reference)[:, inside].max() < 40.0
    assert np.ptp(back[1, inside]) > 0.95 * np.ptp(clean[1])


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_mains_is_recognised_measured_and_removed(hz):
    clean = built(noise_uv=1).samples_uv
    time = np.arange(clean.shape[1]) / RATE
    noisy = clean + 100 * np.sin(2 * np.pi * hz * time)
    found, hum = mains_level(noisy, RATE)
    assert found == hz
    assert hum == pytest.approx(np.full(12, 100.0), rel=0.1)
    rest = (remove_mains(noisy, RATE) - clean)[:, 250:-250]
    assert np.sqrt(np.mean(rest ** 2)) < 4.0


def test_a_recording_without_mains_comes_back_unchanged():
    clean = built(noise_uv=5).samples_uv
    assert mains_level(clean, RATE)[0] is None
    assert np.array_equal(remove_mains(clean, RATE), clean)


def test_mains_removal_does_not_ring_after_a_tall_qrs():
    clean = built(noise_uv=0, qrs_uv=3000).samples_uv
    assert np.abs(remove_mains(clean, RATE, 50.0) - clean).max() < 20.0


def test_tremor_is_halved_while_the_qrs_keeps_its_height():
    clean = built(noise_uv=0).samples_uv
    noisy = clean + 40 * np.random.default_rng(3).standard_normal(clean.shape)
    after = remove_muscle(noisy, RATE)
    calm = slice(int(2.05 * RATE), int(2.35 * RATE))     # between T and P
    assert (after - clean)[:, calm].std() < 0.5 * (noisy - clean)[:, calm].std()
    assert remove_muscle(clean, RATE)[1].max() > 0.97 * clean[1].max()


@pytest.mark.parametrize("remove", FILTERS)
def test_a_filter_does_not_shift_waves_in_time(remove):
    samples = built(noise_uv=0).samples_uv
    assert abs(int(remove(samples, RATE)[1, 1600:2000].argmax()) - int(samples[1, 1600:2000].argmax())) <= 1


@pytest.mark.parametrize("remove", FILTERS)
def test_gaps_stay_gaps_and_nothing_else_becomes_one(remove):
    samples = built().samples_uv.copy()
    samples[3, 1000:1200] = np.nan
    samples[5] = np.nan
    after = remove(samples, RATE)
    assert np.array_equal(np.isnan(after), np.isnan(samples))


@pytest.mark.parametrize("remove", FILTERS)
@pytest.mark.parametrize("length", [0, 1, 2, 7, 60])
def test_short_rows_are_filtered_without_error(remove, length):
    assert remove(np.ones((2, length)), RATE).shape == (2, length)


@pytest.mark.parametrize("remove", FILTERS)
def test_a_constant_lead_stays_constant(remove):
    after = remove(np.full((1, 3000), 700.0), RATE)
    assert np.ptp(after) < 1e-6


@pytest.mark.parametrize("block, length", [(10, 100), (10, 107), (7, 60), (4, 17), (2, 9)])
def test_wander_is_drawn_with_straight_lines_between_the_middles_of_its_blocks(block, length):
    means = np.random.default_rng(block).normal(size=(3, length // block))
    middles = np.arange(means.shape[1]) * block + (block - 1) / 2
    drawn = Wander(means, block, length).drawn()
    inside = np.arange(int(np.ceil(middles[0])), int(middles[-1]) + 1)
    for row, values in zip(drawn, means):
        np.testing.assert_allclose(row[inside], np.interp(inside, middles, values), atol=1e-12)
        np.testing.assert_allclose(np.diff(row, 2)[[0, -1]], 0.0, atol=1e-9)          # the lines run on at both ends


def test_leads_looked_at_few_at_once_give_what_all_of_them_give(monkeypatch):
    noisy = built(seconds=20.0).samples_uv
    noisy = noisy + 30 * np.sin(2 * np.pi * 50 * np.arange(noisy.shape[1]) / RATE)
    together = [remove(noisy, RATE) for remove in FILTERS] + [baseline(noisy, RATE)]
    monkeypatch.setattr("ecg.dsp.spectrum.LARGE", 25_000)
    for one, other in zip(together, [remove(noisy, RATE) for remove in FILTERS] + [baseline(noisy, RATE)]):
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_just_above_five_microvolts_is_found_beside_leads_too_quiet_to_have_it(mains_hz):
    samples = built(noise_uv=0.5).samples_uv.copy()
    samples[3] += 6.0 * np.sin(2 * np.pi * mains_hz * np.arange(samples.shape[1]) / RATE)
    found, hum = mains_level(samples, RATE)
    assert found == mains_hz and hum[3] == pytest.approx(6.0, rel=0.2) and hum.argmax() == 3
