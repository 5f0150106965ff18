"""The image canvas in a real browser, against the real chest CT and images whose every value is known.

Truth is pydicom's pixels and numpy's arithmetic; the page runs under the hub's content security policy and
every test fails on a violation or an error in the console.
"""
import logging
import math
import time

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright
from pydicom.dataset import Dataset, FileMetaDataset

from tests.reading_ui.synthetic_images import halves, instance
from tests.reading_ui.viewer_page import (
    CHROMIUM, NO_GL, PATIENCE_S, SOFTWARE_GL, at, drag, drawn_at, in_image, launch, measured, opened, shown, state, wait)
from tests.reading_ui.viewer_server import BUILT, Faults, Serving, read_folder

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not (BUILT / "viewer.js").is_file(), reason="viewer not built: npm ci && npm run build in reading_ui/viewer"),
]


@pytest.fixture(scope="module")
def playwright():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright):
    running = launch(playwright, SOFTWARE_GL)
    yield running
    running.close()


@pytest.fixture(scope="module")
def chest(real_data):
    return read_folder(real_data / "dicom" / "chest_ct")


@pytest.fixture(scope="module")
def chest_server(chest):
    with Serving(chest, htj2k=True) as serving:
        yield serving


@pytest.fixture(scope="module")
def opened_chest(browser, chest_server):
    page, troubles = opened(browser, chest_server.url)
    yield page, troubles
    page.close()


@pytest.fixture
def chest_page(opened_chest):
    """The chest CT as it opens: first image, nothing measured. Errors and violations fail the test."""
    page, troubles = opened_chest
    wait(page, loaded=64)
    while page.evaluate("hubViewer.measurements()"):
        page.keyboard.press("Delete")
    for key in ("Escape", "7", "Home", "x"):
        page.keyboard.press(key)
    wait(page, "shown", imageIndex=0, windowWidth=1600)
    troubles.clear()
    yield page
    assert troubles == []


def test_the_middle_of_a_stack_is_shown_before_the_rest_has_come(browser, chest):
    faults = Faults(held_after=1)
    with shown(browser, chest, faults=faults, htj2k=True) as (page, serving):
        now = wait(page, "shown")
        assert now["imageIndex"] == 32 and now["imageCount"] == 64
        assert now["loaded"] < 64
        asked = [uid for uid, _ in serving.app.frames_asked]
        assert asked[0] == str(chest[32].SOPInstanceUID)
        faults.go_on.set()
        until = time.monotonic() + PATIENCE_S
        while len(serving.app.frames_asked) < 8 and time.monotonic() < until:
            page.wait_for_timeout(20)
        near = {str(chest[n].SOPInstanceUID) for n in range(32 - 16, 32 + 16)}
        assert set([uid for uid, _ in serving.app.frames_asked][:8]) <= near, "its neighbours come next"


def test_the_image_that_the_device_named_is_shown_first(browser, chest):
    named = Dataset()
    named.file_meta = FileMetaDataset()
    named.SOPClassUID, named.SOPInstanceUID, named.Modality = "1.2.840.10008.5.1.4.1.1.88.59", "1.2.3.99", "KO"
    named.StudyInstanceUID, named.SeriesInstanceUID = chest[0].StudyInstanceUID, "1.2.3.98"
    image, content = Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = chest[11].SOPClassUID, chest[11].SOPInstanceUID
    content.ReferencedSOPSequence, content.ValueType = [image], "IMAGE"
    named.ContentSequence = [content]
    with shown(browser, [*chest, named], faults=Faults(held_after=1)) as (page, serving):
        assert wait(page, "shown")["imageIndex"] == 11
        assert serving.app.frames_asked[0][0] == str(chest[11].SOPInstanceUID)


def test_what_the_reader_turns_to_is_fetched_before_what_was_expected(browser, chest):
    faults = Faults(held_after=1)
    with shown(browser, chest, faults=faults) as (page, serving):
        wait(page, "shown")
        page.keyboard.press("End")
        faults.go_on.set()
        wait(page, "shown", imageIndex=63)
        asked = [uid for uid, _ in serving.app.frames_asked]
        assert asked.index(str(chest[63].SOPInstanceUID)) < 16


