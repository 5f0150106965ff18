"""How pixels lie in a dataset, read from the Image Pixel attributes and refused where they are nonsense.

The promise: every number that sizes memory is checked here, before anything is allocated. Source:
PS3.3 C.7.6.3, PS3.5 8.1-8.2.
"""
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_gateway.prepare.errors import UndecodablePixels

MAX_FRAME_BYTES = 256 * 1024 * 1024
MAX_FRAMES = 100_000

_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_RCT": 3,
    "YBR_ICT": 3,
}


@dataclass(frozen=True)
class PixelLayout:
    """The size and kind of every frame of one instance; ``frames`` is how many there are said to be."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: bool
    frames: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, 3)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame unpacked, as held in memory."""
        return self.rows * self.columns * self.samples * max(1, self.bits_allocated // 8)


def pixel_layout(dataset: Dataset) -> PixelLayout:
    """The layout that a dataset states.

    Refused with UndecodablePixels: an attribute that is missing or not a number, an unknown
    photometric interpretation, impossible bit numbers, a frame above 256 MiB or absurdly many frames.
    """
    rows = _number(dataset, "Rows")
    columns = _number(dataset, "Columns")
    allocated = _number(dataset, "BitsAllocated")
    stored = _number(dataset, "BitsStored", allocated)
    layout = PixelLayout(
        rows=rows,
        columns=columns,
        samples=_number(dataset, "SamplesPerPixel", 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_number(dataset, "HighBit", stored - 1),
        signed=_number(dataset, "PixelRepresentation", 0) == 1,
        photometric=str(dataset.get("PhotometricInterpretation") or "").strip().upper(),
        planar=_number(dataset, "PlanarConfiguration", 0) == 1,
        frames=_number(dataset, "NumberOfFrames", 1) or 1,
    )
    if _SAMPLES.get(layout.photometric) != layout.samples:
        raise UndecodablePixels(
            "photometric",
            "像素的颜色类型(光度解释)缺失或与采样数不符，请联系设备厂家。",
            "the photometric interpretation is missing, unknown or does not fit the samples per pixel",
        )
    if (
        layout.bits_allocated not in (1, 8, 16, 32)
        or not 1 <= layout.bits_stored <= layout.bits_allocated
        or not layout.bits_stored - 1 <= layout.high_bit < layout.bits_allocated
    ):
        raise UndecodablePixels(
            "bits",
            "像素的位深标签不合理，请联系设备厂家。",
            "bits allocated, bits stored and high bit do not make a possible pixel",
        )
    if layout.rows < 1 or layout.columns < 1 or not 1 <= layout.frames <= MAX_FRAMES:
        raise UndecodablePixels(
            "size",
            "图像行数、列数或帧数不合理，请让设备重新发送。",
            "rows, columns or number of frames are not possible numbers",
        )
    if layout.frame_bytes > MAX_FRAME_BYTES:
        raise UndecodablePixels(
            "too_large",
            "单帧图像过大(超过 256 MB)，无法准备阅片。",
            "one frame would take more than 256 MiB, which is not prepared for reading",
        )
    return layout


def _number(dataset: Dataset, keyword: str, absent: int | None = None) -> int:
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            if absent is None:
                raise ValueError(keyword)
            return absent
        return int(value)
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
        raise UndecodablePixels(
            "attribute",
            f"描述像素的标签 {keyword} 缺失或无效，请让设备重新发送。",
            f"the attribute {keyword}, which describes the pixels, is missing or not a number",
        ) from error
