"""Text as the sender meant it, even where the declared character set is wrong.

Many devices in China write GB18030 or UTF-8 bytes under ISO_IR 100, under nothing, or under each
other's name. The promise: the bytes decide, with surname statistics as evidence; true Latin names stay
as they are; what cannot be decided is marked unsure with its candidates; a dataset is never changed.
Sources: PS3.5 6.1 and Annex H-K, PS3.3 C.12.1.1.2; surnames in data/surnames.toml (source there).
"""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from unicodedata import category

from pydicom.charset import decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

from dicom_gateway.plausibility import is_gb2312, is_ideograph, score_cjk, score_single_byte
from hub.model.naming import NOTHING_KNOWN, Naming
from hub.model.person_name import name_shown

SURE_MARGIN = 2.0
KATAKANA = 0.6             # weight of one half-width katakana; two bytes are one ideograph
MOST_REMEMBERED = 256      # bytes of a text

_CODECS = {
    "6": "ascii", "100": "iso8859_1", "101": "iso8859_2", "109": "iso8859_3", "110": "iso8859_4",
    "144": "iso8859_5", "127": "iso8859_6", "126": "iso8859_7", "138": "iso8859_8", "148": "iso8859_9",
    "203": "iso8859_15", "13": "shift_jis", "166": "iso8859_11", "192": "utf_8",
}  # fmt: skip
_NAMED = {"GB18030": "gb18030", "GBK": "gb18030", "GB2312": "gb18030", "UTF-8": "utf_8", "UTF8": "utf_8"}
_ESCAPES = (
    (b"\x1b$)A", "58", "iso_ir_58"),
    (b"\x1b$B", "87", "iso2022_jp"),
    (b"\x1b$@", "87", "iso2022_jp"),
    (b"\x1b$(D", "159", "iso2022_jp_2"),
    (b"\x1b$)C", "149", "euc_kr"),
    (b"\x1b)I", "13", "shift_jis"),
    (b"\x1b(J", "13", "shift_jis"),
    (b"\x1b-A", "100", "latin_1"),
    (b"\x1b-B", "101", "iso8859_2"),
    (b"\x1b-C", "109", "iso8859_3"),
    (b"\x1b-D", "110", "iso8859_4"),
    (b"\x1b-L", "144", "iso_ir_144"),
    (b"\x1b-G", "127", "iso_ir_127"),
    (b"\x1b-F", "126", "iso_ir_126"),
    (b"\x1b-H", "138", "iso_ir_138"),
    (b"\x1b-M", "148", "iso_ir_148"),
    (b"\x1b-T", "166", "iso_ir_166"),
)
_NAME_DELIMITERS = {0x5E, 0x3D, 0x5C, 0x0D, 0x0A, 0x09, 0x0C}


@dataclass(frozen=True)
class Decoded:
    """A text and how it was won.

    ``encoding_used``: a Python codec name, or "ascii", "iso2022", "text" (was never bytes).
    ``declared_wrong``: the declared character set would have given another text. ``unsure``: a person
    should look; ``candidates`` are (encoding, text) from most to least likely. ``reason`` is for people.
    """

    text: str
    encoding_used: str
    declared_wrong: bool = False
    unsure: bool = False
    candidates: tuple[tuple[str, str], ...] = ()
    reason: str = ""


def read_text(raw: bytes, declared: Sequence[str] = ()) -> Decoded:
    """The text that the raw bytes of an element most plausibly hold.

    ``declared``: the values of Specific Character Set, possibly empty or wrong. Never raises for any
    bytes; bytes that fit nothing come back with replacement characters, marked unsure.
    """
    raw = bytes(raw).rstrip(b"\0 ")
    return _read_before(raw, tuple(declared)) if len(raw) <= MOST_REMEMBERED else _read(raw, tuple(declared))


