"""A door is shown a request before its long body has come, and asked again with it: until it reads, it may do nothing that lasts."""
import uuid

import pytest
from sqlalchemy import event

from hub.flow import devices
from hub.model.access import SYSTEM
from reading_ui.incoming import BodyAwaited, Unsent
from reading_ui.wsgi import whole
from tests.reading_ui.conftest import Browser
from tests.reading_ui.county import PASSWORD, PEOPLE, County

KINDS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json", "text/csv", "application/octet-stream",
         'multipart/related; type="application/dicom"; boundary=x')
SEEN = "UPDATE device SET last_seen_at=? WHERE"        # may be said twice
LASTING = ("INSERT", "UPDATE", "DELETE", "REPLACE")


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    """One of its own: what needs no body is done here."""
    made = County(tmp_path_factory.mktemp("shown"), sessions_per_account=50)
    made.signed(made.study("QS", pixels=True))
    made.submitted(made.study("QS"))
    yield made
    made.hub.close()


@pytest.fixture(scope="module")
def app(county, english_words):
    application = whole(county.hub)
    application.config.update(SIGN_IN_LIMIT="1000 per minute")
    return application


@pytest.fixture(scope="module")
def askers(app, county) -> list[tuple[Browser, dict]]:
    """Everybody who may ask for something: people who are signed in, with their form's token, and devices and systems with theirs."""
    found = []
    for name, *_ in PEOPLE:
        browser = Browser(app)
        assert browser.post("/sign-in", username=name, password=PASSWORD.format(name)).status_code == 302
        browser.token = ""
        found.append((browser, {"X-CSRFToken": browser.form_token()}))
    with county.hub.reading() as connection:
        site_id = connection.exec_driver_sql("SELECT id FROM site WHERE code = 'QS'").scalar()
    for kind in ("ecg", "his"):
        token = devices.register(county.hub, SYSTEM, site_id=site_id, kind=kind, name=f"{kind} {uuid.uuid4().hex[:6]}")[1]
        found.append((Browser(app), {"Authorization": f"Bearer {token}", "Idempotency-Key": "1"}))
    return found


@pytest.fixture
def lasting(county):
    """What is written to the database, from here on."""
    seen = []

    def note(connection, cursor, statement, *_):
        if statement.lstrip().upper().startswith(LASTING) and not statement.replace("%(last_seen_at)s::VARCHAR", "?").startswith(SEEN):
            seen.append(statement)
    event.listen(county.hub.engine, "before_cursor_execute", note)
    yield seen
    event.remove(county.hub.engine, "before_cursor_execute", note)


def _shown(app):
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.endpoint == "session.sign_out"):      # last: nobody is signed in afterwards
        for method in sorted(rule.methods & {"POST", "PUT", "PATCH", "DELETE"}):
            values = {name: sorted(getattr(rule._converters[name], "items", ["1"]))[0] for name in rule.arguments}
            with app.test_request_context():
                yield rule.endpoint, method, app.url_map.bind("localhost").build(rule.endpoint, values, method=method)


def test_whatever_is_asked_by_whomever_nothing_lasts_of_a_request_whose_body_is_awaited(app, askers, lasting):
    awaited = set()
    for endpoint, method, path in _shown(app):
        for browser, headers in askers:
            for kind in KINDS:
                lasting.clear()
                try:
                    browser.client.open(path, method=method, headers=headers | {"Accept": "application/json"}, content_type=kind,
                                        environ_overrides={"wsgi.input": Unsent(), "CONTENT_LENGTH": "1000000"})
                except BodyAwaited:
                    awaited.add(endpoint)
                    assert lasting == [], (endpoint, kind)
    assert {"ecg_door.receive", "dicomweb.store", "session.sign_in", "reports.save", "orders.add"} <= awaited and len(awaited) > 40, awaited
