"""C-MOVE (PS3.4 C.4.2): objects to a DICOM node that the administrator registered as a destination of the site.

The promise: patients' images go to no address that the caller could choose; an AE title that is not registered
for the caller's own site is answered with A801H.
"""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

from pynetdicom import build_context, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelMove, StudyRootQueryRetrieveInformationModelMove

from dicom_gateway.callers import Callers
from dicom_gateway.retrieval import send_files, sub_operations, wanted
from dicom_gateway.requesting import REQUESTING
from dicom_gateway.sender import MOST_CONTEXTS
from dicom_gateway.tls import tls_args
from hub.context import Hub
from hub.errors import HubError
from hub.flow import devices

CLASSES = (PatientRootQueryRetrieveInformationModelMove, StudyRootQueryRetrieveInformationModelMove)
UNKNOWN_DESTINATION = (None, None)            # pynetdicom answers A801H

log = logging.getLogger("hub.gateway")


def handlers(hub: Hub, callers: Callers) -> list:
    return [(evt.EVT_C_MOVE, lambda event: _moved(event, hub, callers))]


def _moved(event: Event, hub: Hub, callers: Callers) -> Iterator:
    device = callers.device_of(event.assoc)
    actor = devices.actor_of(device, event.assoc.requestor.address)
    destination = (event.move_destination or "").strip()
    try:
        to = devices.node(hub, actor, destination)
    except HubError as error:
        log.warning("C-MOVE from %s refused: %s", device.ae_title, error)
        yield UNKNOWN_DESTINATION
        return
    try:
        rows = wanted(hub, actor, event, f"C-MOVE to {to.ae_title}")
    except HubError as error:
        log.warning("C-MOVE from %s refused: %s", device.ae_title, error)
        raise                                 # pynetdicom answers C514H, unable to process
    calling, message_id = event.assoc.requestor.ae_title, event.request.MessageID

    def opened(connected: Event) -> None:
        send_files(connected.assoc, over="own", originator=calling, message_id=message_id)

    kinds = Counter((row.sop_class, row.transfer_syntax) for row in rows)
    contexts = [build_context(sop_class, syntax) for (sop_class, syntax), _ in kinds.most_common(MOST_CONTEXTS)]
    yield to.host, to.port, {"contexts": contexts, "evt_handlers": [*REQUESTING, (evt.EVT_CONN_OPEN, opened)], "tls_args": tls_args(hub, to.tls)}
    yield len(rows)
    yield from sub_operations(hub, event, rows, to.served)
