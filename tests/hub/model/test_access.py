"""The table of permissions, walked: everything in it, nothing beside it."""
import pytest

from hub.errors import NotFound, Refused
from hub.model.access import DEVICE_ROLE, PERMISSIONS, ROLE_EN, ROLE_ZH, ROLES, SENDER_ROLE, SYSTEM, Actor

HOME, NEXT_DOOR = 1, 2

# What each role is for, written down a second time and by hand: a change of the table must be meant.
MAY = {
    "clinic": {"study.view", "study.images", "study.urgency", "report.view", "report.acknowledge", "clinic.view", "critical.read_back",
               "order.place", "order.view", "order.match"},
    "reader": {"worklist.view", "study.view", "study.images", "study.urgency", "study.key_image", "reading.claim", "report.write",
               "report.sign_alone", "report.view", "critical.close", "order.view", "order.match", "identity.view"},
    "reviewer": {"worklist.view", "study.view", "study.images", "study.urgency", "study.key_image", "reading.claim", "report.write",
                 "report.sign", "report.sign_alone", "report.view", "critical.close", "order.view", "order.match", "identity.view",
                 "identity.manage", "study.repair"},
    "administrator": {"delivery.view", "delivery.resend", "site.manage", "device.manage", "account.manage", "held.view",
                      "held.resolve", "operations.view", "retention.manage", "job.redo", "order.view", "identity.view", "identity.manage", "study.repair"},
    "auditor": {"audit.view"},
    DEVICE_ROLE: {"study.view", "study.images", "order.view"},
    SENDER_ROLE: {"order.place"},
}
ALL_ROLES = (*ROLES, DEVICE_ROLE, SENDER_ROLE)


def actor(role: str) -> Actor:
    return Actor(1, role, role, HOME if role in ("clinic", DEVICE_ROLE) else None)


@pytest.mark.parametrize("role", ALL_ROLES)
@pytest.mark.parametrize("permission", sorted(PERMISSIONS))
def test_a_role_may_exactly_what_is_written_for_it(role, permission):
    if permission in MAY[role]:
        actor(role).require(permission)
    else:
        with pytest.raises(Refused) as refusal:
            actor(role).require(permission)
        assert permission in refusal.value.en


@pytest.mark.parametrize("role", ALL_ROLES)
def test_a_permission_that_is_not_in_the_table_is_given_to_nobody(role):
    assert not actor(role).may("report.forge")


def test_every_permission_is_given_to_somebody_and_only_to_roles_that_exist():
    for permission, roles in PERMISSIONS.items():
        assert roles & set(ROLES) and roles <= set(ALL_ROLES), permission
    assert set(ROLE_ZH) == set(ROLE_EN) == set(ALL_ROLES)


@pytest.mark.parametrize("role, home, next_door", [
    ("clinic", True, False), (DEVICE_ROLE, True, False), ("reader", True, True), ("reviewer", True, True), ("administrator", False, False), ("auditor", False, False),
])
def test_a_role_sees_the_sites_that_it_should(role, home, next_door):
    assert (actor(role).sees_site(HOME), actor(role).sees_site(NEXT_DOOR)) == (home, next_door)


def test_a_neighbours_patient_cannot_be_told_from_one_who_does_not_exist():
    with pytest.raises(NotFound):
        actor("clinic").require_site(NEXT_DOOR)


def test_the_system_is_no_role_that_an_account_can_have():
    assert SYSTEM.may("anything") and SYSTEM.role not in ROLES


def test_a_device_is_no_role_that_an_account_can_have():
    assert DEVICE_ROLE not in ROLES
