"""Who is connected: admission by AE title, address and the device's own rules, and what each association carries.

A connection that has not introduced itself costs two threads and keeps nobody out: beyond ``MOST_WAITING`` of
them the oldest of the address that has the most makes room for the newest. Every refusal has a code, is answered as PS3.8 says, counted and logged.
"""
from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import monotonic

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_RELEASE

from dicom_gateway import tls
from dicom_gateway.pace import Pace
from hub.context import Hub
from hub.errors import HubError, Refused
from hub.flow import devices, intake
from hub.flow.devices import Caller, Device
from hub.flow.doors import Ledger, Visit
from hub.flow.polls import Polls
from hub.model.device_rules import REFUSALS, refusal_of_call, refusal_of_object

log = logging.getLogger("hub.gateway")

# PS3.8 9.3.4: (result, source, reason)
NOT_RECOGNISED = (0x01, 0x01, 0x03)       # rejected permanent, service user, calling AE title not recognised
LIMIT_EXCEEDED = (0x02, 0x03, 0x02)       # rejected transient, service provider (presentation), local limit exceeded
TEMPORARY_FAILURE = (0x02, 0x03, 0x01)    # rejected transient, service provider (presentation), temporary congestion
NOT_CALLED_SO = (0x01, 0x01, 0x07)        # rejected permanent, service user, called AE title not recognised
NO_REASON = (0x01, 0x01, 0x01)            # rejected permanent, service user, no reason given: the standard has none for it
ANSWERS = {
    "unknown_caller": NOT_RECOGNISED, "called_title": NOT_CALLED_SO, "not_encrypted": NO_REASON, "no_certificate": NO_REASON,
    "other_certificate": NO_REASON, "device_associations": LIMIT_EXCEEDED, "hub_associations": LIMIT_EXCEEDED,
    "too_many_connections": LIMIT_EXCEEDED, "device_pace": TEMPORARY_FAILURE, "busy": TEMPORARY_FAILURE,
}

ABSTRACT_SYNTAX_NOT_SUPPORTED = 0x03
STRANGERS_A_MINUTE = 300  # are written down for the administrator; in a flood of more they are only counted
MOST_WAITING = 64         # connections that have not yet sent their A-ASSOCIATE-RQ


@dataclass
class _Present:
    """One admitted association while it lasts."""

    device: Device
    began_at: datetime
    encryption: str
    studies: set[int] = field(default_factory=set)
    written: Counter = field(default_factory=Counter)
    objects: int = 0
    bytes: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    is_released: bool = False


@dataclass(frozen=True)
class Verdict:
    """Why a caller need not come any further (a code of ANSWERS), "" where it may; whether it is to be written down before it is told;
    and whether it is a registered device."""

    reason: str
    is_written_down: bool = False
    is_known: bool = False


