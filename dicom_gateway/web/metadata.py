"""A study's metadata, written once when it is prepared and only handed out afterwards. Pure.

One JSON line an instance, in reading order, all gzipped into one artifact of kind "metadata"; ``about`` lists
the instances' ids in the same order, so that a later preparation takes over the lines that stand already.
"""
from __future__ import annotations

import gzip
import json

from pydicom.dataset import Dataset

from dicom_gateway.prepare.encode import HTJ2K_LOSSLESS_UID
from dicom_gateway.web.attributes import ROOT, Said, person_name
from hub.model.naming import Naming

KIND = "metadata"
NAME = "00100010"
SYNTAXES, ROWS, PIXEL_DATA = 0x00083002, 0x00280010, 0x7FE00010      # Available Transfer Syntax UID, Rows, Pixel Data
PIXELS = {0x7FE00008, 0x7FE00009, PIXEL_DATA}
_NAMED = '"{:08X}":{}'
MEDIA_TYPE = "application/gzip"


def line_of(dataset: Dataset, study_uid: str, series_uid: str, sop_uid: str, stored_syntax: str, prepared: bool, said: Said | None = None) -> bytes:
    """The DICOM JSON of one instance as a line of UTF-8 (PS3.18 F), with the transfer syntaxes it can be had in.

    ``dataset`` as read, untouched; with or without pixel data. ``prepared``: whether lossless HTJ2K exists. ``said``: what the
    instances of its study said before.
    """
    address = f"studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
    told = (said or Said()).texts(dataset, address)
    syntaxes = dict.fromkeys(uid for uid in (stored_syntax, HTJ2K_LOSSLESS_UID if prepared else "") if uid)
    told[SYNTAXES] = json.dumps({"vr": "UI", "Value": list(syntaxes)} if syntaxes else {"vr": "UI"}, separators=(",", ":"))
    if ROWS in told and not PIXELS & told.keys():
        told[PIXEL_DATA] = json.dumps({"vr": "OW", "BulkDataURI": f"{ROOT}/{address}/bulkdata/{PIXEL_DATA:08X}"}, separators=(",", ":"))
    return f"{{{','.join([_NAMED.format(tag, told[tag]) for tag in sorted(told)])}}}".encode()


def named_otherwise(lines: dict[int, bytes], naming: Naming) -> dict[str, list[int]]:
    """Which lines tell another name than the one with which their study names its patient first, by what they tell: their bytes may
    read as that one. Those of plain ASCII cannot."""
    if not naming.names:
        return {}
    named = _NAMED.format(0x00100010, json.dumps({"vr": "PN", "Value": [person_name(naming.names[0])]}, ensure_ascii=False, separators=(",", ":"))).encode()
    apart: dict[str, list[int]] = {}
    for one, line in lines.items():
        if named not in line and not (name := json.dumps(json.loads(line).get(NAME), ensure_ascii=False)).isascii():
            apart.setdefault(name, []).append(one)
    return apart


def packed(lines: dict[int, bytes], level: int = 5) -> tuple[bytes, dict]:
    """The artifact's bytes and what is said about it, from lines by instance id in reading order. ``level``: of gzip."""
    return gzip.compress(b"\n".join(lines.values()), level, mtime=0), {"instances": list(lines)}


def unpacked(content: bytes, about: dict) -> dict[int, bytes]:
    """Lines by instance id, as they went in."""
    ids = about.get("instances") or []
    lines = gzip.decompress(content).split(b"\n")
    return dict(zip(ids, lines)) if ids and len(ids) == len(lines) else {}


def document(lines: list[bytes], root: str) -> bytes:
    """The JSON array that a client gets; ``root`` is the service's address for bulk data."""
    return b"[" + b",".join(lines).replace(ROOT.encode(), root.encode()) + b"]"


def told(line: bytes, root: str) -> dict:
    """One line as a DICOM JSON object, with the addresses of the service."""
    return json.loads(line.replace(ROOT.encode(), root.encode()))


def chosen(line: bytes, include: frozenset[str], root: str) -> dict:
    """The attributes of one line that a query asked to include: by tag, or all of them but the pixels."""
    every = told(line, root)
    every.pop("7FE00010", None)
    return every if "all" in include else {tag: every[tag] for tag in include if tag in every}
