"""Edges of waves whose shape or number of leads makes them hard, on signals built with known edges."""
import numpy as np
import pytest

from ecg.analysis import analyse, delineate_leads
from tests.ecg.built_signals import built, hump, recording, spike


def with_t(shape, bpm=60.0):
    """The built rhythm with another T wave: ``shape`` of the time after R, microvolts, the same in every lead."""
    rec = built(bpm=bpm, t_uv=0.0)
    time = np.arange(rec.samples_uv.shape[1]) / rec.rate_hz
    wave = sum(shape(time - r) for r in np.arange(0.6, 9.5, 60.0 / bpm))
    return recording(rec.samples_uv + wave, rec.rate_hz)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_t_wave_of_two_phases_ends_with_its_second(sign):
    two = with_t(lambda t: sign * (-250 * hump(t, 0.16, 0.30) + 220 * hump(t, 0.29, 0.43)))
    assert analyse(two).measurements["qt"].value == pytest.approx(470, abs=30)


def test_a_small_u_wave_of_the_other_sign_does_not_lengthen_qt():
    one = with_t(lambda t: -300 * hump(t, 0.16, 0.34) + 70 * hump(t, 0.33, 0.46))
    assert analyse(one).measurements["qt"].value == pytest.approx(380, abs=30)


def test_of_two_leads_each_keeps_its_own_edges():
    """Two leads cannot outvote each other: a QRS that is 30 ms longer in one lead stays so."""
    rate, r_times = 500.0, np.arange(0.6, 9.5, 1.0)
    time = np.arange(5000) / rate
    short = sum(1000 * spike(time - r, -0.04, 0.04) for r in r_times)
    long = sum(900 * spike(time - r, -0.04, 0.04) + 400 * hump(time - r, 0.0, 0.07) for r in r_times)
    noise = np.random.default_rng(4).standard_normal((2, len(time)))
    found = delineate_leads(np.vstack([short, long]) + noise, rate)
    width_ms = np.nanmedian(found.points[:, :, 5] - found.points[:, :, 3], axis=0) / rate * 1000
    assert width_ms[1] - width_ms[0] > 20


@pytest.mark.parametrize("pr_ms", [140, 200, 240, 280, 320, 360, 400])
def test_a_p_wave_is_found_however_long_before_the_qrs(pr_ms):
    """First degree block: 240 to 400 ms. The sharp corners of the built QRS make its onset up to 10 ms early."""
    found = analyse(built(pr_s=pr_ms / 1000, noise_uv=6)).measurements["pr"].value
    assert found is not None and abs(found - pr_ms) <= 14


@pytest.mark.parametrize("bpm", [60, 75, 90])
def test_the_end_of_a_t_wave_is_no_early_p_wave(bpm):
    assert analyse(built(p=False, bpm=bpm, t_uv=600.0, noise_uv=6)).measurements["p"].value is None


@pytest.mark.parametrize("rest_ms", [10, 30, 45, 50])
def test_the_last_part_of_a_qrs_belongs_to_it_after_a_rest(rest_ms):
    """A late R' in right bundle branch block: up with the S wave, a plateau, and down within 20 ms."""
    rec = built(t_uv=150.0)
    start, stop = 0.02, 0.04 + rest_ms / 1000
    time = np.arange(rec.samples_uv.shape[1]) / rec.rate_hz
    for r in np.arange(0.6, 9.5, 1.0):
        late = np.interp(time - r, [start, start + 0.02, stop, stop + 0.02], [0, 1, 1, 0])
        for lead, height in (("V1", 600.0), ("I", -350.0), ("V2", -300.0), ("V5", -350.0), ("V6", -300.0), ("aVR", 250.0)):
            rec.samples_uv[rec.leads.index(lead)] += height * late
    found = analyse(rec).measurements["qrs"].value
    assert abs(found - (0.04 + stop + 0.02) * 1000) <= 22


@pytest.mark.parametrize("begin", [0.06, 0.10])
def test_a_steep_t_wave_soon_after_the_qrs_does_not_lengthen_it(begin):
    rec, steep = built(t_uv=0.0), built(t_uv=0.0)
    time = np.arange(rec.samples_uv.shape[1]) / rec.rate_hz
    for r in np.arange(0.6, 9.5, 1.0):
        steep.samples_uv[:] += 600.0 * hump(time - r, begin, begin + 0.24)
    plain, other = (analyse(one).measurements["qrs"].value for one in (rec, steep))
    assert abs(other - plain) <= 20
