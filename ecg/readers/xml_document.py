"""XML from devices, safely: any of the encodings that carts write, no entities, no external references.

Entity bombs and external entities are refused before they are expanded (defusedxml). Namespaces are cut
from the tags, so that a reader names elements as the device's manual does.
"""
from __future__ import annotations

import codecs
import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ecg.readers.refusals import refuse

_MOST_BYTES = 64 * 1024 * 1024
_DECLARATION = re.compile(r"^\s*<\?xml(?:[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"'])?[^>]*\?>", re.I)
_ONE_BYTE = re.compile(r"(us-)?ascii|latin-?1|iso-8859-(1|2|3|4|5|6|7|8|9|10|11|13|14|15|16)|windows-125[0-8]|big5")
_NOT_ELEMENTS = re.compile(r"<!--.*?(?:-->|$)|<\?.*?(?:\?>|$)|<![A-Z].*?(?:>|$)", re.S)
_FIRST_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]*)")


def root_name(head: bytes) -> str:
    """The local name of the root element as far as ``head`` shows it, or "" where this is no XML."""
    text = head.decode(_charset(head), "ignore")
    if not text.lstrip("\ufeff \t\r\n").startswith("<"):
        return ""
    found = _FIRST_ELEMENT.search(_NOT_ELEMENTS.sub("", text))
    return found[1].rsplit(":", 1)[-1] if found else ""


def parse_xml(content: bytes, root: str) -> tuple[Element, tuple[str, ...]]:
    """The root element, which must be named ``root`` (lower case, end of the name), and notes.

    Refuses ``empty``, ``hostile`` (entities, external references, too large), ``bad_xml`` and
    ``not_recognised`` (another root).
    """
    if not content.strip():
        raise refuse("empty")
    if len(content) > _MOST_BYTES:
        raise refuse("hostile")
    text, notes = _text(content)
    try:
        document = ElementTree.fromstring(_DECLARATION.sub("", text, count=1).encode("utf-8"))
    except DefusedXmlException:
        raise refuse("hostile") from None
    except (ParseError, ValueError, RecursionError):
        raise refuse("bad_xml") from None
    for element in document.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rsplit("}", 1)[-1]
    if not document.tag.lower().endswith(root):
        raise refuse("not_recognised")
    return document, notes


def _charset(content: bytes) -> str:
    """The charset by byte order mark, else by the zeros of UTF-16, else as declared, else UTF-8."""
    for mark, charset in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
                          (codecs.BOM_UTF16_BE, "utf-16")):
        if content.startswith(mark):
            return charset
    if content[:2] == b"<\0":
        return "utf-16-le"
    if content[:2] == b"\0<":
        return "utf-16-be"
    declared = _DECLARATION.match(content[:200].decode("latin-1"))
    name = (declared[1] or "utf-8").lower() if declared else "utf-8"
    if name.startswith(("gb", "hz")):
        return "gb18030"
    if name.startswith("utf-16"):        # declared, but one byte a character stands here
        return "utf-8"
    return name if _ONE_BYTE.fullmatch(name) else "utf-8"


def _text(content: bytes) -> tuple[str, tuple[str, ...]]:
    charset = _charset(content)
    try:
        return content.decode(charset), ()
    except UnicodeError:
        if charset.startswith(("utf-16", "gb")):
            raise refuse("bad_xml") from None
    try:
        return content.decode("gb18030"), ("text_charset_assumed:gb18030",)
    except UnicodeError:
        raise refuse("bad_xml") from None


def words(element: Element | None, path: str = ".") -> str:
    """The trimmed text of the element at ``path``, or ""."""
    found = element.find(path) if element is not None else None
    return " ".join((found.text or "").split()) if found is not None else ""


def number(text: str | None) -> float | None:
    """A finite number as written, or None."""
    try:
        value = float((text or "").strip())
    except ValueError:
        return None
    return value if abs(value) < 1e15 else None
