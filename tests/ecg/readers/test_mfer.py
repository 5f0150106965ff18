"""MFER: truth from files written here tag by tag and from the bytes of a real monitor's file."""
import struct

import numpy as np
import pytest

from ecg.readers import mfer
from ecg.recording import SourceFile
from tests.ecg.readers.mutations import outcome, survives


def tlv(tag, value):
    size = len(value)
    head = bytes([size]) if size < 128 else b"\x84" + struct.pack(">I", size)
    return bytes([tag]) + head + value


def channel(number, body):
    return b"\x3f" + bytes([number]) + bytes([len(body)]) + body


PREAMBLE = b"\x40\x20" + b"MFR Standard 12 leads ECG".ljust(32)


def lead(code, order, unit=0, exponent=-6, value=2, kind=0, block=3, rate=(1, -3, 4)):
    mark = "<" if order else ">"
    return (tlv(0x09, struct.pack(mark + "H", code)) + tlv(0x0A, bytes([kind])) + tlv(0x04, struct.pack(mark + "I", block))
            + tlv(0x0B, struct.pack("bb", *rate[:2]) + struct.pack(mark + "h", rate[2]))
            + tlv(0x0C, struct.pack("bb", unit, exponent) + struct.pack(mark + "h", value)))


def document(channels, blocks, order=1, sequences=2, extra=b"", tail=b""):
    """``blocks``: bytes of each channel in each sequence, in the order of the file."""
    mark = "<" if order else ">"
    body = PREAMBLE + tlv(0x01, bytes([order])) + extra + tlv(0x05, bytes([len(channels)]))
    body += tlv(0x06, struct.pack(mark + "H", sequences)) + tlv(0x12, struct.pack(mark + "H", 0x8000))
    body += b"".join(channel(i, c) for i, c in enumerate(channels))
    return body + tlv(0x1E, b"".join(blocks)) + tail


def words(values, order=1):
    return struct.pack(("<" if order else ">") + f"{len(values)}h", *values)


def read(content):
    return mfer.read([SourceFile("x.mwf", content)])


@pytest.mark.parametrize("order", [0, 1])
def test_sequences_of_blocks_become_leads_in_microvolts(order):
    channels = [lead(1, order), lead(62, order, value=5)]
    blocks = [words(b, order) for b in ([1, 2, 3], [10, -10, 0], [4, -5, -32768], [7, 8, 9])]
    recording = read(document(channels, blocks, order))
    assert recording.leads == ("I", "aVR") and recording.rate_hz == 250 and recording.lsb_uv == (2.0, 5.0)
    assert recording.samples_uv[0, :5].tolist() == [2.0, 4.0, 6.0, 8.0, -10.0] and np.isnan(recording.samples_uv[0, 5])
    assert recording.samples_uv[1].tolist() == [50.0, -50.0, 0.0, 35.0, 40.0, 45.0]


def test_what_is_not_an_ecg_is_left_out_and_counted():
    channels = [lead(0x0AC0, 1, unit=1, exponent=-3), lead(7, 1), lead(0x1040, 1, kind=4)]
    blocks = [words([9, 9, 9]), words([1, 2, 3]), words([0, 0, 1])]
    recording = read(document(channels, blocks, sequences=1))
    assert recording.leads == ("V5",) and recording.samples_uv.tolist() == [[2.0, 4.0, 6.0]]
    assert "channels_not_ecg:2" in recording.notes


def test_a_rate_in_hertz_and_a_scale_in_nanovolts_are_read():
    recording = read(document([lead(2, 1, rate=(0, 0, 500), exponent=-9, value=1250)], [words([4, 0, -4])], sequences=1))
    assert recording.rate_hz == 500 and np.allclose(recording.samples_uv, [[5.0, 0.0, -5.0]], rtol=0, atol=1e-12)


