"""The ECG sheet in a real browser, under a policy that forbids inline script and style."""
import json
import shutil
import threading
import time

import pytest
from werkzeug.serving import make_server

from ecg.render import SheetHeading
from tests.ecg.render.drawn import recording
from tests.reading_ui.ecg_sheet_page import page_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
PATIENCE_S = 180
playwright.expect.set_options(timeout=1000 * PATIENCE_S)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def app():
    return page_of(recording(seconds=30), SheetHeading(name="欧阳娜娜<b>", sex="女"))


@pytest.fixture(scope="module")
def address(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as runner:
        running = runner.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield running
        running.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(1000 * PATIENCE_S)
    opened = context.new_page()
    opened.faults = []
    opened.on("pageerror", lambda fault: opened.faults.append(str(fault)))
    opened.on("console", lambda said: opened.faults.append(said.text) if "Content Security" in said.text else None)
    opened.goto(address)
    opened.wait_for_selector(".ecg-drawing")
    yield opened
    assert opened.faults == []
    context.close()


def drag(page, lead, from_s, from_mm, to_s, to_mm):
    """Drag over a lead from one instant and height to another (millimetres above its baseline)."""
    at = page.evaluate("""([lead, s]) => {
        const path = [...document.querySelectorAll(".ecg-drawing path[data-lead]")].filter(p => p.dataset.lead === lead).at(-1);
        const matrix = path.getScreenCTM();
        return {a: matrix.a, e: matrix.e, f: matrix.f, x0: +path.dataset.x0Mm, start: +path.dataset.startS,
                base: +path.dataset.baselineMm, speed: +document.querySelector(".ecg-drawing").dataset.speedMmS};
    }""", [lead, from_s])

    def place(second, mm):
        return (at["e"] + at["a"] * (at["x0"] + (second - at["start"]) * at["speed"]), at["f"] + at["a"] * (at["base"] - mm))

    page.mouse.move(*place(from_s, from_mm))
    page.mouse.down()
    page.mouse.move(*place((from_s + to_s) / 2, (from_mm + to_mm) / 2))
    page.mouse.move(*place(to_s, to_mm))
    page.mouse.up()


def readings(page):
    return page.locator(".ecg-reading").all_text_contents()


def test_calipers_measure_the_square_that_was_recorded(page):
    page.keyboard.press("c")
    drag(page, "II", 1.0, 0, 2.0, 0)
    drag(page, "V1", 5.9, 0, 5.9, 10)
    said = readings(page)
    milliseconds = int(said[0].split(" ms")[0])
    assert abs(milliseconds - 1000) <= 10 and said[0].endswith("次/分")
    assert abs(float(said[1].removesuffix(" mV")) - 1.0) <= 0.03


def test_calipers_stay_on_their_wave_through_layout_speed_and_gain_and_leave_by_escape(page):
    page.keyboard.press("c")
    drag(page, "II", 1.3, 0, 2.3, 0)
    before = readings(page)
    for key in ("3", "+", "]"):
        with page.expect_response("**/sheet.svg*"):
            page.keyboard.press(key)
    page.wait_for_selector(".ecg-drawing[data-layout='12x1'][data-speed-mm-s='50'][data-gain-mm-mv='20']")
    assert readings(page) == before
    page.keyboard.press("m")
    playwright.expect(page.locator(".ecg-march")).to_have_count(3)   # 0.3, 3.3 and 4.3 s on a strip of 5 s
    page.keyboard.press("Escape")
    assert readings(page) == []


def test_the_calibrated_size_is_true_and_remembered(page):
    page.get_by_role("button", name="校准").click()
    page.locator(".ecg-slider").fill("5")
    page.get_by_role("button", name="保存").click()
    true_size = page.locator("button[aria-pressed=true]", has_text="真实大小")
    true_size.wait_for()                                  # a dialog tells of its end only some time after the click
    pulse = "() => document.querySelector('.ecg-drawing .pulse').getBoundingClientRect().height"
    assert page.evaluate(pulse) == pytest.approx(50, abs=0.1)
    page.reload()
    page.wait_for_selector(".ecg-drawing")
    page.keyboard.press("t")
    true_size.wait_for()
    assert page.evaluate(pulse) == pytest.approx(50, abs=0.1)


def test_the_whole_page_or_its_width_fits_the_window(page):
    box = page.locator(".ecg-frame").bounding_box()
    assert box["y"] + box["height"] <= 768
    page.get_by_role("button", name="适宽").click()
    until = time.monotonic() + PATIENCE_S
    while page.locator(".ecg-frame").bounding_box()["width"] <= 1300:
        assert time.monotonic() < until
        page.wait_for_timeout(30)


def test_a_filter_key_asks_the_server_and_the_button_shows_it(page):
    with page.expect_response("**/sheet.svg*") as answered:
        page.keyboard.press("f")
    assert "filters=baseline" in answered.value.url
    playwright.expect(page.get_by_role("button", name="基线")).to_have_attribute("aria-pressed", "true")


def test_the_page_turns_through_a_long_recording(page):
    with page.expect_response("**/sheet.svg*"):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector(".ecg-drawing[data-start-s='10']")
    playwright.expect(page.locator(".ecg-where")).to_have_text("10–20 / 30 s")


def test_a_statement_points_at_its_leads_and_seconds(page):
    page.evaluate("document.getElementById('pointing').click()")
    playwright.expect(page.locator(".ecg-highlight")).to_have_count(2)   # II in its column and as rhythm; aVF shows 2.5 to 5 s
    page.keyboard.press("Escape")
    playwright.expect(page.locator(".ecg-highlight")).to_have_count(0)


def test_what_is_typed_elsewhere_is_not_a_shortcut(page):
    page.locator("#typed").focus()
    page.keyboard.type("3+]fc")
    assert page.locator("#typed").input_value() == "3+]fc"
    assert page.locator(".ecg-drawing").get_attribute("data-layout") == "3x4+1"


def test_a_server_that_refuses_leaves_the_sheet_and_offers_to_try_again(page, app):
    app.refuse = True
    try:
        page.keyboard.press("2")
        page.wait_for_selector(".ecg-notice:visible")
        assert "503" in page.locator(".ecg-notice").inner_text()
        assert page.locator(".ecg-drawing[data-layout='3x4+1']").count() == 1
    finally:
        app.refuse = False
    page.get_by_role("button", name="重试").click()
    page.wait_for_selector(".ecg-drawing[data-layout='6x2']")
    playwright.expect(page.locator(".ecg-notice")).to_be_hidden()


def test_the_page_may_supply_its_own_words(page):
    page.route("**/", lambda route: route.fulfill(
        content_type="text/html", body="<!doctype html><html lang=en><link rel=stylesheet href=/static/ecg/sheet.css>"
        "<script type=module src=/static/ecg/start.js></script><div id=ecg-sheet data-sheet-url=/sheet.svg "
        f"data-strings='{json.dumps({'measure': 'Dividers'})}'></div>"))
    page.reload()
    page.wait_for_selector(".ecg-drawing")
    assert page.get_by_role("button", name="Dividers").count() == 1
    assert page.get_by_role("button", name="March").count() == 1
