"""Medians and quantiles by sorting say what numpy says."""
import numpy as np
import pytest

from ecg.dsp.ranks import FEW_ROWS, LONG_ROW, median, median_over, middle_half, quantiles, running_median

ROWS = np.random.default_rng(3).normal(size=(4, 257))
LONG = np.random.default_rng(5).normal(size=(3, LONG_ROW + 2))


@pytest.mark.parametrize("length", [LONG_ROW, LONG_ROW + 1, LONG_ROW + 2])
def test_the_median_of_a_long_row_is_that_of_numpy(length):
    np.testing.assert_array_equal(median(LONG[:, :length]), np.median(LONG[:, :length], axis=1))


@pytest.mark.parametrize("count", [1, 2, 3, 10, 11, FEW_ROWS, FEW_ROWS + 1, FEW_ROWS + 2])
def test_the_median_over_arrays_is_that_of_numpy_and_leaves_them_alone(count):
    beats = np.random.default_rng(count).normal(size=(count, 3, 50))
    before = beats.copy()
    found = median_over(beats)
    np.testing.assert_array_equal(found, np.median(beats, axis=0))
    found[:] = 0.0
    np.testing.assert_array_equal(beats, before)


@pytest.mark.parametrize("length", [1, 2, 5, 256, 257])
def test_the_median_is_that_of_numpy(length):
    np.testing.assert_array_equal(median(ROWS[:, :length]), np.median(ROWS[:, :length], axis=1))


@pytest.mark.parametrize("length", [1, 2, 5, 257])
def test_quantiles_are_those_of_numpy(length):
    shares = (0.0, 0.01, 0.25, 0.4, 0.97, 1.0)
    np.testing.assert_allclose(quantiles(ROWS[:, :length], shares), np.quantile(ROWS[:, :length], shares, axis=1), atol=1e-12)


def test_a_quantile_below_endless_values_is_finite():
    assert quantiles(np.array([1.0, 2.0, 3.0, np.inf]), (1 / 3,))[0] == 2.0


@pytest.mark.parametrize("half", [1, 3, 4])
def test_the_running_median_is_that_of_each_window_with_the_ends_held(half):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(ROWS, ((0, 0), (half, half)), mode="edge"), 2 * half + 1, axis=1)
    np.testing.assert_array_equal(running_median(ROWS, half), np.median(windows, axis=2))


@pytest.mark.parametrize("count", [5, 8, 11, 24])
def test_the_middle_half_leaves_out_a_quarter_at_each_end(count):
    beats = np.random.default_rng(count).normal(size=(count, 3, 50))
    cut = count // 4
    kept = np.sort(beats, axis=0)[cut:count - cut]
    before = beats.copy()
    np.testing.assert_allclose(middle_half(beats), kept.mean(axis=0), atol=1e-12)
    np.testing.assert_array_equal(beats, before)
