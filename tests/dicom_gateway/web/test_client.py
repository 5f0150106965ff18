"""The dicomweb-client package, unchanged, against a real server."""
from threading import Thread

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from werkzeug.serving import make_server

from tests.dicom_gateway.web.conftest import make_house
from tests.dicom_gateway.web.objects import file_of

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
    told, sent = Dataset.from_json(study), dcmread(next(iter(ct.files.values())), stop_before_pixels=True)
    assert (told.StudyID, told.ReferringPhysicianName) == (sent.StudyID, sent.ReferringPhysicianName)
    assert len(client.search_for_studies(search_filters={"StudyID": sent.StudyID})) == 1
    assert len(client.retrieve_study_metadata(ct.uid)) == len(ct.files)
    uid = next(iter(ct.files))
    assert client.retrieve_instance_metadata(ct.uid, ct.series, uid)["00080018"]["Value"] == [uid]


def test_it_finds_studies_by_a_chinese_physician_and_a_study_id(tmp_path):
    house = make_house(tmp_path)
    for number, (charset, physician) in enumerate((("ISO_IR 192", "欧阳^明"), ("GB18030", "欧阳^明"), ("ISO_IR 100", "WANG^WU")), 1):
        house.send(file_of(f"1.2.{number}", f"1.2.{number}.1", f"1.2.{number}.1.1", PatientID=f"P{number}", SpecificCharacterSet=charset,
                           ReferringPhysicianName=physician, StudyID=f"{number}7"))
    server, url = serve(house)
    client = client_api.DICOMwebClient(url=url)

    def found(**filters) -> list[tuple]:
        told = [Dataset.from_json(one) for one in client.search_for_studies(search_filters=filters)]
        return [(one.StudyInstanceUID, one.ReferringPhysicianName, one.StudyID) for one in told]
    assert found(ReferringPhysicianName="欧阳*") == [("1.2.2", "欧阳^明", "27"), ("1.2.1", "欧阳^明", "17")]
    assert found(ReferringPhysicianName="欧阳*", StudyID="1*") == [("1.2.1", "欧阳^明", "17")] and found(StudyID="37") == [("1.2.3", "WANG^WU", "37")]
    server.shutdown()
    house.hub.close()


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
