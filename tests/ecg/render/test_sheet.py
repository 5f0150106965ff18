"""A ruler laid on the drawing: millivolts and milliseconds measured in the SVG."""
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.recording import STANDARD_LEADS
from ecg.render import BadSheetOption, SheetHeading, SheetOptions, compose, layout_for, options_from_query, svg
from ecg.render.svg import path_data
from tests.ecg.render.drawn import parse, paths, points, recording, square_of, texts


def drawn(options=SheetOptions(), heading=SheetHeading(), leads_off=(), **given):
    return parse(svg(compose(recording(**given), options, heading, leads_off)))


def lead_paths(root):
    return [path for path in paths(root) if path.get("data-lead")]


@pytest.mark.parametrize("layout, speed, gain", list(itertools.product(
    ("3x4+1", "6x2", "12x1"), (12.5, 25, 50), (5, 10, 20))))
def test_a_millivolt_and_200_ms_measure_true_in_every_lead(layout, speed, gain):
    root = drawn(SheetOptions(layout, speed, gain))
    strips = lead_paths(root)
    assert {strip.get("data-lead") for strip in strips} == set(STANDARD_LEADS)
    for strip in strips:
        high, wide = square_of(points(strip.get("d"))[0])
        assert high == pytest.approx(gain, abs=0.005)
        assert wide == pytest.approx(0.2 * speed, abs=0.0101)   # both edges are rounded to 0.01 mm


def test_ten_millimetres_by_five_is_the_usual_square():
    high, wide = square_of(points(paths(drawn(), data_lead="V3")[0].get("d"))[0])
    assert (round(high, 2), round(wide, 2)) == (10.00, 5.00)


@pytest.mark.parametrize("layout, columns_s", [("3x4+1", (0, 2.5, 5, 7.5)), ("6x2", (0, 5)), ("12x1", (0,))])
def test_columns_show_consecutive_seconds_side_by_side(layout, columns_s):
    strips = lead_paths(drawn(SheetOptions(layout)))
    assert {float(strip.get("data-start-s")) for strip in strips} == set(columns_s)
    for strip in strips:
        start, x0 = float(strip.get("data-start-s")), float(strip.get("data-x0-mm"))
        assert x0 == pytest.approx(28.5 + 25 * start, abs=0.005)
        assert points(strip.get("d"))[0][0][0] == pytest.approx(x0, abs=0.005)


def test_the_rhythm_strip_is_lead_two_for_ten_seconds():
    rhythm = paths(drawn(), data_lead="II", data_duration_s="10")
    assert len(rhythm) == 1
    assert points(rhythm[0].get("d"))[0][-1][0] - points(rhythm[0].get("d"))[0][0][0] == pytest.approx(249.95, abs=0.01)


def test_a_pointer_can_be_turned_into_time_and_voltage_by_the_metadata():
    ramp = np.linspace(-500, 500, 5001)
    strip = paths(drawn(SheetOptions("12x1", start_s=2), samples_uv=ramp), data_lead="V1")[0]
    at = {name: float(strip.get(name)) for name in ("data-x0-mm", "data-start-s", "data-baseline-mm", "data-level-uv")}
    for x, y in points(strip.get("d"))[0][::50]:
        second = at["data-start-s"] + (x - at["data-x0-mm"]) / 25
        microvolt = at["data-level-uv"] + (at["data-baseline-mm"] - y) / 10 * 1000
        assert microvolt == pytest.approx(-500 + 100 * second, abs=1.5)


def test_rounding_never_adds_up_along_a_strip():
    rate_walk = np.cumsum(np.random.default_rng(7).normal(0, 3.3, 5000))
    strip = paths(drawn(SheetOptions("12x1"), samples_uv=rate_walk), data_lead="I")[0]
    run = np.array(points(strip.get("d"))[0])
    level = float(strip.get("data-level-uv"))
    expected = float(strip.get("data-baseline-mm")) - (rate_walk - level) / 100
    assert np.abs(np.interp(28.5 + np.arange(5000) * 0.05, run[:, 0], run[:, 1]) - expected).max() < 0.0101


