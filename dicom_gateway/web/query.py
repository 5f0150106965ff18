"""QIDO-RS questions (PS3.18 8.3.4, 10.6): query parameters into matches, paging and the fields asked for. Pure.

The promise: a parameter that is no attribute, or a value that cannot be one, is refused by name; an attribute
that the index does not hold is ignored and said in a Warning header.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from dicom_gateway.dataset import is_uid
from dicom_gateway.ranges import dates, span, times
from hub.errors import Invalid
from hub.flow.studies import Match
from hub.model.name_search import FUZZY

MOST_RESULTS = 1000
DEFAULT_RESULTS = 200
MOST_VALUES = 500

SEARCHED = {       # attribute keyword: field of hub.flow.studies.FIELDS
    "StudyInstanceUID": "study_uid", "SeriesInstanceUID": "series_uid", "SOPInstanceUID": "sop_uid", "SOPClassUID": "sop_class",
    "StudyDate": "study_date", "StudyTime": "study_time", "AccessionNumber": "accession_number", "StudyDescription": "description",
    "ReferringPhysicianName": "referring_physician", "StudyID": "study_number",
    "InstitutionName": "institution", "ModalitiesInStudy": "modalities_in_study", "Modality": "modality",
    "PatientName": "patient_name", "PatientID": "patient_id", "PatientBirthDate": "birth_date", "PatientSex": "sex",
    "SeriesNumber": "series_number", "SeriesDescription": "series_description", "BodyPartExamined": "body_part",
    "InstanceNumber": "instance_number",
}
_NAMES = ("patient_name", "referring_physician")
_OTHERS = ("limit", "offset", "includefield", "fuzzymatching", "accept", "charset", "emptyvaluematching", "multiplevaluematching")


@dataclass(frozen=True)
class Question:
    """``include``: tags in hexadecimal, or "all" among them. ``warnings``: texts for Warning headers (code 299).
    ``capped``: the hub, not the client, chose where the answer ends."""

    matches: list[Match]
    limit: int
    offset: int
    include: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    capped: bool = False


def question(parameters: list[tuple[str, str]]) -> Question:
    """The question in a request's parameters, in their order. Invalid names the one that cannot be understood."""
    matches, written, include, warnings, ignored = [], {}, set(), [], []
    limit, offset, is_fuzzy = None, 0, False
    for name, value in parameters:
        lower = name.lower()
        if lower in ("limit", "offset"):
            number = _count(name, value)
            limit, offset = (number, offset) if lower == "limit" else (limit, number)
        elif lower == "includefield":
            include |= {"all" if part.lower() == "all" else _tag(part, name) for part in value.split(",") if part}
        elif lower == "fuzzymatching":
            if value.lower() not in ("true", "false"):
                raise _bad(name)
            is_fuzzy = value.lower() == "true"
        elif lower not in _OTHERS:
            tag = _tag(name.split(".")[-1], name)
            keyword = keyword_for_tag(int(tag, 16))
            if "." in name or keyword not in SEARCHED:
                ignored.append(name)
            elif value not in ("", "*", '""'):
                matches.append(match_of(name, keyword, value))
                written[keyword] = value
    matches = in_one_span(matches, written)
    if is_fuzzy:
        matches = [alike(match, FUZZY) for match in matches]
    if ignored:
        warnings.append("The following attributes are not searched and were ignored: " + ", ".join(_ascii(name) for name in ignored[:20]))
    capped = limit is None or limit > MOST_RESULTS
    return Question(matches, MOST_RESULTS if limit is not None and capped else DEFAULT_RESULTS if limit is None else limit, offset,
                    frozenset(include), tuple(warnings), capped)


def match_of(name: str, keyword: str, value: str) -> Match:
    """One key of SEARCHED with its value, as DIMSE and the web write it. Invalid names the key as ``name``."""
    vr, where = dictionary_VR(tag_for_keyword(keyword)), SEARCHED[keyword]
    if vr in ("DA", "TM"):
        try:
            low, high, _ = (dates if vr == "DA" else times)(value)
        except ValueError:
            raise _bad(name) from None
        return Match(where, low=low, high=high)
    if vr not in ("UI", "CS"):
        values = tuple(value.split("\\"))
    else:
        values = tuple(part for part in re.split(r"[\\,]", value) if part)
    if len(values) > MOST_VALUES:
        raise _bad(name)
    if vr == "UI" and not all(is_uid(part) for part in values):
        raise _bad(name)
    if vr == "IS" and not all(re.fullmatch(r"-?\d{1,9}", part) for part in values):
        raise _bad(name)
    return Match(where, values)


def in_one_span(matches: list[Match], written: dict[str, str]) -> list[Match]:
    """The same keys, where ranges of the study's date and time are one span (PS3.4 C.2.2.2.5.4, PS3.18 8.3.4.1.1). ``written``:
    keyword to value, of values that ``match_of`` has taken."""
    if not {"StudyDate", "StudyTime"} <= written.keys():
        return matches
    ends = span(dates(written["StudyDate"]), times(written["StudyTime"]))
    if ends is None:
        return matches
    return [*(match for match in matches if match.field not in ("study_date", "study_time")), Match("study_moment", low=ends[0], high=ends[1])]


def alike(match: Match, likeness: str) -> Match:
    """The same key, where names may fit in another way (``hub.model.name_search``)."""
    return replace(match, likeness=likeness) if match.field in _NAMES else match


def _tag(text: str, name: str) -> str:
    """The tag, eight hexadecimal digits, of a keyword or a tag."""
    text = text.strip().split(".")[-1]
    if re.fullmatch(r"[0-9A-Fa-f]{8}", text):
        return text.upper()
    tag = tag_for_keyword(text)
    if tag is None:
        raise _bad(name)
    return f"{tag:08X}"


def _count(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value):
        raise _bad(name)
    return int(value)


def _ascii(text: str) -> str:
    return re.sub(r"[^\w.]", "?", text, flags=re.ASCII)[:64]


def _bad(name: str) -> Invalid:
    shown = _ascii(name)
    return Invalid("bad_query", f"查询参数 {shown} 无法理解。", f"the query parameter {shown} cannot be understood.")
