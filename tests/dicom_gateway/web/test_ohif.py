"""OHIF itself, as its makers publish it, against the hub's DICOMweb: its list finds the study, its viewer shows the images.

``make ohif`` fetches it (MIT licence) into build/ohif; HUB_TEST_OHIF names another copy.
"""
import os
from io import BytesIO
from pathlib import Path
from threading import Thread
from time import monotonic

import numpy as np
import pytest
from flask import Flask, abort, send_from_directory
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from pydicom import dcmread
from werkzeug.serving import make_server

from tests.reading_ui.viewer_page import CHROMIUM, SOFTWARE_GL, launch

OHIF = Path(os.environ.get("HUB_TEST_OHIF", Path(__file__).resolve().parents[3] / "build" / "ohif" / "package" / "dist"))
CONFIG = """
window.config = {
  routerBasename: null, extensions: [], modes: [], customizationService: {}, showStudyList: true, maxNumberOfWebWorkers: 2,
  defaultDataSourceName: 'hub',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'hub',
    configuration: {
      friendlyName: 'hub', name: 'hub', wadoUriRoot: '/dicomweb', qidoRoot: '/dicomweb', wadoRoot: '/dicomweb',
      qidoSupportsIncludeField: true, supportsFuzzyMatching: true, supportsWildcard: true,
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true, dicomUploadEnabled: false,
    },
  }],
};
"""
PATIENCE_MS = 180_000

pytestmark = [
    pytest.mark.browser, pytest.mark.peers,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not (OHIF / "index.html").is_file(), reason="OHIF is not here: make ohif"),
]


@pytest.fixture
def served(ct):
    """OHIF and the hub's DICOMweb under one address, and the requests that the hub was asked."""
    app, asked = ct.house.app, []
    page = Flask("ohif")

    @page.get("/", defaults={"path": ""})
    @page.get("/<path:path>")
    def file(path: str):
        if path == "app-config.js":
            return CONFIG, {"Content-Type": "text/javascript"}
        if (OHIF / path).is_file():
            return send_from_directory(OHIF, path)
        if "." in path.rpartition("/")[2]:
            abort(404)
        return send_from_directory(OHIF, "index.html")

    def both(environ, start):
        if environ["PATH_INFO"].startswith("/dicomweb"):
            def noted(status, headers, *rest):
                asked.append((environ["PATH_INFO"], int(status.split()[0])))
                return start(status, headers, *rest)
            return app.wsgi_app(environ, noted)
        return page.wsgi_app(environ, start)

    server = make_server("127.0.0.1", 0, both, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_ohif_lists_the_study_and_shows_its_images(ct, served):
    url, asked = served
    header = dcmread(next(iter(ct.files.values())), stop_before_pixels=True)
    frames = {f"/dicomweb{ct.path}/instances/{uid}/frames/1" for uid in ct.files}
    with sync_playwright() as running:
        browser = launch(running, SOFTWARE_GL)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{url}/?disableDateFilter=true")
        expect(page.get_by_text(str(header.PatientID)).first).to_be_visible(timeout=PATIENCE_MS)
        page.goto(f"{url}/viewer?StudyInstanceUIDs={ct.uid}")
        canvas = page.locator("canvas").first
        canvas.wait_for()
        until = monotonic() + PATIENCE_MS / 1000
        spread = 0.0
        while (not frames <= {path for path, *_ in asked} or spread < 20) and monotonic() < until:
            page.wait_for_timeout(300)
            spread = float(np.asarray(Image.open(BytesIO(canvas.screenshot())).convert("L")).std())
        browser.close()
    assert frames <= {path for path, *_ in asked}, "every image was asked for"
    assert spread >= 20, "and one of them is on the screen"
    assert [one for one in asked if one[1] not in (200, 304)] == []
