"""Instance availability notification (PS3.4 R) as a user: a destination is told by N-CREATE which instances can be fetched."""
from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom.sop_class import InstanceAvailabilityNotification, ModalityPerformedProcedureStep

from dicom_gateway.requesting import association_with, no_association
from hub.context import Hub
from hub.delivery.parcel import Announcement
from hub.errors import Permanent, Retryable
from hub.flow.devices import Node

ONLINE = "ONLINE"                                      # (0008,0056): can be fetched at once
TRY_AGAIN = (0x0110, 0x0122, 0x0213)                   # processing failure, class not supported now, resource limitation
IS_TAKEN = (0x0000, 0x0107, 0x0116)                    # success and its warnings (PS3.7 10.1.5.1.6)


def deliver(hub: Hub, parcel: Announcement) -> str:
    """Tells one destination. Retryable or Permanent when it was not taken."""
    called = parcel.address["ae_title"]
    to = Node(called, parcel.address["host"], int(parcel.address["port"]))
    association = association_with(hub, to, InstanceAvailabilityNotification)
    if not association.is_established:
        raise no_association(to.ae_title, to.host, to.port)
    try:
        status, _ = association.send_n_create(notification(parcel, hub.settings.dicom_ae_title), InstanceAvailabilityNotification, generate_uid(prefix=None))
    except ValueError as error:
        raise Permanent("not_accepted", f"{called} 不接受到片通知。", f"{called} does not take availability notifications: {error}") from error
    finally:
        if association.is_established:
            association.release()
    code = status.get("Status")
    if code is None or code in TRY_AGAIN:
        raise Retryable("not_taken", f"{called} 暂时无法接收通知。", f"{called} did not take the notification ({'no answer' if code is None else f'{code:04X}'}).")
    if code not in IS_TAKEN:
        raise Permanent("refused", f"{called} 拒收通知（{code:04X}）。", f"{called} refused the notification with {code:04X}.")
    return f"N-CREATE to {called}"


def notification(parcel: Announcement, retrieve_ae_title: str) -> Dataset:
    """The attributes of Table R.3.1-1: every instance by series, on line at the hub."""
    told = Dataset()
    told.ReferencedPerformedProcedureStepSequence = [_step(uid) for uid in parcel.steps]
    told.StudyInstanceUID = parcel.study_uid
    told.ReferencedSeriesSequence = [_series(uid, made, retrieve_ae_title) for uid, made in parcel.series]
    return told


def _step(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ModalityPerformedProcedureStep, uid
    item.PerformedWorkitemCodeSequence = []
    return item


def _series(series_uid: str, made: tuple[tuple[str, str], ...], retrieve_ae_title: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_uid
    item.ReferencedSOPSequence = []
    for sop_class, uid in made:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class, uid
        one.InstanceAvailability, one.RetrieveAETitle = ONLINE, retrieve_ae_title
        item.ReferencedSOPSequence.append(one)
    return item
