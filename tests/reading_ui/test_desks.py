"""The desks: claim, write, submit, review, sign, return, acknowledge, as a person's browser asks for them."""
import io
import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
from PIL import Image
from sqlalchemy import update

from hub.flow import reporting, studies, worklist
from hub.storage.tables import study
from tests.reading_ui.county import CHEST, ecg_csv

WORDS = CHEST.as_json()


def test_two_people_carry_a_study_from_the_queue_to_the_clinics_acknowledgement(county, people):
    study_id = county.study("QS", patient="走完全程", pixels=True)
    reading_id = county.reading(study_id)
    assert "走完全程" in people["chen"].get("/worklist").text
    assert people["chen"].post(f"/readings/{reading_id}/claim").location == f"/studies/{study_id}"
    assert people["chen"].send("PUT", f"/readings/{reading_id}/draft", {"revision": 0, "content": WORDS}).get_json() == {"revision": 1}
    assert people["chen"].post(f"/readings/{reading_id}/submit").location == "/worklist"
    assert "审核签发" in people["zhou"].get(f"/studies/{study_id}").text
    assert people["zhou"].post(f"/readings/{reading_id}/sign").location == "/worklist?state=review"
    report = reporting.versions(county.hub, county.actor("zhou"), reading_id)[0]
    county.issued(report.id)
    page = people["qs"].get(f"/clinic/reports/{report.id}").text
    assert report.number in page and "签收" in page and f"/reports/{report.id}.pdf" in page
    pdf = people["qs"].get(f"/reports/{report.id}.pdf")
    assert pdf.mimetype == "application/pdf" and pdf.data.startswith(b"%PDF-")
    assert people["qs"].post(f"/reports/{report.id}/acknowledge").status_code == 302
    assert "已签收" in people["qs"].get(f"/clinic/reports/{report.id}").text
    assert people["qs"].post(f"/reports/{report.id}/acknowledge").status_code == 409


def test_a_newer_draft_is_shown_and_not_overwritten(county, people):
    study_id = county.study("QS")
    reading_id = county.reading(study_id)
    people["chen"].post(f"/readings/{reading_id}/claim")
    address = f"/readings/{reading_id}/draft"
    assert people["chen"].send("PUT", address, {"revision": 0, "content": {**WORDS, "findings": "第一处"}}).status_code == 200
    late = people["chen"].send("PUT", address, {"revision": 0, "content": {**WORDS, "findings": "第二处"}})
    assert late.status_code == 409
    assert late.get_json()["current"]["revision"] == 1 and late.get_json()["current"]["content"]["findings"] == "第一处"
    assert people["chen"].get(address, accept="application/json").get_json()["content"]["findings"] == "第一处"


def test_another_reader_cannot_write_into_a_claimed_report(county, people):
    study_id = county.study("QS")
    reading_id = county.written(study_id, by="chen")
    answer = people["lin"].send("PUT", f"/readings/{reading_id}/draft", {"revision": 1, "content": WORDS})
    assert answer.status_code == 403 and "其他医师" in answer.get_json()["message"]


def test_nobody_signs_their_own_report(county, people):
    study_id = county.study("QS")
    reading_id = county.submitted(study_id, by="zhou")
    assert "审核签发" not in people["zhou"].get(f"/studies/{study_id}").text
    answer = people["zhou"].post(f"/readings/{reading_id}/sign")
    assert answer.status_code == 403 and "不能审核自己书写的报告" in answer.text
    assert people["wu"].post(f"/readings/{reading_id}/sign").status_code == 302


def test_an_unfinished_report_is_not_submitted_and_the_sentence_says_what_lacks(county, people):
    study_id = county.study("QS")
    reading_id = county.written(study_id, content=replace(CHEST, impression="", positive=None))
    answer = people["chen"].post(f"/readings/{reading_id}/submit", accept="application/json")
    assert answer.status_code == 400 and "诊断意见、阴性/阳性" in answer.get_json()["message"]


