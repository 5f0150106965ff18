"""C-STORE (PS3.4 B): blob, then row, then "yes". Nothing that was answered with success can be lost."""
from __future__ import annotations

import logging
from time import monotonic

from pynetdicom.association import Association

from dicom_gateway.callers import Callers
from dicom_gateway.charset import declared_sets
from dicom_gateway.command import StoreRequest, file_header
from dicom_gateway.dataset import missing_uids, read_header
from dicom_gateway.facts import facts_of, header_in
from dicom_gateway.status import BY_OUTCOME, PROCESSING_FAILURE, of_failure
from hub.context import Hub
from hub.errors import HubError, Invalid, Refused, Retryable
from hub.flow import intake
from hub.flow.devices import Device
from hub.model.arrival import StoredFile, Taken
from hub.model.device_rules import REFUSALS

log = logging.getLogger("hub.gateway")

NOTED = {"duplicate": "duplicate", "conflict": "held_conflict", "quarantined": "held_quarantine"}    # codes of the door's counts
HEAD_BYTES = 65536     # of an object are kept in memory while it arrives: most headers end before


def take_in(hub: Hub, device: Device, file: StoredFile, head: bytes = b"") -> Taken:
    """Enters one stored DICOM file, or holds it with the reason why it cannot be entered. ``head``: its first
    bytes, where they are still at hand."""
    try:
        header = header_in(head, file.size) or read_header(hub.blobs.path(file.sha256))
        missing = missing_uids(header)
        if missing:
            return intake.quarantine(hub, device, "dicom", (file,), "missing_uid",
                                     f"缺少必需的标识：{'、'.join(missing)}。原始数据已保留。", f"missing: {', '.join(missing)}; the bytes are kept.")
        if device.charset and not declared_sets(header):
            header.SpecificCharacterSet = device.charset      # of the header in memory; the bytes stay as they came
        facts = facts_of(header)
    except Invalid as error:
        return intake.quarantine(hub, device, "dicom", (file,), "unparsable", error.zh, error.en)
    return intake.take(hub, device, (file,), facts)


class StoreArrival:
    """One object on its way in: streamed to a blob and hashed while it arrives, so that memory stays flat.

    A full disk or an object beyond the limit is remembered, the rest of its bytes is let pass, and ``end``
    answers "out of resources" (PS3.4 B.2.3), so that the association lives on.
    """

    def __init__(self, hub: Hub, callers: Callers, association: Association, request: StoreRequest, syntax: str):
        self._hub, self._callers, self._association = hub, callers, association
        self._device = callers.device_of(association)
        self._failure: HubError | None = None
        self._head = bytearray()
        self._writer = None
        self._began_s = monotonic()
        refusal = callers.refusal_of(association, request.sop_class.decode("ascii", "replace"))
        if refusal:
            zh, en = REFUSALS[refusal]
            self._failure = (Refused if refusal == "sop_class" else Retryable)(refusal, f"{zh}。", f"{en}.")
            return
        try:
            self._writer = hub.blobs.writer()
            self.write(memoryview(file_header(request.sop_class, request.sop_instance, syntax)))
        except HubError as error:
            self._failure = error

    def write(self, part: memoryview) -> None:
        if self._failure is not None:
            return
        if len(self._head) < HEAD_BYTES:
            self._head += part[:HEAD_BYTES - len(self._head)]
        try:
            if self._writer.size + len(part) > self._hub.settings.largest_object_mb * 1_000_000:
                raise Invalid("too_large", "文件超过允许的大小，未接收。", "the object is larger than allowed and was not taken in.")
            self._writer.write(part)
        except HubError as error:
            self._failure = error

    def end(self) -> tuple[int, str]:
        """Makes the object last and returns its answer: status and comment."""
        device = self._device
        try:
            if self._failure is not None:
                raise self._failure
            if device is None:
                return PROCESSING_FAILURE, "the caller was not admitted"
            taken = take_in(self._hub, device, self._writer.keep(), bytes(self._head))
            if taken.study_id is not None:
                self._callers.note_study(self._association, taken.study_id)
            self._callers.note_object(self._association, self._began_s, self._writer.size)
            if taken.outcome != "stored":
                self._callers.note(self._association, NOTED[taken.outcome], taken.reason)
            if taken.outcome not in ("stored", "duplicate"):
                log.warning("C-STORE from %s held: %s", device.ae_title, taken.reason)
            return BY_OUTCOME[taken.outcome]
        except HubError as error:
            self._callers.note(self._association, error.code, error.en)
            log.error("C-STORE from %s refused: %s", device.ae_title if device else "?", error)
            return of_failure(error)
        except Exception:
            log.exception("C-STORE failed")
            return PROCESSING_FAILURE, "unexpected fault, see the gateway's log"

    def discard(self) -> None:
        """Leaves nothing half-written; a kept blob stays."""
        if self._writer is not None:
            self._writer.discard()