def test_fast_paper_shows_fewer_seconds_and_slow_paper_more_when_there_are_more():
    assert compose(recording(), SheetOptions(speed_mm_s=50)).seconds == 5
    assert compose(recording(), SheetOptions(speed_mm_s=12.5)).seconds == 10
    assert compose(recording(seconds=30), SheetOptions(speed_mm_s=12.5)).seconds == 20


def test_nothing_is_drawn_beyond_the_ruling_on_the_right():
    for speed in (12.5, 25, 50):
        sheet = compose(recording(seconds=60), SheetOptions("12x1", speed))
        right = sheet.grid.x_mm + sheet.grid.width_mm
        assert max(run[:, 0].max() for strip in sheet.strips for run in strip.runs) <= right


def test_the_ruling_is_one_and_five_millimetres_apart():
    root = drawn()
    minor = points(paths(root, **{"class": "minor"})[0].get("d"))
    major = points(paths(root, **{"class": "major"})[0].get("d"))
    upright = [sorted(run[0][0] for run in ruling if run[0][0] == run[1][0]) for ruling in (minor, major)]
    level = [sorted(run[0][1] for run in ruling if run[0][1] == run[1][1]) for ruling in (minor, major)]
    for direction in (upright, level):
        assert np.diff(direction[1]) == pytest.approx(5.0)
        assert np.diff(sorted(direction[0] + direction[1])) == pytest.approx(1.0)


@pytest.mark.parametrize("speed, gain", list(itertools.product((12.5, 25, 50), (5, 10, 20))))
def test_the_calibration_pulse_is_one_millivolt_for_200_ms(speed, gain):
    for layout in ("3x4+1", "6x2", "12x1"):
        pulses = paths(drawn(SheetOptions(layout, speed, gain)), **{"class": "pulse"})
        assert pulses
        for pulse in pulses:
            assert square_of(points(pulse.get("d"))[0]) == pytest.approx((gain, 0.2 * speed), abs=0.005)


def test_the_pulse_stands_on_the_grid_and_before_the_trace():
    for layout, speed, gain in itertools.product(("3x4+1", "6x2", "12x1"), (12.5, 25, 50), (5, 10, 20)):
        sheet = compose(recording(), SheetOptions(layout, speed, gain))
        for pulse in sheet.pulses:
            assert pulse[:, 0].min() >= sheet.grid.x_mm - 1e-9
            assert pulse[:, 0].max() < min(strip.x0_mm for strip in sheet.strips)
            assert pulse[:, 1].min() >= sheet.grid.y_mm


def test_a_gap_in_the_recording_stays_open():
    samples = np.zeros(5000)
    samples[1000:1500] = np.nan
    runs = points(paths(drawn(SheetOptions("12x1"), samples_uv=samples), data_lead="V5")[0].get("d"))
    assert len(runs) == 2
    assert runs[0][-1][0] == pytest.approx(28.5 + 999 / 20, abs=0.01)
    assert runs[1][0][0] == pytest.approx(28.5 + 1500 / 20, abs=0.01)


def test_a_sample_that_is_not_a_number_of_this_world_breaks_nothing():
    samples = np.zeros(5000)
    samples[[10, 20, 30]] = np.inf, -np.inf, 1e300
    document = svg(compose(recording(samples), SheetOptions("12x1")))
    assert "nan" not in document and "inf" not in document and "e+" not in document


def test_a_lead_that_the_file_lacks_is_marked_and_not_hidden():
    root = drawn(leads=("I", "II", "V1"))
    assert texts(root, "remark").count("缺失") == 9
    assert paths(root, data_lead="V6")[0].get("data-remark") == "missing"
    assert paths(root, data_lead="V6")[0].get("d") == ""


def test_a_lead_that_is_off_is_marked_and_still_drawn():
    root = drawn(SheetOptions("12x1"), leads_off=("V2",))
    assert texts(root, "remark") == ["导联脱落"]
    assert paths(root, data_lead="V2")[0].get("d")