def test_a_form_without_script_saves_its_words_and_submits_them(county, people):
    study_id = county.study("QS")
    reading_id = county.reading(study_id)
    people["chen"].post(f"/readings/{reading_id}/claim")
    answer = people["chen"].post(f"/readings/{reading_id}/submit", revision="0", findings="双肺清晰。", impression="未见异常。", recommendation="", positive="no",
                                 critical_finding="", template_id="")
    assert answer.status_code == 302
    report = reporting.versions(county.hub, county.actor("chen"), reading_id)[0]
    assert report.content["findings"] == "双肺清晰。" and report.positive is False


def test_a_second_claim_is_told_who_was_first(county, people):
    reading_id = county.reading(county.study("QS"))
    people["chen"].post(f"/readings/{reading_id}/claim")
    answer = people["lin"].post(f"/readings/{reading_id}/claim")
    assert answer.status_code == 409 and "陈医生" in answer.text


def test_a_returned_case_shows_its_reason_to_the_clinic(county, people):
    study_id = county.study("QS", patient="请重做")
    reading_id = county.reading(study_id)
    people["chen"].post(f"/readings/{reading_id}/claim")
    assert people["chen"].post(f"/readings/{reading_id}/bounce", reason="呼吸运动伪影明显，请屏气后重新扫描。").status_code == 302
    assert "呼吸运动伪影明显" in people["qs"].get("/clinic?state=bounced").text


def test_sending_back_returns_the_report_to_its_reader(county, people):
    study_id = county.study("QS")
    reading_id = county.submitted(study_id)
    assert people["zhou"].post(f"/readings/{reading_id}/send-back", words="请补充纵隔淋巴结描述").status_code == 302
    assert worklist.find(county.hub, reading_id).claimed_by == county.accounts["chen"]
    assert 'id="report-form"' in people["chen"].get(f"/studies/{study_id}").text


def test_an_amendment_keeps_the_old_version_readable(county, people):
    study_id = county.study("QS")
    first = county.signed(study_id)
    reading_id = county.reading(study_id)
    assert people["chen"].post(f"/readings/{reading_id}/amend", reason="补充测量").location == f"/studies/{study_id}"
    people["chen"].post(f"/readings/{reading_id}/submit")
    people["zhou"].post(f"/readings/{reading_id}/sign")
    newest = reporting.versions(county.hub, county.actor("chen"), reading_id)[0]
    assert newest.version == 2 and "补充测量" in people["chen"].get(f"/reports/{newest.id}").text
    old = people["qs"].get(f"/clinic/reports/{first}")
    assert old.status_code == 200 and "这是旧版本" in old.text


def test_a_critical_value_goes_to_the_clinic_and_comes_back_repeated(county, people):
    from hub.flow import critical
    study_id = county.study("QS", patient="气胸患者")
    county.submitted(study_id, content=replace(CHEST, critical=True, critical_finding="右侧张力性气胸"))
    assert "右侧张力性气胸" in people["qs"].get("/clinic").text and "右侧张力性气胸" not in people["bx"].get("/clinic").text
    one = next(c for c in critical.for_clinic(county.hub, county.actor("qs")) if c.study_id == study_id)
    assert people["qs"].post(f"/criticals/{one.id}/read-back", words="").status_code == 400
    assert people["qs"].post(f"/criticals/{one.id}/read-back", words="右侧张力性气胸，已联系转诊").status_code == 302
    assert "闭环" in people["chen"].get("/worklist").text
    assert people["chen"].post(f"/criticals/{one.id}/close").status_code == 302
    assert "右侧张力性气胸" not in people["chen"].get("/worklist").text


def test_an_emergency_goes_out_with_one_signature_and_waits_for_the_second(county, people):
    study_id = county.study("QS", urgency="emergency")
    reading_id = county.written(study_id)
    assert "危急单签" in people["chen"].get(f"/studies/{study_id}").text
    assert people["chen"].post(f"/readings/{reading_id}/sign-alone").status_code == 302
    report = reporting.versions(county.hub, county.actor("chen"), reading_id)[0]
    assert "补签" in people["zhou"].get(f"/studies/{study_id}").text
    assert people["chen"].post(f"/reports/{report.id}/countersign").status_code == 403
    assert people["zhou"].post(f"/reports/{report.id}/countersign").status_code == 302


