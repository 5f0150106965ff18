"""One county and its pages for all tests of this room; every test makes the studies that it needs."""
import re
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import reading_ui
from reading_ui.app import create_app
from tests.reading_ui.county import PASSWORD, PEOPLE, County


@pytest.fixture(scope="session", autouse=True)
def english_words():
    """The catalogue as set-up compiles it."""
    source = Path(reading_ui.__file__).parent / "translations" / "en" / "LC_MESSAGES" / "messages.po"
    with source.open("rb") as po, source.with_suffix(".mo").open("wb") as mo:
        write_mo(mo, read_po(po, locale="en"))


@pytest.fixture(scope="session")
def county(tmp_path_factory):
    made = County(tmp_path_factory.mktemp("county"), sessions_per_account=50)
    yield made
    made.hub.close()


@pytest.fixture(scope="session")
def app(county, english_words):
    application = create_app(county.hub)
    application.config.update(SIGN_IN_LIMIT="1000 per minute", EVENTS_SECONDS=0.0, EVENTS_STEP_SECONDS=0.01)
    return application


class Browser:
    """A person's browser without the drawing: keeps cookies, sends the form token as a page does."""

    def __init__(self, app):
        self.client = app.test_client()
        self.token = ""

    def get(self, path, accept="text/html", **more):
        return self.client.get(path, headers={"Accept": accept}, **more)

    def form_token(self):
        page = self.get("/password").text
        if 'name="csrf-token"' not in page:
            page = self.get("/sign-in").text
        self.token = re.search(r'name="csrf-token" content="([^"]+)"', page)[1]
        return self.token

    def post(self, path, accept="text/html", **form):
        return self.client.post(path, data={"csrf_token": self.token or self.form_token(), **form}, headers={"Accept": accept})

    def send(self, method, path, body):
        return self.client.open(path, method=method, json=body,
                                headers={"Accept": "application/json", "X-CSRFToken": self.token or self.form_token()})


@pytest.fixture(scope="session")
def people(app):
    """One signed-in browser per account, by user name."""
    browsers = {}
    for name, *_ in PEOPLE:
        browser = Browser(app)
        answer = browser.post("/sign-in", username=name, password=PASSWORD.format(name))
        assert answer.status_code == 302, answer.text
        browser.token = ""
        browsers[name] = browser
    return browsers


@pytest.fixture
def stranger(app):
    return Browser(app)
