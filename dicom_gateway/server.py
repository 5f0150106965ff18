"""The DICOM gateway: one pynetdicom application entity, its services from one table, storage on the direct path."""
from __future__ import annotations

import logging
from threading import Thread

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from dicom_gateway import direct
from dicom_gateway.callers import Callers, hang_up
from dicom_gateway.command import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from dicom_gateway.services import commitment, echo, find, get, move, mpps, mwl
from dicom_gateway.services.store import Store
from hub.context import Hub
from hub.flow.completion import forget_open_associations

SERVICES = (echo, get, move, commitment, mpps)       # each: CLASSES, the SOP classes that it serves, and handlers(hub, callers)
FINDERS = (find, mwl)                                # each: CLASSES and found(event, hub, callers), the answers to a C-FIND
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)     # of messages other than storage, the preferred first

ACSE_TIMEOUT_S = 30
DIMSE_TIMEOUT_S = 60
NETWORK_TIMEOUT_S = 90
MAXIMUM_PDU = 131072
LONGEST_MESSAGE = 16 << 20    # of any service but storage: 20,000 references of storage commitment are a quarter of it

log = logging.getLogger("hub.gateway")


class GatewayServer(ThreadedAssociationServer):
    """Listens until ``shutdown``, which also ends every association, so that the process can end."""

    request_queue_size = 128      # township devices all start at eight
    daemon_threads = True
    store: Store

    def shutdown(self) -> None:
        super().shutdown()
        for association in self.active_associations:
            if association.is_established:
                association.abort()
            else:
                hang_up(association)
        self.store.landing.close()


def start(hub: Hub) -> GatewayServer:
    """Starts to listen and returns the running server; ``server.shutdown()`` ends it.

    Every storage SOP class, private ones too, is accepted in the transfer syntax that the sender prefers
    (PS3.8 9.3.3): bytes are kept as sent, so none need be understood to be safe.
    """
    _config.UNRESTRICTED_STORAGE_SERVICE = _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    forget_open_associations(hub)
    entity = AE(ae_title=hub.settings.dicom_ae_title)
    entity.maximum_associations = 10**6      # Callers counts: pynetdicom would count the silent ones, too
    entity.maximum_pdu_size = MAXIMUM_PDU
    entity.implementation_class_uid, entity.implementation_version_name = IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = ACSE_TIMEOUT_S, DIMSE_TIMEOUT_S, NETWORK_TIMEOUT_S
    entity.connection_timeout = ACSE_TIMEOUT_S
    callers = Callers(hub)
    store = Store(hub, callers)
    handlers = [*callers.handlers(), (evt.EVT_PDU_RECV, _bound_messages), (evt.EVT_CONN_OPEN, lambda event: _open_direct_path(event, store))]
    finders = {sop_class: service.found for service in FINDERS for sop_class in service.CLASSES}
    handlers.append((evt.EVT_C_FIND, lambda event: finders[event.request.AffectedSOPClassUID](event, hub, callers)))
    for service in SERVICES:
        handlers += service.handlers(hub, callers)
    for sop_class in (sop_class for service in (*SERVICES, *FINDERS) for sop_class in service.CLASSES):
        entity.add_supported_context(sop_class, SYNTAXES)
    server = entity.make_server((hub.settings.dicom_host, hub.settings.dicom_port), evt_handlers=handlers, server_class=GatewayServer)
    server.store = store
    entity._servers.append(server)       # what AE.start_server does with its own
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="gateway", daemon=True).start()
    log.info("listening as %s on port %s", hub.settings.dicom_ae_title, server.server_address[1])
    return server


def _open_direct_path(event: Event, store: Store) -> None:
    direct.install(event.assoc, store.reception(), MAXIMUM_PDU, NETWORK_TIMEOUT_S)


def _bound_messages(event: Event) -> None:
    """Cuts off a caller whose query never ends: pynetdicom gathers the data set of a message in memory."""
    message = event.assoc.dimse.message
    if message is not None and message.data_set.tell() + message.encoded_command_set.tell() > LONGEST_MESSAGE:
        line = event.assoc.dul.socket.socket
        if line.fileno() >= 0:
            log.warning("connection of %s cut off: a message longer than %s bytes", event.assoc.requestor.address, LONGEST_MESSAGE)
            line.close()            # in the thread that reads it: its next look finds it closed
