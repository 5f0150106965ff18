"""Whatever a reader hands over, analyse answers; and its answer is plain JSON."""
import json
import subprocess
import sys

import numpy as np
import pytest

from ecg.analysis import analyse
from tests.ecg.built_signals import built, recording

NOISE = np.random.default_rng(0)


@pytest.mark.parametrize("rows", [
    np.zeros((0, 0)), np.zeros((12, 0)), np.zeros((12, 1)), np.zeros((12, 20)), np.zeros((12, 5000)),
    np.full((12, 5000), np.nan), np.full((1, 5000), 32767.0), NOISE.standard_normal((12, 5000)) * 500,
    NOISE.standard_normal((2, 400)) * 500, NOISE.standard_normal((3, 30)) * 500,
    np.where(NOISE.random((12, 5000)) < 0.5, np.nan, 300.0), np.full((2, 3000), np.inf),
    np.sign(np.sin(np.arange(5000) / 7.0))[None] * 30000.0, NOISE.standard_normal((12, 5000)) * 1e9,
    np.eye(12, 5000) * 1e6, np.cumsum(NOISE.standard_normal((12, 5000)) * 100, axis=1),
], ids=lambda rows: "x".join(map(str, rows.shape)))
def test_odd_recordings_are_answered_in_plain_json(rows):
    found = analyse(recording(rows, 500.0, [f"L{k}" for k in range(len(rows))]))
    json.dumps(found.as_json(), allow_nan=False)
    assert found.quality.verdict in ("good", "usable", "repeat")
    assert {"heart_rate", "pr", "qt", "qtc_hodges", "t_axis"} <= set(found.measurements)


@pytest.mark.parametrize("rate", [50.0, 100.0, 128.0, 2000.0])
def test_odd_rates_are_answered(rate):
    json.dumps(analyse(built(rate=rate)).as_json(), allow_nan=False)


@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.1, 1.6, 2.5])
def test_short_recordings_are_answered_and_asked_for_again(seconds):
    found = analyse(built(seconds=seconds, r_times=[0.4]))
    assert found.quality.verdict == "repeat"


@pytest.mark.parametrize("r_times", [[0.02], [9.99], [0.0, 5.0, 9.999], [1.0, 1.25, 1.5, 1.75]])
def test_beats_at_the_very_ends_are_answered(r_times):
    json.dumps(analyse(built(r_times=r_times)).as_json(), allow_nan=False)


def test_a_silent_recording_asks_for_a_repeat_and_gives_reasons():
    found = analyse(recording(np.zeros((12, 5000)), 500.0))
    assert found.quality.verdict == "repeat" and len(found.quality.leads_off) == 12
    assert all(item.value is None and item.reason for item in found.measurements.values())


def test_the_analysis_path_imports_neither_scipy_nor_plotting():
    code = "import sys, ecg.analysis; print([m for m in ('scipy', 'pandas', 'matplotlib', 'wfdb') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
