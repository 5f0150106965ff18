"""A stored object as it reads with its corrections: only the corrected elements change, every other byte is copied.

With them come Original Attributes (0400,0561; PS3.3 C.12.1.1.9), which say what was there before, and, where a
Chinese value needs it, another Specific Character Set. Pixel data, transfer syntax and all that nobody corrected stay
bit for bit; the length of a group that has one (PS3.5 7.2, retired) follows. The stored file is only read.
"""
from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from dicom_gateway.command import IMPLEMENTATION_VERSION, file_header
from dicom_gateway.elements import Element, Encoding, cannot, elements_of
from dicom_gateway.rewording import CHARACTER_SET, wording
from hub.model.naming import NOTHING_KNOWN, Naming
from hub.model.repair import BINARY, Correction

ORIGINAL_ATTRIBUTES = 0x04000561
REASON = "CORRECT"                # PS3.3 C.12.1.1.9: replaces incorrect values, such as the patient's name or ID
IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
PIXELS = 0x7FE00000               # all that is corrected lies before the pixels; from here on bytes are copied unread
COPY_BYTES = 1 << 20
_OF_META = {0x00080016: 0x0002, 0x00080018: 0x0003}


@dataclass(frozen=True)
class Change:
    """What an object is to say. ``source``: the AE title that sent it; ``system``: the hub's own; ``at``: when the
    last of the corrections was made, with a zone; ``naming``: how its study names the patient."""

    corrections: tuple[Correction, ...]
    source: str
    system: str
    at: datetime
    naming: Naming = NOTHING_KNOWN

    @property
    def modifying_system(self) -> str:
        return f"{IMPLEMENTATION_VERSION} {self.system}"[:64]

    @property
    def moment(self) -> str:
        return f"{self.at:%Y%m%d%H%M%S}.{self.at.microsecond:06d}{self.at:%z}"


@dataclass(frozen=True)
class Corrected:
    """A corrected object: its beginning, and where the stored file goes on with the rest of it. ``size``: of both, in
    bytes. Memory holds the beginning only, unless the object is deflated."""

    head: bytes
    file: Path
    rest_at: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        yield self.head
        with self.file.open("rb") as file:
            file.seek(self.rest_at)
            while piece := file.read(COPY_BYTES):
                yield piece

    def content(self) -> bytes:
        return b"".join(self.pieces())


def corrected(source: Path, change: Change) -> Corrected:
    """The corrected object of a stored file. Invalid for a file that cannot be taken apart: nothing is given in its stead."""
    total = source.stat().st_size
    with source.open("rb") as file:
        meta, syntax = _meta(file)
        if syntax == DEFLATED:
            body = _inflated(file)
            head = _beginning(body, Encoding(), change)
            whole = _meta_corrected(meta, change, syntax) + _deflated(head + body.read())
            return Corrected(whole, source, total, len(whole))
        encoding = Encoding(_guessed(file) == IMPLICIT, syntax != BIG_ENDIAN)       # some call implicit VR another name
        head = _meta_corrected(meta, change, syntax) + _beginning(file, encoding, change)
        rest_at = file.tell()
    return Corrected(head, source, rest_at, len(head) + total - rest_at)


def _beginning(file: BinaryIO, encoding: Encoding, change: Change) -> bytes:
    """The data set up to its pixels, corrected; the file is left there."""
    return b"".join(one.content for one in _changed(elements_of(file, encoding, lambda tag: tag >= PIXELS), encoding, change))


def _changed(elements: list[Element], encoding: Encoding, change: Change) -> list[Element]:
    """The elements before the pixels, as they are to be read, by ascending tag (PS3.5 7.1)."""
    found = {one.tag: one for one in elements}
    if len(found) != len(elements):
        raise cannot("an element stands twice")
    texts = wording(elements, encoding, [one.value for one in change.corrections], frozenset(int(one.tag, 16) for one in change.corrections), change.naming)
    fresh = dict(texts.reworded)
    for one in change.corrections:
        tag, vr = int(one.tag, 16), _vr_of(one, found)
        made = encoding.element(tag, vr, encoding.numbers(vr, one.value) if vr in BINARY else texts.encoded(one.value))
        if tag not in found or made.value.strip(b"\0 ") != found[tag].value.strip(b"\0 "):
            fresh[tag] = made
    if not fresh:
        return elements                       # it says already what stands
    if texts.charset != texts.declared:
        fresh[CHARACTER_SET] = encoding.element(CHARACTER_SET, "CS", texts.charset.encode())
    fresh[ORIGINAL_ATTRIBUTES] = _original_attributes(found, fresh, encoding, change)
    merged = found | fresh
    for group in {tag >> 16 for tag in fresh} & {tag >> 16 for tag in found if tag & 0xFFFF == 0}:
        length = sum(len(one.content) for tag, one in merged.items() if tag >> 16 == group and tag & 0xFFFF)
        merged[group << 16] = encoding.element(group << 16, "UL", struct.pack(f"{encoding.order}L", length))
    return [merged[tag] for tag in sorted(merged)]


