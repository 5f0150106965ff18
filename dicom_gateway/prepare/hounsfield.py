"""Stored grey values turned into the unit of the modality: Hounsfield units for CT.

The promise: whole-number slopes and intercepts give exact int16 (int32 where needed); anything else
is computed in float64 and given as float32. A modality LUT sequence is looked up, never interpolated.
Source: PS3.3 C.11.1, C.7.6.16.2.9 (per-frame values of enhanced multi-frame objects).
"""
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_gateway.prepare.errors import UndecodablePixels
from dicom_gateway.prepare.functional import holder


@dataclass(frozen=True)
class Rescale:
    """How stored values become modality values: value = stored * slope + intercept, or a table.

    ``unit`` is "HU" for CT or where the dataset says so, else the dataset's rescale type, or None.
    """

    slope: float
    intercept: float
    unit: str | None
    table: np.ndarray | None = None
    table_first: int = 0


@dataclass(frozen=True)
class ModalityValues:
    """Values in ``unit`` (int16, int32 or float32), shaped as the stored frame."""

    values: np.ndarray
    unit: str | None


def rescale_of(dataset: Dataset, frame: int = 0) -> Rescale:
    """The rescale that holds for one frame (0 is the first).

    Refused with UndecodablePixels: a slope of zero or a value that is no finite number.
    """
    table = dataset.get("ModalityLUTSequence")
    unit = str(dataset.get("RescaleType") or "").strip().upper() or None
    if table:
        return _table(table[0], dataset)
    source = holder(dataset, frame, "PixelValueTransformationSequence")
    try:
        slope = 1.0 if source.get("RescaleSlope") in (None, "") else float(source.RescaleSlope)
        intercept = 0.0 if source.get("RescaleIntercept") in (None, "") else float(source.RescaleIntercept)
    except (TypeError, ValueError) as error:
        raise _nonsense() from error
    if slope == 0 or not np.isfinite(slope) or not np.isfinite(intercept):
        raise _nonsense()
    unit = str(source.get("RescaleType") or "").strip().upper() or unit
    if unit is None and str(dataset.get("Modality") or "") == "CT" and source.get("RescaleSlope") not in (None, ""):
        unit = "HU"
    return Rescale(slope, intercept, None if unit == "US" else unit)


def to_modality_values(stored: np.ndarray, rescale: Rescale) -> ModalityValues:
    """Stored grey values of any integer dtype in the modality's unit, shape kept."""
    if rescale.table is not None:
        index = np.clip(stored.astype(np.int64) - rescale.table_first, 0, len(rescale.table) - 1)
        return ModalityValues(rescale.table[index], rescale.unit)
    if float(rescale.slope).is_integer() and float(rescale.intercept).is_integer():
        return ModalityValues(_exact(stored, int(rescale.slope), int(rescale.intercept)), rescale.unit)
    values = stored.astype(np.float64) * rescale.slope + rescale.intercept
    return ModalityValues(values.astype(np.float32), rescale.unit)


def modality_float(stored: np.ndarray, rescale: Rescale) -> np.ndarray:
    """Stored values, float64, in the modality's unit, float64."""
    if rescale.table is not None:
        return rescale.table[np.clip(stored - rescale.table_first, 0, len(rescale.table) - 1).astype(np.int64)].astype(np.float64)
    return stored * rescale.slope + rescale.intercept


def lut_data(item: Dataset, entries: int) -> np.ndarray:
    """The entries of a LUT as they were read: words, or bytes where it holds too few of them to be words."""
    data = item.LUTData
    if isinstance(data, bytes):
        return np.frombuffer(data, "<u2" if len(data) >= 2 * entries else "u1")
    return np.atleast_1d(np.asarray(data))


def _exact(stored: np.ndarray, slope: int, intercept: int) -> np.ndarray:
    if stored.size == 0:
        return stored.astype(np.int16)
    ends = [int(stored.min()) * slope + intercept, int(stored.max()) * slope + intercept]
    for dtype in (np.int16, np.int32):
        limits = np.iinfo(dtype)
        fits = max(abs(slope), abs(intercept), int(stored.max()), -int(stored.min())) <= limits.max
        if fits and limits.min <= min(ends) and max(ends) <= limits.max:
            values = stored.astype(dtype)
            if slope != 1:
                values *= dtype(slope)
            values += dtype(intercept)
            return values
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def _table(item: Dataset, dataset: Dataset) -> Rescale:
    try:
        entries, first, _ = (int(part) for part in item.LUTDescriptor)
        entries = entries or 65536
        table = lut_data(item, entries).astype(np.int32)[:entries]
    except (AttributeError, TypeError, ValueError) as error:
        raise _nonsense() from error
    if first > 32767 and dataset.get("PixelRepresentation") == 1:
        first -= 65536
    if len(table) < entries:
        raise _nonsense()
    return Rescale(1.0, 0.0, str(item.get("ModalityLUTType") or "").strip().upper() or None, table, first)


def _nonsense() -> UndecodablePixels:
    return UndecodablePixels(
        "rescale",
        "像素换算参数(斜率/截距/查找表)无效，不能换算成 CT 值。",
        "the rescale slope, intercept or modality table is not usable, so values cannot be converted",
    )
