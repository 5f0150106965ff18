"""The audit: append-only, each entry sealed to the last, so that a changed or missing entry shows.

The seal is SHA-256 over the previous seal and the entry's fields as canonical JSON.
"""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from hub.model.access import Actor
from hub.storage import driver
from hub.storage.tables import audit, audit_head

FIRST_SEAL = "0" * 64

_HEAD = update(audit_head).where(audit_head.c.id == 1)
_NEXT = _HEAD.values(seq=audit_head.c.seq + 1).returning(audit_head.c.seq, audit_head.c.seal)
_SEALED = _HEAD.values(seal=bindparam("new")).returning(audit_head.c.seq)


@dataclass(frozen=True)
class AuditVerdict:
    """``entries`` were checked; ``broken_at`` is the number of the first entry that does not fit, or None."""

    entries: int
    broken_at: int | None
    reason: str = ""


def append(connection: Connection, now: datetime, actor: Actor, action: str, object_kind: str = "",
           object_id: object = "", site_id: int | None = None, patient_id: int | None = None, **detail) -> int:
    """Adds an entry inside the caller's transaction and returns its number. Never changes an earlier one."""
    (seq, seal), = driver.fetched(connection, _NEXT, {})
    entry = {
        "seq": seq, "at": now, "account_id": actor.account_id, "actor": actor.name[:64], "role": actor.role,
        "address": actor.address[:64], "action": action, "object_kind": object_kind, "object_id": str(object_id)[:64],
        "site_id": site_id, "patient_id": patient_id,
        "detail": json.dumps(detail, ensure_ascii=False, sort_keys=True, default=str), "previous": seal,
    }
    entry["seal"] = _seal(entry)
    driver.put(connection, audit, entry)
    driver.fetched(connection, _SEALED, {"new": entry["seal"]})
    return seq


def verify(connection: Connection) -> AuditVerdict:
    """Walks the whole chain and names the first broken entry."""
    previous, number = FIRST_SEAL, 0
    rows = connection.execution_options(yield_per=1000).execute(select(audit).order_by(audit.c.seq))
    for row in rows:
        number += 1
        entry = dict(row._mapping)
        if entry["seq"] != number:
            return AuditVerdict(number - 1, number, "missing")
        if entry["previous"] != previous:
            return AuditVerdict(number - 1, number, "not sealed to the last")
        if _seal(entry) != entry["seal"]:
            return AuditVerdict(number - 1, number, "changed")
        previous = entry["seal"]
    head = connection.execute(select(audit_head.c.seq, audit_head.c.seal).where(audit_head.c.id == 1)).one_or_none()
    if head is None or head.seq != number or (number and head.seal != previous):
        return AuditVerdict(number, number + 1, "the end is missing")
    return AuditVerdict(number, None)


def _seal(entry: dict) -> str:
    fields = {name: value for name, value in entry.items() if name != "seal"}
    fields["at"] = fields["at"].isoformat(timespec="microseconds")
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
