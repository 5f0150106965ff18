"""Modality worklist (PS3.4 K): the orders of a device's own site, asked by C-FIND, each as one scheduled procedure step.

The promise: names are given in the character set that the device reads (registered for it, else the one it asks in): in
Chinese with the Latin form before it (PS3.5 J), or in Latin letters alone where it reads nothing else; a date and a time
range together are one span of time (K.6.1.2.2); every order that is shown is in the audit, repeated polls are counted.
"""
from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, time

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pynetdicom.events import Event
from pynetdicom.sop_class import ModalityWorklistInformationFind

from dicom_gateway.callers import Callers
from dicom_gateway.charset import declared_sets, element_text
from dicom_gateway.identifier import LARGEST_IDENTIFIER
from dicom_gateway.ranges import Ends, dates, span, times
from dicom_gateway.status import CANCELLED, PENDING, PENDING_WITH_UNSUPPORTED_KEYS, QUERY_LIMIT, of_refusal
from hub import rulebook
from hub.context import Hub
from hub.errors import HubError, Invalid
from hub.flow import devices, orders
from hub.flow.devices import Device
from hub.flow.orders import WorklistKeys
from hub.model.body_part import body_part_zh
from hub.model.names import latin_name, latin_text, name_parts

CLASSES = (ModalityWorklistInformationFind,)
MATCHED = ("ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "Modality",
           "ScheduledProcedureStepStatus", "ScheduledProcedureStepID", "PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID",
           "RequestedProcedureID")

STATUS = {"SCHEDULED": "scheduled", "ARRIVED": "scheduled", "READY": "scheduled", "STARTED": "in_progress", "IN PROGRESS": "in_progress",
          "COMPLETED": "completed", "DISCONTINUED": "discontinued"}
STATUS_OF = {"scheduled": "SCHEDULED", "in_progress": "STARTED", "completed": "COMPLETED", "discontinued": "DISCONTINUED"}
PRIORITY = {"emergency": "STAT", "urgent": "HIGH", "routine": "ROUTINE"}      # (0040,1003)
UTF8, GB, LATIN = "ISO_IR 192", "GB18030", "ISO_IR 100"
CHINESE = {"GB18030": GB, "GBK": GB, "GB2312": GB, "ISO2022IR58": GB, "ISO_IR192": UTF8, "UTF-8": UTF8, "UTF8": UTF8}
LONGEST_LO = 64
ANY = Ends("", "", False)

log = logging.getLogger("hub.gateway")


def found(event: Event, hub: Hub, callers: Callers) -> Iterator[tuple]:
    """The answers to one C-FIND of the worklist information model."""
    device = callers.device_of(event.assoc)
    try:
        asked = _identifier(event)
        actor = devices.actor_of(device, event.assoc.requestor.address)
        rows = orders.worklist(hub, actor, _keys(hub, asked), callers.polls)
        charset = answer_charset(device, asked)
        for row in rows:
            if event.is_cancelled:
                yield CANCELLED, None
                return
            answer, complete = _pruned(asked, scheduled(hub, row, device, charset))
            answer.SpecificCharacterSet = charset
            yield PENDING if complete else PENDING_WITH_UNSUPPORTED_KEYS, answer
        if len(rows) >= orders.MOST_ON_WORKLIST:
            yield QUERY_LIMIT, None
    except HubError as error:
        log.warning("worklist query from %s refused: %s", device.ae_title if device else "?", error)
        yield of_refusal(error), None


def answer_charset(device: Device, asked: Dataset) -> str:
    """The Specific Character Set in which a device is answered: the one registered for it, else the one it asks in; a
    device that names only sets without Chinese gets Latin letters, one that names none gets UTF-8 with the Latin name first."""
    named = [device.charset] if device.charset else declared_sets(asked)
    terms = [term for one in named if (term := one.upper().replace(" ", ""))]
    return next((CHINESE[term] for term in terms if term in CHINESE), LATIN if terms else UTF8)


def scheduled(hub: Hub, row, device: Device, charset: str) -> Dataset:
    """One order as a worklist item with every attribute that the hub knows (PS3.4 Table K.6-1). Texts are cut to their VR."""
    text = _latin if charset == LATIN else str
    question = text(row.clinical_question).replace("\\", "/")       # a backslash parts values (PS3.5 6.4)
    local = row.scheduled_at.astimezone(hub.settings.zone)
    what = text(row.procedure or f"{row.modality} {row.body_part if charset == LATIN else body_part_zh(row.body_part)}".strip())[:LONGEST_LO]
    step = Dataset()
    step.ScheduledStationAETitle = row.device_ae_title or device.ae_title
    step.ScheduledStationName = text(row.device_name or "")[:16]
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = f"{local:%Y%m%d}", f"{local:%H%M%S}"
    step.Modality = row.modality
    step.ScheduledPerformingPhysicianName = ""
    step.ScheduledProcedureStepDescription = what
    step.ScheduledProcedureStepLocation = text(row.site_name)[:16]
    step.ScheduledProcedureStepID = row.accession_number
    step.ScheduledProcedureStepStatus = STATUS_OF[row.state]
    item = Dataset()
    item.AccessionNumber = item.RequestedProcedureID = row.accession_number
    item.PatientName, item.PatientID = _name(row.patient_name, charset), row.patient_number
    item.PatientBirthDate, item.PatientSex = row.birth_date.replace("-", ""), row.sex
    item.PatientTelephoneNumbers = text(row.phone)[:16]
    item.StudyInstanceUID = row.study_uid
    item.RequestedProcedureDescription = what
    item.RequestedProcedurePriority = PRIORITY[row.urgency]
    item.ReasonForTheRequestedProcedure = question.replace("\n", " ")[:LONGEST_LO]
    item.RequestedProcedureComments = item.ImagingServiceRequestComments = question
    item.ReferringPhysicianName = item.RequestingPhysician = _name(row.physician, charset)
    item.RequestingService = item.InstitutionName = text(row.site_name)[:LONGEST_LO]
    item.ScheduledProcedureStepSequence = [step]
    return item


