"""A whole hub in processes of its own, on free ports, with the demo county: what a journey walks through."""
from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from hub import demo
from hub.context import Hub, open_hub
from hub.settings import Settings
from hub.storage import migration

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240          # of a slow machine that does other work beside
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
CHROMIUM_ARGS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
                 "--disable-component-update --disable-sync --use-gl=angle --use-angle=swiftshader "
                 "--enable-unsafe-swiftshader --force-prefers-reduced-motion").split()


@dataclass
class RunningHub:
    """The hub as its users meet it: an address, an AE title, and the demo county's people and token."""

    settings: Settings
    hub: Hub
    county: demo.County
    process: subprocess.Popen | None = None
    log: Path = field(default_factory=Path)

    def start(self) -> None:
        variables = {f"HUB_{name.upper()}": str(value) for name, value in vars(self.settings).items() if value != ""}
        self.process = subprocess.Popen([sys.executable, "-m", "hub", "up"], cwd=ROOT, stdout=self.log.open("ab"), stderr=subprocess.STDOUT,
                                        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)}, start_new_session=True)
        wait_for(lambda: _answers(f"{self.settings.address}/healthz"), f"the hub did not start, see {self.log}")
        wait_for(lambda: _listens(self.settings.dicom_port), "the gateway did not start")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE_S)

    def hub_command(self, *words: str) -> subprocess.CompletedProcess:
        variables = {f"HUB_{name.upper()}": str(value) for name, value in vars(self.settings).items() if value != ""}
        return subprocess.run([sys.executable, "-m", "hub", *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S,
                              env={**os.environ, **variables, "PYTHONPATH": str(ROOT)})


@pytest.fixture(scope="module")
def running_hub(tmp_path_factory, databases):
    """A hub of this module's own, started with ``hub up`` and stopped with Ctrl-C."""
    folder = tmp_path_factory.mktemp("hub")
    settings = Settings(data_dir=str(folder / "data"), database_url=databases.new(folder / "data"), web_port=free_port(), dicom_port=free_port(),
                        released_quiet_s=1.0, job_lease_s=5.0)
    hub = open_hub(settings)
    migration.migrate(hub.engine)
    running = RunningHub(settings, hub, demo.make_county(hub), log=folder / "hub.log")
    running.start()
    yield running
    running.stop()
    hub.close()


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium under Playwright; skips with a reason where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found: browser journeys are not run")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield opened
        opened.close()


class Inbox:
    """A clinic's own web server: keeps every message it was sent."""

    def __init__(self):
        self.messages: list[tuple[dict, bytes]] = []
        inbox = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                inbox.messages.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/reports"

    def bodies(self) -> list[dict]:
        return [json.loads(content) for _, content in self.messages]

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture(scope="module")
def inbox():
    opened = Inbox()
    yield opened
    opened.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A journey that fails leaves pictures of its pages in HUB_TEST_PICTURES, where that is set."""
    outcome = yield
    place = os.environ.get("HUB_TEST_PICTURES")
    if place and outcome.get_result().failed and "road" in item.funcargs:
        for who, page in item.funcargs["road"]["pages"].items():
            page.screenshot(path=str(Path(place) / f"{item.name}-{who}.png"))


def wait_for(true, otherwise: str):
    """Waits until ``true()`` is, and returns what it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError(otherwise)


def program(name: str) -> str:
    """The full path of a system program (pynetdicom installs namesakes of DCMTK's into the environment)."""
    path = Path("/usr/bin") / name
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return str(path)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=30) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
