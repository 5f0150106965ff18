"""Rules are checked and recorded, a move is history, and what the doors refused is counted without a write each."""
import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.errors import Conflict, Invalid, NotFound, Refused, Retryable
from hub.flow import administration, certificates, device_changes, devices, doors
from hub.flow.doors import Ledger, Visit
from hub.model.access import SYSTEM
from hub.storage.tables import device_visit, study
from tests.hub.arrivals import rows, send, slice_facts


def test_rules_are_kept_audited_and_in_force_at_the_door(hub, county):
    device_changes.set_rules(hub, county.administrator, county.ct.id, {"address": "10.1.1.0/24", "charset": "GB18030", "associations": "3", "called_titles": "HUB"})
    admitted = devices.admit(hub, "QINGSHAN_CT", "10.1.1.9")
    assert (admitted.rules.associations, admitted.rules.called_titles, admitted.charset) == (3, ("HUB",), "GB18030")
    with pytest.raises(Refused):
        devices.admit(hub, "QINGSHAN_CT", "10.2.1.9")
    entry = administration.audit_entries(hub, county.auditor, action="device.set_rules")[0]
    assert json.loads(entry.detail)["associations"] == [None, 3] and entry.actor == "管理员"


def test_the_same_rules_again_are_no_change(hub, county):
    for _ in range(2):
        device_changes.set_rules(hub, county.administrator, county.ct.id, {"associations": "3"})
    assert len(administration.audit_entries(hub, county.auditor, action="device.set_rules")) == 1


def test_rules_that_cannot_be_change_nothing(hub, county):
    device_changes.set_rules(hub, county.administrator, county.ct.id, {"associations": "3"})
    for wrong in ({"associations": "x"}, {"address": "nowhere"}, {"charset": "EBCDIC"}):
        with pytest.raises(Invalid):
            device_changes.set_rules(hub, county.administrator, county.ct.id, wrong)
    assert devices.find(hub, county.administrator, county.ct.id).rules == {"associations": 3}
    with pytest.raises(NotFound):
        device_changes.set_rules(hub, county.administrator, 999, {})


def test_two_devices_never_become_one_by_their_rules(hub, county):
    for address in ("10.1.1.1", "10.1.1.2"):
        last, _ = devices.register(hub, SYSTEM, site_id=county.baihe, kind="dicom", name=address, ae_title="TWIN", address=address)
    with pytest.raises(Conflict):
        device_changes.set_rules(hub, county.administrator, last, {"address": "10.1.1.1"})


def test_a_device_that_moves_leaves_its_past_studies_where_they_are(hub, county, clock):
    old = send(hub, county.ct, slice_facts(1, "1.2.1")).study_id
    clock.forward(days=3)
    device_changes.move(hub, county.administrator, county.ct.id, county.baihe)
    moved = devices.admit(hub, "QINGSHAN_CT", "10.1.1.1")
    assert moved.site_id == county.baihe
    new = send(hub, moved, slice_facts(1, "1.2.2")).study_id
    with hub.reading() as connection:
        sites = dict(connection.execute(select(study.c.id, study.c.site_id)).all())
    assert (sites[old], sites[new]) == (county.qingshan, county.baihe)
    now, before = device_changes.periods(hub, county.administrator, county.ct.id)
    assert (now.site_id, now.until_at) == (county.baihe, None)
    assert (before.site_id, before.until_at) == (county.qingshan, now.from_at)
    device_changes.move(hub, county.administrator, county.ct.id, county.qingshan)
    assert len(device_changes.periods(hub, county.administrator, county.ct.id)) == 3


def test_a_move_to_nowhere_or_to_where_it_stands_is_refused(hub, county):
    for site_id in (county.qingshan, 999):
        with pytest.raises(Invalid):
            device_changes.move(hub, county.administrator, county.ct.id, site_id)
    assert len(device_changes.periods(hub, county.administrator, county.ct.id)) == 1


def test_only_the_administrator_changes_devices(hub, county):
    for actor in county.everybody:
        if actor.role != "administrator":
            for act in (lambda: device_changes.set_rules(hub, actor, county.ct.id, {}), lambda: device_changes.move(hub, actor, county.ct.id, county.baihe),
                        lambda: certificates.issue(hub, actor, county.ct.id), lambda: device_changes.periods(hub, actor, county.ct.id)):
                with pytest.raises(Refused):
                    act()


def test_an_ecg_token_works_from_its_own_address_only(hub, county):
    device_changes.set_rules(hub, county.administrator, county.ecg.id, {"address": "10.5.0.0/16"})
    assert devices.by_token(hub, county.ecg_token, "10.5.1.1").id == county.ecg.id
    with pytest.raises(Refused) as refusal:
        devices.by_token(hub, county.ecg_token, "10.6.1.1")
    assert refusal.value.code == "other_address"


