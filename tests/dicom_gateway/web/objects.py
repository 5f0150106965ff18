"""Small DICOM files with known values; names as raw bytes, whatever the character set says."""
import io

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

PLACE = b"NAMENAMENAMENAMENAMENAME"


def file_of(study: str, series: str, sop: str, name: bytes = b"WANG^FANG", **attributes) -> bytes:
    """A 4 x 4 CT image in Explicit VR Little Endian; ``name`` is written as it stands, under ISO_IR 100."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, sop
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.Modality, dataset.PatientID, dataset.StudyDate = "CT", "P1", "20260301"
    dataset.PatientName = PLACE.decode()
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 15, 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(range(32))
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue().replace(PLACE, name.ljust(len(PLACE)))
