"""The order desk: the form, the list, the order's own page, and the order beside the study and in the letter."""
import io
import re
from datetime import timedelta

import pytest

from hub.flow import completion, dispatch, intake, ordering, orders, preparation, worklist
from hub.flow.lettering import _letter
from hub.model.arrival import InstanceFacts, PatientFacts
from tests.hub.orders import RESIDENT, matches, wish

FORM = dict(patient_name="曾小明", patient_number="", resident_id=RESIDENT, sex="", birth_date="", phone="13800000000", modality="CT", body_part="CHEST",
            procedure="胸部 CT 平扫", clinical_question="咳嗽 3 周，<b>痰中带血</b>，除外肺癌", physician="李全科", urgency="urgent", device="",
            scheduled_at="2026-05-04T09:30")


def ordered(county, site: str = "qs", **more):
    hub = county.hub
    order_id = ordering.place(hub, county.actor(site), wish(hub.now(), **more))
    return orders.find(hub, county.actor("chen"), order_id)


def arrived(county, order=None, **patient) -> int:
    """A study of the order's patient under its number, closed and in the queue."""
    county.made += 1
    uid = f"1.2.826.0.9.{county.made}"
    person = {"patient_id": "QS0001", "name": "测试甲", "name_as_sent": "测试甲", "sex": "M", "birth_date": "1963-02-11"} | patient
    facts = InstanceFacts("image", "dicom", uid, f"{uid}.1", f"{uid}.1.1", patient=PatientFacts(**person), modality="CT", body_part="CHEST", instance_number=1,
                          study_at="2020-03-02T09:14:00", accession_number=order.accession_number if order is not None else "", expected_in_series=1)
    study_id = intake.take(county.hub, county.devices["QS"], (county.hub.blobs.keep(uid.encode()),), facts).study_id
    completion.close_quiet_studies(county.later(3600))
    with county.hub.reading() as connection:
        generation = connection.exec_driver_sql(f"SELECT generation FROM study WHERE id = {study_id}").scalar()
    preparation.begin(county.hub, study_id, generation)
    preparation.finish(county.hub, study_id, generation, [], [])
    return study_id


def test_a_clinic_places_an_order_and_lands_on_its_page(county, people):
    answer = people["qs"].post("/orders/new", **FORM)
    assert answer.status_code == 302
    page = people["qs"].get(answer.location).text
    number = re.search(r"A\d{12}", page)[0]
    assert "曾小明" in page and "1920-05-08" in page and "<svg" in page and "咳嗽 3 周，&lt;b&gt;痰中带血&lt;/b&gt;，除外肺癌" in page
    assert number in people["qs"].get("/orders").text and number in people["admin"].get("/orders").text and number in people["chen"].get("/orders").text
    assert number not in people["bx"].get("/orders").text and people["bx"].get(answer.location).status_code == 404


@pytest.mark.parametrize("change, words", [
    ({"resident_id": RESIDENT[:-1] + "1"}, "校验位不符"), ({"sex": "F"}, "性别（证件为男）不一致"), ({"clinical_question": ""}, "请填写临床问题"),
    ({"scheduled_at": "soon"}, "请填写预约检查时间"), ({"device": "9" * 30}, "没有这台设备"), ({"patient_name": ""}, "请填写患者姓名")], ids=str)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(people, change, words):
    answer = people["qs"].post("/orders/new", **(FORM | change))
    assert answer.status_code == 400 and words in answer.text
    assert 'value="李全科"' in answer.text and "痰中带血" in answer.text or "clinical_question" in change


def test_an_order_is_changed_cancelled_and_placed_again_for_the_same_patient(county, people):
    order = ordered(county)
    page = people["qs"].get(f"/orders/{order.id}/change").text
    assert 'value="测试甲"' in page and "咳嗽 3 周，痰中带血，除外肺癌" in page
    assert people["qs"].post(f"/orders/{order.id}/change", **(FORM | {"procedure": "胸部增强 CT"})).status_code == 302
    assert "胸部增强 CT" in people["qs"].get(f"/orders/{order.id}").text
    assert people["qs"].post(f"/orders/{order.id}/cancel", words="").status_code == 400
    assert people["qs"].post(f"/orders/{order.id}/cancel", words="患者未到").status_code == 302
    assert people["qs"].post(f"/orders/{order.id}/cancel", words="再次").status_code == 409
    assert order.accession_number in people["qs"].get("/orders?state=cancelled").text
    again = people["qs"].get(f"/orders/new?like={order.id}").text
    assert 'value="曾小明"' in again and "胸部增强 CT" not in again