def test_a_cart_beyond_its_pace_is_put_off_and_counted_until_the_minute_is_over(hub, county, clock):
    device_changes.set_rules(hub, county.administrator, county.ecg.id, {"objects_a_minute": "2"})
    cart = devices.by_token(hub, county.ecg_token)
    for number in range(2):
        doors.require_pace(hub, cart)
        send(hub, cart, slice_facts(1, f"1.3.{number}"))
    with pytest.raises(Retryable):
        doors.require_pace(hub, cart)
    assert doors.totals(hub) == [("object_pace", cart.id, 1)]
    clock.forward(minutes=2)
    doors.require_pace(hub, cart)


def test_a_flood_of_refusals_is_counted_in_one_write(hub, county, caplog):
    ledger = Ledger(hub)
    told = sum(ledger.note("unknown_caller", 0, "10.9.9.9", "STRANGER") for _ in range(5000))
    ledger.note("sop_class", county.ct.id, "10.1.1.1")
    ledger.close()
    assert doors.totals(hub) == [("sop_class", county.ct.id, 1), ("unknown_caller", 0, 5000)]
    assert told < 100
    again = Ledger(hub)
    again.note("unknown_caller", 0, "10.9.9.8")
    again.close()
    assert ("unknown_caller", 0, 5001) in doors.totals(hub)
    (latest, *_) = doors.refused(hub, county.administrator)
    assert latest.times and latest.device_name in ("青山 CT", None)


def test_counts_that_cannot_be_written_now_are_written_later(hub, county, monkeypatch):
    ledger = Ledger(hub)
    ledger.note("silent", 0, "10.9.9.9")
    with monkeypatch.context() as broken:
        broken.setattr(doors, "_add", lambda *_: 1 / 0)
        ledger.write()
        ledger.note("silent", 0, "10.9.9.9")
    ledger.close()
    assert doors.totals(hub) == [("silent", 0, 2)]


def test_the_last_visits_of_a_device_are_kept(hub, county, clock):
    ledger = Ledger(hub)
    for number in range(doors.VISITS_KEPT + 5):
        now = clock.forward(seconds=10)
        ledger.visit(Visit(county.ct.id, now - timedelta(seconds=5), now, "10.1.1.1", f"HUB{number}", 16384, "X 1.2", "", [["1.2", ["1.2.1"]]], 1, 10, 0.1, "released"))
        ledger.write()
    ledger.close()
    kept = rows(hub, device_visit)
    assert len(kept) == doors.VISITS_KEPT and kept[-1].called == f"HUB{doors.VISITS_KEPT + 4}"


def visit_of(device_id: int, now, **more) -> Visit:
    return Visit(device_id, now - timedelta(seconds=5), now, "10.1.1.1", "HUB", 16384, "X 1.2", "", [["1.2", ["1.2.1"]]], 1, 10, 0.1, "released", **more)


def test_how_a_device_writes_names_is_gathered_from_its_visits_and_goes_with_it_to_another_site(hub, county, clock, monkeypatch):
    ledger = Ledger(hub)
    ledger.visit(visit_of(county.ct.id, clock(), written={"gb18030": 12}))
    ledger.visit(visit_of(county.ct.id, clock()))
    with monkeypatch.context() as broken:
        broken.setattr(doors, "_count_names", lambda *_: 1 / 0)
        ledger.write()
    ledger.write()
    assert devices.find(hub, county.administrator, county.ct.id).written == {"gb18030": 12}, "once, though writing failed at first"
    ledger.visit(visit_of(county.ct.id, clock(), written={"gb18030": 3, "utf_8": 1}))
    ledger.visit(visit_of(county.ct.id, clock(), written={"gb18030": 4}))
    ledger.write()
    ledger.write()
    assert devices.find(hub, county.administrator, county.ct.id).written == {"gb18030": 19, "utf_8": 1}
    assert len(rows(hub, device_visit)) == 4
    ledger.close()
    device_changes.set_rules(hub, county.administrator, county.ct.id, {"associations": "3"})
    device_changes.move(hub, county.administrator, county.ct.id, county.baihe)
    moved = devices.admit(hub, "QINGSHAN_CT", "10.1.1.1")
    assert (moved.site_id, moved.habit) == (county.baihe, "gb18030") and devices.habit_of(hub, county.ct.id) == "gb18030"
    assert devices.habit_of(hub, None) == "" and county.ct.habit == ""


def test_a_certificate_is_bound_to_its_device_and_signed_by_a_root_that_signs_no_reports(hub, county):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    pem = certificates.issue(hub, county.administrator, county.ct.id)
    made = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE"):])
    root = x509.load_pem_x509_certificate(certificates.network_keys(hub).root.read_bytes())
    made.verify_directly_issued_by(root)
    assert devices.find(hub, county.administrator, county.ct.id).rules["certificate_sha256"] == made.fingerprint(hashes.SHA256()).hex()
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not made.extensions.get_extension_for_class(x509.KeyUsage).value.content_commitment
    assert all(path.stat().st_mode & 0o077 == 0 for path in (certificates.network_keys(hub).root_key, certificates.network_keys(hub).server_key))
    again = certificates.issue(hub, county.administrator, county.ct.id)
    assert again != pem
