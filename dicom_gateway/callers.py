"""Who is connected: admission by AE title and address, and the studies that each association carries.

A connection that has not introduced itself costs two threads and keeps nobody out: beyond ``MOST_WAITING`` of
them the oldest makes room for the newest.
"""
from __future__ import annotations

import logging
import socket
from threading import Lock

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from hub.context import Hub
from hub.errors import HubError, Refused
from hub.flow import devices, intake
from hub.flow.devices import Device

log = logging.getLogger("hub.gateway")

# PS3.8 9.3.4: (result, source, reason)
NOT_RECOGNISED = (0x01, 0x01, 0x03)       # rejected permanent, service user, calling AE title not recognised
LIMIT_EXCEEDED = (0x02, 0x03, 0x02)       # rejected transient, service provider (presentation), local limit exceeded
TEMPORARY_FAILURE = (0x02, 0x03, 0x01)    # rejected transient, service provider (presentation), temporary congestion

MOST_WAITING = 64         # connections that have not yet sent their A-ASSOCIATE-RQ


class Callers:
    """The associations of one gateway process, by the device behind each."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._lock = Lock()
        self._waiting: dict[Association, None] = {}
        self._devices: dict[Association, Device] = {}
        self._studies: dict[Association, set[int]] = {}

    def handlers(self) -> list:
        return [(evt.EVT_CONN_OPEN, self._connected), (evt.EVT_REQUESTED, self._admit), (evt.EVT_CONN_CLOSE, self._gone),
                (evt.EVT_RELEASED, self._gone), (evt.EVT_ABORTED, self._gone)]

    def device_of(self, association: Association) -> Device | None:
        with self._lock:
            return self._devices.get(association)

    def note_study(self, association: Association, study_id: int) -> None:
        """Remembers that an association carries a study; the first time, the hub is told."""
        with self._lock:
            carried = self._studies.setdefault(association, set())
            is_new = study_id not in carried
            carried.add(study_id)
        if is_new:
            intake.association_opened(self._hub, [study_id])

    def _connected(self, event: Event) -> None:
        oldest = None
        with self._lock:
            self._waiting[event.assoc] = None
            if len(self._waiting) > MOST_WAITING:
                self._waiting.pop(oldest := next(iter(self._waiting)))
        if oldest is not None:
            log.warning("a connection from %s was silent while too many others came: closed", oldest.requestor.address)
            hang_up(oldest)

    def _admit(self, event: Event) -> None:
        with self._lock:
            self._waiting.pop(event.assoc, None)
            dead = [one for one in self._devices if not one.is_alive()]
            is_full = len(self._devices) - len(dead) >= self._hub.settings.dicom_associations
        for one in dead:                  # their end went by without an event
            self._leave(one)
        if is_full:
            log.warning("association from %s refused: %s are open", event.assoc.requestor.address, self._hub.settings.dicom_associations)
            _reject(event.assoc, LIMIT_EXCEEDED)
            return
        request = event.assoc.requestor.primitive
        address = event.assoc.requestor.address or ""
        try:
            device = devices.admit(self._hub, request.calling_ae_title.strip(), address, request.called_ae_title.strip())
        except Refused as error:
            if self._hub.settings.unknown_callers != "hold":
                log.warning("association refused: %s", error)
                _reject(event.assoc, NOT_RECOGNISED)
                return
            log.warning("what this caller sends is held: %s", error)
            device = devices.stranger(request.calling_ae_title, address)
        except HubError as error:
            log.error("association put off: %s", error)
            _reject(event.assoc, TEMPORARY_FAILURE)
            return
        with self._lock:
            self._devices[event.assoc] = device

    def _gone(self, event: Event) -> None:
        self._leave(event.assoc)

    def _leave(self, association: Association) -> None:
        with self._lock:
            self._waiting.pop(association, None)
            self._devices.pop(association, None)
            carried = self._studies.pop(association, None)
        if carried:
            try:
                intake.association_ended(self._hub, sorted(carried))
            except HubError as error:
                log.error("could not note the end of an association: %s", error)


def hang_up(association: Association) -> None:
    """Ends a connection from outside; its own thread sees the end and tidies up."""
    try:
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    except (OSError, AttributeError):
        pass                              # it has ended by itself


def _reject(association: Association, why: tuple[int, int, int]) -> None:
    """Refuses, and waits until the refusal is on its way: the connection is closed right after."""
    association.acse.send_reject(*why)
    association.kill()
