"""C-STORE (PS3.4 B): blob, then row, then "yes". Nothing that was answered with success can be lost."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic

from pynetdicom.association import Association

from dicom_gateway.callers import Callers
from dicom_gateway.charset import fill_silent_set
from dicom_gateway.command import StoreRequest, file_header
from dicom_gateway.dataset import missing_uids, read_header
from dicom_gateway.facts import facts_of
from dicom_gateway.heads import HeadReader
from dicom_gateway.landing import Landing
from dicom_gateway.status import BY_OUTCOME, PROCESSING_FAILURE, of_failure
from hub.context import Hub
from hub.errors import HubError, Invalid, Refused, Retryable
from hub.flow import intake
from hub.flow.devices import Device
from hub.model.arrival import InstanceFacts, StoredFile, Taken
from hub.model.device_rules import REFUSALS

log = logging.getLogger("hub.gateway")

Answer = Callable[[int, str], None]     # status and comment
UNEXPECTED = (PROCESSING_FAILURE, "unexpected fault, see the gateway's log")
NOTED = {"duplicate": "duplicate", "conflict": "held_conflict", "quarantined": "held_quarantine"}    # codes of the door's counts


def take_in(hub: Hub, device: Device, file: StoredFile) -> Taken:
    """Enters one stored DICOM file, or holds it with the reason why it cannot be entered."""
    known = device if device.id is not None else None       # else a caller that is not registered
    try:
        header = read_header(hub.blobs.path(file.sha256))
        missing = missing_uids(header)
        if missing:
            return intake.quarantine(hub, known, "dicom", (file,), "missing_uid",
                                     f"缺少必需的标识：{'、'.join(missing)}。原始数据已保留。", f"missing: {', '.join(missing)}; the bytes are kept.")
        fill_silent_set(header, device.charset)
        facts = facts_of(header, device.habit)
    except Invalid as error:
        return intake.quarantine(hub, known, "dicom", (file,), "unparsable", error.zh, error.en)
    if known is None:
        return intake.hold_strangers(hub, device, file, facts)
    return intake.take(hub, device, (file,), facts)


class Store:
    """C-STORE of one gateway: makes arrivals and lands them."""

    def __init__(self, hub: Hub, callers: Callers):
        self.hub, self.callers = hub, callers
        self.landing = Landing(self._enter)

    def reception(self) -> Callable[[Association, StoreRequest, str], StoreArrival]:
        """How the objects of one new association begin."""
        heads = HeadReader()
        return lambda association, request, syntax: StoreArrival(self, heads, association, request, syntax)

    def _enter(self, batch: Sequence[StoreArrival]) -> None:
        """The rows of all whose blobs are safe, those with plain headers in one transaction."""
        plain = [one for one in batch if one.is_safe and one.is_plain]
        if plain:
            results = intake.take_all(self.hub, [intake.Arrival(one.device, (one.file,), one.facts, is_connected=True) for one in plain])
            for one, result in zip(plain, results, strict=True):
                one.taken(result)
        for one in batch:
            if one.is_safe and not one.is_plain:
                try:
                    one.taken(take_in(self.hub, one.device, one.file))
                except Exception as fault:
                    one.taken(fault)


class StoreArrival:
    """One object on its way in: streamed to a blob and hashed while it arrives, so that memory stays flat.

    A full disk or an object beyond the limit is remembered, the rest of its bytes is let pass, and the answer is "out
    of resources" (PS3.4 B.2.3), so that the association lives on.
    """

    def __init__(self, store: Store, heads: HeadReader, association: Association, request: StoreRequest, syntax: str):
        self._store, self._heads, self._association, self._syntax = store, heads, association, syntax
        self.device = store.callers.device_of(association)
        self.file: StoredFile | None = None
        self.facts: InstanceFacts | None = None
        self._outcome: tuple[int, str] | None = None      # what will be answered, once that is known
        self._answer: Answer | None = None
        self._most = store.hub.settings.largest_object_mb * 1_000_000
        self._writer = None
        self._began_s = monotonic()
        self._noted: tuple[str, str] | None = None        # what the door counts once the object is answered, and its words
        header = file_header(request.sop_class, request.sop_instance, syntax)
        self._start = len(header)
        refusal = store.callers.refusal_of(association, request.sop_class.decode("ascii", "replace"))
        if refusal:
            zh, en = REFUSALS[refusal]
            self._refuse((Refused if refusal == "sop_class" else Retryable)(refusal, f"{zh}。", f"{en}."))
            return
        try:
            self._writer = store.hub.blobs.writer()
            self._writer.write(header)
        except HubError as error:
            self._refuse(error)

    @property
    def is_safe(self) -> bool:
        """Whether its blob would survive a power cut and nothing stands against its row."""
        return self.file is not None and self._outcome is None

    @property
    def is_plain(self) -> bool:
        """Whether its head told all, and its sender is registered."""
        return self.facts is not None and self.device.id is not None

    def room(self, count: int) -> memoryview:
        if self._outcome is None:
            try:
                if self._writer.size + count > self._most:
                    raise Invalid("too_large", "文件超过允许的大小，未接收。", "the object is larger than allowed and was not taken in.")
                return self._writer.room(count)
            except HubError as error:
                self._refuse(error)
        return memoryview(bytearray(count))

    def filled(self, count: int) -> None:
        if self._outcome is None:
            self._writer.filled(count)

    def end(self, answer: Answer) -> None:
        """Writes what is left and leaves the object to be landed; ``answer`` is called from there, once."""
        if self._outcome is None and self.device is None:
            self._outcome = (PROCESSING_FAILURE, "the caller was not admitted")
        if self._outcome is None:
            try:
                head, size = self._writer.head, self._writer.size
                self._writer.gather()
                self.facts = self._heads.facts(head, self._start, size, self._syntax, self.device.charset, self.device.habit)
            except HubError as error:
                self._refuse(error)
            except OSError:
                log.exception("C-STORE failed")
                self._outcome = UNEXPECTED
            except Exception:       # what a hostile header can do to a parser; the file decides
                self.facts = None
        self._answer = answer
        self._store.landing.bring(self)

    def place(self) -> None:
        self._step(lambda: self._writer.place())

    def settle(self) -> None:
        self._step(self._settle)

    def _settle(self) -> None:
        self.file = self._writer.settle()

    def _step(self, act: Callable[[], None]) -> None:
        if self._outcome is None:
            try:
                act()
            except HubError as error:
                self._refuse(error)
            except Exception:
                log.exception("C-STORE failed")
                self._outcome = UNEXPECTED

    def taken(self, result: Taken | Exception) -> None:
        """Notes what became of the row."""
        if isinstance(result, HubError):
            self._refuse(result)
        elif isinstance(result, Exception):
            log.error("C-STORE failed", exc_info=result)
            self._outcome = UNEXPECTED
        else:
            if result.study_id is not None:
                self._step(lambda: self._store.callers.note_study(self._association, result.study_id, result.begun))
            if result.name_encoding:
                self._store.callers.note_name(self._association, result.name_encoding)
            self._store.callers.note_object(self._association, self._began_s, self.file.size)
            if result.outcome in NOTED:
                self._noted = NOTED[result.outcome], result.reason
            if result.outcome not in ("stored", "duplicate"):
                log.warning("C-STORE from %s held: %s", self.device.ae_title, result.reason)
            self._outcome = self._outcome or BY_OUTCOME[result.outcome]

    def fail(self, status: int, comment: str) -> None:
        self._outcome = self._outcome or (status, comment)

    def answer(self) -> None:
        """Leaves nothing half-written behind, then says what became of the object."""
        try:
            if self._writer is not None:
                self._writer.discard()
            if self._noted is not None:
                self._store.callers.note(self._association, *self._noted)
        except Exception:
            log.exception("what became of an object could not be noted")
        finally:
            self._answer(*self._outcome)

    def discard(self) -> None:
        """Forgets an object that did not end; one that is being landed stays."""
        if self._writer is not None and self._answer is None:
            self._writer.discard()

    def _refuse(self, error: HubError) -> None:
        log.error("C-STORE from %s refused: %s", self.device.ae_title if self.device else "?", error)
        self._noted = error.code, error.en
        self._outcome = of_failure(error)
