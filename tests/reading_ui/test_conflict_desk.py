"""Quarantine and conflicts decided in the browser: two versions, another patient, missing UIDs, unknown devices."""
import html
from io import BytesIO

import pytest
from PIL import Image
from pydicom import dcmread
from sqlalchemy import update

from dicom_gateway.corrected import corrected
from dicom_gateway.serving import change_of, overlays_for
from dicom_gateway.services.store import take_in
from hub.flow import administration, decisions, intake, repairs, studies
from hub.model.access import SYSTEM
from hub.storage.tables import device
from tests.dicom_gateway.running import as_file, slice_of_ct
from tests.dicom_gateway.test_corrected import faults
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("conflicts")) as made:
        yield made


def words(answer) -> str:
    return html.unescape(answer.text)


def put(house, ds):
    return take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(as_file(ds)))


def a_slice(number, uid, **more):
    return slice_of_ct(number, uid, f"{uid}.1", **({"SOPInstanceUID": f"{uid}.1.{number}", "PatientName": "LI^NA", "PatientID": "P1", "PatientSex": "F"} | more))


@pytest.fixture
def conflict(house):
    """Two versions of one slice; (held id, study id)."""
    house.made = getattr(house, "made", 0) + 1
    uid = f"1.2.826.20.{house.made}"
    first = put(house, a_slice(1, uid, PatientID=f"C{house.made}"))
    second = a_slice(1, uid, PatientID=f"C{house.made}", StudyDescription="Second", PixelData=b"\1\2" * 256)
    return put(house, second).held_id, first.study_id


def test_the_two_versions_stand_side_by_side_with_what_differs(house, conflict):
    held_id, _ = conflict
    page = words(house.admin.get(f"/held/{held_id}"))
    assert "0008,1030" in page and "Second" in page and "7FE0,0010" in page and "0010,0010" not in page
    for which in ("first", "second"):
        assert f"/held/{held_id}/pictures/{which}.jpg" in page
        answer = house.admin.get(f"/held/{held_id}/pictures/{which}.jpg")
        assert Image.open(BytesIO(answer.data)).size[0] > 0 and answer.headers["Cache-Control"] == "no-store"
    assert house.admin.get(f"/held/{held_id}/pictures/third.jpg").status_code == 404


def test_the_second_version_is_used_and_the_decision_undone(house, conflict):
    held_id, study_id = conflict
    first = repairs.parts(house.hub, SYSTEM, study_id)[1][0].sha256
    assert house.admin.post(f"/held/{held_id}/resolve", choice="use_second", words="机构确认").status_code == 302
    assert repairs.parts(house.hub, SYSTEM, study_id)[1][0].sha256 != first
    page = words(house.admin.get(f"/held/{held_id}"))
    assert "改用第二个版本" in page and "机构确认" in page and "撤销处理" in page
    assert house.admin.post(f"/held/{held_id}/undo").location == f"/held/{held_id}"
    assert repairs.parts(house.hub, SYSTEM, study_id)[1][0].sha256 == first and "执行处理" in words(house.admin.get(f"/held/{held_id}"))


def test_nothing_is_decided_without_words_or_a_choice_and_what_was_typed_stays(house, conflict):
    held_id, _ = conflict
    answer = house.admin.post(f"/held/{held_id}/resolve", choice="use_second", words=" ")
    assert answer.status_code == 400 and "请写明处理结果" in words(answer) and 'value="use_second" required checked' in words(answer)
    answer = house.admin.post(f"/held/{held_id}/resolve", choice="burn", words="机构确认")
    assert answer.status_code == 400 and "机构确认" in words(answer)


def test_a_strangers_images_become_a_study_of_their_own_all_at_once(house):
    put(house, a_slice(1, "1.2.826.30"))
    strangers = [put(house, a_slice(n, "1.2.826.30", PatientName="ZHAO^MIN", PatientID="P9", PatientSex="M")).held_id for n in (5, 6, 7)]
    page = words(house.admin.get(f"/held/{strangers[0]}"))
    assert "LI NA" in page and "ZHAO MIN" in page and "其余 2 个一并" in page
    answer = house.admin.post(f"/held/{strangers[0]}/resolve", choice="separate", words="确为另一位患者", alike="yes")
    assert answer.location == f"/held/{strangers[0]}"
    own = decisions.history(house.hub, SYSTEM, strangers[2])[0].study_id
    row = studies.find(house.hub, SYSTEM, own)
    assert (row.patient_name, row.instances) == ("ZHAO MIN", 3)
    page = words(house.admin.get(f"/held/{strangers[0]}"))
    assert "不能撤销" in page and f"/repairs/{own}" in page
    assert house.admin.post(f"/held/{strangers[0]}/undo").status_code == 409
    given = _given(house, own)
    assert {ds.StudyInstanceUID for ds in given} == {row.study_uid} and {str(ds.PatientName) for ds in given} == {"ZHAO^MIN"}
    assert {ds.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].StudyInstanceUID for ds in given} == {"1.2.826.30"}


def _given(house, study_id):
    """A study's objects as they go out."""
    overlays, (_, instances) = overlays_for(house.hub, [study_id], "corrected"), repairs.parts(house.hub, SYSTEM, study_id)
    return [dcmread(BytesIO(corrected(house.hub.blobs.path(one.sha256), change_of(house.hub, overlays, study_id, one.series_id, one.id, one.calling)).content()))
            for one in instances]


