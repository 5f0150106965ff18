"""Where slices lie in the patient: position along the normal, order, spacing, what is missing.

The promise: order and gaps come from positions, never from instance numbers; nonsense (no numbers,
rows not at right angles to columns, mixed orientations) is refused or given as None, never guessed.
All lengths in millimetres, all vectors in the patient's system. Source: PS3.3 C.7.6.2.1.1.
"""
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import numpy as np
from pydicom.dataset import Dataset

from dicom_gateway.prepare.errors import UnusableGeometry
from dicom_gateway.prepare.functional import macro, value

UNIT_TOLERANCE = 0.01
PARALLEL_TOLERANCE_DEG = 0.5
SAME_PLACE_MM = 0.01
IRREGULAR_FRACTION = 0.05
TILT_DEG = 0.5


@dataclass(frozen=True)
class Slice:
    """One slice: ``position`` (x, y, z) of its first pixel, ``orientation`` six direction cosines."""

    uid: str
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Gap:
    """A place between two neighbours that are further apart than the spacing."""

    before_uid: str
    after_uid: str
    distance_mm: float
    missing: int


@dataclass(frozen=True)
class Stack:
    """Parallel slices in order along the normal.

    ``spacing_mm`` is None for a single place. ``tilt_deg`` is the angle between the line through the
    slices' first pixels and the normal: above 0.5 degrees the volume is sheared (gantry tilt).
    """

    uids: tuple[str, ...]
    positions_mm: tuple[float, ...]
    normal: tuple[float, float, float]
    spacing_mm: float | None
    gaps: tuple[Gap, ...]
    duplicates: tuple[str, ...]
    irregular: bool
    tilt_deg: float

    @property
    def tilted(self) -> bool:
        """Whether the gantry was tilted, so that slices do not lie squarely above each other."""
        return self.tilt_deg > TILT_DEG

    @property
    def is_volume(self) -> bool:
        """Whether the slices make an upright, evenly spaced volume without gaps, fit for reformatting."""
        evenly = not self.gaps and not self.duplicates and not self.irregular
        return evenly and not self.tilted and len(self.uids) >= 3


def slice_normal(orientation: Sequence[float] | None) -> tuple[float, float, float] | None:
    """The unit vector at right angles to the slice, or None where the six cosines make no plane."""
    cosines = _finite(orientation, 6)
    return _normal(cosines) if cosines is not None else None


@lru_cache(maxsize=1024)      # the slices of a series lie alike
def _normal(cosines: tuple[float, ...]) -> tuple[float, float, float] | None:
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if any(abs(length - 1) > UNIT_TOLERANCE for length in lengths) or abs(row @ column) > UNIT_TOLERANCE:
        return None
    normal = np.cross(row, column)
    x, y, z = (float(part) for part in normal / np.linalg.norm(normal))
    return x, y, z


def slice_position(ipp: Sequence[float] | None, iop: Sequence[float] | None) -> float | None:
    """Millimetres along the normal of the slice, or None where position or orientation is nonsense.

    ``ipp`` is Image Position (Patient), three numbers or numeric strings; ``iop`` Image Orientation
    (Patient), six.
    """
    position, normal = _finite(ipp, 3), slice_normal(iop)
    if position is None or normal is None:
        return None
    return float(sum(a * b for a, b in zip(position, normal)))


def slice_of(dataset: Dataset, frame: int = 0) -> Slice | None:
    """The slice that a dataset (or one frame of a multi-frame dataset) states, or None if it has none."""
    position = _finite(macro(dataset, frame, "PlanePositionSequence", "ImagePositionPatient"), 3)
    orientation = macro(dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    cosines = _finite(orientation, 6)
    if position is None or cosines is None or slice_normal(cosines) is None:
        return None
    return Slice(str(dataset.get("SOPInstanceUID") or ""), position, cosines)


def pixel_spacing(dataset: Dataset, frame: int = 0) -> tuple[float, float] | None:
    """(between rows, between columns) in mm, or None; calibrated spacing before detector spacing."""
    own = macro(dataset, frame, "PixelMeasuresSequence", "PixelSpacing")
    for candidate in (own, value(dataset, "ImagerPixelSpacing")):
        numbers = _finite(candidate, 2)
        if numbers is not None and min(numbers) > 0:
            return numbers
    return None


def stack(slices: Sequence[Slice]) -> Stack:
    """The slices in order along their common normal, with what is missing, doubled or uneven.

    Refused with UnusableGeometry: no slices, an orientation that is no plane, orientations that differ
    by more than half a degree.
    """
    if not slices:
        raise UnusableGeometry("empty", "没有可排列的切片。", "there are no slices to put in order")
    normals = [slice_normal(part.orientation) for part in slices]
    if any(normal is None for normal in normals) or any(_finite(s.position, 3) is None for s in slices):
        raise UnusableGeometry(
            "orientation", "切片方向或位置无效。", "a slice has no usable orientation or position"
        )
    normal = np.array(normals[0])
    widest = math.cos(math.radians(PARALLEL_TOLERANCE_DEG))
    if any(float(normal @ np.array(other)) < widest for other in normals):
        raise UnusableGeometry(
            "mixed_orientation",
            "同一序列中切片方向不一致，不能排成一个体积。",
            "the slices of this series are not parallel and make no single stack",
        )
    along = [float(normal @ np.array(part.position)) for part in slices]
    order = sorted(range(len(slices)), key=lambda n: (along[n], slices[n].uid))
    ordered = [slices[n] for n in order]
    positions = [along[n] for n in order]
    steps = np.diff(positions)
    duplicates = tuple(ordered[n + 1].uid for n, step in enumerate(steps) if step < SAME_PLACE_MM)
    apart = [float(step) for step in steps if step >= SAME_PLACE_MM]
    spacing = _usual(apart)
    gaps = []
    irregular = False
    for n, step in enumerate(steps):
        if spacing is None or step < SAME_PLACE_MM:
            continue
        if step > 1.5 * spacing:
            missing = max(1, round(float(step) / spacing) - 1)
            gaps.append(Gap(ordered[n].uid, ordered[n + 1].uid, float(step), missing))
        elif abs(step - spacing) > IRREGULAR_FRACTION * spacing:
            irregular = True
    return Stack(
        uids=tuple(part.uid for part in ordered),
        positions_mm=tuple(positions),
        normal=normals[0],
        spacing_mm=spacing,
        gaps=tuple(gaps),
        duplicates=duplicates,
        irregular=irregular,
        tilt_deg=_tilt(ordered, normal, positions[-1] - positions[0]),
    )


def _usual(steps: list[float]) -> float | None:
    """The most frequent step; of equally frequent ones the smallest, so that a hole stays a hole."""
    if not steps:
        return None
    counted = Counter(round(step, 1) for step in steps)
    most = max(counted.values())
    usual = min(step for step, count in counted.items() if count == most)
    near = [step for step in steps if abs(step - usual) <= max(0.1, IRREGULAR_FRACTION * usual)]
    return float(median(near))


def _tilt(ordered: list[Slice], normal: np.ndarray, extent_mm: float) -> float:
    if extent_mm < SAME_PLACE_MM:
        return 0.0
    run = np.array(ordered[-1].position) - np.array(ordered[0].position)
    sideways = float(np.linalg.norm(run - (run @ normal) * normal))
    return math.degrees(math.atan2(sideways, extent_mm))


def _finite(values, count: int) -> tuple[float, ...] | None:
    if values is None or isinstance(values, (str, bytes)):
        return None
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(math.isfinite(number) for number in numbers) else None
