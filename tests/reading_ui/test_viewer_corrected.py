"""A spacing that was corrected: lengths follow it and say so, on the canvas and in the corner of the pane."""
import math

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright
from pydicom.dataset import Dataset

from tests.reading_ui.synthetic_images import halves, instance
from tests.reading_ui.viewer_page import CHROMIUM, SOFTWARE_GL, at, drag, launch, measured, shown, wait
from tests.reading_ui.viewer_server import BUILT

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not (BUILT / "viewer.js").is_file(), reason="viewer not built: npm ci && npm run build in reading_ui/viewer"),
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = launch(playwright, SOFTWARE_GL)
        yield running
        running.close()


def image(spacing: float, before: float | None = None) -> Dataset:
    one = instance(halves(0, 900, np.uint16), modality="DX", PixelSpacing=[spacing, spacing])
    if before is not None:
        item, was = Dataset(), Dataset()
        was.PixelSpacing = [before, before]
        item.ModifiedAttributesSequence, item.ReasonForTheAttributeModification = [was], "CORRECT"
        one.OriginalAttributesSequence = [item]
    return one


@pytest.mark.parametrize("before, note", [(0.7, "corrected"), (None, "")])
def test_a_length_follows_the_corrected_spacing_and_says_so(browser, before, note):
    with shown(browser, [image(0.35, before)]) as (page, _):
        wait(page, "shown")
        page.keyboard.press("l")
        drag(page, at(page, 10, 10), at(page, 50, 40))
        found = measured(page, "length")
        assert found["length"] == pytest.approx(math.hypot(40, 30) * 0.35, abs=0.8) and (found["unit"], found["note"]) == ("mm", note)
        corner = page.locator(".corner.bottom-left")
        if note:
            expect(corner).to_contain_text("像素间距已更正")
        else:
            expect(corner).not_to_contain_text("更正")
