"""The correction desk and the marks of a correction, as the people's browsers ask for them."""
import html
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import update

from dicom_gateway.services.store import take_in
from hub.flow import administration, completion, devices, preparation, repairs, studies
from hub.model.access import SYSTEM
from hub.storage.tables import device
from tests.dicom_gateway.running import as_file, slice_of_ct
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("repairs")) as made:
        made.zhou, made.chen, made.qs = made.enter("zhou"), made.enter("chen"), made.enter("qs")
        yield made


@pytest.fixture
def study(house):
    """A study of real DICOM objects in the queue; returns its id."""
    house.made = getattr(house, "made", 0) + 1
    uid = f"1.2.826.7.{house.made}"
    for number in (1, 2, 3):
        ds = slice_of_ct(number, uid, f"{uid}.1", PatientName="WANG^FANG", PatientID=f"P{house.made}", PatientSex="F", PatientBirthDate="19800102",
                         PixelSpacing=[0.7, 0.7], StudyDescription="Chest", AccessionNumber=f"ACC{house.made}")
        taken = take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(as_file(ds)))
    completion.close_quiet_studies(house.county.later(3600))
    generation = studies.find(house.hub, SYSTEM, taken.study_id).generation
    preparation.begin(house.hub, taken.study_id, generation)
    preparation.finish(house.hub, taken.study_id, generation, [], [])
    return taken.study_id


def words(answer) -> str:
    return html.unescape(answer.text)


def put(browser, house, study_id, **form):
    values = {"tag": "00100010", "value": "王芳", "why": "与机构核实", "scope": "study", "seen": repairs.revision(house.hub, study_id)} | form
    return browser.post(f"/repairs/{study_id}", **values)


def test_a_referring_physicians_name_that_was_guessed_is_marked_until_it_is_corrected(house):
    uid = "1.2.826.9"
    ds = slice_of_ct(1, uid, f"{uid}.1", PatientName="WANG^FANG", SpecificCharacterSet="ISO_IR 192", ReferringPhysicianName="王^\ufffd明", StudyID="7")
    study_id = take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(as_file(ds))).study_id
    page = words(house.admin.get(f"/repairs/{study_id}"))
    assert "申请医师" in page and "检查编号" in page and page.count("姓名待核") == 1
    put(house.admin, house, study_id, tag="00080090", value="王^小明")
    page = words(house.admin.get(f"/repairs/{study_id}"))
    assert "王^小明" in page and "姓名待核" not in page
    repairs.undo(house.hub, SYSTEM, repairs.ledger(house.hub, SYSTEM, study_id)[0].id)
    assert words(house.admin.get(f"/repairs/{study_id}")).count("姓名待核") == 1


def test_a_study_is_found_corrected_and_undone_by_one_click(house, study):
    assert f"/repairs/{study}" in house.admin.get(f"/repairs?text=ACC{house.made}").text
    page = words(house.admin.get(f"/repairs/{study}"))
    assert "WANG^FANG" in page and "0.7 × 0.7" in page and "1980-01-02" in page and "还没有更正" in page
    assert put(house.admin, house, study).location == f"/repairs/{study}"
    page = words(house.admin.get(f"/repairs/{study}"))
    assert "与机构核实" in page and "系统管理员" in page and "WANG^FANG → 王芳" in page.replace("\n", "")
    assert studies.find(house.hub, SYSTEM, study).patient_name == "王芳"
    (row,) = repairs.ledger(house.hub, SYSTEM, study)
    assert row.old == "WANG^FANG"
    assert house.zhou.post(f"/repairs/{study}/undo/{row.id}").location == f"/repairs/{study}"
    assert studies.find(house.hub, SYSTEM, study).patient_name == "WANG FANG" and "已撤销" in house.admin.get(f"/repairs/{study}").text
    assert house.zhou.post(f"/repairs/{study}/undo/{row.id}").status_code == 409


def test_what_was_typed_stays_when_it_is_refused(house, study):
    for form, told in (({"tag": "00100030", "value": "1980-13-01"}, "应为存在的日期"), ({"value": ""}, "不能为空"), ({"why": " "}, "请写明更正原因"),
                       ({"tag": "0020000D", "value": "1.2"}, "不能更正"), ({"tag": "NoSuchThing", "value": "x"}, "没有这个标签"),
                       ({"tag": "00280030", "value": "0.5"}, "两个大于 0")):
        answer = put(house.admin, house, study, **form)
        assert answer.status_code == 400 and told in words(answer), form
        assert (form.get("value", "王芳") or "王芳") in words(answer) or form.get("value") == ""
    answer = put(house.admin, house, study, seen="999")
    assert answer.status_code == 409 and "刚刚被更正过" in words(answer) and 'value="王芳"' in words(answer)
    assert not repairs.ledger(house.hub, SYSTEM, study)


