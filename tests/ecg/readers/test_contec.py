"""Contec .ECG: truth from the CSV and EDF twins of the real file and from rows written here."""
import struct

import numpy as np
import pytest

from ecg.readers import contec
from ecg.recording import SourceFile
from tests.ecg.readers.mutations import outcome, survives


def document(rows, time=b"2024-02-29 01:02:03", name=b"", sex=255, age=0):
    header = b"0000042\0" + b"\0\0" + time.ljust(20, b"\0") + b"\0\0" + name.ljust(8, b"\0") + bytes([sex, age, 0])
    return header + b"".join(struct.pack("<8H", *row) for row in rows) + bytes(37)


ROWS = [[2048 + 10, 2048 - 7, 2048, 2047, 0x6800, 4095, 0, 2049]] * 5


def read(content):
    return contec.read([SourceFile("x.ECG", content)])


def test_the_csv_twin_agrees_within_one_count_and_has_the_same_gaps(real_data):
    path = real_data / "ecg/formats/contec/tools/0000050.ECG"
    recording = read(path.read_bytes())
    lines = (path.parent / "0000050.ECG.csv").read_text().splitlines()
    twin = np.array([[float(cell) if cell else np.nan for cell in line.split(",")] for line in lines]).T
    assert recording.samples_uv.shape == twin.shape
    assert np.array_equal(np.isnan(recording.samples_uv), np.isnan(twin))
    counts = recording.samples_uv / 5.0
    assert np.nanmax(np.abs(counts - twin)) <= 0.5        # the twin cuts halves off; we keep them
    assert np.array_equal(counts[:3], twin[:3])


def test_the_edf_twin_agrees_within_one_count_and_in_rate(real_data):
    path = real_data / "ecg/formats/contec/tools/0000050.ECG"
    recording, raw = read(path.read_bytes()), (path.parent / "0000050.ECG.edf").read_bytes()
    records, seconds, signals = int(raw[236:244]), float(raw[244:252]), int(raw[252:256])
    labels = [raw[256 + i * 16:272 + i * 16].decode().strip() for i in range(signals)]
    counts = np.frombuffer(raw, "<i2", records * signals, 256 + signals * 256).reshape(records, signals).T
    assert 1 / seconds == recording.rate_hz and records == recording.samples_uv.shape[1]
    for label, twin in zip(labels[:6], counts):     # one sample a record; the chest leads were off
        assert np.abs(recording.lead(label) / 5.0 - twin).max() <= 0.5, label


def test_rows_worked_by_hand():
    recording = read(document(ROWS, name="赵六".encode("gbk"), sex=1, age=45))
    first = dict(zip(recording.leads, recording.samples_uv[:, 0]))
    assert (first["I"], first["II"], first["III"]) == (85.0, 50.0, -35.0)
    assert (first["aVR"], first["aVL"], first["aVF"]) == (-67.5, 60.0, 7.5)
    assert (first["V1"], first["V2"], first["V4"], first["V5"], first["V6"]) == (0.0, -5.0, 10235.0, -10240.0, 5.0)
    assert np.isnan(first["V3"]) and "lead_off:V3" in recording.notes and "case_number:0000042" in recording.notes
    assert recording.start == "2024-02-29T01:02:03" and recording.patient.name == "赵六"
    assert recording.patient.sex == "M" and recording.patient.age_years == 45 and recording.patient.patient_id == ""


def test_a_row_of_zeros_ends_the_data():
    recording = read(document(ROWS + [[0] * 8] * 3 + ROWS))
    assert recording.samples_uv.shape[1] == 5 and "ends_before_declared:8" in recording.notes


@pytest.mark.parametrize("content,code", [
    (b"", "empty"), (document(ROWS)[:-1], "truncated"), (document([]), "truncated"),
    (document([[0] * 8] * 9), "no_samples"), (document([[50_000] * 8] * 9), "not_recognised"),
    (document(ROWS, time=b"yesterday"), "not_recognised"), (b"GARBAGE" * 100, "not_recognised"),
])
def test_what_cannot_be_read_is_refused_by_name(content, code):
    assert outcome(contec, content).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    assert survives(contec, document(ROWS * 10), flips=300) > 5
    real = (real_data / "ecg/formats/contec/tools/0000050.ECG").read_bytes()
    survives(contec, real, flips=10)