def _identifier(event: Event) -> Dataset:
    source = event.request.Identifier
    if source is None or source.getbuffer().nbytes > LARGEST_IDENTIFIER:
        raise _bad("the identifier is missing or too long")
    try:
        asked = event.identifier
        for element in asked:                     # reads everything now, so that nonsense is refused here
            element.repval
        return asked
    except Exception as error:                    # whatever a hostile data set can do to a parser
        raise _bad(f"the identifier cannot be read ({type(error).__name__})") from error


def _keys(hub: Hub, asked: Dataset) -> WorklistKeys:
    items = asked.get("ScheduledProcedureStepSequence") or []
    step = items[0] if items else Dataset()
    since, until, times = _span(hub, _value(step, "ScheduledProcedureStepStartDate"), _value(step, "ScheduledProcedureStepStartTime"))
    wanted = _value(step, "ScheduledProcedureStepStatus").upper()
    if wanted.strip("*") and wanted not in STATUS:
        raise _bad("ScheduledProcedureStepStatus is none of its defined terms")
    return WorklistKeys(
        station=_value(step, "ScheduledStationAETitle"), modality=tuple(one for one in _value(step, "Modality").split("\\") if one.strip("*")),
        patient_name=_value(asked, "PatientName"), patient_number=_value(asked, "PatientID"), accession_number=_value(asked, "AccessionNumber"),
        study_uid=_value(asked, "StudyInstanceUID"), step_id=_value(step, "ScheduledProcedureStepID") or _value(asked, "RequestedProcedureID"),
        states=(STATUS[wanted],) if wanted.strip("*") else ("scheduled",), since=since, until=until, times=times)


def _value(dataset: Dataset, keyword: str) -> str:
    try:
        text = element_text(dataset, keyword).text.strip(" \0")
    except Exception as error:
        raise _bad(f"{keyword} cannot be read") from error
    return "" if not text.strip("*") else text


def _span(hub: Hub, day: str, clock: str) -> tuple[datetime | None, datetime | None, tuple[str, str]]:
    """Matching keys of date and time: two ranges together are one span (K.6.1.2.2), of days with both ends also where the time
    has one; a time with a single date or none restricts the time of day."""
    try:
        days, clocks = dates(day) if day else ANY, times(clock) if clock else ANY
        for end in (clocks.low, clocks.high):
            time.fromisoformat(end or "00:00")
        whole = span(days, Ends(clocks.low or "00:00:00", clocks.high or "23:59:59", clocks.is_range) if days.low and days.high else clocks)
        low, high = whole or (days.low, f"{days.high}T23:59:59.999999" if days.high else "")
        since, until = (datetime.fromisoformat(end).replace(tzinfo=hub.settings.zone) if end else None for end in (low, high))
    except ValueError:
        raise _bad("a date or time is none") from None
    return since, until, ("", "") if whole else (clocks.low, clocks.high)


def _pruned(asked: Dataset, told: Dataset) -> tuple[Dataset, bool]:
    """The told attributes that were asked for, and whether all of them are known. A sequence that is asked for without keys
    comes whole (C.2.2.2.6); what the hub does not know comes empty."""
    answer, complete = Dataset(), True
    for element in asked:
        tag = Tag(element.tag)
        if tag.is_private or tag.element == 0 or element.keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC", "QueryRetrieveLevel"):
            continue
        if tag not in told:
            complete = complete and element.VR == "SQ"
            answer.add_new(tag, element.VR, [] if element.VR == "SQ" else None)
        elif element.VR == "SQ" and element.value and len(element.value[0]):
            pairs = [_pruned(element.value[0], item) for item in told[tag].value]
            answer.add_new(tag, "SQ", [item for item, _ in pairs])
            complete = complete and all(whole for _, whole in pairs)
        else:
            answer[tag] = told[tag]
    return answer, complete


def _name(name: str, charset: str) -> str:
    """A person's name in component groups: Latin, then ideographic (PS3.5 6.2.1.1)."""
    if not name or name.isascii():
        return "^".join(name.split())
    latin = latin_name(name, rulebook.load().identity.names)[:64]
    surname, given = name_parts(name, rulebook.load().identity.names)
    return latin if charset == LATIN else f"{latin}={surname}^{given}" if surname else f"{latin}={name}"


def _latin(text: str) -> str:
    return latin_text(text, rulebook.load().identity.names)


def _bad(why: str) -> Invalid:
    return Invalid("bad_identifier", "查询条件无法理解。", f"{why}.")
