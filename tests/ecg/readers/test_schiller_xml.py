"""Schiller XML: truth from numbers written here and, on the real file, from Einthoven's law and its heart rate."""
import numpy as np
import pytest

from ecg.readers import schiller_xml
from ecg.recording import STANDARD_LEADS, SourceFile
from tests.ecg.readers.mutations import outcome, survives


def wave(channels, kind="ECG_RHYTHMS", rate="500", per_bit="1.0", units="UV"):
    body = "".join(
        f"<channel><name>{name}</name><data>{data}</data><datastype>COMMASEPARATE</datastype>"
        f"<samplecount>{count}</samplecount></channel>" for name, data, count in channels)
    return (f"<wavedata><type>{kind}</type><resolution><samplerate><exponent>1</exponent><value>{rate}</value>"
            f"</samplerate><yres><unitperbit>{per_bit}</unitperbit><units>{units}</units></yres></resolution>"
            f"{body}</wavedata>")


def document(*waves, tail=""):
    return ("\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?><com.xiriuz.sema.xml.schillerEDI.SchillerEDI><patdata>"
            "<id>77</id><lastname>王</lastname><firstname>五</firstname><birthdate>19500131</birthdate>"
            "<gender>FEMALE</gender></patdata><examdescript><startdatetime><date>20240229</date>"
            f"<time>235958123</time></startdatetime></examdescript><eventdata><event>{''.join(waves)}{tail}</event>"
            "</eventdata></com.xiriuz.sema.xml.schillerEDI.SchillerEDI>").encode()


def read(content):
    return schiller_xml.read([SourceFile("x.xml", content)])


TWO = [("I", "1,-2,300", 3), ("AVR", "4,5,-6,", 3)]


def test_numbers_become_microvolts_under_standard_names():
    recording = read(document(wave([("I", "9", 1)], "ECG_AVERAGES"), wave(TWO, per_bit="2.5", rate="1000")))
    assert recording.leads == ("I", "aVR") and recording.rate_hz == 1000 and recording.lsb_uv == (2.5, 2.5)
    assert recording.samples_uv.tolist() == [[2.5, -5.0, 750.0], [10.0, 12.5, -15.0]]


def test_people_times_and_words_are_taken_as_written():
    tail = ("<annotation_global><name>QT</name><value>458</value></annotation_global><annotation_global><name>QRS</name>"
            "<value> -</value></annotation_global><textdata><type>INTERPRETATION</type><textdata>Sinus rhythm\n\n normal"
            "</textdata></textdata>")
    recording = read(document(wave(TWO), tail=tail))
    assert recording.patient.name == "王 五" and recording.patient.birth_date == "1950-01-31"
    assert recording.patient.sex == "F" and recording.start == "2024-02-29T23:59:58"
    assert recording.device_measurements == {"qt_ms": 458.0}
    assert recording.device_statements == ("Sinus rhythm", "normal")


def test_the_real_file_obeys_einthoven_and_its_own_heart_rate(real_data):
    recording = read((real_data / "ecg/formats/cvrg/schiller.xml").read_bytes())
    assert recording.leads == STANDARD_LEADS and recording.samples_uv.shape == (12, 4998)
    one, two = recording.lead("I"), recording.lead("II")
    assert np.abs(recording.lead("III") - (two - one)).max() <= 5
    assert np.abs(recording.lead("aVF") - (two - one / 2)).max() <= 5
    assert recording.device_measurements["rr_ms"] == 1012
    assert recording.device.model == "AT-110" and recording.start == "2006-05-02T14:06:10"


@pytest.mark.parametrize("content,code", [
    (document(wave(TWO, "ECG_AVERAGES")), "no_samples"), (document(wave([])), "no_leads"),
    (document(wave(TWO, rate="")), "no_rate"), (document(wave(TWO, units="LUX")), "no_scale"),
    (document(wave(TWO, per_bit="0")), "no_scale"), (document(wave([("I", "1,x,3", 3)])), "damaged"),
    (document(wave([("I", "1,nan,3", 3)])), "damaged"), (document(wave([("I", "1,2", 3)])), "truncated"),
    (document(wave([("I", "", 0)])), "no_samples"), (document(wave(TWO + TWO)), "damaged"),
    (document(wave([("I", "0," * 2_100_000, 3)])), "hostile"),
])
def test_what_cannot_be_read_is_refused_by_name(content, code):
    assert outcome(schiller_xml, content).code == code


def test_mutations_are_refused_or_read_and_nothing_else_happens(real_data):
    assert survives(schiller_xml, document(wave(TWO)), flips=300) > 11
    assert survives(schiller_xml, (real_data / "ecg/formats/cvrg/schiller.xml").read_bytes(), flips=15) > 9