def test_every_image_comes_and_the_count_is_told(chest_page):
    wait(chest_page, loaded=64)
    expect(chest_page.locator(".progress-text")).to_have_text("已载入 64/64")
    assert state(chest_page)["transferSyntaxUid"] == "1.2.840.10008.1.2.4.201"


def test_wheel_and_keys_turn_the_pages(chest_page):
    page = chest_page
    for key, index in [("ArrowDown", 1), ("ArrowRight", 2), ("ArrowUp", 1), ("PageDown", 11), ("PageUp", 1),
                       ("End", 63), ("Home", 0), ("ArrowUp", 0)]:
        page.keyboard.press(key)
        wait(page, "shown", imageIndex=index)
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 100)
    wait(page, "shown", imageIndex=1)
    expect(page.locator(".bottom-left")).to_contain_text("图像 2/64")


def test_dragging_with_the_scroll_tool_turns_the_pages(chest_page):
    chest_page.keyboard.press("s")
    drag(chest_page, {"x": 700, "y": 200}, {"x": 700, "y": 500})
    assert wait(chest_page, "shown")["imageIndex"] > 5


def test_number_keys_set_the_ct_windows_and_zero_the_window_of_the_image(chest_page):
    for key, width, center in [("1", 1500, -600), ("2", 400, 40), ("3", 2000, 500), ("4", 80, 40), ("5", 350, 50)]:
        chest_page.keyboard.press(key)
        wait(chest_page, windowWidth=width, windowCenter=center)
    chest_page.keyboard.press("ArrowDown")
    wait(chest_page, "shown", imageIndex=1, windowWidth=350)
    chest_page.keyboard.press("0")
    wait(chest_page, windowWidth=1600, windowCenter=-600)


@pytest.mark.parametrize("button", ["left", "right"])
def test_dragging_changes_the_window(chest_page, button):
    before = state(chest_page)
    drag(chest_page, {"x": 700, "y": 300}, {"x": 760, "y": 340}, button)
    deadline = time.monotonic() + PATIENCE_S
    while (after := state(chest_page))["windowWidth"] <= before["windowWidth"]:
        assert time.monotonic() < deadline
        chest_page.wait_for_timeout(30)
    assert after["windowCenter"] != before["windowCenter"]
    assert after["imageIndex"] == before["imageIndex"]


def same_as_pydicom(page, chest):
    for index in (0, 1, 2):
        wait(page, "shown", imageIndex=index)
        truth = chest[index].pixel_array * float(chest[index].RescaleSlope) + float(chest[index].RescaleIntercept)
        for x, y in [(0, 0), (511, 511), (256, 256), (100, 300), (301, 77)]:
            assert page.evaluate(f"hubViewer.pixelAt({x}, {y})") == truth[y, x]
        page.keyboard.press("ArrowDown")
    assert page.evaluate("hubViewer.pixelAt(512, 0)") is None


def test_values_from_htj2k_are_the_hounsfield_units_pydicom_reads(chest_page, chest):
    same_as_pydicom(chest_page, chest)


def test_values_from_plain_frames_are_the_hounsfield_units_pydicom_reads(browser, chest):
    with shown(browser, chest[:4], htj2k=False) as (page, _):
        same_as_pydicom(page, chest)


def test_a_length_is_in_patient_millimetres(chest_page, chest):
    page = chest_page
    page.keyboard.press("l")
    drag(page, at(page, 120, 150), at(page, 360, 330))
    found = measured(page, "length")
    spacing = [float(part) for part in chest[0].PixelSpacing]
    assert found["unit"] == "mm"
    assert found["length"] == pytest.approx(math.hypot(240 * spacing[1], 180 * spacing[0]), abs=2 * spacing[0])


