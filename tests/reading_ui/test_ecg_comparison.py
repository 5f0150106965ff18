"""The previous ECG of the patient beside this one, and the ECG as a DICOM object to take away."""
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pydicom
import pytest

from ecg.files import open_recording
from ecg.recording import SourceFile
from tests.ecg.interpret.constructed import with_st
from tests.reading_ui.county import ecg_csv


def csv_of(recording) -> bytes:
    rows = [",".join(recording.leads)] + [",".join(f"{value:.0f}" for value in row) for row in recording.samples_uv.T]
    return "\n".join(rows).encode()


def an_ecg(county, number, study_at="2026-03-02T09:14:00", file=None, site="QS"):
    return county.study(site, patient="欧阳前次", number=number, modality="ECG", body_part="", kind="ecg", slices=1,
                        files=[file or ecg_csv()], told=False, study_at=study_at)


@pytest.fixture(scope="module")
def pair(county):
    """(earlier, later): the same heart, later with ST elevation in the inferior leads."""
    return (an_ecg(county, "SERIAL1", "2026-01-05T08:00:00", csv_of(with_st({}))),
            an_ecg(county, "SERIAL1", "2026-03-02T09:14:00", csv_of(with_st({"II": 200.0, "III": 250.0, "aVF": 220.0}))))


def test_the_reading_page_names_what_is_new_since_the_previous_ecg(people, pair):
    page = people["chen"].get(f"/ecgs/{pair[1]}").text
    assert "与前次心电图比较" in page and "2026-01-05" in page and "ST 段抬高增加" in page and f"/ecgs/{pair[1]}/compare" in page
    assert "与前次心电图比较" not in people["chen"].get(f"/ecgs/{pair[0]}").text, "the first has nothing before it"


def test_the_comparison_gives_the_numbers_of_both(people, pair):
    page = people["chen"].get(f"/ecgs/{pair[1]}/compare").text
    assert "ST 段抬高增加" in page and "心率" in page and f"/ecgs/{pair[1]}/compare.svg?with={pair[0]}" in page


def test_both_beats_are_drawn_true_to_scale_over_each_other(people, pair):
    answer = people["chen"].get(f"/ecgs/{pair[1]}/compare.svg")
    drawing = ElementTree.fromstring(answer.data)
    paths = {(one.get("class"), one.get("data-lead")): one for one in drawing.iter("{http://www.w3.org/2000/svg}path") if one.get("data-lead")}
    assert len(paths) == 24
    heights = {kind: _height_mm(paths[kind, "III"], 15.0 + 50 * 0.12) for kind in ("before", "now")}
    assert heights["now"] - heights["before"] == pytest.approx(2.5, abs=0.3), "0.25 mV of ST are 2.5 mm"
    assert _height_mm(paths["now", "V5"], 21.0) == pytest.approx(_height_mm(paths["before", "V5"], 21.0), abs=0.3)
    assert "ΔST +0.2" in answer.text


def _height_mm(path, after_left_mm):
    """How high a trace stands over its baseline at a place of its box."""
    numbers = re.findall(r"-?(?:\d+\.?\d*|\.\d+)", path.get("d"))
    steps = np.array(numbers, dtype=float).reshape(-1, 2)
    places = np.cumsum(steps, axis=0)
    left = places[0, 0] - places[0, 0] % 48 if places[0, 0] >= 48 else 0.0
    y = np.interp(left + after_left_mm, places[:, 0], places[:, 1])
    return float(path.get("data-baseline-mm")) - y


def test_only_an_earlier_ecg_of_this_patient_may_be_named(people, pair, county):
    stranger = an_ecg(county, "SERIAL2", "2026-01-01T08:00:00")
    for other in (stranger, pair[1], 987654):
        assert people["chen"].get(f"/ecgs/{pair[1]}/compare?with={other}").status_code == 404
    assert people["chen"].get(f"/ecgs/{pair[0]}/compare").location.endswith(f"/ecgs/{pair[0]}")
    assert people["bx"].get(f"/ecgs/{pair[1]}/compare").status_code == 404


def test_an_earlier_ecg_that_cannot_be_read_is_said_and_not_hidden(people, county):
    an_ecg(county, "SERIAL3", "2026-01-05T08:00:00", b"not an ecg")
    later = an_ecg(county, "SERIAL3")
    assert "两份中有一份无法自动测量" in people["chen"].get(f"/ecgs/{later}").text
    assert "两份中有一份无法自动测量" in people["chen"].get(f"/ecgs/{later}/compare").text
    assert people["chen"].get(f"/ecgs/{later}/compare.svg", accept="image/svg+xml").status_code == 404


def test_an_ecg_is_taken_away_as_dicom_with_the_same_microvolts_and_the_hubs_patient(people, pair):
    answer = people["chen"].get(f"/ecgs/{pair[1]}/ecg.dcm")
    assert answer.mimetype == "application/dicom" and "attachment" in answer.headers["Content-Disposition"]
    dataset = pydicom.dcmread(io.BytesIO(answer.data))
    assert dataset.PatientName == "欧阳前次" and dataset.PatientID == "SERIAL1" and dataset.Modality == "ECG"
    sent = with_st({"II": 200.0, "III": 250.0, "aVF": 220.0})
    back = open_recording([SourceFile("ecg.dcm", answer.data)], None)
    assert back.leads == sent.leads and np.max(np.abs(back.samples_uv - np.round(sent.samples_uv))) < 0.01
    again = pydicom.dcmread(io.BytesIO(people["chen"].get(f"/ecgs/{pair[1]}/ecg.dcm").data))
    assert again.SOPInstanceUID == dataset.SOPInstanceUID and again.StudyInstanceUID == dataset.StudyInstanceUID
    assert people["bx"].get(f"/ecgs/{pair[1]}/ecg.dcm").status_code == 404
