"""The Native DICOM Model: written as PS3.19 A.1 says, read back whole, read as DCMTK writes it, and shut to whatever harms."""
import io
import math
import re
import subprocess
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_files

from dicom_gateway.dataset import read_header
from dicom_gateway.web import native_xml
from dicom_gateway.web.attributes import to_json
from dicom_gateway.web.native_xml import from_xml, to_xml
from hub.errors import Invalid
from tests.dicom_gateway.prepare.images import bundled, bundled_path
from tests.dicom_gateway.test_corrected import faults
from tests.dicom_gateway.web.objects import file_of
from tests.dicom_gateway.web.test_retrieve import parts_of
from tests.dicom_gateway.web.test_store import kept

NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
DCM2XML = Path("/usr/bin/dcm2xml")
XML = 'multipart/related; type="application/dicom+xml"'

EXAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">
  <DicomAttribute tag="00080005" vr="CS" keyword="SpecificCharacterSet"><Value number="1">ISO_IR 192</Value></DicomAttribute>
  <DicomAttribute tag="00080008" vr="CS" keyword="ImageType"><Value number="1">ORIGINAL</Value><Value number="3">AXIAL</Value></DicomAttribute>
  <DicomAttribute tag="00080050" vr="SH" keyword="AccessionNumber"/>
  <DicomAttribute tag="00081140" vr="SQ" keyword="ReferencedImageSequence">
    <Item number="1"><DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID"><Value number="1">1.2.3</Value></DicomAttribute></Item>
    <Item number="2"/>
  </DicomAttribute>
  <DicomAttribute tag="00091002" vr="UN" privateCreator="ACME 1.1"><InlineBinary>z0x9c8v7</InlineBinary></DicomAttribute>
  <DicomAttribute tag="00090003" vr="LO" privateCreator="OTHER"><Value number="1">a &lt;private&gt; text</Value></DicomAttribute>
  <DicomAttribute tag="00100010" vr="PN" keyword="PatientName">
    <PersonName number="1">
      <Alphabetic><FamilyName>Wang</FamilyName><GivenName>XiaoDong</GivenName></Alphabetic>
      <Ideographic><FamilyName>王</FamilyName><GivenName>小东</GivenName><NameSuffix>博士</NameSuffix></Ideographic>
    </PersonName>
  </DicomAttribute>
  <DicomAttribute tag="00101020" vr="DS" keyword="PatientSize"><Value number="1">1.70</Value></DicomAttribute>
  <DicomAttribute tag="00200032" vr="DS" keyword="ImagePositionPatient"><Value number="1">0</Value><Value number="2">-1.5</Value><Value number="3">1e2</Value></DicomAttribute>
  <DicomAttribute tag="00204000" vr="LT" keyword="ImageComments"><Value number="1"> two
lines </Value></DicomAttribute>
  <DicomAttribute tag="00280010" vr="US" keyword="Rows"><Value number="1">512</Value></DicomAttribute>
  <DicomAttribute tag="00189087" vr="FD" keyword="DiffusionBValue"><Value number="1">0.5</Value></DicomAttribute>
  <DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData"><BulkData uri="bulk/1"/></DicomAttribute>
