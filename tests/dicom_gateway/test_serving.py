"""What goes out after a correction: over C-GET, C-MOVE, C-FIND and DICOMweb, corrected or as it came."""
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND

from hub import rulebook
from hub.errors import Invalid
from hub.flow import administration, devices, repairs
from hub.flow.repairs import Wanted
from hub.model.access import SYSTEM
from tests.dicom_gateway.county import ask, fill
from tests.dicom_gateway.running import SENDER, as_file, body, running, slice_of_ct
from tests.dicom_gateway.test_corrected import faults
from tests.dicom_gateway.test_retrieve import Receiver, counts, destination, get, move, wish
from tests.dicom_gateway.web.conftest import make_house

STUDY = "1.2.30"


@pytest.fixture
def gateway(tmp_path):
    with running(tmp_path) as made:
        fill(made)
        yield made


def put(hub, study_id: int, tag: str, value: str, **more) -> int:
    return repairs.correct(hub, SYSTEM, study_id, Wanted(hub.rules.repairs.attribute(tag), value, "核实", **more), repairs.revision(hub, study_id))


def read(data_set: bytes):
    return dcmread(BytesIO(data_set), force=True)


def test_c_get_gives_the_corrected_object_and_a_device_set_so_the_original(gateway):
    study = gateway.study(STUDY)
    put(gateway.hub, study.id, "00100010", "李娜")
    put(gateway.hub, study.id, "00180015", "KNEE", level="series", part_id=gateway.instance("1.2.30.2.1").series_id)
    receiver = Receiver()
    assert counts(get(gateway, wish("STUDY", StudyInstanceUID=STUDY), receiver)[-1][0]) == (0x0000, 4, 0)
    told = {uid: read(content) for uid, content in receiver.kept.items()}
    assert {str(ds.PatientName) for ds in told.values()} == {"李娜"} and {ds.SpecificCharacterSet for ds in told.values()} == {"ISO_IR 192"}
    assert {uid: ds.get("BodyPartExamined") for uid, ds in told.items()} == {
        "1.2.30.1.1": None, "1.2.30.1.2": None, "1.2.30.1.3": None, "1.2.30.2.1": "KNEE"}
    for uid, ds in told.items():
        item = ds.OriginalAttributesSequence[0]
        assert item.SourceOfPreviousValues == SENDER and item.ModifiedAttributesSequence[0].PatientName == "LI^NA"
        assert ds.PixelData == dcmread(BytesIO(gateway.kept(uid))).PixelData
    device_id = next(row.id for row in devices.listed(gateway.hub, SYSTEM) if row.ae_title == SENDER)
    devices.set_served(gateway.hub, SYSTEM, device_id, "original")
    receiver = Receiver()
    get(gateway, wish("STUDY", StudyInstanceUID=STUDY), receiver)
    assert all(content == body(gateway.kept(uid)) for uid, content in receiver.kept.items()) and len(receiver.kept) == 4
    with pytest.raises(Invalid):
        devices.set_served(gateway.hub, SYSTEM, device_id, "whatever")


def test_c_move_goes_corrected_or_original_as_the_destination_is_set(gateway):
    put(gateway.hub, gateway.study(STUDY).id, "00100010", "李娜")
    receiver = Receiver()
    with destination(gateway, receiver, "PACS"):
        move(gateway, wish("STUDY", StudyInstanceUID=STUDY), "PACS")
        assert {str(read(content).PatientName) for content in receiver.kept.values()} == {"李娜"}
        of_pacs = next(row.id for row in administration.destinations(gateway.hub, SYSTEM) if row.address["ae_title"] == "PACS")
        administration.set_destination_served(gateway.hub, SYSTEM, of_pacs, "original")
        move(gateway, wish("STUDY", StudyInstanceUID=STUDY), "PACS")
        assert all(content == body(gateway.kept(uid)) for uid, content in receiver.kept.items())


