"""EDF, EDF+ and BDF: values by hand, gaps, and an independent library as second reader."""
import edfio
import numpy as np
import pytest

from ecg.errors import UnreadableRecording
from ecg.readers import edf
from ecg.recording import SourceFile
from tests.ecg.readers.samples import edf as synthetic


def refusal(content):
    with pytest.raises(UnreadableRecording) as refused:
        edf.read([SourceFile("a.edf", content)])
    return refused.value.code


@pytest.mark.parametrize("width", [2, 3])
def test_counts_become_microvolts_between_the_stated_limits(width):
    recording = edf.read(synthetic(width))
    assert recording.leads == ("I", "aVR")
    np.testing.assert_allclose(recording.samples_uv, [[0, 1000, -1000, 3.5, 4, 4.5], [0.5, -0.5, 1, -1, 500, -500]], atol=1e-9)
    assert recording.rate_hz == pytest.approx(500)
    assert recording.lsb_uv == pytest.approx((0.5, 0.5))
    assert recording.start == "2026-01-05T09:30:00"


def test_edf_plus_says_who_and_plain_edf_is_not_guessed_at():
    plus = edf.read(synthetic(reserved="EDF+C"))
    assert (plus.patient.patient_id, plus.patient.sex, plus.patient.birth_date, plus.patient.name) == ("", "M", "1964-03-12", "Demo One")
    assert plus.device.model == "Cart"
    assert edf.read(synthetic()).patient.patient_id == "X M 12-MAR-1964 Demo_One"


def test_a_discontinuous_recording_has_a_gap_where_nothing_was_recorded():
    recording = edf.read(synthetic(reserved="EDF+D", annotations=[b"+0\x14\x14\x00", b"+0.012\x14\x14\x00"]))
    assert recording.samples_uv.shape == (2, 9)
    assert np.isnan(recording.samples_uv[:, 3:6]).all()
    assert recording.samples_uv[0, 6] == pytest.approx(3.5)
    assert "discontinuous" in recording.notes


def test_a_gap_of_years_is_refused_without_making_room_for_it():
    files = synthetic(reserved="EDF+D", annotations=[b"+0\x14\x14\x00", b"+999999999\x14\x14\x00"])
    assert refusal(files[0].content) == "too_large"


@pytest.mark.parametrize("name", ["edf/test_generator.edf", "contec/tools/0000050.ECG.edf"])
def test_samples_equal_those_of_an_independent_library(name, real_data):
    file = real_data / "ecg" / "formats" / name
    recording = edf.read([SourceFile("x", file.read_bytes())])
    factor = {"uV": 1.0, "mV": 1000.0}
    theirs = [signal.data * factor[signal.physical_dimension] for signal in edfio.read_edf(file).signals]
    np.testing.assert_allclose(recording.samples_uv, theirs, rtol=1e-9, atol=1e-6)


def test_the_bdf_generators_sine_has_the_amplitude_and_frequency_its_label_says(real_data):
    file = real_data / "ecg" / "formats" / "edf" / "test_generator.bdf"
    sine = edf.read([SourceFile("x", file.read_bytes())]).lead("sine 5Hz")
    spectrum = np.abs(np.fft.rfft(sine))
    assert np.fft.rfftfreq(sine.size, 1 / 1000)[spectrum.argmax()] == pytest.approx(5)
    assert sine.max() == pytest.approx(1000, rel=1e-3)


def test_a_shorter_file_than_declared_is_refused():
    assert refusal(synthetic()[0].content[:-1]) == "truncated"
    assert refusal(synthetic()[0].content[:300]) == "truncated"


def test_no_duration_means_no_rate():
    content = synthetic()[0].content
    assert refusal(content[:244] + b"0       " + content[252:]) == "no_rate"


def test_limits_that_are_equal_give_no_scale():
    assert refusal(synthetic()[0].content.replace(b"-1000   ", b"1000    ", 1)) == "malformed"
