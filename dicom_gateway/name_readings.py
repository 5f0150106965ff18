"""How an unsure name may be read, with what speaks for each reading: for the person who decides."""
from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_gateway.charset import declared_codec, declared_sets, patient_attributes
from dicom_gateway.plausibility import surnames
from hub.model.naming import NOTHING_KNOWN, Naming
from hub.model.person_name import name_shown

CALLED = {"gb18030": "GB18030", "utf_8": "UTF-8", "iso8859_1": "ISO 8859-1", "shift_jis": "JIS X 0201", "iso2022": "ISO 2022"}


@dataclass(frozen=True)
class Reading:
    """``value``: as PatientName has it; ``reasons``: pairs in Chinese and English."""

    value: str
    shown: str
    encoding: str
    reasons: tuple[tuple[str, str], ...]


def readings(header: Dataset, habit: str = "", naming: Naming = NOTHING_KNOWN) -> tuple[Reading, ...]:
    """The readings of a header's unsure name, the likeliest first; () where it is sure or nothing else is known.
    ``habit``: the encoding in which nearly all earlier names of the device were written, "" for none; ``naming``: how its study names the patient."""
    texts = patient_attributes(header, habit, naming)
    name = texts.get("PatientName")
    if name is None or not name.unsure:
        return ()
    others = {text.encoding_used for keyword, text in texts.items() if keyword != "PatientName" and not text.unsure and not text.text.isascii()}
    told = {text: encoding for encoding, text in reversed(name.candidates)} if name.candidates else {name.text: name.encoding_used}
    read_as, own = dict(name.candidates), declared_codec(header, naming.charset)
    declared = declared_sets(header)
    return tuple(Reading(text, name_shown(text), CALLED.get(encoding, encoding),
                         _reasons(text, encoding in others, declared if text == read_as.get(own) else [], text == read_as.get(habit)))
                 for text, encoding in sorted(reversed(told.items()), key=lambda one: one[0] != name.text) if "\ufffd" not in text)


def _reasons(text: str, is_like_the_others: bool, declared: list[str], is_habit: bool) -> tuple[tuple[str, str], ...]:
    found = []
    shown = name_shown(text)
    head = next((shown[:length] for length in (2, 1) if shown[:length] in surnames() and len(shown) > length), "")
    if head:
        found.append((f"以常见姓氏“{head}”开头", f"begins with the surname {head}"))
    if declared:
        found.append((f"与声明的字符集一致（{'、'.join(declared)}）", f"as declared ({', '.join(declared)})"))
    if is_like_the_others:
        found.append(("同一对象的其他文字也是这种编码", "the other texts of the object are written so"))
    if is_habit:
        found.append(("该设备此前的姓名几乎都是这种编码", "nearly all earlier names of this device were written so"))
    if not any(ord(letter) > 0x7F and not letter.isalpha() for letter in shown):
        found.append(("全部是文字，没有符号", "letters only, no signs"))
    return tuple(found)
