"""C-GET (PS3.4 C.4.3): objects back to the device that asks, over its own association, corrected or as they came as it is set."""
from __future__ import annotations

import logging
from collections.abc import Iterator

from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelGet

from dicom_gateway.callers import Callers
from dicom_gateway.retrieval import send_files, sub_operations, wanted
from dicom_gateway.status import UNCOUNTED, of_refusal
from hub.context import Hub
from hub.errors import HubError
from hub.flow import devices

CLASSES = (PatientRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelGet)

log = logging.getLogger("hub.gateway")


def handlers(hub: Hub, callers: Callers) -> list:
    return [(evt.EVT_C_GET, lambda event: _given(event, hub, callers))]


def _given(event: Event, hub: Hub, callers: Callers) -> Iterator:
    device = callers.device_of(event.assoc)
    try:
        actor = devices.actor_of(device, event.assoc.requestor.address)
        rows = wanted(hub, actor, event, "C-GET")
    except HubError as error:
        log.warning("C-GET from %s refused: %s", device.ae_title, error)
        yield 1                               # the failure itself counts as the one sub-operation
        yield of_refusal(error, UNCOUNTED), None
        return
    send_files(event.assoc, over="caller")
    yield len(rows)
    yield from sub_operations(hub, event, rows, device.served)
