"""The desk of storage commitments: nothing that was given up can be overlooked, and the way to mend it is short."""
import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.errors import Retryable, words_of
from hub.flow import commitments, devices
from hub.model.access import SYSTEM, Actor
from hub.storage.tables import commitment, job
from reading_ui import metrics
from reading_ui.wording import halves
from tests.reading_ui.house import opened

FAILURE = "无法连接 QS_CT（10.1.2.3:104）。请确认接收端口正确。"


@pytest.fixture
def house(tmp_path):
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def ct(house):
    return next(one for one in devices.listed(house.hub, SYSTEM) if one.kind == "dicom")


def asked(house, device, *, failed: bool = True, number: int = 1) -> int:
    """A commitment whose device left, and could not be called; its id."""
    actor = Actor(None, device.name, "device", device.site_id, device.address)
    one = commitments.take_on(house.hub, actor, device.ae_title, f"1.2.840.{number}", [("1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{n}") for n in range(312)])
    commitments.leave(house.hub, [one.commitment_id])
    if failed:
        row, _ = commitments.begin(house.hub, one.commitment_id)
        commitments.end(house.hub, row, "retry", f"{FAILURE} no_association: no association with QS_CT: see that its listener has this port.")
    return one.commitment_id


def give_up(house) -> None:
    commitments.CALLS.mark_overdue(house.county.later(2 * 86400))


def state_of(house, commitment_id: int) -> str:
    with house.hub.reading() as connection:
        return connection.scalar(select(commitment.c.state).where(commitment.c.id == commitment_id))


def words(answer) -> str:
    return html.unescape(answer.text)


def tile(page: str) -> str:
    return re.search(r'class="tile (\w+)" href="/commitments"><b>(\d+)', page).group(1, 2)


def test_what_was_given_up_is_counted_on_operations_and_named_with_its_cause_and_what_to_do(house, ct):
    asked(house, ct)
    assert tile(words(house.admin.get("/operations"))) == ("calm", "0"), "it is still being called"
    page = words(house.admin.get("/commitments"))
    assert "等待回呼" in page and ct.name in page and ">312<" in page and FAILURE in page and "its listener has this port" in page
    give_up(house)
    assert tile(words(house.admin.get("/operations"))) == ("waits", "1")
    assert tile(words(house.admin.get("/operations/now"))) == ("waits", "1")
    page = words(house.admin.get("/commitments"))
    assert "未送达，已放弃" in page and FAILURE in page and f'href="/sites/{ct.site_id}"' in page
    assert 'hub_commitments{state="overdue"} 1' in metrics.page(house.hub)


def test_one_click_calls_the_device_back_and_is_on_record(house, ct):
    first, second = asked(house, ct), asked(house, ct, number=2)
    give_up(house)
    assert house.admin.post("/commitments/again", only=str(first), commitment=[str(first), str(second)]).location == "/commitments"
    assert (state_of(house, first), state_of(house, second)) == ("due", "overdue"), "its own button is for one"
    assert house.actions()[0] == "delivery.resend"
    with house.hub.reading() as connection:
        assert connection.scalar(select(job.c.key).where(job.c.kind == "call_back", job.c.key.startswith(f"{first}:1:again")).limit(1)) is not None
    house.admin.post("/commitments/again", commitment=[str(first), str(second)])
    assert state_of(house, second) == "due"


def test_what_is_closed_needs_a_word_and_is_kept_with_it(house, ct):
    one = asked(house, ct)
    give_up(house)
    refused = house.admin.post("/commitments/close", commitment=str(one), words="")
    assert refused.status_code == 400 and "请写明处理结果" in refused.text and state_of(house, one) == "overdue"
    assert house.admin.post("/commitments/close", commitment=str(one), words="已在设备上核对").status_code == 302
    assert "没有未完成的存储确认" in house.admin.get("/commitments").text
    assert "系统管理员：已在设备上核对" in words(house.admin.get("/commitments?state=resolved"))
    assert tile(words(house.admin.get("/operations"))) == ("calm", "0") and house.actions()[0] == "delivery.closed"


def test_what_is_no_longer_kept_says_so_and_offers_no_call(house, ct):
    one = asked(house, ct)
    give_up(house)
    commitments.let_go(house.hub.at(lambda: house.hub.now() + timedelta(days=31)))
    page = words(house.admin.get("/commitments"))
    assert "请在设备上重新请求存储确认" in page and "立即回呼" not in page
    answer = house.admin.post("/commitments/again", commitment=str(one))
    assert answer.status_code == 409 and "对象清单不再保留" in answer.text and state_of(house, one) == "overdue"


def test_a_device_has_its_own_list_and_long_lists_have_pages(house, ct):
    other = next(one for one in devices.listed(house.hub, SYSTEM) if one.kind == "dicom" and one.id != ct.id)
    for number in range(51):
        asked(house, ct, failed=False, number=number)
    asked(house, other, failed=False, number=99)
    assert f'href="/commitments?device={ct.id}"' in house.admin.get(f"/devices/{ct.id}").text
    page = words(house.admin.get(f"/commitments?device={ct.id}"))
    assert "共 51 次请求" in page and "第 1 / 2 页" in page and page.count("<td class=\"nowrap\"><span class=\"badge") == 50
    last = words(house.admin.get(f"/commitments?device={ct.id}&page=2"))
    assert last.count("<td class=\"nowrap\"><span class=\"badge") == 1
    assert "共 1 次请求" in words(house.admin.get(f"/commitments?device={other.id}"))
    for odd in ("?page=x&device=-1&state=gone", "?page=999999999&device=999999999", "?page=0", "?state=delivered"):
        assert house.admin.get(f"/commitments{odd}").status_code == 200, odd


def test_what_was_given_up_stands_before_what_is_still_called(house, ct):
    asked(house, ct, number=1)
    give_up(house)
    asked(house, ct, failed=False, number=2)
    page = words(house.admin.get("/commitments"))
    assert page.index("未送达，已放弃") < page.index("等待回呼")


def test_the_desk_speaks_english_when_asked(house, ct):
    asked(house, ct)
    give_up(house)
    house.admin.post("/language", language="en")
    page = words(house.admin.get("/commitments"))
    assert "Given up" in page and "Call back now" in page and re.search(r'class="why">No association with QS_CT', page)


def test_a_kept_failure_is_told_in_the_language_of_the_page():
    error = Retryable("no_answer", "没有应答。", "it did not answer: look at it.")
    assert halves(words_of(error)) == ("没有应答。", "it did not answer: look at it.")
    assert halves("a fault") == ("a fault", "a fault")