def test_seconds_that_were_not_recorded_are_marked():
    assert texts(drawn(SheetOptions(columns="consecutive"), seconds=4), "remark").count("此段无数据") == 6


def test_a_short_recording_still_shows_every_lead_and_says_that_columns_are_simultaneous():
    root = drawn(seconds=4)
    assert texts(root, "remark") == [] and texts(root, "note") == ["各列为同一时段"]
    assert {strip.get("data-start-s") for strip in lead_paths(root)} == {"0"}
    assert texts(drawn(seconds=10), "note") == []
    assert texts(drawn(SheetOptions("12x1"), seconds=4), "note") == []


def test_a_wave_that_leaves_the_paper_is_marked():
    samples = np.zeros(5000)
    samples[2000] = 30_000
    root = drawn(SheetOptions("12x1"), samples_uv=samples, leads=STANDARD_LEADS[:1])
    assert "超出纸面" in texts(root, "remark")


def test_leads_without_a_place_in_the_layout_are_named_below():
    assert any("V7 V3R" in note for note in texts(drawn(leads=(*STANDARD_LEADS, "V7", "V3R")), "note"))
    assert len(lead_paths(drawn(SheetOptions("recorded"), leads=("MLII", "V5")))) == 2


def test_speed_gain_and_filters_are_printed_as_carts_print_them():
    options = SheetOptions(passband_hz=(0.05, 150), filters=("mains",))
    assert texts(drawn(options), "scale") == ["25 mm/s   10 mm/mV   0.05–150 Hz   AC 50 Hz"]
    options = SheetOptions(speed_mm_s=12.5, gain_mm_mv=5, filters=("baseline", "mains", "muscle"), mains_hz=60)
    assert texts(drawn(options), "scale") == ["12.5 mm/s   5 mm/mV   AC 60 Hz   基线滤波   肌电滤波"]
    assert texts(drawn(), "scale") == ["25 mm/s   10 mm/mV   未滤波"]
    assert texts(drawn(filters_as_written="0.05-100Hz"), "scale") == ["25 mm/s   10 mm/mV   设备滤波 0.05-100Hz"]


@pytest.mark.parametrize("applied, printed", [("baseline", "基线滤波"), ("mains", "AC 50 Hz"), ("muscle", "肌电滤波")])
def test_no_filter_is_printed_that_was_not_applied(applied, printed):
    assert texts(drawn(SheetOptions(filters=(applied,))), "scale") == [f"25 mm/s   10 mm/mV   {printed}"]


HOSTILE = "</text><script>alert(1)</script>\"' onload=x&#60;\x00\x1b\u202e]]>"


def test_a_hostile_name_is_text_wherever_it_stands():
    heading = SheetHeading(*[HOSTILE] * 8, ((HOSTILE, HOSTILE),), (HOSTILE,) * 5, HOSTILE)
    document = svg(compose(recording(leads=(HOSTILE, "II"), filters_as_written=HOSTILE), SheetOptions("recorded"), heading))
    root = parse(document)
    assert {element.tag.split("}")[1] for element in root.iter()} == {
        "svg", "title", "defs", "clipPath", "rect", "g", "path", "text"}
    assert not any(name.startswith("on") or name == "style" for element in root.iter() for name in element.attrib)
    assert "<script" not in document and "\u202e" not in document and "\x00" not in document
    assert any(text.startswith("</text><script>") for text in texts(root))


def test_the_drawing_needs_neither_script_nor_style():
    document = svg(compose(recording(), heading=SheetHeading("欧阳娜娜", "女", "30 岁")))
    assert " style=" not in document and "<style" not in document and "href" not in document
    assert 'width="297mm" height="210mm" viewBox="0 0 297 210"' in document


def test_a_long_name_is_cut_short_and_says_so():
    root = drawn(heading=SheetHeading(name="穆罕默德" * 40))
    name = texts(root, "name")[0]
    assert name.endswith("…") and len(name) < 30


