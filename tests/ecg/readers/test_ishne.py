"""ISHNE Holter: truth from a header written here by the standard's offsets, and from the real file's bytes."""
import binascii
import struct

import numpy as np
import pytest

from ecg.readers import ishne
from ecg.recording import SourceFile
from tests.ecg.readers.mutations import outcome, survives


def document(rows, codes=(5, 6, 11), nanovolts=(1000, 2500, 5000), rate=250, samples=None, count=None, variable=b"",
             crc=None):
    leads = len(codes)
    twelve = lambda values: struct.pack("<12h", *values, *[-9] * (12 - leads))
    at = 522 + len(variable)
    header = struct.pack("<IIIIh", len(variable), len(rows) if samples is None else samples, 522, at, 1)
    header += "张".encode("gb2312").ljust(40, b"\0") + b"Li".ljust(40, b"\0") + b"ID-9".ljust(20, b"\0")
    header += struct.pack("<hh", 2, 0) + struct.pack("<3h", 29, 2, 1960) + struct.pack("<3h", 31, 12, 2023)
    header += struct.pack("<3h", 1, 1, 2024) + struct.pack("<3h", 7, 8, 9)
    header += struct.pack("<h", leads if count is None else count) + twelve(codes) + twelve([0] * leads)
    header += twelve(nanovolts) + struct.pack("<h", 0) + b"Recorder".ljust(40, b"\0") + struct.pack("<h", rate)
    header += bytes(80 + 80 + 88)
    assert len(header) == 512
    body = header + variable
    crc = binascii.crc_hqx(body, 0xFFFF) if crc is None else crc
    return b"ISHNE1.0" + struct.pack("<H", crc) + body + b"".join(struct.pack(f"<{leads}h", *row) for row in rows)


ROWS = [[1, -2, 3], [100, 200, -300], [32767, -32768, 0], [5, 6, 7]]


def read(content):
    return ishne.read([SourceFile("x.ecg", content)])


@pytest.mark.parametrize("variable", [b"", b"anything at all"])
def test_rows_become_leads_in_microvolts(variable):
    recording = read(document(ROWS, variable=variable))
    assert recording.leads == ("I", "II", "V1") and recording.rate_hz == 250
    assert np.allclose(recording.samples_uv, np.array(ROWS).T * [[1.0], [2.5], [5.0]], rtol=0, atol=1e-9)
    assert recording.notes[0] == "crc:ok"


def test_the_header_is_taken_as_written():
    recording = read(document(ROWS))
    assert recording.patient.name == "Li 张" and recording.patient.patient_id == "ID-9"
    assert recording.patient.sex == "F" and recording.patient.birth_date == "1960-02-29"
    assert recording.start == "2023-12-31T07:08:09" and recording.device.model == "Recorder"


def test_the_real_file_is_read_to_its_end_and_says_that_more_was_declared(real_data):
    content = (real_data / "ecg/formats/ishne/1-300m.ecg").read_bytes()
    recording = read(content)
    assert recording.leads == ("X", "Y", "Z") and recording.rate_hz == 200
    assert recording.samples_uv.shape == (3, 300_000)
    assert "fewer_samples_than_declared:300000/8056200" in recording.notes
    third = struct.unpack_from("<3h", content, 522 + 6 * 2)
    assert np.allclose(recording.samples_uv[:, 2], np.array(third) * 4.878, rtol=0, atol=1e-9)
    assert recording.start == "2008-11-05T05:09:00" and recording.patient.birth_date == ""


def test_unknown_and_repeated_leads_are_told_apart():
    assert read(document(ROWS, codes=(0, 11, 11))).leads == ("unknown-1", "V1", "V1-3")


def test_a_wrong_check_sum_is_noted():
    assert "crc:mismatch:header" in read(document(ROWS, crc=77)).notes


@pytest.mark.parametrize("content,code", [
    (b"", "empty"), (b"ISHNE1.0" + bytes(100), "truncated"), (b"ANN  1.0" + bytes(600), "not_recognised"),
    (document(ROWS, count=13), "no_leads"), (document(ROWS, count=0), "no_leads"), (document(ROWS, rate=0), "no_rate"),
    (document(ROWS, nanovolts=(1, 0, 1)), "no_scale"), (document([]), "no_samples"), (document(ROWS)[:524], "no_samples"),
])
def test_what_cannot_be_read_is_refused_by_name(content, code):
    assert outcome(ishne, content).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    assert survives(ishne, document(ROWS * 9), flips=400) > 5
    survives(ishne, (real_data / "ecg/formats/ishne/1-300m.ecg").read_bytes()[:60_000], reach=522)