def test_the_clinical_question_stands_beside_the_study_for_reader_and_clinic(county, people):
    order = ordered(county, urgency="urgent", clinical_question="突发胸痛 1 小时，除外主动脉夹层")
    study_id = arrived(county, order)
    for name in ("chen", "zhou", "qs"):
        page = people[name].get(f"/studies/{study_id}").text
        assert "突发胸痛 1 小时，除外主动脉夹层" in page and order.accession_number in page
    assert worklist.of_study(county.hub, study_id).rank == 1
    assert f"/studies/{study_id}" in people["qs"].get("/orders?state=completed").text


def test_the_clinical_question_is_printed_in_the_letter(county):
    pypdf = pytest.importorskip("pyhanko.pdf_utils.reader")
    order = ordered(county, clinical_question="咯血待查，长期吸烟")
    report_id = county.signed(arrived(county, order))
    _, pdf = dispatch.signed_pdf(county.hub, county.actor("qs"), report_id)
    assert pypdf.PdfFileReader(io.BytesIO(pdf)).root["/Type"] == "/Catalog"
    with county.hub.reading() as connection:
        letter, _ = _letter(county.hub, connection, report_id)
    assert letter.clinical_information == "咯血待查，长期吸烟" and letter.accession_number == order.accession_number


def test_a_suggestion_is_confirmed_on_the_reading_page(county, people):
    order = ordered(county, clinical_question="外伤后腹痛")
    study_id = arrived(county, order, birth_date="1963-02-12")
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "可能的申请单" in page and "出生日期不同" in page and "检查号一致" in page
    match = matches(county.hub, study_id)[-1]
    assert people["chen"].post(f"/orders/matches/{match.id}/join", next=f"/studies/{study_id}").location == f"/studies/{study_id}"
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "外伤后腹痛" in page and "可能的申请单" not in page


def test_another_patients_order_under_the_same_number_is_a_warning_and_cannot_be_joined(county, people):
    order = ordered(county, patient_name="赵六", patient_number="QS9999", sex="F", birth_date="1990-01-01", clinical_question="孕前检查")
    study_id = arrived(county, order)
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "申请单患者不符" in page and "赵六" in page and "孕前检查" not in page
    match = next(one for one in matches(county.hub, study_id) if one.order_id == order.id)
    assert people["chen"].post(f"/orders/matches/{match.id}/join").status_code in (403, 409)
    assert people["chen"].post(f"/orders/matches/{match.id}/dismiss").status_code == 302
    assert "申请单患者不符" not in people["chen"].get(f"/studies/{study_id}").text
    assert people["chen"].post(f"/orders/matches/{match.id}/restore").status_code == 302
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "申请单患者不符" in page and "孕前检查" not in page
    assert people["chen"].post(f"/orders/matches/{match.id}/join").status_code == 403


def test_a_study_without_an_order_has_no_box(county, people):
    study_id = county.study("QS")
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "order-box" not in page and "申请单患者不符" not in page


def test_an_order_past_its_time_says_so(county, people):
    hub = county.hub
    ordering.place(hub, county.actor("qs"), wish(hub.now() - timedelta(hours=3), patient_name="迟到者"))
    assert "已过预约时间" in people["qs"].get("/orders?text=迟到者").text


def test_the_pages_speak_english(county, people):
    order = ordered(county)
    people["lin"].post("/language", language="en")
    try:
        for path in ("/orders", f"/orders/{order.id}"):
            page = people["lin"].get(path).text
            assert "Clinical question" in page and "临床问题" not in page
    finally:
        people["lin"].post("/language", language="zh")
