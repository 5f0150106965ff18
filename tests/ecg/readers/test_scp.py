"""SCP-ECG: truth from the twin DICOM file, from a small writer of its own, and from numbers worked by hand."""
import struct

import numpy as np
import pydicom
import pytest

from ecg.errors import UnreadableRecording
from ecg.readers import scp
from ecg.recording import SourceFile
from tests.ecg.readers import scp_writer as w
from tests.ecg.readers.mutations import mutations, outcome, survives


def read(content: bytes):
    return scp.read([SourceFile("x.scp", content)])


def waves(leads=2, samples=200, seed=1):
    dice = np.random.default_rng(seed)
    slow = 300 * np.sin(np.arange(samples) / 9)
    return [(slow * (k + 1) + dice.normal(0, 12, samples)).astype(int) for k in range(leads)]


def simple(signals, order=2, encode=w.default_huffman, tables=struct.pack("<H", 19999), nanovolts=2500,
           extra=None, codes=(1, 2, 3, 4, 5, 6, 7, 8)):
    bodies = {
        1: w.tag(255, b""),
        3: w.leads_section([(1, len(s), c) for s, c in zip(signals, codes)], 0x04 | len(signals) << 3),
        6: w.signal_section(nanovolts, 2000, order, 0, [encode(w.differences(s, order)) for s in signals]),
    }
    if tables:
        bodies[2] = tables
    return w.record(bodies | (extra or {}))


def test_the_example_record_equals_its_dicom_twin_to_the_last_count(real_data):
    folder = real_data / "ecg" / "formats" / "ecgtoolkit"
    recording = read((folder / "Example.scp").read_bytes())
    waveform = pydicom.dcmread(folder / "Example.dcm").WaveformSequence[0]
    counts = np.frombuffer(waveform.WaveformData, "<i2").reshape(-1, 12).T
    assert recording.rate_hz == float(waveform.SamplingFrequency)
    for row, channel in zip(counts, waveform.ChannelDefinitionSequence):
        name = channel.ChannelSourceSequence[0].CodeMeaning.removeprefix("Lead ")
        assert np.array_equal(recording.lead(name), row * float(channel.ChannelSensitivity))
    assert recording.start == "2002-11-22T09:10:00"
    assert recording.patient.patient_id == "SBJ-123" and recording.patient.sex == "M"
    assert recording.patient.birth_date == "1953-05-08"
    assert recording.device.model == "ELI250"
    assert recording.device_measurements["qrs_ms"] == 120.0
    assert "crc:ok" in recording.notes


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("encode,tables", [
    (w.default_huffman, struct.pack("<H", 19999)), (w.plain, None), (w.plain, struct.pack("<H", 0)),
])
def test_every_plain_encoding_gives_the_counts_back(order, encode, tables):
    signals = waves()
    recording = read(simple(signals, order, encode, tables))
    assert np.array_equal(recording.samples_uv[0], signals[0] * 2.5)
    assert np.array_equal(recording.lead("II"), signals[1] * 2.5)
    assert recording.rate_hz == 500 and recording.lsb_uv[0] == 2.5


@pytest.mark.parametrize("order", [0, 1, 2])
def test_jumps_from_end_to_end_of_sixteen_bits_come_back(order):
    signal = np.array([32767, -32768, 32767, 0, -32768, -32768, 32767, 1, -1])
    recording = read(simple([signal], order, nanovolts=1000))
    assert recording.samples_uv[0].tolist() == signal.tolist()


def test_bits_worked_by_hand_mean_what_annex_c_says():
    # 0 | 1 | -2 | 100 in eight bits | -300 in sixteen bits
    bits = "0" "100" "1101" "1111111110" "01100100" "1111111111" "1111111011010100"
    body = w.signal_section(1000, 1000, 0, 0, [w.pack(bits)])
    recording = read(w.record({2: struct.pack("<H", 19999), 3: w.leads_section([(1, 5, 1)], 4), 6: body}))
    assert recording.samples_uv.tolist() == [[0.0, 1.0, -2.0, 100.0, -300.0]]


