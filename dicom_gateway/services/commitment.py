"""Storage commitment, push model (PS3.4 J): a device asks whether it may delete what it has sent.

What it asks is a row before its request is answered with success (``hub.flow.commitments``). The answer (N-EVENT-REPORT,
``dicom_gateway.vouching``) goes over the association that asked, while it stands; a device that has left without taking it,
or whose gateway has ended, is called back by a worker.
"""
from __future__ import annotations

import logging
from dataclasses import dataclass, field
from io import BytesIO
from threading import Lock
from time import monotonic

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from dicom_gateway.callers import Callers
from dicom_gateway.dataset import is_uid
from dicom_gateway.status import SUCCESS
from dicom_gateway.vouching import event_type, verdict
from hub.context import Hub
from hub.errors import Retryable
from hub.flow import commitments, devices
from hub.flow.commitments import Asked

CLASSES = (StorageCommitmentPushModel,)

REQUEST_COMMITMENT = 1                                     # action type (J.3.2)
NO_SUCH_INSTANCE, INVALID_ARGUMENT, NO_SUCH_ACTION, NOT_AUTHORISED, TOO_MUCH = 0x0112, 0x0115, 0x0123, 0x0124, 0x0213     # PS3.7 10.1.4.1.10

MOST_REFERENCES = 20_000
MOST_CHARACTERS = MOST_REFERENCES * 2 * 64                 # two UIDs each
HOLD_EVERY_S = commitments.HOLD.total_seconds() / 6

log = logging.getLogger("hub.gateway")


@dataclass
class Transaction:
    """What one N-ACTION asked, and what has become of it on its association."""

    asked: Asked
    is_judged: bool = False
    is_taken: bool = False
    held_at: float = field(default_factory=monotonic)

    def hold(self, hub: Hub) -> bool:
        """Whether it is still this association's to answer; says so to the others now and then."""
        if monotonic() - self.held_at < HOLD_EVERY_S:
            return True
        if not commitments.hold(hub, self.asked.commitment_id):
            return False
        self.held_at = monotonic()
        return True


def handlers(hub: Hub, callers: Callers) -> list:
    desk = _Desk(hub, callers)
    return [(evt.EVT_ACCEPTED, desk.attend), (evt.EVT_N_ACTION, desk.asked), (evt.EVT_RELEASED, desk.left), (evt.EVT_ABORTED, desk.left),
            (evt.EVT_CONN_CLOSE, desk.left)]


class _Desk:
    """The transactions that wait for their answer, by association."""

    def __init__(self, hub: Hub, callers: Callers):
        self._hub, self._callers = hub, callers
        self._lock = Lock()
        self._waiting: dict[Association, list[Transaction]] = {}

    def attend(self, event: Event) -> None:
        """Answers follow requests in the association's own thread, so that no two messages mix on the wire."""
        association = event.assoc
        if not any(context.abstract_syntax == StorageCommitmentPushModel for context in association.accepted_contexts):
            return
        serve = association._serve_request

        def serve_and_report(message, context_id: int) -> None:
            if not _is_answer(message):
                serve(message, context_id)
            try:
                self._taken(association, message) if _is_answer(message) else self._report(association, context_id)
            except Exception:
                log.exception("storage commitment failed")      # its row stands: the device is called back
        association._serve_request = serve_and_report

    def asked(self, event: Event) -> tuple[int, None]:
        """N-ACTION: takes the transaction on; its answer follows."""
        device = self._callers.device_of(event.assoc)
        if event.request.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return NO_SUCH_INSTANCE, None
        if event.action_type != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, None
        if device.site_id is None:
            return NOT_AUTHORISED, None           # a stranger has stored nothing, and nobody knows where to call it
        try:
            told = event.action_information
            uid = str(told.TransactionUID)
            references = [(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in told.ReferencedSOPSequence]
        except Exception as error:                # whatever a hostile data set can do to a parser
            log.warning("N-ACTION from %s cannot be read: %s", device.ae_title, type(error).__name__)
            return INVALID_ARGUMENT, None
        if not is_uid(uid) or not references:
            return INVALID_ARGUMENT, None
        if len(references) > MOST_REFERENCES or sum(len(text) for one in references for text in one) > MOST_CHARACTERS:
            return TOO_MUCH, None
        actor = devices.actor_of(device, event.assoc.requestor.address)
        try:
            asked = commitments.take_on(self._hub, actor, device.ae_title, uid, references)
        except Retryable as error:
            log.warning("N-ACTION from %s refused: %s", device.ae_title, error)
            return TOO_MUCH, None
        with self._lock:
            self._waiting.setdefault(event.assoc, []).append(Transaction(asked))
        return SUCCESS, None

    def _report(self, association: Association, context_id: int) -> None:
        with self._lock:
            due = [(number, one) for number, one in enumerate(self._waiting.get(association, ()), 1) if not one.is_judged]
        for number, one in due:
            one.is_judged = True
            report = verdict(self._hub, one.asked, lambda one=one: one.hold(self._hub))
            if not association.is_established or association.dul.peek_next_pdu() is not None or not one.hold(self._hub):
                return                            # the caller is leaving: it is called back
            syntax = association._accepted_cx[context_id].transfer_syntax[0]
            message = N_EVENT_REPORT()
            message.MessageID = number
            message.AffectedSOPClassUID, message.AffectedSOPInstanceUID = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            message.EventTypeID = event_type(report)
            message.EventInformation = BytesIO(encode(report, syntax.is_implicit_VR, syntax.is_little_endian))
            association.dimse.send_msg(message, context_id)

    def _taken(self, association: Association, answer: N_EVENT_REPORT) -> None:
        number = answer.MessageIDBeingRespondedTo
        with self._lock:
            one = dict(enumerate(self._waiting.get(association, ()), 1)).get(number)
            is_news = one is not None and one.is_judged and not one.is_taken
            if is_news:
                one.is_taken = True           # by this thread alone
        if is_news:
            try:
                commitments.settle(self._hub, one.asked.commitment_id)
            except Exception:
                one.is_taken = False
                raise
        if answer.Status != SUCCESS:
            log.warning("a storage commitment report was answered with %s", answer.Status)

    def left(self, event: Event) -> None:
        """An answer may have come together with the end: pynetdicom looks for a release right after it has served a message."""
        try:
            for _, message in list(event.assoc.dimse.msg_queue.queue):
                if _is_answer(message):
                    self._taken(event.assoc, message)
        except Exception:
            log.exception("storage commitment failed")
        with self._lock:
            open_ones = [one.asked.commitment_id for one in self._waiting.pop(event.assoc, []) if not one.is_taken]
        if open_ones:
            commitments.leave(self._hub, open_ones)


def _is_answer(message) -> bool:
    return isinstance(message, N_EVENT_REPORT) and message.MessageIDBeingRespondedTo is not None
