"""The requests that other people's viewers send, as their sources write them (OHIF 3, Weasis 4), and curl as a client.

Sources: OHIF, extensions/default/src/DicomWebDataSource (qido.js, retrieveStudyMetadata) with dicomweb-client;
Weasis, org.weasis.dicom.explorer.rs.RsQueryResult and the Accept header that it retrieves with.
"""
import json
import shutil
import subprocess
from threading import Thread
from xml.etree import ElementTree

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from werkzeug.serving import make_server

from dicom_gateway.web.multipart import boundary_of
from dicom_gateway.web.transcoding import TARGETS
from tests.dicom_gateway.running import body
from tests.dicom_gateway.test_corrected import faults

OHIF_JSON = {"Accept": "application/dicom+json"}
JAVA = {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}       # of HttpURLConnection where nobody sets one
WEASIS_OBJECT = {"Accept": 'multipart/related;type="application/dicom";transfer-syntax=*'}
JPEG_2000 = "1.2.840.10008.1.2.4.90"
WEASIS_STUDY = "00080020,00080030,00080050,00080061,00080090,00081030,00100010,00100020,00100021,00100030,00100040,0020000D,00200010"


@pytest.fixture(scope="module")
def url(ct):
    server = make_server("127.0.0.1", 0, ct.house.app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/dicomweb"
    server.shutdown()


def parts(reply) -> list[bytes]:
    """The bodies of a multipart answer."""
    edge = b"--" + boundary_of(reply.headers["Content-Type"])
    return [one.partition(b"\r\n\r\n")[2][:-2] for one in reply.data.split(edge)[1:-1]]


def the_patient(ct) -> str:
    return str(dcmread(next(iter(ct.files.values())), stop_before_pixels=True).PatientID)


def test_ohif_lists_studies_and_series(ct):
    fields = "00081030,00080060,00080090,00100030"
    (study,) = ct.house.get(f"/studies?00100020=*{the_patient(ct)}*&limit=101&offset=0&fuzzymatching=false&includefield={fields}", **OHIF_JSON).json
    assert study["0020000D"]["Value"] == [ct.uid] and study["00201208"]["Value"] == [len(ct.files)] and study["00080061"]["Value"] == ["CT"]
    assert {"00081030", "00080090", "00100030", "00080020", "00080030", "00080050", "00100010"} <= study.keys()
    assert ct.house.get(f"/studies?limit=101&offset=0&fuzzymatching=false&includefield={fields}&StudyDate=19000101-20991231&StudyInstanceUID={ct.uid}",
                        **OHIF_JSON).json[0]["0020000D"]["Value"] == [ct.uid]
    (series,) = ct.house.get(f"/studies/{ct.uid}/series?includefield=0008103E,00080021", **OHIF_JSON).json
    assert series["0020000E"]["Value"] == [ct.series] and series["00201209"]["Value"] == [len(ct.files)] and series["00080060"]["Value"] == ["CT"]


def test_ohif_reads_the_metadata_and_the_frames_that_it_shows(ct):
    told = ct.house.get(f"{ct.path}/metadata", **OHIF_JSON).json
    assert {one["00080018"]["Value"][0] for one in told} == set(ct.files)
    assert all({"00280010", "00280011", "00280030", "00200032", "00200037", "00281052", "00281053", "7FE00010"} <= one.keys() for one in told)
    uid, path = next(iter(ct.files.items()))
    for accept in ("multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
                   "multipart/related; type=application/octet-stream; transfer-syntax=*"):
        reply = ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept=accept)
        assert reply.status_code == 200 and len(parts(reply)) == 1
    assert parts(ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept="multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1")) \
        == [dcmread(path).PixelData]
    assert ct.house.get(f"{ct.path}/instances/{uid}/rendered", Accept="image/jpeg").data[:2] == b"\xff\xd8"
    assert ct.house.get(f"{ct.path}/instances/{uid}/thumbnail", Accept="image/jpeg").data[:2] == b"\xff\xd8"


def test_weasis_walks_from_the_patient_to_every_instance(ct):
    (study,) = ct.house.get(f"/studies?00100020={the_patient(ct)}&includefield={WEASIS_STUDY}", **JAVA).json
    assert ct.house.get(f"/studies?0020000D={ct.uid}&includefield={WEASIS_STUDY}", **JAVA).json[0]["0020000D"] == study["0020000D"]
    (series,) = ct.house.get(f"/studies/{study['0020000D']['Value'][0]}/series?includefield=0008103E,00080060,0020000E,00200011,00081190", **JAVA).json
    at = series["00081190"]["Value"][0].partition("/dicomweb")[2]
    found = ct.house.get(f"{at}/instances?includefield=00080018,00200013,00081190", **JAVA).json
    assert {one["00080018"]["Value"][0] for one in found} == set(ct.files) and all("00200013" in one for one in found)
    for one in found[:2]:
        reply = ct.house.get(one["00081190"]["Value"][0].partition("/dicomweb")[2], **WEASIS_OBJECT)
        (content,) = parts(reply)
        assert body(content) == body(ct.files[one["00080018"]["Value"][0]].read_bytes())