def code_line(bits: str, extra: int, value: int, mode: int = 1) -> bytes:
    return struct.pack("<BBBhI", len(bits), len(bits) + extra, mode, value, int(bits[::-1], 2))


def test_tables_of_the_maker_and_switches_between_them_are_followed():
    first = [code_line("0", 0, 7), code_line("10", 0, 2, mode=0), code_line("110", 4, 100)]
    second = [code_line("1", 0, -9), code_line("01", 0, 1, mode=0)]
    tables = struct.pack("<HH", 2, 3) + b"".join(first) + struct.pack("<H", 2) + b"".join(second)
    # 7, (to 2) -9, -9, (to 1) 7, 100 - 3, 100 + 5
    bits = "0" "10" "1" "1" "01" "0" "110" "1101" "110" "0101"
    body = w.signal_section(1000, 2000, 0, 0, [w.pack(bits)])
    recording = read(w.record({2: tables, 3: w.leads_section([(1, 6, 1)], 4), 6: body}))
    assert recording.samples_uv.tolist() == [[7.0, -9.0, -9.0, 7.0, 97.0, 105.0]]


def test_a_switch_to_a_table_that_is_not_there_is_refused():
    tables = struct.pack("<HH", 1, 2) + code_line("0", 0, 9, mode=0) + code_line("1", 0, 0)
    body = w.signal_section(1000, 2000, 0, 0, [b"\0\0\0\0\0\0\0\0\0"])
    refusal = outcome(scp, w.record({2: tables, 3: w.leads_section([(1, 6, 1)], 4), 6: body}))
    assert refusal.code == "damaged"


def with_reference_beats(order5=1, order6=2, nanovolts5=5000, nanovolts6=2500):
    """A rhythm built as residual + beat; beats at 60 and 140, one of another type at 180 left alone."""
    beat = np.round(200 * np.exp(-((np.arange(40) - 15) / 5.0) ** 2)).astype(int)
    residuals = waves(2, 240, seed=3)
    beats = [(0, 46, 60, 84), (0, 126, 140, 160), (1, 170, 180, 190)]
    expected = []
    for residual in residuals:
        signal = residual * (nanovolts6 / 1000)
        for kind, start, fiducial, end in beats:
            if kind == 0:
                for sample in range(start, end + 1):
                    signal[sample - 1] += beat[16 - 1 + sample - fiducial] * (nanovolts5 / 1000)
        expected.append(signal)
    content = w.record({
        2: struct.pack("<H", 19999),
        3: w.leads_section([(1, 240, 1), (1, 240, 2)], 0x01 | 0x04 | 2 << 3),
        4: w.beats_section(80, 16, beats, [(0, 0)] * 3),
        5: w.signal_section(nanovolts5, 2000, order5, 0,
                            [w.default_huffman(w.differences(beat, order5))] * 2),
        6: w.signal_section(nanovolts6, 2000, order6, 0,
                            [w.default_huffman(w.differences(r, order6)) for r in residuals]),
    })
    return content, expected


@pytest.mark.parametrize("nanovolts", [(5000, 2500), (2500, 2500), (1000, 3000), (4880, 1220)])
def test_subtracted_reference_beats_are_put_back_exactly(nanovolts):
    content, expected = with_reference_beats(nanovolts5=nanovolts[0], nanovolts6=nanovolts[1])
    recording = read(content)
    assert np.allclose(recording.samples_uv[:2], expected, atol=1e-9)
    assert "reference_beats_added" in recording.notes


def shrink(signal, protected, factor=4):
    """Bimodal compression as annex C describes it, one sample at a time. ``protected``: 1-based, both ends."""
    stored, at = [], 1
    inside = lambda n: any(a <= n <= b for a, b in protected)
    while at <= len(signal):
        run = 0
        while run < factor and at + run <= len(signal) and not inside(at + run):
            run += 1
        if run == factor:
            stored.append(int(np.round(sum(signal[at - 1:at - 1 + factor]) / factor)))
            at += factor
        else:
            stored.append(int(signal[at - 1]))
            at += 1
    return stored


