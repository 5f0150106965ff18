"""Philips XML: truth from an XLI packer made here, from Einthoven's law on real files, and by hand."""
import base64
import struct

import numpy as np
import pytest

from ecg.readers import philips_xml
from ecg.recording import STANDARD_LEADS, SourceFile
from tests.ecg.readers.mutations import outcome, survives

FIFTEEN = STANDARD_LEADS + ("V3R", "V4R", "V7")


def lzw(data: bytes) -> bytes:
    """Ten-bit LZW as in every textbook, codes to 1022, 1023 as the end."""
    table, word, bits = {bytes([i]): i for i in range(256)}, b"", ""
    for value in data:
        longer = word + bytes([value])
        if longer in table:
            word = longer
            continue
        bits += format(table[word], "010b")
        if len(table) <= 1022:
            table[longer] = len(table)
        word = bytes([value])
    bits += format(table[word], "010b") + "1" * 10
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def xli(samples) -> bytes:
    x = [int(v) for v in samples]
    codes = [2 * x[i - 1] - x[i - 2] - x[i] for i in range(2, len(x))]
    words = x[:2] + [code + 64 for code in codes[1:]] + [0]
    packed = lzw(bytes((w >> 8) & 0xFF for w in words) + bytes(w & 0xFF for w in words))
    return struct.pack("<IHh", len(packed), 1, codes[0]) + packed


def stored(leads):
    """What the cart stores: limb leads as deviations from what I and II foretell."""
    one, two, three = leads["I"], leads["II"], leads["III"]
    floor = np.floor_divide
    return leads | {"III": two - one - three, "aVR": -floor(one + two, 2) - leads["aVR"],
                    "aVL": floor(one - three, 2) - leads["aVL"], "aVF": floor(two + three, 2) - leads["aVF"]}


