"""People: passwords, lock-out, sessions that end by time, silence or number."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hub import accounts
from hub.errors import Invalid, NotFound, Refused
from hub.model.access import SYSTEM
from hub.storage.tables import account, audit, session
from tests.conftest import PASSWORD, with_settings
from tests.hub.arrivals import rows

WRONG = "Wrong-horse-2026"


def sign_in(hub, password=PASSWORD, username="reader"):
    return accounts.sign_in(hub, username, password, "10.0.0.7")


def refused(hub, password=WRONG, username="reader") -> str:
    with pytest.raises(Refused) as refusal:
        sign_in(hub, password, username)
    return refusal.value.code


def actions(hub) -> list[str]:
    return [row.action for row in rows(hub, audit)]


def test_the_right_password_opens_a_session_of_that_person(hub, county):
    row, actor = accounts.who(hub, sign_in(hub), "10.0.0.7")
    assert (row.username, actor) == ("reader", county.reader)
    assert actions(hub)[-1] == "session.begin"


def test_the_user_name_is_taken_in_any_case_and_with_spaces_around_it(hub):
    assert sign_in(hub, username="  Reader ")


def test_wrong_password_and_unknown_name_are_answered_alike(hub):
    assert refused(hub) == refused(hub, username="nobody") == "wrong_password"


def test_neither_password_nor_token_is_stored_as_it_is(hub):
    token = sign_in(hub)
    assert all(PASSWORD not in str(tuple(row)) for row in rows(hub, account))
    assert all(token not in str(tuple(row)) for row in rows(hub, session))
    assert all(row.password_hash.startswith("$argon2id$") for row in rows(hub, account))


def test_the_fifth_wrong_password_locks_the_right_one_out_for_a_quarter_of_an_hour(hub, clock):
    assert [refused(hub) for _ in range(5)] == ["wrong_password"] * 5
    assert refused(hub, PASSWORD) == "locked"
    assert actions(hub).count("session.locked") == 1
    clock.forward(minutes=14, seconds=59)
    assert refused(hub, PASSWORD) == "locked"
    clock.forward(seconds=2)
    assert sign_in(hub)


def test_a_right_password_in_between_starts_the_count_again(hub):
    for _ in range(3):
        for _ in range(4):
            assert refused(hub) == "wrong_password"
        assert sign_in(hub)


def test_many_guesses_at_once_lock_as_well(hub):
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: refused(hub), range(12)))
    assert codes.count("wrong_password") >= 5
    assert refused(hub, PASSWORD) == "locked"


def test_a_locked_account_locks_no_other(hub):
    for _ in range(5):
        refused(hub)
    assert sign_in(hub, username="reviewer")


def test_the_administrators_new_password_lifts_the_lock_and_must_be_changed(hub, county):
    for _ in range(5):
        refused(hub)
    accounts.reset_password(hub, county.administrator, county.reader.account_id, "Given-by-admin-1")
    row, _ = accounts.who(hub, sign_in(hub, "Given-by-admin-1"))
    assert row.must_change_password


def test_silence_ends_a_session_and_activity_keeps_it(hub, clock):
    token = sign_in(hub)
    for _ in range(4):
        clock.forward(minutes=59)
        assert accounts.who(hub, token)
    clock.forward(minutes=60)
    assert accounts.who(hub, token) is None


def test_activity_keeps_even_the_shortest_session(hub, clock):
    strict = with_settings(hub, session_idle_minutes=1)
    token = sign_in(strict)
    for _ in range(10):
        clock.forward(seconds=40)
        assert accounts.who(strict, token), "a page every forty seconds is no silence"


def test_the_end_of_the_day_ends_a_session_in_spite_of_activity(hub, clock):
    token = sign_in(hub)
    for _ in range(23):
        clock.forward(minutes=31)
        assert accounts.who(hub, token)
    clock.forward(minutes=10)
    assert accounts.who(hub, token) is None


def test_the_fourth_session_ends_the_first(hub):
    tokens = [sign_in(hub) for _ in range(4)]
    assert [accounts.who(hub, token) is not None for token in tokens] == [False, True, True, True]


def test_a_token_is_worth_nothing_after_signing_out(hub, county):
    token = sign_in(hub)
    accounts.sign_out(hub, token, county.reader)
    assert accounts.who(hub, token) is None


@pytest.mark.parametrize("token", ["", "x", "中文", "A" * 4000])
def test_an_invented_token_is_nobody(hub, token):
    assert accounts.who(hub, token) is None


def test_changing_the_password_needs_the_old_one_and_ends_all_sessions(hub, county):
    token = sign_in(hub)
    with pytest.raises(Refused):
        accounts.change_password(hub, county.reader, WRONG, "Another-horse-1")
    assert accounts.who(hub, token)
    accounts.change_password(hub, county.reader, PASSWORD, "Another-horse-1")
    assert accounts.who(hub, token) is None
    assert refused(hub, PASSWORD) == "wrong_password" and sign_in(hub, "Another-horse-1")


def test_somebody_shut_out_is_out_at_once_and_is_told_nothing(hub, county):
    token = sign_in(hub)
    accounts.set_active(hub, county.administrator, county.reader.account_id, False)
    assert accounts.who(hub, token) is None
    assert refused(hub, PASSWORD) == "wrong_password"
    accounts.set_active(hub, county.administrator, county.reader.account_id, True)
    assert sign_in(hub)


def test_nobody_shuts_out_themselves(hub, county):
    with pytest.raises(Refused):
        accounts.set_active(hub, county.administrator, county.administrator.account_id, False)


@pytest.mark.parametrize("password", ["", "short-1A", "aaaaaaaaaaaa", "abababababab", "x" * 257])
def test_a_weak_password_is_refused(hub, password):
    with pytest.raises(Invalid):
        accounts.check_password(password)


@pytest.mark.parametrize("change, code", [
    ({"role": "system"}, "bad_role"), ({"role": "clinic"}, "no_site"), ({"site_id": 999}, "no_site"), ({"username": "a"}, "bad_username"),
    ({"username": "two words"}, "bad_username"), ({"username": "Reader"}, "username_taken"), ({"password": "short"}, "weak_password"),
    ({"display_name": "名" * 65}, "bad_name"),
])
def test_an_account_that_cannot_be_is_refused_by_name(hub, county, change, code):
    wanted = {"username": "new", "password": PASSWORD, "display_name": "新人", "role": "reader"} | change
    with pytest.raises(Invalid) as refusal:
        accounts.create(hub, county.administrator, **wanted)
    assert refusal.value.code == code


def test_only_the_administrator_touches_accounts(hub, county):
    for actor in county.everybody:
        if actor.role != "administrator":
            for verb in (lambda: accounts.create(hub, actor, username="new", password=PASSWORD, display_name="x", role="reader"),
                         lambda: accounts.reset_password(hub, actor, 1, PASSWORD), lambda: accounts.set_active(hub, actor, 1, False),
                         lambda: accounts.listed(hub, actor)):
                with pytest.raises(Refused):
                    verb()


def test_an_account_that_is_not_there_is_not_found(hub):
    with pytest.raises(NotFound):
        accounts.reset_password(hub, SYSTEM, 999, PASSWORD)


def test_the_language_is_remembered(hub, county):
    accounts.set_language(hub, county.reader, "en")
    assert accounts.who(hub, sign_in(hub))[0].language == "en"
    with pytest.raises(Invalid):
        accounts.set_language(hub, replace(county.reader), "fr")
