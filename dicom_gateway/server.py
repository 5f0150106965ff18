"""The DICOM gateway: one pynetdicom application entity, its services from one table, storage on the direct path.

Two ports at most, one of them over TLS; what they let in and what they do is the same.
"""
from __future__ import annotations

import gc
import logging
import socket
import ssl
from socketserver import ThreadingMixIn
from threading import Thread
from time import monotonic

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from dicom_gateway import direct, mended, tls
from dicom_gateway.callers import Callers, hang_up
from dicom_gateway.command import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from dicom_gateway.direct_tls import EncryptedLine
from dicom_gateway.lobby import Lobby
from dicom_gateway.services import commitment, echo, find, get, move, mpps, mwl
from dicom_gateway.services.store import Store
from dicom_gateway.threshold import Threshold
from hub.context import Hub
from hub.flow import commitments
from hub.flow.completion import forget_open_associations
from hub.flow.doors import Ledger
from hub.model.device_rules import REFUSALS

SERVICES = (echo, get, move, commitment, mpps)       # each: CLASSES, the SOP classes that it serves, and handlers(hub, callers)
FINDERS = (find, mwl)                                # each: CLASSES and found(event, hub, callers), the answers to a C-FIND
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)     # of messages other than storage, the preferred first

ACSE_TIMEOUT_S = 30
DIMSE_TIMEOUT_S = 60
NETWORK_TIMEOUT_S = 90
MAXIMUM_PDU = 131072
TLS_HANDSHAKE = 0x16          # the type of the first record (RFC 8446 5.1)
TIDY_EVERY_S = 5.0
LONGEST_MESSAGE = 16 << 20    # of any service but storage: 20,000 references of storage commitment are a quarter of it

log = logging.getLogger("hub.gateway")


class GatewayServer(ThreadedAssociationServer):
    """One port. Connections wait in the lobby until they speak; ``context`` is None where the port does not encrypt.
    ``shutdown`` also ends every association and the ``beside`` port, so that the process can end."""

    request_queue_size = 128      # township devices all start at eight
    daemon_threads = True
    store: Store
    lobby: Lobby
    threshold: Threshold
    ledger: Ledger
    context: ssl.SSLContext | None = None
    beside: GatewayServer | None = None
    _tidied_at = 0.0

    def process_request(self, request: socket.socket, client_address: tuple) -> None:
        self.lobby.enter(request, client_address, TLS_HANDSHAKE if self.context else direct.A_ASSOCIATE_RQ, self._receive)

    def _receive(self, request: socket.socket, client_address: tuple) -> None:
        if self.context is None:
            self.threshold.ask(request, client_address, self._let_in)
        else:
            self._let_in(request, client_address)

    def _let_in(self, request: socket.socket, client_address: tuple) -> None:
        ThreadingMixIn.process_request(self, request, client_address)      # a thread of its own from here on

    def process_request_thread(self, request: socket.socket, client_address: tuple) -> None:
        if self.context is not None:
            try:
                request.settimeout(tls.HANDSHAKE_S)
                request = self.context.wrap_socket(request, server_side=True)
            except OSError as error:
                if self.ledger.note("handshake", 0, client_address[0], str(error)):
                    log.warning("connection of %s refused: the TLS handshake failed: %s", client_address[0], error)
                self.shutdown_request(request)
                return
            self.lobby.speaks(request, client_address)
        super().process_request_thread(request, client_address)

    def service_actions(self) -> None:
        """pynetdicom collects garbage at every sixtieth connection; a flood of them must not cost the others their turn."""
        if monotonic() - self._tidied_at > TIDY_EVERY_S:
            gc.collect()
            self._tidied_at = monotonic()

    def shutdown(self) -> None:
        super().shutdown()
        for association in self.active_associations:
            if association.is_established:
                association.abort()
            else:
                hang_up(association)
        if self.beside is not None:
            self.beside.shutdown()
        self.lobby.close()
        self.threshold.close()
        self.store.landing.close()
        self.store.hub.blobs.close_redo_log()
        self.ledger.close()