def test_the_public_check_names_no_patient(county, stranger):
    study_id = county.study("QS", patient="不该出现")
    report_id = county.signed(study_id)
    code = reporting.version(county.hub, county.actor("chen"), report_id).check_code
    page = stranger.get(f"/verify/{code}")
    assert page.status_code == 200 and "最新版本" in page.text and "不该出现" not in page.text
    assert stranger.get("/verify/ffffffffffffffff").status_code == 404
    assert stranger.get("/verify/").status_code == 404


def test_a_key_image_is_the_frame_in_the_readers_window(county, people):
    study_id = county.study("QS", pixels=True)
    uid = studies.instances_of(county.hub, study_id)[0].sop_uid
    wanted = {"sop_instance_uid": uid, "frame": 1, "window_center": 50, "window_width": 350, "invert": False, "caption": "病灶"}
    answer = people["chen"].send("POST", f"/studies/{study_id}/key-images", wanted)
    assert answer.status_code == 201
    png = people["chen"].get(answer.get_json()["address"])
    pixels = np.asarray(Image.open(io.BytesIO(png.data)))
    # PS3.3 C.11.2.1.2: air -1000 HU is black, 20 HU lies at ((20 - 49.5) / 349 + 0.5) * 255 = 106, 300 HU is white
    assert pixels.shape == (128, 128) and pixels[0, 0] == 0 and pixels[80, 64] == 106 and pixels[51, 83] == 255
    assert answer.get_json()["caption"] == "病灶"
    turned = people["chen"].send("POST", f"/studies/{study_id}/key-images", {**wanted, "invert": True}).get_json()
    assert np.asarray(Image.open(io.BytesIO(people["chen"].get(turned["address"]).data)))[80, 64] == 149


def test_a_key_image_request_that_makes_no_sense_is_refused(county, people):
    study_id, other = county.study("QS", pixels=True), county.study("QS", pixels=True)
    uid, foreign = (studies.instances_of(county.hub, s)[0].sop_uid for s in (study_id, other))
    fine = {"sop_instance_uid": uid, "frame": 1}
    for body, status in (({**fine, "frame": 2}, 400), ({**fine, "frame": "1"}, 400), ({**fine, "window_width": "wide"}, 400), ([], 400),
                         ({**fine, "sop_instance_uid": foreign}, 404), ({**fine, "caption": "x" * 201}, 400)):
        assert people["chen"].send("POST", f"/studies/{study_id}/key-images", body).status_code == status, body


def test_the_ecg_sheet_is_drawn_from_the_original_file(county, people):
    study_id = county.study("QS", modality="ECG", body_part="", kind="ecg", slices=1, files=[ecg_csv()], told=False)
    assert people["chen"].get(f"/studies/{study_id}").location == f"/ecgs/{study_id}"
    sheet = people["chen"].get(f"/ecgs/{study_id}/sheet.svg?layout=12x1&speed=50&gain=20&filters=baseline,mains")
    assert sheet.mimetype == "image/svg+xml" and all(f'data-lead="{lead}"' in sheet.text for lead in ("I", "aVR", "V6"))
    assert people["chen"].get(f"/ecgs/{study_id}/sheet.svg?speed=999").status_code == 400
    assert people["bx"].get(f"/ecgs/{study_id}/sheet.svg").status_code == 404


def test_an_unreadable_recording_says_so_instead_of_a_sheet(county, people):
    study_id = county.study("QS", modality="ECG", body_part="", kind="ecg", slices=1, files=[b"not an ecg"], told=False)
    answer = people["chen"].get(f"/ecgs/{study_id}/sheet.svg", accept="image/svg+xml")
    assert answer.status_code == 400