def test_any_standard_attribute_is_corrected_by_its_name_for_one_series_or_image(house, study):
    (one,), instances = repairs.parts(house.hub, SYSTEM, study)
    assert put(house.zhou, house, study, tag="ProtocolName", value="胸部", scope=f"series-{one.id}").status_code == 302
    assert put(house.zhou, house, study, tag="(0028,0030)", value="0.35 0.35", scope=f"instance-{instances[1].id}").status_code == 302
    found = repairs.overlays(house.hub, [study])
    assert [one.value for one in found.of(study, one.id, instances[1].id)] == ["胸部", "0.35\\0.35"]
    assert [one.value for one in found.of(study, one.id, instances[0].id)] == ["胸部"]
    assert "ProtocolName" in words(house.zhou.get(f"/repairs/{study}?scope=series-{one.id}"))
    assert "0.7 × 0.7" in words(house.zhou.get(f"/repairs/{study}?scope=instance-{instances[1].id}"))


def test_whoever_sees_the_study_sees_that_it_is_corrected_and_from_what(house, study):
    put(house.zhou, house, study, value="改名人")
    for browser, path in ((house.chen, f"/studies/{study}"), (house.qs, f"/studies/{study}")):
        page = words(browser.get(path))
        assert "已更正" in page and "WANG^FANG" in page and "改名人" in page and "与机构核实" in page
    assert f"/repairs/{study}" in house.zhou.get(f"/studies/{study}").text and f"/repairs/{study}" not in house.chen.get(f"/studies/{study}").text
    for browser, path in ((house.chen, "/worklist"), (house.qs, "/clinic")):
        row = words(browser.get(path)).split("改名人")[1].split("</tr>")[0]
        assert "已更正" in row, path


def test_a_report_that_was_signed_before_says_so_and_offers_the_amendment(house, study):
    report_id = house.county.signed(study)
    assert "报告签发后有更正" not in house.chen.get(f"/reports/{report_id}").text
    put(house.zhou, house, study, tag="00100040", value="M")
    for browser, path in ((house.chen, f"/reports/{report_id}"), (house.chen, f"/studies/{study}"), (house.qs, f"/clinic/reports/{report_id}")):
        page = words(browser.get(path))
        assert "报告签发后有更正" in page and "F → M" in page, path
    assert 'data-opens="amend"' in house.chen.get(f"/studies/{study}").text.split("报告签发后有更正")[1][:600]


def test_objects_go_out_by_the_setting_of_device_and_destination(house):
    device = house.county.devices["QS"]
    page = words(house.admin.get(f"/devices/{device.id}"))
    assert "更正后的内容" in page and "设备原始内容" in page
    assert house.admin.post(f"/devices/{device.id}/served", served="original").status_code == 302
    assert devices.find(house.hub, SYSTEM, device.id).served == "original" and "device.set_served" in house.actions()
    assert house.admin.post(f"/devices/{device.id}/served", served="both").status_code == 400
    site = house.county.sites["QS"]
    house.admin.post(f"/sites/{site}/destinations", channel="dicom", ae_title="PACS", host="10.0.0.9", port="104")
    (to,) = [one for one in administration.destinations(house.hub, SYSTEM) if one.address.get("ae_title") == "PACS"]
    assert to.served == "corrected"
    assert house.admin.post(f"/destinations/{to.id}/served", served="original").location == f"/sites/{site}"
    assert [one.served for one in administration.destinations(house.hub, SYSTEM) if one.id == to.id] == ["original"]


def test_an_enhanced_multi_frame_object_is_not_corrected_where_each_frame_speaks_for_itself(house):
    ds = slice_of_ct(1, "1.2.826.8.1", "1.2.826.8.1.1", PatientID="E1", SharedFunctionalGroupsSequence=[Dataset()])
    taken = take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(as_file(ds)))
    answer = put(house.admin, house, taken.study_id, tag="00280030", value="0.5 0.5")
    assert answer.status_code == 400 and "多帧增强图像" in words(answer)
    assert put(house.admin, house, taken.study_id).status_code == 302


