"""Institutions, destinations and devices: from an unknown caller at the real gateway to an admitted one, by one click."""
import html
import logging
import re

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dicom_gateway import server
from dicom_gateway.requesting import REQUESTING
from hub.errors import Refused
from hub.flow import administration, devices
from hub.model.access import SYSTEM
from tests.reading_ui.house import opened


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("region"), dicom_port=0, dicom_host="127.0.0.1") as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house):
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    running = server.start(house.hub)
    yield running.server_address[1]
    running.shutdown()


def _is_admitted(port, ae_title):
    caller = AE(ae_title=ae_title)
    caller.add_requested_context(Verification)
    association = caller.associate("127.0.0.1", port, ae_title="HUB", evt_handlers=REQUESTING)
    admitted = association.is_established and association.send_c_echo().Status == 0x0000
    if association.is_established:
        association.release()
    return admitted


def _waiting(house, ae_title):
    return next(one for one in devices.unknown_callers(house.hub, SYSTEM) if one.ae_title == ae_title)


def test_one_click_registers_an_unknown_caller_and_the_gateway_admits_it(house, gateway):
    assert not _is_admitted(gateway, "STRANGER")
    caller = _waiting(house, "STRANGER")
    page = house.admin.get("/devices").text
    assert "STRANGER" in page and f"/devices/callers/{caller.id}/register" in page
    answer = house.admin.post(f"/devices/callers/{caller.id}/register", site=str(house.county.sites["BX"]))
    assert answer.status_code == 302
    assert _is_admitted(gateway, "STRANGER")
    page = house.admin.get(answer.location).text
    assert f"/devices/callers/{caller.id}/register" not in page and "已登记 STRANGER（白溪镇卫生院）" in page
    made = next(one for one in devices.listed(house.hub, SYSTEM) if one.ae_title == "STRANGER")
    assert (made.address, made.site_id, made.kind) == ("127.0.0.1", house.county.sites["BX"], "dicom")


def test_a_second_click_does_not_make_a_second_device(house):
    with pytest.raises(Refused):
        devices.admit(house.hub, "TWICE", "10.0.0.9")
    caller, site = _waiting(house, "TWICE"), str(house.county.sites["QS"])
    assert house.admin.post(f"/devices/callers/{caller.id}/register", site=site).status_code == 302
    again = house.admin.post(f"/devices/callers/{caller.id}/register", site=site)
    assert again.status_code == 409 and "已登记或已忽略" in again.text
    assert [one.ae_title for one in devices.listed(house.hub, SYSTEM)].count("TWICE") == 1


def test_a_caller_is_not_registered_without_a_site_or_under_an_impossible_name(house):
    for ae_title in ("NO_SITE", "bad\\name"):
        with pytest.raises(Refused):
            devices.admit(house.hub, ae_title, "10.0.0.7")
    answer = house.admin.post(f"/devices/callers/{_waiting(house, 'NO_SITE').id}/register", site="")
    assert answer.status_code == 400 and "请先选择所属机构" in answer.text and "NO_SITE" in answer.text
    impossible = _waiting(house, "bad\\name")
    answer = house.admin.post(f"/devices/callers/{impossible.id}/register", site=str(house.county.sites["QS"]))
    assert answer.status_code == 400 and "AE 标题" in answer.text


def test_a_dismissed_caller_comes_back_when_it_calls_again(house):
    with pytest.raises(Refused):
        devices.admit(house.hub, "LATER", "10.0.0.8")
    house.admin.post(f"/devices/callers/{_waiting(house, 'LATER').id}/dismiss")
    assert "LATER" not in house.admin.get("/devices").text
    with pytest.raises(Refused):
        devices.admit(house.hub, "LATER", "10.0.0.8")
    assert "LATER" in house.admin.get("/devices").text


def test_a_known_title_from_another_address_is_pointed_out(house):
    house.admin.post("/devices/new", kind="dicom", site=str(house.county.sites["QS"]), name="搬家的 DR", ae_title="MOVED", address="10.1.1.1")
    with pytest.raises(Refused):
        devices.admit(house.hub, "MOVED", "10.1.1.2")
    assert "同名：搬家的 DR（青山镇中心卫生院，10.1.1.1）" in house.admin.get("/devices").text


def _token(page):
    return html.unescape(re.search(r'<code class="secret">([^<]+)</code>', page)[1])


