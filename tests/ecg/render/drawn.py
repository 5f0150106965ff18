"""Recordings with a known answer, and a ruler for what was drawn: written against the SVG standard and
the raster of another program, not against the code under test."""
import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from ecg.recording import STANDARD_LEADS, Recording

SVG = "{http://www.w3.org/2000/svg}"
RATE_HZ = 500.0


def recording(samples_uv=None, leads=STANDARD_LEADS, seconds=10.0, **words) -> Recording:
    """Every lead the same: the samples given, or a square of 1 mV for 200 ms in every second."""
    if samples_uv is None:
        samples_uv = np.zeros(round(seconds * RATE_HZ))
        for second in range(int(seconds)):
            samples_uv[round((second + 0.9) * RATE_HZ):round((second + 1.1) * RATE_HZ)] = 1000.0
    return Recording("test", tuple(leads), np.tile(samples_uv, (len(leads), 1)), RATE_HZ, (1.0,) * len(leads), **words)


def parse(document: str):
    return ElementTree.fromstring(document.encode())


def paths(root, **attributes):
    return [path for path in root.iter(SVG + "path")
            if all(path.get(name.replace("_", "-")) == value for name, value in attributes.items())]


def texts(root, kind=None):
    return [text.text for text in root.iter(SVG + "text") if kind in (None, text.get("class"))]


def points(data: str) -> list[list[tuple[float, float]]]:
    """Every subpath of M, L, l, H, h, V, v path data as absolute points."""
    runs, x, y = [], 0.0, 0.0
    for command, body in re.findall(r"([MLlHhVv])([^A-Za-z]*)", data):
        numbers = [float(each) for each in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", body)]
        if command in "HhVv":
            for number in numbers:
                x, y = {"H": (number, y), "h": (x + number, y), "V": (x, number), "v": (x, y + number)}[command]
                runs[-1].append((x, y))
            continue
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = (x + dx, y + dy) if command == "l" else (dx, dy)
            if command == "M":
                runs.append([])
            runs[-1].append((x, y))
    return runs


def square_of(run: list[tuple[float, float]]) -> tuple[float, float]:
    """Height, and width at half height, of the first upward square of a run, in millimetres."""
    places = np.array(run)
    foot, roof = places[:, 1].max(), places[:, 1].min()
    half = (foot + roof) / 2
    begin = end = None
    for (x0, y0), (x1, y1) in zip(run, run[1:]):
        if (y0 - half) * (y1 - half) < 0:
            crossing = x0 + (x1 - x0) * (half - y0) / (y1 - y0)
            if y1 < y0 and begin is None:
                begin = crossing
            elif y1 > y0 and begin is not None and end is None:
                end = crossing
    return foot - roof, end - begin