def leads_of(names, samples=600):
    dice = np.random.default_rng(4)
    wave = {n: (400 * np.sin(np.arange(samples) / (11 + i)) + dice.normal(0, 4, samples)).astype(int)
            for i, n in enumerate(names)}
    one, two = wave["I"], wave["II"]
    wave |= {"III": two - one, "aVR": -(one + two) // 2, "aVL": (2 * one - two) // 2, "aVF": (2 * two - one) // 2}
    return wave


def document(data, names, version="1.04", charset="utf-8", traits="", wave=None, head=""):
    wave = wave or (f'compression="XLI" numberofleads="{len(names)}" leadlabels="{" ".join(names)}" '
                    'durationperchannel="1200" samplespersecond="500" resolution="5"')
    text = (f'<?xml version="1.0" encoding="{charset.upper()}"?><restingecgdata '
            f'xmlns="http://www3.medical.philips.com"><documentinfo><documentversion>{version}</documentversion>'
            f'</documentinfo>{head}<dataacquisition date="2024-02-03" time="04:05:06"><machine machineid="SN9" '
            f'detaildescription="Philips:M5000:C.01">PageWriter</machine><signalcharacteristics>{traits}'
            f'</signalcharacteristics></dataacquisition><waveforms><parsedwaveforms dataencoding="Base64" {wave}>'
            f'{base64.encodebytes(data).decode()}</parsedwaveforms></waveforms></restingecgdata>')
    return text.encode(charset)


def read(content):
    return philips_xml.read([SourceFile("x.xml", content)])


@pytest.mark.parametrize("names", [STANDARD_LEADS, FIFTEEN])
@pytest.mark.parametrize("charset", ["utf-8", "utf-16"])
def test_packed_leads_come_back_count_for_count(names, charset):
    leads = leads_of(names)
    recording = read(document(b"".join(xli(stored(leads)[n]) for n in names), names, charset=charset))
    assert recording.leads == names and recording.rate_hz == 500 and recording.lsb_uv == (5.0,) * len(names)
    for name in names:
        assert np.array_equal(recording.lead(name), leads[name] * 5.0), name
    assert recording.start == "2024-02-03T04:05:06" and recording.device.serial == "SN9"
    assert "restored:III,aVR,aVL,aVF" in recording.notes


def test_version_1_03_names_its_leads_by_their_order_and_its_scale_elsewhere():
    leads = leads_of(STANDARD_LEADS)
    traits = ("<samplingrate>500</samplingrate><signalresolution>2.5</signalresolution><numberchannelsallocated>12"
              "</numberchannelsallocated><acquisitiontype>STD-12</acquisitiontype>")
    wave = 'compressflag="True" compressmethod="XLI" durationperchannel="1200" nbitspersample="16"'
    data = b"".join(xli(stored(leads)[n]) for n in STANDARD_LEADS)
    recording = read(document(data, STANDARD_LEADS, "1.03", traits=traits, wave=wave))
    assert recording.leads == STANDARD_LEADS and np.array_equal(recording.lead("V6"), leads["V6"] * 2.5)


@pytest.mark.parametrize("as_deviations", [True, False])
def test_plain_samples_are_read_whether_limb_leads_are_deviations_or_not(as_deviations):
    leads = leads_of(STANDARD_LEADS)
    rows = stored(leads) if as_deviations else leads
    data = b"".join(struct.pack("<h", v) for n in STANDARD_LEADS for v in rows[n])
    wave = ('compression="Uncompressed" numberofleads="12" durationperchannel="1200" samplespersecond="500" '
            f'resolution="5" leadlabels="{" ".join(STANDARD_LEADS)}"')
    recording = read(document(data, STANDARD_LEADS, wave=wave))
    for name in STANDARD_LEADS:
        assert np.array_equal(recording.lead(name), leads[name] * 5.0), name


@pytest.mark.parametrize("path,cut", [("philips_tbj/ecg-example.xml", 200), ("sierra/1_03/129DYPRG.XML", 236)])
def test_real_recordings_obey_einthoven_and_lose_only_their_calibration_pulse(real_data, path, cut):
    recording = read((real_data / "ecg/formats" / path).read_bytes())
    assert recording.leads == STANDARD_LEADS and recording.rate_hz == 500
    assert recording.samples_uv.shape == (12, 5500 - cut) and f"calibration_at_end_removed:{cut}" in recording.notes
    one, two = recording.lead("I"), recording.lead("II")
    assert np.abs(recording.lead("III") - (two - one)).max() <= 10
    assert np.abs(recording.lead("aVR") + (one + two) / 2).max() <= 10
    assert np.abs(recording.lead("aVL") - (one - two / 2)).max() <= 10
    assert np.abs(recording.lead("aVF") - (two - one / 2)).max() <= 10
    assert 300 < np.abs(recording.samples_uv[:6]).max() < 5000
    assert recording.device_measurements["heart_rate_bpm"] == 41


def test_people_and_statements_of_the_real_files_are_taken_as_written(real_data):
    first = read((real_data / "ecg/formats/philips_tbj/ecg-example.xml").read_bytes())
    assert first.patient.patient_id == "9999" and first.patient.sex == "F"
    assert first.patient.birth_date == "1976-01-01" and first.start == "2008-12-23T19:44:46"
    assert first.device_statements == ("SINUS BRADYCARDIA: V-rate<60", "NO PREVIOUS TRACING AVAILABLE FOR COMPARISON")
    second = read((real_data / "ecg/formats/sierra/1_03/129DYPRG.XML").read_bytes())
    assert second.patient.age_years == 50 and second.device.model == "HeartstartMRx"
    assert second.device_statements[0] == "Sinus bradycardia: rate< 50"


def test_a_small_file_cannot_unpack_to_a_large_one():
    data = struct.pack("<IHh", 0, 1, 0)
    packed = lzw(bytes(400_000))
    data = struct.pack("<IHh", len(packed), 1, 0) + packed
    assert outcome(philips_xml, document(data, ("I",))).code == "hostile"
    wave = 'compression="XLI" numberofleads="99" durationperchannel="86400000" samplespersecond="99999" resolution="5"'
    assert outcome(philips_xml, document(data, ("I",), wave=wave)).code == "hostile"


@pytest.mark.parametrize("wave,code", [
    ('compression="XLI" numberofleads="1" durationperchannel="1200" resolution="5"', "no_rate"),
    ('compression="XLI" numberofleads="1" durationperchannel="1200" samplespersecond="500"', "no_scale"),
    ('compression="XLI" numberofleads="2" durationperchannel="1200" samplespersecond="500" resolution="5"', "truncated"),
    ('compression="ZIP" numberofleads="1" durationperchannel="1200" samplespersecond="500" resolution="5"', "unsupported"),
    ('compression="XLI" numberofleads="0" durationperchannel="1200" samplespersecond="500" resolution="5"', "no_leads"),
    ('compression="XLI" numberofleads="1" samplespersecond="500" resolution="5"', "no_samples"),
    ('bitspersample="12" numberofleads="1" durationperchannel="9" samplespersecond="500" resolution="5"', "unsupported"),
])
def test_what_cannot_be_read_is_refused_by_name(wave, code):
    assert outcome(philips_xml, document(xli(range(600)), ("I",), wave=wave)).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    leads = leads_of(STANDARD_LEADS, 100)
    content = document(b"".join(xli(stored(leads)[n]) for n in STANDARD_LEADS), STANDARD_LEADS)
    assert survives(philips_xml, content, flips=300) > 11
    real = (real_data / "ecg/formats/sierra/1_03/129DYPRG.XML").read_bytes()
    assert survives(philips_xml, real, flips=25) > 9
