"""The operations, quarantine and delivery desks, as the administrator's browser asks for them."""
import html
import re

import pytest

from hub.flow import administration, dispatch, fixity, intake, jobs, reporting, studies
from hub.model.access import SYSTEM
from hub.queue import outbox
from tests.reading_ui.house import opened

JUNK = b"\x00not a DICOM object\xff" * 40


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("operations")) as made:
        yield made


@pytest.fixture
def failed_job(house):
    """A delivery that does not exist: refused for good at the first try."""
    key = f"gone {len(administration.failed_jobs(house.hub, SYSTEM))} {house.hub.now()}"
    with house.hub.writing() as connection:
        outbox.enqueue(connection, house.hub.now(), "deliver", key, delivery_id=999_999)
    with house.hub.reading() as connection:
        job_id = max(job.id for job in outbox.due(connection, house.hub.now()))
    assert jobs.perform(house.hub, job_id) == "failed"
    return job_id


@pytest.fixture
def held_id(house):
    stored = house.hub.blobs.keep(JUNK + str(house.hub.now()).encode(), "../报告 one.dcm")
    taken = intake.quarantine(house.hub, house.county.devices["QS"], "dicom", (stored,), "unparsable")
    return taken.held_id


def _words(answer):
    return html.unescape(answer.text)


def test_the_overview_counts_what_waits_and_names_what_is_well(house, failed_job, held_id):
    page = _words(house.admin.get("/operations"))
    assert "任务失败，可重做" in page and "隔离与冲突待处理" in page
    assert re.search(r"数据库</span><span class=\"badge good\">正常", page)
    assert "没有这次发送" in page and "no such delivery" in page


def test_a_failed_job_runs_again_when_the_administrator_says_so(house, failed_job):
    assert house.admin.post(f"/operations/jobs/{failed_job}/redo").location == "/operations"
    assert failed_job not in [job.id for job in administration.failed_jobs(house.hub, SYSTEM)]
    with house.hub.reading() as connection:
        assert failed_job in [job.id for job in outbox.due(connection, house.hub.now())]
    assert "job.redo" in house.actions()


def test_a_job_that_has_not_failed_is_not_run_again_and_the_page_says_why(house, failed_job):
    house.admin.post(f"/operations/jobs/{failed_job}/redo")
    answer = house.admin.post(f"/operations/jobs/{failed_job}/redo")
    assert answer.status_code == 409
    assert "不能执行此操作" in answer.text and "后台任务" in answer.text


def test_a_held_original_is_downloaded_byte_for_byte_and_on_record(house, held_id):
    kept = administration.held_objects(house.hub, SYSTEM)[0]
    page = _words(house.admin.get(f"/held/{held_id}"))
    assert kept.sha256 in page and "无法解析" in page and "青山镇中心卫生院" in page
    answer = house.admin.get(f"/held/{held_id}/files/0")
    assert answer.data == house.hub.blobs.read(kept.sha256)
    assert answer.mimetype == "application/octet-stream" and answer.headers["Cache-Control"] == "no-store"
    assert "/" not in answer.headers["Content-Disposition"].split("filename=")[1]
    assert house.actions()[:2] == ["held.download", "held.view"]
    assert house.admin.get(f"/held/{held_id}/files/1").status_code == 404


def test_a_held_case_closes_with_a_word_and_keeps_its_bytes(house, held_id):
    empty = house.admin.post(f"/held/{held_id}/resolve", words="  ")
    assert empty.status_code == 400 and "请写明处理结果" in empty.text
    assert house.admin.post(f"/held/{held_id}/resolve", words="已请机构重新发送").location == "/held"
    assert f"/held/{held_id}\"" not in house.admin.get("/held").text
    closed = house.admin.get("/held?state=resolved").text
    assert "已请机构重新发送" in closed and "系统管理员" in closed
    assert house.admin.get(f"/held/{held_id}/files/0").status_code == 200
    assert house.admin.post(f"/held/{held_id}/resolve", words="又一次").status_code == 409