def test_patient_time_and_device_are_taken_as_written():
    extra = (tlv(0x17, b"MAKER^CART-1^V2^SN7") + tlv(0x85, struct.pack("<HBBBBBHH", 2024, 2, 29, 1, 2, 3, 0, 0))
             + tlv(0x82, b"P-5\0") + tlv(0x03, b"UTF-16LE\0") + tlv(0x81, "山田".encode("utf-16-le") + b"\0\0")
             + tlv(0x83, struct.pack("<BHHBB", 61, 22300, 1962, 7, 4)) + tlv(0x84, b"\x02"))
    recording = read(document([lead(1, 1)], [words([1, 2, 3])], sequences=1, extra=extra))
    assert recording.patient.name == "山田" and recording.patient.patient_id == "P-5" and recording.patient.sex == "F"
    assert recording.patient.birth_date == "1962-07-04" and recording.patient.age_years == 61
    assert recording.start == "2024-02-29T01:02:03"
    assert (recording.device.manufacturer, recording.device.model, recording.device.software,
            recording.device.serial) == ("MAKER", "CART-1", "V2", "SN7")


def test_the_monitors_file_is_read_as_its_bytes_stand(real_data):
    content = (real_data / "ecg/formats/mfer/test-file.MWF").read_bytes()
    recording = read(content)
    data = content.index(b"\x1e\x84") + 6
    step = (15000 + 15000 + 7500 + 7500 + 7500 + 15000) * 2      # block lengths in the attributes
    assert recording.leads == ("II", "V5") and recording.rate_hz == 250
    assert recording.samples_uv.shape == (2, 12 * 15000)
    for sequence in (0, 5):
        at = data + sequence * step
        expected = np.frombuffer(content, "<i2", 15000, at + 30000) * 2.0
        got = recording.lead("V5")[sequence * 15000:(sequence + 1) * 15000]
        assert np.array_equal(np.nan_to_num(got, nan=-65536.0), expected)
    assert recording.start == "2019-06-19T13:20:00" and recording.device.model == "CNS6000"
    assert recording.patient.patient_id == "12345" and recording.patient.birth_date == ""


@pytest.mark.parametrize("content,code", [
    (b"", "empty"), (b"\x40\x20DICOM" + bytes(99), "not_recognised"), (PREAMBLE, "no_samples"),
    (document([lead(1, 1)], [words([1, 2, 3])], sequences=9), "truncated"),
    (document([lead(1, 1, unit=1)], [words([1, 2, 3])], sequences=1), "no_leads"),
    (document([lead(1, 1, rate=(1, -3, 0))], [words([1, 2, 3])], sequences=1), "no_rate"),
    (document([lead(1, 1, kind=9)], [words([1, 2, 3])], sequences=1), "unsupported"),
    (document([lead(1, 1, block=0)], [words([1, 2, 3])], sequences=1), "damaged"),
    (document([lead(1, 1), lead(2, 1, rate=(1, -3, 8))], [words([1, 2, 3])] * 2, sequences=1), "mixed_rates"),
    (document([lead(1, 1, block=0x7FFFFFFF)], [words([1, 2, 3])], sequences=1), "hostile"),
    (document([lead(1, 1)], [words([1, 2, 3])], sequences=1, extra=tlv(0x0E, b"\1\0")), "unsupported"),
    (PREAMBLE + b"\x16\x80", "unsupported"), (PREAMBLE + b"\x1e\x84\xff\xff\xff\xff", "truncated"),
    (PREAMBLE + b"\x16\x00" * 100_001, "hostile"), (PREAMBLE + b"\x3f" + b"\xff" * 50, "hostile"),
])
def test_what_cannot_be_read_is_refused_by_name(content, code):
    assert outcome(mfer, content).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    content = document([lead(1, 1), lead(62, 1)], [words([1, 2, 3])] * 4)
    assert survives(mfer, content, flips=400) > 8
    assert survives(mfer, (real_data / "ecg/formats/mfer/test-file.MWF").read_bytes(), flips=25, reach=420) > 9