def test_a_template_is_filled_with_measured_values_and_marks_the_unmeasured(county, people):
    measured = {"engine": "t", "quality": {"verdict": "good", "leads_off": [], "findings": []}, "lead_measurements": {}, "beats": [], "statements": [],
                "measurements": {"heart_rate": {"value": 72.4, "unit": "bpm", "reason": ""}, "pr": {"value": None, "unit": "ms", "reason": "no_p_wave"}}}
    study_id = county.study("QS", modality="ECG", body_part="", kind="ecg", slices=1, files=[ecg_csv()], told=False, analysis=measured)
    people["chen"].post(f"/readings/{county.reading(study_id)}/claim")
    page = people["chen"].get(f"/ecgs/{study_id}").text
    assert "心率 72 次/分" in json.dumps(page, ensure_ascii=False) or "\\u6b21" in page
    from reading_ui.panel import filled
    assert filled("心率 {heart_rate} 次/分，PR {pr} ms，{unknown}", {"heart_rate": "72", "pr": ""}) == "心率 72 次/分，PR 【】 ms，【】"
    assert "未见 P 波" in page


def test_the_stream_says_that_the_list_changed_and_only_then(county, people):
    first = people["chen"].client.get("/worklist/events").text
    mark = first.split("id: ")[1].split("\n")[0]
    assert "event: change" in first and "retry:" in first
    same = people["chen"].client.get("/worklist/events", headers={"Last-Event-ID": mark}).text
    assert "event: change" not in same
    county.study("QS")
    assert "event: change" in people["chen"].client.get("/worklist/events", headers={"Last-Event-ID": mark}).text


def test_the_table_carries_the_mark_of_the_state_it_shows(county, people):
    table = people["chen"].get("/worklist/table").text
    mark = table.split('data-mark="')[1].split('"')[0]
    assert "event: change" not in people["chen"].client.get("/worklist/events", headers={"Last-Event-ID": mark}).text


def test_filters_that_make_no_sense_do_not_break_the_list(people):
    for query in ("state=nonsense", "page=0", "page=999999", "urgency=x&modality=<b>", "text=%25%27"):
        assert people["chen"].get(f"/worklist?{query}").status_code == 200, query
    assert people["chen"].get("/worklist?site=abc").status_code == 400


def test_every_look_at_a_patient_is_in_the_audit(county, people):
    from hub.flow import administration
    study_id = county.study("QS")
    people["lin"].get(f"/studies/{study_id}")
    entry = administration.audit_entries(county.hub, county.actor("audit"), action="study.view")[0]
    assert entry.actor == "林医生" and entry.object_id == str(study_id)


def test_reading_the_next_one_claims_the_most_urgent(county, people):
    routine, urgent = county.study("QS"), county.study("QS", urgency="emergency")
    answer = people["lin"].post("/worklist/next")
    assert answer.location == f"/studies/{urgent}"
    assert worklist.of_study(county.hub, routine).state == "queued"


def test_the_next_report_to_review_is_never_ones_own(county, people):
    own = county.study("QS", patient="自己写的", urgency="emergency")
    county.submitted(own, by="zhou")
    answer = people["zhou"].post("/worklist/next", state="review").location
    assert answer != f"/studies/{own}"
    assert f'data-review href="/studies/{own}"' not in people["zhou"].get("/worklist?state=review&text=自己写的").text
    assert f'data-review href="/studies/{own}"' in people["wu"].get("/worklist?state=review&text=自己写的").text


def test_a_report_signed_by_one_is_offered_to_the_other_reviewers_for_the_second_signature(county, people):
    study_id = county.study("QS", patient="待补签者", urgency="emergency")
    reading_id = county.written(study_id, by="zhou")
    reporting.sign_alone(county.hub, county.actor("zhou"), reading_id)
    assert f'data-review href="/studies/{study_id}"' not in people["zhou"].get("/worklist?state=review&text=待补签者").text
    assert f'data-review href="/studies/{study_id}"' in people["wu"].get("/worklist?state=review&text=待补签者").text


def test_a_reader_changes_the_urgency_on_the_reading_page_and_returns_to_it(county, people):
    study_id = county.study("QS")
    assert f'action="/studies/{study_id}/urgency"' in people["chen"].get(f"/studies/{study_id}").text
    assert people["chen"].post(f"/studies/{study_id}/urgency", urgency="urgent", next=f"/studies/{study_id}").location == f"/studies/{study_id}"
    assert studies.find(county.hub, county.actor("chen"), study_id).urgency == "urgent"
    reporting.sign(county.hub, county.actor("wu"), county.submitted(study_id))
    assert f'action="/studies/{study_id}/urgency"' not in people["chen"].get(f"/studies/{study_id}").text