</NativeDicomModel>"""

TOLD = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}, "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}, "00080050": {"vr": "SH"},
    "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}, {}]},
    "00090010": {"vr": "LO", "Value": ["ACME 1.1"]}, "00090011": {"vr": "LO", "Value": ["OTHER"]}, "00091002": {"vr": "UN", "InlineBinary": "z0x9c8v7"},
    "00091103": {"vr": "LO", "Value": ["a <private> text"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东^^^博士"}]}, "00101020": {"vr": "DS", "Value": ["1.70"]},
    "00189087": {"vr": "FD", "Value": [0.5]}, "00200032": {"vr": "DS", "Value": ["0", "-1.5", "1e2"]}, "00204000": {"vr": "LT", "Value": [" two\nlines "]},
    "00280010": {"vr": "US", "Value": [512]}, "7FE00010": {"vr": "OW", "BulkDataURI": "bulk/1"},
}


def plain(told: dict) -> dict:
    """An object in which numbers of text are numbers, and group lengths, meta and bulk data are left out."""
    def value(one, vr):
        if vr == "SQ":
            return plain(one or {})
        return float(one) if vr in ("DS", "IS", "FL", "FD") and one is not None else {k: v.rstrip("^") for k, v in (one or {}).items() if v} or None if vr == "PN" else one
    return {tag: (element["vr"], [value(one, element["vr"]) for one in element.get("Value", [])]) for tag, element in told.items()
            if not {"BulkDataURI", "InlineBinary"} & element.keys() and element["vr"] not in ("OB", "OW", "UN", "OF") and tag[:4] != "0002" and tag[4:] != "0000"}


def test_the_model_is_read_as_the_standard_writes_it():
    assert from_xml(EXAMPLE.encode()) == TOLD


def test_what_is_written_is_read_back_and_stands_in_the_namespace():
    content = to_xml(TOLD)
    assert from_xml(content) == TOLD
    root = ElementTree.fromstring(content)
    assert root.tag == f"{NAMESPACE}NativeDicomModel"
    private = root.findall(f"{NAMESPACE}DicomAttribute[@privateCreator]")
    assert [(one.get("tag"), one.get("privateCreator")) for one in private] == [("00090002", "ACME 1.1"), ("00090003", "OTHER")]
    assert root.find(f"{NAMESPACE}DicomAttribute[@tag='00280010']").get("keyword") == "Rows"


@pytest.mark.parametrize("text", ["a & b < c > d \" '", "]]>", "\rone\r\ntwo\tthree\n", "𠮷野家", " leading and trailing "])
def test_a_text_comes_back_letter_for_letter(text):
    told = {"00204000": {"vr": "LT", "Value": [text]}}
    assert from_xml(to_xml(told)) == told


def test_letters_that_xml_cannot_hold_are_left_out_and_break_nothing():
    told = {"00204000": {"vr": "LT", "Value": ["a\0b\x1bc\ufffed\ud800e"]}, "00090010": {"vr": "LO", "Value": ["X\x01"]}, "00091001": {"vr": "LO", "Value": ["v"]}}
    back = from_xml(to_xml(told))
    assert back["00204000"]["Value"] == ["abcd\ufffde"] and back["00090010"]["Value"] == ["X"] and back["00091001"]["Value"] == ["v"]


BUNDLED = sorted(path for path in get_testdata_files("*.dcm") if Path(path).stat().st_size < 300_000 and "DICOMDIR" not in path)


def test_every_bundled_file_comes_back_from_xml_as_it_went():
    done = 0
    for path in BUNDLED:
        try:
            told = to_json(read_header(Path(path)), "x")
        except Invalid:
            continue
        assert plain(from_xml(to_xml(told))) == plain(told), path
        done += 1
    assert done > 60


@pytest.mark.peers
@pytest.mark.skipif(not DCM2XML.exists(), reason="DCMTK is not installed")
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm", "SC_rgb_rle.dcm", "liver_1frame.dcm"])
def test_what_dcmtk_writes_is_read_as_the_file_says(name):
    path = bundled_path(name)
    content = subprocess.run([DCM2XML, "-nat", "+Xn", path], capture_output=True, check=True).stdout
    theirs, ours = plain(from_xml(content)), plain(from_xml(to_xml(to_json(read_header(Path(path)), "x"))))
    alike = [tag for tag in theirs if tag in ours and theirs[tag][0] == ours[tag][0]]
    for tag in alike:
        assert _close(theirs[tag][1], ours[tag][1]) or tag == "00080005", (tag, theirs[tag], ours[tag])
    assert len(alike) > 0.9 * len(ours)


def _close(one, other) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_close(a, b) for a, b in zip(one, other))
    if isinstance(one, tuple):
        return one[0] == other[0] and _close(one[1], other[1])
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_close(one[key], other[key]) for key in one.keys() & other.keys())
    return one == other or isinstance(one, str) and isinstance(other, str) and one.strip() == other.strip()


LAUGHS = "<!DOCTYPE a [<!ENTITY l 'ha'>" + "".join(f"<!ENTITY l{n} '{f'&l{n - 1 or str()};' * 10}'>" for n in range(1, 9)) + "]>"


@pytest.mark.parametrize("content", [
    "", "junk", "<a/>", EXAMPLE[:-30], EXAMPLE.replace("NativeDicomModel", "Dataset"), EXAMPLE.replace("?>", "?>" + LAUGHS, 1).replace("AXIAL", "&l8;"),
    EXAMPLE.replace("?>", '?><!DOCTYPE a SYSTEM "file:///etc/passwd">', 1), EXAMPLE.replace("?>", '?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', 1).replace("AXIAL", "&x;"),
    EXAMPLE.replace("UTF-8", "GB18030"), EXAMPLE.replace("00280010", "0028001"), EXAMPLE.replace("00280010", "٠٠280010"), EXAMPLE.replace('vr="US"', 'vr="U"'),
    EXAMPLE.replace("00280010", "00080050"), EXAMPLE.replace(">512<", ">many<"), EXAMPLE.replace('<Value number="3">AXIAL', '<Value number="1">AXIAL'),
    EXAMPLE.replace('<Value number="3">AXIAL', '<Value number="900000">AXIAL'), EXAMPLE.replace('<Value number="3">AXIAL', '<Value number="0">AXIAL'),
    EXAMPLE.replace('<Value number="3">AXIAL', f'<Value number="{"9" * 5000}">AXIAL'), EXAMPLE.replace('<Value number="1">1.70</Value>', "<Wert>1.70</Wert>"),
    EXAMPLE.replace("<PersonName number", "<Item number").replace("</PersonName>", "</Item>"),
    f'<NativeDicomModel>{"<DicomAttribute tag=&quot;00081140&quot; vr=&quot;SQ&quot;><Item number=&quot;1&quot;>".replace("&quot;", chr(34)) * 5000}',
    "<NativeDicomModel>" + '<DicomAttribute tag="00091002" vr="LO" privateCreator="A"/>' * 2 + "</NativeDicomModel>",
    "<NativeDicomModel>" + "".join(f'<DicomAttribute tag="00090002" vr="LO" privateCreator="A{n}"/>' for n in range(300)) + "</NativeDicomModel>",
], ids=range(23))
def test_what_is_no_model_or_would_do_harm_is_refused_with_words(content):
    with pytest.raises(Invalid) as told:
        from_xml(content.encode())
    assert told.value.code == "bad_metadata" and "Native DICOM Model" in told.value.zh


def test_more_elements_than_are_read_are_refused_while_they_come(monkeypatch):
    monkeypatch.setattr(native_xml, "MOST_NODES", 100)
    with pytest.raises(Invalid):
        from_xml(b"<NativeDicomModel>" + b"".join(b'<DicomAttribute tag="%08X" vr="SH"/>' % tag for tag in range(0x00081000, 0x00081000 + 101)) + b"</NativeDicomModel>")


def test_a_document_with_any_bytes_changed_is_read_or_refused_and_nothing_else():
    random, whole = Random(19), EXAMPLE.encode()
    pieces = re.findall(rb"<[^>]+>|[^<]+", whole)
    read = 0
    for _ in range(4000):
        content = bytearray(whole)
        kind = random.randrange(4)
        if kind == 0:
            for _ in range(random.randrange(1, 4)):
                content[random.randrange(len(content))] = random.randrange(256)
        elif kind == 1:
            at = random.randrange(len(content))
            del content[at:at + random.randrange(1, 60)]
        else:
            mixed = list(pieces)
            for _ in range(random.randrange(1, 3)):
                a, b = random.randrange(len(mixed)), random.randrange(len(mixed))
                mixed[a], mixed[b] = mixed[b], mixed[a] if kind == 2 else mixed[b]
            content = b"".join(mixed)
        try:
            told = from_xml(bytes(content))
        except Invalid:
            continue
        assert isinstance(told, dict) and from_xml(to_xml(told)) is not None
        read += 1
    assert 200 < read < 3900


def post(house, *parts: tuple[str, str, bytes], accept: str = "*/*", path: str = "/studies"):
    body = b"".join(f"--XyZ\r\nContent-Type: {kind}\r\n{f'Content-Location: {at}' if at else 'X: y'}\r\n\r\n".encode() + content + b"\r\n" for kind, at, content in parts)
    return house.app.test_client().post(f"/dicomweb{path}", data=body + b"--XyZ--\r\n", headers={
        "Content-Type": f"{XML}; boundary=XyZ", "Authorization": f"Bearer {house.token}", "Accept": accept})


def described(sop: str = "1.2.10.1.1", uri: str = "bulk/1") -> tuple[str, str, bytes]:
    told = dcmread(io.BytesIO(file_of("1.2.10", "1.2.10.1", sop))).to_json_dict()
    told["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": "WANG^FANG", "Ideographic": "王^芳"}]}
    told |= {"00091001": {"vr": "LO", "Value": ["own"]}, "00090010": {"vr": "LO", "Value": ["ACME"]}}
    return "application/dicom+xml", "", to_xml(told | {"7FE00010": {"vr": "OW", "BulkDataURI": uri}})


def test_an_instance_told_in_xml_with_its_pixels_becomes_the_file(house):
    pixels = bytes(range(100, 132))
    reply = post(house, described(), ("application/octet-stream", "bulk/1", pixels))
    assert reply.status_code == 200 and reply.json["00081199"]["Value"][0]["00081155"]["Value"] == ["1.2.10.1.1"]
    stored = dcmread(io.BytesIO(kept(house)["1.2.10.1.1"]))
    assert stored.PixelData == pixels and stored.Rows == 4 and str(stored.PatientName) == "WANG^FANG=王^芳"
    assert stored.private_block(0x0009, "ACME")[0x01].value == "own" and stored.file_meta.MediaStorageSOPInstanceUID == "1.2.10.1.1"


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm"])
def test_a_file_that_is_taken_apart_as_xml_and_bulk_data_comes_together_again(house, name, tmp_path):
    sent, bulk = bundled(name), {}
    sent.decode()

    def keep(element) -> str:
        bulk[f"b{len(bulk)}"] = element.value
        return f"b{len(bulk) - 1}"
    told = sent.to_json_dict(bulk_data_threshold=256, bulk_data_element_handler=keep)
    reply = post(house, ("application/dicom+xml", "", to_xml(told)), *(("application/octet-stream", at, value) for at, value in bulk.items()))
    assert reply.status_code == 200, reply.json
    stored = dcmread(io.BytesIO(kept(house, sent.StudyInstanceUID)[sent.SOPInstanceUID]))
    for element in sent:
        if element.tag != 0x00080005:
            assert stored[element.tag] == element, element
    (tmp_path / "built.dcm").write_bytes(kept(house, sent.StudyInstanceUID)[sent.SOPInstanceUID])
    assert faults(tmp_path / "built.dcm") <= faults(Path(bundled_path(name)))


def test_each_instance_told_in_xml_is_answered_by_itself(house):
    broken = described("1.2.10.1.3")[2][:-20]
    reply = post(house, described(), described("1.2.10.1.2", "bulk/2"), ("application/dicom+xml", "", broken), ("application/dicom+xml", "", LAUGHS.encode()),
                 ("application/octet-stream", "bulk/1", bytes(32)))
    assert reply.status_code == 202 and set(kept(house)) == {"1.2.10.1.1"}
    assert [item["00081155"].get("Value") for item in reply.json["00081198"]["Value"]] == [["1.2.10.1.2"], None, None]


def test_the_answer_is_xml_where_that_is_asked_for(house):
    reply = post(house, described(), ("application/octet-stream", "bulk/1", bytes(32)), accept="application/dicom+xml, application/dicom+json;q=0.5", path="/studies/1.2.10")
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "application/dicom+xml"
    told = from_xml(reply.data)
    assert told["00081199"]["Value"][0]["00081155"]["Value"] == ["1.2.10.1.1"] and told["00081190"]["Value"] == ["http://localhost/dicomweb/studies/1.2.10"]


def test_metadata_in_xml_says_what_the_json_says(house):
    for number in (1, 2):
        house.send(file_of("1.2.10", "1.2.10.1", f"1.2.10.1.{number}", name="李四".encode("gb18030")))
    for path in ("/studies/1.2.10/metadata", "/studies/1.2.10/series/1.2.10.1/metadata", "/studies/1.2.10/series/1.2.10.1/instances/1.2.10.1.2/metadata"):
        in_json, in_xml = house.get(path), house.get(path, Accept=XML)
        assert in_xml.status_code == 200 and in_xml.headers["Content-Type"].startswith(XML)
        parts = parts_of(in_xml)
        assert [kind for kind, _ in parts] == ["application/dicom+xml"] * len(in_json.json)
        told = [from_xml(content) for _, content in parts]
        assert [plain(one) for one in told] == [plain(one) for one in in_json.json]
        assert [one["7FE00010"] for one in told] == [one["7FE00010"] for one in in_json.json] and told[0]["00100010"]["Value"] == [{"Alphabetic": "李四"}]
    again = house.get(path, Accept=XML, If_None_Match=in_xml.headers["ETag"])
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/studies", "/series", "/instances", "/studies/1.2.10/series", "/studies/1.2.10/instances?includefield=all"])
def test_search_results_in_xml_say_what_the_json_says(house, path):
    for number in (1, 2):
        house.send(file_of("1.2.10", "1.2.10.1", f"1.2.10.1.{number}"))
    in_json, in_xml = house.get(path), house.get(path, Accept=XML)
    told = [from_xml(content) for _, content in parts_of(in_xml)]
    assert [plain(one) for one in told] == [plain(one) for one in in_json.json] and len(told) >= 1


def test_a_search_in_xml_that_finds_nothing_or_ignores_something_says_so(house):
    assert house.get("/studies", Accept=XML).status_code == 204
    house.send(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1"))
    assert "DeviceSerialNumber" in house.get("/studies?DeviceSerialNumber=7", Accept=XML).headers["Warning"]


@pytest.mark.parametrize("accept, kind", [
    (XML, "multipart/related"), ("multipart/related", "multipart/related"), (f"application/dicom+json;q=0.2, {XML}", "multipart/related"), ("*/*", "application/dicom+json"),
    (f"{XML};q=0.2, application/dicom+json", "application/dicom+json"), ("application/json", "application/dicom+json"), ('multipart/related; type="application/dicom"', None),
    ("application/dicom+xml", None), ("text/html", None),
])
def test_what_is_given_is_what_was_asked_for(house, accept, kind):
    house.send(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1"))
    for path in ("/studies", "/studies/1.2.10/metadata"):
        reply = house.get(path, Accept=accept)
        assert (reply.headers["Content-Type"].split(";")[0] if reply.status_code == 200 else None) == kind and reply.status_code in (200, 406)


def test_a_data_set_built_of_the_example_is_what_the_example_says():
    dataset = Dataset.from_json({tag: element for tag, element in from_xml(EXAMPLE.encode()).items() if tag != "7FE00010"})
    assert dataset.PatientName.ideographic == "王^小东^^^博士" and dataset.Rows == 512 and dataset.PatientSize == 1.7
    assert dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3" and dataset.private_block(0x0009, "OTHER")[3].value == "a <private> text"
