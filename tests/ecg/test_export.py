"""A recording as DICOM: judged by dciodvfy, read back to the same microvolts."""
import subprocess
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ecg.export import AMBULATORY, GENERAL, TWELVE_LEAD, NotRepresentable, dicom_bytes, dicom_waveform
from ecg.files import open_recording
from ecg.readers import dicom
from ecg.recording import STANDARD_LEADS, DeviceAsWritten, PatientAsWritten, Recording, SourceFile
from tests.ecg.readers.samples import REAL

VALIDATOR = Path("/usr/bin/dciodvfy")
UIDS = {"study_uid": "2.25.1", "series_uid": "2.25.2", "sop_uid": "2.25.3"}
RECEIVED = datetime(2026, 1, 5, 10, 0, 0)


def recording(leads=STANDARD_LEADS, samples=5000, rate_hz=500.0, lsb_uv=4.88, **words) -> Recording:
    counts = np.random.default_rng(7).integers(-3000, 3000, (len(leads), samples))
    return Recording(format="test", leads=tuple(leads), samples_uv=counts * lsb_uv, rate_hz=rate_hz,
                     lsb_uv=(lsb_uv,) * len(leads), **words)


def exported(given: Recording) -> bytes:
    return dicom_bytes(dicom_waveform(given, **UIDS, received=RECEIVED))


def read_back(given: Recording) -> Recording:
    return dicom.read([SourceFile("a.dcm", exported(given))])


def complaints(content: bytes, tmp_path: Path) -> list[str]:
    if not VALIDATOR.exists():
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    said = subprocess.run([VALIDATOR, "-new", path], capture_output=True, text=True, timeout=300)
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.peers
@pytest.mark.parametrize("sample", REAL, ids=lambda one: one.paths[0].rpartition("/")[2])
def test_a_real_recording_is_exported_without_an_error_of_dciodvfy_and_read_back(sample, real_data, tmp_path):
    original = open_recording(sample.files(real_data), sample.declared)
    content = exported(original)
    assert complaints(content, tmp_path) == []
    back = dicom.read([SourceFile("a.dcm", content)])
    assert back.leads == original.leads and back.rate_hz == pytest.approx(original.rate_hz)
    span = np.nanmax(original.samples_uv) - np.nanmin(original.samples_uv)
    tolerance = 1e-6 if span / min(original.lsb_uv) < 65500 else span / 65500
    np.testing.assert_allclose(back.samples_uv, original.samples_uv, rtol=0, atol=tolerance, equal_nan=True)


@pytest.mark.peers
def test_a_chinese_patient_gaps_and_statements_survive_and_validate(tmp_path):
    given = recording(patient=PatientAsWritten("DEMO-0001", "演示患者", "F", "1964-03-12", 61.0), start="2026-01-05T09:30:00",
                      device=DeviceAsWritten("Demo", "Cart", "S1", "2.0"), accession_number="A1", device_statements=("窦性心律", "正常心电图"))
    given.samples_uv[3, 100:200] = np.nan
    assert complaints(exported(given), tmp_path) == []
    back = read_back(given)
    assert back.patient == given.patient and back.device == given.device and back.start == given.start
    assert back.device_statements == given.device_statements and back.accession_number == "A1"
    np.testing.assert_array_equal(back.samples_uv, given.samples_uv)


@pytest.mark.parametrize("given, sop_class", [
    (recording(), TWELVE_LEAD),
    (recording(leads=("I", "II", "V5")), GENERAL),
    (recording(samples=20_000), AMBULATORY),
    (recording(rate_hz=125.0), AMBULATORY),
    (recording(leads=STANDARD_LEADS + ("V7", "V8", "V9")), GENERAL),
])
@pytest.mark.peers
def test_the_class_follows_leads_rate_and_length(given, sop_class, tmp_path):
    content = exported(given)
    assert pydicom.dcmread(BytesIO(content)).SOPClassUID == sop_class
    assert complaints(content, tmp_path) == []


@pytest.mark.parametrize("given", [recording(rate_hz=2000.0), recording(rate_hz=40.0), recording(leads=[f"L{index}" for index in range(25)])])
def test_what_dicom_cannot_hold_is_refused_in_words(given):
    with pytest.raises(NotRepresentable) as refused:
        exported(given)
    assert refused.value.zh and refused.value.en


def test_a_recording_without_a_time_gets_that_of_its_arrival():
    assert read_back(recording()).start == "2026-01-05T10:00:00"


def test_a_large_direct_voltage_goes_into_the_baseline_not_into_the_resolution():
    given = recording()
    given.samples_uv[0] += 100_000 * 4.88
    back = read_back(given)
    assert back.lsb_uv[0] == pytest.approx(4.88)
    np.testing.assert_allclose(back.samples_uv, given.samples_uv, rtol=0, atol=1e-6)


def test_text_that_would_split_or_overflow_a_value_is_kept_in_one():
    given = recording(patient=PatientAsWritten("A\\B" + "x" * 100, "Li\\Ming=x\n", "", ""))
    dataset = pydicom.dcmread(BytesIO(exported(given)))
    assert dataset.PatientID == "A B" + "x" * 61 and str(dataset.PatientName) == "Li Ming x"


def test_the_demo_recording_is_what_its_generator_writes():
    folder = Path(__file__).resolve().parents[2] / "sample_data"
    generator = {"__name__": "generator"}
    exec(compile((folder / "make_ecg.py").read_text(encoding="utf-8"), "make_ecg.py", "exec"), generator)
    demo = (folder / "demo_ecg.xml").read_text(encoding="utf-8")
    opened = open_recording([SourceFile("demo_ecg.xml", demo.encode())])
    np.testing.assert_allclose(opened.samples_uv, generator["samples_uv"](), rtol=0, atol=2.6)
    assert opened.leads == STANDARD_LEADS and opened.patient.name == "演示患者"
    np.testing.assert_array_equal(opened.lead("III"), opened.lead("II") - opened.lead("I"))
    peaks = np.flatnonzero((opened.lead("II")[1:-1] > 500) & (np.diff(opened.lead("II"))[:-1] >= 0) & (np.diff(opened.lead("II"))[1:] < 0))
    assert 60 / (np.median(np.diff(peaks)) / 500) == pytest.approx(72, rel=0.03)