def test_an_angle_is_in_degrees(chest_page):
    page = chest_page
    page.keyboard.press("a")
    drag(page, at(page, 300, 150), at(page, 150, 150))
    place = at(page, 150, 300)
    page.mouse.move(place["x"], place["y"], steps=4)
    page.mouse.click(place["x"], place["y"])
    assert measured(page, "angle")["angle"] == pytest.approx(90, abs=1)


def test_a_rectangle_tells_numpys_mean_and_deviation(chest_page, chest):
    page = chest_page
    page.keyboard.press("q")
    drag(page, at(page, 200, 220), at(page, 290, 280))
    found = measured(page, "mean")
    corners = in_image(found["points"], chest[0])
    assert np.abs(corners[[0, -1]] - [[200, 220], [290, 280]]).max() < 1
    (left, top), (right, bottom) = np.floor(corners[[0, -1]] + 0.5).astype(int)
    truth = chest[0].pixel_array.astype(float)[top:bottom + 1, left:right + 1] - 1024
    assert found["valueUnit"] == "HU"
    assert found["mean"] == pytest.approx(truth.mean(), abs=0.01)
    assert found["standardDeviation"] == pytest.approx(truth.std(ddof=1), rel=1e-3)
    width, height = (corners[-1] - corners[0]) * 0.841796875
    assert found["area"] == pytest.approx(width * height, rel=1e-3)


def test_an_ellipse_tells_numpys_mean_and_area(chest_page, chest):
    page = chest_page
    page.keyboard.press("e")
    drag(page, at(page, 250, 250), at(page, 290, 280))
    found = measured(page, "mean")
    edge = in_image(found["points"], chest[0])
    center, radius = (edge.min(0) + edge.max(0)) / 2, (edge.max(0) - edge.min(0)) / 2
    y, x = np.mgrid[0:512, 0:512]
    inside = ((x - center[0]) / radius[0]) ** 2 + ((y - center[1]) / radius[1]) ** 2 <= 1
    truth = chest[0].pixel_array.astype(float)[inside] - 1024
    assert inside.sum() > 3000
    assert found["mean"] == pytest.approx(truth.mean(), abs=0.02 * truth.std())
    assert found["area"] == pytest.approx(math.pi * radius.prod() * 0.841796875**2, rel=1e-3)


def test_a_probe_tells_the_value_under_it(chest_page, chest):
    page = chest_page
    page.keyboard.press("PageDown")
    wait(page, "shown", imageIndex=10)
    page.keyboard.press("b")
    place = at(page, 256, 300)
    page.mouse.click(place["x"], place["y"])
    found = measured(page, "value")
    x, y = found["index"]
    assert abs(x - 256) <= 1 and abs(y - 300) <= 1
    assert found["value"] == chest[10].pixel_array[y, x] - 1024.0
    expect(page.locator(".pane svg text").first).to_contain_text(f"{found['value']:.0f} HU")
    page.keyboard.press("Delete")


def test_a_measurement_can_be_deleted_and_brought_back(chest_page):
    page = chest_page
    page.keyboard.press("l")
    drag(page, at(page, 120, 150), at(page, 360, 330))
    length = measured(page, "length")["length"]
    page.keyboard.press("Delete")
    assert page.evaluate("hubViewer.measurements()") == []
    page.keyboard.press("Control+z")
    assert measured(page, "length")["length"] == length


def test_turning_flipping_and_inverting_show_in_letters_and_state(chest_page):
    page = chest_page
    edge = lambda where: page.locator(f".at-{where}").inner_text()  # noqa: E731
    assert [edge(where) for where in ("left", "right", "top", "bottom")] == ["R", "L", "A", "P"]
    page.keyboard.press("h")
    assert [edge("left"), edge("right")] == ["L", "R"]
    page.keyboard.press("h")
    page.keyboard.press("r")
    assert [edge("right"), edge("bottom")] == ["A", "L"]
    page.keyboard.press("x")
    page.keyboard.press("v")
    assert [edge("top"), edge("left")] == ["P", "R"]
    page.keyboard.press("i")
    assert state(page)["invert"] is True
    page.keyboard.press("x")
    assert state(page)["invert"] is False and edge("top") == "A"