def test_c_find_answers_and_matches_by_what_stands(gateway):
    repair_id = put(gateway.hub, gateway.study(STUDY).id, "00100010", "Li^Nana=李^娜娜")
    for name, count in (("Li^Nana", 1), ("李^娜娜", 1), ("linana", 1), ("LI^NA", 0)):
        found, _ = ask(gateway, FIND, wish("STUDY", SpecificCharacterSet="ISO_IR 192", StudyInstanceUID="", PatientName=name))
        assert len(found) == count, name
    found, _ = ask(gateway, FIND, wish("STUDY", StudyInstanceUID=STUDY, PatientName=""))
    assert str(found[0].PatientName) == "Li^Nana=李^娜娜"
    repairs.undo(gateway.hub, SYSTEM, repair_id)
    assert len(ask(gateway, FIND, wish("STUDY", StudyInstanceUID="", PatientName="LI^NA"))[0]) == 1


def test_an_object_that_cannot_be_given_corrected_fails_by_name_and_never_goes_out_as_it_came(gateway):
    one, two = (slice_of_ct(n, "1.2.60", "1.2.60.1", SOPInstanceUID=f"1.2.60.1.{n}", PatientID="A7") for n in (1, 2))
    gateway.send(one, two)
    put(gateway.hub, gateway.study("1.2.60").id, "00100010", "新名")
    path = gateway.hub.blobs.path(gateway.instance("1.2.60.1.2").sha256)
    content = path.read_bytes()
    path.write_bytes(content[:content.find(b"\x20\0\x0d\0UI") + 12])            # a disk that lost the end of a file
    receiver = Receiver()
    status, identifier = get(gateway, wish("STUDY", StudyInstanceUID="1.2.60"), receiver)[-1]
    assert counts(status) == (0xB000, 1, 1) and identifier.FailedSOPInstanceUIDList == "1.2.60.1.2"
    assert str(read(receiver.kept["1.2.60.1.1"]).PatientName) == "新名"


@pytest.fixture
def house(tmp_path):
    made = make_house(tmp_path)
    yield made
    made.hub.close()


@pytest.fixture
def study(house):
    """A prepared study of three slices: its id and path."""
    for number in (1, 2, 3):
        ds = slice_of_ct(number, "1.2.3", "1.2.3.1", SOPInstanceUID=f"1.2.3.1.{number}", PatientID="P1", PixelSpacing=[0.7, 0.7])
        taken = house.send(as_file(ds))
    house.prepare(taken.study_id)
    return taken.study_id


def parts(answer) -> list[bytes]:
    boundary = answer.headers["Content-Type"].split("boundary=")[1].strip('"').encode()
    return [part.split(b"\r\n\r\n", 1)[1][:-2] for part in answer.data.split(b"--" + boundary)[1:-1]]


def test_wado_gives_corrected_objects_by_default_and_originals_when_asked(house, study):
    originals = parts(house.get("/studies/1.2.3", Accept='multipart/related; type="application/dicom"'))
    etag = house.get("/studies/1.2.3", Accept='multipart/related; type="application/dicom"').headers["ETag"]
    put(house.hub, study, "00100010", "王芳")
    answer = house.get("/studies/1.2.3", Accept='multipart/related; type="application/dicom"')
    assert int(answer.headers["Content-Length"]) == len(answer.data) and answer.headers["ETag"] != etag
    assert [str(dcmread(BytesIO(part)).PatientName) for part in parts(answer)] == ["王芳"] * 3
    assert parts(house.get("/studies/1.2.3?values=original", Accept='multipart/related; type="application/dicom"')) == originals
    one = house.get("/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2", Accept="application/dicom")
    assert dcmread(BytesIO(one.data)).PatientName == "王芳" and dcmread(BytesIO(one.data)).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    part = house.get("/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2", Accept="application/dicom", Range="bytes=128-131")
    assert (part.status_code, part.data) == (206, b"DICM")
    assert house.get("/studies/1.2.3/metadata?values=both").status_code == 400


