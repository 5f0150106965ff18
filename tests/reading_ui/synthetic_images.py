"""Small made-up instances whose every value is known: for what the real chest CT does not show."""
import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

STUDY = generate_uid(entropy_srcs=["viewer", "study"])


def instance(pixels: np.ndarray, *, modality: str, photometric: str = "MONOCHROME2", series: int = 1,
             number: int = 1, bits: int | None = None, **attributes: object) -> Dataset:
    """One instance; pixels (rows, columns) or (rows, columns, 3), uint8, uint16 or int16.

    Further attributes are set by keyword (PixelSpacing=[..], RescaleSlope=...).
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["viewer", str(series), str(number)])
    dataset.StudyInstanceUID = STUDY
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["viewer", str(series)])
    dataset.PatientName = "Ceshi^Yi=测试^一"
    dataset.PatientID = "T001"
    dataset.StudyDate = "20260401"
    dataset.Modality = modality
    dataset.SeriesNumber = series
    dataset.InstanceNumber = number
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def halves(dark: int, bright: int, dtype: type, size: int = 64) -> np.ndarray:
    """A square whose left half holds one value and whose right half another."""
    pixels = np.full((size, size), dark, dtype)
    pixels[:, size // 2:] = bright
    return pixels
