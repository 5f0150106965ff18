"""Stored objects on their way out by C-GET and C-MOVE (PS3.4 C.4.2, C.4.3): the bytes of the files as they came.

The promise: a data set is never encoded again. An object goes out in the transfer syntax in which it is stored,
over a context that was accepted for exactly that, or its sub-operation fails and names it.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.events import Event

from dicom_gateway.identifier import UNIQUE_KEYS, inquiry
from dicom_gateway.status import CANCELLED, PENDING
from hub.context import Hub
from hub.errors import Invalid, Retryable
from hub.flow import studies
from hub.model.access import Actor

MOST_OBJECTS = 65535       # the numbers of sub-operations are US (PS3.7 9.3.3.2)

log = logging.getLogger("hub.gateway")


class Original(Dataset):
    """A stored object for pynetdicom's loop of sub-operations: its UIDs, and the file that is sent in its stead."""

    def __init__(self, sop_class: str, sop_uid: str, file: Path):
        super().__init__()
        self.SOPClassUID, self.SOPInstanceUID = sop_class, sop_uid
        self.file = file


def wanted(hub: Hub, actor: Actor, event: Event, how: str) -> list:
    """Rows of the instances that a request names, each study noted in the audit as ``how``. Invalid where the
    identifier names nothing in particular, Retryable where it names more than one request can count."""
    actor.require("study.images")
    asking = inquiry(event)
    named = {match.field for match in asking.matches if match.values and not any("*" in value or "?" in value for value in match.values)}
    if UNIQUE_KEYS[asking.level] not in named:
        raise Invalid("no_unique_key", "请求中缺少要取回的对象标识。", f"the unique key of the level {asking.level_as_sent} is missing.")
    rows = studies.matching(hub, actor, "instance", asking.matches, MOST_OBJECTS + 1)
    if len(rows) > MOST_OBJECTS:
        raise Retryable("too_many", "一次取回的对象过多，请分批取回。", f"more than {MOST_OBJECTS} objects; ask for fewer at a time.")
    for row in {row.id: row for row in rows}.values():
        studies.opened(hub, actor, row, how)
    return rows


def sub_operations(hub: Hub, event: Event, rows: list) -> Iterator[tuple]:
    """One pending status for each object, until the caller cancels."""
    for row in rows:
        if event.is_cancelled:
            yield CANCELLED, None
            return
        yield PENDING, Original(row.sop_class, row.sop_uid, hub.blobs.path(row.sha256))


def send_files(association: Association, *, over: str, originator: str = "", message_id: int | None = None) -> None:
    """Lets an association send the file of each Original. ``over``: "own" association, or that of the "caller",
    who must have offered to be an SCP of the class (PS3.7 D.3.3.4)."""
    def send(original: Original, msg_id: int = 1, **_) -> Dataset:
        if over == "caller":
            role = association.requestor.role_selection.get(original.SOPClassUID)
            if role is None or not role.scp_role:
                raise ValueError("the caller did not offer to be an SCP of this class")
        return Association.send_c_store(association, original.file, msg_id=msg_id, originator_aet=originator or None, originator_id=message_id)
    association.send_c_store = send