def test_an_unsure_name_is_shown_with_its_readings_and_why_and_is_settled_by_taking_one(house):
    """The bytes of 趙鑫 in GB18030 under ISO_IR 100 read as Latin nearly as well (the corpus of tests/dicom_gateway/test_charset.py)."""
    ds = slice_of_ct(1, SpecificCharacterSet="ISO_IR 100", PatientID="UNSURE1")
    ds.PatientName = "XXXX"
    content = as_file(ds).replace(b"XXXX", "趙鑫".encode("gb18030"))
    study_id = take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(content)).study_id
    assert repairs.find(house.hub, SYSTEM, study_id).name_unsure
    page = words(house.zhou.get(f"/repairs/{study_id}"))
    assert "姓名待核：可能的读法" in page and "以常见姓氏“趙”开头" in page and "GB18030" in page and "ISO 8859-1" in page
    assert page.index("<strong>趙鑫</strong>") > 0 and page.count(">选用</a>") == 2
    taken = words(house.zhou.get(f"/repairs/{study_id}?tag=00100010&value=趙鑫&why=已与机构核实姓名"))
    assert 'name="value" value="趙鑫"' in taken
    assert put(house.zhou, house, study_id, value="趙鑫").status_code == 302, "that it is right is a decision, too"
    settled = repairs.find(house.hub, SYSTEM, study_id)
    assert (settled.patient_name, settled.name_unsure) == ("趙鑫", False)
    assert "可能的读法" not in words(house.zhou.get(f"/repairs/{study_id}"))
    assert put(house.zhou, house, study_id, value="趙鑫").status_code == 400, "and is made once"
    row, = [one for one in repairs.ledger(house.hub, SYSTEM, study_id) if one.undoes is None]
    repairs.undo(house.hub, house.county.actor("zhou"), row.id)
    assert repairs.find(house.hub, SYSTEM, study_id).name_unsure
    later = slice_of_ct(2, ds.StudyInstanceUID, ds.SeriesInstanceUID, SpecificCharacterSet="ISO_IR 100", PatientID="UNSURE1", PatientName="XXXX")
    came = take_in(house.hub, house.county.devices["QS"], house.hub.blobs.keep(as_file(later).replace(b"XXXX", "趙鑫".encode("gb18030"))))
    assert (came.outcome, came.study_id) == ("stored", study_id)


def test_what_the_device_wrote_before_stands_among_the_reasons_and_its_reading_first(house):
    """The bytes of 傅荷 under ISO_IR 13, which the scanner kept from its factory, read as half-width katakana even better."""
    device_id = house.county.devices["QS"].id
    with house.hub.writing() as connection:
        connection.execute(update(device).where(device.c.id == device_id).values(written={"gb18030": 30}))
    ds = slice_of_ct(1, SpecificCharacterSet="ISO_IR 13", PatientID="HISTORY1", PatientName="XXXX")
    content = as_file(ds).replace(b"XXXX", "傅荷".encode("gb18030"))
    known = replace(house.county.devices["QS"], habit=devices.habit_of(house.hub, device_id))
    study_id = take_in(house.hub, known, house.hub.blobs.keep(content)).study_id
    row = repairs.find(house.hub, SYSTEM, study_id)
    assert (row.patient_name, row.name_unsure) == ("傅荷", True)
    page = words(house.zhou.get(f"/repairs/{study_id}"))
    assert page.index("<strong>傅荷</strong>") < page.index("该设备此前的姓名几乎都是这种编码") < page.rindex("<strong>")
    assert page.count("该设备此前的姓名几乎都是这种编码") == 1
    assert "近期确定的姓名编码（每项检查计一次）： GB18030 30" in words(house.admin.get(f"/devices/{device_id}/rules"))
    house.zhou.post("/language", language="en")
    try:
        assert "nearly all earlier names of this device were written so" in words(house.zhou.get(f"/repairs/{study_id}")).lower()
    finally:
        house.zhou.post("/language", language="zh")


def test_the_desk_speaks_english(house, study):
    house.zhou.post("/language", language="en")
    try:
        page = words(house.zhou.get(f"/repairs/{study}"))
        assert "What was sent and what is used" in page and "patient's name" in page.lower()
    finally:
        house.zhou.post("/language", language="zh")


def test_the_kept_bytes_are_those_that_came(house, study):
    put(house.admin, house, study)
    _, instances = repairs.parts(house.hub, SYSTEM, study)
    assert {str(dcmread(BytesIO(house.hub.blobs.read(one.sha256))).PatientName) for one in instances} == {"WANG^FANG"}
