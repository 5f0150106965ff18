"""Orthanc as sender, asker and receiver: what it sends, finds and is given is bit for bit what was sent."""
import json
import random
import threading
from dataclasses import replace
from io import BytesIO

import pytest
from flask import Flask
from pydicom import dcmread
from pydicom.data import get_testdata_files
from werkzeug.serving import make_server

from dicom_gateway import returns
from dicom_gateway.web.routes import blueprint
from hub.flow import administration, devices
from hub.model.access import SYSTEM, Actor
from tests.dicom_gateway.orthanc import TITLE, running_orthanc
from tests.dicom_gateway.running import as_file, body, running, slice_of_ct
from tests.dicom_gateway.test_commitment import work
from tests.dicom_gateway.test_returns import PARCEL, PDF, ZONE

PADDING = 0xFFFCFFFC
pytestmark = pytest.mark.peers
KINDS = ("CT_small.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "MR_small_RLE.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm")


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    """A gateway and an Orthanc that know each other; Orthanc is a device and a destination of the first site."""
    folder = tmp_path_factory.mktemp("orthanc")
    with running(folder / "data") as gateway:
        devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name="Orthanc", ae_title=TITLE)
        with running_orthanc(folder / "orthanc", gateway.port) as orthanc:
            gateway.destination = administration.add_destination(gateway.hub, SYSTEM, 1, "dicom", {"ae_title": TITLE, "host": "127.0.0.1", "port": orthanc.port})
            yield gateway, orthanc


def a_ct(count: int, **more) -> list:
    first = slice_of_ct(1)
    made = [slice_of_ct(n, first.StudyInstanceUID, first.SeriesInstanceUID, side=64, **more) for n in range(1, count + 1)]
    for one in made:
        one.PixelData = random.Random(one.InstanceNumber).randbytes(len(one.PixelData))
    return made


def test_what_orthanc_sends_is_kept_bit_for_bit(county):
    gateway, orthanc = county
    sent = a_ct(12)
    ids = [orthanc.ask("/instances", as_file(one))["ID"] for one in sent]
    orthanc.ask("/modalities/hub/store", {"Resources": ids, "Synchronous": True})
    for one, name in zip(sent, ids, strict=True):
        assert body(gateway.kept(one.SOPInstanceUID)) == body(orthanc.ask(f"/instances/{name}/file", raw=True)) == body(as_file(one))


@pytest.mark.parametrize("name", KINDS)
def test_every_transfer_syntax_of_orthanc_is_kept_as_it_sends_it(county, name):
    """Orthanc writes a data set anew when it sends it (its lengths, its padding): compared is every value, and the pixels' bytes."""
    gateway, orthanc = county
    content = dcmread(get_testdata_files(name)[0])
    with open(get_testdata_files(name)[0], "rb") as file:
        kept = orthanc.ask("/instances", file.read())["ID"]
    orthanc.ask("/modalities/hub/store", {"Resources": [kept], "Synchronous": True})
    ours = dcmread(BytesIO(gateway.kept(content.SOPInstanceUID)))
    assert gateway.instance(content.SOPInstanceUID).transfer_syntax == ours.file_meta.TransferSyntaxUID == content.file_meta.TransferSyntaxUID
    assert ours.PixelData == content.PixelData
    assert {element.tag for element in content} - {element.tag for element in ours} <= {PADDING}
    assert all(element.value == content[element.tag].value for element in ours if element.VR not in ("SQ", "UN", "PN") and element.tag in content)


