"""The image canvas in Chromium as a reader meets it: open it, wait for what is on it, move the mouse over it."""
import shutil
import time
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.reading_ui.viewer_server import Serving

CHROMIUM = shutil.which("chromium")
BASIC = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
SOFTWARE_GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_GL = ["--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis"]
PATIENCE_S = 180
expect.set_options(timeout=1000 * PATIENCE_S)


def launch(playwright: Playwright, flags: list[str]) -> Browser:
    """Debian's Chromium with the basic flags and these."""
    return playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=BASIC + flags)


def opened(browser: Browser, url: str, *, size=(1366, 768)) -> tuple[Page, list[str]]:
    """A page with the canvas on it and the list that fills with errors and policy violations."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(1000 * PATIENCE_S)
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " (one) => console.error('policy', one.violatedDirective, one.blockedURI))"
    )
    page.goto(url)
    return page, troubles


@contextmanager
def shown(browser, datasets, *, faults=None, htj2k=False, troubles_expected=False, query="", size=(1366, 768)):
    """A page on a server of its own; unless troubles are expected, none may have been told in the console."""
    with Serving(datasets, htj2k=htj2k, faults=faults) as serving:
        page, troubles = opened(browser, serving.url + query, size=size)
        yield page, serving
        page.close()
    assert [one for one in troubles if one.startswith("policy")] == []
    if not troubles_expected:
        assert troubles == []


def state(page: Page) -> dict:
    return page.evaluate("hubViewer.state()")


def wait(page: Page, *truths: str, **values: object) -> dict:
    """The state once the named entries are true and the given ones have their values."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        now = state(page)
        if now and all(now[name] for name in truths) and all(now[name] == value for name, value in values.items()):
            return now
        page.wait_for_timeout(30)
    raise AssertionError(f"not reached: {truths} {values}; state {now}")


def drag(page: Page, start: dict, end: dict, button: str = "left") -> None:
    page.mouse.move(start["x"], start["y"])
    page.mouse.down(button=button)
    page.mouse.move((start["x"] + end["x"]) / 2, (start["y"] + end["y"]) / 2, steps=4)
    page.mouse.move(end["x"], end["y"], steps=4)
    page.mouse.up(button=button)


def at(page: Page, x: float, y: float) -> dict:
    return page.evaluate("([x, y]) => hubViewer.pagePoint(x, y)", [x, y])


def measured(page: Page, *present: str) -> dict:
    """The only measurement, once it has the named numbers and they stand still."""
    deadline = time.monotonic() + PATIENCE_S
    before = None
    while time.monotonic() < deadline:
        found = page.evaluate("hubViewer.measurements()")
        if len(found) == 1 and all(name in found[0] for name in present) and found == before:
            return found[0]
        before = found
        page.wait_for_timeout(250)
    raise AssertionError(f"no measurement with {present}: {found}")


def in_image(points: list, dataset) -> np.ndarray:
    """Patient millimetres of an axial image as (column, row), each from the middle of the first pixel."""
    origin = [float(part) for part in dataset.ImagePositionPatient[:2]]
    return (np.array(points)[:, :2] - origin) / [float(part) for part in dataset.PixelSpacing][::-1]


def drawn_at(page: Page, tmp_path, points: list, holds) -> list:
    """What colour the screen shows at image pixels, once ``holds`` of them: an image is shown a moment before it is painted."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        page.screenshot(path=tmp_path / "screen.png")
        picture = Image.open(tmp_path / "screen.png").convert("RGB")
        colours = [picture.getpixel((round(place["x"]), round(place["y"]))) for place in [at(page, x, y) for x, y in points]]
        if holds(*colours):
            return colours
        assert time.monotonic() < deadline, colours
        page.wait_for_timeout(50)
