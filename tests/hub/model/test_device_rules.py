"""What a device may do at the door: empty rules allow all, each rule refuses by its own name."""
import pytest

from hub.errors import Invalid
from hub.model.device_rules import DeviceRules, address_fits, checked, checked_address, of_row, refusal_of_call, refusal_of_object

CALL = {"called": "HUB", "encrypted": False, "certificate_sha256": "", "open_now": 0, "last_minute": 0}
MINE, ANOTHER = "a" * 64, "b" * 64


def test_a_device_without_rules_may_do_everything():
    assert refusal_of_call(DeviceRules(), **CALL | {"called": "ANY", "open_now": 999, "last_minute": 10**6}) == ""
    assert refusal_of_object(DeviceRules(), sop_class="1.2.3", last_minute=10**6) == ""


@pytest.mark.parametrize("rules, call, reason", [
    ({"called_titles": ("HUB",)}, {"called": "HUB"}, ""), ({"called_titles": ("HUB",)}, {"called": "hub"}, "called_title"),
    ({"encryption": "required"}, {}, "not_encrypted"), ({"encryption": "required"}, {"encrypted": True}, ""),
    ({"encryption": "certificate"}, {"encrypted": True}, "no_certificate"), ({"encryption": "certificate"}, {}, "not_encrypted"),
    ({"encryption": "certificate"}, {"encrypted": True, "certificate_sha256": ANOTHER}, ""),
    ({"encryption": "certificate", "certificate_sha256": MINE}, {"encrypted": True, "certificate_sha256": ANOTHER}, "other_certificate"),
    ({"certificate_sha256": MINE}, {"encrypted": True, "certificate_sha256": ANOTHER}, "other_certificate"),
    ({"certificate_sha256": MINE}, {"encrypted": True, "certificate_sha256": MINE}, ""),
    ({"associations": 2}, {"open_now": 1}, ""), ({"associations": 2}, {"open_now": 2}, "device_associations"),
    ({"associations_a_minute": 3}, {"last_minute": 2}, ""), ({"associations_a_minute": 3}, {"last_minute": 3}, "device_pace"),
], ids=str)
def test_each_rule_of_a_call_refuses_by_its_name(rules, call, reason):
    assert refusal_of_call(DeviceRules(**rules), **CALL | call) == reason


def test_each_rule_of_an_object_refuses_by_its_name():
    rules = DeviceRules(sop_classes=("1.2.840.10008.5.1.4.1.1.2",), objects_a_minute=10)
    assert refusal_of_object(rules, sop_class="1.2.840.10008.5.1.4.1.1.2", last_minute=9) == ""
    assert refusal_of_object(rules, sop_class="1.2.840.10008.5.1.4.1.1.4", last_minute=0) == "sop_class"
    assert refusal_of_object(rules, sop_class="1.2.840.10008.5.1.4.1.1.2", last_minute=10) == "object_pace"


def test_rules_are_kept_as_what_differs_from_none_and_read_back():
    rules = checked({"called_titles": "HUB\nCOUNTY", "sop_classes": "1.2.840.10008.5.1.4.1.1.2", "associations": "4", "encryption": "required",
                     "certificate_sha256": "AA:" * 31 + "AA", "port": "104"})
    assert rules == DeviceRules(("HUB", "COUNTY"), ("1.2.840.10008.5.1.4.1.1.2",), 4, 0, 0, "required", "aa" * 32, 104)
    assert of_row(rules.as_json()) == rules and DeviceRules().as_json() == {}
    assert of_row({"from_a_newer_version": 1}) == DeviceRules() and of_row(None) == DeviceRules()


@pytest.mark.parametrize("values", [
    {"called_titles": "X" * 17}, {"called_titles": "中心"}, {"called_titles": "A\\B"}, {"sop_classes": "CT"}, {"sop_classes": "1.02.3"}, {"sop_classes": "1." + "2" * 64},
    {"associations": "-1"}, {"associations": "many"}, {"associations": "1001"}, {"objects_a_minute": "9" * 30}, {"encryption": "some"}, {"certificate_sha256": "abc"},
    {"port": "65536"}, {"port": "¹"}], ids=str)
def test_a_rule_that_cannot_be_is_refused_with_words(values):
    with pytest.raises(Invalid) as refusal:
        checked(values)
    assert refusal.value.zh and refusal.value.en


@pytest.mark.parametrize("allowed, address, fits", [
    ("", "10.1.1.1", True), ("10.1.1.1", "10.1.1.1", True), ("10.1.1.1", "10.1.1.2", False), ("10.1.1.0/24", "10.1.1.77", True), ("10.1.1.0/24", "10.1.2.1", False),
    ("10.1.1.0/24", "::ffff:10.1.1.7", True), ("fd00::/8", "fd00::1", True), ("fd00::/8", "10.1.1.1", False), ("10.1.1.0/24", "no address", False)])
def test_an_address_fits_itself_its_network_or_anything(allowed, address, fits):
    assert address_fits(allowed, address) is fits


def test_an_address_is_written_in_its_usual_form_or_refused():
    assert checked_address(" 10.1.1.7 ") == "10.1.1.7" and checked_address("10.1.1.7/24") == "10.1.1.0/24" and checked_address("") == ""
    for wrong in ("10.1.1", "host.example", "10.1.1.1/33", "10.1.1.1, 10.1.1.2"):
        with pytest.raises(Invalid):
            checked_address(wrong)