class Callers:
    """The associations of one gateway process, by the device behind each."""

    def __init__(self, hub: Hub, ledger: Ledger, introduced: Callable[[socket.socket], None] = lambda line: None):
        self._hub, self._ledger, self._introduced = hub, ledger, introduced
        self.polls = Polls()                              # of the worklist
        self._strangers = Pace()
        self._lock = Lock()
        self._waiting: dict[Association, None] = {}
        self._present: dict[Association, _Present] = {}
        self._calls: dict[int | None, Pace] = {}          # by device; None: all that are not registered
        self._objects: dict[int | None, Pace] = {}

    def handlers(self) -> list:
        return [(evt.EVT_CONN_OPEN, self._connected), (evt.EVT_REQUESTED, self._admit), (evt.EVT_ACSE_SENT, self._answered),
                (evt.EVT_CONN_CLOSE, self._gone), (evt.EVT_RELEASED, self._gone), (evt.EVT_ABORTED, self._gone)]

    def device_of(self, association: Association) -> Device | None:
        with self._lock:
            here = self._present.get(association)
            return here.device if here else None

    def verdicts(self, calling: Sequence[Caller]) -> list[Verdict]:
        """Which of those who have asked for an association are certain to be refused one, before they cost any. Who may come is
        judged again when it begins, and all may where they cannot be looked up now."""
        if self._is_full():
            return [Verdict("hub_associations")] * len(calling)
        if self._hub.settings.unknown_callers == "hold":
            return [Verdict("")] * len(calling)
        try:
            strangers = devices.strangers(self._hub, calling)
        except Exception:
            log.exception("callers could not be looked up together: each is asked for by its own association")
            return [Verdict("")] * len(calling)
        return [self._of_stranger() if one in strangers else Verdict("", is_known=True) for one in calling]

    def write_down(self, strangers: Sequence[Caller]) -> str:
        """Notes strangers for the administrator; the reason with which they are to be refused."""
        try:
            devices.note_strangers(self._hub, strangers)
        except HubError as error:
            log.warning("strangers could not be written down: %s", error)
            return "busy"
        return "unknown_caller"

    def tell(self, reason: str, address: str, words: str, device_id: int = 0) -> None:
        """Counts and logs that an association is refused."""
        if self._ledger.note(reason, device_id, address, words):
            log.warning("association of %s at %s refused: %s", words, address, REFUSALS[reason][1])

    def note_study(self, association: Association, study_id: int, is_told: bool) -> None:
        """Remembers that an association carries a study, before its object is answered and so before it can end (``direct.Line``).
        The first time, the hub is told, unless it ``is_told``."""
        with self._lock:
            here = self._present.get(association)
            is_new = here is not None and study_id not in here.studies
            if here is not None:
                here.studies.add(study_id)
        if is_new and not is_told:
            intake.association_opened(self._hub, [study_id])

    def refusal_of(self, association: Association, sop_class: str) -> str:
        """Why an object that begins now may not be stored (a code of REFUSALS), or "": then it counts."""
        device = self.device_of(association)
        if device is None:
            return ""
        with self._lock:
            pace = self._objects.setdefault(device.id, Pace())
            reason = refusal_of_object(device.rules, sop_class=sop_class, last_minute=pace.last_minute(monotonic()))
            if not reason:
                pace.count(monotonic())
            return reason

    def note_object(self, association: Association, began_s: float, size: int) -> None:
        """Counts an object that was answered, for the visit's figures. ``began_s``: of time.monotonic."""
        with self._lock:
            here = self._present.get(association)
            if here is not None:
                here.objects, here.bytes, here.last_s = here.objects + 1, here.bytes + size, monotonic()
                here.first_s = here.first_s or began_s

    def note_name(self, association: Association, encoding: str) -> None:
        """Counts the surely read name of a study that an association began, for the device's history."""
        with self._lock:
            here = self._present.get(association)
            if here is not None:
                here.written[encoding] += 1

    def note(self, association: Association, reason: str, words: str = "") -> None:
        """Counts what a service refused or noticed."""
        device = self.device_of(association)
        self._ledger.note(reason, (device and device.id) or 0, association.requestor.address or "", words)

    def cut_off(self, association: Association, words: str) -> None:
        """Counts a connection that the direct path ended, by what was wrong with it."""
        kind = ("too_long" if "more than" in words or "without end" in words else
                "out_of_patience" if "silence" in words or "never ends" in words or "slower" in words else "broken_protocol")
        self.note(association, kind, words)

    def _connected(self, event: Event) -> None:
        oldest = None
        with self._lock:
            self._waiting[event.assoc] = None
            if len(self._waiting) > MOST_WAITING:
                [(crowded, _)] = Counter(one.requestor.address for one in self._waiting).most_common(1)
                self._waiting.pop(oldest := next(one for one in self._waiting if one.requestor.address == crowded))
        if oldest is not None:
            self.note(oldest, "crowded_out")
            log.warning("a connection from %s was silent while too many others came: closed", oldest.requestor.address)
            hang_up(oldest)

    def _admit(self, event: Event) -> None:
        association = event.assoc
        with self._lock:
            self._waiting.pop(association, None)
            dead = [one for one in self._present if not one.is_alive()]
        for one in dead:                  # their end went by without an event
            self._leave(one, "lost")
        request, address = association.requestor.primitive, association.requestor.address or ""
        calling, called = (title.strip() for title in (request.calling_ae_title, request.called_ae_title))
        if self._is_full():
            self._refuse(association, "hub_associations", calling)
            return
        try:
            device = devices.admit(self._hub, calling, address, called, note=self._strangers_are_few())
        except Refused as error:
            self._count_stranger()
            if self._hub.settings.unknown_callers != "hold":
                self._refuse(association, "unknown_caller", calling)
                return
            log.warning("what this caller sends is held: %s", error)
            device = devices.stranger(calling, address)
        except HubError as error:
            self._refuse(association, "busy", f"{calling}: {error}")
            return
        line = association.dul.socket.socket
        with self._lock:
            pace = self._calls.setdefault(device.id, Pace())
            open_now = sum(here.device.id == device.id for here in self._present.values())
            reason = refusal_of_call(device.rules, called=called, encrypted=bool(tls.described(line)), certificate_sha256=tls.fingerprint(line),
                                     open_now=open_now, last_minute=pace.last_minute(monotonic()))
            if not reason:
                pace.count(monotonic())
                self._present[association] = _Present(device, self._hub.now(), tls.described(line))
        if reason:
            self._refuse(association, reason, f"{calling} calls {called}", device.id)
            return
        self._introduced(line)
        if device.rules.sop_classes:
            _accept_only(association, device.rules.sop_classes)

    def _refuse(self, association: Association, reason: str, words: str, device_id: int = 0) -> None:
        self.tell(reason, association.requestor.address or "", words, device_id)
        _reject(association, ANSWERS[reason])

    def _of_stranger(self) -> Verdict:
        is_written_down = self._strangers_are_few()
        self._count_stranger()
        return Verdict("unknown_caller", is_written_down)

    def _is_full(self) -> bool:
        """Whether the hub has as many associations as it may have."""
        with self._lock:
            return sum(one.is_alive() for one in self._present) >= self._hub.settings.dicom_associations

    def _strangers_are_few(self) -> bool:
        with self._lock:
            return self._strangers.last_minute(monotonic()) < STRANGERS_A_MINUTE

    def _count_stranger(self) -> None:
        with self._lock:
            self._strangers.count(monotonic())

    def _answered(self, event: Event) -> None:
        """The answer to a release comes before the end of the connection; the event that tells of it may come after."""
        if isinstance(event.primitive, A_RELEASE):
            with self._lock:
                here = self._present.get(event.assoc)
                if here is not None:
                    here.is_released = True

    def _gone(self, event: Event) -> None:
        self._leave(event.assoc, {evt.EVT_RELEASED: "released", evt.EVT_ABORTED: "aborted"}.get(event.event, "lost"))

    def _leave(self, association: Association, ending: str) -> None:
        with self._lock:
            self._waiting.pop(association, None)
            here = self._present.pop(association, None)
        if here is None:
            return
        if here.device.id is not None:    # visits are of registered devices
            self._ledger.visit(_visit(self._hub, association, here, "released" if here.is_released else ending))
        if here.studies:
            try:
                intake.association_ended(self._hub, sorted(here.studies))
            except HubError as error:
                log.error("could not note the end of an association: %s", error)


