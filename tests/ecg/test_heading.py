"""The words above the traces: whose sheet it is and what was measured."""
from types import SimpleNamespace

import numpy as np

from ecg.heading import age_in_words, heading_of, measured_pairs, statement_lines
from ecg.recording import Recording
from ecg.render import SheetOptions, compose


MEASURED = {"heart_rate": {"value": 72.4}, "pr": {"value": None, "reason": "no_p_wave"}, "qrs": {"value": 96.0}, "qt": {"value": 400.0},
            "qtc_bazett": {"value": 438.2}, "p_axis": {"value": None}, "qrs_axis": {"value": -31.0}, "t_axis": {"value": 40.0}}
PATIENT = SimpleNamespace(patient_name="演示患者", sex="F", age="", birth_date="1960-06-02", patient_number="DEMO-9", site_name="青山镇卫生院",
                          accession_number="A1", device_model="12 导")


def test_what_could_not_be_measured_is_a_dash_or_left_out():
    assert measured_pairs(MEASURED) == (("心率", "72 次/分"), ("QRS", "96 ms"), ("QT/QTcB", "400/438 ms"), ("P/QRS/T 电轴", "—/-31/40 °"))
    assert measured_pairs(MEASURED, "en")[0] == ("HR", "72 /min") and measured_pairs({}) == ()


def test_the_heading_names_the_patient_with_the_age_on_the_day_of_the_recording():
    heading = heading_of(PATIENT, "2026-06-01T08:00:00", MEASURED)
    assert (heading.name, heading.sex, heading.age, heading.patient_id) == ("演示患者", "女", "65岁", "DEMO-9")
    assert (heading.institution, heading.recorded_at, heading.statements) == ("青山镇卫生院", "2026-06-01 08:00:00", ())
    assert heading_of(PATIENT, "", MEASURED).age == "" and age_in_words("006M") == "6个月" and age_in_words("40") == "40"


def test_a_statement_speaks_the_language_of_the_sheet():
    assert statement_lines([{"zh": "窦性心律", "en": "Sinus rhythm"}], "en") == ("Sinus rhythm",)


def test_the_words_above_leave_every_trace_where_it_was():
    recording = Recording("test", ("I", "II"), np.zeros((2, 5000)), 500.0, (1.0, 1.0))
    bare, full = compose(recording, SheetOptions()), compose(recording, SheetOptions(), heading_of(PATIENT, "2026-06-01", MEASURED))
    assert bare.grid == full.grid and [(s.x0_mm, s.baseline_mm, s.width_mm) for s in bare.strips] == [(s.x0_mm, s.baseline_mm, s.width_mm) for s in full.strips]
    assert {"演示患者", "72 次/分"} <= {mark.text for mark in full.marks}
