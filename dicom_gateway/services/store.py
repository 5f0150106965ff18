"""C-STORE (PS3.4 B): blob, then row, then "yes". Nothing that was answered with success can be lost."""
from __future__ import annotations

import logging

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.events import Event

from dicom_gateway.callers import Callers
from dicom_gateway.dataset import missing_uids, read_header
from dicom_gateway.facts import facts_of
from dicom_gateway.status import BY_OUTCOME, PROCESSING_FAILURE, answer, of_failure
from hub.context import Hub
from hub.errors import HubError, Invalid
from hub.flow import intake
from hub.flow.devices import Device
from hub.model.arrival import StoredFile, Taken

log = logging.getLogger("hub.gateway")


def handlers(hub: Hub, callers: Callers) -> list:
    return [(evt.EVT_C_STORE, lambda event: _store(event, hub, callers))]


def take_in(hub: Hub, device: Device, file: StoredFile) -> Taken:
    """Enters one stored DICOM file, or holds it with the reason why it cannot be entered."""
    try:
        header = read_header(hub.blobs.path(file.sha256))
        missing = missing_uids(header)
        if missing:
            return intake.quarantine(hub, device, "dicom", (file,), "missing_uid",
                                     f"缺少必需的标识：{'、'.join(missing)}。原始数据已保留。", f"missing: {', '.join(missing)}; the bytes are kept.")
        facts = facts_of(header)
    except Invalid as error:
        return intake.quarantine(hub, device, "dicom", (file,), "unparsable", error.zh, error.en)
    return intake.take(hub, device, (file,), facts)


def _store(event: Event, hub: Hub, callers: Callers) -> Dataset:
    sink, device = event.request._dataset_file, callers.device_of(event.assoc)
    try:
        if device is None:
            return answer(PROCESSING_FAILURE, "the caller was not admitted")
        taken = take_in(hub, device, sink.keep())
        if taken.study_id is not None:
            callers.note_study(event.assoc, taken.study_id)
        if taken.outcome not in ("stored", "duplicate"):
            log.warning("C-STORE from %s held: %s", device.ae_title, taken.reason)
        return answer(*BY_OUTCOME[taken.outcome])
    except HubError as error:
        log.error("C-STORE from %s refused: %s", device.ae_title if device else "?", error)
        return of_failure(error)
    except Exception:
        log.exception("C-STORE failed")
        return answer(PROCESSING_FAILURE, "unexpected fault, see the gateway's log")
