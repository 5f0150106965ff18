"""Modality performed procedure step (PS3.4 F.7): what a device reports of its own work, N-CREATE when it begins, N-SET after;
and what is known of it, asked by N-GET (PS3.4 F.8).

The promise: a report is answered with success when it is kept; the rules of its states hold (in progress may be changed,
completed and discontinued are final); what it names as made is evidence of what must arrive.
"""
from __future__ import annotations

import logging

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve

from dicom_gateway.callers import Callers
from dicom_gateway.charset import declared_sets, element_text, read_text
from dicom_gateway.dataset import is_uid, summary
from dicom_gateway.status import PROCESSING_FAILURE, SUCCESS
from hub.context import Hub
from hub.errors import Conflict, HubError, NotFound
from hub.flow import devices, procedure_steps
from hub.model.arrival import PatientFacts
from hub.model.procedure_step import STATES, StepFacts, StepSeries

CLASSES = (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)

# PS3.7 10.1.3.1.9, 10.1.5.1.6
INVALID_VALUE, SOME_IGNORED, DUPLICATE, NO_SUCH_INSTANCE, INVALID_INSTANCE, NO_SUCH_CLASS = 0x0106, 0x0107, 0x0111, 0x0112, 0x0117, 0x0118
ATTRIBUTES_NOT_KEPT = 0x0001       # warning: some of the attributes that were asked for are not known of this step (PS3.4 F.8.2.1)
MISSING_ATTRIBUTE, MISSING_VALUE = 0x0120, 0x0121
MAY_NOT_BE_UPDATED = 0xA710        # error ID beside a processing failure (PS3.4 F.7.2.2.2)

NEEDED = ("ScheduledStepAttributesSequence", "PerformedProcedureStepID", "PerformedStationAETitle", "PerformedProcedureStepStartDate",
          "PerformedProcedureStepStartTime", "PerformedProcedureStepStatus", "Modality")       # type 1 of N-CREATE (Table F.7.2-1)
NEEDED_AT_END = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence")
FIXED = ("ScheduledStepAttributesSequence", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PerformedProcedureStepID",
         "PerformedStationAETitle", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "Modality", "StudyID")      # not allowed in N-SET
IMAGES = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
TEXTS = ("PN", "LO", "SH", "ST", "LT", "UT", "UC")
LONGEST = 20_000                   # instances of one report

log = logging.getLogger("hub.gateway")


class Unfit(Exception):
    """A report that is answered with a failure: its status and what is wrong, in ASCII."""

    def __init__(self, status: int, comment: str):
        super().__init__(comment)
        self.status, self.comment = status, comment


def handlers(hub: Hub, callers: Callers) -> list:
    return [(evt.EVT_N_CREATE, lambda event: _created(event, hub, callers)), (evt.EVT_N_SET, lambda event: _set(event, hub, callers)),
            (evt.EVT_N_GET, lambda event: _got(event, hub, callers))]


def _created(event: Event, hub: Hub, callers: Callers) -> tuple[int | Dataset, Dataset | None]:
    device = callers.device_of(event.assoc)

    def act() -> tuple[int, Dataset | None]:
        uid, told = event.request.AffectedSOPInstanceUID, Dataset()
        if event.request.AffectedSOPClassUID != ModalityPerformedProcedureStep:
            raise Unfit(NO_SUCH_CLASS, "no such SOP class")
        if uid is None:
            uid = told.AffectedSOPInstanceUID = generate_uid(prefix=None)       # PS3.7 10.1.5.1.4
        content = _read(lambda: event.attribute_list)
        for keyword in NEEDED:
            _require(content, keyword, MISSING_ATTRIBUTE)
        facts = step_facts(str(uid), content)
        if facts.state != "in_progress":
            raise Unfit(INVALID_VALUE, "a step begins IN PROGRESS")
        procedure_steps.begin(hub, device, devices.actor_of(device, event.assoc.requestor.address), facts)
        return SUCCESS, told if told else None
    return _answered(act, device, "N-CREATE")


def _set(event: Event, hub: Hub, callers: Callers) -> tuple[int | Dataset, None]:
    device = callers.device_of(event.assoc)

    def act() -> tuple[int, None]:
        if event.request.RequestedSOPClassUID != ModalityPerformedProcedureStep:
            raise Unfit(NO_SUCH_CLASS, "no such SOP class")
        uid = str(event.request.RequestedSOPInstanceUID)
        changes = _read(lambda: event.modification_list)
        ignored = [keyword for keyword in FIXED if keyword in changes]

        def merged(kept: dict) -> StepFacts:
            whole = Dataset.from_json(kept)
            for element in changes:
                if element.keyword not in FIXED:
                    whole[element.tag] = element
            facts = step_facts(uid, whole)
            if facts.state != "in_progress":
                for keyword in NEEDED_AT_END:
                    _require(whole, keyword, MISSING_VALUE)
            return facts
        procedure_steps.proceed(hub, device, devices.actor_of(device, event.assoc.requestor.address), uid, merged)
        return SOME_IGNORED if ignored else SUCCESS, None
    return _answered(act, device, "N-SET")


def _got(event: Event, hub: Hub, callers: Callers) -> tuple[int | Dataset, Dataset | None]:
    """A step of the device's own site as it stands: all of it, or the attributes that were asked for."""
    device = callers.device_of(event.assoc)

    def act() -> tuple[int, Dataset]:
        if event.request.RequestedSOPClassUID != ModalityPerformedProcedureStepRetrieve:
            raise Unfit(NO_SUCH_CLASS, "no such SOP class")
        actor = devices.actor_of(device, event.assoc.requestor.address)
        whole = Dataset.from_json(procedure_steps.told(hub, device, actor, str(event.request.RequestedSOPInstanceUID)))
        asked = event.request.AttributeIdentifierList or []
        wanted = [tag for tag in ([asked] if isinstance(asked, int) else asked)]
        told = Dataset()
        for element in whole:
            if not wanted or element.tag in wanted:
                told[element.tag] = element
        told.SpecificCharacterSet = "ISO_IR 192"
        return ATTRIBUTES_NOT_KEPT if set(wanted) - set(whole.keys()) else SUCCESS, told
    return _answered(act, device, "N-GET")


