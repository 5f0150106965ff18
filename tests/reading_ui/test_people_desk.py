"""Accounts: passwords shown once, locks, roles, and nobody changing their own rights."""
import html
import re

import pytest

from hub import accounts
from hub.errors import Refused
from hub.model.access import SYSTEM
from tests.reading_ui.county import PASSWORD
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("people"), lockout_failures=2) as made:
        yield made


def _password(page):
    return html.unescape(re.search(r'<code class="secret">([^<]+)</code>', page)[1])


def _row(house, username):
    return next(row for row in accounts.listed(house.hub, SYSTEM) if row.username == username)


def test_a_new_account_gets_a_password_shown_once_and_must_change_it(house):
    answer = house.admin.post("/accounts/new", username="li.fang", display_name="李芳", role="clinic", site=str(house.county.sites["QS"]), title="护士")
    password, row = _password(answer.text), _row(house, "li.fang")
    assert len(password) == 19 and row.site_id == house.county.sites["QS"]
    assert password not in house.admin.get(f"/accounts/{row.id}").text and password not in house.auditor.get("/audit").text
    person = house.enter("li.fang", password)
    assert person.get("/clinic").location == "/password"


def test_two_made_passwords_differ_and_none_looks_alike(house):
    made = {accounts.make_password() for _ in range(200)}
    assert len(made) == 200 and not set("".join(made)) & set("01iloIO")
    for one in made:
        accounts.check_password(one)


def test_mistakes_in_the_form_are_answered_in_place_with_what_was_typed(house):
    for form, words in (({"username": "chen", "display_name": "同名", "role": "reader"}, "该用户名已存在"), ({"username": "x y", "display_name": "空格", "role": "reader"}, "不含空格"),
                        ({"username": "noname", "display_name": " ", "role": "reader"}, "请填写姓名"), ({"username": "nosite", "display_name": "无机构", "role": "clinic"}, "必须指定所属机构"),
                        ({"username": "king", "display_name": "国王", "role": "king"}, "角色只能是"), ({"username": "sys", "display_name": "系统", "role": "system"}, "角色只能是")):
        answer = house.admin.post("/accounts/new", **form)
        assert answer.status_code == 400 and words in answer.text, form
        assert f'value="{form["username"]}"' in answer.text


def test_a_reset_ends_the_sessions_and_the_old_password(house):
    person, row = house.enter("lin"), _row(house, "lin")
    password = _password(house.admin.post(f"/accounts/{row.id}/password").text)
    assert person.get("/worklist").location.startswith("/sign-in")
    with pytest.raises(Refused):
        accounts.sign_in(house.hub, "lin", PASSWORD.format("lin"), "")
    assert accounts.sign_in(house.hub, "lin", password, "")


def test_an_account_locked_by_wrong_passwords_is_shown_and_unlocked(house):
    for _ in range(2):
        with pytest.raises(Refused):
            accounts.sign_in(house.hub, "wu", "wrong", "")
    row = _row(house, "wu")
    assert "锁定至" in house.admin.get("/accounts").text and "解除锁定" in house.admin.get(f"/accounts/{row.id}").text
    house.admin.post(f"/accounts/{row.id}/unlock")
    assert accounts.sign_in(house.hub, "wu", PASSWORD.format("wu"), "")
    assert "account.unlock" in house.actions()


def test_a_person_switched_off_is_out_at_once(house):
    person, row = house.enter("chen"), _row(house, "chen")
    house.admin.post(f"/accounts/{row.id}/active", active="no")
    assert person.get("/worklist").location.startswith("/sign-in")
    with pytest.raises(Refused):
        accounts.sign_in(house.hub, "chen", PASSWORD.format("chen"), "")
    house.admin.post(f"/accounts/{row.id}/active", active="yes")
    assert house.enter("chen").get("/worklist").status_code == 200


def test_another_role_holds_from_the_next_request_on(house):
    person, row = house.enter("bx"), _row(house, "bx")
    assert person.get("/worklist").status_code == 403
    assert house.admin.post(f"/accounts/{row.id}/role", role="reader", site=str(house.county.sites["BX"])).status_code == 302
    assert person.get("/worklist").status_code == 200 and person.get("/clinic").status_code == 403
    assert _row(house, "bx").site_id is None
    answer = house.admin.post(f"/accounts/{row.id}/role", role="clinic", site="")
    assert answer.status_code == 400 and "必须指定所属机构" in answer.text


def test_nobody_changes_their_own_rights(house):
    row = _row(house, "admin")
    for path, form in (("role", {"role": "reviewer"}), ("active", {"active": "no"}), ("password", {})):
        assert house.admin.post(f"/accounts/{row.id}/{path}", **form).status_code == 403, path
    assert house.admin.get("/operations").status_code == 200
    page = house.admin.get(f"/accounts/{row.id}").text
    assert "这是您自己的账号" in page and f"/accounts/{row.id}/active" not in page