def _visit(hub: Hub, association: Association, here: _Present, ending: str) -> Visit:
    requestor = association.requestor
    offered = [[str(context.abstract_syntax), [str(syntax) for syntax in context.transfer_syntax]]
               for context in (requestor.primitive.presentation_context_definition_list if requestor.primitive else [])]
    return Visit(
        here.device.id, here.began_at, hub.now(), requestor.address or "", str(requestor.primitive.called_ae_title).strip(),
        requestor.maximum_length or 0, f"{requestor.implementation_version_name or ''} {requestor.implementation_class_uid or ''}".strip(),
        here.encryption, offered, here.objects, here.bytes, max(0.0, here.last_s - here.first_s), ending, dict(here.written))


def _accept_only(association: Association, allowed: tuple[str, ...]) -> None:
    """Answers contexts of storage classes that the device may not use with "abstract syntax not supported" (PS3.8 9.3.3.2).
    The hub's other services are those that pynetdicom was told of by name."""
    services = {str(context.abstract_syntax) for context in association.acceptor.supported_contexts}
    send = association.acse.send_accept

    def send_accept() -> None:
        for number, context in list(association._accepted_cx.items()):
            if str(context.abstract_syntax) not in services and str(context.abstract_syntax) not in allowed:
                context.result = ABSTRACT_SYNTAX_NOT_SUPPORTED
                association._rejected_cx.append(association._accepted_cx.pop(number))
        send()
    association.acse.send_accept = send_accept


def hang_up(association: Association) -> None:
    """Ends a connection from outside; its own thread sees the end and tidies up."""
    try:
        socket.socket.shutdown(association.dul.socket.socket, socket.SHUT_RDWR)     # of the transport, also under TLS
    except (OSError, AttributeError, TypeError):
        pass                              # it has ended by itself


def _reject(association: Association, why: tuple[int, int, int]) -> None:
    """Refuses, and waits until the refusal is on its way: the connection is closed right after."""
    association.acse.send_reject(*why)
    association.kill()