def _read(raw: bytes, declared: tuple[str, ...]) -> Decoded:
    terms = [_term(value) for value in declared]
    if b"\x1b" in raw:
        return _with_escapes(raw, terms)
    if raw.isascii():
        return Decoded(raw.decode("ascii"), "ascii")
    own = _declared_codec(terms)
    scored = _scored(raw, own)
    if not scored:
        text = raw.decode(own or "gb18030", errors="replace")
        return Decoded(text, own or "gb18030", False, True, (), "the bytes are damaged in every encoding tried")
    best_score, encoding, text = scored[0]
    rival = next((score for score, _, other in scored[1:] if other != text), None)
    margin = best_score - rival if rival is not None else SURE_MARGIN
    unsure = (margin < SURE_MARGIN or best_score <= 0 or _has_no_meaning(text) or _may_be_chinese(encoding, scored)
              or encoding == "utf_8" and _may_be_simplified(scored))
    wrong = encoding != own and text != _strict(raw, own)
    reason = f"{encoding} {best_score:.1f}" + (f", next {rival:.1f}" if rival is not None else ", nothing else fits")
    return Decoded(text, encoding, wrong, unsure, tuple((name, told) for _, name, told in scored), reason)


_read_before = lru_cache(maxsize=4096)(_read)      # the slices of a series say nearly all the same


def person_name(dataset: Dataset, keyword: str = "PatientName") -> Decoded:
    """A person's name with its component groups (alphabetic=ideographic=phonetic) and carets as sent."""
    return element_text(dataset, keyword)


def element_text(dataset: Dataset, keyword: str, otherwise: str = "") -> Decoded:
    """The text of one element, from its raw bytes where they are still there; absent is "". ``otherwise``: as of ``declared_sets``."""
    raw = _raw_bytes(dataset, keyword)
    if isinstance(raw, str):
        return Decoded(raw, "text")
    return read_text(raw, declared_sets(dataset, otherwise))


PATIENT_TEXTS = (
    "PatientName", "PatientID", "InstitutionName", "StudyDescription", "SeriesDescription",
    "ReferringPhysicianName", "PatientAddress", "StationName", "Manufacturer", "BodyPartExamined",
    "ProtocolName", "InstitutionalDepartmentName", "RequestedProcedureDescription",
)  # fmt: skip


def patient_attributes(dataset: Dataset, habit: str = "", naming: Naming = NOTHING_KNOWN) -> dict[str, Decoded]:
    """Name, identity and descriptions, by keyword; an unsure one follows the encoding of the sure ones.

    A device writes all its texts in one encoding, so one sure Chinese description settles a doubtful name.
    ``habit``: the encoding in which nearly all earlier names of the device were written, "" for none: where a name is
    still unsure, its reading in it stands first, and stays marked (a device's setting can be changed). ``naming``: how the object's
    study names its patient, once it has one: the name is read so where its bytes can be.
    """
    texts = {keyword: element_text(dataset, keyword, naming.charset) for keyword in PATIENT_TEXTS if keyword in dataset}
    settled = {
        text.encoding_used for text in texts.values() if not text.unsure and text.encoding_used in ("gb18030", "utf_8")
    }
    own = declared_codec(dataset, naming.charset)
    if len(settled) == 1:
        encoding = settled.pop()
        texts = {keyword: _settled(text, encoding, own) for keyword, text in texts.items()}
    name = texts.get("PatientName")
    if habit and name is not None and name.unsure and (preferred := _read_as(name, habit, own)) is not None:
        texts["PatientName"] = replace(preferred, reason=f"{name.reason}; nearly all earlier names of this device are {habit}")
    if naming.names and "PatientName" in texts:
        texts["PatientName"] = _as_named(texts["PatientName"], name_bytes(dataset), naming, own)
    return texts


def name_bytes(dataset: Dataset) -> bytes:
    """The bytes of the patient's name as sent, without padding; b"" where there is none or they are gone."""
    raw = _raw_bytes(dataset, "PatientName")
    return raw.rstrip(b"\0 ") if isinstance(raw, bytes) else b""


