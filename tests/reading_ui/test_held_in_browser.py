"""In a real Chromium: objects of every kind of quarantine come in through the DICOM door, and the administrator resolves each."""
import threading

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from werkzeug.serving import make_server

from dicom_gateway import server
from hub.flow import repairs, studies
from hub.model.access import SYSTEM
from reading_ui.app import create_app
from tests.dicom_gateway.running import Gateway, slice_of_ct
from tests.dicom_gateway.test_store import _send_raw
from tests.reading_ui.county import County
from tests.reading_ui.test_in_browser import CHROMIUM, chromium, sign_in, sync_api      # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found")]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A county with its pages and its DICOM door; what strangers send is held."""
    county = County(tmp_path_factory.mktemp("held"), sessions_per_account=50, unknown_callers="hold", dicom_host="127.0.0.1", dicom_port=0)
    started = server.start(county.hub)
    county.gateway = Gateway(county.hub, started.server_address[1], started)
    pages = make_server("127.0.0.1", 0, create_app(county.hub), threaded=True)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    county.address = f"http://127.0.0.1:{pages.server_port}"
    yield county
    pages.shutdown()
    started.shutdown()


def a_slice(number: int, uid: str, **more):
    return slice_of_ct(number, uid, f"{uid}.1", **({"SOPInstanceUID": f"{uid}.1.{number}", "PatientName": "LI^NA", "PatientID": f"P{uid}"} | more))


def sent(served, *objects, calling: str = "QSCT") -> list[int]:
    for one in objects:
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    return served.gateway.send(*objects, calling=calling)


@pytest.fixture
def desk(served, sign_in):      # noqa: F811
    """The administrator's page of what is held; ``decide`` takes the newest and returns its page."""
    page = sign_in("admin", "/")
    page.get_by_role("link", name="隔离").first.click()
    page.on("dialog", lambda dialog: dialog.accept())

    def decide(choice: str, words: str, kind: str, **fields: str):
        page.goto(f"{served.address}/held")
        page.locator("tbody tr", has_text=kind).first.get_by_role("link", name="处理").click()
        page.check(f"input[name=choice][value={choice}]")
        for name, value in fields.items():
            page.select_option(f"[name={name}]", label=value) if page.locator(f"select[name={name}]").count() else page.fill(f"[name={name}]", value)
        page.fill("#words", words)
        page.get_by_role("button", name="执行处理").click()
        page.goto(f"{served.address}/held?state={'discarded' if choice == 'discard' else 'resolved'}")
        page.locator("tbody tr", has_text=words).first.get_by_role("link", name="查看").click()
        return page
    return decide


def study_of(served, uid: str):
    return studies.find(served.hub, SYSTEM, study_uid=uid)


def the_pixels(served, uid: str) -> list[bytes]:
    _, instances = repairs.parts(served.hub, SYSTEM, study_of(served, uid).id)
    return [dcmread(served.hub.blobs.path(one.sha256)).PixelData for one in instances]


def test_what_cannot_be_parsed_is_discarded_and_brought_back(served, desk):
    ds = a_slice(1, "1.2.1")
    association = served.gateway.associate((ds.SOPClassUID, DeflatedExplicitVRLittleEndian), calling="QSCT")
    assert _send_raw(association, ds, b"\0junk" * 99) == 0xC000
    association.release()
    page = desk("discard", "设备测试文件", "无法解析")
    page.get_by_role("button", name="撤销处理").click()
    sync_api.expect(page.get_by_role("button", name="执行处理")).to_be_visible()
    desk("discard", "确为测试文件", "无法解析")


def test_an_object_without_its_uids_gets_some(served, desk):
    ds = a_slice(1, "1.2.2")
    del ds.StudyInstanceUID, ds.SeriesInstanceUID
    assert sent(served, ds) == [0xC000]
    desk("supply", "设备漏写标识", "缺少", StudyInstanceUID="2.25.222")
    assert the_pixels(served, "2.25.222") == [ds.PixelData]


def test_a_second_version_is_used_the_decision_undone_and_the_first_kept(served, desk):
    first, second = a_slice(1, "1.2.3"), a_slice(1, "1.2.3", PixelData=b"\1\2" * 256)
    assert sent(served, first, second) == [0, 0xB000]
    page = desk("use_second", "以后到的为准", "内容冲突")
    assert the_pixels(served, "1.2.3") == [second.PixelData]
    page.get_by_role("button", name="撤销处理").click()
    sync_api.expect(page.get_by_role("button", name="执行处理")).to_be_visible()
    assert the_pixels(served, "1.2.3") == [first.PixelData]
    desk("keep_first", "以先到的为准", "内容冲突")
    assert the_pixels(served, "1.2.3") == [first.PixelData]


def test_another_patients_image_becomes_a_study_of_its_own(served, desk):
    own, other = a_slice(1, "1.2.4"), a_slice(2, "1.2.4", PatientName="ZHAO^MIN", PatientID="P9", PixelData=b"\3\4" * 256)
    assert sent(served, own, other) == [0, 0xB000]
    page = desk("separate", "确为另一位患者", "患者")
    page.locator(".trail a").first.click()
    sync_api.expect(page.locator("main")).to_contain_text("ZHAO MIN")
    assert the_pixels(served, "1.2.4") == [own.PixelData]


def test_what_a_stranger_sent_is_released_to_the_device_that_it_was(served, desk):
    ds = a_slice(1, "1.2.5")
    assert sent(served, ds, calling="STRANGER") == [0xC000]
    desk("release", "设备已登记", "未登记", device="白溪镇卫生院 · BX CT（BXCT）")
    assert study_of(served, "1.2.5").site_id == served.sites["BX"] and the_pixels(served, "1.2.5") == [ds.PixelData]
