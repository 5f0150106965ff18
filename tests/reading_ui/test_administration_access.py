"""Every route of the administrator's and the auditor's desks: which role passes, written by hand from the rules of the house."""
import ast
import re
from pathlib import Path

import pytest

import hub
from hub.model.access import PERMISSIONS
from reading_ui import wording

ADMINISTRATOR, AUDITOR = "admin", "audit"
ROUTES = {
    ("GET", "/operations"): ADMINISTRATOR, ("GET", "/operations/now"): ADMINISTRATOR, ("POST", "/operations/jobs/987654/redo"): ADMINISTRATOR,
    ("GET", "/held"): ADMINISTRATOR, ("GET", "/held/987654"): ADMINISTRATOR, ("POST", "/held/987654/resolve"): ADMINISTRATOR,
    ("GET", "/held/987654/files/0"): ADMINISTRATOR, ("GET", "/held/987654/pictures/<which>.jpg"): ADMINISTRATOR,
    ("POST", "/held/987654/undo"): ADMINISTRATOR, ("POST", "/devices/987654/served"): ADMINISTRATOR,
    ("POST", "/destinations/987654/served"): ADMINISTRATOR,
    ("GET", "/deliveries"): ADMINISTRATOR, ("GET", "/deliveries/987654"): ADMINISTRATOR, ("POST", "/deliveries/987654/resend"): ADMINISTRATOR, ("POST", "/deliveries/notices/987654/resend"): ADMINISTRATOR,
    ("GET", "/commitments"): ADMINISTRATOR, ("POST", "/commitments/again"): ADMINISTRATOR, ("POST", "/commitments/close"): ADMINISTRATOR,
    ("GET", "/retention"): ADMINISTRATOR, ("POST", "/retention/remove"): ADMINISTRATOR, ("POST", "/retention/holds"): ADMINISTRATOR, ("POST", "/retention/discarded"): ADMINISTRATOR,
    ("POST", "/retention/holds/987654/end"): ADMINISTRATOR,
    ("GET", "/sites"): ADMINISTRATOR, ("GET", "/sites/new"): ADMINISTRATOR, ("POST", "/sites/new"): ADMINISTRATOR, ("GET", "/sites/987654"): ADMINISTRATOR,
    ("POST", "/sites/987654/destinations"): ADMINISTRATOR, ("POST", "/destinations/987654/active"): ADMINISTRATOR,
    ("GET", "/devices"): ADMINISTRATOR, ("GET", "/devices/callers"): ADMINISTRATOR, ("GET", "/devices/new"): ADMINISTRATOR, ("POST", "/devices/new"): ADMINISTRATOR,
    ("GET", "/devices/987654"): ADMINISTRATOR, ("POST", "/devices/987654/token"): ADMINISTRATOR, ("POST", "/devices/987654/active"): ADMINISTRATOR,
    ("POST", "/devices/callers/987654/register"): ADMINISTRATOR, ("POST", "/devices/callers/987654/dismiss"): ADMINISTRATOR,
    ("GET", "/devices/987654/check"): ADMINISTRATOR, ("POST", "/devices/987654/check"): ADMINISTRATOR, ("GET", "/devices/987654/sample"): ADMINISTRATOR,
    ("POST", "/devices/987654/sample"): ADMINISTRATOR, ("POST", "/devices/987654/sample/end"): ADMINISTRATOR, ("GET", "/devices/987654/sheet"): ADMINISTRATOR,
    ("GET", "/devices/987654/sheet.pdf"): ADMINISTRATOR, ("GET", "/devices/987654/rules"): ADMINISTRATOR, ("POST", "/devices/987654/rules"): ADMINISTRATOR,
    ("POST", "/devices/987654/move"): ADMINISTRATOR, ("POST", "/devices/987654/certificate"): ADMINISTRATOR,
    ("GET", "/devices/network-root.pem"): ADMINISTRATOR,
    ("GET", "/accounts"): ADMINISTRATOR, ("GET", "/accounts/new"): ADMINISTRATOR, ("POST", "/accounts/new"): ADMINISTRATOR,
    ("GET", "/accounts/987654"): ADMINISTRATOR, ("POST", "/accounts/987654/password"): ADMINISTRATOR, ("POST", "/accounts/987654/role"): ADMINISTRATOR,
    ("POST", "/accounts/987654/active"): ADMINISTRATOR, ("POST", "/accounts/987654/unlock"): ADMINISTRATOR,
    ("GET", "/audit"): AUDITOR, ("POST", "/audit/verify"): AUDITOR,
}
DESKS = {"operations", "held", "retention", "deliveries", "commitments", "region", "devices", "device_rules", "checkups", "people", "audit"}


def _ask(browser, method, path):
    return browser.get(path) if method == "GET" else browser.post(path)


def test_every_route_of_these_desks_is_in_the_table_and_no_other(app):
    own = {(method, re.sub(r"<int:\w+>", "987654", rule.rule).replace("files/987654", "files/0"))
           for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[0] in DESKS for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert own == set(ROUTES)


@pytest.mark.parametrize("name", ["chen", "zhou", "qs", "admin", "audit"])
def test_a_role_passes_exactly_the_routes_of_the_table(people, name):
    for (method, path), allowed in ROUTES.items():
        assert (_ask(people[name], method, path).status_code == 403) == (name != allowed), (method, path)


def test_nobody_passes_without_signing_in(stranger):
    stranger.form_token()
    for method, path in ROUTES:
        answer = _ask(stranger, method, path)
        assert answer.status_code == 401 or answer.location.startswith("/sign-in"), (method, path)


def test_a_form_without_its_token_changes_nothing(county, people):
    answer = people["admin"].client.post("/sites/new", data={"code": "XX", "name": "无令牌"})
    assert answer.status_code == 400
    assert "无令牌" not in people["admin"].get("/sites").text


def test_every_role_lands_on_a_desk_that_opens(people):
    for name, home in (("admin", "/operations"), ("audit", "/audit")):
        assert people[name].get("/").location == home
        assert people[name].get(home).status_code == 200


def test_every_action_that_the_audit_may_hold_has_words():
    areas = "|".join(wording.AREAS)
    found = {node.value for file in Path(hub.__file__).parent.rglob("*.py") for node in ast.walk(ast.parse(file.read_text("utf-8")))
             if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(rf"({areas})\.(?!id$)[a-z_]+", node.value)}
    assert len(found) > 40
    assert sorted(found - set(PERMISSIONS) - set(wording.ACTIONS)) == []
