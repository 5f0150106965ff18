"""A look across the slices of a volume: its middle coronal and sagittal planes and a maximum intensity projection.

The promise: a millimetre is as long up as it is across; head is up, the patient's right is on the left, front is on the left of
a sagittal plane; a stack whose geometry does not allow it gives a reason instead of a picture. Each slice leaves a few hundred
values (its profile) when it is prepared, so that no slice is decoded twice. Arrays in, JPEG out.
"""
from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dicom_gateway.prepare.encode import rendered
from dicom_gateway.prepare.hounsfield import Rescale, to_modality_values
from dicom_gateway.prepare.window import Window, apply_window, full_range

EDGE = 256                   # pixels of a picture's longer side, and values of a profile's longest line
FEWEST = 8                   # slices that make a picture across them
MODALITIES = ("CT", "MR", "PT")
CALM = 4                     # pixels to a side over which brightness is averaged before it is projected
SHIFTED = 1 << 17            # with 16 bits and 4 more behind the point, float32 is exact

# plane: its words, and the directions in the patient (LPS) that are shown rightwards and downwards
_VIEWS = {
    "sagittal": ("矢状位", (0, 1, 0), (0, 0, -1)),
    "coronal": ("冠状位", (1, 0, 0), (0, 0, -1)),
    "axial": ("横断位", (1, 0, 0), (0, 1, 0)),
}
_AXES = ("sagittal", "coronal", "axial")     # the plane at right angles to x, y, z


@dataclass(frozen=True)
class Plane:
    """One picture: ``name`` is coronal, sagittal, axial or mip; its JPEG, and its size in mm."""

    name: str
    zh: str
    jpeg: bytes
    width_mm: float
    height_mm: float


