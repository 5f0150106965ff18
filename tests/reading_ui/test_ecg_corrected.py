"""An ECG that came by both doors, and one whose patient was corrected, as it is taken away."""
from io import BytesIO

import pytest
from flask import Flask
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dicom_gateway.command import file_header
from dicom_gateway.services.store import take_in
from ecg.recording import SourceFile
from ecg.web import blueprint
from hub.flow import administration, devices, repairs, studies
from hub.flow.repairs import Wanted
from hub.model.access import SYSTEM
from tests.dicom_gateway.running import body
from tests.ecg.cart import Cart
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("ecgs")) as made:
        made.chen = made.enter("chen")
        yield made


@pytest.fixture(scope="module")
def original() -> bytes:
    with open(get_testdata_file("waveform_ecg.dcm"), "rb") as file:
        return file.read()


@pytest.fixture(scope="module")
def study_id(house, original) -> int:
    """The ECG by C-STORE, where the gateway writes the file's header, and by HTTP as the cart wrote it."""
    ds = dcmread(BytesIO(original), stop_before_pixels=True)
    meta = ds.file_meta
    stored = file_header(str(meta.MediaStorageSOPClassUID).encode(), str(meta.MediaStorageSOPInstanceUID).encode(), str(meta.TransferSyntaxUID)) + body(original)
    assert stored != original
    first = take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(stored))
    _, token = devices.register(house.hub, SYSTEM, site_id=house.county.sites["QS"], kind="ecg", name="cart")
    app = Flask("cart")
    app.register_blueprint(blueprint(house.hub))
    answer = Cart(app, token).send(SourceFile("ecg.dcm", original))
    assert (answer.status_code, answer.json["outcome"], answer.json["study"]) == (200, "duplicate", first.study_id), answer.json
    return first.study_id


def test_an_ecg_by_both_doors_is_one_object_and_no_conflict(house, study_id, original):
    assert administration.held_objects(house.hub, SYSTEM) == []
    (one,) = studies.instances_of(house.hub, study_id)
    assert house.hub.blobs.read(one.copies[0]["sha256"]) == original


def test_a_corrected_ecg_is_taken_away_corrected(house, study_id, original):
    repairs.correct(house.hub, SYSTEM, study_id, Wanted(house.hub.rules.repairs.attribute("00100010"), "钱新名", "核实"), 0)
    given = dcmread(BytesIO(house.chen.get(f"/ecgs/{study_id}/ecg.dcm").data))
    assert given.PatientName == "钱新名" and given.WaveformSequence == dcmread(BytesIO(original)).WaveformSequence
    assert "已更正" in house.chen.get(f"/ecgs/{study_id}").text