def bimodal(signals, protected, beats, order=2):
    n = len(signals[0])
    return w.record({
        2: struct.pack("<H", 19999),
        3: w.leads_section([(1, n, code) for code in (1, 2)[:len(signals)]], 0x04),
        4: w.beats_section(40, 6, beats, protected),
        5: w.signal_section(2500, 2000, 0, 0, [w.default_huffman([0] * 20)] * len(signals)),
        6: w.signal_section(2500, 8000, order, 1,
                            [w.default_huffman(w.differences(shrink(s, protected), order)) for s in signals]),
    })


def test_bimodal_expansion_worked_by_hand():
    # one open span of eight samples whose means are 10 and 30, then a protected one, then a rest of two
    stored = [10, 30, 500, 400, 300, 7, 9]
    body = w.signal_section(1000, 8000, 0, 1, [w.default_huffman(stored)])
    content = w.record({
        2: struct.pack("<H", 19999), 3: w.leads_section([(1, 13, 1)], 4),
        4: w.beats_section(40, 6, [(1, 0, 10, 0)], [(9, 11)]),
        5: w.signal_section(1000, 2000, 0, 0, [w.default_huffman([0] * 20)]), 6: body,
    })
    # lines: 10 10 | 10 15 20 25 | 30 30; then means of three outside the protected zone, ends kept
    smoothed = [10, 10, 12, 15, 20, 25, 28, (30 + 30 + 500 + 1) // 3]
    assert read(content).samples_uv.tolist() == [smoothed + [500, 400, 300] + [(300 + 7 + 9 + 1) // 3, 9]]


def test_bimodal_keeps_protected_zones_exactly_and_slow_waves_closely():
    samples = np.arange(400)
    slow = np.round(200 * np.sin(samples / 40)).astype(int)
    sharp = slow.copy()
    protected = [(101, 120), (251, 270)]
    for start, end in protected:
        sharp[start - 1:end] += np.round(800 * np.hanning(end - start + 1)).astype(int)
    recording = read(bimodal([sharp, slow], protected, [(1, 0, 110, 0), (1, 0, 260, 0)]))
    assert recording.rate_hz == 500 and recording.samples_uv.shape[1] == 400
    for start, end in protected:
        assert np.array_equal(recording.lead("I")[start - 1:end], sharp[start - 1:end] * 2.5)
    assert np.abs(recording.lead("II") - slow * 2.5).max() < 30      # 12 counts of a 500 uV wave
    assert "bimodal_expanded:4" in recording.notes


def test_bimodal_with_a_subtracted_beat_smooths_up_to_its_edges_but_not_across():
    stored = [8, 40, 16] + [100, -50] + [20, 60]              # spans 1-12 and 15-22, protected 13-14
    beat = [1000 * i for i in range(1, 11)]
    content = w.record({
        2: struct.pack("<H", 19999), 3: w.leads_section([(1, 22, 1)], 0x05),
        4: w.beats_section(20, 6, [(0, 8, 13, 16)], [(13, 14)]),
        5: w.signal_section(1000, 2000, 0, 0, [w.default_huffman(beat)]),
        6: w.signal_section(1000, 8000, 0, 1, [w.default_huffman(stored)]),
    })
    #           1  2  3   4   5   6   7   8   9  10  11  12   13   14  15  16  17  18  19  20  21  22
    straight = [8, 8, 8, 16, 24, 32, 40, 34, 28, 22, 16, 16, 100, -50, 20, 20, 20, 30, 40, 50, 60, 60]
    expected = list(straight)
    kept = {1, 7, 8, 13, 14, 16, 17, 22}                      # ends, the beat's edges 8 and 16, protected
    for n in set(range(1, 23)) - kept:
        total = straight[n - 2] + straight[n - 1] + straight[n]
        expected[n - 1] = int(np.floor(total / 3 + 0.5))
    for n in range(8, 17):
        expected[n - 1] += beat[n - 8]
    assert read(content).samples_uv.tolist() == [expected]


def test_leads_that_follow_one_another_keep_their_place_in_time():
    one, two = waves(2, 100)
    body = w.signal_section(1000, 2000, 0, 0, [w.plain(one), w.plain(two)])
    recording = read(w.record({3: w.leads_section([(1, 100, 1), (101, 200, 3)], 0), 6: body}))
    assert np.array_equal(recording.lead("I")[:100], one) and np.isnan(recording.lead("I")[100:]).all()
    assert np.array_equal(recording.lead("V1")[100:], two) and np.isnan(recording.lead("V1")[:100]).all()
    assert "leads_not_simultaneous" in recording.notes


def test_eight_stored_leads_give_twelve_and_say_so():
    signals = waves(8)
    recording = read(simple(signals))
    one, two = signals[0] * 2.5, signals[1] * 2.5
    assert recording.leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert np.array_equal(recording.lead("III"), two - one)
    assert np.array_equal(recording.lead("aVR"), -(one + two) / 2)
    assert np.array_equal(recording.lead("V6"), signals[7] * 2.5)
    assert "derived:III,aVR,aVL,aVF" in recording.notes


def test_patient_time_filters_and_statements_are_taken_as_written():
    machine = bytearray(36)
    machine[7], machine[8:14], machine[35] = 255, b"ECG-12", 4
    machine += b"1.0\0SN42\0SW7\0SCPx\0Maker\0"
    header = (
        w.text_tag(0, "王", "gb2312") + w.text_tag(1, "小明", "gb2312") + w.text_tag(2, "P001")
        + w.tag(4, struct.pack("<HB", 18, 2)) + w.tag(5, struct.pack("<HBB", 2024, 2, 29)) + w.tag(8, b"\2")
        + w.tag(14, bytes(machine)) + w.tag(25, struct.pack("<HBB", 2025, 12, 31)) + w.tag(26, bytes([23, 59, 58]))
        + w.tag(27, struct.pack("<H", 5)) + w.tag(28, struct.pack("<H", 150)) + w.tag(29, b"\2") + w.tag(255, b"")
    )
    beat = struct.pack("<HHHHHhhh", 100, 210, 260, 350, 640, 40, -30, 999)
    measured = (struct.pack("<BBHH", 1, 0, 800, 29999) + beat + struct.pack("<H", 2) + b"\0\0"
                + struct.pack("<HHHBH", 75, 0, 425, 1, 0))
    lines = ["窦性心律".encode("gb2312") + b"\0", b"Normal ECG\0"]
    stated = struct.pack("<BHBBBBBB", 1, 2025, 12, 31, 8, 0, 0, 2) + b"".join(
        struct.pack("<BH", i + 1, len(t)) + t for i, t in enumerate(lines))
    lead = struct.pack("<HH", 3, 22) + struct.pack("<11h", *([29999] * 10), 1200)
    recording = read(simple(waves(), extra={1: header, 7: measured, 8: stated,
                                            10: struct.pack("<HH", 1, 0) + lead}))
    assert recording.patient.name == "王 小明" and recording.patient.sex == "F"
    assert recording.patient.birth_date == "2024-02-29" and recording.patient.age_years == 1.5
    assert recording.start == "2025-12-31T23:59:58"
    assert (recording.device.manufacturer, recording.device.model, recording.device.serial,
            recording.device.software) == ("Maker", "ECG-12", "SN42", "SW7")
    assert recording.filters_as_written == "high-pass 0.05 Hz; low-pass 150 Hz; notch 50 Hz"
    assert recording.device_statements == ("窦性心律", "Normal ECG")
    assert recording.device_measurements == {
        "rr_ms": 800, "p_ms": 110, "pr_ms": 160, "qrs_ms": 90,
        "qt_ms": 380, "p_axis_deg": 40, "qrs_axis_deg": -30, "heart_rate_bpm": 75,
        "qtc_ms": 425, "qtc_formula": "Bazett", "V1.r_amplitude_uv": 1200}
    assert "text_charset_assumed:gb2312" in recording.notes


def test_a_recorder_that_stores_converter_words_is_read_about_their_zero():
    # as the PC-80B is described: one table of one empty code, lead code 101, 806 nV about 2048, beats in bit 15
    words = [2048, 2148, 1948, 0x8000 | 3000]
    body = w.signal_section(806, 6666, 0, 0, [struct.pack("<4H", *words)])
    recording = read(w.record({2: struct.pack("<HH", 1, 1) + bytes(9), 3: w.leads_section([(1, 4, 101)], 0), 6: body}))
    assert np.allclose(recording.samples_uv, [[0.0, 80.6, -80.6, 952 * 0.806]], rtol=0, atol=1e-9)
    assert recording.leads == ("lead101",) and round(recording.rate_hz, 2) == 150.02


def test_a_silent_record_names_no_patient_and_no_time():
    nothing = w.tag(4, struct.pack("<HB", 44, 0)) + w.tag(5, struct.pack("<HBB", 0, 0, 0)) + w.tag(8, b"\0")
    recording = read(simple(waves(), extra={1: nothing}))
    assert recording.patient.birth_date == "" and recording.patient.name == recording.patient.sex == recording.start == ""
    assert recording.patient.age_years is None and recording.device_measurements == {}


def test_a_changed_byte_is_noted_by_section():
    content = bytearray(simple(waves(), encode=w.plain, tables=None))
    content[-3] ^= 0x10
    notes = read(bytes(content)).notes
    assert "crc:mismatch:record" in notes and "crc:mismatch:section6" in notes and "crc:ok" not in notes


def test_a_huge_declared_length_is_refused_before_memory_is_taken():
    body = w.signal_section(1000, 2000, 0, 0, [b"\0" * 100])
    assert outcome(scp, w.record({3: w.leads_section([(1, 0xFFFFFFF0, 1)], 4), 6: body})).code == "hostile"
    far = w.leads_section([(1, 10, 1), (4_000_000_000, 4_000_000_009, 2)], 0)
    body = w.signal_section(1000, 2000, 0, 0, [b"\0" * 20] * 2)
    assert outcome(scp, w.record({3: far, 6: body})).code == "hostile"


@pytest.mark.parametrize("changed,code", [
    ({6: w.signal_section(0, 2000, 0, 0, [b"\0" * 400] * 2)}, "no_scale"),
    ({6: w.signal_section(1000, 0, 0, 0, [b"\0" * 400] * 2)}, "no_rate"),
    ({6: w.signal_section(1000, 2000, 3, 0, [b"\0" * 400] * 2)}, "unsupported"),
    ({6: w.signal_section(1000, 2000, 0, 0, [b"\0"] * 2)}, "truncated"),
    ({3: struct.pack("<BB", 0, 4)}, "no_leads"),
    ({3: w.leads_section([(1, 200, 1), (9, 3, 2)], 4)}, "damaged"),
    ({3: w.leads_section([(1, 200, 1), (1, 200, 2)], 5)}, "damaged"),
])
def test_a_record_that_cannot_mean_anything_is_refused_by_name(changed, code):
    assert outcome(scp, simple(waves(), tables=None, encode=w.plain, extra=changed)).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    content, _ = with_reference_beats()
    zones = bimodal(waves(2, 400), [(101, 120)], [(1, 0, 110, 0)])
    assert survives(scp, content, flips=150) >= 11
    assert survives(scp, zones, flips=150) >= 11
    example = (real_data / "ecg" / "formats" / "ecgtoolkit" / "Example.scp").read_bytes()
    assert survives(scp, example, flips=30, reach=520) >= 11
    for cut in list(mutations(example))[:11]:
        with pytest.raises(UnreadableRecording):
            read(cut)


def test_sniffing_knows_the_record_by_content_and_leaves_others(real_data):
    formats = real_data / "ecg" / "formats"
    assert scp.sniff((formats / "ecgtoolkit" / "Example.scp").read_bytes()[:4096], "anything.bin")
    for other in ("healforce/ECG_0/62.SCP", "contec/tools/0000050.ECG", "ishne/1-300m.ecg", "mfer/test-file.MWF",
                  "ecgtoolkit/Example.xml", "ecgtoolkit/Example.dcm", "edf/test_generator.edf"):
        assert not scp.sniff((formats / other).read_bytes()[:4096], "x.scp")
