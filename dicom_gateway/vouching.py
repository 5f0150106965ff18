"""What the hub answers a device that asked storage commitment (PS3.4 J.3.3), and the call that brings it to a device that left.

The promise: "committed" is said only of an instance whose row is in the index of the device's own site and whose file was
read from the disk, just now, with the hash of that row; all others are named with a reason. A device is called at the DICOM
destination of its AE title that is registered for its site, and nowhere else.
"""
from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from dicom_gateway.dataset import is_uid
from dicom_gateway.requesting import association_with, no_association
from dicom_gateway.status import PROCESSING_FAILURE, SUCCESS
from hub.context import Hub
from hub.errors import NotFound, Retryable
from hub.flow import commitments, devices, promises, studies
from hub.flow.commitments import Asked
from hub.flow.devices import Node
from hub.flow.studies import Match

ALL_COMMITTED, SOME_FAILED = 1, 2                          # event types (J.3.3)
NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0112, 0x0119            # failure reasons (PS3.3 C.14.1.1)
PAGE = 500

log = logging.getLogger("hub.gateway")


def verdict(hub: Hub, asked: Asked, beat: Callable[[], object] = lambda: None) -> Dataset:
    """The Event Information (PS3.4 J.3.3.1) of a transaction. Reads every file that it names; ``beat`` is called before each."""
    rows = {}
    uids = [uid for _, uid in asked.references if is_uid(uid)]
    for start in range(0, len(uids), PAGE):
        found = studies.matching(hub, asked.actor, "instance", [Match("sop_uid", tuple(uids[start:start + PAGE]))], PAGE)
        rows |= {row.sop_uid: row for row in found}
    report = Dataset()
    report.TransactionUID = asked.transaction_uid
    committed, failed = [], []
    for sop_class, uid in asked.references:
        beat()
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
    studies.committed(hub, asked.actor, asked.transaction_uid, len(committed), len(failed))
    promises.note(hub, asked.actor, {row.study_uid for row in rows.values()}, [uid for uid in uids if uid not in rows])
    return report


def event_type(report: Dataset) -> int:
    return SOME_FAILED if "FailedSOPSequence" in report else ALL_COMMITTED


def call_back(hub: Hub, commitment_id: int) -> None:
    """One call to a device that left without its report. A failure orders the next after a growing pause."""
    begun = commitments.begin(hub, commitment_id)
    if begun is None:
        return
    row, asked = begun
    event, words = commitments.CALLS.attempt(row, lambda: _bring(hub, asked))
    is_taken = event == "deliver"
    if not is_taken and row.attempts == 0:
        log.warning("the storage commitment of %s was not taken: %s", asked.ae_title, words)
    commitments.end(hub, row, "deliver" if is_taken else "retry", words)      # a refusal may mend, too: a node is registered, a listener set right


def _bring(hub: Hub, asked: Asked) -> None:
    """The verdict is made while the device waits, so that no file is read for one that is away; it may hang up meanwhile."""
    to = devices.node(hub, asked.actor, asked.ae_title)
    association = _associate(hub, to)
    try:
        report = verdict(hub, asked)
        if not association.is_established:
            association = _associate(hub, to)
        status = _sent(association, report, to)
    finally:
        if association.is_established:
            association.release()
    if status.get("Status") is None:
        raise Retryable("no_answer", f"{to.ae_title} 没有应答。请查看设备的网络任务是否停住，必要时重启其 DICOM 服务。",
                        f"{to.ae_title} did not answer: see whether its network jobs stand still, and start its DICOM service again.")
    if status.Status != SUCCESS:
        raise Retryable("not_taken", f"{to.ae_title} 未接受存储确认结果（{status.Status:04X}）。请在设备上查看该检查是否仍在等待确认，或联系厂家。",
                        f"{to.ae_title} answered the report with {status.Status:04X}: see on the device whether the study still waits for it, or ask its vendor.")


def _sent(association: Association, report: Dataset, to: Node) -> Dataset:
    try:
        return association.send_n_event_report(report, event_type(report), StorageCommitmentPushModel, StorageCommitmentPushModelInstance)[0]
    except (ValueError, RuntimeError) as error:
        raise Retryable("no_commitment_reports", f"{to.ae_title} 不接收存储确认结果。请核对去向是否为该设备自己的接收端口，并在设备上启用存储确认。",
                        f"{to.ae_title} does not take storage commitment reports: see that the destination is the device's own listener, and switch storage commitment on there: {error}") from error


def _associate(hub: Hub, to: Node) -> Association:
    association = association_with(hub, to, StorageCommitmentPushModel, ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)])
    if not association.is_established:
        raise no_association(to.ae_title, to.host, to.port)
    return association


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
