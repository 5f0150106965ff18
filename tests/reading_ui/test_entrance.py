"""Coming in and going out: cookies, tokens, lock-out, headers, language."""
import os
import stat

from hub import accounts
from hub.model.access import SYSTEM
from reading_ui.app import create_app, session_secret
from reading_ui.wsgi import whole
from tests.reading_ui.conftest import Browser
from tests.reading_ui.county import PASSWORD


def _cookies(answer):
    return {line.split("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(app, stranger):
    answer = stranger.post("/sign-in", username="chen", password=PASSWORD.format("chen"))
    cookie = _cookies(answer)["hub_session"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie


def test_behind_https_both_cookies_are_secure(county):
    app = create_app(county.hub)
    client = app.test_client()
    page = client.get("/sign-in", base_url="https://hub.example")
    assert "Secure" in _cookies(page)["hub_form"]
    token = page.text.split('name="csrf-token" content="')[1].split('"')[0]
    answer = client.post("/sign-in", base_url="https://hub.example", headers={"Referer": "https://hub.example/sign-in"},
                         data={"csrf_token": token, "username": "chen", "password": PASSWORD.format("chen")})
    assert answer.status_code == 302 and "Secure" in _cookies(answer)["hub_session"]


def test_a_wrong_password_is_told_in_one_sentence_that_names_neither(stranger):
    unknown = stranger.post("/sign-in", username="nobody", password="some-password")
    wrong = stranger.post("/sign-in", username="lin", password="some-password")
    assert unknown.status_code == wrong.status_code == 403
    assert "用户名或密码不正确" in unknown.text and "用户名或密码不正确" in wrong.text


def test_the_rate_limit_answers_429_before_the_lock_out(county):
    app = create_app(county.hub)
    app.config["SIGN_IN_LIMIT"] = "3 per minute"
    browser = Browser(app)
    codes = [browser.post("/sign-in", username="nobody", password=f"wrong-{n}-word").status_code for n in range(4)]
    assert codes == [403, 403, 403, 429]


def test_an_initial_password_must_be_changed_before_anything_else(county, app, stranger):
    accounts.create(county.hub, SYSTEM, username="newcomer", password="Initial-pass-1", display_name="新来", role="reader", must_change_password=True)
    stranger.post("/sign-in", username="newcomer", password="Initial-pass-1")
    stranger.token = ""
    assert stranger.get("/worklist").location == "/password"
    stranger.form_token()
    assert "不一致" in stranger.post("/password", old="Initial-pass-1", new="Second-pass-22", again="Third-pass-333").text
    assert stranger.post("/password", old="Initial-pass-1", new="Second-pass-22", again="Second-pass-22").status_code == 302
    assert stranger.get("/worklist").status_code == 200


def test_signing_out_ends_the_session_on_the_server(county, app, stranger):
    stranger.post("/sign-in", username="lin", password=PASSWORD.format("lin"))
    stranger.token = ""
    cookie = stranger.client.get_cookie("hub_session").value
    assert accounts.who(county.hub, cookie) is not None
    stranger.post("/sign-out")
    assert accounts.who(county.hub, cookie) is None


def test_next_leads_only_to_this_site(app):
    for there, expected in (("/worklist?state=mine", "/worklist?state=mine"), ("//evil.example/", "/"), ("https://evil.example", "/"),
                            ("/\\evil.example", "/"), ("javascript:alert(1)", "/")):
        browser = Browser(app)
        assert browser.post("/sign-in", username="wu", password=PASSWORD.format("wu"), next=there).location == expected


def test_a_form_without_its_token_is_refused(app, people):
    answer = people["chen"].client.post("/worklist/next", headers={"Accept": "text/html"})
    assert answer.status_code == 400 and "页面已过期" in answer.text
    assert people["chen"].client.put("/readings/1/draft", json={}, headers={"Accept": "application/json"}).get_json()["code"] == "form_expired"


def test_every_answer_carries_the_policy(county, people, stranger):
    for answer in (stranger.get("/sign-in"), people["chen"].get("/worklist"), people["chen"].get("/nothing-here"), people["qs"].get("/worklist"),
                   people["chen"].get("/static/base.css")):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';") and "unsafe-inline" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "same-origin"
    assert people["chen"].get("/worklist").headers["Cache-Control"] == "no-store"


def test_no_page_holds_inline_script_or_style(county, people):
    import re
    study_id = county.study("QS", pixels=True)
    county.written(study_id)
    for path in ("/worklist", f"/studies/{study_id}", "/password"):
        page = people["chen"].get(path).text
        assert not re.search(r"<script(?![^>]*\ssrc=)", page) and not re.search(r"<style|\sstyle=|\son[a-z]+=\"", page), path


def test_what_a_device_sends_is_text_and_never_markup(county, people):
    study_id = county.study("QS", patient='<img src=x onerror="alert(1)">', description="<script>alert(2)</script>", summary="<b>bold</b>")
    for path in ("/worklist", f"/studies/{study_id}"):
        page = people["chen"].get(path).text
        assert "<img src=x" not in page and "<script>alert" not in page and "<b>bold" not in page
        assert "&lt;img src=x" in page


def test_the_language_switch_is_remembered_with_the_account(county, app):
    browser = Browser(app)
    browser.post("/sign-in", username="wu", password=PASSWORD.format("wu"))
    browser.token = ""
    assert "阅片工作台" in browser.get("/worklist").text
    assert browser.post("/language", language="en", next="/worklist").location == "/worklist"
    page = browser.get("/worklist").text
    assert 'lang="en"' in page and "Worklist" in page and "阅片工作台" not in page.split("data-words")[0]
    again = Browser(app)
    again.post("/sign-in", username="wu", password=PASSWORD.format("wu"))
    assert "Worklist" in again.get("/worklist").text
    again.token = ""
    again.post("/language", language="zh")


def test_the_session_secret_is_made_once_and_readable_by_its_owner_only(tmp_path):
    file = tmp_path / "keys" / "session_secret"
    first = session_secret(file)
    assert len(first) >= 32 and session_secret(file) == first
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600 and list(file.parent.iterdir()) == [file]


def test_a_page_that_renews_itself_does_not_keep_an_idle_session_alive(county, app):
    import datetime
    browser = Browser(app)
    browser.post("/sign-in", username="chen", password=PASSWORD.format("chen"))
    token = browser.client.get_cookie("hub_session").value
    minutes = county.hub.settings.session_idle_minutes
    halfway, past = county.later(minutes * 30), county.later(minutes * 60 + 5)
    assert accounts.glance(halfway, token) is not None and accounts.glance(past, token) is None
    assert accounts.who(halfway, token) is not None and accounts.glance(past, token) is not None
    assert isinstance(halfway.now(), datetime.datetime)


def test_an_answer_in_json_is_readable_chinese(county):
    answer = whole(county.hub).test_client().post("/api/ecg")
    assert answer.status_code == 401 and "设备令牌" in answer.get_data(as_text=True)