def test_zoom_follows_the_keys_and_the_wheel_with_ctrl(chest_page):
    before = state(chest_page)["zoom"]
    chest_page.keyboard.press("+")
    assert wait(chest_page, "shown")["zoom"] == pytest.approx(before * 1.25, rel=0.01)
    chest_page.keyboard.press("f")
    assert wait(chest_page, "shown")["zoom"] == pytest.approx(before, rel=0.01)


def test_three_planes_open_and_close(chest_page):
    page = chest_page
    wait(page, loaded=64)
    page.keyboard.press("2")
    page.keyboard.press("m")
    deadline = time.monotonic() + PATIENCE_S
    while not state(page)["mpr"]["open"] and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    now = state(page)
    assert now["mpr"]["planes"] == ["axial", "sagittal", "coronal"]
    assert (now["windowWidth"], now["windowCenter"]) == (400, 40)
    letters = page.locator(".plane-coronal .edge").all_inner_texts()
    assert letters == ["R", "L", "H", "F"]
    expect(page.locator(".plane-sagittal .bottom-left")).to_contain_text("512")
    page.keyboard.press("Escape")
    assert state(page)["mpr"]["open"] is False
    wait(page, "shown")


def test_a_key_image_is_posted_with_the_window_it_was_seen_in(chest_page, chest_server, chest):
    page = chest_page
    page.keyboard.press("ArrowDown")
    wait(page, "shown", imageIndex=1)
    page.keyboard.press("2")
    page.get_by_role("button", name="关键图像").click()
    page.keyboard.type("2 i")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("关键图像已保存").wait_for()
    assert chest_server.app.key_images[-1] == {
        "sop_instance_uid": str(chest[1].SOPInstanceUID), "frame": 1, "window_center": 40, "window_width": 400,
        "invert": False, "caption": "2 i"}
    expect(page.locator(".bottom-left")).to_contain_text("已标为关键图像")


def test_a_key_image_that_is_not_saved_says_so_and_keeps_the_caption(browser, chest):
    faults = Faults(key_image_status=500)
    with shown(browser, chest[:1], faults=faults, troubles_expected=True) as (page, _):
        wait(page, "shown")
        page.keyboard.press("k")
        page.keyboard.type("left upper lobe")
        page.keyboard.press("Enter")
        page.get_by_role("alert").filter(has_text="关键图像未能保存").wait_for()
        assert page.locator(".key-image input").input_value() == "left upper lobe"


def test_an_image_that_cannot_be_had_says_why_and_hides_the_one_before(browser, chest):
    gone, forbidden, cut = (str(one.SOPInstanceUID) for one in chest[1:4])
    faults = Faults(statuses={gone: 404, forbidden: 403}, truncated={cut})
    with shown(browser, chest[:5], faults=faults, htj2k=True, troubles_expected=True) as (page, _):
        wait(page, "shown")
        notice = page.locator(".notice.failing")
        for number, words in [(2, "服务器上没有这幅图像"), (3, "请重新登录"), (4, "图像数据不完整")]:
            page.keyboard.press("ArrowDown")
            notice.filter(has_text=words).wait_for()
            assert f"第 {number} 幅图像无法显示" in notice.inner_text()
            assert state(page)["shown"] is False
        page.keyboard.press("ArrowDown")
        wait(page, "shown", imageIndex=4)
        assert notice.is_visible() is False
        faults.truncated.clear()
        page.keyboard.press("ArrowUp")
        wait(page, "shown", imageIndex=3)