def test_an_ecg_token_is_shown_once_and_opens_the_door(house):
    answer = house.admin.post("/devices/new", kind="ecg", site=str(house.county.sites["QS"]), name="门诊心电图机")
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    token = _token(answer.text)
    device = devices.by_token(house.hub, token)
    assert device.name == "门诊心电图机" and f"Bearer {token}" in html.unescape(answer.text)
    later = house.admin.get(f"/devices/{device.id}").text
    assert token not in later and "Bearer 令牌" in later
    assert token not in house.auditor.get("/audit").text

    renewed = house.admin.post(f"/devices/{device.id}/token")
    assert devices.by_token(house.hub, _token(renewed.text)).id == device.id
    with pytest.raises(Refused):
        devices.by_token(house.hub, token)


def test_a_dicom_device_has_no_token_to_renew(house):
    device = house.county.devices["QS"]
    assert house.admin.post(f"/devices/{device.id}/token").status_code == 404


def test_the_connection_sheet_says_what_to_type_into_the_scanner(house):
    client = house.admin.client
    client.set_cookie("hub_session", client.get_cookie("hub_session").value, domain="192.168.7.4")
    page = house.admin.get(f"/devices/{house.county.devices['QS'].id}", base_url="http://192.168.7.4:8080").text
    assert "storescu -v -aet QSCT -aec HUB +sd +r 192.168.7.4" in page and "不要填" not in page
    assert "不要填 localhost" in house.admin.get(f"/devices/{house.county.devices['QS'].id}").text


def test_a_switched_off_device_is_refused_until_it_is_on_again(house, gateway):
    device = house.county.devices["BX"]
    house.admin.post(f"/devices/{device.id}/active", active="no")
    assert not _is_admitted(gateway, "BXCT") and "已停用" in house.admin.get(f"/devices/{device.id}").text
    house.admin.post(f"/devices/{device.id}/active", active="yes")
    assert _is_admitted(gateway, "BXCT")


def test_mistakes_in_a_device_form_are_answered_in_place_with_what_was_typed(house):
    site = str(house.county.sites["QS"])
    for form, words in (({"kind": "dicom", "ae_title": "太长的标题", "name": "留住我"}, "AE 标题应为"), ({"kind": "dicom", "ae_title": "OK", "address": "10.0.0", "name": "留住我"}, "IP 地址格式有误"),
                        ({"kind": "ecg", "name": ""}, "请填写名称"), ({"kind": "dicom", "ae_title": "QSCT", "name": "留住我"}, "请勿重复登记")):
        answer = house.admin.post("/devices/new", site=site, **form)
        assert answer.status_code == 400 and words in answer.text, form
        assert form["name"] in answer.text


def test_a_site_is_added_and_its_code_is_taken_only_once(house):
    answer = house.admin.post("/sites/new", code="HT", name="红土乡卫生院", level="乡镇卫生院", phone="1")
    assert "红土乡卫生院" in house.admin.get(answer.location).text
    again = house.admin.post("/sites/new", code="HT", name="另一家<b>")
    assert again.status_code == 400 and "该机构代码已存在" in again.text and "另一家&lt;b&gt;" in again.text


def test_destinations_are_added_switched_off_and_on(house):
    site_id = house.county.sites["QS"]
    bad = house.admin.post(f"/sites/{site_id}/destinations", channel="dicom", ae_title="PACS", host="10.0.0.5", port="99999")
    assert bad.status_code == 400 and "端口应为" in bad.text and "10.0.0.5" in bad.text
    assert house.admin.post(f"/sites/{site_id}/destinations", channel="dicom", ae_title="PACS", host="10.0.0.5", port="104").status_code == 302
    made = administration.destinations(house.hub, SYSTEM)[-1]
    assert "PACS@10.0.0.5:104" in house.admin.get(f"/sites/{site_id}").text
    house.admin.post(f"/destinations/{made.id}/active", active="no")
    assert not next(d for d in administration.destinations(house.hub, SYSTEM) if d.id == made.id).active
    house.admin.post(f"/destinations/{made.id}/active", active="yes")
    assert next(d for d in administration.destinations(house.hub, SYSTEM) if d.id == made.id).active


def test_a_webhook_secret_is_made_where_none_is_given_and_shown_once(house):
    site_id = house.county.sites["BX"]
    answer = house.admin.post(f"/sites/{site_id}/destinations", channel="webhook", url="https://his.example/report", secret="")
    secret = _token(answer.text)
    kept = next(d for d in administration.destinations(house.hub, SYSTEM) if d.channel == "webhook")
    assert kept.address["secret"] == secret and len(secret) >= 32
    assert secret not in house.admin.get(f"/sites/{site_id}").text and secret not in house.auditor.get("/audit").text
    weak = house.admin.post(f"/sites/{site_id}/destinations", channel="webhook", url="https://his.example/report", secret="short")
    assert weak.status_code == 400 and "至少 16 个字符" in weak.text
    assert house.admin.post(f"/sites/{site_id}/destinations", channel="pigeon").status_code == 400