def _original_attributes(found: dict[int, Element], fresh: dict[int, Element], encoding: Encoding, change: Change) -> Element:
    """The sequence with what it held already, and one item for all that stands corrected now. What the object did
    not have at all is named with an empty value."""
    before = b"".join((found[tag] if tag in found else encoding.element(tag, one.vr, b"")).content for tag, one in sorted(fresh.items())
                      if tag in found or tag != CHARACTER_SET)        # an empty one would say that the old texts are ASCII
    item = encoding.item(b"".join(encoding.element(tag, vr, value).content for tag, vr, value in (
        (0x04000550, "SQ", encoding.item(before)), (0x04000562, "DT", change.moment.encode()),
        (0x04000563, "LO", change.modifying_system.encode("ascii", "replace")), (0x04000564, "LO", change.source[:64].encode("ascii", "replace")),
        (0x04000565, "CS", REASON.encode()))))
    earlier = found[ORIGINAL_ATTRIBUTES].value if ORIGINAL_ATTRIBUTES in found else b""
    return encoding.element(ORIGINAL_ATTRIBUTES, "SQ", earlier + item)


def _vr_of(one: Correction, found: dict[int, Element]) -> str:
    """The VR that the file gives the element, where its values are of the same kind; else the correction's own."""
    known = found.get(int(one.tag, 16))
    fits = known is not None and known.vr not in ("UN", "SQ") and (known.vr in BINARY) == (one.vr in BINARY)
    return known.vr if fits else one.vr


def _meta(file: BinaryIO) -> tuple[bytes, str]:
    """Preamble and group 0002 as they are, and the transfer syntax; the file stands at its data set afterwards. A file
    without them is implicit or explicit VR, as its first element shows."""
    if file.read(132)[128:] != b"DICM":
        file.seek(0)
        return b"", _guessed(file)
    told = {one.tag: one.value for one in elements_of(file, Encoding(), lambda tag: tag >> 16 != 2)}
    end = file.tell()
    syntax = told.get(0x00020010, b"").decode("ascii", "replace").strip("\0 ") or _guessed(file)
    file.seek(0)
    return file.read(end), syntax


def _guessed(file: BinaryIO) -> str:
    """Explicit or implicit VR, by the data set's first element; the file stays where it is."""
    head = file.read(6)
    file.seek(-len(head), 1)
    return EXPLICIT if head[4:6].isalpha() and head[4:6].isupper() else IMPLICIT


def _meta_corrected(meta: bytes, change: Change, syntax: str) -> bytes:
    """Group 0002 as it is; written anew where the file has none, or where an instance's UIDs were supplied."""
    given = {_OF_META[int(one.tag, 16)]: one.value.encode() for one in change.corrections if int(one.tag, 16) in _OF_META}
    if meta and not given:
        return meta
    told = {}
    if meta:
        told = {one.tag & 0xFFFF: one.value.strip(b"\0 ") for one in elements_of(BytesIO(meta[132:]), Encoding())}
    uids = told | given
    return file_header(uids.get(0x0002, b""), uids.get(0x0003, b""), syntax)


def _inflated(file: BinaryIO) -> BytesIO:
    """A deflated data set (PS3.5 A.5) in memory; what may be inflated was bounded when it came in."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return BytesIO(inflater.decompress(file.read()) + inflater.flush())
    except zlib.error as error:
        raise cannot(str(error)) from error


def _deflated(body: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflater.compress(body) + deflater.flush()
    return packed + b"\0" * (len(packed) % 2)
