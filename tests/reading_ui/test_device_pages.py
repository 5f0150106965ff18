"""The device's pages: rules kept and refused in place, a move, a certificate handed out once, the sheet on one page, counters for operators."""
import re
import subprocess
import threading
from dataclasses import replace

import pytest
from cryptography import x509
from werkzeug.serving import make_server

from hub.delivery import device_sheet
from hub.flow import checkups, device_changes, devices, doors
from hub.model.access import SYSTEM
from reading_ui import checkups as desk
from reading_ui.metrics import page as metrics_page
from reading_ui.wsgi import whole
from tests.dicom_gateway.running import as_file, peer
from tests.dicom_gateway.test_doctor import FAULTS, whole_slice
from tests.reading_ui.conftest import Browser
from tests.reading_ui.county import PASSWORD
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("device-pages"), dicom_port=11112, dicom_tls_port=2762) as made:
        yield made


@pytest.fixture
def device_id(house):
    made, _ = devices.register(house.hub, SYSTEM, site_id=house.county.sites["QS"], kind="dicom", name="16 排 CT", ae_title=f"CT{house.county.made}")
    house.county.made += 1
    return made


def store(house, device_id: int, **fault) -> None:
    """One object of the device, past the network: the door's own intake."""
    from dicom_gateway.services.store import take_in
    row = devices.find(house.hub, SYSTEM, device_id)
    caller = devices.admit(house.hub, row.ae_title, "10.1.1.1")
    house.county.made += 1
    ds = whole_slice(study=f"1.2.156.112605.4.8.{house.county.made}", **fault)
    taken = take_in(house.hub, caller, house.hub.blobs.keep(as_file(ds)))
    assert taken.outcome == "stored", taken


def test_rules_are_kept_shown_and_mended_in_place(house, device_id):
    answer = house.admin.post(f"/devices/{device_id}/rules", address="10.1.0.0/16", charset="GB18030", associations="4", called_titles="HUB", encryption="required")
    assert answer.status_code == 302
    page = house.admin.get(answer.location).text
    assert "规则已保存" in page and 'value="10.1.0.0/16"' in page and 'value="4"' in page and re.search(r'value="required"\s+selected', page)
    wrong = house.admin.post(f"/devices/{device_id}/rules", address="10.1.0.0/16", sop_classes="CT 图像", associations="7")
    assert wrong.status_code == 400 and "应为 UID" in wrong.text and "CT 图像" in wrong.text and 'value="7"' in wrong.text
    assert devices.find(house.hub, SYSTEM, device_id).rules["associations"] == 4
    assert house.actions()[0] == "device.set_rules"


def test_a_move_is_shown_as_history(house, device_id):
    answer = house.admin.post(f"/devices/{device_id}/move", site=str(house.county.sites["BX"]))
    assert answer.status_code == 302
    page = house.admin.get(answer.location).text
    assert page.index("白溪镇卫生院") < page.index("青山镇中心卫生院")
    assert house.admin.post(f"/devices/{device_id}/move", site=str(house.county.sites["BX"])).status_code == 400
    assert house.admin.post(f"/devices/{device_id}/move", site="").status_code == 400


def test_a_certificate_is_handed_out_once_and_its_key_is_nowhere(house, device_id):
    answer = house.admin.post(f"/devices/{device_id}/certificate")
    assert answer.status_code == 200 and "attachment" in answer.headers["Content-Disposition"] and answer.headers["Cache-Control"] == "no-store"
    key, certificate = answer.data.split(b"-----BEGIN CERTIFICATE", 1)
    made = x509.load_pem_x509_certificate(b"-----BEGIN CERTIFICATE" + certificate)
    root = x509.load_pem_x509_certificate(house.admin.get("/devices/network-root.pem").data)
    made.verify_directly_issued_by(root)
    secret = key.splitlines()[1]
    assert all(secret not in file.read_bytes() for file in house.hub.settings.folder.rglob("*") if file.is_file())