def declared_codec(dataset: Dataset, otherwise: str = "") -> str | None:
    """The codec that the first value of Specific Character Set names; None where it names none that is known."""
    return _declared_codec([_term(value) for value in declared_sets(dataset, otherwise)])


def declared_sets(dataset: Dataset, otherwise: str = "") -> list[str]:
    """The values of Specific Character Set as sent; those of ``otherwise`` where absent."""
    raw = _raw_bytes(dataset, "SpecificCharacterSet")
    sent = raw if isinstance(raw, str) else raw.decode("ascii", errors="replace")
    text = sent if sent.strip("\0 ") else otherwise
    return [part.strip() for part in text.rstrip("\0 ").split("\\")] if text.strip("\0 ") else []


def fill_silent_set(dataset: Dataset, charset: str) -> None:
    """A header that declares no character set gets that of its device, if there is one: in memory, where its texts are read next;
    the bytes stay as they came."""
    if charset and not declared_sets(dataset):
        dataset.SpecificCharacterSet = charset


def _settled(text: Decoded, encoding: str, own: str | None) -> Decoded:
    read = _read_as(text, encoding, own) if text.unsure else None
    if read is None:
        return text
    return replace(read, unsure=False, reason=f"{text.reason}; the other texts of this object are {encoding}")


def _read_as(text: Decoded, encoding: str, own: str | None) -> Decoded | None:
    """An unsure text in the reading of one of its candidates, None where the bytes do not fit it. ``own``: the declared codec."""
    told = dict(text.candidates)
    if encoding not in told:
        return None
    return replace(text, text=told[encoding], encoding_used=encoding, declared_wrong=told[encoding] != told.get(own))


def _as_named(name: Decoded, raw: bytes, naming: Naming, own: str | None) -> Decoded:
    """The reading of a name's bytes that shows one of these names; as read where none does."""
    for wanted in map(name_shown, naming.names):
        if name_shown(name.text) == wanted:
            return name
        for encoding in dict.fromkeys(("utf_8", "gb18030", "iso8859_1", *_CODECS.values())) if raw and not raw.isascii() and b"\x1b" not in raw else ():
            if (text := _strict(raw, encoding)) is not None and name_shown(text) == wanted:
                reason = f"{name.reason}; so its study names the patient"
                return replace(name, text=text, encoding_used=encoding, declared_wrong=text != _strict(raw, own), reason=reason)
    return name


def _scored(raw: bytes, own: str | None) -> list[tuple[float, str, str]]:
    """(score, encoding, text) of every encoding that fits without error, best first."""
    found = []
    for encoding in dict.fromkeys(filter(None, (own, "utf_8", "gb18030", "iso8859_1"))):
        text = _strict(raw, encoding)
        if text is None:
            continue
        if encoding in ("utf_8", "gb18030"):
            score = score_cjk(text, encoding) + (3.0 if encoding == "utf_8" else 0.0)
        elif encoding == "shift_jis":      # ISO_IR 13 is JIS X 0201: half-width katakana, no ideographs (PS3.3 C.12.1.1.2)
            score = KATAKANA * sum(map(_is_katakana, text)) if all(c.isascii() or _is_katakana(c) for c in text) else score_single_byte(text, specific=False)
        else:
            score = score_single_byte(text, specific=encoding == own and encoding != "iso8859_1")
        found.append((score + (1.0 if encoding == own else 0.0), encoding, text))
    return sorted(found, key=lambda entry: -entry[0])


def _may_be_chinese(encoding: str, scored: list[tuple[float, str, str]]) -> bool:
    """Whether a reading in a script that the device declared stands where the bytes read as Chinese, too: many devices keep
    the character set of their factory."""
    return encoding not in ("utf_8", "gb18030", "iso8859_1") and any(score > 0 for score, name, _ in scored if name in ("utf_8", "gb18030"))


