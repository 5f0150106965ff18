"""Orders are placed, changed and taken back by their own clinic, and their numbers are never given twice."""
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hub.errors import Conflict, Invalid, NotFound, Refused
from hub.flow import ordering, orders
from hub.flow.orders import Filters
from hub.model.order import check_digit
from hub.storage.tables import audit
from tests.hub.arrivals import rows
from tests.hub.orders import RESIDENT, order_row, placed, wish


def test_an_order_keeps_what_was_asked_and_gets_a_number_that_devices_can_carry(hub, county):
    row = placed(hub, county.clinic)
    assert (row.state, row.site_id, row.patient_name, row.name_latin, row.placed_by) == ("scheduled", county.qingshan, "测试甲", "CE^SHIJIA", "青山卫生院")
    assert row.accession_number[:12] == "A26050400001" and len(row.accession_number) <= 16 and row.accession_number.isalnum()
    assert row.study_uid.startswith("2.25.") and len(row.study_uid) <= 64
    assert rows(hub, audit, audit.c.action == "order.place")[0].object_id == str(row.id)


def test_the_check_digit_is_luhns():
    assert check_digit("7992739871") == "3"                        # the example of ISO/IEC 7812-1
    assert check_digit("26050400001") != check_digit("26050400010")


def test_every_order_has_its_own_number_also_when_all_clinics_order_at_once(hub, county):
    with ThreadPoolExecutor(8) as clinics:
        ids = list(clinics.map(lambda n: ordering.place(hub, county.clinic if n % 2 else county.neighbour, wish(hub.now())), range(16)))
    numbers = [order_row(hub, order_id).accession_number for order_id in ids]
    assert sorted(int(number[7:12]) for number in numbers) == list(range(1, 17))


def test_numbers_begin_anew_on_the_next_local_day(hub, county, clock):
    placed(hub, county.clinic)
    clock.forward(hours=15)      # 23:30 in the county
    assert placed(hub, county.clinic).accession_number[:12] == "A26050400002"
    clock.forward(hours=1)
    assert placed(hub, county.clinic).accession_number[:12] == "A26050500001"


def test_a_resident_number_fills_in_sex_and_birth_date_and_stands_for_the_patient_number(hub, county):
    row = placed(hub, county.clinic, resident_id=RESIDENT, sex="", birth_date="", patient_number="")
    assert (row.sex, row.birth_date, row.resident_id, row.patient_number) == ("M", "1920-05-08", RESIDENT, RESIDENT)


def test_without_any_number_the_order_lends_its_own(hub, county):
    row = placed(hub, county.clinic, patient_number="")
    assert row.patient_number == row.accession_number


@pytest.mark.parametrize("more, code", [
    ({"patient_name": " "}, "missing"), ({"clinical_question": ""}, "missing"), ({"modality": "XX"}, "missing"), ({"sex": ""}, "missing"),
    ({"body_part": "", "procedure": ""}, "missing"), ({"urgency": "now"}, "missing"), ({"patient_name": "张^三"}, "bad_text"),
    ({"procedure": "胸\\部"}, "bad_text"), ({"physician": "李=全科"}, "bad_text"), ({"patient_number": "门诊 12"}, "bad_text"), ({"clinical_question": "问" * 1001}, "too_long"), ({"birth_date": "2026-13-01"}, "bad_birth_date"),
    ({"birth_date": "2026-05-05"}, "bad_birth_date"), ({"birth_date": "1850-01-01"}, "bad_birth_date"), ({"resident_id": RESIDENT[:-1] + "1"}, "bad_resident_id"),
    ({"resident_id": RESIDENT, "sex": "F", "birth_date": ""}, "resident_id_differs"), ({"resident_id": RESIDENT}, "resident_id_differs"),
    ({"device_id": 987654}, "no_device")], ids=str)
def test_an_order_that_cannot_be_right_is_refused_by_name(hub, county, more, code):
    with pytest.raises(Invalid) as refusal:
        placed(hub, county.clinic, **more)
    assert refusal.value.code == code
    assert orders.listed(hub, county.clinic, Filters("all"))[1] == 0


def test_a_device_of_another_site_cannot_be_chosen(hub, county):
    with pytest.raises(Invalid):
        placed(hub, county.clinic, device_id=county.other_ct.id)
    assert placed(hub, county.clinic, device_id=county.ct.id).device_id == county.ct.id


def test_a_change_keeps_the_number_and_what_was_before_is_in_the_audit(hub, county):
    row = placed(hub, county.clinic)
    ordering.change(hub, county.clinic, row.id, wish(hub.now() + timedelta(hours=1), procedure="胸部增强 CT", urgency="urgent"))
    after = order_row(hub, row.id)
    assert (after.accession_number, after.procedure, after.urgency) == (row.accession_number, "胸部增强 CT", "urgent")
    assert '"procedure": "胸部 CT 平扫"' in rows(hub, audit, audit.c.action == "order.change")[0].detail


def test_a_cancelled_order_is_changed_by_nobody_and_a_cancellation_says_why(hub, county):
    row = placed(hub, county.clinic)
    with pytest.raises(Invalid):
        ordering.cancel(hub, county.clinic, row.id, " ")
    ordering.cancel(hub, county.clinic, row.id, "患者未到")
    assert order_row(hub, row.id).state == "cancelled" and order_row(hub, row.id).reason == "患者未到"
    for act in (lambda: ordering.change(hub, county.clinic, row.id, wish(hub.now())), lambda: ordering.cancel(hub, county.clinic, row.id, "再次")):
        with pytest.raises(Conflict):
            act()


def test_a_neighbour_sees_and_changes_nothing_of_it(hub, county):
    row = placed(hub, county.clinic)
    for act in (lambda: orders.find(hub, county.neighbour, row.id), lambda: ordering.cancel(hub, county.neighbour, row.id, "x"),
                lambda: ordering.change(hub, county.neighbour, row.id, wish(hub.now()))):
        with pytest.raises(NotFound):
            act()
    assert orders.listed(hub, county.neighbour, Filters("all")) == ([], 0)


def test_readers_and_administrators_see_all_orders_and_place_none(hub, county):
    row = placed(hub, county.clinic)
    for actor in (county.reader, county.reviewer, county.administrator):
        assert [one.id for one in orders.listed(hub, actor, Filters())[0]] == [row.id]
        with pytest.raises(Refused):
            placed(hub, actor)
    with pytest.raises(Refused):
        orders.listed(hub, county.auditor, Filters())


def test_the_list_is_searched_by_name_number_and_accession_number(hub, county):
    first = placed(hub, county.clinic, patient_name="曾小明", patient_number="P1")
    placed(hub, county.clinic, patient_name="王芳", patient_number="P2", modality="DX")
    for text in ("小明", "P1", first.accession_number):
        assert [one.id for one in orders.listed(hub, county.clinic, Filters(text=text))[0]] == [first.id]
    assert orders.listed(hub, county.clinic, Filters(text="%"))[1] == 0
    assert [one.patient_name for one in orders.listed(hub, county.clinic, Filters(modality="DX"))[0]] == ["王芳"]
