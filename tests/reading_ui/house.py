"""A county of one's own for tests that change what all others would see: its pages, and a signed-in browser per person."""
from contextlib import contextmanager

from reading_ui.app import create_app
from tests.reading_ui.conftest import Browser
from tests.reading_ui.county import PASSWORD, County


class House:
    """A county, its application and the browsers of the administrator and the auditor."""

    def __init__(self, county):
        self.county, self.hub = county, county.hub
        self.app = create_app(county.hub)
        self.app.config.update(SIGN_IN_LIMIT="1000 per minute")
        self.admin, self.auditor = self.enter("admin"), self.enter("audit")

    def browser(self):
        return Browser(self.app)

    def enter(self, name, password=None):
        browser = self.browser()
        answer = browser.post("/sign-in", username=name, password=password or PASSWORD.format(name))
        assert answer.status_code == 302, answer.text
        browser.token = ""
        return browser

    def actions(self):
        """What the audit holds, newest first."""
        from hub.flow import administration
        return [entry.action for entry in administration.audit_entries(self.hub, self.county.actor("audit"))]


@contextmanager
def opened(folder, **settings):
    county = County(folder, sessions_per_account=50, **settings)
    try:
        yield House(county)
    finally:
        county.hub.close()
