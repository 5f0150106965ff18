"""STOW-RS by metadata and bulk data (PS3.18 8.6.1.2, 10.5): DICOM JSON in the first part, or the Native
DICOM Model of each instance in a part, big values in parts of their own.

The promise: an instance becomes a DICOM file only when every value that its metadata names has come along; a missing
one fails that instance and names it, and no other.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from dicom_gateway.web import native_xml
from hub.errors import Invalid

JSON = ("application/dicom+json", "application/json")
XML = (native_xml.MEDIA, "application/xml", "text/xml")
LARGEST_XML = 32_000_000       # bytes of one instance's metadata
LONGEST_DS = 16
_PIXELS = "7FE00010"


@dataclass(frozen=True)
class Described:
    """One instance of a request: its file, or why there is none; its UIDs as far as the metadata tells them."""

    file: bytes
    refused: Invalid | None
    sop_class: str
    sop_instance: str


@dataclass(frozen=True)
class _Bulk:
    """The parts of one address: one value, or the frames of a picture in their order."""

    syntax: UID
    pieces: list[bytes]


def instances(parts: Iterator[tuple[dict[str, str], Iterator[bytes]]], most_bytes: int) -> Iterator[Described]:
    """The instances that a request describes. Invalid for metadata that are no DICOM JSON array, or for more than
    ``most_bytes`` in all: bulk data are held in memory until their instance is whole."""
    left = most_bytes
    described: list[dict | Invalid] = []
    bulk: dict[str, _Bulk] = {}
    for headers, pieces in parts:
        taken = bytearray()
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise Invalid("too_large", "请求超过允许的大小，未接收。", "the request is larger than allowed and was not taken in.")
            taken += piece
        kind = headers.get("content-type", "").lower()
        if kind.startswith(JSON):
            described += _metadata(bytes(taken))
        elif kind.startswith(XML):
            described.append(_one_of_xml(bytes(taken)))
        else:
            syntax = kind.partition("transfer-syntax=")[2].split(";")[0].strip(' "')
            known = bulk.setdefault(headers.get("content-location", ""), _Bulk(UID(syntax or ExplicitVRLittleEndian), []))
            known.pieces.append(bytes(taken))
    for told in described:
        yield Described(b"", told, "", "") if isinstance(told, Invalid) else _whole(told, bulk)


def _metadata(content: bytes) -> list[dict]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise Invalid("bad_metadata", "元数据不是 DICOM JSON 数组。", "the metadata are no array of DICOM JSON objects.")
    return told


def _one_of_xml(content: bytes) -> dict | Invalid:
    """One instance; where its part cannot be read, why: the others are not touched by it."""
    if len(content) > LARGEST_XML:
        return Invalid("too_large", "元数据超过允许的大小，未接收。", "the metadata are longer than allowed and were not taken in.")
    try:
        return native_xml.from_xml(content)
    except Invalid as error:
        return error


def _whole(told: dict, bulk: dict[str, _Bulk]) -> Described:
    sop_class, sop_instance = _first(told, "00080016"), _first(told, "00080018")
    try:
        return Described(_file(told, bulk), None, sop_class, sop_instance)
    except KeyError as error:
        return _refused(f"a value named in the metadata did not come along: {error.args[0]}", sop_class, sop_instance)
    except Exception as error:        # DICOM JSON from outside can fail its reader in any way
        return _refused(f"the metadata cannot be read ({type(error).__name__})", sop_class, sop_instance)


def _file(told: dict, bulk: dict[str, _Bulk]) -> bytes:
    pixels = bulk.get(told.get(_PIXELS, {}).get("BulkDataURI", ""))
    syntax = pixels.syntax if pixels is not None else UID(ExplicitVRLittleEndian)

    def value(_tag: str, _vr: str, address: str) -> bytes:
        found = bulk[address]
        return encapsulate(found.pieces) if found is pixels and syntax.is_encapsulated else b"".join(found.pieces)

    dataset = Dataset.from_json({tag: element for tag, element in told.items() if not tag.startswith("0002")}, value)
    dataset.walk(_shorten)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax if syntax.is_encapsulated else ExplicitVRLittleEndian
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _shorten(_dataset: Dataset, element: DataElement) -> None:
    """JSON numbers have 17 digits, decimal strings 16 characters (PS3.5 6.2): a longer one becomes the nearest that fits."""
    values = [] if element.VR != "DS" or element.is_empty else list(element.value) if element.VM > 1 else [element.value]
    if any(len(str(value)) > LONGEST_DS for value in values):
        element.value = [DSfloat(float(value), auto_format=True) for value in values]


def _refused(why: str, sop_class: str, sop_instance: str) -> Described:
    return Described(b"", Invalid("incomplete", "对象的元数据或数据不完整，未接收。", f"{why}."), sop_class, sop_instance)


def _first(told: dict, tag: str) -> str:
    values = told.get(tag, {}).get("Value") if isinstance(told.get(tag), dict) else None
    return str(values[0])[:64] if isinstance(values, list) and values else ""