def test_a_check_says_what_is_wrong_and_what_to_do_and_names_no_patient(house, device_id):
    assert "还没有检查过" in house.admin.get(f"/devices/{device_id}/check").text
    store(house, device_id, **FAULTS["text.wrong"])
    store(house, device_id, PixelSpacing=None)
    page = house.admin.get(house.admin.post(f"/devices/{device_id}/check").location).text
    assert "字符集声明有误" in page and "请厂家把 SpecificCharacterSet 设为 GB18030" in page and "没有像素间距" in page and "须改正" in page
    assert "张" not in page.replace("张建国", "张")[page.index("检查结果"):] and "QS1" not in page
    assert house.actions()[0] == "device.check"


def test_the_check_speaks_english_too(house, device_id):
    store(house, device_id, PatientID="")
    house.admin.post(f"/devices/{device_id}/check")
    house.admin.post("/language", language="en", next="/")
    page = house.admin.get(f"/devices/{device_id}/check").text
    house.admin.post("/language", language="zh", next="/")
    assert "have no patient ID" in page and "没有患者编号" not in page


def test_a_sample_is_watched_ended_and_kept(house, device_id):
    house.admin.post(f"/devices/{device_id}/sample")
    assert "正在等待设备发送" in house.admin.get(f"/devices/{device_id}/sample").text
    store(house, device_id, RescaleSlope=None)
    live = house.admin.get(f"/devices/{device_id}/sample").text
    assert "已收到 1 个对象" in live and "缺少必需属性" in live and "RescaleSlope" in live
    page = house.admin.get(house.admin.post(f"/devices/{device_id}/sample/end").location).text
    assert "样本" in page and "缺少必需属性" in page
    assert "样本检查已结束" in house.admin.get(f"/devices/{device_id}/sample").text


@pytest.mark.peers
def test_the_sheet_is_one_page_as_pdf_with_what_to_enter_and_what_was_found(house, device_id, tmp_path):
    store(house, device_id, **FAULTS["text.wrong"])
    device_changes.set_rules(house.hub, SYSTEM, device_id, {"address": "10.1.1.7"})
    house.admin.post(f"/devices/{device_id}/check")
    page = house.admin.get(f"/devices/{device_id}/sheet").text
    answer = house.admin.get(f"/devices/{device_id}/sheet.pdf")
    assert answer.mimetype == "application/pdf"
    (tmp_path / "sheet.pdf").write_bytes(answer.data)
    said = subprocess.run([peer("pdftotext"), "-layout", tmp_path / "sheet.pdf", "-"], capture_output=True, text=True, timeout=300).stdout
    about = subprocess.run([peer("pdfinfo"), tmp_path / "sheet.pdf"], capture_output=True, text=True, timeout=300).stdout
    assert re.search(r"Pages:\s+1\b", about)
    row = devices.find(house.hub, SYSTEM, device_id)
    for words in ("设备连接与检查单", "16 排 CT", "11112", "2762", row.ae_title, "10.1.1.7", "字符集声明有误", "C-ECHO"):
        assert words in said.replace("\n", "") and words in page, words


@pytest.mark.peers
def test_the_worst_sheet_still_fits_on_one_page(house, device_id, tmp_path):
    import dicom_gateway.doctor
    book = dicom_gateway.doctor.book()
    faults = [code for code, rule in book.words.items() if rule["level"] in ("bad", "warn")]
    places = {name: "一个相当长的说明 AcquisitionNumber、PositionReferenceIndicator、ReferringPhysicianName" for code in faults
              for name in re.findall(r"{(\w+)}", "".join(book.words[code].values()))}
    with house.app.test_request_context():
        from flask import g
        g.actor, g.account, g.default_language = house.county.actor("admin"), None, "zh"
        sheet = replace(desk._sheet(device_id), verdict="bad", checked_at="2026-05-04 09:00", findings=tuple(book.say(code, **places) for code in faults))
    assert sheet.left_out > 0
    (tmp_path / "worst.pdf").write_bytes(device_sheet.render(sheet))
    about = subprocess.run([peer("pdfinfo"), tmp_path / "worst.pdf"], capture_output=True, text=True, timeout=300).stdout
    assert re.search(r"Pages:\s+1\b", about)


