"""Pictures of one frame (PS3.18 8.3.5, 10.4.1.1.3): window, viewport and quality; annotation is not burnt in."""
from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from dicom_gateway.prepare.encode import rendered
from dicom_gateway.prepare.instance import shown_frame
from dicom_gateway.prepare.plain import plain_frame
from dicom_gateway.prepare.window import Window
from dicom_gateway.web.pixels import OneFrame, decoded, one_frame
from dicom_gateway.web.recent import Recent
from hub.errors import Invalid

DRAWN = 2                     # counts up when the same request is drawn otherwise: browsers then ask anew
PARAMETERS = ("window", "viewport", "quality")
LARGEST_EDGE = 8192
LARGEST_KEPT = 4_000_000      # bytes of a decoded frame that is kept for the next look
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}


class Opened:
    """The frames that were drawn last, decoded: who drags a window over an image asks for the same one again and again."""

    def __init__(self, most: int = 24):
        self._kept = Recent(most)

    def __call__(self, file: Path, index: int) -> tuple[OneFrame, np.ndarray]:
        key = (str(file), index)          # a blob's name is its hash: the same name, the same pixels
        found = self._kept.get(key)
        if found is None:
            frame = one_frame(file, index)
            found = (replace(frame, stored=b""), decoded(frame, index))
            if found[1].nbytes <= LARGEST_KEPT:
                self._kept.put(key, found)
        return found


opened = Opened()


def picture(file: Path, index: int, media: str, parameters: Mapping[str, str], edge: int | None, about: Mapping | None = None) -> bytes:
    """Frame ``index`` (from 0) as JPEG or PNG, as its data set or the ``window`` wants it shown.

    ``edge``: longest side in pixels where no viewport is given, None for full size. ``about``: what was noted of the
    instance at its preparation, if it was prepared. Invalid for bad parameters.
    """
    window, viewport, quality = _window(parameters.get("window")), _viewport(parameters.get("viewport")), _quality(parameters.get("quality"))
    shown = _plainly(file, index, window, about)
    if shown is None:
        frame, pixels = opened(file, index)
        shown = shown_frame(frame.header, pixels, index, window)
    if viewport is None and edge is not None:
        viewport = ((edge, edge), None)
    if viewport is not None:
        shown = _fitted(shown, *viewport)
    return rendered(shown, "png" if media == "image/png" else "jpeg", quality)


def _plainly(file: Path, index: int, window: Window | None, about: Mapping | None) -> np.ndarray | None:
    """The frame straight from its bytes in the file, or None where it takes more than that."""
    plain = plain_frame(about, index, window) if about else None
    if plain is None:
        return None
    with open(file, "rb", buffering=0) as content:
        stored = os.pread(content.fileno(), plain.size, plain.offset)
    return plain.shown(stored) if len(stored) == plain.size else None


def _fitted(shown: np.ndarray, size: tuple[int, int], region: tuple[float, float, float, float] | None) -> np.ndarray:
    """The region (x, y, width, height) scaled to fit into ``size``, its shape kept; negative sizes flip."""
    image = Image.fromarray(np.ascontiguousarray(shown))
    if region is not None:
        x, y, width, height = region
        box = (int(x), int(y), min(image.width, math.ceil(x + abs(width))), min(image.height, math.ceil(y + abs(height))))
        if not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
            raise _bad("viewport")
        image = image.crop(box)
        if width < 0:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if height < 0:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(fitted, Image.Resampling.BILINEAR))


def _window(text: str | None) -> Window | None:
    """``centre,width,function``; the function's names are those of PS3.18 8.3.5.1.4."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise _bad("window")
    center, width = _number(parts[0], "window"), _number(parts[1], "window")
    function = _FUNCTIONS.get(parts[2].strip().lower() if len(parts) == 3 else "linear")
    if function is None or width < (1 if function == "LINEAR" else 1e-9):
        raise _bad("window")
    return Window("asked", "指定", center, width, function, "request")


def _viewport(text: str | None):
    """``vw,vh`` or ``vw,vh,sx,sy,sw,sh`` (PS3.18 8.3.5.1.3)."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise _bad("viewport")
    width, height = (_number(part, "viewport") for part in parts[:2])
    if not (1 <= width <= LARGEST_EDGE and 1 <= height <= LARGEST_EDGE):
        raise _bad("viewport")
    if len(parts) == 2:
        return (int(width), int(height)), None
    x, y = (_number(part, "viewport") if part else 0.0 for part in parts[2:4])
    w, h = (_number(part, "viewport") if part else 1e9 for part in parts[4:])
    return (int(width), int(height)), (x, y, w, h)


def _quality(text: str | None) -> int:
    if text is None:
        return 90
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 100:
        raise _bad("quality")
    return int(text)


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _bad(name) from None
    if not math.isfinite(number):
        raise _bad(name)
    return number


def _bad(name: str) -> Invalid:
    return Invalid("bad_query", f"参数 {name} 无法理解。", f"the parameter {name} cannot be understood.")
