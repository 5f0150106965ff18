"""A data set as DICOM JSON (PS3.18 Annex F): texts as people read them, big values by address.

The promise: every text is decoded by its bytes (see charset), so a name that the device declared wrongly is
right here, in UTF-8; the original stays as it came. Junk values become empty, never an exception. Values above
``MOST_INLINE`` bytes are given as BulkDataURI; ``ROOT`` in it stands for the address of the service.
"""
from __future__ import annotations

import base64
import json
import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR, private_dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from dicom_gateway.charset import PATIENT_TEXTS, declared_sets, name_bytes, patient_attributes, read_text
from hub.model.naming import NOTHING_KNOWN, Naming

MOST_INLINE = 1024
MOST_INLINE_NUMBERS = 64 * 1024
MOST_REMEMBERED = 256      # bytes of a value
MOST_REPEATED = 16 * 1024  # bytes of a value, or of a sequence, that the next instance may repeat
MOST_KEPT = 4096           # values that are kept of one study
ROOT = "{dicomweb-root}"

_TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_SINGLE = frozenset(("LT", "ST", "UT", "UR"))
_ASCII = frozenset(("AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"))
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8, "US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 2}
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")      # component groups of a name
_BYTES = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "UN"))
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_INTEGER = re.compile(r"[+-]?\d{1,12}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class _Settled:
    """What is not read from an element's own bytes alone: texts by tag, and names by their bytes, wherever these stand again."""

    texts: dict[int, str]
    names: dict[bytes, str]


def to_json(dataset: Dataset, address: str = "", naming: Naming = NOTHING_KNOWN) -> dict:
    """The DICOM JSON object of a data set, without group 0002 and group lengths; its parts may be shared with that of
    another data set and are not to be changed.

    ``address``: where the instance lies below the service ("studies/../instances/.."), for bulk data. Needs the
    data set as pydicom read it, before any element was touched, so that the bytes of texts are still there.
    ``naming``: how its study names the patient.
    """
    return _object(dataset, tuple(declared_sets(dataset, naming.charset)), f"{ROOT}/{address}/bulkdata", _settled(dataset, naming))


class Said:
    """DICOM JSON of the instances of one study: what two of them say in the same bytes is put into words once. Safe to share
    between threads: what two work out at once is the same. ``naming``: how the study names its patient."""

    def __init__(self, naming: Naming = NOTHING_KNOWN):
        self._naming = naming
        self._known: dict[tuple, tuple[_Settled, dict]] = {}      # by context: settled texts, and JSON by tag, VR and bytes

    def texts(self, dataset: Dataset, address: str = "") -> dict[int, str]:
        """As ``to_json``, each element by its tag (ascending) as JSON text."""
        context = _context(dataset)
        settled, known = self._known.get(context) or (None, {})
        if settled is None:
            settled = _settled(dataset, self._naming)
            if context is not None:
                self._known[context] = settled, known
        if len(known) > MOST_KEPT:
            known.clear()
        declared, place, little, told = tuple(declared_sets(dataset, self._naming.charset)), f"{ROOT}/{address}/bulkdata", _is_little(dataset), {}
        for tag, element in sorted([(int(tag), element) for tag, element in dataset.items()], key=_first):
            if tag >> 16 <= 0x0002 or not tag & 0xFFFF:
                continue
            key = (tag, element.VR, element.value) if _may_repeat(element) else None
            text = known.get(key)
            if text is None:
                text = _written(_safely(dataset, tag, element, declared, f"{place}/{tag:08X}", settled, little))
                if key is not None and "BulkDataURI" not in text:      # which names the instance
                    known[key] = text
            told[tag] = text
        return told


def _context(dataset: Dataset) -> tuple | None:
    """The bytes on which the JSON of other elements depends: character set, sign of the pixels, creators of private elements
    and those texts that settle each other's encoding. None where they are gone."""
    said = [element for tag, element in dataset.items() if int(tag) in _IN_CONTEXT or tag.is_private_creator]
    if not all(isinstance(one, RawDataElement) for one in said):
        return None
    return dataset.original_encoding, tuple([(one.tag, one.VR, one.value) for one in said])


def _may_repeat(element) -> bool:
    return isinstance(element, RawDataElement) and isinstance(element.value, bytes) and len(element.value) <= MOST_REPEATED


def _written(told: dict) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _settled(dataset: Dataset, naming: Naming) -> _Settled:
    texts = patient_attributes(dataset, naming=naming)
    raw = name_bytes(dataset)
    names = {raw: texts["PatientName"].text} if raw and not raw.isascii() else {}
    return _Settled({_tag_of(keyword): text.text for keyword, text in texts.items()}, names)


def person_name(text: str) -> dict:
    """A decoded person name with its component groups (PS3.18 F.2.2): alphabetic=ideographic=phonetic."""
    return {name: value.strip(" ") for name, value in zip(GROUPS, text.split("=")) if value.strip(" ^")}


def values_of(text: str, vr: str) -> dict:
    """An attribute whose values are given as DICOM writes them, parted by backslashes."""
    if vr in _TEXT:
        return _with(vr, _texts(text, vr))
    if vr in _NUMBERS:
        return _with(vr, [float(one) if vr in ("FL", "FD") else int(one) for one in text.split("\\")] if text else [])
    return _with(vr, _plain_values(text.encode(), vr, True))


def _object(dataset: Dataset, declared: tuple[str, ...], place: str, settled: _Settled) -> dict:
    told = {}
    little = _is_little(dataset)
    for tag, element in sorted(dataset.items(), key=_by_tag):
        if tag.group <= 0x0002 or tag.element == 0:
            continue
        name = f"{int(tag):08X}"
        told[name] = _safely(dataset, int(tag), element, declared, f"{place}/{name}", settled, little)
    return told


def _safely(dataset: Dataset, tag: int, element, declared: tuple[str, ...], address: str, settled: _Settled, little: bool) -> dict:
    """An element; an empty one where what was sent is junk."""
    try:
        return _element(dataset, tag, element, declared, address, settled, little)
    except (ValueError, TypeError, KeyError, struct.error, NotImplementedError, OverflowError, AttributeError, EOFError, OSError,
            RecursionError):
        return {"vr": "UN"}


def _first(item: tuple[int, object]) -> int:
    return item[0]


def _by_tag(item: tuple[BaseTag, object]) -> int:
    return int(item[0])


def _element(dataset: Dataset, tag: int, element, declared: tuple[str, ...], address: str, settled: _Settled, little: bool) -> dict:
    if isinstance(element, RawDataElement) and element.value is None:      # deferred: too big to have been read
        element = dataset.get_item(tag)
    vr = vr_of(dataset, element)
    if tag in _PIXELS:
        return {"vr": vr, "BulkDataURI": address}
    if vr == "SQ":
        items = dataset[tag].value or ()
        within = _Settled({}, settled.names)
        return _with("SQ", [_object(item, tuple(declared_sets(item)) or declared, f"{address}/{place_of_item}", within)
                            for place_of_item, item in enumerate(items)])
    value = element.value
    if not isinstance(value, bytes):
        value = _as_bytes(value, vr, little)
        if not isinstance(value, bytes):
            return _with(vr, [value])
    if len(value) > (MOST_INLINE_NUMBERS if vr in _NUMBERS else MOST_INLINE) and (vr in _BYTES or vr in _NUMBERS):
        return {"vr": vr, "BulkDataURI": address}
    known = settled.texts.get(tag)
    if known is None and vr == "PN":
        known = settled.names.get(value.rstrip(b"\0 "))
    if known is not None and vr in _TEXT:
        return _with(vr, _texts(known, vr))
    if tag == 0x00080005 and vr == "CS":
        return {"vr": "CS", "Value": ["ISO_IR 192"]}
    return _said_before(vr, value, declared, little) if len(value) <= MOST_REMEMBERED else _said(vr, value, declared, little)


def _said(vr: str, value: bytes, declared: tuple[str, ...], little: bool) -> dict:
    """An element from nothing but its bytes."""
    if vr in _BYTES:
        return {"vr": vr, "InlineBinary": base64.b64encode(to_little(value, vr, little)).decode()} if value else {"vr": vr}
    if vr in _TEXT:
        return _with(vr, _texts(read_text(value, declared).text, vr))
    return _with(vr, _plain_values(value, vr, little))


_said_before = lru_cache(maxsize=4096)(_said)      # the slices of a series say nearly all the same


def vr_of(dataset: Dataset, element) -> str:
    """The value representation that an element has, or ought to have where the sender did not say."""
    tag, vr = element.tag, element.VR
    if vr in (None, "UN") or " or " in vr:
        try:
            if tag.is_private:
                vr = private_dictionary_VR(tag, dataset.private_creator(tag)) if vr is None and tag.is_private_creator is False else vr
                if tag.is_private_creator:
                    vr = "LO"
            else:
                vr = _standard_vr(int(tag))
        except (KeyError, ValueError, TypeError, AttributeError):
            vr = "UN"
    if vr is None:
        return "UN"
    if " or " in vr:
        if vr.startswith("OB"):
            return "OW"
        signed = dataset.get_item(0x00280103) if 0x00280103 in dataset else None
        is_signed = signed is not None and signed.value in (1, b"\1\0", b"\0\1")
        return "SS" if is_signed and "SS" in vr else "US" if "US" in vr else vr.split(" or ")[0]
    return str(vr)


@lru_cache(maxsize=4096)
def _standard_vr(tag: int) -> str:
    return dictionary_VR(tag)


@lru_cache(maxsize=256)
def _tag_of(keyword: str) -> int:
    return tag_for_keyword(keyword)


_IN_CONTEXT = frozenset(map(tag_for_keyword, (*PATIENT_TEXTS, "SpecificCharacterSet", "PixelRepresentation")))


def to_little(value: bytes, vr: str, little: bool) -> bytes:
    """The bytes of a value in little-endian order, as bulk data and InlineBinary are written."""
    width = WORDS.get(vr, 1)
    if little or width == 1:
        return value
    usable = len(value) // width * width
    return b"".join(value[i:i + width][::-1] for i in range(0, usable, width))


def _with(vr: str, values: list) -> dict:
    while values and values[-1] is None:
        values.pop()
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _texts(text: str, vr: str) -> list:
    text = text.rstrip("\0 ")
    if not text:
        return []
    if vr in _SINGLE:
        return [text]
    parts = [part.strip(" \0") for part in text.split("\\")]
    if vr == "PN":
        return [person_name(part) or None for part in parts]
    return [part or None for part in parts]


def _plain_values(value: bytes, vr: str, little: bool) -> list:
    if vr in _NUMBERS:
        width = WORDS[vr]
        count = len(value) // width
        numbers = struct.unpack(f"{'<' if little else '>'}{count}{_NUMBERS[vr]}", value[:count * width])
        return [None if isinstance(n, float) and not math.isfinite(n) else n for n in numbers]
    if vr == "AT":
        words = struct.unpack(f"{'<' if little else '>'}{len(value) // 4 * 2}H", value[:len(value) // 4 * 4])
        return [f"{group:04X}{element:04X}" for group, element in zip(words[::2], words[1::2])]
    text = value.decode("ascii", "replace").rstrip("\0 ")
    if vr in _SINGLE:
        return [text] if text else []
    parts = [part.strip(" \0") for part in text.split("\\")] if text else []
    if vr == "IS":
        return [int(part) if _INTEGER.fullmatch(part) else None for part in parts]
    if vr == "DS":
        return [_decimal(part) for part in parts]
    return [part or None for part in parts]


def _decimal(part: str) -> float | int | None:
    if not _DECIMAL.fullmatch(part):
        return None
    number = float(part)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _as_bytes(value, vr: str, little: bool):
    """The bytes of a value that pydicom has converted already; None for an empty one."""
    if value is None:
        return b""
    if isinstance(value, PersonName):
        return value.original_string if isinstance(value.original_string, bytes) else str(value).encode()
    parts = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    if vr in _NUMBERS:
        return struct.pack(f"{'<' if little else '>'}{len(parts)}{_NUMBERS[vr]}", *parts)
    if vr == "AT":
        return b"".join(struct.pack(f"{'<' if little else '>'}2H", int(part) >> 16, int(part) & 0xFFFF) for part in parts)
    if vr == "PN":
        return b"\\".join(_as_bytes(part, "PN", little) for part in parts)
    return "\\".join(str(part) for part in parts).encode()


def _is_little(dataset: Dataset) -> bool:
    encoding = getattr(dataset, "original_encoding", (None, True))
    return encoding[1] is not False


def raw_value(dataset: Dataset, path: list[str]) -> tuple[bytes, str]:
    """The little-endian bytes and the VR of the element at ``path``: tag, item, tag ... KeyError if there is none."""
    holder = dataset
    for tag, item in zip(path[:-1:2], path[1::2]):
        holder = holder[int(tag, 16)].value[int(item)]
    element = holder.get_item(int(path[-1], 16))
    if element is None:
        raise KeyError(path[-1])
    vr = vr_of(holder, element)
    if vr == "SQ":
        raise KeyError(path[-1])
    if isinstance(element, RawDataElement) and element.value is None:      # deferred: pydicom left it on disk
        element = holder[int(path[-1], 16)]
    little = _is_little(holder)
    value = element.value if isinstance(element.value, bytes) else _as_bytes(element.value, vr, little)
    return to_little(value, vr, little), vr
