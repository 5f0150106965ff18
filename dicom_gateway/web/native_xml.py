"""The Native DICOM Model (PS3.19 A.1), both ways between XML and the DICOM JSON Model (PS3.18 F). Pure.

The promise: what is written can be read back without a loss, but for characters that XML cannot hold. What is read
comes from strangers: no document type, no entity and no external reference is ever followed, and memory follows the length
of the document, which the caller bounds.
"""
from __future__ import annotations

from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from pydicom.datadict import keyword_for_tag

from hub.errors import Invalid

MEDIA = "application/dicom+xml"
NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
DEEPEST = 64               # sequences within sequences
MOST_NODES = 1_000_000
LONGEST_NUMBER = 6         # digits of the number of a value or item
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_WHOLE = frozenset(("US", "SS", "UL", "SL", "UV", "SV"))
_REAL = frozenset(("FL", "FD"))
_TEXTS = frozenset(("Value", "InlineBinary", *COMPONENTS))
_NOT_XML = {code: None for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)} | {code: 0xFFFD for code in range(0xD800, 0xE000)}
_AS_REFERENCES = {"\r": "&#13;"}      # a parser makes a line feed of it


def to_xml(told: dict) -> bytes:
    """A DICOM JSON object as a document in UTF-8. Private attributes are named by their creator (PS3.19 A.1.5); the elements
    that reserve their blocks stay, so that each has the same block again."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">']
    _write_object(told, lines)
    return "".join([*lines, "</NativeDicomModel>"]).encode()


def from_xml(content: bytes) -> dict:
    """The DICOM JSON object that a document tells. Invalid, with what is wrong, for what is no Native DICOM Model."""
    reading = _Reading()
    parser = DefusedXMLParser(target=reading, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        parser.close()
    except DefusedXmlException:
        raise _bad("a document type or an entity stands in it") from None
    except (ParseError, ValueError, LookupError) as error:
        raise _bad(f"it is not well-formed XML: {error}"[:200]) from None
    if reading.root is None:
        raise _bad("its root is not NativeDicomModel")
    return reading.root


def _write_object(told: dict, lines: list[str]) -> None:
    creators = {tag: str(values[0]) for tag, element in told.items() if _reserves(tag) and (values := element.get("Value"))}
    for tag, element in told.items():
        creator = creators.get(f"{tag[:4]}00{tag[4:6]}") if _is_private(tag) else None
        named = f" privateCreator={_quoted(creator)}" if creator else "" if _is_private(tag) else _keyword(tag)
        lines.append(f'<DicomAttribute tag="{tag[:4] + "00" + tag[6:] if creator else tag}" vr="{element["vr"]}"{named}>')
        if "BulkDataURI" in element:
            lines.append(f"<BulkData uri={_quoted(element['BulkDataURI'])}/>")
        elif "InlineBinary" in element:
            lines.append(f"<InlineBinary>{element['InlineBinary']}</InlineBinary>")
        for number, value in enumerate(element.get("Value", ()), 1):
            if element["vr"] == "SQ":
                lines.append(f'<Item number="{number}">')
                _write_object(value or {}, lines)
                lines.append("</Item>")
            elif element["vr"] == "PN" and value:
                _write_name(value, number, lines)
            elif value is not None:
                lines.append(f'<Value number="{number}">{_escaped(value)}</Value>')
        lines.append("</DicomAttribute>")


def _write_name(groups: dict, number: int, lines: list[str]) -> None:
    lines.append(f'<PersonName number="{number}">')
    for group in GROUPS:
        if groups.get(group):
            parts = groups[group].split("^", len(COMPONENTS) - 1)
            told = "".join(f"<{name}>{_escaped(part)}</{name}>" for name, part in zip(COMPONENTS, parts) if part)
            lines.append(f"<{group}>{told}</{group}>")
    lines.append("</PersonName>")


def _is_private(tag: str) -> bool:
    return int(tag[3], 16) % 2 == 1 and tag[4:6] != "00"


def _reserves(tag: str) -> bool:
    """Whether an element reserves a block of private ones (PS3.5 7.8.1)."""
    return int(tag[3], 16) % 2 == 1 and tag[4:6] == "00" and tag[6:] >= "10"


def _keyword(tag: str) -> str:
    keyword = keyword_for_tag(int(tag, 16))
    return f' keyword="{keyword}"' if keyword else ""


def _escaped(value: object) -> str:
    return escape(str(value).translate(_NOT_XML), _AS_REFERENCES)


def _quoted(text: str) -> str:
    return quoteattr(text.translate(_NOT_XML))


class _Attribute:
    """One DicomAttribute while it is read. ``values``: by number."""

    def __init__(self, attributes: dict[str, str]):
        self.tag, self.vr, self.creator = attributes.get("tag", "").upper(), attributes.get("vr", ""), attributes.get("privateCreator", "").strip()
        if len(self.tag) != 8 or set(self.tag) - set("0123456789ABCDEF") or len(self.vr) != 2 or not self.vr.isalpha() or not self.vr.isupper():
            raise _bad(f"an attribute has the tag {self.tag[:16]!r} and the value representation {self.vr[:16]!r}")
        self.values: dict[int, object] = {}
        self.bulk = self.inline = None

    def told(self) -> dict:
        if self.bulk is not None:
            return {"vr": self.vr, "BulkDataURI": self.bulk}
        if self.inline is not None:
            return {"vr": self.vr, "InlineBinary": "".join(self.inline.split())}
        if not self.values:
            return {"vr": self.vr}
        if max(self.values) > 2 * len(self.values) + 1000:
            raise _bad(f"the values of {self.tag} are numbered with holes that cannot be")
        return {"vr": self.vr, "Value": [self.values.get(number, {} if self.vr == "SQ" else None) for number in range(1, max(self.values) + 1)]}


class _Object:
    """A data set or an item while it is read."""

    def __init__(self):
        self.own: dict[str, dict] = {}
        self.private: list[tuple[str, str, dict]] = []         # creator, tag, element

    def add(self, one: _Attribute) -> None:
        if one.creator and int(one.tag[3], 16) % 2 == 1:
            self.private.append((one.creator, one.tag, one.told()))
        elif one.tag in self.own:
            raise _bad(f"the attribute {one.tag} stands twice in one data set")
        else:
            self.own[one.tag] = one.told()

    def told(self) -> dict:
        """With a block for every private creator, the one that it had where the document says so."""
        told = dict(self.own)
        blocks = {(tag[:4], str(element["Value"][0])): tag[6:] for tag, element in self.own.items() if _reserves(tag) and element.get("Value")}
        for creator, tag, element in sorted(self.private, key=lambda one: one[1][4:6] == "00"):      # those that name their block first
            group = tag[:4]
            block = tag[4:6] if tag[4:6] != "00" else blocks.get((group, creator))
            if block is None:
                block = next((f"{number:02X}" for number in range(0x10, 0x100) if f"{group}00{number:02X}" not in told), None)
            place = f"{group}{block}{tag[6:]}"
            if block is None or place in told or told.setdefault(f"{group}00{block}", {"vr": "LO", "Value": [creator]}).get("Value") != [creator]:
                raise _bad(f"the private attribute {tag} of {creator[:32]!r} has no place of its own")
            blocks[group, creator] = block
            told[place] = element
        return dict(sorted(told.items()))


class _Reading:
    """What the parser tells, put together; a target in the sense of xml.etree."""

    def __init__(self):
        self.root: dict | None = None
        self._objects: list[_Object] = []
        self._attributes: list[_Attribute] = []
        self._numbers: list[int] = []            # of the items that are open
        self._names: list[str] = []
        self._text: list[str] | None = None
        self._number, self._groups, self._components, self._nodes = 0, {}, {}, 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._names.append(name)
        self._nodes += 1
        if self._nodes > MOST_NODES or len(self._objects) > DEEPEST or len(self._names) > 4 * DEEPEST:
            raise _bad("it has more elements, or deeper ones, than are read")
        within = self._names[-2] if len(self._names) > 1 else ""
        if name == "NativeDicomModel" and not within:
            self._objects.append(_Object())
        elif name == "DicomAttribute" and within in ("NativeDicomModel", "Item"):
            self._attributes.append(_Attribute(attributes))
        elif name == "Item" and within == "DicomAttribute":
            self._numbers.append(_number(attributes))
            self._objects.append(_Object())
        elif name in ("Value", "PersonName") and within == "DicomAttribute":
            self._number, self._groups, self._text = _number(attributes), {}, []
        elif name in GROUPS and within == "PersonName":
            self._components = {}
        elif name == "BulkData" and within == "DicomAttribute":
            self._attributes[-1].bulk = attributes.get("uri") or attributes.get("uuid", "")
        elif name in _TEXTS and (within in GROUPS or within == "DicomAttribute"):
            self._text = []
        else:
            raise _bad(f"{name[:32]} does not belong into {within[:32] or 'a document'}")

    def data(self, text: str) -> None:
        if self._text is not None and self._names[-1] in _TEXTS:
            self._text.append(text)

    def end(self, tag: str) -> None:
        name = self._names.pop()
        if name == "NativeDicomModel":
            self.root = self._objects.pop().told()
        elif name == "DicomAttribute":
            self._objects[-1].add(self._attributes.pop())
        elif name == "Item":
            self._put(self._numbers.pop(), self._objects.pop().told())
        elif name == "Value":
            self._put(self._number, _value("".join(self._text), self._attributes[-1].vr))
        elif name == "PersonName":
            self._put(self._number, self._groups)
        elif name in GROUPS:
            self._groups[name] = "^".join(self._components.get(one, "") for one in COMPONENTS).rstrip("^")
        elif name in COMPONENTS:
            self._components[name] = "".join(self._text)
        elif name == "InlineBinary":
            self._attributes[-1].inline = "".join(self._text)

    def close(self) -> None:
        pass

    def _put(self, number: int, value: object) -> None:
        if number in self._attributes[-1].values:
            raise _bad(f"two values of {self._attributes[-1].tag} have the number {number}")
        self._attributes[-1].values[number] = value


def _number(attributes: dict[str, str]) -> int:
    text = attributes.get("number", "1")
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER or int(text) == 0:
        raise _bad(f"a value has the number {text[:16]!r}")
    return int(text)


def _value(text: str, vr: str) -> object:
    if vr in ("SQ", "PN"):
        raise _bad(f"a Value stands in an attribute of the value representation {vr}")
    if vr not in _WHOLE and vr not in _REAL:
        return text if vr in ("LT", "ST", "UT") else text.strip(" ")
    try:
        return int(text) if vr in _WHOLE else float(text)
    except ValueError:
        raise _bad(f"{text[:32]!r} is no value of {vr}") from None


def _bad(why: str) -> Invalid:
    return Invalid("bad_metadata", "元数据不是有效的 Native DICOM Model（XML）。", f"the metadata are no Native DICOM Model: {why}.")
