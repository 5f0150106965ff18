"""The two ways to miss a dying heart: a fast broad rhythm taken for something else, a slow one hidden behind P waves."""
from dataclasses import replace

import numpy as np
import pytest

from ecg import rulebook
from ecg.analysis import analyse
from ecg.findings import Beat
from ecg.interpret.engine import state
from ecg.interpret.facts import facts_of
from ecg.measure.ectopy import ectopic_beats
from tests.ecg.built_signals import built
from tests.ecg.interpret.hearts import heart
from tests.ecg.test_broad_rhythms import escape, tachycardia

BROAD = {"WQRST", "VFLT", "VFIB", "VT"}
BLOCK = {"3AVB", "AVBH"}


def critical_codes(rec):
    return {statement.code for statement in analyse(rec).statements if statement.critical}


@pytest.mark.parametrize("bpm, width, form", [(130.0, 0.16, "rounded"), (150.0, 0.20, "notched"), (200.0, 0.16, "pointed"), (220.0, 0.18, "two_phased"),
                                              (240.0, 0.20, "rounded"), (260.0, 0.16, "notched"), (280.0, 0.18, "rounded"), (300.0, 0.16, "pointed")])
def test_a_broad_tachycardia_is_critical_at_any_rate_and_shape(bpm, width, form):
    rec, _ = tachycardia(bpm, width, 1000.0, form)
    assert critical_codes(rec) & BROAD


@pytest.mark.parametrize("bpm, paced", [(70.0, True), (140.0, True), (160.0, False), (200.0, False)])
def test_what_looks_like_pacing_beyond_150_is_a_broad_tachycardia(bpm, paced):
    rec, _ = tachycardia(180.0, 0.14, 1000.0, "rounded")
    found = facts_of(rec, analyse(rec))
    _, spoken = state(replace(found, values={**found.values, "paced": 1.0, "heart_rate": bpm, "calm_share": 0.5}), rulebook.rules())
    assert ("paced" in spoken) is paced and ("wide_tachycardia" in spoken) is not paced


@pytest.mark.parametrize("bpm, width, p_rate, p_uv, size_uv", [(36.0, 0.08, 60.0, 150.0, 1500.0), (42.0, 0.12, 70.0, 150.0, 1000.0), (48.0, 0.08, 88.0, 150.0, 1500.0),
                                                               (36.0, 0.12, 100.0, 400.0, 1500.0), (30.0, 0.16, 88.0, 400.0, 1000.0), (25.0, 0.16, 70.0, 400.0, 1500.0)])
def test_a_slow_escape_rhythm_is_critical_and_its_block_not_excluded_however_tall_its_p_waves(bpm, width, p_rate, p_uv, size_uv):
    rec, _ = escape(bpm, width, p_rate, p_uv, size_uv)
    found = analyse(rec)
    assert critical_codes(rec), [(one.code, one.zh) for one in found.statements]
    assert "NORM" not in {one.code for one in found.statements}
    if bpm > 35.0:
        assert critical_codes(rec) & BLOCK


def test_waves_of_two_sizes_are_said_and_their_shapes_not_judged():
    rec, _ = escape(36.0, 0.12, 100.0, 400.0, 1500.0)
    found = {statement.code: statement for statement in analyse(rec).statements}
    assert "不能除外" in found["AVBH"].zh and "大波频率" in found["AVBH"].evidence
    assert not {"AFIB", "LVOLT", "AMI", "IMI", "CLBBB"} & set(found)
    assert "未评估波形" in found["LIMITED"].evidence


@pytest.mark.parametrize("bpm", [52.0, 75.0, 120.0])
def test_a_sinus_rhythm_of_one_size_has_no_second_kind_of_beats(bpm):
    assert not {"AVBH", "3AVB"} & {statement.code for statement in analyse(built(bpm=bpm)).statements}


def beats(intervals_s, shapes, width_s):
    """Beats at 500 Hz with these intervals, shapes and widths."""
    at = np.round(np.cumsum(np.r_[0.5, intervals_s]) * 500).astype(int)
    half = np.round(np.array(width_s) * 250).astype(int)
    return tuple(Beat(int(r), qrs_on=int(r - h), qrs_off=int(r + h), shape=s) for r, h, s in zip(at, half, shapes))


def test_a_run_of_thirty_broad_beats_is_a_run_though_it_is_longer_than_the_rhythm_around_it():
    shapes = [0] * 20 + [1] * 30 + [0] * 20
    interval = [1.0] * 19 + [0.7] + [0.33] * 29 + [0.9] + [1.0] * 19
    found = ectopic_beats(beats(interval, shapes, [0.10 if shape == 0 else 0.15 for shape in shapes]), 500.0)
    assert found.run == 30 and found.run_rate == pytest.approx(182, abs=2)


def test_an_artefact_narrower_than_any_qrs_makes_no_ventricular_beat_of_its_neighbour():
    shapes = [0] * 8 + [1, 2] + [0] * 6
    interval = [0.9] * 7 + [0.75, 0.26] + [0.78] + [0.9] * 5
    found = ectopic_beats(beats(interval, shapes, [0.17] * 8 + [0.05, 0.17] + [0.17] * 6), 500.0)
    assert found.ventricular == ()


def with_a_gap(start_s, end_s):
    """Sinus rhythm at 75 for 20 s of which these seconds were not recorded."""
    rec = built(seconds=20.0, bpm=75.0)
    rec.samples_uv[:, int(start_s * 500):int(end_s * 500)] = np.nan
    return rec


@pytest.mark.parametrize("start_s, end_s", [(8.0, 14.5), (15.0, 20.0), (0.0, 4.0)])
def test_what_was_not_recorded_is_no_pause(start_s, end_s):
    found = analyse(with_a_gap(start_s, end_s))
    assert not any(statement.critical for statement in found.statements), [one.zh for one in found.statements]
    assert "gaps" in {finding.code for finding in found.quality.findings}


def test_a_pause_that_was_recorded_beside_a_gap_is_one():
    beats = np.r_[np.arange(0.6, 6.0, 0.8), np.arange(12.6, 19.0, 0.8)]
    rec = built(seconds=20.0, r_times=beats)
    rec.samples_uv[:, int(9.2 * 500):int(12.2 * 500)] = np.nan
    pauses = [statement for statement in analyse(rec).statements if statement.code == "PAUSE"]
    assert pauses and pauses[0].critical and "停搏 380" in pauses[0].evidence.replace("停搏 379", "停搏 380")     # to the gap and no further


@pytest.mark.parametrize("bpm, code", [(59.6, "SR"), (59.3, "SBRAD"), (100.4, "SR"), (100.8, "STACH")])
def test_a_rate_is_judged_as_it_is_shown(bpm, code):
    found = {statement.code for statement in analyse(built(seconds=12.0, bpm=bpm)).statements}
    assert code in found and len(found & {"SR", "SBRAD", "STACH"}) == 1


@pytest.mark.parametrize("seconds", [2.2, 2.9, 3.1, 3.3, 4.0, 5.5])
def test_a_pause_is_as_long_as_it_was_and_the_t_wave_before_it_is_no_beat(seconds):
    first = np.arange(0.6, 4.0, 0.8)
    times = np.r_[first, np.arange(first[-1] + seconds, 13.4, 0.8)]
    found = analyse(heart(times=times, seconds=14.0))
    assert np.allclose([beat.r / 500.0 for beat in found.beats], times, atol=0.02)
    said = {statement.code: statement for statement in found.statements}
    assert said["PAUSE"].critical == (seconds >= 3.0) and not {"2AVB", "VESC"} & set(said)