def test_a_long_real_name_is_written_in_full():
    for name in ("阿卜杜热合曼·买买提江·吾甫尔江", "Wolfeschlegelsteinhausenbergerdorff, H."):
        assert texts(drawn(heading=SheetHeading(name=name)), "name") == [name]


@given(st.lists(st.lists(st.tuples(st.integers(-10**7, 10**7), st.integers(-10**7, 10**7)), min_size=1, max_size=30),
                max_size=4))
def test_what_is_written_as_a_path_is_read_back_to_a_hundredth(runs):
    read = points(path_data(tuple(np.array(run) / 100.0 for run in runs)))
    assert len(read) == len(runs)
    for wrote, found in zip(runs, read):
        found = np.array(found)
        expected = np.array(wrote) / 100.0
        assert found[0] == pytest.approx(expected[0], abs=1e-6)
        assert found[-1] == pytest.approx(expected[-1], abs=1e-6)
        assert found.max(axis=0) == pytest.approx(expected.max(axis=0), abs=1e-6)
        assert found.min(axis=0) == pytest.approx(expected.min(axis=0), abs=1e-6)


def test_an_id_prefix_keeps_two_sheets_on_one_page_apart():
    sheet = compose(recording())
    assert 'id="left-paper"' in svg(sheet, "left") and "url(#left-paper)" in svg(sheet, "left")
    with pytest.raises(ValueError):
        svg(sheet, 'x" onload="')


@pytest.mark.parametrize("wrong", [
    {"layout": "4x3"}, {"speed_mm_s": 30}, {"gain_mm_mv": 0}, {"start_s": -1}, {"start_s": float("nan")},
    {"filters": ("magic",)}, {"filters": ("mains", "mains")}, {"paper_mm": (100, 100)}, {"passband_hz": (150, 0.05)},
    {"rhythm_lead": "X"}, {"columns": "some"}, {"language": "fr"}, {"mains_hz": 0}])
def test_what_cannot_be_drawn_is_refused_in_two_languages(wrong):
    with pytest.raises(BadSheetOption) as refused:
        SheetOptions(**wrong)
    assert refused.value.zh and refused.value.en


def test_a_query_becomes_options_or_a_refusal():
    assert options_from_query({"layout": "6x2", "speed": "50", "gain": "20", "filters": "baseline,mains", "start": "5"},
                              passband_hz=(0.5, 150)) == SheetOptions("6x2", 50, 20, 5, ("baseline", "mains"), (0.5, 150))
    assert options_from_query({}) == SheetOptions()
    for query in ({"speed": "fast"}, {"gain": "11"}, {"start": "nan"}, {"filters": "mains,"}, {"layout": "<svg>"}):
        with pytest.raises(BadSheetOption):
            options_from_query(query)


@pytest.mark.parametrize("leads, layout", [(STANDARD_LEADS, "3x4+1"), (("I", "II", "III", "aVR", "aVL", "aVF"), "3x4+1"), (("X", "Y", "Z"), "recorded"),
                                           (("II", "V5"), "recorded")])
def test_a_recording_of_other_leads_than_the_standard_ones_is_shown_in_its_own(leads, layout):
    assert layout_for(leads) == layout
    sheet = compose(recording(leads=leads), SheetOptions(layout=layout_for(leads)))
    assert all(any(strip.lead == lead and strip.runs for strip in sheet.strips) for lead in leads)


HELVETICA_BOLD_EM = {"T": 0.611, "R": 0.722, "W": 0.944, "U": 0.722, "M": 0.833, "A": 0.722, "I": 0.278}     # Adobe's font metrics


@pytest.mark.parametrize("name", ["TRWRU", "MARIA", "WWW", "MUTTI"])
def test_a_name_in_capitals_does_not_run_into_what_follows(name):
    marks = {mark.kind: mark for mark in compose(recording(), SheetOptions(), SheetHeading(name=name, patient_id="1")).marks}
    wide_mm = sum(HELVETICA_BOLD_EM[letter] for letter in name) * marks["name"].size_mm
    assert marks["patient"].x_mm >= marks["name"].x_mm + wide_mm + 1.0