def test_markup_in_a_devices_words_stays_text_on_the_sheet(house, device_id):
    store(house, device_id, Manufacturer='#eval("1") $x$ <b>', PatientID="")
    house.admin.post(f"/devices/{device_id}/check")
    assert "&lt;b&gt;" in house.admin.get(f"/devices/{device_id}/sheet").text
    assert house.admin.get(f"/devices/{device_id}/sheet.pdf").data.startswith(b"%PDF")


def test_the_doors_refusals_are_on_the_operations_page(house, device_id):
    doors.note_now(house.hub, "sop_class", device_id, "10.1.1.1", "1.2.840.10008.5.1.4.1.1.4")
    page = house.admin.get("/operations").text
    assert "不允许该设备发送此类对象" in page and f"/devices/{device_id}/check" in page


def test_metrics_are_for_administrators_and_programs_with_the_token_and_name_no_patient(house, device_id):
    doors.note_now(house.hub, "sop_class", device_id)
    hub = replace(house.hub, settings=replace(house.hub.settings, metrics_token="s3cret-for-prometheus"))
    app = whole(hub)
    assert app.test_client().get("/metrics").status_code == 403
    assert app.test_client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    answer = app.test_client().get("/metrics", headers={"Authorization": "Bearer s3cret-for-prometheus"})
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    assert f'hub_door_events_total{{reason="sop_class",device="{device_id}"}}' in answer.text
    for name in ("chen", "qs", "audit"):
        browser = Browser(app)
        browser.post("/sign-in", username=name, password=PASSWORD.format(name))
        assert browser.get("/metrics").status_code == 403, name
    admin = Browser(app)
    admin.post("/sign-in", username="admin", password=PASSWORD.format("admin"))
    assert admin.get("/metrics").status_code == 200
    assert whole(house.hub).test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


def test_every_line_of_the_metrics_is_in_the_text_format(house):
    """prometheus.io, exposition formats: comments, or name, labels and a number."""
    shape = re.compile(r'[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? \d+')
    families = set()
    for line in metrics_page(house.hub).splitlines():
        if line.startswith("# TYPE"):
            families.add(line.split()[2])
        elif not line.startswith("# HELP"):
            assert shape.fullmatch(line), line
            assert re.match(r"[a-z_]+", line)[0] in families


sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


@pytest.mark.browser
def test_the_page_of_a_sample_shows_what_arrives_by_itself(house, device_id):
    """In a real browser: the technician presses begin, the device sends, and the verdict appears without a click."""
    from tests.reading_ui.test_in_browser import ARGUMENTS, CHROMIUM
    if CHROMIUM is None:
        pytest.skip("no Chromium found")
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        with sync_api.sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = chromium.new_page()
            page.set_default_timeout(180_000)
            page.goto(f"{address}/sign-in")
            page.locator("[name=username]").fill("admin")
            page.locator("[name=password]").fill(PASSWORD.format("admin"))
            page.locator("[name=password]").press("Enter")
            page.wait_for_url("**/operations")
            page.goto(f"{address}/devices/{device_id}/check")
            page.get_by_role("button", name="开始样本检查").click()
            page.get_by_text("正在等待设备发送").wait_for()
            store(house, device_id, PatientID="")
            page.get_by_text("已收到 1 个对象").wait_for()
            page.get_by_text("没有患者编号").first.wait_for()
            page.get_by_role("button", name="结束并保存").click()
            page.get_by_role("heading", name="检查结果").wait_for()
            chromium.close()
    finally:
        server.shutdown()
    assert checkups.open_sample(house.hub, SYSTEM, device_id) is None
