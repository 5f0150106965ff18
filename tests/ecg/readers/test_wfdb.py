"""WFDB: values worked out by hand from bytes, and the reference library as an independent second reader."""
import numpy as np
import pytest
import soundfile
import wfdb as reference

from ecg.errors import UnreadableRecording
from ecg.readers import wfdb
from ecg.readers.wfdb_samples import counts_of
from ecg.recording import SourceFile
from tests.ecg.readers.samples import wfdb_16


def refusal(files):
    with pytest.raises(UnreadableRecording) as refused:
        wfdb.read(files)
    return refused.value.code


def test_format_16_becomes_microvolts_by_gain_and_baseline():
    recording = wfdb.read(wfdb_16())
    np.testing.assert_array_equal(recording.lead("I"), [0, 25, -35, 4500, np.nan, 15])       # 200 counts a mV: 5 uV
    np.testing.assert_array_equal(recording.lead("aVR"), [-36, -48, -24, -3240, 40, -131108])  # (count - 10) x 4 uV
    assert recording.lsb_uv == (5.0, 4.0)
    assert recording.start == "2026-01-05T09:30:00"
    assert recording.patient.age_years == 61
    assert not any(note.startswith("checksum") for note in recording.notes)


def test_a_changed_sample_is_noted_by_the_checksum():
    header, signal = wfdb_16()
    changed = SourceFile(signal.name, b"\x01" + signal.content[1:])
    assert "checksum:I" in wfdb.read([header, changed]).notes


@pytest.mark.parametrize("storage, content, expected", [
    ("16", b"\xfe\xff\x00\x80", [-2, np.nan]),
    ("61", b"\xff\xfe\x80\x00", [-2, np.nan]),
    ("80", b"\x80\x7f\x00", [0, -1, np.nan]),
    ("24", b"\xfe\xff\xff\x00\x00\x80", [-2, np.nan]),
    ("32", b"\xfe\xff\xff\xff\x00\x00\x00\x80", [-2, np.nan]),
    ("160", b"\x01\x80\x00\x00", [1, np.nan]),
    ("212", b"\xe3\x33\xf3", [995, 1011]),               # record 100 of MIT-BIH begins with these three bytes
    ("212", b"\x00\x08\xff", [np.nan, 255]),
    ("310", b"\x02\x08\xfe\x0f", [1, -1, 33]),
    ("311", b"\x01\xfc\x2f\x00", [1, -1, 2]),
])
def test_every_storage_format_unpacks_its_bytes(storage, content, expected):
    rows, _ = counts_of(content, storage, [1], len(expected), [0])
    np.testing.assert_array_equal(rows[0], expected)


def test_flac_storage_is_decoded(tmp_path):
    counts = np.array([[1, -2], [300, -400], [-32768, 32767]], np.int16)
    soundfile.write(tmp_path / "r.flac", counts, 500, format="FLAC", subtype="PCM_16")
    header = b"r 2 500 3\nr.flac 516 1000/mV 16 0 1 0 0 I\nr.flac 516 1000/mV 16 0 -2 0 0 II\n"
    recording = wfdb.read([SourceFile("r.hea", header), SourceFile("r.flac", (tmp_path / "r.flac").read_bytes())])
    np.testing.assert_array_equal(recording.samples_uv, [[1, 300, np.nan], [-2, -400, 32767]])


@pytest.mark.parametrize("record", ["mitdb/101", "nstdb/118e06", "qtdb/sel30", "cpsc2018/A0001", "ludb/data/101",
                                    "ptbxl/records500/00000/00001_hr"])
def test_samples_equal_those_of_the_reference_library(record, real_data):
    base = real_data / "ecg" / record
    if not base.with_suffix(".hea").exists():
        pytest.skip(f"{record} is not among the shared data")
    files = [SourceFile(path.name, path.read_bytes()) for path in (base.with_suffix(end) for end in (".hea", ".dat", ".mat")) if path.exists()]
    ours, theirs = wfdb.read(files), reference.rdrecord(str(base))
    assert set(theirs.units) == {"mV"}
    np.testing.assert_allclose(ours.samples_uv, theirs.p_signal.T * 1000, rtol=0, atol=1e-9, equal_nan=True)
    assert ours.rate_hz == theirs.fs
    assert not any(note.startswith("checksum") for note in ours.notes)


def test_a_header_cannot_name_a_file_that_did_not_come_with_it(tmp_path):
    secret = tmp_path / "secret.dat"
    secret.write_bytes(b"\x00" * 100)
    for name in (str(secret), "../secret.dat", "secret.dat"):
        assert refusal([SourceFile("r.hea", f"r 1 500 5\n{name} 16 200/mV 16 0 0 0 0 I\n".encode())]) == "missing_file"


def test_a_multi_segment_record_is_refused_by_that_name():
    master = SourceFile("m.hea", b"m/2 1 500 12\nr1 6\nr1 6\n")
    assert refusal([master, *wfdb_16()]) == "multi_segment"


def test_a_record_without_its_rate_is_not_given_one():
    assert not wfdb.sniff(b"r1 2\nr1.dat 16 200/mV\n")
    header, signal = wfdb_16()
    assert refusal([SourceFile("r1.hea", header.content.replace(b" 360 ", b" 0 ")), signal]) == "no_rate"


def test_a_header_that_is_one_only_in_another_encoding_is_refused():
    header, signal = wfdb_16()
    assert refusal([SourceFile("r1.hea", b"\xfef" + header.content), signal]) == "malformed"


def test_fewer_samples_than_declared_are_refused():
    header, signal = wfdb_16()
    assert refusal([header, SourceFile(signal.name, signal.content[:-1])]) == "truncated"


def test_a_declared_length_of_a_terabyte_is_refused_without_making_room_for_it():
    header, signal = wfdb_16()
    assert refusal([SourceFile("r1.hea", header.content.replace(b"360 6", b"360 600000000000")), signal]) == "too_large"


def test_a_pressure_beside_the_leads_is_left_out_and_named():
    header, signal = wfdb_16()
    recording = wfdb.read([SourceFile("r1.hea", header.content.replace(b"250(10)/mV", b"250(10)/mmHg").replace(b"AVR", b"ABP")), signal])
    assert recording.leads == ("I",)
    assert "not_ecg:ABP" in recording.notes