def test_weasis_starts_from_a_series_or_an_instance(ct):
    (series,) = ct.house.get(f"/series?0020000E={ct.series}&includefield={WEASIS_STUDY},0008103E,00080060,00081190,00200011", **JAVA).json
    assert series["0020000D"]["Value"] == [ct.uid] and series["00100020"]["Value"] == [the_patient(ct)] and "00081190" in series
    uid = next(iter(ct.files))
    (one,) = ct.house.get(f"/instances?00080018={uid}&includefield={WEASIS_STUDY},0008103E,00080060,0020000E,00200011,00200013,00081190", **JAVA).json
    assert one["0020000E"]["Value"] == [ct.series] and one["00100020"]["Value"] == [the_patient(ct)] and one["00081190"]["Value"][0].endswith(uid)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_finds_and_fetches_the_bytes_that_were_sent(ct, url, tmp_path):
    def curl(path: str, *more: str) -> bytes:
        return subprocess.run(["curl", "-sS", "--fail", *more, f"{url}{path}"], check=True, capture_output=True, timeout=300).stdout
    (study,) = json.loads(curl(f"/studies?StudyInstanceUID={ct.uid}"))
    assert Dataset.from_json(study).StudyInstanceUID == ct.uid
    uid, path = next(iter(ct.files.items()))
    assert body(curl(f"{ct.path}/instances/{uid}", "-H", "Accept: application/dicom")) == body(path.read_bytes())
    assert curl(f"{ct.path}/instances/{uid}", "-H", "Accept: application/dicom", "-r", "128-131") == b"DICM"
    assert b"wadl.dev.java.net" in curl("/", "-X", "OPTIONS")


def test_what_is_served_is_described_from_the_routes_that_answer(ct):
    client = ct.house.app.test_client()
    reply = client.options("/dicomweb/")
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "application/vnd.sun.wadl+xml" and "OPTIONS" in reply.headers["Allow"]
    space = "{http://wadl.dev.java.net/2009/02}"
    described = {one.get("path"): {method.get("name") for method in one.iter(f"{space}method")} for one in ElementTree.fromstring(reply.data).iter(f"{space}resource")}
    assert described["studies"] == {"GET", "POST"} and described["studies/{study}/series/{series}/instances/{instance}/frames/{frames}"] == {"GET"}
    told = client.options("/dicomweb/", headers={"Accept": "application/json"}).json
    assert {one["path"].lstrip("/") for one in told["resources"]} == set(described) == {one["path"].lstrip("/") for one in client.get("/dicomweb/").json["resources"]}
    assert client.options("/dicomweb/", headers={"Accept": "text/csv"}).status_code == 406


def test_an_instance_in_a_form_that_is_not_taken_is_refused_with_those_that_are(ct):
    reply = ct.house.app.test_client().post("/dicomweb/studies", data=b"--x\r\n\r\n<NativeDicomModel/>\r\n--x--", headers={
        "Authorization": f"Bearer {ct.house.token}", "Content-Type": 'multipart/related; type="application/dicom+cbor"; boundary=x'})
    assert reply.status_code == 415 and "application/dicom+json" in reply.json["en"] and "application/dicom+xml" in reply.json["en"] and reply.json["zh"]


@pytest.mark.peers
@pytest.mark.parametrize("syntax", TARGETS)
def test_dciodvfy_finds_no_error_in_another_transfer_syntax_that_the_original_has_not(ct, tmp_path, syntax):
    uid, path = next(iter(ct.files.items()))
    reply = ct.house.get(f"{ct.path}/instances/{uid}", Accept=f"application/dicom; transfer-syntax={syntax}")
    (tmp_path / "given.dcm").write_bytes(reply.data)
    assert dcmread(tmp_path / "given.dcm").file_meta.TransferSyntaxUID == syntax
    if syntax.startswith(JPEG_2000[:20]):        # a validator older than HTJ2K reads no further than its UID: the same file under an older name
        (tmp_path / "given.dcm").write_bytes(reply.data.replace(syntax.encode(), JPEG_2000.encode().ljust(len(syntax), b"\0"), 1))
    assert faults(tmp_path / "given.dcm") - faults(path) == set()
