"""Where on the sheet a machine statement is to be seen."""
import numpy as np
import pytest

from ecg.analysis import analyse
from ecg.recording import STANDARD_LEADS
from reading_ui.analysis import beat_marks, has_few_leads, places_of
from tests.ecg.built_signals import built
from tests.ecg.interpret import constructed as make

RATE_HZ = 500


def _analysis(r_s: list[float], **beats) -> dict:
    """Beats at these seconds, and a statement by its code about those of these numbers."""
    return {"beats": [{"r": round(at * RATE_HZ), "shape": 0} for at in r_s], "rate_hz": RATE_HZ,
            "statements": [{"code": code, "beats": list(numbers)} for code, numbers in beats.items()]}


def test_an_extrasystole_points_at_its_beats_and_a_rhythm_at_none():
    found = _analysis([1.0, 1.8, 2.3, 3.4, 4.2], PVC=[2], SR=[])
    assert places_of(found) == ["2.00-2.80", ""]
    assert beat_marks(found) == [{"t_s": 2.3, "label": ""}]


def test_a_pause_points_at_the_time_without_a_beat_and_marks_none():
    found = _analysis([1.0, 1.8, 2.6, 5.0, 5.8], PAUSE=[2])
    assert places_of(found) == ["2.50-5.10"] and beat_marks(found) == []


def test_a_pause_after_the_last_beat_points_to_the_end():
    [place] = places_of(_analysis([1.0, 1.8], PAUSE=[1]))
    assert place == "1.70-31.80"


def test_an_analysis_that_does_not_tell_its_rate_or_its_beats_points_at_none():
    found = _analysis([1.0, 1.8, 2.3], PVC=[2])
    assert places_of({**found, "statements": [{"code": "PVC"}]}) == [""]
    del found["rate_hz"]
    assert places_of(found) == [""] and beat_marks(found) == [] and places_of(None) == []


@pytest.mark.parametrize("wide_are_many", [False, True])
def test_the_beats_shown_are_the_ventricular_ones_also_where_they_are_the_many(wide_are_many):
    beats = np.arange(0.8, 14.0, 1.6)
    early = beats[:-1] + 0.5 if wide_are_many else beats[[2, 4]] + 0.5
    base = built(seconds=15.0, r_times=beats)
    time = make.time_axis(15.0)
    for at in early:
        for row, lead in enumerate(STANDARD_LEADS):
            base.samples_uv[row] += make.wide_beat(time - at, lead, 1500.0)
    found = analyse(base).as_json() | {"rate_hz": 500.0}
    marked = [mark["t_s"] for mark in beat_marks(found)]
    assert len(marked) == len(early) and np.allclose(marked, early, atol=0.1)
    assert all(place.count("-") == len(early) for one, place in zip(found["statements"], places_of(found)) if one["code"] == "PVC")


def test_a_recording_of_two_leads_has_few_leads():
    assert has_few_leads({"lead_measurements": {"V1": {}, "MLII": {}}})
    assert not has_few_leads({"lead_measurements": dict.fromkeys(("I", "II", "III", "aVR", "aVL", "aVF"))}) and not has_few_leads(None)