def start(hub: Hub) -> GatewayServer:
    """Starts to listen and returns the running server; ``server.shutdown()`` ends it.

    Every storage SOP class, private ones too, is accepted in the transfer syntax that the sender prefers
    (PS3.8 9.3.3): bytes are kept as sent, so none need be understood to be safe.
    """
    _config.UNRESTRICTED_STORAGE_SERVICE = _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    mended.mend()
    forget_open_associations(hub)
    entity = AE(ae_title=hub.settings.dicom_ae_title)
    entity.maximum_associations = 10**6      # Callers counts: pynetdicom would count the silent ones, too
    entity.maximum_pdu_size = MAXIMUM_PDU
    entity.implementation_class_uid, entity.implementation_version_name = IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = ACSE_TIMEOUT_S, DIMSE_TIMEOUT_S, NETWORK_TIMEOUT_S
    entity.connection_timeout = ACSE_TIMEOUT_S
    ledger = Ledger(hub)
    lobby = Lobby(hub.settings.dicom_connections, hub.settings.dicom_connections_per_address, lambda reason, address: _turned_away(ledger, reason, address))
    callers = Callers(hub, ledger, lobby.introduced)
    threshold = Threshold(callers, lobby)
    store = Store(hub, callers)
    handlers = [*callers.handlers(), (evt.EVT_PDU_RECV, _bound_messages), (evt.EVT_CONN_OPEN, lambda event: _open_direct_path(event, store))]
    finders = {sop_class: service.found for service in FINDERS for sop_class in service.CLASSES}
    handlers.append((evt.EVT_SOP_EXTENDED, find.agreed))
    handlers.append((evt.EVT_C_FIND, lambda event: finders[event.request.AffectedSOPClassUID](event, hub, callers)))
    for service in SERVICES:
        handlers += service.handlers(hub, callers)
    for sop_class in (sop_class for service in (*SERVICES, *FINDERS) for sop_class in service.CLASSES):
        entity.add_supported_context(sop_class, SYNTAXES)

    def listen(port: int, context: ssl.SSLContext | None, beside: GatewayServer | None) -> GatewayServer:
        server = entity.make_server((hub.settings.dicom_host, port), evt_handlers=handlers, server_class=GatewayServer)
        server.store, server.lobby, server.threshold, server.ledger, server.context, server.beside = store, lobby, threshold, ledger, context, beside
        entity._servers.append(server)   # what AE.start_server does with its own
        return server

    encrypted = listen(hub.settings.dicom_tls_port, tls.server_context(hub), None) if hub.settings.dicom_tls_port else None
    plain = listen(hub.settings.dicom_port, None, encrypted)
    hub.blobs.open_redo_log()                  # between the two: the ports are this gateway's, and it holds nothing yet
    commitments.leave_of_predecessor(hub)
    for server in (plain, encrypted) if encrypted else (plain,):
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="gateway", daemon=True).start()
        log.info("listening as %s on port %s%s", hub.settings.dicom_ae_title, server.server_address[1], " over TLS" if server.context else "")
    return plain


def _turned_away(ledger: Ledger, reason: str, address: str) -> None:
    if ledger.note(reason, 0, address):
        log.warning("connection of %s closed: %s", address, REFUSALS[reason][1])


def _open_direct_path(event: Event, store: Store) -> None:
    mended.describe_nothing(event.assoc)
    line = EncryptedLine if isinstance(event.assoc.dul.socket.socket, ssl.SSLSocket) else direct.Line
    line(event.assoc, store.reception(), MAXIMUM_PDU, NETWORK_TIMEOUT_S, store.callers.cut_off).install()


def _bound_messages(event: Event) -> None:
    """Cuts off a caller whose query never ends: pynetdicom gathers the data set of a message in memory."""
    message = event.assoc.dimse.message
    if message is not None and message.data_set.tell() + message.encoded_command_set.tell() > LONGEST_MESSAGE:
        line = event.assoc.dul.socket.socket
        if line.fileno() >= 0:
            log.warning("connection of %s cut off: a message longer than %s bytes", event.assoc.requestor.address, LONGEST_MESSAGE)
            line.close()            # in the thread that reads it: its next look finds it closed
