"""What a C-FIND, C-GET or C-MOVE asks for: its identifier as matches of the hub's index (PS3.4 C.2.2, C.4).

The promise: texts are read by their bytes, whatever character set the caller declares; a key that cannot be
understood is refused by name; one that the index does not hold is kept apart, so that the answer can say so.
Keys of any level may restrict any level (relational queries are answered without being negotiated).
"""
from __future__ import annotations

from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pynetdicom import sop_class
from pynetdicom.events import Event

from dicom_gateway.charset import declared_sets, element_text
from dicom_gateway.web.query import SEARCHED, alike, match_of
from hub.errors import Invalid
from hub.flow.studies import Match
from hub.model.name_search import LITERAL

LEVELS = {"PATIENT": "patient", "STUDY": "study", "SERIES": "series", "IMAGE": "instance"}
UNIQUE_KEYS = {"patient": "patient_id", "study": "study_uid", "series": "series_uid", "instance": "sop_uid"}
STUDY_ROOT = frozenset((sop_class.StudyRootQueryRetrieveInformationModelFind, sop_class.StudyRootQueryRetrieveInformationModelGet,
                        sop_class.StudyRootQueryRetrieveInformationModelMove))
LARGEST_IDENTIFIER = 1 << 20
_UNIVERSAL = ("", "*")
_ABOUT_THE_QUERY = (0x00080005, 0x00080052, 0x00080201)     # character set, level, time zone: no keys


@dataclass(frozen=True)
class Inquiry:
    """``level``: as ``studies.matching`` names it. ``asked``: the tags of all keys, in hexadecimal. ``charset``:
    the Specific Character Set in which the caller wants its answers. ``written``: keyword to value of what is matched, as sent."""

    level: str
    level_as_sent: str
    matches: list[Match]
    asked: frozenset[str]
    charset: str
    written: dict[str, str]


def inquiry(event: Event, likeness: str = LITERAL, charset: str = "") -> Inquiry:
    """The inquiry in a request; ``likeness``: how names may fit; ``charset``: that of a caller who declares none. Invalid where its identifier is no data set, has no level that the information
    model knows, or holds a value that is none of its kind."""
    source = event.request.Identifier
    if source is None or source.getbuffer().nbytes > LARGEST_IDENTIFIER:
        raise _bad("the identifier is missing or too long")
    try:
        dataset = event.identifier
        tags = [tag for tag in sorted(dataset.keys()) if tag not in _ABOUT_THE_QUERY and tag.element != 0]
        level_as_sent = _value(dataset, "QueryRetrieveLevel").upper()
    except Exception as error:                    # whatever a hostile data set can do to a parser
        raise _bad(f"the identifier cannot be read ({type(error).__name__})") from error
    level = LEVELS.get(level_as_sent)
    if level is None or (level == "patient" and event.request.AffectedSOPClassUID in STUDY_ROOT):
        raise _bad("the query level is missing or not one of this information model")
    matches, written = [], {}
    for tag in tags:
        keyword = keyword_for_tag(tag)
        if keyword not in SEARCHED:
            continue
        try:
            value = _value(dataset, keyword, charset)
        except Exception as error:
            raise _bad(f"{keyword} cannot be read") from error
        if value not in _UNIVERSAL:
            matches.append(alike(match_of(keyword, keyword, value), likeness))
            written[keyword] = value
    return Inquiry(level, level_as_sent, matches, frozenset(f"{tag:08X}" for tag in tags), _answer_charset(dataset, charset), written)


def _value(dataset: Dataset, keyword: str, charset: str = "") -> str:
    return element_text(dataset, keyword, charset).text.strip(" \0")


def _answer_charset(dataset: Dataset, charset: str) -> str:
    asked = {one.upper().replace(" ", "") for one in declared_sets(dataset, charset)}
    return "GB18030" if asked & {"GB18030", "GBK", "GB2312", "ISO2022IR58"} and "ISO_IR192" not in asked else "ISO_IR 192"


def _bad(why: str) -> Invalid:
    return Invalid("bad_identifier", "查询条件无法理解。", f"{why}.")
