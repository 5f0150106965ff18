"""Healforce .SCP: truth from samples packed here, four in three words, and from the real recorder's header."""
import struct

import numpy as np
import pytest

from ecg.readers import healforce, scp
from ecg.recording import SourceFile
from tests.ecg.readers import scp_writer
from tests.ecg.readers.mutations import outcome, survives


def pack(counts, marks=()):
    """Counts of -512 to 511, four in three words; ``marks``: positions with the beat bit."""
    out = b""
    for i in range(0, len(counts), 4):
        a, b, c, d = (count + 512 for count in counts[i:i + 4])
        for j, (word, nibble) in enumerate(((a, d >> 8), (b, d >> 4), (c, d))):
            out += struct.pack("<H", word | (nibble & 0xF) << 10 | (0x8000 if i + j in marks else 0))
    return out


def section(number, body):
    return struct.pack("<HHIBB6x", 0, number, 16 + len(body), 13, 13) + body


def document(counts, leads=2, nanovolts=9524, rate=150, difference=0, marks=()):
    packed = pack(counts, marks)
    tags = b"\x02\x06\x00" + b"00012\0" + b"\x19\x04\x00" + b"\x07\xe8\x02\x1d" + b"\x1a\x03\x00" + b"\x0c\x22\x38" + b"\xff\0\0"
    bodies = {1: tags, 3: bytes([leads, 4]) + bytes(10),
              6: struct.pack("<HHBBH", nanovolts, rate, difference, 0, len(packed)) + packed}
    pointers = struct.pack("<HII", 0, 16 + 10 * (1 + len(bodies)), 6)
    at, data = 6 + 16 + 10 * (1 + len(bodies)), b""
    for number, body in bodies.items():
        made = section(number, body)
        pointers += struct.pack("<HII", number, len(made), at)
        at += len(made)
        data += made
    return b"\x30\x9d\0\0\xf0\x72" + section(0, pointers) + data


def read(content):
    return healforce.read([SourceFile("1.SCP", content)])


COUNTS = [0, 1, -1, 511, -512, 100, -100, 7, 250, -250, 13, -13]


def test_four_samples_in_three_words_come_back_lead_by_lead():
    recording = read(document(COUNTS, marks=(0, 4, 5)))
    assert recording.leads == ("unspecified-1", "unspecified-2") and recording.rate_hz == 150
    assert np.allclose(recording.samples_uv / 9.524, [COUNTS[0::2], COUNTS[1::2]], rtol=0, atol=1e-9)


def test_words_of_the_real_recorder_read_as_its_bits_say(real_data):
    content = (real_data / "ecg/formats/healforce/ECG_0/62.SCP").read_bytes()
    recording = read(content)
    assert recording.samples_uv.shape == (3, 4500) and recording.rate_hz == 150 and recording.duration_s == 30
    # first words 0a01 0200 0601: 1, 0, 1 and nibbles 2, 0, 1 -> 0x201 -> 1
    assert (recording.samples_uv.T.ravel()[:4] / 9.524).round(9).tolist() == [1, 0, 1, 1]
    assert recording.start == "2019-08-08T00:04:10" and recording.patient.patient_id == "00000"


def test_date_and_number_are_read_highest_byte_first():
    recording = read(document(COUNTS))
    assert recording.start == "2024-02-29T12:34:56" and recording.patient.patient_id == "00012"


def test_it_and_scp_ecg_never_take_each_others_files(real_data):
    formats = real_data / "ecg/formats"
    ours = (formats / "healforce/ECG_0/62.SCP").read_bytes()
    theirs = (formats / "ecgtoolkit/Example.scp").read_bytes()
    assert healforce.sniff(ours[:4096], "62.SCP") and not scp.sniff(ours[:4096], "62.SCP")
    assert scp.sniff(theirs[:4096], "62.SCP") and not healforce.sniff(theirs[:4096], "62.SCP")
    assert outcome(healforce, theirs).code == outcome(scp, ours).code == "not_recognised"


def test_an_old_scp_record_without_its_signature_is_still_scp():
    body = scp_writer.signal_section(1000, 2000, 0, 0, [struct.pack("<3h", 1, 2, 3)])
    content = scp_writer.record({3: scp_writer.leads_section([(1, 3, 1)], 4), 6: body}).replace(b"SCPECG", bytes(6))
    assert scp.sniff(content[:4096]) and not healforce.sniff(content[:4096])
    assert outcome(scp, content).samples_uv.tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("content,code", [
    (b"", "empty"), (document(COUNTS, leads=0), "no_leads"), (document(COUNTS, nanovolts=0), "no_scale"),
    (document(COUNTS, rate=0), "no_rate"), (document(COUNTS, difference=2), "unsupported"),
    (document([]), "no_samples"), (document(COUNTS)[:-3], "truncated"), (document(COUNTS, leads=200), "no_samples"),
])
def test_what_cannot_be_read_is_refused_by_name(content, code):
    assert outcome(healforce, content).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    assert survives(healforce, document(COUNTS * 8), flips=400) > 11
    assert survives(healforce, (real_data / "ecg/formats/healforce/ECG_0/62.SCP").read_bytes(), reach=520) > 5
