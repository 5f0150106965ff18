"""CSV: nothing is assumed that text does not say."""
import numpy as np
import pytest

from ecg.errors import UnreadableRecording
from ecg.readers import csv
from ecg.recording import SourceFile
from tests.ecg.readers.samples import TWELVE
from tests.ecg.readers.samples import csv as synthetic

DECLARED = {"rate_hz": "500", "unit": "mV"}


def read(text, declared=DECLARED):
    return csv.read([SourceFile("a.csv", text.encode())], declared)


def refusal(text, declared=DECLARED):
    with pytest.raises(UnreadableRecording) as refused:
        read(text, declared)
    return refused.value.code


def test_decimal_commas_a_time_column_and_an_empty_cell_are_understood():
    recording = csv.read(synthetic(), DECLARED)
    np.testing.assert_array_equal(recording.samples_uv, [[1, np.nan, 1500], [-500, 250, 0]])
    assert recording.leads == ("I", "aVR")
    assert recording.lsb_uv == (1.0, 1.0)
    assert "column_not_used:time" in recording.notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_each_delimiter_is_recognised(delimiter):
    text = "I,II\n1,2\n3,4\n".replace(",", delimiter)
    np.testing.assert_array_equal(read(text).samples_uv, [[1000, 3000], [2000, 4000]])


@pytest.mark.parametrize("declared", [{}, {"rate_hz": "500"}, {"unit": "mV"}])
def test_without_rate_and_unit_nothing_is_read(declared):
    assert refusal("I,II\n1,2\n3,4\n", declared) == "declare_rate_and_unit"


@pytest.mark.parametrize("declared, code", [
    ({"rate_hz": "fast", "unit": "mV"}, "no_rate"), ({"rate_hz": "0", "unit": "mV"}, "no_rate"),
    ({"rate_hz": "nan", "unit": "mV"}, "no_rate"), ({"rate_hz": "500", "unit": "counts"}, "no_unit"),
])
def test_a_declaration_that_makes_no_sense_is_refused(declared, code):
    assert refusal("I,II\n1,2\n3,4\n", declared) == code


def test_unnamed_columns_need_declared_leads_of_the_same_number():
    assert refusal("1,2\n3,4\n") == "declare_leads"
    assert refusal("1,2\n3,4\n", {**DECLARED, "leads": "I"}) == "declare_leads"
    assert read("1,2\n3,4\n", {**DECLARED, "leads": "ii,avl"}).leads == ("II", "aVL")
    assert refusal("I,I\n1,2\n") == "declare_leads"


@pytest.mark.parametrize("word", ["nan", "NULL", "inf"])
def test_a_word_among_the_numbers_is_refused_with_its_place(word):
    with pytest.raises(UnreadableRecording) as refused:
        read(f"I,II\n1,2\n3,{word}\n")
    assert refused.value.code == "not_a_number" and "Row 3, column 2" in refused.value.en


def test_a_row_cut_short_is_refused():
    assert refusal("I,II\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n3\n") == "malformed"


def test_scientific_numbers_keep_their_value():
    assert read("I,II\n1.5e-3,2\n0,0\n").samples_uv[0, 0] == pytest.approx(1.5)


def test_the_real_export_of_a_cart_is_read_as_its_rows_stand(real_data):
    file = real_data / "ecg" / "formats" / "contec" / "tools" / "0000050.ECG.csv"
    recording = csv.read([SourceFile("x", file.read_bytes())], {"rate_hz": "800", "unit": "uV", "leads": TWELVE})
    np.testing.assert_array_equal(recording.samples_uv[:6, 0], [-20, -25, -5, 23, -7, -15])
    assert np.isnan(recording.lead("V1")).all()