def test_missing_uids_are_supplied_and_the_object_goes_out_whole(house):
    ds = a_slice(1, "1.2.826.40", PatientID="P40")
    del ds.StudyInstanceUID, ds.SOPClassUID
    held_id = put(house, ds).held_id
    page = words(house.admin.get(f"/held/{held_id}"))
    assert 'name="StudyInstanceUID" value="2.25.' in page and "LI NA" in page
    answer = house.admin.post(f"/held/{held_id}/resolve", choice="supply", words="设备漏写", StudyInstanceUID="1..2", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    assert answer.status_code == 400 and "StudyInstanceUID" in words(answer)
    house.admin.post(f"/held/{held_id}/resolve", choice="supply", words="设备漏写", StudyInstanceUID="2.25.4040", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    row = studies.find(house.hub, SYSTEM, study_uid="2.25.4040")
    (given,) = _given(house, row.id)
    assert given.StudyInstanceUID == "2.25.4040" and given.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2" and given.PixelData == ds.PixelData
    assert "补上" in words(house.admin.get(f"/held/{held_id}")) and "UID" in words(house.admin.get(f"/repairs/{row.id}"))


@pytest.mark.peers
def test_dciodvfy_finds_no_fault_in_supplied_uids_or_in_a_study_of_its_own(house, real_data, tmp_path):
    """Of a real slice that lacks its study, and of one that names another patient."""
    path = sorted((real_data / "dicom" / "chest_ct").glob("*.dcm"))[0]
    lacking, own, strange = (dcmread(path) for _ in range(3))
    del lacking.StudyInstanceUID
    own.StudyInstanceUID = strange.StudyInstanceUID = "1.2.826.41"
    for number, ds in enumerate((own, strange)):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.41.1.{number}"
    strange.PatientName, strange.PatientID, strange.PatientBirthDate = "ZHAO^MIN", "P9", "19700101"
    held_id = put(house, lacking).held_id
    house.admin.post(f"/held/{held_id}/resolve", choice="supply", words="设备漏写", StudyInstanceUID="2.25.4141")
    put(house, own)
    held_id = put(house, strange).held_id
    house.admin.post(f"/held/{held_id}/resolve", choice="separate", words="确为另一位患者")
    for study_id in (studies.find(house.hub, SYSTEM, study_uid="2.25.4141").id, decisions.history(house.hub, SYSTEM, held_id)[0].study_id):
        (given,) = _given(house, study_id)
        given.save_as(tmp_path / "given.dcm", enforce_file_format=True)
        assert given.OriginalAttributesSequence and faults(tmp_path / "given.dcm") - faults(path) == set()


def test_what_still_cannot_be_read_is_not_released(house):
    file = house.hub.blobs.keep(b"\0junk" * 99)
    held_id = intake.quarantine(house.hub, house.county.devices["QS"], "dicom", (file,), "unparsable").held_id
    answer = house.admin.post(f"/held/{held_id}/resolve", choice="release", words="再试")
    assert answer.status_code == 400 and "不是有效的 DICOM" in words(answer)
    cart = intake.quarantine(house.hub, house.county.devices["QS"], "ecg", (file,), "unreadable_ecg").held_id
    assert house.admin.post(f"/held/{cart}/resolve", choice="release", words="再试").status_code == 400
    assert house.admin.post(f"/held/{held_id}/resolve", choice="discard", words="测试文件").location == "/held"
    assert "测试文件" in words(house.admin.get("/held?state=discarded")) and house.admin.get(f"/held/{held_id}/files/0").status_code == 200


def test_an_object_of_an_unknown_device_is_released_to_a_registered_one(house):
    file = house.hub.blobs.keep(as_file(a_slice(1, "1.2.826.50", PatientID="P50")))
    held_id = intake.quarantine(house.hub, None, "dicom", (file,), "unregistered_device", facts={"calling": "NEW_CT"}).held_id
    page = words(house.admin.get(f"/held/{held_id}"))
    assert "NEW_CT" in page and "QS CT" in page and "LI NA" in page
    assert house.admin.post(f"/held/{held_id}/resolve", choice="release", words="已登记").status_code == 400
    house.admin.post(f"/held/{held_id}/resolve", choice="release", words="已登记", device=str(house.county.devices["BX"].id))
    assert studies.find(house.hub, SYSTEM, study_uid="1.2.826.50").site_id == house.county.sites["BX"]


def test_an_object_that_is_released_is_read_as_others_of_its_device(house):
    """The bytes of 傅荷 under ISO_IR 13 read as half-width katakana even better, but not from a device that writes GB18030."""
    with house.hub.writing() as connection:
        connection.execute(update(device).where(device.c.id == house.county.devices["BX"].id).values(written={"gb18030": 30}))
    for number, (to, name) in enumerate((("BX", "傅荷"), ("QS", "ｸｵｺﾉ"))):
        ds = a_slice(1, f"1.2.826.51.{number}", PatientID=f"P51{number}", PatientName="XXXX", SpecificCharacterSet="ISO_IR 13")
        file = house.hub.blobs.keep(as_file(ds).replace(b"XXXX", "傅荷".encode("gb18030")))
        held_id = intake.quarantine(house.hub, None, "dicom", (file,), "unregistered_device", facts={"calling": "NEW_CT"}).held_id
        house.admin.post(f"/held/{held_id}/resolve", choice="release", words="已登记", device=str(house.county.devices[to].id))
        assert studies.find(house.hub, SYSTEM, study_uid=f"1.2.826.51.{number}").patient_name == name


def test_every_step_is_in_the_audit(house, conflict):
    held_id, _ = conflict
    house.admin.post(f"/held/{held_id}/resolve", choice="keep_first", words="保留")
    house.admin.post(f"/held/{held_id}/undo")
    assert {"held.view", "held.keep_first", "held.undo"} <= set(house.actions()) and administration.verify_audit(house.hub).broken_at is None