def _may_be_simplified(scored: list[tuple[float, str, str]]) -> bool:
    """Whether what UTF-8 reads as a name is a likely text of GB 2312, too: two of its characters can be the four bytes of one that
    hardly anybody bears, three of them two characters of which the first is a surname. Of ordinary names in UTF-8 that is so of
    two in a hundred that have two characters, and of none with three."""
    return any(name == "gb18030" and score > 0 and is_gb2312(told) for score, name, told in scored)


def _has_no_meaning(text: str) -> bool:
    """Whether a text holds what no font shows: a replacement, a code point for private use, or one that nobody has assigned."""
    return not text.isascii() and any(one == "\ufffd" or category(one) in ("Co", "Cn") and not is_ideograph(one) for one in text)


def _is_katakana(character: str) -> bool:
    return "\uff61" <= character <= "\uff9f"


def _strict(raw: bytes, encoding: str | None) -> str | None:
    try:
        return raw.decode(encoding) if encoding else None
    except UnicodeDecodeError:
        return None


def _term(value: str) -> str:
    """A defined term of Specific Character Set reduced to its number or name: "ISO_IR 100" is "100"."""
    text = str(value).strip().upper().replace("_", " ").replace("ISO-IR", "ISO IR")
    if text in _NAMED or text.replace(" ", "") in _NAMED:
        return text.replace(" ", "")
    last = text.split(" ")[-1] if text else ""
    return last.removeprefix("ISOIR")


def _declared_codec(terms: Sequence[str]) -> str | None:
    """The codec for bytes without escape sequences: that of the first value."""
    if not terms:
        return None
    return _NAMED.get(terms[0]) or _CODECS.get(terms[0])


def _with_escapes(raw: bytes, terms: Sequence[str]) -> Decoded:
    used = {number: codec for escape, number, codec in _ESCAPES if escape in raw}
    undeclared = sorted(set(used) - set(terms) - {"6"})
    reason = f"escape sequences not declared: {', '.join(undeclared)}" if undeclared else ""
    first = _declared_codec(terms)
    text = _chinese_by_escape(raw) if set(used) <= {"58"} else _by_escape(raw, first, list(used.values()))
    if text is not None:
        return Decoded(text, "iso2022", bool(undeclared), False, (), reason)
    text = raw.replace(b"\x1b", b"").decode(first or "gb18030", errors="replace")
    return Decoded(text, first or "gb18030", True, True, (), "the escape sequences cannot be followed")


def _chinese_by_escape(raw: bytes) -> str | None:
    """ISO 2022 IR 58 text; devices also send characters that only GB18030 has, which contains GB 2312."""
    bare = raw.replace(b"\x1b$)A", b"").replace(b"\x1b(B", b"")
    return None if b"\x1b" in bare else _strict(bare, "gb18030")


def _by_escape(raw: bytes, first: str | None, further: list[str]) -> str | None:
    encodings = [first if first not in (None, "ascii") else "latin_1", *further]
    try:
        text = decode_bytes(raw, encodings, _NAME_DELIMITERS)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if "\x1b" in text or "\ufffd" in text else text


def _raw_bytes(dataset: Dataset, keyword: str) -> bytes | str:
    """The bytes of an element as received; a str where only text is left and no encoding gives it back."""
    element = dataset.get_item(_tag_of(keyword))
    if element is None:
        return b""
    value = element.value
    if isinstance(element, RawDataElement):
        return value or b""
    if value is None:
        return b""
    if isinstance(value, PersonName) and isinstance(value.original_string, bytes):
        return value.original_string
    single = isinstance(value, (str, PersonName)) or not hasattr(value, "__iter__")
    text = str(value) if single else "\\".join(str(part) for part in value)
    if text.isascii() or keyword == "SpecificCharacterSet":
        return text
    own = declared_codec(dataset)
    try:
        return text.encode(own or "iso8859_1")
    except UnicodeEncodeError:
        return text


@lru_cache(maxsize=256)
def _tag_of(keyword: str) -> BaseTag:
    return Tag(keyword)