def test_the_clinic_finds_its_patients_by_day_of_arrival(county, people):
    county.study("QS", patient="今日到达")
    today = county.hub.now().astimezone(county.hub.settings.zone).date()
    day = timedelta(days=1)
    for since, until, seen in ((today, today, True), (today + day, "", False), ("", today - day, False), (today - day, "", True), ("nonsense", "", True)):
        assert (">今日到达<" in people["qs"].get(f"/clinic?text=今日到达&since={since}&until={until}").text) == seen, (since, until)


def test_images_that_came_after_the_signature_are_named_and_lead_to_an_amendment(county, people):
    study_id = county.study("QS", patient="补传的人", slices=3, told=False)
    county.signed(study_id)
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "收全之后又收到" not in page
    county.late_slice(study_id)
    page = people["chen"].get(f"/studies/{study_id}").text
    assert "收全之后又收到" in page and "（第 99 幅）" in page and "已签发的报告未包含这些图像" in page and 'data-opens="amend"' in page


def test_whoever_reads_and_whoever_received_the_report_is_told_of_images_after_the_signature(county, people):
    study_id = county.study("QS", patient="签后补传", slices=3)
    report_id = county.signed(study_id)

    def told() -> list[bool]:
        return [words in people[who].get(path).text for who, path, words in (
            ("chen", "/worklist?state=mine", "签后补传"), ("zhou", "/worklist/table?text=nobody", "签后补传"),
            ("qs", "/clinic?text=签后补传", "签发后有补传图像"), ("qs", f"/clinic/reports/{report_id}", "签发后有补传图像"))]

    assert told() == [False] * 4
    county.late_slice(study_id)
    assert told() == [True] * 4
    reading_id = county.reading(study_id)
    assert 'data-opens="stands"' in people["chen"].get(f"/studies/{study_id}").text
    assert people["chen"].post(f"/readings/{reading_id}/stands", words=" ").status_code == 400
    assert people["chen"].post(f"/readings/{reading_id}/stands", words="补传的是定位像").status_code == 302
    assert told() == [False] * 4 and 'data-opens="stands"' not in people["chen"].get(f"/studies/{study_id}").text


def test_the_proof_sheet_says_who_told_how_many_and_what_lacks(county, people):
    whole, numbered = county.study("QS", slices=3), county.study("QS", slices=3, told=False)
    page, other = (people["chen"].get(f"/studies/{one}").text for one in (whole, numbered))
    assert "完整性依据" in page and "图像自带总数" in page and "静默" in page and "编号与层面位置" not in page
    assert "编号与层面位置" in other and "图像自带总数" not in other
    with county.hub.writing() as connection:
        proof = connection.execute(study.select().where(study.c.id == numbered)).one().proof
        connection.execute(update(study).where(study.c.id == numbered).values(proof=proof | {"verdict": "incomplete", "promised": 2}, resent=7))
    assert "7 次重复发送" in people["chen"].get(f"/studies/{numbered}").text and "重复发送" not in page
    for who in ("chen", "qs"):
        assert people[who].get(f"/studies/{numbered}").text.count("设备请求存储确认的图像中有 2 幅未收到") == 2


def test_the_machines_line_is_english_on_an_english_page(county, people):
    county.study("QS", patient="双语摘要", summary="窦性心律", flags={"quality": "good", "summary_en": "Sinus rhythm"}, modality="ECG", kind="ecg", slices=1)
    assert "窦性心律" in people["lin"].get("/worklist?text=双语摘要").text
    people["lin"].post("/language", language="en", next="/worklist")
    try:
        page = people["lin"].get("/worklist?text=双语摘要").text
        assert "Sinus rhythm" in page and "窦性心律" not in page
    finally:
        people["lin"].post("/language", language="zh", next="/worklist")