def profile(values: np.ndarray) -> np.ndarray:
    """What a slice leaves: its middle row, the brightest place of each column, its middle column; float32, thinned to at
    most EDGE values each. Bright is the mean of CALM x CALM pixels, or noise would be all that is projected.
    ``values``: (rows, columns) in the modality's unit."""
    down, across = _steps(*values.shape)
    middle = values[values.shape[0] // 2, ::across][:values.shape[1] // across]
    calm = _means(_means(values, 0), 1) if min(values.shape) >= CALM else values
    brightest = calm.max(axis=0)
    placed = np.minimum(np.arange(len(middle)) * across * len(brightest) // values.shape[1], len(brightest) - 1)
    return np.concatenate([middle, brightest[placed], values[::down, values.shape[1] // 2]]).astype(np.float32)


def profile_of(stored: np.ndarray, rescale: Rescale) -> np.ndarray:
    """The profile of a slice from its stored values. Means and maxima of values that are only shifted are shifted: where
    float32 holds them exactly, the slice itself need not be."""
    if rescale.table is None and rescale.slope == 1 and float(rescale.intercept).is_integer() and abs(rescale.intercept) <= SHIFTED \
            and stored.dtype.itemsize <= 2:
        return profile(stored) + np.float32(rescale.intercept)
    return profile(to_modality_values(stored, rescale).values)


def packed(profiles: Mapping[int, np.ndarray]) -> tuple[bytes, dict]:
    """The profiles of slices by instance id as bytes, and what is to be known of them."""
    whole = np.concatenate(list(profiles.values())) if profiles else np.empty(0, np.float32)
    return gzip.compress(whole.astype("<f4").tobytes(), 1, mtime=0), {"instances": list(profiles), "lengths": [len(one) for one in profiles.values()]}


def unpacked(content: bytes, about: Mapping) -> dict[int, np.ndarray]:
    """Profiles by instance id, as they went in."""
    whole = np.frombuffer(gzip.decompress(content), "<f4")
    return dict(zip(about["instances"], np.split(whole, np.cumsum(about["lengths"])[:-1])))


def why_not(series: Mapping) -> tuple[str, str] | None:
    """Why a series of a manifest has no pictures across its slices, in Chinese and English; None where it has, and ("", "")
    where nobody expects any (plain images, cine, another modality)."""
    geometry = series["geometry"]
    if series["modality"] not in MODALITIES or series["kind"] not in ("volume", "stack"):
        return "", ""
    if len(series["instances"]) < FEWEST:
        return f"少于 {FEWEST} 层", f"fewer than {FEWEST} slices"
    if geometry.get("gaps"):
        missing = sum(gap["missing"] for gap in geometry["gaps"])
        return f"层面不连续，缺约 {missing} 层", f"the slices have gaps, about {missing} are missing"
    if geometry.get("duplicates"):
        return "同一位置有多层图像", "several slices lie at one place"
    if geometry.get("irregular"):
        return "层间距不均匀", "the slices are not evenly spaced"
    if series["kind"] != "volume":
        return ("机架倾斜扫描", "the gantry was tilted") if geometry.get("tilt_deg", 0) > 0.5 else ("各层图像大小不同", "the slices differ in size")
    if not geometry.get("pixel_spacing_mm"):
        return "缺少像素间距", "the pixel spacing is missing"
    return None


def across(series: Mapping, profiles: Sequence[np.ndarray], windows: Sequence[Mapping], inverted: bool) -> list[Plane]:
    """The pictures of a series for which ``why_not`` is None: ``profiles`` in the order of its instances, ``windows`` and
    ``inverted`` as the attributes of its key slice have them."""
    geometry = series["geometry"]
    down, step = _steps(geometry["rows"], geometry["columns"])
    width = geometry["columns"] // step
    whole = np.stack(profiles)
    middle, brightest, column = whole[:, :width], whole[:, width:2 * width], whole[:, 2 * width:]
    right, below = np.array(geometry["orientation"][:3]), np.array(geometry["orientation"][3:])
    normal = np.array(geometry["normal"])
    between_rows, between_columns = geometry["pixel_spacing_mm"]
    first = windows[0] if windows else None
    own = Window("", "", first["center"], first["width"], first["function"]) if first else full_range(middle)
    made = []
    for name, values, axis, spacing_mm, window in (
        ("", middle, right, between_columns * step, own), ("", column, below, between_rows * down, own),
        ("mip", brightest, right, between_columns * step, full_range(brightest)),
    ):
        plane = _AXES[int(np.argmax(np.abs(np.cross(normal, axis))))]
        shown = apply_window(values, window.center, window.width, window.function)
        turned, size_mm = _upright(255 - shown if inverted else shown, (normal, axis), (geometry["spacing_mm"], spacing_mm), plane)
        made.append(Plane(name or plane, "最大密度投影" if name else _VIEWS[plane][0], _scaled(turned, size_mm), size_mm[1], size_mm[0]))
    return sorted(made, key=lambda one: ("coronal", "sagittal", "axial", "mip").index(one.name))


def _means(values: np.ndarray, axis: int) -> np.ndarray:
    """Means of CALM neighbours along an axis, what is left over at its end without."""
    whole = values.shape[axis] // CALM * CALM
    cut = values[:whole] if axis == 0 else values[:, :whole]
    parts = (cut[place::CALM] if axis == 0 else cut[:, place::CALM] for place in range(CALM))
    total = next(parts).astype(np.float32)
    for one in parts:
        total += one
    return total / CALM


def _steps(rows: int, columns: int) -> tuple[int, int]:
    return -(-rows // EDGE), -(-columns // EDGE)


def _upright(shown: np.ndarray, directions, spacings_mm, plane: str) -> tuple[np.ndarray, tuple[float, float]]:
    """A picture whose two axes run along ``directions``, turned and mirrored to how the plane is looked at; its height and
    width in mm."""
    _, rightwards, downwards = _VIEWS[plane]
    if abs(np.dot(directions[0], rightwards)) > abs(np.dot(directions[1], rightwards)):
        shown, directions, spacings_mm = shown.T, directions[::-1], spacings_mm[::-1]
    if np.dot(directions[0], downwards) < 0:
        shown = shown[::-1]
    if np.dot(directions[1], rightwards) < 0:
        shown = shown[:, ::-1]
    return shown, (shown.shape[0] * spacings_mm[0], shown.shape[1] * spacings_mm[1])


def _scaled(shown: np.ndarray, size_mm: tuple[float, float]) -> bytes:
    per_mm = EDGE / max(size_mm)
    height, width = (max(1, round(side * per_mm)) for side in size_mm)
    return rendered(np.asarray(Image.fromarray(np.ascontiguousarray(shown)).resize((width, height), Image.Resampling.BILINEAR)), "jpeg", 85)
