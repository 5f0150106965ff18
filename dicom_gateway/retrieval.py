"""Stored objects on their way out by C-GET and C-MOVE (PS3.4 C.4.2, C.4.3): as they came, or with their corrections.

The promise: a data set is never encoded again; of a corrected one only the corrected elements are other bytes. An
object goes out in the transfer syntax in which it is stored, over a context that was accepted for exactly that, or
its sub-operation fails and names it.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.events import Event

from dicom_gateway.corrected import Change, corrected
from dicom_gateway.identifier import UNIQUE_KEYS, inquiry
from dicom_gateway.serving import change_of, overlays_for
from dicom_gateway.status import CANCELLED, PENDING
from hub.context import Hub
from hub.errors import HubError, Invalid, Retryable
from hub.flow import retention, studies
from hub.model.access import Actor

MOST_OBJECTS = 65535       # the numbers of sub-operations are US (PS3.7 9.3.3.2)

log = logging.getLogger("hub.gateway")


class Stored(Dataset):
    """A stored object for pynetdicom's loop of sub-operations: its UIDs, the file that is sent in its stead, and what
    it is to say differently, or None."""

    def __init__(self, sop_class: str, sop_uid: str, file: Path, change: Change | None):
        super().__init__()
        self.SOPClassUID, self.SOPInstanceUID = sop_class, sop_uid
        self.file, self.change = file, change


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
    if rows and all(row.removed_at is not None for row in rows):
        retention.require_there(hub, rows[0].id)
    for row in {row.id: row for row in rows}.values():
        studies.opened(hub, actor, row, how)
    return rows


def sub_operations(hub: Hub, event: Event, rows: list, served: str) -> Iterator[tuple]:
    """One pending status for each object, until the caller cancels. ``served``: corrected or original."""
    overlays = overlays_for(hub, (row.id for row in rows), served)
    for row in rows:
        if event.is_cancelled:
            yield CANCELLED, None
            return
        change = change_of(hub, overlays, row.id, row.series_id, row.instance_id, row.calling)
        yield PENDING, Stored(row.sop_class, row.sop_uid, hub.blobs.path(row.sha256), change)


def send_files(association: Association, *, over: str, originator: str = "", message_id: int | None = None) -> None:
    """Lets an association send the file of each Stored. ``over``: "own" association, or that of the "caller",
    who must have offered to be an SCP of the class (PS3.7 D.3.3.4)."""
    def send(stored: Stored, msg_id: int = 1, **_) -> Dataset:
        if over == "caller":
            role = association.requestor.role_selection.get(stored.SOPClassUID)
            if role is None or not role.scp_role:
                raise ValueError("the caller did not offer to be an SCP of this class")
        with _as_it_goes(stored) as file:
            return Association.send_c_store(association, file, msg_id=msg_id, originator_aet=originator or None, originator_id=message_id)
    association.send_c_store = send


@contextmanager
def _as_it_goes(stored: Stored) -> Iterator[Path]:
    """The file to be sent: the stored one, or a corrected one that lasts as long as it is needed."""
    if stored.change is None:
        yield stored.file
        return
    with NamedTemporaryFile(prefix="corrected-", suffix=".dcm") as file:
        try:
            for piece in corrected(stored.file, stored.change).pieces():
                file.write(piece)
        except HubError as error:
            log.error("%s is not sent: %s", stored.SOPInstanceUID, error)
            raise ValueError(str(error)) from error
        file.flush()
        yield Path(file.name)
