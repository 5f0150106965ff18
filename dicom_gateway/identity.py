"""Who a DICOM object says its patient is: every field in which devices put a number of the person, with where it stood.

Source: PS3.3 C.7.1.1 (Patient ID, Issuer, Other Patient IDs Sequence), C.2.3 (telephone, address), and the retired Other
Patient IDs (0010,1000) and Insurance Plan Identification (0010,1050), which older devices still fill.
"""
from __future__ import annotations

import re
import struct

from pydicom.dataset import Dataset

from dicom_gateway.charset import element_text
from dicom_gateway.dataset import read_header
from hub.context import Hub
from hub.errors import Invalid
from hub.flow import identity
from hub.model.identifiers import ADDRESS, INSURANCE, PHONE, Said

MOST = 32       # of one object are read
FIELDS = (("OtherPatientIDs", ""), ("PatientTelephoneNumbers", PHONE), ("InsurancePlanIdentification", INSURANCE), ("PatientAddress", ADDRESS))
REMARKS = ("PatientComments", "AdditionalPatientHistory")
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, NotImplementedError, OverflowError, RecursionError, struct.error)
_NUMBER = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")


def identify_study(hub: Hub, study_id: int) -> None:
    """The worker's door: reads the first original of a study and has its patient identified."""
    original = identity.original_of(hub, study_id)
    said: tuple[Said, ...] = ()
    if original is not None:
        try:
            said = said_of(read_header(hub.blobs.path(original.sha256)))
        except Invalid:
            said = ()       # what cannot be read says nothing; the row that was entered at the door still counts
    identity.identify(hub, study_id, said)


def said_of(dataset: Dataset) -> tuple[Said, ...]:
    """What an object says of its patient beside name, birth date and sex. Of remarks only what looks like a resident number."""
    found = [Said(_text(dataset, "PatientID"), "PatientID", _text(dataset, "IssuerOfPatientID"))]
    for keyword, kind in FIELDS:
        values = [_text(dataset, keyword)] if kind == ADDRESS else _text(dataset, keyword).split("\\")
        found += [Said(value, keyword, "", kind) for value in values[:MOST]]
    for item in _items(dataset):
        about = f"{_text(item, 'IssuerOfPatientID')} {_text(item, 'TypeOfPatientID')}"
        found.append(Said(_text(item, "PatientID"), "OtherPatientIDsSequence", about))
    for keyword in REMARKS:
        found += [Said(number, keyword) for number in _NUMBER.findall(_text(dataset, keyword))[:MOST]]
    return tuple(one for one in found if one.text.strip())


def _items(dataset: Dataset) -> list[Dataset]:
    try:
        return list(dataset.get("OtherPatientIDsSequence") or [])[:MOST]
    except UNREADABLE:
        return []


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return element_text(dataset, keyword).text.strip()
    except UNREADABLE:
        return ""