def test_a_conflict_names_what_differs(house):
    house.county.study("QS", patient="先到者", number="P-1")
    house.county.made -= 1
    house.county.study("QS", patient="后到者", number="P-2", files=[b"other slice %d" % at for at in range(4)])
    same_uid = administration.held_objects(house.hub, SYSTEM)[0]
    page = _words(house.admin.get(f"/held/{same_uid.id}"))
    assert "内容冲突" in page and "后到者" in page and "已收入的版本" in page


@pytest.fixture
def overdue(house):
    """A signed report whose delivery nobody has made for four days."""
    reading_id = house.county.submitted(house.county.study("QS"))
    report_id = reporting.sign(house.hub, house.county.actor("zhou"), reading_id)
    dispatch.issue_letter(house.hub, report_id)
    dispatch.DELIVERIES.mark_overdue(house.county.later(4 * 86400))
    return dispatch.of_report(house.hub, SYSTEM, report_id)[0]


def test_an_overdue_delivery_is_sent_again(house, overdue):
    listed = house.admin.get("/deliveries?state=overdue").text
    assert f"/deliveries/{overdue.id}/resend" in listed
    assert "未送达" in house.admin.get("/operations").text
    assert house.admin.post(f"/deliveries/{overdue.id}/resend").location == f"/deliveries/{overdue.id}"
    assert dispatch.delivery_of(house.hub, SYSTEM, overdue.id).state == "due"
    dispatch.deliver(house.hub, overdue.id)
    page = _words(house.admin.get(f"/deliveries/{overdue.id}"))
    assert "已送达" in page and overdue.pdf_sha256 in page and len(dispatch.receipts(house.hub, SYSTEM, overdue.id)) == 1


def test_a_delivered_report_is_not_sent_twice(house, overdue):
    house.admin.post(f"/deliveries/{overdue.id}/resend")
    dispatch.deliver(house.hub, overdue.id)
    answer = house.admin.post(f"/deliveries/{overdue.id}/resend")
    assert answer.status_code == 409 and "不能执行此操作" in answer.text
    assert dispatch.delivery_of(house.hub, SYSTEM, overdue.id).state == "delivered"


def test_empty_desks_say_what_to_do_next(tmp_path):
    with opened(tmp_path / "empty") as fresh:
        for path, words in (("/operations", "没有失败的任务"), ("/held", "没有待处理的隔离对象"), ("/held?state=resolved", "还没有处理过"),
                            ("/deliveries", "还没有发送过报告"), ("/deliveries?state=refused", "查看全部发送")):
            assert words in fresh.admin.get(path).text, path


def test_the_desks_speak_english_when_asked(house):
    house.admin.post("/language", language="en")
    try:
        for path, words in (("/operations", "Background jobs"), ("/held", "Held objects"), ("/deliveries", "Acknowledged"), ("/devices", "Register a device"), ("/accounts", "Add an account")):
            assert words in house.admin.get(path).text, path
    finally:
        house.admin.post("/language", language="zh")


def test_a_damaged_file_is_shown_with_whom_to_call_and_on_the_study_itself(house):
    study_id = house.county.study("QS", patient="坏盘", slices=3)
    row = studies.instances_of(house.hub, study_id)[1]
    path = house.hub.blobs.path(row.sha256)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    fixity.check_everything(house.hub, lambda done, of: None)
    page = house.admin.get("/operations").text
    assert row.sha256[:16] in page and "内容损坏" in page and "0871-6802 1120" in page
    assert "原始文件损坏" in house.enter("chen").get(f"/studies/{study_id}").text
    path.write_bytes(whole)
    fixity.check_some(house.hub, 0)
    assert row.sha256[:16] not in house.admin.get("/operations").text
    assert "原始文件损坏" not in house.enter("chen").get(f"/studies/{study_id}").text
