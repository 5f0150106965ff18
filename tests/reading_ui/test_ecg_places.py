"""Where on the sheet a machine statement is to be seen."""
from reading_ui.analysis import beat_marks, has_few_leads, places_of

RATE_HZ = 500


def _analysis(r_s: list[float], odd: set[int] = frozenset(), codes: tuple[str, ...] = ("PVC", "SR"), **more) -> dict:
    beats = [{"r": round(at * RATE_HZ), "shape": int(number in odd)} for number, at in enumerate(r_s)]
    return {"beats": beats, "statements": [{"code": code} for code in codes], "rate_hz": RATE_HZ, **more}


def test_an_extrasystole_points_at_its_beats_and_a_rhythm_at_none():
    found = _analysis([1.0, 1.8, 2.3, 3.4, 4.2], odd={2})
    assert places_of(found) == ["2.00-2.80", ""]
    assert beat_marks(found) == [{"t_s": 2.3, "label": ""}]


def test_a_pause_points_at_the_interval_without_a_beat():
    assert places_of(_analysis([1.0, 1.8, 2.6, 5.0, 5.8], codes=("PAUSE",))) == ["2.60-5.10"]


def test_an_early_beat_of_the_usual_shape_is_a_supraventricular_one():
    assert places_of(_analysis([1.0, 1.8, 2.3, 3.2, 4.0], codes=("PAC",))) == ["2.00-2.80"]


def test_an_analysis_that_does_not_tell_its_rate_points_at_no_beat():
    found = _analysis([1.0, 1.8, 2.3], odd={2})
    del found["rate_hz"]
    assert places_of(found) == ["", ""] and beat_marks(found) == [] and places_of(None) == []


def test_a_recording_of_two_leads_has_few_leads():
    assert has_few_leads({"lead_measurements": {"V1": {}, "MLII": {}}})
    assert not has_few_leads({"lead_measurements": dict.fromkeys(("I", "II", "III", "aVR", "aVL", "aVF"))}) and not has_few_leads(None)
