"""Storage commitment, push model (PS3.4 J): a device asks whether it may delete what it has sent.

The promise: "committed" is said only of an instance whose row is in the index of the device's own site and whose
file was read from the disk, just now, with the hash of that row; all others are named with a reason. The
answer (N-EVENT-REPORT) goes over the association that asked, while it stands; a device that has left without
taking it is called back where a DICOM destination of its AE title is registered for its site.
"""
from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from io import BytesIO
from threading import BoundedSemaphore, Lock, Thread
from time import sleep

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from dicom_gateway.callers import Callers
from dicom_gateway.dataset import is_uid
from dicom_gateway.requesting import REQUESTING
from dicom_gateway.sender import TIMEOUT_S
from dicom_gateway.status import PROCESSING_FAILURE, SUCCESS
from dicom_gateway.tls import tls_args
from hub.context import Hub
from hub.errors import HubError, NotFound
from hub.flow import devices, promises, studies
from hub.flow.studies import Match
from hub.model.access import Actor

CLASSES = (StorageCommitmentPushModel,)

REQUEST_COMMITMENT = 1                                     # action type (J.3.2)
ALL_COMMITTED, SOME_FAILED = 1, 2                          # event types (J.3.3)
NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0112, 0x0119            # failure reasons (PS3.3 C.14.1.1)
NO_SUCH_INSTANCE, INVALID_ARGUMENT, NO_SUCH_ACTION, TOO_MUCH = 0x0112, 0x0115, 0x0123, 0x0213     # PS3.7 10.1.4.1.10

MOST_REFERENCES = 20_000
PAGE = 500
MOST_CALL_BACKS = 8
CALL_BACK_AFTER_S = (0, 20, 120)

log = logging.getLogger("hub.gateway")


@dataclass
class Transaction:
    """What one N-ACTION asked: pairs of class and instance UID. ``report``: the answer once it is known;
    ``taken``: the caller has answered it."""

    uid: str
    actor: Actor
    ae_title: str
    references: list[tuple[str, str]]
    report: Dataset | None = None
    taken: bool = False


def handlers(hub: Hub, callers: Callers) -> list:
    desk = _Desk(hub, callers)
    return [(evt.EVT_ACCEPTED, desk.attend), (evt.EVT_N_ACTION, desk.asked), (evt.EVT_RELEASED, desk.left), (evt.EVT_ABORTED, desk.left),
            (evt.EVT_CONN_CLOSE, desk.left)]


def verdict(hub: Hub, asked: Transaction) -> Dataset:
    """The Event Information (PS3.4 J.3.3.1) of a transaction. Reads every file that it names."""
    rows = {}
    uids = [uid for _, uid in asked.references if is_uid(uid)]
    for start in range(0, len(uids), PAGE):
        found = studies.matching(hub, asked.actor, "instance", [Match("sop_uid", tuple(uids[start:start + PAGE]))], PAGE)
        rows |= {row.sop_uid: row for row in found}
    report = Dataset()
    report.TransactionUID = asked.uid
    committed, failed = [], []
    for sop_class, uid in asked.references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        row = rows.get(uid)
        reason = NO_SUCH_OBJECT if row is None else CLASS_CONFLICT if row.sop_class != sop_class else _fault_of_file(hub, row.sha256)
        if reason:
            item.FailureReason = reason
        (failed if reason else committed).append(item)
    if committed:
        report.ReferencedSOPSequence = committed
    if failed:
        report.FailedSOPSequence = failed
    studies.committed(hub, asked.actor, asked.uid, len(committed), len(failed))
    promises.note(hub, asked.actor, {row.study_uid for row in rows.values()}, [uid for uid in uids if uid not in rows])
    return report


def _fault_of_file(hub: Hub, sha256: str) -> int:
    """0 where the file lies on the disk with its hash."""
    try:
        with hub.blobs.open(sha256) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return 0
        log.error("the file %s is damaged", sha256)
    except (OSError, NotFound) as error:
        log.error("the file %s cannot be read: %s", sha256, error)
    return PROCESSING_FAILURE


