"""Images for the tests: those bundled with pydicom, and small ones built by hand."""
import subprocess
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

DCMTK = Path("/usr/bin")


def bundled(name: str) -> Dataset:
    """An image from pydicom's own wheel; never downloaded."""
    path = get_testdata_file(name, download=False)
    assert path is not None, name
    return pydicom.dcmread(path)


def bundled_path(name: str) -> str:
    return get_testdata_file(name, download=False)


def image(data: bytes, rows: int, columns: int, syntax: UID = ExplicitVRLittleEndian, **attributes) -> Dataset:
    """A dataset with just what an image needs: 16-bit grey unless attributes say otherwise."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["image", repr(attributes), str(len(data))])
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.StudyInstanceUID = "1.2"
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = data
    return dataset


def grey(values: np.ndarray, **attributes) -> Dataset:
    """A native 16-bit grey image of the given values."""
    signed = {"PixelRepresentation": 1} if values.dtype.kind == "i" else {}
    return image(values.astype(values.dtype.newbyteorder("<")).tobytes(), *values.shape, **(signed | attributes))


def dcmtk(program: str, *arguments: str) -> None:
    """Runs one of DCMTK's programs by full path and expects success."""
    done = subprocess.run([str(DCMTK / program), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def pnm(path: Path) -> np.ndarray:
    """A binary PGM or PPM file as (rows, columns) or (rows, columns, 3) uint8, read by hand."""
    content = path.read_bytes()
    kind, size, depth, pixels = content.split(b"\n", 3)
    columns, rows = (int(part) for part in size.split())
    assert depth == b"255"
    flat = np.frombuffer(pixels, np.uint8)
    return flat.reshape(rows, columns) if kind == b"P5" else flat.reshape(rows, columns, 3)
