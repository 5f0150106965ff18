"""The character set of a corrected object: the one it has where that can write the new values, else one that can.

A device that writes GB18030 or UTF-8 bytes under a wrong name keeps its bytes: they are only called by their right
name. Only where a Chinese value joins texts of another script (Latin-1, ISO 2022) are those written anew, in UTF-8.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom_gateway.charset import PATIENT_TEXTS, Decoded, declared_sets, patient_attributes, read_text
from dicom_gateway.elements import Element, Encoding, rebuilt
from hub.model.naming import NOTHING_KNOWN, Naming

CHARACTER_SET = 0x00080005
TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
UTF8, GB18030 = "ISO_IR 192", "GB18030"
_TOGETHER = frozenset(map(tag_for_keyword, (*PATIENT_TEXTS, "SpecificCharacterSet")))
CODECS = {UTF8: "utf-8", GB18030: "gb18030", "GBK": "gb18030"}


@dataclass(frozen=True)
class Wording:
    """How the texts of a corrected object are written. ``declared``: its Specific Character Set as sent, "" without
    one; ``charset``: the one it has from now on; ``reworded``: the elements that had to be written anew."""

    declared: str
    charset: str
    reworded: dict[int, Element]

    def encoded(self, value: str) -> bytes:
        """A new value's bytes. Only ASCII is asked for under a character set that is not in CODECS."""
        return value.encode(CODECS.get(self.charset, "ascii"))


def wording(elements: list[Element], encoding: Encoding, new_values: list[str], replaced: frozenset[int], naming: Naming = NOTHING_KNOWN) -> Wording:
    """The wording of an object with these elements, in which those of ``replaced`` give way to ``new_values``. ``naming``: how its
    study names the patient."""
    declared = next((one.value.decode("ascii", "replace").strip("\0 ") for one in elements if one.tag == CHARACTER_SET), "")
    if all(value.isascii() for value in new_values):
        return Wording(declared, declared, {})
    staying = [one for one in elements if one.tag not in replaced and (one.vr in TEXT or one.vr == "SQ")]
    raw, read = _texts(staying, encoding), _reader(elements, naming)
    if declared in CODECS and all(_fits(text, CODECS[declared], read(text).text) for text in raw):
        return Wording(declared, declared, {})
    used = {read(text).encoding_used for text in raw}
    if used <= {"utf_8"}:
        return Wording(declared, UTF8, {})
    if used == {"gb18030"}:
        return Wording(declared, GB18030, {})

    def in_utf8(one: Element) -> bytes:
        value = one.value
        return value if one.vr not in TEXT or not _foreign(value) else read(value).text.encode("utf-8")

    anew = [rebuilt(one, encoding, in_utf8) for one in staying]
    return Wording(declared, UTF8, {one.tag: one for one, was in zip(anew, staying) if one is not was})


def _texts(elements: list[Element], encoding: Encoding) -> list[bytes]:
    """The values of all texts that are not plain ASCII, in sequences too."""
    found: list[bytes] = []

    def note(one: Element) -> bytes:
        if one.vr in TEXT and _foreign(one.value):
            found.append(one.value)
        return one.value

    for one in elements:
        rebuilt(one, encoding, note)
    return found


def _foreign(value: bytes) -> bool:
    return not value.isascii() or b"\x1b" in value


def _reader(elements: list[Element], naming: Naming) -> Callable[[bytes], Decoded]:
    """How a text of these elements is read: as in the index where it holds the same bytes, wherever they stand."""
    raw = {BaseTag(one.tag): RawDataElement(BaseTag(one.tag), one.vr, len(one.value), one.value, 0, False, True)
           for one in elements if one.tag in _TOGETHER}
    together = Dataset(raw)
    sets = declared_sets(together, naming.charset)
    texts = patient_attributes(together, naming=naming)
    read = {raw[BaseTag(tag_for_keyword(keyword))].value.rstrip(b"\0 "): texts[keyword] for keyword in reversed(texts)}       # the name's reading last
    return lambda value: read.get(value.rstrip(b"\0 ")) or read_text(value, sets)


def _fits(value: bytes, codec: str, text: str) -> bool:
    """Whether a codec reads these bytes as this text."""
    try:
        return b"\x1b" not in value and value.rstrip(b"\0 ").decode(codec) == text
    except UnicodeDecodeError:
        return False
