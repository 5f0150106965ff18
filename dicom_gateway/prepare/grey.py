"""The way of a stored value to the screen: modality, values of interest, presentation (PS3.3 C.11.1, C.11.2, C.11.4, C.11.6).

The promise: the three steps are worked out in float64 for every value that can occur and rounded once, to the nearest grey
level; each pixel then costs one look into a table. Arrays in, arrays out.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_gateway.prepare.errors import UnusableTable
from dicom_gateway.prepare.functional import macro
from dicom_gateway.prepare.hounsfield import Rescale, lut_data, modality_float, rescale_of, to_modality_values
from dicom_gateway.prepare.window import Window, dataset_windows, full_range, is_inverted, window_levels

MOST_ENTRIES = 1 << 16
AT_ONCE = 1 << 14          # values that are looked up at once: so many indices stay in the processor's own memory


@dataclass(frozen=True)
class Table:
    """A LUT: ``first`` is the value of its first entry; ``levels`` are its entries from 0 to 255, not rounded."""

    first: int
    levels: np.ndarray


@dataclass(frozen=True)
class GreyPath:
    """How one frame is shown. ``voi`` is None where the image brings neither window nor table: its full range is shown.
    ``presentation``: a presentation LUT, spread over the whole range of what the second step gives."""

    rescale: Rescale
    voi: Window | Table | None
    inverted: bool = False
    presentation: np.ndarray | None = None


def path_of(dataset: Dataset, frame: int = 0, window: Window | None = None) -> GreyPath:
    """The way that holds for one frame (0 is the first): a reader's ``window`` before the dataset's table, its table before
    its window.

    Refused: a rescale that is none (UndecodablePixels), a table that is none (UnusableTable).
    """
    rescale = rescale_of(dataset, frame)
    tables = macro(dataset, frame, "FrameVOILUTSequence", "VOILUTSequence")
    if window is not None:
        voi: Window | Table | None = window
    elif tables:
        voi = _table(tables[0], _may_be_negative(dataset, rescale))
    else:
        voi = next(iter(dataset_windows(dataset, frame)), None)
    presented = dataset.get("PresentationLUTSequence")
    if presented:
        return GreyPath(rescale, voi, False, _table(presented[0], False).levels)
    return GreyPath(rescale, voi, is_inverted(dataset))


def grey_levels(stored: np.ndarray, path: GreyPath) -> np.ndarray:
    """Stored values of any integer dtype and shape as grey levels, uint8 of the same shape."""
    if path.voi is None:
        path = GreyPath(path.rescale, full_range(to_modality_values(stored, path.rescale).values), path.inverted, path.presentation)
    if not stored.size:
        return np.zeros(stored.shape, np.uint8)
    lowest, highest = int(stored.min()), int(stored.max())
    if highest - lowest < MOST_ENTRIES and stored.dtype.itemsize <= 2:
        return looked_up(stored, level_table(path, lowest, highest))
    return _levels(stored.astype(np.float64), path)


def level_table(path: GreyPath, lowest: int, highest: int, entries: int = MOST_ENTRIES) -> np.ndarray:
    """The grey level of every stored value from ``lowest`` to ``highest`` (within -32768 .. 65535, at most ``entries`` of
    them, a power of two), placed by its lower bits. ``path.voi`` is not None."""
    values = np.arange(lowest, highest + 1)
    table = np.zeros(entries, np.uint8)
    table[values & (entries - 1)] = _levels(values.astype(np.float64), path)
    return table


def looked_up(stored: np.ndarray, table: np.ndarray) -> np.ndarray:
    """8- or 16-bit values in their grey levels of ``table``, which holds every one of them by its lower bits."""
    if stored.dtype.itemsize == 1:
        placed = stored.astype(np.int16).view(np.uint16) if stored.dtype.kind == "i" else stored
    else:
        native = stored if stored.dtype.isnative else stored.astype(stored.dtype.newbyteorder("="))
        placed = native.view(np.uint16)
    levels, flat, lower = np.empty(stored.size, np.uint8), placed.reshape(-1), placed.dtype.type(min(len(table) - 1, np.iinfo(placed.dtype).max))
    for first in range(0, stored.size, AT_ONCE):          # the mask says what wrapping would find out step by step
        table.take(flat[first:first + AT_ONCE] & lower, mode="wrap", out=levels[first:first + AT_ONCE])
    return levels.reshape(stored.shape)


def _levels(stored: np.ndarray, path: GreyPath) -> np.ndarray:
    values = modality_float(stored, path.rescale)
    voi = path.voi
    if isinstance(voi, Table):
        shown = voi.levels[np.clip(np.floor(values) - voi.first, 0, len(voi.levels) - 1).astype(np.int64)]
    else:
        shown = window_levels(values, voi.center, voi.width, voi.function)
    if path.presentation is not None:
        last = len(path.presentation) - 1
        shown = path.presentation[np.rint(shown * (last / 255.0)).astype(np.int64)]
    levels = np.rint(shown).astype(np.uint8)
    return 255 - levels if path.inverted else levels


def _table(item: Dataset, is_signed: bool) -> Table:
    try:
        entries, first, bits = (int(part) for part in item.LUTDescriptor)
        entries = entries or MOST_ENTRIES
        table = lut_data(item, entries)
    except (AttributeError, TypeError, ValueError) as error:
        raise _no_table() from error
    if len(table) < entries or not 8 <= bits <= 16:
        raise _no_table()
    if first > 32767 and is_signed:
        first -= MOST_ENTRIES
    return Table(first, (table[:entries] * (255.0 / ((1 << bits) - 1))).clip(0.0, 255.0))


def _may_be_negative(dataset: Dataset, rescale: Rescale) -> bool:
    """Whether the first value of a VOI table is to be read as signed (C.11.2.1.1): as what the first step may give."""
    if rescale.table is not None:
        return False
    bits, signed = int(dataset.get("BitsStored") or 16), dataset.get("PixelRepresentation") == 1
    ends = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return min(end * rescale.slope + rescale.intercept for end in ends) < 0


def _no_table() -> UnusableTable:
    return UnusableTable(
        "grey_table",
        "灰度查找表(VOI 或显示 LUT)无效，请改用窗宽窗位显示，或联系设备厂家。",
        "the VOI or presentation table of the image is not usable; show it with a window, or ask the maker of the device",
    )
