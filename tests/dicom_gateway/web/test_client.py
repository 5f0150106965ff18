"""The dicomweb-client package, unchanged, against a real server."""
from threading import Thread

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from werkzeug.serving import make_server

from tests.dicom_gateway.web.conftest import make_house

client_api = pytest.importorskip("dicomweb_client.api")


def serve(house):
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/dicomweb"


@pytest.fixture(scope="module")
def client(ct):
    server, url = serve(ct.house)
    yield client_api.DICOMwebClient(url=url)
    server.shutdown()


def test_it_finds_and_reads_the_study(client, ct):
    (study,) = client.search_for_studies(search_filters={"StudyInstanceUID": ct.uid})
    assert Dataset.from_json(study).NumberOfStudyRelatedInstances == len(ct.files)
    (series,) = client.search_for_series(ct.uid)
    assert Dataset.from_json(series).SeriesInstanceUID == ct.series
    assert len(client.search_for_instances(ct.uid, ct.series, limit=3)) == 3
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    assert len(client.retrieve_study_metadata(ct.uid)) == len(ct.files)
    uid = next(iter(ct.files))
    assert client.retrieve_instance_metadata(ct.uid, ct.series, uid)["00080018"]["Value"] == [uid]


def test_it_gets_the_pixels_that_were_sent(client, ct):
    uid, path = next(iter(ct.files.items()))
    sent = dcmread(path)
    assert client.retrieve_instance(ct.uid, ct.series, uid).PixelData == sent.PixelData
    (frame,) = client.retrieve_instance_frames(ct.uid, ct.series, uid, [1])
    assert frame == sent.PixelData
    (star,) = client.retrieve_instance_frames(ct.uid, ct.series, uid, [1], media_types=(("application/octet-stream", "*"),))
    assert len(star) < len(frame)
    assert len(client.retrieve_series(ct.uid, ct.series)) == len(ct.files)
    picture = client.retrieve_instance_frames_rendered(ct.uid, ct.series, uid, [1], media_types=("image/png",))
    assert picture[:4] == b"\x89PNG"


def test_it_fetches_bulk_data_by_its_address(client, ct):
    uid, path = next(iter(ct.files.items()))
    told = client.retrieve_instance_metadata(ct.uid, ct.series, uid)
    address = told["7FE00010"]["BulkDataURI"].partition("/dicomweb")[2]        # this client leaves the port out of Host
    (pixels,) = client.retrieve_bulkdata(client.base_url + address)
    assert np.array_equal(np.frombuffer(pixels, "<i2"), np.frombuffer(dcmread(path).PixelData, "<i2"))


def test_it_stores_with_a_devices_token(tmp_path, ct):
    house = make_house(tmp_path)
    server, url = serve(house)
    client = client_api.DICOMwebClient(url=url, headers={"Authorization": f"Bearer {house.token}"})
    sent = dcmread(next(iter(ct.files.values())))
    answer = client.store_instances([sent])
    assert len(answer.ReferencedSOPSequence) == 1 and "FailedSOPSequence" not in answer
    assert client.retrieve_instance(ct.uid, ct.series, sent.SOPInstanceUID).PixelData == sent.PixelData
    server.shutdown()
    house.hub.close()
