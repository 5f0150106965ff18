"""QIDO-RS answers (PS3.18 10.6.3.3): rows of the hub's index as DICOM JSON. Pure."""
from __future__ import annotations

from collections.abc import Collection, Iterable
from json.encoder import encode_basestring as _text

from dicom_gateway.web.attributes import person_name
from hub.flow.studies import Answered, Part
from hub.model.person_name import name_shown

Attributes = tuple[tuple[str, str, tuple], ...]      # tag, VR, values: texts, whole numbers or, of PN, component groups by name


def study_attributes(row, parts: dict, root: str) -> Attributes:
    """One study, its tags ascending. ``parts``: its series by their ids, as ``studies.matching_with_parts`` gives them."""
    day, _, clock = row.study_at.partition("T")
    own = parts.values()
    modalities = {part.modality for part in own if part.modality}
    return (
        ("00080005", "CS", ("ISO_IR 192",)), ("00080020", "DA", _held(day.replace("-", ""))), ("00080030", "TM", _held(clock.replace(":", ""))),
        ("00080050", "SH", _held(row.accession_number)), ("00080056", "CS", (_availability(row),)),
        ("00080061", "CS", tuple(sorted(modalities)) if len(modalities) > 1 else tuple(modalities)),
        ("00080090", "PN", ()), ("00081030", "LO", _held(row.description)), ("00081190", "UR", (f"{root}/studies/{row.study_uid}",)),
        ("00100010", "PN", _name(row.name_as_sent, row.patient_name)), ("00100020", "LO", _held(row.patient_number)), ("00100030", "DA", _held(row.birth_date.replace("-", ""))),
        ("00100040", "CS", _held(row.sex)), ("0020000D", "UI", (row.study_uid,)), ("00200010", "SH", ()),
        ("00201206", "IS", (len(own),)), ("00201208", "IS", (sum([part.total for part in own]),)),
    )


def study_answer(row, parts: dict, root: str) -> dict:
    """One study as a DICOM JSON object."""
    return {tag: {"vr": vr, "Value": list(values)} if values else {"vr": vr} for tag, vr, values in study_attributes(row, parts, root)}


def study_document(rows: Iterable[Answered], parts: dict[int, dict[int, Part]], root: str) -> bytes:
    """DICOM JSON of many studies, byte for byte ``replies.document`` of their ``study_answer``, in a fraction of its time: put
    together from pieces, for answers of hundreds. ``parts``: series by their ids, by the study's id."""
    return f"[{','.join([_study_text(row, parts.get(row.id, _NOTHING).values(), root) for row in rows])}]".encode()


_NOTHING: dict = {}
FIRST_IDEOGRAPH = "\u2e80"      # see name_shown


def _study_text(row: Answered, own: Collection[Part], root: str) -> str:
    _, study_uid, _, _, _, study_at, number, description, shown, sent, patient_number, sex, born, removed_at = row
    day, _, clock = study_at.partition("T")
    modalities, total = "}", 0
    if len(own) == 1:
        (_, _, modality, total), = own
        modalities = _one(modality)
    elif own:
        modalities = _some([_text(modality) for modality in sorted({part[2] for part in own}) if modality])
        total = sum([part[3] for part in own])
    return (
        '{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080020":{"vr":"DA"' + _one(day.replace("-", "")) + ',"00080030":{"vr":"TM"' + _one(clock.replace(":", ""))
        + ',"00080050":{"vr":"SH"' + _one(number) + ',"00080056":{"vr":"CS"' + (_HERE if removed_at is None else _GONE)
        + ',"00080061":{"vr":"CS"' + modalities + ',"00080090":{"vr":"PN"},"00081030":{"vr":"LO"' + _one(description)
        + ',"00081190":{"vr":"UR"' + _one(f"{root}/studies/{study_uid}") + ',"00100010":{"vr":"PN"' + _named(sent, shown)
        + ',"00100020":{"vr":"LO"' + _one(patient_number) + ',"00100030":{"vr":"DA"' + _one(born.replace("-", "")) + ',"00100040":{"vr":"CS"' + _one(sex)
        + ',"0020000D":{"vr":"UI"' + _one(study_uid) + ',"00200010":{"vr":"SH"},"00201206":{"vr":"IS","Value":[' + str(len(own))
        + ']},"00201208":{"vr":"IS","Value":[' + str(total) + "]}}")


def _named(sent: str, shown: str) -> str:
    """The end of an element with a name, as ``_name`` has it."""
    if shown and "=" not in sent and min(shown) >= FIRST_IDEOGRAPH and sent.replace("^", "") == shown:        # nearly all names of a county
        return f',"Value":[{{"Alphabetic":{_text(sent)}}}]}}'
    return _some([_groups_text(one) for one in _name(sent, shown)])


def _one(text: str) -> str:
    """The end of an element with one text, or with none."""
    return f',"Value":[{_text(text)}]}}' if text else "}"


_HERE, _GONE = (_one(word) for word in ("ONLINE", "UNAVAILABLE"))


def _some(texts: Iterable[str]) -> str:
    joined = ",".join(texts)
    return f',"Value":[{joined}]}}' if joined else "}"


def _groups_text(groups: dict) -> str:
    return f"{{{','.join([f'{_text(name)}:{_text(text)}' for name, text in groups.items()])}}}"


def _held(value: str) -> tuple:
    return (value,) if value else ()


def series_answer(row, total: int, root: str) -> dict:
    """One series, without its study's attributes."""
    url = f"{root}/studies/{row.study_uid}/series/{row.series_uid}"
    return {
        "00080005": _of("CS", "ISO_IR 192"), "00080056": _of("CS", _availability(row)), "00080060": _of("CS", row.series_modality),
        "0008103E": _of("LO", row.series_description), "00081190": _of("UR", url), "00180015": _of("CS", row.series_body_part),
        "0020000D": _of("UI", row.study_uid), "0020000E": _of("UI", row.series_uid), "00200011": _of("IS", row.series_number),
        "00201209": _of("IS", total),
    }


def instance_answer(row, root: str) -> dict:
    """One instance, without the attributes of its series and study."""
    url = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}"
    told = {
        "00080005": _of("CS", "ISO_IR 192"), "00080016": _of("UI", row.sop_class), "00080018": _of("UI", row.sop_uid),
        "00080056": _of("CS", _availability(row)), "00081190": _of("UR", url), "00083002": _of("UI", row.transfer_syntax),
        "0020000D": _of("UI", row.study_uid), "0020000E": _of("UI", row.series_uid), "00200013": _of("IS", row.number),
    }
    if row.rows and row.columns:
        told |= {"00280008": _of("IS", row.frames), "00280010": _of("US", row.rows), "00280011": _of("US", row.columns)}
    return told


def in_order(told: dict) -> dict:
    """Attributes by ascending tag, as Annex F wants them."""
    return dict(sorted(told.items()))


def _availability(row) -> str:
    """Whether its objects can be had (PS3.3 C.4.23.1.1); of a removed study there are none any more."""
    return "ONLINE" if row.removed_at is None else "UNAVAILABLE"


def _name(sent: str, shown: str) -> tuple:
    """The name as it was sent, where it is still the one that is shown."""
    if sent != shown and (not sent or name_shown(sent) != shown):
        sent = shown
    groups = person_name(sent)
    return (groups,) if groups else ()


def _of(vr: str, *values) -> dict:
    told = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": told} if told else {"vr": vr}
