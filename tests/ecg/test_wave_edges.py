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
