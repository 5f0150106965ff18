"""Bulk data by its address in the metadata: a path of tags and item numbers from 0 (tag/item/tag)."""
from __future__ import annotations

import re
from pathlib import Path

from pydicom import dcmread

from dicom_gateway.dataset import read_header
from dicom_gateway.web.attributes import raw_value
from hub.errors import NotFound

_TAG, _ITEM = re.compile(r"[0-9A-Fa-f]{8}"), re.compile(r"\d{1,6}")
DEEPEST = 33


def bulk_given(file: Path, path: str) -> bytes:
    """The value at ``path`` in little-endian bytes; NotFound for any other path."""
    steps = path.split("/")
    fits = len(steps) % 2 == 1 and len(steps) <= DEEPEST and all(
        (_ITEM if place % 2 else _TAG).fullmatch(step) for place, step in enumerate(steps))
    if not fits:
        raise _none()
    try:
        header = read_header(file)
        if int(steps[0], 16) > 0x7FE00010:
            header = dcmread(file, force=True)
        return raw_value(header, steps)[0]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise _none() from None


def _none() -> NotFound:
    return NotFound("not_found", "没有这项数据。", "no such bulk data.")
