"""In a real Chromium: the worklist by keyboard, a draft that saves itself, survives, and is never overwritten."""
import os
import re
import shutil
import threading

import pytest
from werkzeug.serving import make_server

from hub.flow import reporting, worklist
from hub.model.report import ReportContent
from reading_ui.app import create_app
from tests.hub.orders import RESIDENT
from tests.reading_ui.county import PASSWORD, County

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
PATIENCE_MS = 180_000
sync_api.expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = os.environ.get("HUB_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found")]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A county of its own behind a real server."""
    county = County(tmp_path_factory.mktemp("browser-county"), sessions_per_account=50)
    app = create_app(county.hub)
    app.config.update(EVENTS_STEP_SECONDS=0.1, EVENTS_SECONDS=20.0)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    county.address = f"http://127.0.0.1:{server.server_port}"
    yield county
    server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def sign_in(chromium, served):
    """Opens a fresh browser profile signed in as somebody; no page may complain in the console."""
    contexts, complaints = [], []

    def enter(name, path="/"):
        context = chromium.new_context(viewport={"width": 1366, "height": 768})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
        page.goto(f"{served.address}/sign-in")
        page.fill("#username", name)
        page.fill("#password", PASSWORD.format(name))
        page.press("#password", "Enter")
        page.wait_for_url(lambda url: "sign-in" not in url)
        page.goto(served.address + path)
        return page

    yield enter
    for context in contexts:
        context.close()
    assert complaints == []


def test_the_worklist_is_worked_by_keyboard(served, sign_in):
    first, second = served.study("QS", patient="第一位", urgency="emergency"), served.study("QS", patient="第二位", urgency="urgent")
    page = sign_in("chen", "/worklist")
    page.keyboard.press("j")
    page.keyboard.press("j")
    sync_api.expect(page.locator('tr[aria-selected="true"]')).to_contain_text("第二位")
    page.keyboard.press("k")
    sync_api.expect(page.locator('tr[aria-selected="true"]')).to_contain_text("第一位")
    page.keyboard.press("?")
    sync_api.expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_url(f"**/studies/{first}")
    assert worklist.of_study(served.hub, first).claimed_by == served.accounts["chen"]
    assert worklist.of_study(served.hub, second).state == "queued"


def test_the_list_renews_itself_and_keeps_the_selection(served, sign_in):
    served.study("QS", patient="早到的", urgency="emergency")
    page = sign_in("lin", "/worklist")
    page.keyboard.press("j")
    selected = page.locator('tr[aria-selected="true"]').get_attribute("data-row")
    served.study("QS", patient="刚刚到达")
    page.get_by_text("刚刚到达").wait_for()
    assert page.locator('tr[aria-selected="true"]').get_attribute("data-row") == selected
    assert page.evaluate("document.activeElement.dataset.row") == selected


def _opened(served, sign_in, by="chen"):
    study_id = served.study("QS")
    reading_id = served.reading(study_id)
    worklist.claim(served.hub, served.actor(by), reading_id)
    return sign_in(by, f"/studies/{study_id}"), reading_id


def _saved(served, reading_id, by="chen"):
    return reporting.current_draft(served.hub, served.actor(by), reading_id)


def _wait_saved(page):
    page.locator("#save-state", has_text="已保存").wait_for()


def test_what_is_typed_is_saved_without_being_asked(served, sign_in):
    page, reading_id = _opened(served, sign_in)
    page.fill("#findings", "双肺纹理清晰。")
    _wait_saved(page)
    assert _saved(served, reading_id).content.findings == "双肺纹理清晰。"
    page.fill("#impression", "未见异常。")
    page.keyboard.press("Control+s")
    sync_api.expect(page.locator("#report-form")).to_have_attribute("data-revision", re.compile("[2-9]"))
    assert _saved(served, reading_id).content.impression == "未见异常。"


def test_a_newer_draft_is_put_beside_ones_own_and_the_person_chooses(served, sign_in):
    page, reading_id = _opened(served, sign_in)
    reporting.save_draft(served.hub, served.actor("chen"), reading_id, 0, ReportContent(findings="另一台电脑写的"))
    page.fill("#findings", "这台电脑写的")
    page.locator("#conflict").wait_for()
    sync_api.expect(page.locator("#conflict-mine")).to_contain_text("这台电脑写的")
    sync_api.expect(page.locator("#conflict-theirs")).to_contain_text("另一台电脑写的")
    assert _saved(served, reading_id).content.findings == "另一台电脑写的"
    page.click("#keep-mine")
    _wait_saved(page)
    assert _saved(served, reading_id).content.findings == "这台电脑写的" and _saved(served, reading_id).revision == 2


def test_words_that_could_not_be_saved_survive_and_are_sent_when_the_network_is_back(served, sign_in):
    page, reading_id = _opened(served, sign_in)
    page.context.set_offline(True)
    page.fill("#findings", "断网时写的")
    page.get_by_text("保存失败").wait_for()
    assert _saved(served, reading_id).revision == 0
    page.context.set_offline(False)
    _wait_saved(page)
    assert _saved(served, reading_id).content.findings == "断网时写的"


def test_unsaved_words_come_back_after_the_page_was_lost(served, sign_in):
    page, reading_id = _opened(served, sign_in)
    address = page.url
    page.route("**/draft", lambda route: route.abort())
    page.fill("#findings", "浏览器崩溃前写的")
    page.get_by_text("保存失败").wait_for()
    fresh = page.context.new_page()
    page.close(run_before_unload=False)
    fresh.goto(address)
    assert fresh.input_value("#findings") == "浏览器崩溃前写的"
    fresh.wait_for_selector("#report-form[data-revision='1']", state="attached")
    assert _saved(served, reading_id).content.findings == "浏览器崩溃前写的"


def test_a_template_is_filled_in_submitted_by_key_and_signed_by_another(served, sign_in):
    page, reading_id = _opened(served, sign_in)
    page.select_option("#template", "ct-chest")
    page.click("text=阴性")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/worklist*")
    report = reporting.versions(served.hub, served.actor("chen"), reading_id)[0]
    assert report.content["impression"] == "胸部 CT 平扫未见明确异常。" and report.positive is False
    reviewer = sign_in("zhou", f"/studies/{report.study_id}")
    reviewer.keyboard.press("Control+Enter")
    reviewer.wait_for_url("**/worklist*")
    assert worklist.find(served.hub, reading_id).state == "final"


def test_a_gap_in_a_template_is_named_and_selected(served, sign_in):
    page, _reading_id = _opened(served, sign_in)
    page.select_option("#template", "ct-chest-nodule")
    page.click("text=阳性")
    page.keyboard.press("Control+Enter")
    page.get_by_text("仍有未填写的【】").wait_for()
    assert page.evaluate("document.activeElement.id") == "findings"
    assert page.evaluate("document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)") == "【】"


def test_an_order_is_placed_by_keyboard_and_the_resident_number_fills_in_what_it_knows(served, sign_in):
    page = sign_in("qs", "/orders/new")
    page.fill("#patient_name", "曾小明")
    page.locator("#resident_id").press_sequentially(RESIDENT[:-1] + "1")
    sync_api.expect(page.locator("#resident-said")).to_have_text("校验位不符，请对照证件核对")
    assert page.input_value("#birth_date") == ""
    page.fill("#resident_id", RESIDENT)
    sync_api.expect(page.locator("#resident-said")).to_have_text("校验通过")
    assert page.input_value("#birth_date") == "1920-05-08" and page.is_checked("input[name=sex][value=M]")
    page.select_option("#body_part", "CHEST")
    page.fill("#clinical_question", "咳嗽 3 周，除外肺癌")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: url.rsplit("/", 1)[1].isdigit())
    sync_api.expect(page.locator(".order-question")).to_have_text("咳嗽 3 周，除外肺癌")
    sync_api.expect(page.get_by_role("button", name="打印")).to_be_visible()
