"""Who may do what: one table of permissions by role, and the scope of a site.

A permission that is not in the table is given to nobody. A clinic's people see their own site's patients;
county readers and reviewers see every site that the centre reads for; administrators run the house and see
orders, but no images and no reports; auditors read the audit. A registered device may ask for what its own site may see.
"""
from __future__ import annotations

from dataclasses import dataclass

from hub.errors import NotFound, Refused

SYSTEM_ROLE = "system"     # the hub itself and its command line; no account can have it
SENDER_ROLE = "sender"     # an information system that places orders; no account can have it
DEVICE_ROLE = "device"     # a registered device that asks over DICOM; no account can have it
SERVED = ("corrected", "original")     # how objects go out to a device, a node or a web client that asks
ROLES = ("clinic", "reader", "reviewer", "administrator", "auditor")

PERMISSIONS: dict[str, frozenset[str]] = {name: frozenset(roles.split()) for name, roles in {
    "worklist.view":     "reader reviewer",
    "study.view":        "reader reviewer clinic device",
    "study.images":      "reader reviewer clinic device",
    "study.urgency":     "reader reviewer clinic",
    "study.key_image":   "reader reviewer",
    "study.repair":      "reviewer administrator",
    "reading.claim":     "reader reviewer",
    "report.write":      "reader reviewer",
    "report.sign":       "reviewer",
    "report.sign_alone": "reader reviewer",
    "report.view":       "reader reviewer clinic",
    "report.acknowledge": "clinic",
    "clinic.view":       "clinic",
    "order.place":       "clinic sender",
    "order.view":        "clinic reader reviewer administrator device",
    "order.match":       "clinic reader reviewer",
    "critical.read_back": "clinic",
    "critical.close":    "reader reviewer",
    "delivery.view":     "administrator",
    "delivery.resend":   "administrator",
    "site.manage":       "administrator",
    "device.manage":     "administrator",
    "account.manage":    "administrator",
    "held.view":         "administrator",
    "held.resolve":      "administrator",
    "operations.view":   "administrator",
    "retention.manage":  "administrator",
    "job.redo":          "administrator",
    "identity.view":     "reader reviewer administrator",
    "identity.manage":   "reviewer administrator",
    "audit.view":        "auditor",
}.items()}

ROLE_ZH = {"clinic": "申请机构", "reader": "报告医师", "reviewer": "审核医师",
           "administrator": "管理员", "auditor": "审计员", DEVICE_ROLE: "设备", SENDER_ROLE: "信息系统"}
ROLE_EN = {"clinic": "Clinic", "reader": "Reader", "reviewer": "Reviewer",
           "administrator": "Administrator", "auditor": "Auditor", DEVICE_ROLE: "Device", SENDER_ROLE: "Information system"}


@dataclass(frozen=True)
class Actor:
    """The person or process that acts, as the audit will name it. ``site_id`` is None for the system."""

    account_id: int | None
    name: str
    role: str
    site_id: int | None = None
    address: str = ""

    def may(self, permission: str) -> bool:
        return self.role == SYSTEM_ROLE or self.role in PERMISSIONS.get(permission, frozenset())

    def require(self, permission: str) -> None:
        """Refused unless the table gives this actor's role the permission."""
        if not self.may(permission):
            raise Refused("not_allowed", "您的角色没有这项权限。如需办理，请联系管理员。",
                          f"your role does not include {permission}; ask the administrator.")

    @property
    def sees_every_site(self) -> bool:
        """The county's readers read for all sites."""
        return self.role in ("reader", "reviewer", SYSTEM_ROLE)

    def sees_site(self, site_id: int) -> bool:
        """A clinic and its devices see their own site; the county's readers see all."""
        return self.sees_every_site or (self.role in ("clinic", DEVICE_ROLE) and self.site_id == site_id)

    def require_site(self, site_id: int) -> None:
        """NotFound, so that a neighbour's patients cannot be told from patients who do not exist."""
        if not self.sees_site(site_id):
            raise NotFound("not_found", "没有找到，或不属于您的机构。", "not found, or not of your institution.")


SYSTEM = Actor(None, "system", SYSTEM_ROLE)
