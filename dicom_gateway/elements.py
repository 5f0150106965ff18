"""A data set as its elements' bytes (PS3.5 7.1, 7.5): taken apart and put together again without decoding values.

pydicom says where each element ends; nothing is converted, so what is put together unchanged is the same bytes.
"""
from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.filereader import data_element_generator
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from hub.errors import Invalid
from hub.model.repair import BINARY

_PAD = {"UI": b"\0", "OB": b"\0", "UN": b"\0"}
_PACKED = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000


@dataclass(frozen=True)
class Element:
    """One element: its VR as the file says it, else the dictionary's; its bytes from header to end, and where in them
    its value begins. ``undefined``: whether a delimiter ends it (sequences)."""

    tag: int
    vr: str
    content: bytes
    value_at: int
    undefined: bool = False

    @property
    def value(self) -> bytes:
        """The bytes of the value; of a sequence its items, without the delimiter that may end it."""
        return self.content[self.value_at:len(self.content) - 8 if self.undefined else None]


@dataclass(frozen=True)
class Encoding:
    """How a data set is written."""

    implicit: bool = False
    little: bool = True

    @property
    def order(self) -> str:
        return "<" if self.little else ">"

    def element(self, tag: int, vr: str, value: bytes) -> Element:
        """An element with a defined length, padded to an even one."""
        value += _PAD.get(vr, b" ") * (len(value) % 2)
        head = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            head += struct.pack(f"{self.order}L", len(value))
        elif vr in EXPLICIT_VR_LENGTH_32:
            head += vr.encode() + b"\0\0" + struct.pack(f"{self.order}L", len(value))
        else:
            head += vr.encode() + struct.pack(f"{self.order}H", len(value))
        return Element(tag, vr, head + value, len(head))

    def item(self, content: bytes) -> bytes:
        """An item of a sequence with a defined length."""
        return struct.pack(f"{self.order}HHL", ITEM >> 16, ITEM & 0xFFFF, len(content)) + content

    def numbers(self, vr: str, value: str) -> bytes:
        """The bytes of a binary VR's values, given as text parted by backslashes."""
        kind = int if BINARY[vr] is not None else float
        return b"".join(struct.pack(f"{self.order}{_PACKED[vr]}", kind(one)) for one in value.split("\\")) if value else b""


def elements_of(file: BinaryIO, encoding: Encoding, until: Callable[[int], bool] = lambda tag: False) -> list[Element]:
    """The elements from here on, before the first tag of which ``until`` is true (an item's delimiter ends them too);
    the file is left there. Invalid("not_correctable_file") for one that cannot be taken apart."""
    start, found = file.tell(), []
    try:
        for _ in data_element_generator(file, encoding.implicit, encoding.little, stop_when=lambda tag, vr, length: until(tag)):
            end = file.tell()
            file.seek(start)
            found.append(_element(file.read(end - start), end - start, encoding))
            start = end
    except Exception as error:                   # a foreign parser on a broken file raises a dozen kinds
        raise cannot(str(error)) from error
    return found


def items_of(value: bytes, encoding: Encoding) -> list[list[Element]]:
    """The items of a sequence's value, each as its elements."""
    file, items = BytesIO(value), []
    while len(head := file.read(8)) == 8:
        group, element, length = struct.unpack(f"{encoding.order}HHL", head)
        if (group << 16 | element) != ITEM:
            raise cannot("a sequence holds something else than items")
        if length == _UNDEFINED:
            items.append(elements_of(file, encoding))
        else:
            items.append(elements_of(BytesIO(file.read(length)), encoding))
    return items


def rebuilt(element: Element, encoding: Encoding, change: Callable[[Element], bytes]) -> Element:
    """An element whose texts went through ``change`` (value to value), in all items of a sequence; the same element
    where nothing changed. Items that name a character set of their own are left alone."""
    if element.vr != "SQ":
        value = change(element)
        return element if value == element.value else encoding.element(element.tag, element.vr, value)
    changed, items = False, []
    for item in items_of(element.value, encoding):
        if any(one.tag == 0x00080005 for one in item):
            made = item
        else:
            made = [rebuilt(one, encoding, change) for one in item if one.tag & 0xFFFF]
            changed = changed or any(one is not was for one, was in zip(made, (one for one in item if one.tag & 0xFFFF)))
        items.append(encoding.item(b"".join(one.content for one in made)))
    return encoding.element(element.tag, "SQ", b"".join(items)) if changed else element


def _element(whole: bytes, expected: int, encoding: Encoding) -> Element:
    group, element = struct.unpack_from(f"{encoding.order}HH", whole)
    tag = group << 16 | element
    vr = "" if encoding.implicit else whole[4:6].decode("ascii")
    wide = not vr or vr in EXPLICIT_VR_LENGTH_32
    value_at = 12 if vr and wide else 8
    length = struct.unpack_from(f"{encoding.order}{'L' if wide else 'H'}", whole, value_at - (4 if wide else 2))[0]
    undefined = wide and length == _UNDEFINED
    if len(whole) != expected or (not undefined and expected != value_at + length):
        raise ValueError("an element is cut off")
    return Element(tag, vr or _known_vr(tag), whole, value_at, undefined)


def _known_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return "UN"


def cannot(why: str) -> Invalid:
    return Invalid("not_correctable_file", "该对象的文件结构有误，无法按更正后的内容提供；可按原始内容取用。",
                   f"the object's file cannot be taken apart, so it cannot be given corrected ({why[:200]}); ask for the original.")
