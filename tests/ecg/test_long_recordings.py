"""A dangerous rhythm anywhere in a long recording is found, wherever the windows are cut; a quiet day says nothing."""
import tracemalloc

import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.long_recordings import OVERLAP_S, WINDOW_S, clock, search
from ecg.recording import STANDARD_LEADS
from tests.ecg.built_signals import built, recording
from tests.ecg.interpret import constructed

RATE = 250.0
LEADS = ("II", "V1", "V5")


def day(minutes, episode=None, at_s=0.0, leads=LEADS, rate=RATE):
    """A quiet rhythm of these minutes with an episode (leads, samples) laid over it at a time."""
    minute = built(rate=rate, seconds=60.0, leads=leads, r_times=np.arange(0.5, 60.0, 1.0), noise_uv=5.0)
    rec = recording(np.tile(minute.samples_uv, minutes), rate, leads)
    if episode is not None:
        first = int(at_s * rate)
        rec.samples_uv[:, first:first + episode.shape[1]] = episode
    return rec


@pytest.mark.parametrize("at_s", [400.0, 7 * (WINDOW_S - OVERLAP_S) - 2.1, 6 * (WINDOW_S - OVERLAP_S) + WINDOW_S - 2.1])
def test_a_long_pause_is_found_wherever_it_stands(at_s):
    found = search(day(9, np.zeros((3, int(4.2 * RATE))), at_s))
    assert "PAUSE" in {one.code for one in found.statements}, [(one.code, one.evidence) for one in found.statements]
    start = (at_s // (WINDOW_S - OVERLAP_S)) * (WINDOW_S - OVERLAP_S)
    evidence = next(one.evidence for one in found.statements if one.code == "PAUSE")
    assert clock(start) in evidence or clock(start - WINDOW_S + OVERLAP_S) in evidence


def test_a_tachycardia_after_the_first_minutes_is_found():
    rec = constructed.of_rows(lambda time, lead: sum(constructed.share(lead) * 1400 * (constructed.hump(time - r, -0.08, 0.08)
                              - 0.5 * constructed.hump(time - r, 0.08, 0.24)) for r in np.arange(0.3, 39.9, 60.0 / 180.0)), seconds=40.0)
    episode = rec.samples_uv[[rec.leads.index(lead) for lead in LEADS]][:, ::2]
    assert search(day(9, episode, 430.0)).statements


def test_a_quiet_hour_raises_nothing():
    found = search(day(12))
    assert found.statements == () and found.unsure_s == () and found.searched_s == pytest.approx(720.0)


def most_traced(do):
    """The most memory that was held at once beyond what was there before, bytes."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_twelve_leads_are_searched_on_three_without_a_copy_of_the_whole():
    rec = day(8, leads=STANDARD_LEADS)
    assert most_traced(lambda: search(rec)) < 0.8 * rec.samples_uv.nbytes


def test_the_search_takes_no_more_room_for_half_an_hour_than_for_five_minutes():
    short, long = day(5), day(30)
    search(short)                                          # what is read and kept once
    assert most_traced(lambda: search(long)) < 1.2 * most_traced(lambda: search(short))


@pytest.mark.parametrize("hum_uv", [0.0, 60.0])
def test_ten_minutes_of_twelve_leads_are_measured_in_three_times_the_room_of_their_samples(hum_uv):
    """Filters see few leads at once and beats are averaged in parts."""
    rec = day(10, leads=STANDARD_LEADS, rate=500.0)
    rec.samples_uv[:] += hum_uv * np.sin(2 * np.pi * 50.0 * np.arange(rec.samples_uv.shape[1]) / rec.rate_hz)
    found = []
    assert most_traced(lambda: found.append(analyse(rec))) < 3 * rec.samples_uv.nbytes
    assert len(found[0].beats) == 600


def test_a_stretch_of_noise_is_named_and_raises_nothing():
    noise = 900.0 * np.random.default_rng(3).standard_normal((3, int(55 * RATE)))
    found = search(day(8, noise, 300.0))
    assert found.unsure_s


def test_a_time_is_written_in_hours_minutes_and_seconds():
    assert clock(3723.4) == "01:02:03"