def _answered(act, device, what: str) -> tuple:
    """The answer of ``act``, or the failure that it met as a status."""
    answer = Dataset()
    try:
        return act()
    except Unfit as error:
        answer.Status, comment = error.status, error.comment
    except Conflict as error:
        answer.Status, comment = DUPLICATE if error.code == "duplicate" else PROCESSING_FAILURE, error.en
        if error.code == "final":
            answer.ErrorID = MAY_NOT_BE_UPDATED
    except NotFound as error:
        answer.Status, comment = NO_SUCH_INSTANCE, error.en
    except HubError as error:
        answer.Status, comment = PROCESSING_FAILURE, error.en
    log.warning("%s from %s refused with %04X: %s", what, device.ae_title if device else "?", answer.Status, comment)
    answer.ErrorComment = comment.encode("ascii", "replace").decode()[:64]
    return answer, None


def step_facts(uid: str, content: Dataset) -> StepFacts:
    """What the hub keeps of a report. Unfit where its status, UIDs or sequences are none."""
    if not is_uid(uid):
        raise Unfit(INVALID_INSTANCE, "the SOP Instance UID is none")
    status = _text(content, "PerformedProcedureStepStatus").upper()
    if status not in STATES:
        raise Unfit(INVALID_VALUE, "PerformedProcedureStepStatus is none of its values")
    scheduled = [item for item in content.get("ScheduledStepAttributesSequence") or []]
    links = tuple((_text(item, "AccessionNumber"), _text(item, "StudyInstanceUID")) for item in scheduled)
    study_uid = next((one for _, one in links if one), "")
    if not is_uid(study_uid):
        raise Unfit(INVALID_VALUE, "StudyInstanceUID of the scheduled step is missing or none")
    series = tuple(_series(item) for item in content.get("PerformedSeriesSequence") or [])
    if sum(len(one.instances) for one in series) > LONGEST:
        raise Unfit(INVALID_VALUE, f"more than {LONGEST} instances")
    told = summary(content)
    patient = PatientFacts(told["patient_id"], told["patient_name"], told["patient_name_original"], told["patient_name_unsure"], told["sex"], told["birth_date"])
    reasons = content.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or []
    return StepFacts(
        uid, STATES[status], study_uid, patient, _text(content, "Modality"), _text(content, "PerformedStationAETitle"),
        _text(content, "PerformedProcedureStepDescription"), _moment(content, "Start"), _moment(content, "End"),
        next((_text(item, "CodeMeaning") or _text(item, "CodeValue") for item in reasons), ""), links, series, _kept(content))


def _series(item: Dataset) -> StepSeries:
    uid = _text(item, "SeriesInstanceUID")
    if not is_uid(uid):
        raise Unfit(INVALID_VALUE, "SeriesInstanceUID of a performed series is missing or none")
    made = [_text(one, "ReferencedSOPInstanceUID") for keyword in IMAGES for one in item.get(keyword) or []]
    if not all(is_uid(one) for one in made):
        raise Unfit(INVALID_VALUE, "a ReferencedSOPInstanceUID is missing or none")
    return StepSeries(uid, _text(item, "SeriesDescription") or _text(item, "ProtocolName"), tuple(dict.fromkeys(made)))


def _kept(content: Dataset) -> dict:
    """The whole report as DICOM JSON (PS3.18 F), texts as the hub decoded them."""
    return content.to_json_dict(suppress_invalid_tags=True)


def _read(source) -> Dataset:
    """The data set of a request, its texts decoded by their bytes."""
    try:
        content = source()
        _decode(content, declared_sets(content))
        content.SpecificCharacterSet = "ISO_IR 192"
        return content
    except Exception as error:                    # whatever a hostile data set can do to a parser
        raise Unfit(PROCESSING_FAILURE, f"the data set cannot be read ({type(error).__name__})") from error


def _decode(content: Dataset, sets: list[str]) -> None:
    """Puts into every text element what its bytes say, also inside sequences."""
    for tag in list(content.keys()):
        item = content.get_item(tag)
        vr = item.VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")
        if vr == "SQ":
            for one in content[tag].value or []:
                _decode(one, sets)
        elif vr in TEXTS and isinstance(item.value, bytes) and not item.value.isascii():
            content[tag] = DataElement(tag, vr, read_text(item.value, sets).text)


def _text(dataset: Dataset, keyword: str) -> str:
    return element_text(dataset, keyword).text.strip(" \0")


def _moment(content: Dataset, end: str) -> str:
    day, clock = _text(content, f"PerformedProcedureStep{end}Date"), _text(content, f"PerformedProcedureStep{end}Time")
    if len(day) != 8 or not day.isdigit():
        return ""
    digits = clock.split(".")[0]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" + (f"T{digits[:2]}:{digits[2:4] or '00'}:{digits[4:6] or '00'}" if len(digits) >= 2 and digits.isdigit() else "")


def _require(content: Dataset, keyword: str, missing: int) -> None:
    if keyword not in content:
        raise Unfit(missing, f"{keyword} is missing")
    if not content[keyword].value:
        raise Unfit(MISSING_VALUE, f"{keyword} is empty")
