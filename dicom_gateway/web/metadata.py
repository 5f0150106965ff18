"""A study's metadata, written once when it is prepared and only handed out afterwards. Pure.

One JSON line an instance, in reading order, all gzipped into one artifact of kind "metadata"; ``about`` lists
the instances' ids in the same order, so that a later preparation takes over the lines that stand already.
"""
from __future__ import annotations

import gzip
import json

from pydicom.dataset import Dataset

from dicom_gateway.prepare.encode import HTJ2K_LOSSLESS_UID
from dicom_gateway.web.attributes import ROOT, to_json

KIND = "metadata"
MEDIA_TYPE = "application/gzip"


def line_of(dataset: Dataset, study_uid: str, series_uid: str, sop_uid: str, stored_syntax: str, prepared: bool) -> bytes:
    """The DICOM JSON of one instance as a line of UTF-8 (PS3.18 F), with the transfer syntaxes it can be had in.

    ``dataset`` as read, untouched; with or without pixel data. ``prepared``: whether lossless HTJ2K exists.
    """
    address = f"studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
    told = to_json(dataset, address)
    syntaxes = [uid for uid in (stored_syntax, HTJ2K_LOSSLESS_UID if prepared else "") if uid]
    told["00083002"] = {"vr": "UI", "Value": list(dict.fromkeys(syntaxes))} if syntaxes else {"vr": "UI"}
    if "00280010" in told and not {"7FE00008", "7FE00009", "7FE00010"} & told.keys():
        told["7FE00010"] = {"vr": "OW", "BulkDataURI": f"{ROOT}/{address}/bulkdata/7FE00010"}
    return json.dumps(dict(sorted(told.items())), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def packed(lines: dict[int, bytes]) -> tuple[bytes, dict]:
    """The artifact's bytes and what is said about it, from lines by instance id in reading order."""
    return gzip.compress(b"\n".join(lines.values()), 5, mtime=0), {"instances": list(lines)}


def unpacked(content: bytes, about: dict) -> dict[int, bytes]:
    """Lines by instance id, as they went in."""
    ids = about.get("instances") or []
    lines = gzip.decompress(content).split(b"\n")
    return dict(zip(ids, lines)) if ids and len(ids) == len(lines) else {}


def document(lines: list[bytes], root: str) -> bytes:
    """The JSON array that a client gets; ``root`` is the service's address for bulk data."""
    return b"[" + b",".join(lines).replace(ROOT.encode(), root.encode()) + b"]"


def chosen(line: bytes, include: frozenset[str], root: str) -> dict:
    """The attributes of one line that a query asked to include: by tag, or all of them but the pixels."""
    told = json.loads(line.replace(ROOT.encode(), root.encode()))
    told.pop("7FE00010", None)
    return told if "all" in include else {tag: told[tag] for tag in include if tag in told}
