"""Windows for the eye: the image's own, presets, and what a window does to values.

The promise: the formulas are those of PS3.3 C.11.2.1.2 and C.11.2.1.3 to the nearest grey level;
which images are shown inverted is told. Arrays in, arrays out.
"""
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from dicom_gateway.prepare.functional import holder, value

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class Window:
    """A centre and width in modality values (HU for CT); width >= 1 for LINEAR, > 0 otherwise."""

    name: str
    zh: str
    center: float
    width: float
    function: str = "LINEAR"
    source: str = ""


_RADIOPAEDIA = "Radiopaedia, Windowing (CT), radiopaedia.org/articles/windowing-ct"

CT_PRESETS = (
    Window("lung", "肺窗", -600, 1500, source=_RADIOPAEDIA),
    Window("mediastinum", "纵隔窗", 50, 350, source=_RADIOPAEDIA),
    Window("bone", "骨窗", 400, 1800, source=_RADIOPAEDIA),
    Window("brain", "脑窗", 40, 80, source=_RADIOPAEDIA),
    Window("abdomen", "腹窗", 50, 400, source=_RADIOPAEDIA),
)

_PRESETS_BY_REGION = (
    (("HEAD", "BRAIN", "SKULL", "头", "颅", "脑"), ("brain", "bone")),
    (("CHEST", "THORAX", "LUNG", "胸", "肺"), ("lung", "mediastinum", "bone")),
    (("ABDOMEN", "PELVIS", "LIVER", "KIDNEY", "腹", "盆", "肝", "肾"), ("abdomen", "bone", "lung")),
    (("SPINE", "EXTREMITY", "KNEE", "HIP", "脊", "腰椎", "颈椎", "关节", "骨"), ("bone", "abdomen")),
)


def presets_for(modality: str, *regions: str) -> tuple[Window, ...]:
    """The CT presets that fit, best first, chosen by words in body part and descriptions.

    Nothing for other modalities, whose values have no common unit; all five where no word is known.
    """
    if modality != "CT":
        return ()
    by_name = {preset.name: preset for preset in CT_PRESETS}
    said = " ".join(regions).upper()
    for words, names in _PRESETS_BY_REGION:
        if any(word in said for word in words):
            return tuple(by_name[name] for name in names)
    return CT_PRESETS


def dataset_windows(dataset: Dataset, frame: int = 0) -> tuple[Window, ...]:
    """The windows a dataset brings itself for a frame, in its order; those that are no numbers are left out."""
    dataset = holder(dataset, frame, "FrameVOILUTSequence")
    centers, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    function = function if function in FUNCTIONS else "LINEAR"
    explained = dataset.get("WindowCenterWidthExplanation") or ()
    explained = [explained] if isinstance(explained, str) else list(explained)
    windows = []
    for index, (center, width) in enumerate(zip(centers, widths)):
        if center is None or width is None or width < (1 if function == "LINEAR" else 1e-9):
            continue
        name = str(explained[index]) if index < len(explained) else ""
        window = Window(name or "device", name or "设备窗", center, width, function, "dataset")
        if all((window.center, window.width) != (seen.center, seen.width) for seen in windows):
            windows.append(window)
    return tuple(windows)


def apply_window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Modality values of any shape as grey levels 0-255 (uint8), larger values brighter.

    LINEAR (C.11.2.1.2.1), LINEAR_EXACT (C.11.2.1.3.2), SIGMOID (C.11.2.1.3.1), rounded to the nearest
    level. ValueError for another function, LINEAR with width < 1, or the others with width <= 0.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"VOI function {function!r} is not one of {FUNCTIONS}")
    if not width >= (1 if function == "LINEAR" else np.nextafter(0, 1)):
        raise ValueError(f"a {function} window cannot be {width} wide")
    if values.dtype.kind in "iu" and values.size:
        lowest, highest = int(values.min()), int(values.max())
        if values.dtype.itemsize <= 2:
            return _looked_up(values, lowest, highest, center, width, function)
        if highest - lowest < min(values.size, 1 << 16):
            table = _rounded(np.arange(lowest, highest + 1, dtype=np.float64), center, width, function)
            return table[_offsets(values, lowest)]
    return _rounded(values.astype(np.float64), center, width, function)


def _looked_up(values: np.ndarray, lowest: int, highest: int, center: float, width: float, function: str) -> np.ndarray:
    """Levels by a table over the bits of 8- or 16-bit values, so that each value costs one look."""
    bits = values.dtype.itemsize * 8
    table = np.zeros(1 << bits, np.uint8)
    inside = np.arange(lowest, highest + 1)
    table[inside & ((1 << bits) - 1)] = _rounded(inside.astype(np.float64), center, width, function)
    native = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    return table[native.view(f"u{values.dtype.itemsize}")]


def _offsets(values: np.ndarray, lowest: int) -> np.ndarray:
    return values if lowest == 0 else values.astype(np.int64) - lowest


def _rounded(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    return np.rint(window_levels(values, center, width, function)).astype(np.uint8)


def window_levels(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    """Modality values (float64) as levels from 0 to 255 that are not rounded yet."""
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - center) / width, -700, 700)
        return 255.0 / (1.0 + np.exp(exponent))
    if function == "LINEAR_EXACT":
        grey = ((values - center) / width + 0.5) * 255.0
    elif width == 1:
        grey = np.where(values <= center - 0.5, 0.0, 255.0)
    else:
        grey = ((values - (center - 0.5)) / (width - 1.0) + 0.5) * 255.0
    return np.clip(grey, 0.0, 255.0)


def full_range(values: np.ndarray) -> Window:
    """A window from the darkest to the brightest 0.5 % of the values, for images that bring none."""
    low, high = np.percentile(values, (0.5, 99.5)) if values.size else (0.0, 1.0)
    width = max(float(high - low), 1.0)
    return Window("range", "全范围", float(low) + width / 2, width, "LINEAR_EXACT", "values of the image")


def is_inverted(dataset: Dataset) -> bool:
    """Whether low values are shown bright: MONOCHROME1, or an INVERSE presentation shape.

    PS3.3 C.11.6: the presentation LUT shape decides where both are given.
    """
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    if shape in ("INVERSE", "IDENTITY"):
        return shape == "INVERSE"
    return str(dataset.get("PhotometricInterpretation") or "").strip().upper() == "MONOCHROME1"


def _numbers(dataset: Dataset, keyword: str) -> list[float | None]:
    given = value(dataset, keyword)
    if given is None or given == "":
        return []
    parts = list(given) if hasattr(given, "__iter__") and not isinstance(given, str) else [given]
    return [_number(part) for part in parts]


def _number(part) -> float | None:
    try:
        number = float(part)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