def test_metadata_is_corrected_at_once_and_comes_back_with_the_undo(house, study):
    assert house.get("/studies/1.2.3/metadata").json[0]["00280030"]["Value"] == [0.7, 0.7]
    repair_id = put(house.hub, study, "00280030", "0.35 0.35")
    told = house.get("/studies/1.2.3/metadata").json
    assert [one["00280030"]["Value"] for one in told] == [[0.35, 0.35]] * 3
    was = told[0]["04000561"]["Value"][0]["04000550"]["Value"][0]
    assert was == {"00280030": {"vr": "DS", "Value": [0.7, 0.7]}}
    assert "04000561" not in house.get("/studies/1.2.3/metadata?values=original").json[0]
    assert house.get("/series?StudyInstanceUID=1.2.3").json and house.get("/studies/1.2.3/instances?includefield=00280030").json[0]["00280030"]["Value"] == [0.35, 0.35]
    repairs.undo(house.hub, SYSTEM, repair_id)
    told = house.get("/studies/1.2.3/metadata").json
    assert told[0]["00280030"]["Value"] == [0.7, 0.7] and "04000561" not in told[0]


def test_qido_answers_and_matches_by_what_stands(house, study):
    put(house.hub, study, "00100020", "P2")
    assert house.get("/studies?PatientID=P2").json[0]["00100020"]["Value"] == ["P2"]
    assert house.get("/studies?PatientID=P1").status_code == 204


def test_one_image_is_corrected_alone(house, study):
    (_, instances) = repairs.parts(house.hub, SYSTEM, study)
    put(house.hub, study, "00280030", "1 1", level="instance", part_id=instances[1].id)
    assert [one["00280030"]["Value"] for one in house.get("/studies/1.2.3/metadata").json] == [[0.7, 0.7], [1, 1], [0.7, 0.7]]


OFFERED = tuple(rulebook.load().repairs.offered.values())
BY_VR = {"PN": "李^娜", "LO": "新的说明", "SH": "X-9", "AS": "041Y", "DA": "19700101", "TM": "101112", "DS": "0.5 0.25"}


@pytest.mark.peers
@pytest.mark.parametrize("attribute", OFFERED, ids=lambda one: one.keyword)
def test_every_attribute_that_the_ledger_offers_goes_out_corrected_and_comes_back_as_it_was(house, real_data, tmp_path, attribute):
    """Of a real slice: the new value where it belongs, the old one in Original Attributes, no fault but the value's own; undone, its bytes."""
    sent = sorted((real_data / "dicom" / "chest_ct").rglob("*.dcm"))[0]
    taken, told = house.send(sent.read_bytes()), dcmread(sent)
    at = f"/studies/{told.StudyInstanceUID}/series/{told.SeriesInstanceUID}/instances/{told.SOPInstanceUID}"

    def given() -> bytes:
        return house.get(at, Accept="application/dicom").data
    original = given()
    value = attribute.codes[-1] if attribute.codes else "HEAD" if attribute.vr == "CS" else BY_VR[attribute.vr]
    repair_id = put(house.hub, taken.study_id, attribute.tag, value)
    ds = dcmread(BytesIO(given()))
    expected = [float(one) for one in value.split()] if attribute.vr == "DS" else value
    assert ds[attribute.keyword].value == expected and ds.PixelData == told.PixelData
    was = ds.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert (was[attribute.keyword].value or None) == (told.get(attribute.keyword) or None)
    (tmp_path / "given.dcm").write_bytes(given())
    setattr(told, attribute.keyword, expected)      # what is wrong with the value itself (the laterality of a chest) is its author's
    told.save_as(tmp_path / "by_pydicom.dcm")
    assert faults(tmp_path / "given.dcm") - faults(tmp_path / "by_pydicom.dcm") == set()
    repairs.undo(house.hub, SYSTEM, repair_id)
    assert given() == original and body(original) == body(sent.read_bytes())
