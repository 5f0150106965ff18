"""Who may send: registered devices, and unknown callers that wait for one click."""
import pytest

from hub.errors import Invalid, NotFound, Refused
from hub.flow import devices
from hub.storage.tables import device, unknown_caller
from tests.hub.arrivals import rows


def test_a_registered_device_is_admitted_from_any_address_unless_one_was_named(hub, county):
    assert devices.admit(hub, "QINGSHAN_CT", "10.1.1.1").site_id == county.qingshan
    fixed, _ = devices.register(hub, county.administrator, site_id=county.baihe, kind="dicom", name="DR", ae_title="DR1", address="10.2.2.2")
    assert devices.admit(hub, "DR1", "10.2.2.2").id == fixed
    with pytest.raises(Refused):
        devices.admit(hub, "DR1", "10.3.3.3")


def test_one_title_at_two_clinics_is_told_apart_by_address(hub, county):
    for site_id, address in ((county.qingshan, "10.1.1.1"), (county.baihe, "10.2.2.2")):
        devices.register(hub, county.administrator, site_id=site_id, kind="dicom", name="CT", ae_title="AE", address=address)
    assert devices.admit(hub, "AE", "10.2.2.2").site_id == county.baihe


def test_an_unknown_caller_is_refused_shown_once_and_gone_when_registered(hub, county):
    for _ in range(3):
        with pytest.raises(Refused) as refusal:
            devices.admit(hub, "STRANGER", "10.9.9.9", "HUB")
        assert refusal.value.code == "unknown_caller"
    (row,) = devices.unknown_callers(hub, county.administrator)
    assert (row.ae_title, row.address, row.times) == ("STRANGER", "10.9.9.9", 3)
    devices.register(hub, county.administrator, site_id=county.qingshan, kind="dicom", name="新", ae_title="STRANGER", address="10.9.9.9")
    assert devices.unknown_callers(hub, county.administrator) == []
    assert devices.admit(hub, "STRANGER", "10.9.9.9")


def test_a_dismissed_caller_is_shown_again_when_it_calls_again(hub, county):
    for expected in (1, 1):
        with pytest.raises(Refused):
            devices.admit(hub, "STRANGER", "10.9.9.9")
        waiting = devices.unknown_callers(hub, county.administrator)
        assert len(waiting) == expected
        devices.dismiss_unknown(hub, county.administrator, waiting[0].id)
        assert devices.unknown_callers(hub, county.administrator) == []


def test_a_very_long_or_odd_title_is_refused_and_noted_without_a_fault(hub):
    with pytest.raises(Refused):
        devices.admit(hub, "\u0000" * 3 + "X" * 300, "1" * 300, "Y" * 300)
    assert len(rows(hub, unknown_caller)) == 1


def test_a_device_that_is_shut_out_is_unknown_until_it_is_let_in(hub, county):
    devices.set_active(hub, county.administrator, county.ct.id, False)
    with pytest.raises(Refused):
        devices.admit(hub, "QINGSHAN_CT", "10.1.1.1")
    devices.set_active(hub, county.administrator, county.ct.id, True)
    assert devices.admit(hub, "QINGSHAN_CT", "10.1.1.1")


def test_an_ecg_device_is_known_by_its_token_and_the_token_is_nowhere_stored(hub, county):
    assert devices.by_token(hub, county.ecg_token).id == county.ecg.id
    assert all(county.ecg_token not in str(tuple(row)) for row in rows(hub, device))
    for wrong in ("", "x", county.ecg_token + "x"):
        with pytest.raises(Refused):
            devices.by_token(hub, wrong)


def test_a_new_token_ends_the_old_one(hub, county):
    new = devices.renew_token(hub, county.administrator, county.ecg.id)
    assert devices.by_token(hub, new).id == county.ecg.id
    with pytest.raises(Refused):
        devices.by_token(hub, county.ecg_token)
    with pytest.raises(NotFound):
        devices.renew_token(hub, county.administrator, county.ct.id)


@pytest.mark.parametrize("change", [{"kind": "fax"}, {"ae_title": ""}, {"ae_title": "X" * 17}, {"ae_title": "中心"}, {"ae_title": "A\\B"}, {"site_id": 999}])
def test_a_device_that_cannot_be_is_refused(hub, county, change):
    with pytest.raises(Invalid):
        devices.register(hub, county.administrator, **({"site_id": county.qingshan, "kind": "dicom", "name": "x", "ae_title": "AE"} | change))


def test_only_the_administrator_registers(hub, county):
    for actor in county.everybody:
        if actor.role != "administrator":
            with pytest.raises(Refused):
                devices.register(hub, actor, site_id=county.qingshan, kind="ecg", name="x")
