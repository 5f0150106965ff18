"""C-FIND (PS3.4 C.4.1), patient and study root: what a device's own site may see, newest first.

The promise: names are given as the hub decoded them, in the character set that the caller asked for; a range of dates with a
range of times is one span where that was agreed upon; every query is in the audit; a caller may stop it at any answer.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from time import sleep

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.events import Event
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelFind

from dicom_gateway.callers import Callers
from dicom_gateway.identifier import Inquiry, inquiry
from dicom_gateway.status import CANCELLED, PENDING, PENDING_WITH_UNSUPPORTED_KEYS, QUERY_LIMIT, of_refusal
from dicom_gateway.web import answers
from dicom_gateway.web.attributes import GROUPS
from dicom_gateway.web.query import in_one_span
from hub.context import Hub
from hub.errors import HubError
from hub.flow import devices, studies
from hub.model.access import Actor
from hub.model.name_search import FUZZY, SOUND

CLASSES = (PatientRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelFind)
MOST_ANSWERS = 5000
PAGE = 500
BREATH = 20        # answers between two looks for a C-CANCEL
LOOK_S = 0.001     # the pace of the upper layer's loop
COMBINED, FUZZILY = 1, 2      # places in the service class application information (Table C.5-1)

_FOR_PATIENTS = frozenset(("00100010", "00100020", "00100030", "00100040", "00080054", "00080056"))
_FOR_PARTS = frozenset(("00080061", "00201206", "00201208", "00201209"))     # what must be counted
_ONLY_FOR_THE_WEB = ("00081190", "00080005")

log = logging.getLogger("hub.gateway")


def found(event: Event, hub: Hub, callers: Callers) -> Iterator[tuple]:
    """The answers to one C-FIND of the query/retrieve information models."""
    device = callers.device_of(event.assoc)
    try:
        asking = _as_agreed(event, device.charset if device else "")
        actor = devices.actor_of(device, event.assoc.requestor.address)
        rows, parts = _rows(hub, actor, asking)
        studies.queried(hub, actor, asking.level, asking.matches, len(rows))
        for start in range(0, min(len(rows), MOST_ANSWERS), PAGE):
            for number, answer in enumerate(_answers(hub, asking, rows[start:min(start + PAGE, MOST_ANSWERS)], parts)):
                if number % BREATH == 0:
                    _let_a_cancel_through(event)
                if event.is_cancelled:
                    yield CANCELLED, None
                    return
                supported = asking.asked <= answer.keys()
                yield PENDING if supported else PENDING_WITH_UNSUPPORTED_KEYS, _identifier(hub, asking, answer)
        if len(rows) > MOST_ANSWERS:
            yield QUERY_LIMIT, None
    except HubError as error:
        log.warning("C-FIND from %s refused: %s", device.ae_title if device else "?", error)
        yield of_refusal(error), None


def agreed(event: Event) -> dict[UID, bytes]:
    """What is accepted of a caller's extended negotiation (PS3.4 C.5.1.1): relational queries always, combined matching of
    date and time and fuzzy matching of names where they are asked for."""
    return {uid: bytes((1, int(_asks(COMBINED, asked)), int(_asks(FUZZILY, asked)))) for uid, asked in event.app_info.items() if uid in CLASSES}


def _as_agreed(event: Event, charset: str) -> Inquiry:
    """What is asked for in a character set that is declared or else registered for the device, read as was agreed upon: names fit by sound, in part where fuzzy matching was asked for; ranges of date and
    time are one span where combined matching was (C.2.2.2.5.4)."""
    asked = event.assoc.requestor.sop_class_extended.get(event.request.AffectedSOPClassUID, b"")
    asking = inquiry(event, FUZZY if _asks(FUZZILY, asked) else SOUND, charset)
    return replace(asking, matches=in_one_span(asking.matches, asking.written)) if _asks(COMBINED, asked) else asking


def _asks(for_this: int, asked: bytes) -> bool:
    return len(asked) > for_this and asked[for_this] == 1


def _let_a_cancel_through(event: Event) -> None:
    """pynetdicom's upper layer reads nothing while answers wait to be sent: let it send them and look (PS3.7 9.3.2.3)."""
    while not event.assoc.dul.to_provider_queue.empty() and event.assoc.is_established:
        sleep(LOOK_S)
    sleep(2 * LOOK_S)


def _rows(hub: Hub, actor: Actor, asking: Inquiry) -> tuple[list, dict[int, dict]]:
    """What fits, and the series of its studies where something about them is asked for."""
    counts = asking.level != "patient" and asking.asked & _FOR_PARTS
    if counts:
        return studies.matching_with_parts(hub, actor, asking.level, asking.matches, MOST_ANSWERS + 1)
    return studies.matching(hub, actor, asking.level, asking.matches, MOST_ANSWERS + 1), {}


def _answers(hub: Hub, asking: Inquiry, rows: list, parts: dict[int, dict]) -> Iterator[dict[str, tuple[str, tuple]]]:
    """VR and values, by tag, of all that the index knows at this level."""
    own = {"00080054": ("AE", (hub.settings.dicom_ae_title,))}
    for row in rows:
        of_study = parts.get(row.id, {})
        told = {tag: (vr, values) for tag, vr, values in answers.study_attributes(row, of_study, "")} | own
        if asking.level in ("series", "instance"):
            told |= _apart(answers.series_answer(row, of_study[row.series_id].total if row.series_id in of_study else 0, ""))
        if asking.level == "instance":
            told |= _apart(answers.instance_answer(row, ""))
        if asking.level == "patient":
            told = {tag: value for tag, value in told.items() if tag in _FOR_PATIENTS}
        for tag in _ONLY_FOR_THE_WEB:
            told.pop(tag, None)
        yield told


def _apart(answer: dict) -> dict[str, tuple[str, tuple]]:
    return {tag: (one["vr"], tuple(one.get("Value", ()))) for tag, one in answer.items()}


def _identifier(hub: Hub, asking: Inquiry, answer: dict[str, tuple[str, tuple]]) -> Dataset:
    """The keys that were asked for, with what is always told (PS3.4 C.4.1.1.3.2)."""
    dataset = Dataset()
    for tag in sorted(asking.asked & answer.keys()):
        vr, values = answer[tag]
        dataset[int(tag, 16)] = DataElement(int(tag, 16), vr, _as_written(vr, values))
    dataset.SpecificCharacterSet = asking.charset
    dataset.QueryRetrieveLevel = asking.level_as_sent
    dataset.RetrieveAETitle = hub.settings.dicom_ae_title
    return dataset


def _as_written(vr: str, values: tuple) -> object:
    if vr == "PN":
        return "=".join(values[0].get(group, "") for group in GROUPS).rstrip("=") if values else ""
    return None if not values else values[0] if len(values) == 1 else list(values)
