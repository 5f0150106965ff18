"""C-MOVE as a user (PS3.4 C.4.2): an object whose file is damaged comes once more from where it came, through the same door."""
from __future__ import annotations

import logging

from pydicom.dataset import Dataset
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove

from dicom_gateway.requesting import association_with, no_association
from hub.context import Hub
from hub.errors import Retryable
from hub.flow import refetch
from hub.flow.refetch import Lost

log = logging.getLogger("hub.worker")


def ask_again(hub: Hub, damage_id: int) -> None:
    """Asks the sender's node to send one damaged object to the hub. Retryable where it cannot be reached."""
    lost = refetch.find(hub, damage_id)
    if lost is None or lost.node is None:
        return
    words = _moved(hub, lost)
    is_whole = refetch.answered(hub, lost, words)
    log.warning("%s was asked of %s again: %s, %s", lost.sop_uid, lost.calling, words, "whole now" if is_whole else "still damaged")


def _moved(hub: Hub, lost: Lost) -> str:
    """What the node made of it, in words."""
    to = lost.node
    association = association_with(hub, to, StudyRootQueryRetrieveInformationModelMove)
    if not association.is_established:
        if association.is_rejected or association.acceptor.primitive is not None:
            return "refused"
        raise no_association(to.ae_title, to.host, to.port)
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "IMAGE"
    wanted.StudyInstanceUID, wanted.SeriesInstanceUID, wanted.SOPInstanceUID = lost.study_uid, lost.series_uid, lost.sop_uid
    last = Dataset()
    try:
        for status, _ in association.send_c_move(wanted, hub.settings.dicom_ae_title, StudyRootQueryRetrieveInformationModelMove):
            last = status
    except ValueError:
        return "refused"                       # no C-MOVE there
    finally:
        if association.is_established:
            association.release()
    if last.get("Status") is None:
        raise Retryable("no_answer", f"{to.ae_title} 没有应答。", f"{to.ae_title} did not answer.")
    return "sent" if last.Status == 0x0000 and last.get("NumberOfCompletedSuboperations", 0) else f"status {last.Status:04X}"
