"""POST /api/orders: an information system places orders; each stands once, refusals are named, tokens open one door only."""
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from hub.flow import devices, orders
from hub.flow.orders import WorklistKeys
from hub.flow.polls import Polls
from hub.model.access import SYSTEM
from hub.storage.tables import audit, exam_order
from reading_ui.wsgi import whole

ORDER = {"patient_name": "王小明", "sex": "M", "birth_date": "1963-02-11", "modality": "CT", "body_part": "CHEST", "clinical_question": "咳嗽 3 周"}


class System:
    """A HIS with a token."""

    def __init__(self, app, token: str):
        self.client, self.token = app.test_client(), token

    def send(self, key: str = "HIS-1", token: str | None = None, body=None, **more):
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"} | ({"Idempotency-Key": key} if key else {})
        how = {"json": ORDER | more} if body is None else {"data": body}
        return self.client.post("/api/orders", headers=headers, **how)


@pytest.fixture
def app(hub):
    return whole(hub)


@pytest.fixture
def system(app, hub, county) -> System:
    return System(app, devices.register(hub, SYSTEM, site_id=county.qingshan, kind="his", name="青山 HIS")[1])


def placed(hub) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(exam_order).order_by(exam_order.c.id)))


def test_an_order_is_placed_and_the_sites_devices_find_it(system, hub, county):
    answer = system.send(physician="李全科", urgency="urgent", scheduled_at="2026-05-04T09:30:00+08:00")
    assert answer.status_code == 201, answer.json
    (row,) = placed(hub)
    assert (row.site_id, row.patient_name, row.urgency, row.placed_by) == (county.qingshan, "王小明", "urgent", "青山 HIS")
    assert answer.json["accession_number"] == row.accession_number and answer.json["study_instance_uid"] == row.study_uid
    keys = WorklistKeys(patient_name="wang*")
    for device, found in ((county.ct, [row.id]), (county.other_ct, [])):
        assert [one.id for one in orders.worklist(hub, devices.actor_of(device), keys, Polls())] == found
    with hub.reading() as connection:
        entry = connection.execute(select(audit).where(audit.c.action == "order.place")).one()
    assert (entry.actor, entry.role, entry.address) == ("青山 HIS", "sender", "127.0.0.1")


def test_the_same_key_sent_again_is_the_same_order(system, hub):
    first, again = system.send(), system.send()
    assert (first.status_code, again.status_code, again.json["outcome"]) == (201, 200, "duplicate")
    assert first.json["accession_number"] == again.json["accession_number"] and len(placed(hub)) == 1
    assert system.send("HIS-2").status_code == 201 and len(placed(hub)) == 2


def test_the_same_key_at_the_same_moment_places_one_order(system, hub, app):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: System(app, system.token).send("HIS-9"), range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201] and len(placed(hub)) == 1


def test_a_key_for_another_order_is_refused_and_the_first_order_stays(system, hub):
    system.send()
    answer = system.send(patient_name="李四")
    assert answer.status_code == 409 and answer.json["error"] == "key_reused" and [row.patient_name for row in placed(hub)] == ["王小明"]


@pytest.mark.parametrize("more, error", [
    ({"patient_name": ""}, "missing"), ({"sex": "X"}, "missing"), ({"modality": "XX"}, "missing"), ({"clinical_question": ""}, "missing"), ({"body_part": ""}, "missing"),
    ({"birth_date": "2050-01-01"}, "bad_birth_date"), ({"patient_name": "王^小明"}, "bad_text"), ({"patient_name": "王" * 65}, "too_long"), ({"scheduled_at": "tomorrow"}, "bad_time"),
    ({"station": "NOBODY"}, "no_device"), ({"colour": "red"}, "unknown_field"), ({"phone": 13800000000}, "bad_field"), ({"phone": "\0"}, "bad_field"), ({"urgency": "asap"}, "missing")], ids=str)
def test_what_is_wrong_is_named_in_both_languages_and_nothing_is_kept(system, hub, more, error):
    answer = system.send(**more)
    assert answer.status_code == 422 and answer.json["error"] == error and answer.json["zh"] and answer.json["en"]
    assert placed(hub) == []
    assert system.send().status_code == 201, "a refused order does not use up its key"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 50_000, "\"王\"".encode()])
def test_a_body_that_is_no_object_is_refused(system, hub, body):
    assert system.send(body=body).json["error"] == "bad_json" and placed(hub) == []


def test_a_body_without_end_is_refused(system, hub):
    assert system.send(body=b"{" + b" " * 70_000).status_code == 413 and placed(hub) == []


@pytest.mark.parametrize("key", ["", " ", "x" * 129])
def test_a_key_is_required(system, hub, key):
    assert system.send(key).json["error"] == "no_key" and placed(hub) == []


def test_a_token_opens_one_kind_of_door_only(system, hub, county, app):
    for wrong in ("", "nonsense", county.ecg_token):
        assert (answer := system.send(token=wrong)).status_code == 401 and answer.json["error"] == "bad_token"
    ecg = app.test_client().post("/api/ecg", data=b"x", headers={"Authorization": f"Bearer {system.token}"})
    assert ecg.status_code == 401
    assert app.test_client().get("/dicomweb/studies", headers={"Authorization": f"Bearer {system.token}"}).status_code in (302, 401, 403)
    with hub.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(exam_order)) == 0


def test_an_order_may_name_a_device_of_its_own_site(system, hub, county):
    assert system.send(station=county.ct.ae_title).status_code == 201
    assert placed(hub)[0].device_id == county.ct.id
    assert system.send("HIS-2", station=county.other_ct.ae_title).json["error"] == "no_device"