def test_layouts_show_two_series_side_by_side(browser):
    series = [instance(halves(0, 100 * one, np.uint16), modality="CT", series=one, RescaleSlope=1, RescaleIntercept=0)
              for one in (1, 2)]
    with shown(browser, series) as (page, _):
        wait(page, "shown")
        page.keyboard.press("8")
        wait(page, "shown", layout="layout2")
        page.get_by_text("序列 2").last.wait_for()
        page.locator(".pane").nth(1).click()
        assert wait(page, "shown")["seriesUid"] == str(series[1].SeriesInstanceUID)
        assert page.evaluate("hubViewer.pixelAt(63, 0)") == 200
        page.locator(".pane").nth(0).click()
        box = page.locator(".pane").nth(0).bounding_box()
        assert state(page)["zoom"] == pytest.approx(min(box["width"], box["height"]) / 64, rel=0.03)


def test_low_values_are_bright_in_monochrome1_and_dark_in_monochrome2(browser, tmp_path):
    pair = [instance(halves(100, 4000, np.uint16), modality="DX", photometric=photometric, bits=12, series=series,
                     WindowCenter=2048, WindowWidth=4096, ImagerPixelSpacing=[0.2, 0.2])
            for series, photometric in [(1, "MONOCHROME2"), (2, "MONOCHROME1")]]
    with shown(browser, pair) as (page, _):
        wait(page, "shown")
        drawn_at(page, tmp_path, [(10, 32), (54, 32)], lambda left, right: right[0] > left[0] + 150)
        page.keyboard.press("]")
        wait(page, "shown", seriesUid=str(pair[1].SeriesInstanceUID))
        drawn_at(page, tmp_path, [(10, 32), (54, 32)], lambda left, right: left[0] > right[0] + 150)
        page.keyboard.press("l")
        drag(page, at(page, 10, 20), at(page, 50, 20))
        assert measured(page, "length")["length"] == pytest.approx(8, abs=0.4)
        expect(page.locator("svg text").first).to_contain_text("探测器平面")


def test_signed_pixels_keep_their_sign(browser):
    one = instance(halves(-1000, 700, np.int16), modality="CT", RescaleSlope=1, RescaleIntercept=-24)
    with shown(browser, [one]) as (page, _):
        wait(page, "shown")
        assert page.evaluate("[hubViewer.pixelAt(0, 0), hubViewer.pixelAt(63, 63)]") == [-1024, 676]


def test_colour_is_shown_as_it_is(browser, tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32] = (220, 30, 60)
    pixels[:, 32:] = (10, 200, 120)
    with shown(browser, [instance(pixels, modality="US", photometric="RGB")]) as (page, _):
        wait(page, "shown")
        assert page.evaluate("[hubViewer.pixelAt(0, 0), hubViewer.pixelAt(63, 0)]") == [[220, 30, 60], [10, 200, 120]]
        expect(page.locator(".top-left")).to_contain_text("测试一")
        truth = [(220, 30, 60), (10, 200, 120)]
        drawn_at(page, tmp_path, [(10, 32), (54, 32)], lambda *drawn: np.abs(np.subtract(drawn, truth)).max() <= 3)


def test_the_keyboard_sheet_opens_and_names_are_read_in_the_readers_language(browser):
    one = instance(halves(0, 9, np.uint8), modality="CR")
    with shown(browser, [one], query="?language=en") as (page, _):
        wait(page, "shown")
        page.keyboard.press("?")
        expect(page.locator("dialog.help")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(".top-left")).to_contain_text("Ceshi Yi")
        assert page.get_by_role("button", name="Key image").is_visible()


def test_without_webgl_the_images_are_drawn_all_the_same(playwright, chest, tmp_path):
    browser = launch(playwright, NO_GL)
    with shown(browser, chest[:3]) as (page, _):
        assert wait(page, "shown")["rendering"] == "cpu"
        page.keyboard.press("ArrowDown")
        wait(page, "shown", imageIndex=1)
        assert page.evaluate("hubViewer.pixelAt(256, 256)") == chest[1].pixel_array[256, 256] - 1024.0
        drawn_at(page, tmp_path, [(256, 300)], lambda middle: middle != (0, 0, 0))
    browser.close()