class _Desk:
    """The transactions that wait for their answer, by association."""

    def __init__(self, hub: Hub, callers: Callers):
        self._hub, self._callers = hub, callers
        self._lock = Lock()
        self._waiting: dict[Association, list[Transaction]] = {}
        self._call_backs = BoundedSemaphore(MOST_CALL_BACKS)

    def attend(self, event: Event) -> None:
        """Answers follow requests in the association's own thread, so that no two messages mix on the wire."""
        association = event.assoc
        if not any(context.abstract_syntax == StorageCommitmentPushModel for context in association.accepted_contexts):
            return
        serve = association._serve_request

        def serve_and_report(message, context_id: int) -> None:
            if isinstance(message, N_EVENT_REPORT) and message.MessageIDBeingRespondedTo is not None:
                self._taken(association, message)
                return
            serve(message, context_id)
            try:
                self._report(association, context_id)
            except Exception:
                log.exception("storage commitment failed")
        association._serve_request = serve_and_report

    def asked(self, event: Event) -> tuple[int, None]:
        """N-ACTION: takes the transaction on; its answer follows."""
        device = self._callers.device_of(event.assoc)
        if event.request.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return NO_SUCH_INSTANCE, None
        if event.action_type != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, None
        try:
            told = event.action_information
            uid = str(told.TransactionUID)
            references = [(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in told.ReferencedSOPSequence]
        except Exception as error:                # whatever a hostile data set can do to a parser
            log.warning("N-ACTION from %s cannot be read: %s", device.ae_title, type(error).__name__)
            return INVALID_ARGUMENT, None
        if not is_uid(uid) or not references:
            return INVALID_ARGUMENT, None
        if len(references) > MOST_REFERENCES:
            return TOO_MUCH, None
        actor = devices.actor_of(device, event.assoc.requestor.address)
        with self._lock:
            self._waiting.setdefault(event.assoc, []).append(Transaction(uid, actor, device.ae_title, references))
        return SUCCESS, None

    def _report(self, association: Association, context_id: int) -> None:
        with self._lock:
            due = [(number, one) for number, one in enumerate(self._waiting.get(association, ()), 1) if one.report is None]
        for number, one in due:
            one.report = verdict(self._hub, one)
            if not association.is_established or association.dul.peek_next_pdu() is not None:
                return                            # the caller is leaving: it is called back
            syntax = association._accepted_cx[context_id].transfer_syntax[0]
            message = N_EVENT_REPORT()
            message.MessageID = number
            message.AffectedSOPClassUID, message.AffectedSOPInstanceUID = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            message.EventTypeID = _event_type(one.report)
            message.EventInformation = BytesIO(encode(one.report, syntax.is_implicit_VR, syntax.is_little_endian))
            association.dimse.send_msg(message, context_id)

    def _taken(self, association: Association, answer: N_EVENT_REPORT) -> None:
        with self._lock:
            waiting = self._waiting.get(association, [])
            number = answer.MessageIDBeingRespondedTo
            if 1 <= number <= len(waiting):
                waiting[number - 1].taken = True
        if answer.Status != SUCCESS:
            log.warning("a storage commitment report was answered with %s", answer.Status)

    def left(self, event: Event) -> None:
        with self._lock:
            open_ones = [one for one in self._waiting.pop(event.assoc, []) if not one.taken]
        if open_ones and self._call_backs.acquire(blocking=False):
            Thread(target=self._call_back, args=(open_ones,), name="commitment", daemon=True).start()

    def _call_back(self, open_ones: list[Transaction]) -> None:
        try:
            for one in open_ones:
                call_back(self._hub, one)
        except Exception:
            log.exception("storage commitment failed")
        finally:
            self._call_backs.release()


def call_back(hub: Hub, one: Transaction, waits_s: tuple[float, ...] = CALL_BACK_AFTER_S) -> bool:
    """Brings the answer of a transaction to the device's own node; whether it was taken."""
    try:
        to = devices.node(hub, one.actor, one.ae_title)
    except HubError as error:
        log.warning("the storage commitment of %s was not taken, and there is nobody to call back: %s", one.ae_title, error)
        return False
    if one.report is None:
        one.report = verdict(hub, one)
    entity = AE(ae_title=hub.settings.dicom_ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = TIMEOUT_S
    entity.add_requested_context(StorageCommitmentPushModel)
    for wait_s in waits_s:
        sleep(wait_s)
        association = entity.associate(to.host, to.port, ae_title=to.ae_title, evt_handlers=REQUESTING, tls_args=tls_args(hub, to.tls),
                                       ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)])
        if not association.is_established:
            continue
        try:
            status, _ = association.send_n_event_report(one.report, _event_type(one.report), StorageCommitmentPushModel,
                                                        StorageCommitmentPushModelInstance)
            if status.get("Status") == SUCCESS:
                return True
        except (ValueError, RuntimeError) as error:
            log.warning("%s does not take storage commitment reports: %s", to.ae_title, error)
        finally:
            if association.is_established:
                association.release()
    log.warning("the storage commitment of %s could not be brought to %s:%s", one.ae_title, to.host, to.port)
    return False


def _event_type(report: Dataset) -> int:
    return SOME_FAILED if "FailedSOPSequence" in report else ALL_COMMITTED
