"""The whole road with real input: a township CT and ECG in, a signed report out, through every real door.

The steps depend on each other and run in the order of the file.
"""
from __future__ import annotations

import hashlib
import re
import subprocess
from urllib.parse import urljoin

import pydicom
import pytest

from hub.cli.send import post_ecg
from hub.delivery import webhook
from hub.flow import administration, studies
from hub.flow.studies import StudyQuery
from hub.model.access import SYSTEM
from hub.storage.tables import delivery
from tests.hub.arrivals import rows
from tests.journeys.conftest import PATIENCE_S, free_port, program, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.peers, pytest.mark.processes]
SECRET = "a-secret-of-the-clinic-0001"
PASSWORDS = {"reader": "Reader-2026", "reviewer": "Reviewer-2026", "qingshan": "Qingshan-2026", "baihe": "Baihe-2026"}


@pytest.fixture(scope="module")
def road(running_hub, inbox, tmp_path_factory, real_data):
    """What the steps hand on: the running hub, the clinic's own DICOM node and inbox, the sent files."""
    node = tmp_path_factory.mktemp("node")
    port = free_port()
    scp = subprocess.Popen([program("storescp"), "-od", str(node), "-aet", "CLINIC", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    site = next(row.id for row in administration.sites(running_hub.hub) if row.code == "QS")
    administration.add_destination(running_hub.hub, SYSTEM, site, "dicom", {"ae_title": "CLINIC", "host": "127.0.0.1", "port": port})
    administration.add_destination(running_hub.hub, SYSTEM, site, "webhook", {"url": inbox.url, "secret": SECRET})
    handed = {"hub": running_hub, "inbox": inbox, "node": node, "ct": sorted((real_data / "dicom" / "chest_ct").glob("*.dcm")),
              "ecg": real_data / "ecg" / "ludb" / "data", "pages": {}}
    yield handed
    scp.terminate()
    scp.wait()


def _page(road, browser, who):
    """The signed-in page of one person; an error in the browser's console fails the journey."""
    if who not in road["pages"]:
        context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
        context.set_default_timeout(1000 * PATIENCE_S)
        page = context.new_page()
        page.trouble = []
        page.on("console", lambda m: page.trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: page.trouble.append(str(e)))
        page.goto(road["hub"].settings.address)
        page.fill("input[name=username]", who)
        page.fill("input[name=password]", PASSWORDS[who])
        page.press("input[name=password]", "Enter")
        page.wait_for_url(re.compile("worklist|clinic"))
        road["pages"][who] = page
    return road["pages"][who]


def _ready(road, kind):
    def look():
        rows = [row for row in studies.search(road["hub"].hub, SYSTEM, StudyQuery()) if row.kind == kind and row.state == "ready"]
        return rows[0] if rows else None
    return wait_for(look, f"no {kind} study became ready")


def _state(page, name):
    return page.evaluate(f"(window.hubViewer && window.hubViewer.state() || {{}}).{name} ?? null")


def test_a_real_ct_arrives_by_storescu_and_is_proved_complete(road):
    settings = road["hub"].settings
    sent = subprocess.run([program("storescu"), "-aet", road["hub"].county.ae_title, "-aec", settings.dicom_ae_title, "127.0.0.1",
                           str(settings.dicom_port), *map(str, road["ct"])], capture_output=True, text=True, timeout=300)
    assert sent.returncode == 0, sent.stderr
    row = _ready(road, "image")
    road["ct_study"] = row.id
    assert row.instances == 64 and row.proof["gaps"] == 0 and "64/64 幅，无间断" in row.proof["zh"]
    assert row.problems == []


def test_a_real_ecg_arrives_by_http_and_is_measured(road):
    hub = road["hub"]
    assert post_ecg(hub.settings.address, hub.county.ecg_token, [road["ecg"] / "101.hea", road["ecg"] / "101.dat"], {}) == ""
    row = _ready(road, "ecg")
    road["ecg_study"] = row.id
    assert "心率" in row.summary and row.flags["quality"] in ("good", "usable")


def test_the_reader_claims_the_ct_from_the_worklist(road, browser):
    page = _page(road, browser, "reader")
    page.wait_for_selector(f"tr[data-address='/studies/{road['ct_study']}']")
    page.locator(f"tr[data-address='/studies/{road['ct_study']}'] button:has-text('领取')").click()
    page.wait_for_selector("#report-form")
    assert f"/studies/{road['ct_study']}" in page.url
    assert "64/64" in page.inner_text("body")


def test_the_viewer_shows_the_sent_pixels_bit_for_bit(road, browser):
    page = _page(road, browser, "reader")
    wait_for(lambda: _state(page, "shown"), "the first image did not appear")
    wait_for(lambda: (_state(page, "loaded") or 0) == 64, "not all images were loaded")
    shown = _state(page, "sopInstanceUid")
    source = next(ds for ds in map(pydicom.dcmread, road["ct"]) if ds.SOPInstanceUID == shown)
    hu = source.pixel_array * source.RescaleSlope + source.RescaleIntercept
    for x, y in ((100, 120), (256, 256), (400, 300), (11, 500)):
        assert page.evaluate(f"window.hubViewer.pixelAt({x}, {y})") == hu[y, x]


def test_the_fetched_pixel_data_equal_the_sent_ones_bit_for_bit(road, browser):
    page = _page(road, browser, "reader")
    for path in road["ct"][::21]:
        sent = pydicom.dcmread(path)
        address = urljoin(page.url, f"/dicomweb/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/instances/{sent.SOPInstanceUID}")
        plain = page.context.request.get(f"{address}/frames/1", headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'})
        assert plain.ok, plain.text()
        assert _part(plain) == bytes(sent.PixelData)
        whole = page.context.request.get(address, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
        received = pydicom.dcmread(pydicom.filebase.DicomBytesIO(_part(whole)))
        assert received.PixelData == sent.PixelData and received.PatientID == sent.PatientID


def test_the_reader_scrolls_windows_and_measures(road, browser):
    page = _page(road, browser, "reader")
    before = _state(page, "imageIndex")
    box = page.locator("#viewer canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 300)
    wait_for(lambda: _state(page, "imageIndex") != before, "the wheel did not scroll")
    page.locator("#viewer").click(position={"x": 5, "y": 300})
    page.keyboard.press("1")
    wait_for(lambda: (_state(page, "windowWidth") or 0) >= 1000, "the lung window was not set")
    page.keyboard.press("2")
    wait_for(lambda: 200 <= (_state(page, "windowWidth") or 0) <= 500, "the mediastinal window was not set")
    page.locator("#viewer [data-tool='Length'], #viewer [data-command='length'], #viewer button[aria-label*='长度'], #viewer button[title*='长度']").first.click()
    a, b = page.evaluate("window.hubViewer.pagePoint(200, 200)"), page.evaluate("window.hubViewer.pagePoint(300, 200)")
    page.mouse.move(*_xy(a))
    page.mouse.down()
    page.mouse.move((_xy(a)[0] + _xy(b)[0]) / 2, _xy(a)[1], steps=4)
    page.mouse.move(*_xy(b), steps=4)
    page.mouse.up()
    spacing = float(pydicom.dcmread(road["ct"][0], stop_before_pixels=True).PixelSpacing[1])

    def measured():
        found = page.evaluate("window.hubViewer.measurements()")
        return found and found[0]["length"] == pytest.approx(100 * spacing, abs=1.5 * spacing)
    wait_for(measured, f"a line over 100 pixels does not measure {100 * spacing:.1f} mm")


def test_the_reader_marks_a_key_image(road, browser):
    page = _page(road, browser, "reader")
    page.locator("#viewer").click(position={"x": 5, "y": 300})
    page.keyboard.press("k")
    caption = page.locator("#viewer dialog.key-image input")
    caption.fill("左肺上叶肿块")
    caption.press("Enter")
    page.wait_for_selector("#key-images img")
    if not page.locator("#key-images input").first.is_checked():
        page.locator("#key-images label").first.click()


def test_the_reader_writes_and_submits(road, browser):
    page = _page(road, browser, "reader")
    page.select_option("#template", "ct-chest")
    page.fill("#findings", "左肺上叶见软组织密度肿块影，边缘毛糙。余双肺未见明确异常密度影。纵隔内未见肿大淋巴结。")
    page.fill("#impression", "左肺上叶占位性病变，建议进一步检查。")
    page.fill("#recommendation", "建议增强 CT 或穿刺活检。")
    page.locator("label.choice:has-text('阳性')").click()
    page.keyboard.press("Control+s")
    wait_for(lambda: "已保存" in page.inner_text("#save-state"), "the draft was not saved")
    page.locator("#submit").click()
    page.wait_for_url(re.compile("/worklist"))


def test_nobody_signs_their_own_and_the_clinic_sees_nothing_yet(road, browser):
    reader = _page(road, browser, "reader")
    reader.goto(urljoin(reader.url, f"/studies/{road['ct_study']}"))
    reader.wait_for_selector("text=等待另一位审核医师签发")
    assert reader.locator("#sign-form").count() == 0
    clinic = _page(road, browser, "qingshan")
    clinic.reload()
    assert clinic.locator("a:has-text('打开报告')").count() == 0


def test_the_reviewer_signs(road, browser):
    page = _page(road, browser, "reviewer")
    page.goto(urljoin(page.url, "/worklist?state=review"))
    page.locator(f"tr[data-address='/studies/{road['ct_study']}'] [data-review]").click()
    page.wait_for_selector("#sign-form")
    assert "左肺上叶占位性病变" in page.inner_text("#report")
    page.locator("#sign-form button").first.click()
    page.wait_for_url(re.compile("/worklist"))


def test_the_clinic_opens_the_report_and_acknowledges_it(road, browser):
    page = _page(road, browser, "qingshan")

    def issued():
        page.goto(urljoin(page.url, "/clinic"))
        return page.locator("a[href^='/clinic/reports/']").count()
    wait_for(issued, "the report did not reach the clinic")
    page.locator("a[href^='/clinic/reports/']").first.click()
    page.wait_for_url(re.compile("/clinic/reports/"))

    def delivered():
        page.reload()
        return page.locator("button:has-text('签收')").count()
    wait_for(delivered, "the report was not delivered to the clinic's page")
    answer = page.context.request.get(urljoin(page.url, page.get_attribute("#pdf-frame", "src").split("#")[0]))
    assert answer.ok and answer.headers["content-type"] == "application/pdf"
    road["pdf"] = answer.body()
    page.locator("button:has-text('签收')").click()
    page.wait_for_selector("text=已签收")


def test_the_neighbouring_clinic_sees_none_of_it(road, browser):
    page = _page(road, browser, "baihe")
    assert page.locator("a[href^='/clinic/reports/']").count() == 0
    for address in (f"/studies/{road['ct_study']}", "/reports/1.pdf", "/clinic/reports/1"):
        assert page.context.request.get(urljoin(page.url, address)).status in (403, 404)


def test_the_pdf_is_signed_and_anyone_can_verify_it(road, tmp_path):
    file = tmp_path / "report.pdf"
    file.write_bytes(road["pdf"])
    said = subprocess.run([program("pdfsig"), str(file)], capture_output=True, text=True).stdout
    assert "Signature is Valid" in said and "Total document signed" in said
    text = subprocess.run([program("pdftotext"), "-layout", str(file), "-"], capture_output=True, text=True).stdout
    for words in ("王报告", "李审核", "左肺上叶占位性病变", "64/64 幅，无间断", "青山镇卫生院"):
        assert words in text
    assert "Noto" in subprocess.run([program("pdffonts"), str(file)], capture_output=True, text=True).stdout
    verified = road["hub"].hub_command("verify", str(file))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    changed = bytearray(road["pdf"])
    changed[len(changed) // 3] ^= 1
    file.write_bytes(changed)
    assert road["hub"].hub_command("verify", str(file)).returncode == 1


def test_the_clinics_own_node_got_the_report_once_and_it_conforms(road):
    wait_for(lambda: rows(road["hub"].hub, delivery, delivery.c.channel == "dicom", delivery.c.state == "delivered"), "nothing arrived at the clinic's DICOM node")
    [file] = road["node"].iterdir()
    said = subprocess.run([program("dciodvfy"), str(file)], capture_output=True, text=True)
    assert "Error" not in said.stdout + said.stderr, said.stdout + said.stderr
    received = pydicom.dcmread(file)
    assert received.EncapsulatedDocument[:received.EncapsulatedDocumentLength] == road["pdf"]
    assert received.StudyInstanceUID == pydicom.dcmread(road["ct"][0], stop_before_pixels=True).StudyInstanceUID


def test_the_webhook_told_the_clinic_once_with_a_true_signature(road):
    wait_for(lambda: road["inbox"].messages, "no webhook arrived")
    [(headers, content)] = road["inbox"].messages
    webhook.check_signature(SECRET, headers, content, road["hub"].hub.now())
    [body] = road["inbox"].bodies()
    assert body["pdf_sha256"] == hashlib.sha256(road["pdf"]).hexdigest()


def test_the_ecg_is_read_on_true_paper_and_its_measurements_fill_the_report(road, browser):
    page = _page(road, browser, "reader")
    page.goto(urljoin(page.url, f"/ecgs/{road['ecg_study']}"))
    page.locator("button:has-text('领取')").click()
    page.wait_for_selector("#report-form")
    page.wait_for_selector("#ecg-sheet svg path[data-lead='V6']", state="attached")
    page.select_option("#template", "ecg-general")
    wait_for(lambda: "次/分" in page.input_value("#findings"), "the template was not filled")
    assert "{" not in page.input_value("#findings") and re.search(r"心率 \d+ 次/分", page.input_value("#findings"))
    assert "PR 间期 【】 ms" in page.input_value("#findings")       # no P wave: left for the reader, not invented
    page.fill("#findings", page.input_value("#findings").replace("PR 间期 【】 ms", "P 波消失"))
    page.fill("#impression", "心房颤动。")
    page.locator("label.choice:has-text('阳性')").click()
    page.locator("#submit").click()
    page.wait_for_url(re.compile("/worklist"))
    reviewer = _page(road, browser, "reviewer")
    reviewer.goto(urljoin(reviewer.url, f"/ecgs/{road['ecg_study']}"))
    reviewer.locator("#sign-form button").first.click()
    reviewer.wait_for_url(re.compile("/worklist"))
    wait_for(lambda: len(road["inbox"].messages) == 2, "the ECG's report did not go out")


def test_the_browsers_had_nothing_to_complain_of(road):
    for who, page in road["pages"].items():
        assert page.trouble == [], f"{who}: {page.trouble}"


def test_the_audit_is_whole_and_names_every_step(road):
    said = road["hub"].hub_command("audit", "verify")
    assert said.returncode == 0, said.stdout + said.stderr
    hub = road["hub"].hub
    actions = {row.action for row in administration.audit_entries(hub, SYSTEM)} | {
        row.action for row in administration.audit_entries(hub, SYSTEM, before=administration.audit_entries(hub, SYSTEM)[-1].seq)}
    assert {"study.arrived", "study.ready", "study.view", "reading.claim", "report.submit", "report.sign", "report.issue",
            "delivery.delivered", "report.view", "report.acknowledge", "session.begin"} <= actions


def _part(answer) -> bytes:
    """The body of the only part of a multipart/related answer."""
    boundary = re.search(r'boundary="?([^";]+)"?', answer.headers["content-type"]).group(1).encode()
    part = answer.body().split(b"--" + boundary)[1]
    return part.split(b"\r\n\r\n", 1)[1][:-2]


def _xy(point) -> tuple[float, float]:
    return (point["x"], point["y"]) if isinstance(point, dict) else (point[0], point[1])
