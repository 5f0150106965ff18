"""XML from outside: parsed without entities, without a document type, within a bounded tree.

Carts in China often write GBK, sometimes under a declaration that says UTF-8; both are read, and the
second is reported. Names of elements come without their namespace.
"""
from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from ecg.errors import UnreadableRecording
from ecg.readers.given import MAX_XML_BYTES, check_size, malformed
from ecg.recording import SourceFile

MAX_ELEMENTS = 300_000
MAX_DEPTH = 100

_DECLARATION = re.compile(rb"^\s*<\?xml[^>]{0,200}?\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_CHINESE = {"gb2312", "gbk", "gb18030", "gb-2312", "gb_2312-80", "cp936", "hz"}


class _TooMuch(Exception):
    """More elements, or deeper, than any recording has."""


class _BoundedBuilder(TreeBuilder):
    def __init__(self):
        super().__init__()
        self._count = 0
        self._depth = 0

    def start(self, tag, attributes):
        self._count += 1
        self._depth += 1
        if self._count > MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise _TooMuch
        return super().start(local(tag), attributes)

    def end(self, tag):
        self._depth -= 1
        return super().end(local(tag))


def local(tag: str) -> str:
    """The name of an element without its namespace."""
    return tag.rpartition("}")[2]


def head_text(head: bytes) -> str:
    """The first bytes of a file as text for sniffing, whatever Unicode form they have; never raises."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "replace")
    if head[:2] == b"<\x00":
        return head.decode("utf-16-le", "replace")
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def root_name(head: bytes) -> str:
    """The local name of the root element if it begins within ``head``, else an empty string.

    A document type counts by its name: ``parse`` then refuses it as hostile instead of nobody knowing it.
    """
    text = head_text(head).lstrip()
    while text.startswith(("<?", "<!--")):
        _, found, text = text.partition("?>" if text.startswith("<?") else "-->")
        if not found:
            return ""
        text = text.lstrip()
    match = re.match(r"<(?:!DOCTYPE\s+)?(?:[\w.-]+:)?([\w.-]+)[\s/>\[]", text)
    return match.group(1) if match else ""


def parse(file: SourceFile, format_name: str) -> tuple[Element, tuple[str, ...]]:
    """The root element and notes (``charset:gb18030`` where the declaration was wrong).

    UnreadableRecording: ``too_large``, ``hostile`` (entities, document type, too deep or too many
    elements), ``malformed``.
    """
    check_size(file, MAX_XML_BYTES)
    content, notes = _in_unicode(file.content.lstrip(b"\x00\r\n\t "))
    parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        return parser.close(), notes
    except (DefusedXmlException, _TooMuch):
        raise UnreadableRecording("hostile", "XML 含有不允许的内容（实体、文档类型或过深的嵌套），已拒收。",
                                  "The XML holds what no recording needs (entities, a document type, "
                                  "endless nesting) and was refused.") from None
    except (ParseError, ValueError, LookupError):
        raise malformed(format_name) from None


def _in_unicode(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    declaration = _DECLARATION.match(content[:300])
    named = _ENCODING.search(declaration.group(0)) if declaration else None
    encoding = named.group(1).decode("ascii").lower() if named else "utf-8"
    if encoding in _CHINESE:
        return _recoded(content, declaration), ()
    if encoding == "utf-8" and content[:2] not in (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<"):
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return _recoded(content, declaration), ("charset:gb18030",)
    return content, ()


def _recoded(content: bytes, declaration: re.Match | None) -> bytes:
    body = content[declaration.end():] if declaration else content
    try:
        return body.decode("gb18030").encode("utf-8")
    except UnicodeDecodeError:
        raise malformed("XML") from None
