"""Grey frames that lie in their file as they are, and whose way to the screen is a line and a window: most CT, MR and DR.

The promise: what is drawn from the few facts noted at preparation equals, level by level, what is drawn from the data set;
what is not as plain as that is left to the data set. Arrays and facts in, arrays out.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway.prepare.grey import GreyPath, level_table, looked_up
from dicom_gateway.prepare.hounsfield import Rescale
from dicom_gateway.prepare.layout import PixelLayout
from dicom_gateway.prepare.window import Window

NOT_PLAIN = ("ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def lies_at(dataset: Dataset, layout: PixelLayout) -> int | None:
    """Where in its file the first frame of a plain dataset begins (bytes); None for one that is not plain, or that was
    not read from a file."""
    is_plain = (
        dataset.file_meta.TransferSyntaxUID in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
        and layout.photometric.startswith("MONO") and layout.bits_allocated in (8, 16) and layout.high_bit == layout.bits_stored - 1
        and not any(name in dataset for name in NOT_PLAIN)
    )
    return dataset["PixelData"].file_tell if is_plain else None


@dataclass(frozen=True)
class PlainFrame:
    """One frame of a plain instance: ``offset`` and ``size`` in bytes, and how its values are shown."""

    offset: int
    size: int
    shape: tuple[int, int]
    bits_allocated: int
    bits_stored: int
    lowest: int
    highest: int
    path: GreyPath

    def shown(self, content: bytes) -> np.ndarray:
        """Its ``size`` bytes as grey levels (rows, columns) uint8."""
        stored = np.frombuffer(content, f"<u{self.bits_allocated // 8}").reshape(self.shape)
        return looked_up(stored, level_table(self.path, self.lowest, self.highest, 1 << self.bits_stored))      # bits above those stored may hold anything


def plain_frame(about: Mapping, index: int, window: Window | None) -> PlainFrame | None:
    """Frame ``index`` (from 0) from the attributes of its PreparedInstance; None where it is not plain, or where its way to
    the screen depends on all its values (neither a window of its own nor one that is asked for)."""
    offset, own = about.get("native_at"), about.get("windows")
    if offset is None or not (window or own):
        return None
    voi = window or Window(own[0]["name"], "", own[0]["center"], own[0]["width"], own[0]["function"])
    size = about["rows"] * about["columns"] * about["bits_allocated"] // 8
    rescale = Rescale(about["rescale_slope"], about["rescale_intercept"], about["unit"])
    return PlainFrame(offset + index * size, size, (about["rows"], about["columns"]), about["bits_allocated"], about["bits_stored"],
                      about["lowest"], about["highest"], GreyPath(rescale, voi, about["inverted"]))
