"""QIDO-RS answers (PS3.18 10.6.3.3): rows of the hub's index as DICOM JSON. Pure."""
from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from json.encoder import encode_basestring as _text

from dicom_gateway.web.attributes import person_name
from hub.flow.studies import Answered, Part
from hub.model.person_name import name_shown

Attributes = list[tuple[str, str, tuple]]      # tag, VR, values: texts, whole numbers or, of PN, component groups by name

# What is told of a study: tag, VR and, where they are the same of every study, the values. Tags ascend.
STUDY = (
    ("00080005", "CS", ("ISO_IR 192",)), ("00080020", "DA", None), ("00080030", "TM", None), ("00080050", "SH", None), ("00080056", "CS", None),
    ("00080061", "CS", None), ("00080090", "PN", None), ("00081030", "LO", None), ("00081190", "UR", None), ("00100010", "PN", None), ("00100020", "LO", None),
    ("00100030", "DA", None), ("00100040", "CS", None), ("0020000D", "UI", None), ("00200010", "SH", None), ("00201206", "IS", None), ("00201208", "IS", None))
KNOWN = frozenset((      # what the index itself tells, at any level
    "00080005", "00080016", "00080018", "00080020", "00080030", "00080050", "00080056", "00080060", "00080061", "00080090", "0008103E", "00081030", "00081190", "00083002",
    "00100010", "00100020", "00100030", "00100040", "00180015", "0020000D", "0020000E", "00200010", "00200011", "00200013", "00201206", "00201208", "00201209",
    "00280008", "00280010", "00280011"))
FIRST_IDEOGRAPH = "\u2e80"      # see name_shown


def _values(row: tuple, own: Collection[Part], root: str) -> tuple:
    """The other values, in the order of STUDY: a text or "", a whole number, texts, or the component groups of a name. ``row``: as of ``Answered``."""
    _, study_uid, _, _, _, study_at, number, description, shown, sent, patient_number, sex, born, physician, study_number, removed_at = row
    day, _, clock = study_at.partition("T")
    if len(own) == 1:
        (_, _, modality, total), = own
        modalities = (modality,) if modality else ()
    else:
        modalities, total = tuple(sorted({part[2] for part in own if part[2]})), sum([part[3] for part in own])
    return (day.replace("-", ""), clock.replace(":", ""), number, _availability(removed_at), modalities, _physician(physician) if physician else "", description, f"{root}/studies/{study_uid}",
            _name(sent, shown), patient_number, born.replace("-", ""), sex, study_uid, study_number or "", len(own), total)


def study_attributes(row, parts: dict, root: str) -> Attributes:
    """One study, its tags ascending. ``row``: an ``Answered``, or one of a level below, which begins as it does. ``parts``: its
    series by their ids, as ``studies.matching_with_parts`` gives them."""
    values = iter(_values(row[:len(Answered._fields)], parts.values(), root))
    return [(tag, vr, _held(next(values)) if same is None else same) for tag, vr, same in STUDY]


def study_answer(row, parts: dict, root: str) -> dict:
    """One study as a DICOM JSON object."""
    return {tag: {"vr": vr, "Value": list(values)} if values else {"vr": vr} for tag, vr, values in study_attributes(row, parts, root)}


def study_document(rows: Iterable[Answered], parts: dict[int, dict[int, Part]], root: str) -> bytes:
    """DICOM JSON of many studies, byte for byte ``replies.document`` of their ``study_answer``, in a fraction of its time: put
    together from pieces, for answers of hundreds. ``parts``: series by their ids, by the study's id."""
    told = ",".join([_study_text(_values(row, parts.get(row[0], _NOTHING).values(), root)) for row in rows])
    return b"[%b]" % told.encode()


_NOTHING: dict = {}


