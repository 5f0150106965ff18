"""A ruler laid on the printed page: the PDF rasterised by poppler, measured in pixels."""
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ecg.render import SheetFontMissing, SheetHeading, SheetOptions, compose, pdf
from tests.ecg.render.drawn import recording

PIXELS_MM = 20
FONT_FOLDERS = [path for path in ("/usr/share/fonts/opentype/noto",) if Path(path).is_dir()]
pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not shutil.which("pdftoppm"), reason="pdftoppm (poppler-utils) is not installed"),
    pytest.mark.skipif(not FONT_FOLDERS, reason="no Noto CJK fonts in the system's font folder"),
]


def raster(document: bytes, folder: Path, x_mm: float, y_mm: float, wide_mm: float, high_mm: float) -> np.ndarray:
    """Darkness of one part of the page, rows by columns, 0 white to 255 black, by the red channel
    (in which the ruling is almost white)."""
    (folder / "sheet.pdf").write_bytes(document)
    box = [round(each * PIXELS_MM) for each in (x_mm, y_mm, wide_mm, high_mm)]
    run = subprocess.run(
        ["pdftoppm", "-r", str(PIXELS_MM * 25.4), "-x", str(box[0]), "-y", str(box[1]), "-W", str(box[2]),
         "-H", str(box[3]), "-singlefile", str(folder / "sheet.pdf")], capture_output=True, check=True)
    head, size, _, pixels = run.stdout.split(b"\n", 3)
    wide, high = map(int, size.split())
    assert head == b"P6"
    return 255 - np.frombuffer(pixels, np.uint8).reshape(high, wide, 3)[:, :, 0].astype(int)


def middle_of_line(darkness: np.ndarray) -> float:
    places = np.flatnonzero(darkness > 128)
    return float(places.mean())


@pytest.mark.parametrize("layout, speed, gain", [
    ("3x4+1", 25, 10), ("3x4+1", 50, 20), ("3x4+1", 12.5, 5), ("6x2", 25, 10), ("6x2", 50, 5), ("12x1", 25, 10)])
def test_a_millivolt_and_200_ms_measure_true_on_the_printed_page(tmp_path, layout, speed, gain):
    sheet = compose(recording(), SheetOptions(layout, speed, gain))
    strip = next(each for each in sheet.strips if each.lead == ("V6" if layout == "12x1" else "aVF"))
    begins = strip.x0_mm + (0.9 - strip.start_s % 1) % 1 * speed
    left, top = begins - 0.05 * speed, strip.baseline_mm - gain - 1
    picture = raster(pdf(sheet, FONT_FOLDERS), tmp_path, left, top, 0.3 * speed, gain + 2)
    column = lambda at_s: picture[:, round(at_s * speed * PIXELS_MM)]
    roof, foot = middle_of_line(column(0.15)), middle_of_line(column(0.02))
    half = picture[round((roof + foot) / 2)]
    dark = np.flatnonzero(half > 128)
    gap = int(np.argmax(np.diff(dark)))
    up, down = dark[:gap + 1].mean(), dark[gap + 1:].mean()
    assert (foot - roof) / PIXELS_MM == pytest.approx(gain, abs=0.05)
    assert (down - up) / PIXELS_MM == pytest.approx(0.2 * speed, abs=0.05)


def test_the_page_is_a4_and_holds_one_page_of_lines_and_searchable_chinese(tmp_path):
    document = pdf(compose(recording(), heading=SheetHeading("欧阳娜娜", "女")), FONT_FOLDERS)
    (tmp_path / "sheet.pdf").write_bytes(document)
    told = subprocess.run(["pdfinfo", str(tmp_path / "sheet.pdf")], capture_output=True, text=True, check=True).stdout
    assert "A4" in told and "Pages:           1" in told
    words = subprocess.run(["pdftotext", str(tmp_path / "sheet.pdf"), "-"], capture_output=True, text=True, check=True)
    assert "欧阳娜娜" in words.stdout
    images = subprocess.run(["pdfimages", "-list", str(tmp_path / "sheet.pdf")], capture_output=True, text=True, check=True)
    assert len(images.stdout.strip().splitlines()) == 2   # the table's head alone: nothing was rasterised


def test_the_same_sheet_is_the_same_file():
    sheet = compose(recording(seconds=2), SheetOptions("recorded"))
    assert pdf(sheet, FONT_FOLDERS) == pdf(sheet, FONT_FOLDERS)


def test_a_page_without_a_font_is_refused_rather_than_printed_without_words():
    with pytest.raises(SheetFontMissing):
        pdf(compose(recording()), [])
