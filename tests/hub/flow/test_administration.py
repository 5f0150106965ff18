"""The administrator's desk, as far as no page tests it."""
import json
from dataclasses import replace

from hub.flow import administration
from hub.model.access import SYSTEM


def _entries(hub):
    return [row for row in administration.audit_entries(hub, SYSTEM, action="settings") if row.action == "settings.in_force"]


def test_the_first_start_records_the_settings_and_an_equal_one_adds_nothing(hub):
    assert administration.note_settings(hub) == {} and administration.note_settings(hub) == {}
    [entry] = _entries(hub)
    assert json.loads(entry.detail)["settings"]["dicom_ae_title"] == hub.settings.dicom_ae_title


def test_a_changed_setting_is_in_the_audit_with_its_name(hub):
    administration.note_settings(hub)
    later = replace(hub, settings=replace(hub.settings, claim_lease_minutes=7))
    assert administration.note_settings(later) == {"claim_lease_minutes": [hub.settings.claim_lease_minutes, 7]}
    assert json.loads(_entries(hub)[0].detail)["changed"] == ["claim_lease_minutes"]


def test_a_password_inside_an_address_is_not_written_down(hub):
    secret = replace(hub, settings=replace(hub.settings, redis_url="redis://hub:s3cret-word@10.0.0.5:6379/0"))
    administration.note_settings(secret)
    assert "s3cret-word" not in _entries(hub)[0].detail and "redis://hub:***@10.0.0.5" in _entries(hub)[0].detail