def _study_text(values: tuple) -> str:
    day, clock, number, availability, modalities, physician, description, url, name, patient_number, born, sex, study_uid, study_number, of_series, total = values
    text = (f"{_0}{_text(day)}{_1}{_text(clock)}{_2}{_text(number)}{_3}{_text(availability)}{_4}{_text(modalities[0]) if len(modalities) == 1 else _joined(modalities)}"
            f"{_5}{_groups_text(physician)}{_6}{_text(description)}{_7}{_text(url)}{_8}{_groups_text(name)}{_9}{_text(patient_number)}{_10}{_text(born)}{_11}{_text(sex)}"
            f"{_12}{_text(study_uid)}{_13}{_text(study_number)}{_14}{of_series}{_15}{total}{_16}")
    is_whole = day and clock and number and modalities and physician and description and name and patient_number and born and sex and study_number
    return text if is_whole else text.replace(_EMPTY, "")      # nowhere else: in a text a quotation mark follows a backslash


def _around() -> list[str]:
    """The JSON of a study around the values that are not the same of every study."""
    told = [f'"{tag}":' + (f'{{"vr":"{vr}","Value":[\0]}}' if same is None else f'{{"vr":"{vr}","Value":[{_joined(same)}]}}') for tag, vr, same in STUDY]
    return f"{{{','.join(told)}}}".split("\0")


_EMPTY = ',"Value":[""]'


def _joined(texts: Collection[str]) -> str:
    return ",".join([_text(one) for one in texts]) or '""'


def _groups_text(groups: dict) -> str:
    return f"{{{','.join([f'{_text(name)}:{_text(text)}' for name, text in groups.items()])}}}" if groups else '""'


_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16 = _around()


def _held(value) -> tuple:
    return value if isinstance(value, tuple) else () if value == "" or value == {} else (value,)


def series_answer(row, total: int, root: str) -> dict:
    """One series, without its study's attributes."""
    url = f"{root}/studies/{row.study_uid}/series/{row.series_uid}"
    return {
        "00080005": _of("CS", "ISO_IR 192"), "00080056": _of("CS", _availability(row.removed_at)), "00080060": _of("CS", row.series_modality),
        "0008103E": _of("LO", row.series_description), "00081190": _of("UR", url), "00180015": _of("CS", row.series_body_part),
        "0020000D": _of("UI", row.study_uid), "0020000E": _of("UI", row.series_uid), "00200011": _of("IS", row.series_number),
        "00201209": _of("IS", total),
    }


def instance_answer(row, root: str) -> dict:
    """One instance, without the attributes of its series and study."""
    url = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}"
    told = {
        "00080005": _of("CS", "ISO_IR 192"), "00080016": _of("UI", row.sop_class), "00080018": _of("UI", row.sop_uid),
        "00080056": _of("CS", _availability(row.removed_at)), "00081190": _of("UR", url), "00083002": _of("UI", row.transfer_syntax),
        "0020000D": _of("UI", row.study_uid), "0020000E": _of("UI", row.series_uid), "00200013": _of("IS", row.number),
    }
    if row.rows and row.columns:
        told |= {"00280008": _of("IS", row.frames), "00280010": _of("US", row.rows), "00280011": _of("US", row.columns)}
    return told


def in_order(told: dict) -> dict:
    """Attributes by ascending tag, as Annex F wants them."""
    return dict(sorted(told.items()))


def _availability(removed_at: object) -> str:
    """Whether its objects can be had (PS3.3 C.4.23.1.1); of a removed study there are none any more."""
    return "ONLINE" if removed_at is None else "UNAVAILABLE"


def _name(sent: str, shown: str) -> dict:
    """The component groups of the name as it was sent, where that is still the one that is shown."""
    if shown and "=" not in sent and min(shown) >= FIRST_IDEOGRAPH and sent.replace("^", "") == shown:        # nearly all names of a county
        return {"Alphabetic": sent}
    if sent != shown and (not sent or name_shown(sent) != shown):
        sent = shown
    return person_name(sent)


_physician = lru_cache(maxsize=4096)(person_name)      # a few of them send most patients


def _of(vr: str, *values) -> dict:
    told = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": told} if told else {"vr": vr}