def test_orthanc_finds_and_fetches_what_a_device_sent(county):
    gateway, orthanc = county
    sent = a_ct(5, PatientID="ORTH5", PatientName="Wang^Fang", AccessionNumber="ORTH-ACC")
    assert set(gateway.send(*sent)) == {0}
    orthanc.ask("/modalities/hub/echo", {})
    query = orthanc.ask("/modalities/hub/query", {"Level": "Study", "Query": {"PatientID": "ORTH5", "StudyInstanceUID": "", "AccessionNumber": ""}})["ID"]
    assert len(found := orthanc.ask(f"/queries/{query}/answers")) == 1
    told = orthanc.ask(f"/queries/{query}/answers/{found[0]}/content?simplify")
    assert (told["StudyInstanceUID"], told["AccessionNumber"]) == (sent[0].StudyInstanceUID, "ORTH-ACC")
    orthanc.ask(f"/queries/{query}/answers/{found[0]}/retrieve", {"TargetAet": TITLE, "Synchronous": True})
    files = orthanc.files()
    for one in sent:
        assert body(files[one.SOPInstanceUID]) == body(as_file(one))


def test_a_signed_report_arrives_at_orthanc_once_however_often_it_is_sent(county):
    gateway, orthanc = county
    parcel = replace(PARCEL, address={"ae_title": TITLE, "host": "127.0.0.1", "port": orthanc.port})
    for _ in range(2):
        returns.deliver(gateway.hub, parcel)
    wanted = returns.encapsulated(parcel, ZONE)
    kept = dcmread(BytesIO(orthanc.files()[wanted.SOPInstanceUID]))
    assert kept.EncapsulatedDocument[:kept.EncapsulatedDocumentLength] == PDF and kept.StudyInstanceUID == parcel.study_uid


def test_storage_commitment_asked_by_orthanc_is_reported_to_it(county):
    gateway, orthanc = county
    sent = a_ct(3)
    ids = [orthanc.ask("/instances", as_file(one))["ID"] for one in sent]
    orthanc.ask("/modalities/hub/store", {"Resources": ids, "Synchronous": True})
    transaction = orthanc.ask("/modalities/hub/storage-commitment", {"Resources": ids})["ID"]
    for _ in range(1200):
        work(gateway.hub)
        report = orthanc.ask(f"/storage-commitment/{transaction}")
        if report["Status"] != "Pending":
            break
        threading.Event().wait(0.1)
    assert report["Status"] == "Success" and {one["SOPInstanceUID"] for one in report["Success"]} == {one.SOPInstanceUID for one in sent}


def test_orthanc_as_a_dicomweb_client_finds_stores_and_retrieves_bit_for_bit(tmp_path):
    with running(tmp_path / "data") as gateway:
        _, token = devices.register(gateway.hub, SYSTEM, site_id=1, kind="ecg", name="Orthanc")       # STOW-RS asks for a device's token
        app = Flask("dicomweb")
        app.register_blueprint(blueprint(gateway.hub, lambda: Actor(None, "reader", "reader")), url_prefix="/dicomweb")
        served = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=served.serve_forever, daemon=True).start()
        try:
            with running_orthanc(tmp_path / "orthanc", gateway.port, f"http://127.0.0.1:{served.server_port}/dicomweb/", token) as orthanc:
                sent = a_ct(4, PatientID="WEB4")
                assert set(gateway.send(*sent)) == {0}
                found = orthanc.ask("/dicom-web/servers/hub/qido", {"Uri": "/studies", "Arguments": {"PatientID": "WEB4"}})
                assert len(found) == 1 and sent[0].StudyInstanceUID in json.dumps(found)
                orthanc.ask("/dicom-web/servers/hub/retrieve", {"Resources": [{"Study": sent[0].StudyInstanceUID}], "Synchronous": True})
                files = orthanc.files()
                for one in sent:
                    assert body(files[one.SOPInstanceUID]) == body(as_file(one))
                stored = a_ct(2)
                ids = [orthanc.ask("/instances", as_file(one))["ID"] for one in stored]
                orthanc.ask("/dicom-web/servers/hub/stow", {"Resources": ids, "Synchronous": True})
                for one in stored:
                    assert body(gateway.kept(one.SOPInstanceUID)) == body(as_file(one))
        finally:
            served.shutdown()
