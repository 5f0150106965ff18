"""The DICOM gateway: one pynetdicom application entity, its services from one table."""
from __future__ import annotations

import logging

from pynetdicom import AE, _config
from pynetdicom.sop_class import Verification

from dicom_gateway import sink
from dicom_gateway.callers import Callers
from dicom_gateway.services import echo, store
from hub.context import Hub
from hub.flow.completion import forget_open_associations

SERVICES = (echo, store)

ACSE_TIMEOUT_S = 30
DIMSE_TIMEOUT_S = 60
NETWORK_TIMEOUT_S = 90
MAXIMUM_PDU = 131072

log = logging.getLogger("hub.gateway")


def start(hub: Hub):
    """Starts to listen and returns the running server; ``server.shutdown()`` ends it.

    Every storage SOP class, private ones too, is accepted in the transfer syntax that the sender prefers
    (PS3.8 9.3.3): bytes are kept as sent, so none need be understood to be safe.
    """
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    sink.install(hub)
    forget_open_associations(hub)
    entity = AE(ae_title=hub.settings.dicom_ae_title)
    entity.maximum_associations = hub.settings.dicom_associations
    entity.maximum_pdu_size = MAXIMUM_PDU
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = ACSE_TIMEOUT_S, DIMSE_TIMEOUT_S, NETWORK_TIMEOUT_S
    entity.add_supported_context(Verification)
    callers = Callers(hub)
    handlers = callers.handlers()
    for service in SERVICES:
        handlers += service.handlers(hub, callers)
    server = entity.start_server((hub.settings.dicom_host, hub.settings.dicom_port), block=False, evt_handlers=handlers)
    log.info("listening as %s on port %s", hub.settings.dicom_ae_title, server.server_address[1])
    return server
