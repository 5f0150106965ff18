"""The access table times every route times every role: the table is written here by hand, from the rules of the house."""
import pytest

from tests.reading_ui.county import PEOPLE

OPEN = "everybody"
SIGNED_IN = "clinic reader reviewer administrator auditor"
READERS = "reader reviewer"

# endpoint -> the roles that may pass the gate
ACCESS = {
    "static": OPEN, "session.sign_in": OPEN, "session.language": OPEN, "reports.verify": OPEN,
    "session.home": SIGNED_IN, "session.sign_out": SIGNED_IN, "session.password": SIGNED_IN,
    "worklist.page": READERS, "worklist.table": READERS, "worklist.events": READERS, "worklist.next_one": READERS,
    "worklist.claim": READERS, "worklist.release": READERS, "worklist.renew": READERS, "worklist.hand_over": READERS,
    "worklist.urgency": "clinic reader reviewer", "worklist.close_critical": READERS,
    "studies.page": "clinic reader reviewer", "studies.key_images": "clinic reader reviewer", "studies.key_image": "clinic reader reviewer", "studies.across": "clinic reader reviewer",
    "studies.add_key_image": READERS, "ecgs.page": "clinic reader reviewer", "ecgs.sheet": "clinic reader reviewer",
    "ecgs.comparison": "clinic reader reviewer", "ecgs.beats": "clinic reader reviewer", "ecgs.as_dicom": "clinic reader reviewer",
    "reports.draft": READERS, "reports.save": READERS, "reports.submit": READERS, "reports.sign_alone": READERS,
    "reports.sign": "reviewer", "reports.send_back": "reviewer", "reports.countersign": "reviewer", "reports.bounce": READERS,
    "reports.requeue": READERS, "reports.amend": READERS, "reports.stands": READERS, "reports.page": "clinic reader reviewer", "reports.pdf": "clinic reader reviewer",
    "reports.acknowledge": "clinic", "clinic.page": "clinic", "clinic.table": "clinic", "clinic.report": "clinic", "clinic.read_back": "clinic",
    "orders.page": "clinic reader reviewer administrator", "orders.table": "clinic reader reviewer administrator", "orders.one": "clinic reader reviewer administrator",
    "orders.new": "clinic", "orders.add": "clinic", "orders.change": "clinic", "orders.save": "clinic", "orders.cancel": "clinic", "orders.reschedule": "clinic",
    "orders.decide": "clinic reader reviewer",
    "studies.beside": "clinic reader reviewer",
    **dict.fromkeys(("patients.page", "patients.search", "patients.unidentified", "patients.assigned", "patients.one", "patients.beside", "patients.nameless"),
                    "reader reviewer administrator"),
    **dict.fromkeys(("patients.merge", "patients.split", "patients.decline", "patients.add_identifier", "patients.assign", "patients.assign_new", "patients.undo"),
                    "reviewer administrator"),
    "repairs.page": "reviewer administrator", "repairs.one": "reviewer administrator", "repairs.correct": "reviewer administrator",
    "repairs.undo": "reviewer administrator",
}
ROLE_OF = {"chen": "reader", "zhou": "reviewer", "qs": "clinic", "admin": "administrator", "audit": "auditor"}
OWN = {"session", "worklist", "studies", "ecgs", "reports", "clinic", "orders", "patients", "repairs", "static"}


def _routes(app):
    for rule in app.url_map.iter_rules():
        if rule.endpoint.split(".")[0] in OWN and rule.endpoint not in ("static", "session.sign_out"):
            values = {name: ("static" if name == "filename" else "0" * 16 if name == "code" else "join" if name == "verb" else 987654) for name in rule.arguments}
            with app.test_request_context():
                yield rule, app.url_map.bind("localhost").build(rule.endpoint, values, method=sorted(rule.methods - {"HEAD", "OPTIONS"})[0])


def _ask(browser, rule, path):
    method = sorted(rule.methods - {"HEAD", "OPTIONS"})[0]
    if method == "GET":
        return browser.get(path)
    return browser.send(method, path, {}) if method == "PUT" else browser.post(path, accept="application/json")


def test_every_route_of_the_pages_is_in_the_table_and_no_other(app):
    own = {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[0] in OWN}
    assert own == set(ACCESS)


@pytest.mark.parametrize("name", ROLE_OF)
def test_a_role_passes_exactly_the_routes_of_the_table(app, people, name):
    for rule, path in _routes(app):
        answer = _ask(people[name], rule, path)
        refused = answer.status_code == 403
        assert refused == (ACCESS[rule.endpoint] != OPEN and ROLE_OF[name] not in ACCESS[rule.endpoint].split()), (rule.endpoint, answer.status_code)


def test_nobody_passes_a_shut_route_without_signing_in(app, stranger):
    stranger.form_token()
    for rule, path in _routes(app):
        if ACCESS[rule.endpoint] == OPEN:
            continue
        answer = _ask(stranger, rule, path)
        sent_to_sign_in = answer.status_code == 302 and answer.location.startswith("/sign-in")
        assert sent_to_sign_in or answer.status_code == 401, (rule.endpoint, answer.status_code)


def test_a_view_without_a_declaration_is_shut_to_everybody(county):
    from reading_ui.app import create_app
    from tests.reading_ui.conftest import Browser
    from tests.reading_ui.county import PASSWORD

    app = create_app(county.hub)
    app.add_url_rule("/forgotten", "forgotten", lambda: "inside")
    for name, *_ in PEOPLE:
        browser = Browser(app)
        browser.post("/sign-in", username=name, password=PASSWORD.format(name))
        assert browser.get("/forgotten").status_code == 403
    assert Browser(app).get("/forgotten").status_code == 302


def test_a_clinic_cannot_tell_a_neighbours_study_from_none(county, people):
    study_id = county.study("QS", pixels=True)
    report_id = county.signed(study_id)
    for path in (f"/studies/{study_id}", f"/studies/{study_id}/key-images", f"/reports/{report_id}", f"/reports/{report_id}.pdf",
                 f"/clinic/reports/{report_id}"):
        assert people["qs"].get(path).status_code == 200, path
        neighbour, nothing = people["bx"].get(path), people["bx"].get(path.replace(str(study_id), "99999").replace(str(report_id), "99999"))
        assert neighbour.status_code == nothing.status_code == 404, path
        assert neighbour.text.count("没有找到") == nothing.text.count("没有找到")
    people["bx"].form_token()
    assert people["bx"].post(f"/studies/{study_id}/urgency", urgency="emergency").status_code == 404
    assert people["bx"].post(f"/reports/{report_id}/acknowledge").status_code == 404


def test_a_clinic_sees_only_its_own_patients_in_its_list(county, people):
    county.study("QS", patient="只在青山")
    county.study("BX", patient="只在白溪")
    assert "只在青山" in people["qs"].get("/clinic").text and "只在白溪" not in people["qs"].get("/clinic").text
    assert "只在白溪" in people["bx"].get("/clinic").text and "只在青山" not in people["bx"].get("/clinic").text


def test_a_clinic_does_not_see_an_unsigned_report(county, people):
    study_id = county.study("QS")
    county.submitted(study_id)
    from hub.flow import reporting
    report = reporting.versions(county.hub, county.actor("chen"), county.reading(study_id))[0]
    assert people["qs"].get(f"/reports/{report.id}").status_code == 404
    assert "左肺上叶占位" not in people["qs"].get(f"/studies/{study_id}").text
